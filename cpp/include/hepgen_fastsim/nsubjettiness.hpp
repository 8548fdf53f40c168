// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <vector>

#include "hepgen_fastsim/export.hpp"
#include "hepgen_fastsim/jets.hpp"

namespace hepgen_fastsim {

/// Axes of N-subjettiness: the N exclusive kt subjets, their momenta added (kt) or the sum in the direction of the one
/// of more pt (wta_kt, winner takes all: Bertolini, Chan, Thaler, JHEP 04 (2014) 013); `onepass`: moved from there to
/// the next minimum.
enum class SubjetAxes { kt, onepass_kt, wta_kt, onepass_wta_kt };

/// tau_1 to tau_5 of a jet.
using Subjettiness = std::array<double, 5>;

/// N-subjettiness (Thaler, Van Tilburg, JHEP 03 (2011) 015) of jets that are given as lists of their constituents,
/// `MomentumView::offsets` [J + 1]:
///
///   tau_N = sum_i pt_i min_k dR_ik^beta / sum_i pt_i radius^beta,
///
/// dR_ik the distance of constituent i and axis k in rapidity and azimuth; 0 for a jet of N constituents or less.
/// The minimum is searched for as in JHEP 02 (2012) 093: each axis moves to the mean of the constituents that are
/// nearest to it, with weights pt dR^(beta - 2), until axes move by no more than 1e-4 on average, at most 1000 times.
/// That finds one for 1 <= beta < 3. These are the values of FastJet's contribution Nsubjettiness, NormalizedMeasure:
/// all within 1e-10 of them, but for beta < 1 with a search, 4e-5.
///
/// Throws Error if radius or beta are not positive, InputError if the columns' lengths differ or a momentum is not
/// finite.
HEPGEN_FASTSIM_EXPORT std::vector<Subjettiness> nsubjettiness(const MomentumView& jets, double radius, double beta,
                                                              SubjetAxes axes);

}  // namespace hepgen_fastsim
