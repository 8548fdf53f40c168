// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/leaves.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "hepgen_fastsim/error.hpp"
#include "kinematics.hpp"

namespace hepgen_fastsim {
namespace {

constexpr std::size_t block = 4096;  // particles worked on at a time, which stay in the cache
constexpr double along_beam = 999.9, infinity = std::numeric_limits<double>::infinity();

/// Logarithms of absolute pseudorapidities and rapidities, and what azimuths come from.
struct Block {
  std::vector<double> x, y, eta, rapidity;
};

void work(const MassiveMomenta& in, const MomentumLeaves& out, std::size_t first, std::size_t n, Block& b) {
  const double *px = &in.px[first], *py = &in.py[first], *pz = &in.pz[first], *mass = &in.mass[first];
  float *pt = &out.pt[first], *p = &out.p[first], *energy = &out.energy[first], *eta = &out.eta[first],
        *phi = &out.phi[first], *rapidity = &out.rapidity[first];
  for (auto* column : {&b.x, &b.y, &b.eta, &b.rapidity}) column->resize(n);
  double *x = b.x.data(), *y = b.y.data(), *log_eta = b.eta.data(), *log_rapidity = b.rapidity.data();
#pragma GCC ivdep
  for (std::size_t i = 0; i < n; ++i) {
    const double pt2 = px[i] * px[i] + py[i] * py[i], p2 = pt2 + pz[i] * pz[i], z = std::abs(pz[i]);
    const double e2 = p2 + mass[i] * std::abs(mass[i]), e = std::sqrt(e2 < 0 ? 0 : e2);
    const double transverse = std::sqrt(pt2), whole = std::sqrt(p2), slope = z / transverse;
    const bool along = whole == z;  // as Delphes decides it
    pt[i] = static_cast<float>(transverse);
    p[i] = static_cast<float>(whole);
    energy[i] = static_cast<float>(e);
    log_eta[i] = along ? infinity : slope + std::sqrt(slope * slope + 1);
    log_rapidity[i] = along ? infinity : (e + z) / (e - z);
    x[i] = px[i];
    y[i] = py[i];
  }
  logarithms(b.eta);
  logarithms(b.rapidity);
  azimuths(b.x, b.y);
#pragma GCC ivdep
  for (std::size_t i = 0; i < n; ++i) {
    const double own_eta = log_eta[i] > along_beam ? along_beam : log_eta[i];
    const double own_rapidity = std::abs(log_rapidity[i]) < infinity ? 0.5 * log_rapidity[i] : own_eta;
    eta[i] = static_cast<float>(pz[i] < 0 ? -own_eta : own_eta);
    rapidity[i] = static_cast<float>(pz[i] < 0 ? -own_rapidity : own_rapidity);
    phi[i] = static_cast<float>(y[i]);
  }
}

}  // namespace

void momentum_leaves(const MassiveMomenta& particles, const MomentumLeaves& leaves) {
  const std::size_t n = particles.px.size();
  for (const std::size_t other :
       {particles.py.size(), particles.pz.size(), particles.mass.size(), leaves.pt.size(), leaves.p.size(),
        leaves.energy.size(), leaves.eta.size(), leaves.phi.size(), leaves.rapidity.size()}) {
    if (other == n) continue;
    throw InputError("momentum_leaves: columns should have " + std::to_string(n) + " values, but one has " +
                     std::to_string(other));
  }
  Block b;
  for (std::size_t first = 0; first < n; first += block) work(particles, leaves, first, std::min(block, n - first), b);
}

}  // namespace hepgen_fastsim
