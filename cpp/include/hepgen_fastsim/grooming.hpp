// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "hepgen_fastsim/export.hpp"
#include "hepgen_fastsim/jets.hpp"

namespace hepgen_fastsim {

/// Momenta of a jet that has been groomed and of its hardest subjets, by descending pt, zeros where there are fewer.
/// The functions that give them throw InputError if the columns' lengths differ or a momentum is not finite.
struct Groomed {
  static constexpr std::size_t slots = 5;
  std::vector<std::array<double, 4>> momenta;  ///< [J * slots] px, py, pz, energy [GeV]
  std::vector<std::int32_t> n_subjets;         ///< [J]
};

/// Trimming (Krohn, Thaler, Wang, JHEP 02 (2010) 084): kt subjets of `radius` that have less than `pt_fraction` of the
/// jet's pt are left out. The jets are given as lists of their constituents, `MomentumView::offsets` [J + 1].
HEPGEN_FASTSIM_EXPORT Groomed trim(const MomentumView& jets, double radius, double pt_fraction);

/// Pruning (Ellis, Vermilion, Walsh, Phys. Rev. D 81 (2010) 094023) while clustering with Cambridge/Aachen of `radius`:
/// of two branches farther apart than r_cut 2 m / pt of the jet, the softer one is left out if it has less than z_cut
/// of their pt. The result is the hardest jet; its subjets are the branches that were recombined last.
HEPGEN_FASTSIM_EXPORT Groomed prune(const MomentumView& jets, double radius, double z_cut, double r_cut);

/// Soft drop (Larkoski, Marzani, Soyez, Thaler, JHEP 05 (2014) 146): the Cambridge/Aachen tree is undone until the
/// softer branch has more than z_cut (dR / radius)^beta of the sum of both pt. The subjets are these branches.
HEPGEN_FASTSIM_EXPORT Groomed soft_drop(const MomentumView& jets, double radius, double z_cut, double beta);

}  // namespace hepgen_fastsim
