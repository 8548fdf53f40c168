// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/grooming.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "momentum.hpp"

namespace hepgen_fastsim {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr int none = -1;

/// A particle, or two branches together.
struct Branch {
  Momentum p;
  Direction at;
  int first = none, second = none;

  explicit Branch(const Momentum& momentum) : p(momentum), at(direction(momentum)) {}
};

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
      return branches[a.branch].p.pt2() < branches[b.branch].p.pt2();
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
    const double between = distance2(branches[left_[i].branch].at, branches[left_[j].branch].at);
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
  std::stable_sort(subjets.begin(), subjets.end(), [](const auto& a, const auto& b) { return a.pt2() > b.pt2(); });
  out.n_subjets.push_back(static_cast<std::int32_t>(subjets.size()));
  subjets.resize(Groomed::slots - 1);
  subjets.insert(subjets.begin(), groomed);
  for (const Momentum& p : subjets) out.momenta.push_back({p.px, p.py, p.pz, p.energy});
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
      if (subjet.pt2() >= pt_fraction * pt_fraction * sum(all[k]).pt2()) subjets.push_back(subjet);
    }
    append(out, sum(subjets), subjets);
  }
  return out;
}

Groomed prune(const MomentumView& jets, double radius, double z_cut, double r_cut) {
  Groomed out;
  for (const Momenta& particles : constituents(jets)) {
    const Momentum whole = sum(particles);
    const double mass2 = std::abs(whole.mass2());
    const double far2 = 4 * r_cut * r_cut * mass2 / whole.pt2();
    Tree tree(particles);
    tree.cluster(radius, [&](int first, int second) {
      const Branch &a = tree.branches[first], &b = tree.branches[second];
      const bool soft = std::min(a.p.pt2(), b.p.pt2()) < z_cut * z_cut * (a.p + b.p).pt2();
      if (soft && distance2(a.at, b.at) > far2) return a.p.pt2() < b.p.pt2() ? second : first;
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
      const double pt_a = std::sqrt(a.p.pt2()), pt_b = std::sqrt(b.p.pt2());
      const double z = std::min(pt_a, pt_b) / (pt_a + pt_b);
      if (z > z_cut * std::pow(std::sqrt(distance2(a.at, b.at)) / radius, beta)) {
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
