// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hepgen_fastsim {

/// pt [GeV], eta and phi of many momenta.
struct Kinematics {
  std::vector<double> pt, eta, phi;
};

/// Of the momenta px, py, pz [GeV] at `rows`. Along the beam eta is +-infinity, at rest 0; nan stays nan.
Kinematics kinematics(std::span<const double> px, std::span<const double> py, std::span<const double> pz,
                      std::span<const std::int64_t> rows);

/// Natural logarithms and tangents of numbers, in their place, and azimuths of (x, y), in the place of y: torch's,
/// eight at a time.
void logarithms(std::vector<double>& numbers);
void tangents(std::vector<double>& numbers);
void azimuths(std::vector<double>& x, std::vector<double>& y);

}  // namespace hepgen_fastsim
