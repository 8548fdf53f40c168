// SPDX-License-Identifier: MIT
/// The stable particles of GEN events, column by column, as models ask for them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hepgen_fastsim/event.hpp"

namespace hepgen_fastsim {

/// Quantities of a GEN particle that a model may ask for by name: GeV, e, mm.
enum class Quantity { pt, eta, phi, mass, charge, vx, vy, vz, vt };
inline constexpr std::array<const char*, 9> quantity_names = {"pt", "eta", "phi", "mass", "charge",
                                                              "vx", "vy",  "vz",  "vt"};
/// A column for each quantity; empty where nobody asks for it.
using GenColumns = std::array<std::vector<double>, quantity_names.size()>;

/// Rows of the stable particles; `offsets` gets how many there are before each event.
std::vector<std::int64_t> stable_rows(const GenView& events, std::vector<std::int64_t>& offsets);

/// The quantities in `used`, at least, of the particles at `rows`. What is missing follows from the PDG code, or is 0.
GenColumns gen_columns(const GenView& events, std::span<const std::int64_t> rows,
                       const std::array<bool, quantity_names.size()>& used);

/// Raises InputError if a number of the particles at `rows` is not finite.
void require_finite(const GenView& events, std::span<const std::int64_t> rows);

/// "event 3, particle 14 (pdgid 211)"
std::string where(const GenView& events, std::int64_t row);

}  // namespace hepgen_fastsim
