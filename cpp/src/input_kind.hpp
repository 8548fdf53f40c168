// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace hepgen_fastsim::detail {

/// What the first bytes of an input that is not HepMC look like, as the end of a sentence: "a ROOT file; ...".
std::string describe_input(std::string_view head);

/// Text of a foreign file made fit for a message: one line, printable, at most `longest` characters.
std::string excerpt(std::string_view text, std::size_t longest = 100);

}  // namespace hepgen_fastsim::detail
