// SPDX-License-Identifier: MIT
/// Charge and mass from the PDG particle code (PDG review, "Monte Carlo particle numbering scheme").
#pragma once

#include <cstdint>
#include <optional>

#include "hepgen_fastsim/export.hpp"

namespace hepgen_fastsim::pdg {

/// Charge in units of e; unknown codes count as neutral.
HEPGEN_FASTSIM_EXPORT double charge(std::int64_t code);

/// Mass [GeV] of particles that a generator leaves stable, and of nuclei; nothing for codes without a known mass.
HEPGEN_FASTSIM_EXPORT std::optional<double> mass(std::int64_t code);

/// Whether the code is one of the scheme's: a known elementary particle, a hadron, a nucleus, or a BSM particle.
HEPGEN_FASTSIM_EXPORT bool is_known(std::int64_t code);

}  // namespace hepgen_fastsim::pdg
