// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "hepgen_fastsim/jets.hpp"

namespace hepgen_fastsim {

/// Massless momenta, list by list.
struct MomentumLists {
  std::vector<double> px, py, pz, energy;
  std::vector<std::int64_t> offsets{0};

  void add(double pt, double y, double phi) {
    px.push_back(pt * std::cos(phi)), py.push_back(pt * std::sin(phi));
    pz.push_back(pt * std::sinh(y)), energy.push_back(pt * std::cosh(y));
  }
  void end() { offsets.push_back(static_cast<std::int64_t>(px.size())); }
  MomentumView view() const { return {px, py, pz, energy, offsets}; }
};

}  // namespace hepgen_fastsim
