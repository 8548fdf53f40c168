// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "hepgen_fastsim/export.hpp"

namespace hepgen_fastsim {

/// Rows, ascending, of particles whose status is 1 (`stable`), or is not, and whose PDG code, sign apart, is among
/// `codes` (`among`), or is not.
HEPGEN_FASTSIM_EXPORT std::vector<std::int64_t> select(std::span<const std::int64_t> pdgid,
                                                       std::span<const std::int32_t> status, bool stable,
                                                       std::span<const std::int64_t> codes, bool among);

/// px, py, pz, energy [GeV] of particles at `rows`: [rows] each. Columns [T] in GeV; a mass counts by its square.
HEPGEN_FASTSIM_EXPORT std::array<std::vector<double>, 4> momenta(std::span<const double> px, std::span<const double> py,
                                                                 std::span<const double> pz,
                                                                 std::span<const double> mass,
                                                                 std::span<const std::int64_t> rows);

/// Axes of jets: [J] each, rad; `event` counts from 0.
struct JetAxes {
  std::span<const double> eta, phi;
  std::span<const std::int64_t> event;
};

/// Particles of all events: [T] each, GeV; offsets [B + 1] from 0 to T.
struct Record {
  std::span<const std::int64_t> pdgid;
  std::span<const std::int32_t> status;
  std::span<const double> px, py, pz;
  std::span<const std::int64_t> offsets;
};

/// Partons that give a jet its flavour: of more than pt_min [GeV], |eta| <= eta_max, within delta_r of the axis.
struct FlavorCone {
  double delta_r, pt_min, eta_max;
};

/// Flavours of jets, as Delphes has them: the highest code of the quarks (top apart) in the cone, 21 if there are
/// gluons alone, 0 if there is nothing: [J]. Stable partons, and those of status -1, do not count.
HEPGEN_FASTSIM_EXPORT std::vector<std::int64_t> jet_flavors(const JetAxes& jets, const Record& gen,
                                                            const FlavorCone& cone);

}  // namespace hepgen_fastsim
