// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/jets.hpp"
#include "momentum_lists.hpp"

using namespace hepgen_fastsim;

namespace {

using Set = std::vector<std::int64_t>;

/// Sets of members, by all pairs at every step: the definition itself.
std::vector<Set> plain(const MomentumLists& e, JetFinder::Config config) {
  struct Jet {
    double px, py, pz, energy;
    Set members;
    double pt2() const { return px * px + py * py; }
    double y() const { return 0.5 * std::log((energy + pz) / (energy - pz)); }
    double phi() const { return std::atan2(py, px); }
  };
  std::vector<Jet> jets;
  for (std::size_t i = 0; i < e.px.size(); ++i) {
    jets.push_back({e.px[i], e.py[i], e.pz[i], e.energy[i], {static_cast<std::int64_t>(i)}});
  }
  std::vector<std::pair<double, Set>> done;
  while (!jets.empty()) {
    double least = 1e300;
    std::size_t a = 0, b = 0;
    for (std::size_t i = 0; i < jets.size(); ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        const double p = static_cast<int>(config.algorithm);
        const double weight = std::min(std::pow(jets[i].pt2(), p), std::pow(jets[j].pt2(), p));
        const double dphi = std::remainder(jets[i].phi() - jets[j].phi(), 2 * std::numbers::pi);
        const double dy = jets[i].y() - jets[j].y();
        const double distance = i == j ? weight : weight * (dphi * dphi + dy * dy) / (config.radius * config.radius);
        if (distance < least) least = distance, a = i, b = j;
      }
    }
    if (a == b) {
      if (jets[a].pt2() >= config.pt_min * config.pt_min) done.emplace_back(-jets[a].pt2(), jets[a].members);
    } else {
      Jet& to = jets[b];
      to.px += jets[a].px, to.py += jets[a].py, to.pz += jets[a].pz, to.energy += jets[a].energy;
      to.members.insert(to.members.end(), jets[a].members.begin(), jets[a].members.end());
    }
    jets.erase(jets.begin() + static_cast<std::ptrdiff_t>(a));
  }
  std::sort(done.begin(), done.end());
  std::vector<Set> out;
  for (auto& [order, members] : done) {
    std::sort(members.begin(), members.end());
    out.push_back(members);
  }
  return out;
}

std::vector<Set> sets(const Jets& jets) {
  std::vector<Set> out(jets.px.size());
  for (std::size_t i = 0; i < jets.members.size(); ++i) {
    out[static_cast<std::size_t>(jets.member_of[i])].push_back(jets.members[i]);
  }
  return out;
}

}  // namespace

TEST_CASE("jets are those of the definition") {
  std::mt19937 random(1);
  std::normal_distribution<double> spread(0, 0.3);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (const JetAlgorithm algorithm : {JetAlgorithm::antikt, JetAlgorithm::cambridge, JetAlgorithm::kt}) {
    for (const double radius : {0.05, 0.4, 1.0, 2.5, 4.0}) {
      for (int trial = 0; trial < 4; ++trial) {
        MomentumLists e;
        for (int jet = 0; jet < 6; ++jet) {
          const double y = 6 * uniform(random) - 3, phi = 2 * std::numbers::pi * uniform(random);
          for (int i = 0; i < 12; ++i) {
            e.add(std::exp(3 * uniform(random)), y + spread(random), phi + spread(random));
          }
        }
        e.end();
        const JetFinder::Config config{algorithm, radius, 5.0};
        const Jets found = JetFinder(config)(e.view());
        CHECK(sets(found) == plain(e, config));
        CHECK(found.offsets == Set{0, static_cast<std::int64_t>(found.px.size())});
      }
    }
  }
}

TEST_CASE("a jet is the sum of its members, and events do not see each other") {
  MomentumLists e;
  e.add(10, 0.1, 0.0), e.add(5, 0.2, 6.2), e.add(3, 2.0, 3.0);  // the first two are neighbours across phi = 0
  e.end();
  e.end();
  e.add(7, 0.1, 0.0);
  e.end();
  const Jets jets = JetFinder({.radius = 0.5, .pt_min = 4})(e.view());
  CHECK(jets.offsets == Set{0, 1, 1, 2});
  CHECK(jets.members == Set{0, 1, 3});
  CHECK(jets.member_of == Set{0, 0, 1});
  CHECK(jets.px[0] == Approx(e.px[0] + e.px[1]));
  CHECK(jets.energy[0] == Approx(e.energy[0] + e.energy[1]));
  CHECK(std::hypot(jets.px[1], jets.py[1]) == Approx(7));
}

TEST_CASE("particles along the beam and without momentum make no jets") {
  MomentumLists e;
  for (const double pz : {4000.0, -4000.0, 0.0}) {
    e.px.push_back(0), e.py.push_back(0), e.pz.push_back(pz), e.energy.push_back(std::abs(pz));
  }
  e.add(20, 0, 1);
  e.end();
  const Jets jets = JetFinder({.pt_min = 1})(e.view());
  CHECK(jets.members == Set{3});
}

TEST_CASE("jet finders refuse what makes no sense") {
  CHECK_THROWS_AS(JetFinder({.radius = 0}), Error);
  CHECK_THROWS_AS(JetFinder({.pt_min = -1}), Error);
  MomentumLists e;
  e.add(1, 0, 0);
  e.end();
  e.px[0] = std::nan("");
  CHECK_THROWS_AS(JetFinder(JetFinder::Config{})(e.view()), InputError);
  e.px.clear();
  CHECK_THROWS_AS(JetFinder(JetFinder::Config{})(e.view()), InputError);
}
