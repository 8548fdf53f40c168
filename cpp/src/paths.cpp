// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/paths.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "hepgen_fastsim/error.hpp"
#include "kinematics.hpp"

namespace hepgen_fastsim {
namespace {

constexpr std::size_t block = 1024;  // particles worked on at a time, which stay in the cache
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double gev_per_tesla_metre = 0.299792458;  // pt = 0.2998 |q| B r
constexpr double c_light = 2.99792458e11;            // mm/s
constexpr double straight = 1e6;                     // radius of the path of a neutral particle [m]
constexpr double softest = 3.2e-5;                   // pt of what moves [GeV]
constexpr double tiny = 1e-300;
const double steepest = std::sinh(20.0);  // largest pz / pt that a path has

using Column = std::vector<double>;

/// Particles of a block, and the beginning of their paths; lengths in metres. What starts outside is moved to the
/// centre.
struct Flight {
  Column px, py, pz, mass, charge, vx, vy, vz, time;  // as they are given
  Column x, y, z, cos, sin, slope, sign, r;           // the start, the direction, dz per transverse metre, the helix
  Column a, b;                                        // components of the start along the momentum and across it
  Column numerator, half;                             // the turned angle, and of work
  Column path;                                        // in the transverse plane; before, that to the endcap
  std::vector<char> inside;                           // starts inside the volume and moves

  void take(const Beginnings& from, std::span<const std::int64_t> rows);
  void begin(const Magnet& magnet);
  double length(std::size_t i) const { return path[i] * std::sqrt(1 + slope[i] * slope[i]) * 1e3; }
  double time_out(std::size_t i) const {
    const double p2 = px[i] * px[i] + py[i] * py[i] + pz[i] * pz[i];
    return time[i] + length(i) * std::sqrt((p2 + mass[i] * mass[i]) / std::max(p2, 1e-24)) / c_light;
  }
};

void Flight::take(const Beginnings& from, std::span<const std::int64_t> rows) {
  const std::size_t n = rows.size();
  for (Column* column : {&px, &py,  &pz,  &mass,  &charge, &vx, &vy, &vz, &time,      &x,    &y,
                         &z,  &cos, &sin, &slope, &sign,   &r,  &a,  &b,  &numerator, &half, &path}) {
    column->resize(n);
  }
  inside.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const bool none = rows[i] < 0;
    const auto row = static_cast<std::size_t>(none ? 0 : rows[i]);
    const auto get = [&](std::span<const double> column) { return none ? 0 : column[row]; };
    px[i] = get(from.px), py[i] = get(from.py), pz[i] = get(from.pz), mass[i] = get(from.mass);
    charge[i] = get(from.charge);
    vx[i] = get(from.vx), vy[i] = get(from.vy), vz[i] = get(from.vz), time[i] = get(from.vt) / c_light;
  }
}

void Flight::begin(const Magnet& magnet) {
  const std::size_t n = px.size();
  const double radius2 = magnet.radius * magnet.radius;
  for (std::size_t i = 0; i < n; ++i) {
    const double pt = std::sqrt(px[i] * px[i] + py[i] * py[i]), least = std::max(pt, tiny);
    const double x0 = 1e-3 * vx[i], y0 = 1e-3 * vy[i], z0 = 1e-3 * vz[i];
    const bool here = (x0 * x0 + y0 * y0 <= radius2) & (std::abs(z0) <= magnet.half_length) & (pt > softest);
    inside[i] = here;
    x[i] = here ? x0 : 0, y[i] = here ? y0 : 0, z[i] = here ? z0 : 0;
    cos[i] = px[i] / least, sin[i] = py[i] / least, slope[i] = std::clamp(pz[i] / least, -steepest, steepest);
    r[i] = std::clamp(least / (std::abs(charge[i]) * gev_per_tesla_metre * magnet.field), 1e-9, straight);
    sign[i] = charge[i] < 0 ? -1 : 1;
    a[i] = x[i] * cos[i] + y[i] * sin[i];
    b[i] = sign[i] * (x[i] * sin[i] - y[i] * cos[i]);
    const double big_a = 2 * r[i] * (r[i] + b[i]), big_c = 2 * r[i] * a[i];
    const double d = radius2 - x[i] * x[i] - y[i] * y[i];
    const double discriminant = big_c * big_c + (2 * big_a - d) * d, root = std::sqrt(std::max(discriminant, 0.0));
    const bool ahead = big_c >= 0;
    numerator[i] = ahead ? d : root - big_c;
    half[i] = ahead ? big_c + root : 2 * big_a - d;
    path[i] = (magnet.half_length - (slope[i] < 0 ? -z[i] : z[i])) / std::max(std::abs(slope[i]), 1e-9);
    if (!(discriminant > 0)) half[i] = std::numeric_limits<double>::quiet_NaN();  // curlers never reach the barrel
  }
  azimuths(half, numerator);
  for (std::size_t i = 0; i < n; ++i) {
    const double to_barrel = std::isnan(numerator[i]) ? infinity : 2 * numerator[i] * r[i];
    path[i] = inside[i] ? std::min(to_barrel, path[i]) : 0;
  }
}

/// Goes through the particles block by block: work(flight, first row of the block).
template <typename Work>
void over_blocks(const Beginnings& particles, std::span<const std::int64_t> rows, const Magnet& magnet,
                 const Work& work) {
  const std::size_t n = particles.px.size();
  for (const auto& column : {particles.py, particles.pz, particles.mass, particles.charge, particles.vx, particles.vy,
                             particles.vz, particles.vt}) {
    if (column.size() != n) throw InputError("paths: all columns of particles should have the same length");
  }
  for (const std::int64_t row : rows) {
    if (row >= static_cast<std::int64_t>(n)) throw InputError("paths: a row is not among those of the particles");
  }
  Flight flight;
  for (std::size_t first = 0; first < rows.size(); first += block) {
    flight.take(particles, rows.subspan(first, std::min(block, rows.size() - first)));
    flight.begin(magnet);
    work(flight, first);
  }
}

/// The paths of a block.
void trace(const Flight& f, std::size_t first, Paths& out) {
  const std::size_t n = f.px.size();
  Column tangent(n);
  for (std::size_t i = 0; i < n; ++i) tangent[i] = 0.5 * f.path[i] / f.r[i];
  tangents(tangent);
  Column eta(n), phi_x(n), phi_y(n), track_x(n), track_y(n), side(n), turned(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t k = first + i;
    const double x = f.x[i], y = f.y[i], r = f.r[i], cos = f.cos[i], sin = f.sin[i], sign = f.sign[i];
    // where the path has turned by an angle of this sine and 1 - cosine
    const auto at_x = [&](double sine, double versine) { return x + r * (cos * sine + sign * sin * versine); };
    const auto at_y = [&](double sine, double versine) { return y + r * (sin * sine - sign * cos * versine); };
    const double out_sine = 2 * tangent[i] / (1 + tangent[i] * tangent[i]), out_versine = tangent[i] * out_sine;
    const double x_out = at_x(out_sine, out_versine), y_out = at_y(out_sine, out_versine);
    const double z_out = f.z[i] + f.slope[i] * f.path[i];
    const double rho = std::max(std::sqrt(x_out * x_out + y_out * y_out), 1e-6);
    const double pt = std::max(std::sqrt(f.px[i] * f.px[i] + f.py[i] * f.py[i]), tiny);
    const bool inside = f.inside[i];
    eta[i] = inside ? z_out / rho : f.pz[i] / pt;
    phi_x[i] = inside ? x_out : f.px[i], phi_y[i] = inside ? y_out : f.py[i];
    out.x_out[k] = inside ? x_out * 1e3 : f.vx[i];
    out.y_out[k] = inside ? y_out * 1e3 : f.vy[i];
    out.z_out[k] = inside ? z_out * 1e3 : f.vz[i];
    out.length[k] = f.length(i), out.time_out[k] = f.time_out(i);
    // back to where d rho^2 / ds = A sin s + C cos s = 0
    side[i] = r + f.b[i];
    const double distance = std::max(std::sqrt(f.a[i] * f.a[i] + side[i] * side[i]), tiny);
    const double sine = -f.a[i] / distance, cosine = side[i] / distance;
    const double versine = side[i] > 0 ? sine * sine / (1 + std::abs(cosine)) : 1 - cosine;
    const double x_d = at_x(sine, versine), y_d = at_y(sine, versine);
    track_x[i] = cos * cosine + sign * sin * sine, track_y[i] = sin * cosine - sign * cos * sine;
    out.x_d[k] = x_d * 1e3, out.y_d[k] = y_d * 1e3, out.d0[k] = (x_d * track_y[i] - y_d * track_x[i]) * 1e3;
    turned[i] = f.a[i];
  }
  azimuths(phi_x, phi_y), azimuths(track_x, track_y), azimuths(side, turned);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t k = first + i;
    out.eta_out[k] = std::asinh(eta[i]);
    out.phi_out[k] = phi_y[i], out.track_phi[k] = track_y[i];
    out.z_d[k] = (f.z[i] - f.slope[i] * f.r[i] * turned[i]) * 1e3;
  }
}

}  // namespace

Paths follow(const Beginnings& particles, std::span<const std::int64_t> rows, const Magnet& magnet) {
  Paths out;
  for (Column* column : {&out.eta_out, &out.phi_out, &out.x_out, &out.y_out, &out.z_out, &out.time_out, &out.track_phi,
                         &out.x_d, &out.y_d, &out.z_d, &out.d0, &out.length}) {
    column->resize(rows.size());
  }
  over_blocks(particles, rows, magnet, [&](const Flight& flight, std::size_t first) { trace(flight, first, out); });
  return out;
}

std::vector<double> arrival(const Beginnings& particles, std::span<const std::int64_t> rows, const Magnet& magnet) {
  std::vector<double> out(rows.size());
  over_blocks(particles, rows, magnet, [&](const Flight& flight, std::size_t first) {
    for (std::size_t i = 0; i < flight.px.size(); ++i) out[first + i] = flight.time_out(i);
  });
  return out;
}

}  // namespace hepgen_fastsim
