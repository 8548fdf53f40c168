// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace hepgen_fastsim::jets {

inline constexpr int none = -1;

using Numbers = std::vector<double>;

/// Particles column by column, so that vectors compare one with many; some places are empty.
struct Columns {
  Numbers rapidity, phi, weight;
  Numbers distance;  // squared, to the nearest neighbour, R^2 if there is none
  Numbers bound;     // weight * distance
  std::vector<int> jet, nearest;

  void assign(std::size_t n) {
    rapidity.assign(n, far);
    bound.assign(n, std::numeric_limits<double>::infinity());
    for (auto* column : {&phi, &weight, &distance}) column->assign(n, 0);
    jet.assign(n, none);
    nearest.assign(n, none);
  }
  void put(std::size_t to, const Columns& from, std::size_t at) {
    rapidity[to] = from.rapidity[at], phi[to] = from.phi[at], weight[to] = from.weight[at];
    distance[to] = from.distance[at], bound[to] = from.bound[at];
    jet[to] = from.jet[at], nearest[to] = from.nearest[at];
  }
  void clear(std::size_t place) {
    rapidity[place] = far;
    bound[place] = std::numeric_limits<double>::infinity();
    jet[place] = none;
  }

  static constexpr double far = 1e100;  // nothing is near to an empty place
};

struct Point {
  double rapidity, phi, weight;
};

struct Found {
  double value;
  std::int64_t place;
  bool nearer;  // than to a lighter one's nearest neighbour
};

/// Places are searched in multiples of so many.
inline constexpr int lanes = 8;

/// The searches, by the widest vectors that the processor has.
struct Kernel {
  /// The smallest of numbers in [begin, end), the first of equal ones.
  Found (*smallest)(const Numbers& values, std::size_t begin, std::size_t end);
  /// The nearest to `own` of the particles in [begin, end) that are at least as heavy.
  Found (*nearest)(const Columns& particles, const Point& own, std::size_t begin, std::size_t end);
};

Kernel best_kernel();

}  // namespace hepgen_fastsim::jets
