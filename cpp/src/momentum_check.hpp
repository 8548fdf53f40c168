// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/jets.hpp"

namespace hepgen_fastsim {

/// Throws InputError, on behalf of `who`, if the lists do not fit each other or a momentum is not finite.
inline void check_momenta(const MomentumView& particles, const std::string& who) {
  const auto& offsets = particles.offsets;
  if (offsets.empty() || offsets.front() != 0 || !std::is_sorted(offsets.begin(), offsets.end())) {
    throw InputError(who + ": offsets should begin with 0 and never decrease");
  }
  const auto n = static_cast<std::size_t>(offsets.back());
  for (const auto& column : {particles.px, particles.py, particles.pz, particles.energy}) {
    if (column.size() != n) {
      throw InputError(who + ": the offsets count " + std::to_string(n) + " particles, but a column has " +
                       std::to_string(column.size()));
    }
    const auto odd = std::find_if(column.begin(), column.end(), [](double x) { return !std::isfinite(x); });
    if (odd != column.end()) {
      throw InputError(who + ": the momentum of particle " + std::to_string(odd - column.begin()) + " is not finite");
    }
  }
}

}  // namespace hepgen_fastsim
