// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/leaves.hpp"

using namespace hepgen_fastsim;

namespace {

struct Leaves {
  std::vector<float> pt, p, energy, eta, phi, rapidity;
  explicit Leaves(std::size_t n) : pt(n), p(n), energy(n), eta(n), phi(n), rapidity(n) {}
  MomentumLeaves view() { return {pt, p, energy, eta, phi, rapidity}; }
};

}  // namespace

TEST_CASE("leaves of momenta are those of the formulas") {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal(0, 20);
  std::vector<double> px, py, pz, mass;
  for (int i = 0; i < 10000; ++i) {
    px.push_back(normal(random)), py.push_back(normal(random)), pz.push_back(3 * normal(random));
    mass.push_back(0.1 * normal(random));
  }
  Leaves out(px.size());
  momentum_leaves({px, py, pz, mass}, out.view());
  const auto near = [](float found, double expected) {
    return std::abs(found - expected) <= 1e-7 * std::abs(expected);
  };
  for (std::size_t i = 0; i < px.size(); ++i) {
    const double pt = std::hypot(px[i], py[i]), p = std::hypot(pt, pz[i]);
    const double energy = std::sqrt(std::max(p * p + mass[i] * std::abs(mass[i]), 0.0));
    const double eta = std::asinh(pz[i] / pt), rapidity = std::atanh(pz[i] / energy);
    REQUIRE((near(out.pt[i], pt) && near(out.p[i], p) && near(out.energy[i], energy)));
    REQUIRE((near(out.eta[i], eta) && near(out.phi[i], std::atan2(py[i], px[i]))));
    REQUIRE(near(out.rapidity[i], std::isfinite(rapidity) ? rapidity : eta));
  }
}

TEST_CASE("leaves along the beam, at rest and off shell") {
  const std::vector<double> px{0, 0, 0, 1, 1}, py{0, 0, 0, 0, 0}, pz{5, -5, 0, -3, 0}, mass{0.1, 0, 2, -9, -0.0};
  Leaves out(5);
  momentum_leaves({px, py, pz, mass}, out.view());
  CHECK(out.eta[0] == 999.9f);
  CHECK(out.rapidity[1] == -999.9f);
  CHECK(out.eta[2] == 999.9f);  // as Delphes has it
  CHECK(out.energy[2] == 2.0f);
  CHECK(out.energy[3] == 0.0f);
  CHECK(out.rapidity[3] == out.eta[3]);
  CHECK((out.eta[4] == 0 && out.rapidity[4] == 0));
  Leaves none(0);
  momentum_leaves({{}, {}, {}, {}}, none.view());
  CHECK_THROWS_AS(momentum_leaves({px, py, pz, {}}, out.view()), InputError);
}
