// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include "hepgen_fastsim/export.hpp"

namespace hepgen_fastsim {

/// Momenta of particles: [n] each, GeV; the mass carries the sign of its square.
struct MassiveMomenta {
  std::span<const double> px, py, pz, mass;
};

/// Leaves of Delphes' tree that follow from them: [n] each, GeV.
struct MomentumLeaves {
  std::span<float> pt, p, energy, eta, phi, rapidity;
};

/// Computes them in double precision. Along the beam, as double precision has it, pseudorapidity and rapidity are
/// +-999.9; a particle without a rapidity (|pz| >= E, off shell) gets its pseudorapidity. Lengths have to agree.
HEPGEN_FASTSIM_EXPORT void momentum_leaves(const MassiveMomenta& particles, const MomentumLeaves& leaves);

}  // namespace hepgen_fastsim
