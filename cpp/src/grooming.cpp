// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/grooming.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "momentum_check.hpp"

namespace hepgen_fastsim {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr int none = -1;

using Momentum = std::array<double, 4>;  // px, py, pz, energy

Momentum operator+(const Momentum& a, const Momentum& b) {
  return {a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]};
}

double pt2(const Momentum& p) {
  return p[0] * p[0] + p[1] * p[1];
}

/// A particle, or two branches together.
struct Branch {
  Momentum p;
  double rapidity, phi;
  int first = none, second = none;

  explicit Branch(const Momentum& momentum) : p(momentum), phi(std::atan2(p[1], p[0])) {
    const double mass2 = std::max(0.0, (p[3] + p[2]) * (p[3] - p[2]) - pt2(p)), sum = p[3] + std::abs(p[2]);
    const double y = 0.5 * std::log((pt2(p) + mass2) / (sum * sum));
    rapidity = p[2] > 0 ? -y : y;
  }
};

double distance2(const Branch& a, const Branch& b) {
  constexpr double pi = std::numbers::pi;
  const double dy = a.rapidity - b.rapidity, dphi = pi - std::abs(pi - std::abs(a.phi - b.phi));
  return dy * dy + dphi * dphi;
}

/// The Cambridge/Aachen algorithm: the two nearest are recombined until none are nearer than a radius. Each keeps its
/// nearest neighbour in mind, so that time goes with the square of the number of particles.
class Tree {
 public:
  explicit Tree(const std::vector<Momentum>& particles) {
    branches.reserve(2 * particles.size());
    for (const Momentum& p : particles) branches.emplace_back(p);
  }

  /// `join(first, second)` gives what becomes of two branches: the place of one of them, or of a new one.
  template <typename Join>
  void cluster(double radius, const Join& join) {
    for (int i = 0; i < static_cast<int>(branches.size()); ++i) left_.push_back({i});
    for (std::size_t i = 0; i < left_.size(); ++i) look(i);
    while (left_.size() > 1) {
      auto near = std::min_element(left_.begin(), left_.end(),
                                   [](const Place& a, const Place& b) { return a.distance2 < b.distance2; });
      if (!(near->distance2 < radius * radius)) return;
      const auto a = static_cast<std::size_t>(near - left_.begin()), b = near->nearest;
      left_[a].branch = join(left_[a].branch, left_[b].branch);
      const std::size_t last = left_.size() - 1;
      left_[b] = left_[last];
      left_.pop_back();
      const std::size_t joined = a == last ? b : a;
      for (std::size_t i = 0; i < left_.size(); ++i) {
        if (i == joined || left_[i].nearest == a || left_[i].nearest == b) {
          look(i);
          continue;
        }
        if (left_[i].nearest == last) left_[i].nearest = b;
        compare(i, joined);
      }
    }
  }

  /// The new branch of two.
  int recombine(int first, int second) {
    Branch whole(branches[first].p + branches[second].p);
    whole.first = first, whole.second = second;
    branches.push_back(whole);
    return static_cast<int>(branches.size()) - 1;
  }

  /// That of most pt of what has not been recombined.
  Branch hardest() const {
    const auto softer = [&](const Place& a, const Place& b) {
      return pt2(branches[a.branch].p) < pt2(branches[b.branch].p);
    };
    const auto found = std::max_element(left_.begin(), left_.end(), softer);
    return found == left_.end() ? Branch(Momentum{}) : branches[found->branch];
  }

  std::vector<Branch> branches;

 private:
  struct Place {
    int branch;
    std::size_t nearest = 0;
    double distance2 = infinity;
  };

  void compare(std::size_t i, std::size_t j) {
    const double between = distance2(branches[left_[i].branch], branches[left_[j].branch]);
    if (between < left_[i].distance2) left_[i].distance2 = between, left_[i].nearest = j;
  }
  void look(std::size_t i) {
    left_[i].distance2 = infinity;
    for (std::size_t j = 0; j < left_.size(); ++j) {
      if (j != i) compare(i, j);
    }
  }

  std::vector<Place> left_;  // what has not been recombined yet
};

using Momenta = std::vector<Momentum>;

void append(Groomed& out, const Momentum& groomed, Momenta subjets) {
  std::stable_sort(subjets.begin(), subjets.end(), [](const auto& a, const auto& b) { return pt2(a) > pt2(b); });
  out.n_subjets.push_back(static_cast<std::int32_t>(subjets.size()));
  subjets.resize(Groomed::slots - 1);
  out.momenta.push_back(groomed);
  out.momenta.insert(out.momenta.end(), subjets.begin(), subjets.end());
}

Momentum sum(const Momenta& parts) {
  return std::accumulate(parts.begin(), parts.end(), Momentum{}, [](const auto& a, const auto& b) { return a + b; });
}

/// The constituents of each jet.
std::vector<Momenta> constituents(const MomentumView& jets) {
  check_momenta(jets, "grooming");
  const auto& offsets = jets.offsets;
  std::vector<Momenta> out(offsets.size() - 1);
  for (std::size_t k = 0; k < out.size(); ++k) {
    for (auto i = static_cast<std::size_t>(offsets[k]); i < static_cast<std::size_t>(offsets[k + 1]); ++i) {
      out[k].push_back({jets.px[i], jets.py[i], jets.pz[i], jets.energy[i]});
    }
  }
  return out;
}

}  // namespace

Groomed trim(const MomentumView& jets, double radius, double pt_fraction) {
  const std::vector<Momenta> all = constituents(jets);
  const Jets found = JetFinder({JetAlgorithm::kt, radius, 0})(jets);
  Groomed out;
  for (std::size_t k = 0; k < all.size(); ++k) {
    Momenta subjets;
    for (auto i = static_cast<std::size_t>(found.offsets[k]); i < static_cast<std::size_t>(found.offsets[k + 1]); ++i) {
      const Momentum subjet{found.px[i], found.py[i], found.pz[i], found.energy[i]};
      if (pt2(subjet) >= pt_fraction * pt_fraction * pt2(sum(all[k]))) subjets.push_back(subjet);
    }
    append(out, sum(subjets), subjets);
  }
  return out;
}

Groomed prune(const MomentumView& jets, double radius, double z_cut, double r_cut) {
  Groomed out;
  for (const Momenta& particles : constituents(jets)) {
    const Momentum whole = sum(particles);
    const double mass2 = std::abs((whole[3] + whole[2]) * (whole[3] - whole[2]) - pt2(whole));
    const double far2 = 4 * r_cut * r_cut * mass2 / pt2(whole);
    Tree tree(particles);
    tree.cluster(radius, [&](int first, int second) {
      const Branch &a = tree.branches[first], &b = tree.branches[second];
      const bool soft = std::min(pt2(a.p), pt2(b.p)) < z_cut * z_cut * pt2(a.p + b.p);
      if (soft && distance2(a, b) > far2) return pt2(a.p) < pt2(b.p) ? second : first;
      return tree.recombine(first, second);
    });
    const Branch jet = tree.hardest();
    append(out, jet.p,
           jet.first == none ? Momenta{} : Momenta{tree.branches[jet.first].p, tree.branches[jet.second].p});
  }
  return out;
}

Groomed soft_drop(const MomentumView& jets, double radius, double z_cut, double beta) {
  Groomed out;
  for (const Momenta& particles : constituents(jets)) {
    Tree tree(particles);
    tree.cluster(infinity, [&](int first, int second) { return tree.recombine(first, second); });
    Branch jet = tree.hardest();
    Momenta subjets;
    while (jet.first != none && subjets.empty()) {
      const Branch &a = tree.branches[jet.first], &b = tree.branches[jet.second];
      const double pt_a = std::sqrt(pt2(a.p)), pt_b = std::sqrt(pt2(b.p));
      const double z = std::min(pt_a, pt_b) / (pt_a + pt_b);
      if (z > z_cut * std::pow(std::sqrt(distance2(a, b)) / radius, beta)) {
        subjets = {a.p, b.p};
      } else {
        jet = pt_a < pt_b ? b : a;
      }
    }
    append(out, jet.p, subjets);
  }
  return out;
}

}  // namespace hepgen_fastsim
