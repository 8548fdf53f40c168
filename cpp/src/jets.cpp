// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/jets.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC's own header, in what it leaves undefined on purpose
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#include "hepgen_fastsim/error.hpp"
#include "kinematics.hpp"
#include "momentum.hpp"

namespace hepgen_fastsim {
namespace {

constexpr double pi = std::numbers::pi;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr int none = -1;
constexpr std::size_t lanes = 8, padding = 32;  // places of a strip, and of all, are multiples of these

/// A particle or what has become of several; its place in the list does not change.
struct PseudoJet : Momentum {
  int first, last;  // members, as a linked list
};

/// Rapidity; along the beam so large, and so different, that nothing is near.
double rapidity(const PseudoJet& j, double log_steepness) {
  constexpr double along_beam = 1e5;
  if (j.pt2() == 0 && j.energy == std::abs(j.pz)) return std::copysign(along_beam + std::abs(j.pz), j.pz);
  return j.pz > 0 ? -0.5 * log_steepness : 0.5 * log_steepness;
}

/// Azimuth in [0, 2 pi) of an angle.
double azimuth(const PseudoJet& j, double phi) {
  if (j.pt2() == 0) return 0;
  if (phi < 0) phi += 2 * pi;
  return phi >= 2 * pi ? phi - 2 * pi : phi;
}

PseudoJet particle(const MomentumView& p, std::size_t i, int own) {
  return {{p.px[i], p.py[i], p.pz[i], p.energy[i]}, own, own};
}

/// Where all particles are.
struct Angles {
  std::vector<double> rapidity, phi;
};

Angles angles(const MomentumView& p) {
  const std::size_t n = p.px.size();
  std::vector<double> px(p.px.begin(), p.px.end());
  Angles out{std::vector<double>(n), {p.py.begin(), p.py.end()}};
  for (std::size_t i = 0; i < n; ++i) out.rapidity[i] = steepness(particle(p, i, none));
  logarithms(out.rapidity);
  azimuths(px, out.phi);
  for (std::size_t i = 0; i < n; ++i) {
    const PseudoJet j = particle(p, i, none);
    out.rapidity[i] = rapidity(j, out.rapidity[i]);
    out.phi[i] = azimuth(j, out.phi[i]);
  }
  return out;
}

/// Numbers at places that vectors of any width can be loaded from.
class Numbers {
 public:
  void fit(std::size_t n) {
    if (blocks_.size() * lanes < n) blocks_.resize((n + lanes - 1) / lanes);
  }
  double& operator[](std::size_t k) { return blocks_.data()->at[k]; }
  const double& operator[](std::size_t k) const { return blocks_.data()->at[k]; }

 private:
  struct Block {
    alignas(64) double at[lanes];
  };
  std::vector<Block> blocks_;
};

/// Particles column by column, so that vectors compare one with many; some places are empty.
struct Columns {
  Numbers rapidity, phi, weight;
  Numbers distance;  // squared, to the nearest neighbour, R^2 if there is none
  Numbers bound;     // weight * distance
  std::vector<int> jet, nearest;

  /// At least n empty places; returns how many there are.
  std::size_t clear(std::size_t n) {
    n = std::max<std::size_t>(1, (n + padding - 1) / padding) * padding;
    for (auto* column : {&rapidity, &phi, &weight, &distance, &bound}) column->fit(n);
    std::fill_n(&rapidity[0], n, far);
    std::fill_n(&bound[0], n, infinity);
    jet.assign(n, none);
    if (nearest.size() < n) nearest.resize(n);
    return n;
  }
  void put(std::size_t to, const Columns& from, std::size_t at) {
    rapidity[to] = from.rapidity[at], phi[to] = from.phi[at], weight[to] = from.weight[at];
    distance[to] = from.distance[at], bound[to] = from.bound[at];
    jet[to] = from.jet[at], nearest[to] = from.nearest[at];
  }
  void clear_place(std::size_t place) {
    rapidity[place] = far;
    bound[place] = infinity;
    jet[place] = none;
  }

  static constexpr double far = 1e100;  // nothing is near to an empty place
};

struct Point {
  double rapidity, phi, weight;
};

constexpr std::size_t n_directions = 8;

/// Directions in the transverse plane, those of [0, pi), and the cosine of half a step.
const struct Directions {
  alignas(64) double x[n_directions], y[n_directions];
  double cosine = std::cos(pi / (2 * n_directions));
  Directions() {
    for (std::size_t d = 0; d < n_directions; ++d) {
      x[d] = std::cos(pi * static_cast<double>(d) / n_directions);
      y[d] = std::sin(pi * static_cast<double>(d) / n_directions);
    }
  }
} directions;

#define HEPGEN_KERNEL "jets_clustering.inc"
#include "every_instruction_set.inc"

}  // namespace

JetFinder::JetFinder(Config config) : config_(config) {
  if (!(config.radius > 0 && config.radius < 10) || !(config.pt_min >= 0)) {
    throw Error("JetFinder: the radius should lie between 0 and 10 and pt_min should not be negative, but they are " +
                std::to_string(config.radius) + " and " + std::to_string(config.pt_min));
  }
}

Jets JetFinder::operator()(const MomentumView& particles) const {
  check_momenta(particles, "JetFinder");
  Jets out;
  HEPGEN_WIDEST(cluster)(config_, particles, angles(particles), out);
  return out;
}

}  // namespace hepgen_fastsim
