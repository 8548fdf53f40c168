// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/jets.hpp"

namespace hepgen_fastsim {

/// Four-momentum [GeV].
struct Momentum {
  double px, py, pz, energy;

  double pt2() const { return px * px + py * py; }
  double mass2() const { return (energy + pz) * (energy - pz) - pt2(); }
  Momentum& operator+=(const Momentum& other) {
    px += other.px, py += other.py, pz += other.pz, energy += other.energy;
    return *this;
  }
};
inline Momentum operator+(Momentum a, const Momentum& b) {
  return a += b;
}

/// What the rapidity is half the logarithm of, but for its sign: (mt / (E + |pz|))^2. Not 0 along the beam, nor
/// undefined at rest.
inline double steepness(const Momentum& p) {
  constexpr double tiny = std::numeric_limits<double>::min();
  const double sum = p.energy + std::abs(p.pz);
  return std::max(p.pt2() + std::max(0.0, p.mass2()), tiny) / std::max(sum * sum, tiny);
}

/// A place in the plane of rapidity and azimuth [rad].
struct Direction {
  double rapidity, phi;
};

/// Finite along the beam and at rest, too; the azimuth lies in [-pi, pi].
inline Direction direction(const Momentum& p) {
  const double y = 0.5 * std::log(steepness(p));
  return {p.pz > 0 ? -y : y, std::atan2(p.py, p.px)};
}

/// Squared distance, the short way round in azimuth.
inline double distance2(const Direction& a, const Direction& b) {
  constexpr double pi = std::numbers::pi;
  const double dy = a.rapidity - b.rapidity, dphi = pi - std::abs(pi - std::abs(a.phi - b.phi));
  return dy * dy + dphi * dphi;
}

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
