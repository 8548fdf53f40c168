// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hepgen_fastsim/export.hpp"

namespace hepgen_fastsim {

/// The volume in which particles are followed: field along z [T], radius and half-length of a cylinder [m].
struct Magnet {
  double field, radius, half_length;
};

/// Particles where they begin: [T] each, GeV, e, mm; the time as a length, too.
struct Beginnings {
  std::span<const double> px, py, pz, mass, charge, vx, vy, vz, vt;
};

/// Paths: [n] each, mm, rad, s.
struct Paths {
  std::vector<double> eta_out, phi_out;     ///< where they leave the volume, seen from the origin
  std::vector<double> x_out, y_out, z_out;  ///< the same as a place
  std::vector<double> time_out;             ///< and when
  std::vector<double> track_phi;            ///< azimuth of the momentum where they are nearest to the beam axis
  std::vector<double> x_d, y_d, z_d, d0;    ///< this place, and the impact parameter
  std::vector<double> length;               ///< from the vertex to the exit
};

/// Follows particles, those of the rows, to the cylinder on which the calorimeters begin; nothing but zeros for rows
/// of -1.
///
/// With s the turned angle, r = pt / (0.3 |q| B) and x the start, the distance from the axis is rho^2(s) = rho0^2 +
/// A (1 - cos s) + C sin s, A = 2 r (r + b), C = 2 r a; a, b: components of x along and across the momentum. Particles
/// that start outside stay where they are and keep their direction. InputError if the columns' lengths differ or there
/// is no such row.
HEPGEN_FASTSIM_EXPORT Paths follow(const Beginnings& particles, std::span<const std::int64_t> rows,
                                   const Magnet& magnet);

/// `Paths::time_out` alone.
HEPGEN_FASTSIM_EXPORT std::vector<double> arrival(const Beginnings& particles, std::span<const std::int64_t> rows,
                                                  const Magnet& magnet);

}  // namespace hepgen_fastsim
