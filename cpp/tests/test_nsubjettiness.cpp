// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/nsubjettiness.hpp"
#include "momentum_lists.hpp"

using namespace hepgen_fastsim;

namespace {

constexpr SubjetAxes all_axes[] = {SubjetAxes::kt, SubjetAxes::onepass_kt, SubjetAxes::wta_kt,
                                   SubjetAxes::onepass_wta_kt};

}  // namespace

TEST_CASE("N-subjettiness of two prongs and a soft photon") {
  const double pi = std::acos(-1.0);
  for (const double centre : {0.0, 1.5, pi}) {  // at pi the prongs lie on both sides of the azimuth's seam
    MomentumLists jets;
    jets.add(160, 0, centre + 0.2), jets.add(150, 0, centre - 0.2 - 2 * pi);
    jets.add(2, 0.5, centre), jets.end();
    const double photon = std::hypot(0.5, 0.2);  // from either prong
    for (const double beta : {1.0, 2.0}) {
      const double whole = 312 * std::pow(0.8, beta);
      // The winner's direction is a prong's: by hand.
      const Subjettiness wta = nsubjettiness(jets.view(), 0.8, beta, SubjetAxes::wta_kt).at(0);
      CHECK(wta[0] == Approx((150 * std::pow(0.4, beta) + 2 * std::pow(photon, beta)) / whole));
      CHECK(wta[1] == Approx(2 * std::pow(photon, beta) / whole));
      for (const SubjetAxes axes : all_axes) {
        const Subjettiness tau = nsubjettiness(jets.view(), 0.8, beta, axes).at(0);
        // Added up, the photon pulls its prong's axis: 150 GeV then count about as much as its 2 GeV.
        CHECK((tau[1] > 0 && tau[1] < (axes == SubjetAxes::kt ? 2.1 : 1.001) * wta[1]));
        CHECK(tau[0] > 10 * tau[1]);
        CHECK((tau[2] == 0 && tau[3] == 0 && tau[4] == 0));  // three constituents
      }
    }
    // Of squares the minimum is at the mean: tau_1 is the variance in rapidity and azimuth.
    const double y = 2 * 0.5 / 312, phi = (160 - 150) * 0.2 / 312;
    const double variance = (2 * 0.5 * 0.5 + 310 * 0.2 * 0.2) / 312 - y * y - phi * phi;
    CHECK(nsubjettiness(jets.view(), 0.8, 2, SubjetAxes::onepass_kt).at(0)[0] == Approx(variance / 0.64));
  }
}

TEST_CASE("N-subjettiness of a line of equal particles") {
  // Their weighted median minimises the sum of distances; the mean of seven would be elsewhere.
  MomentumLists jets;
  for (const double y : {0.0, 0.01, 0.02, 0.05, 0.3, 0.4, 0.6}) jets.add(1, y, 1);
  jets.end();
  const double least = (0.05 + 0.04 + 0.03 + 0.25 + 0.35 + 0.55) / 7;
  CHECK(nsubjettiness(jets.view(), 1, 1, SubjetAxes::onepass_kt).at(0)[0] == Approx(least).epsilon(1e-3));
}

TEST_CASE("N-subjettiness of fewer constituents than axes is 0") {
  MomentumLists jets;
  jets.end();
  for (int n = 1; n <= 5; ++n) {
    for (int i = 0; i < n; ++i) jets.add(10 + i, 0.1 * i, 0.03 * i * i);
    jets.end();
  }
  for (const SubjetAxes axes : all_axes) {
    const auto tau = nsubjettiness(jets.view(), 0.8, 1, axes);
    REQUIRE(tau.size() == 6);
    for (std::size_t n = 0; n < tau.size(); ++n) {
      for (std::size_t k = 0; k < tau[n].size(); ++k) CHECK((tau[n][k] > 0) == (k + 1 < n));
    }
  }
}

TEST_CASE("N-subjettiness is finite along the beam and at rest") {
  MomentumLists jets;
  for (int i = 0; i < 7; ++i) jets.add(i % 3 == 0 ? 0 : 1, 2 * i, i);
  jets.energy.back() = jets.px.back() = jets.py.back() = jets.pz.back() = 0;
  jets.end();
  for (int i = 0; i < 7; ++i) jets.add(0, i, i);
  jets.end();
  for (const SubjetAxes axes : all_axes) {
    const auto tau = nsubjettiness(jets.view(), 0.8, 1, axes);
    for (const double value : tau.at(0)) CHECK(std::isfinite(value));
    CHECK(tau.at(1) == Subjettiness{});  // no pt
  }
}

TEST_CASE("N-subjettiness refuses what makes no sense") {
  MomentumLists jets;
  CHECK(nsubjettiness(jets.view(), 0.8, 1, SubjetAxes::kt).empty());
  jets.add(10, 0, 0), jets.end();
  CHECK_THROWS_AS(nsubjettiness(jets.view(), 0, 1, SubjetAxes::kt), Error);
  CHECK_THROWS_AS(nsubjettiness(jets.view(), 0.8, -1, SubjetAxes::kt), Error);
  jets.offsets = {0, 2};
  CHECK_THROWS_AS(nsubjettiness(jets.view(), 0.8, 1, SubjetAxes::kt), InputError);
  jets.offsets = {0, 1};
  jets.py[0] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(nsubjettiness(jets.view(), 0.8, 1, SubjetAxes::kt), InputError);
}
