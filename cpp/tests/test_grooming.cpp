// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/grooming.hpp"
#include "momentum_lists.hpp"

using namespace hepgen_fastsim;

namespace {

double pt(const std::array<double, 4>& p) {
  return std::hypot(p[0], p[1]);
}

}  // namespace

TEST_CASE("grooming leaves out what is soft and wide") {
  MomentumLists jets;
  for (const double phi : {0.2, -0.2}) jets.add(150, 0, phi);
  jets.add(2, 0.5, 0), jets.end();    // two prongs and a soft particle
  jets.add(300, 1, 3.1), jets.end();  // one particle
  jets.end();                         // nothing
  for (const double phi : {3.0, -3.2}) jets.add(100, -1, phi);
  for (const double phi : {3.5, 2.6}) jets.add(1, -1, phi);
  jets.end();  // two prongs that are one within the radius of trimming, across the azimuth's seam
  for (const Groomed& groomed :
       {trim(jets.view(), 0.2, 0.05), prune(jets.view(), 0.8, 0.1, 0.5), soft_drop(jets.view(), 0.8, 0.1, 0)}) {
    REQUIRE(groomed.momenta.size() == 4 * Groomed::slots);
    CHECK(pt(groomed.momenta[0]) == Approx(300 * std::cos(0.2)));
    CHECK(pt(groomed.momenta[1]) == Approx(150));
    CHECK(pt(groomed.momenta[2]) == Approx(150));
    CHECK(pt(groomed.momenta[3]) == 0);
    CHECK(pt(groomed.momenta[5]) == Approx(300));
    CHECK(pt(groomed.momenta[10]) == 0);
    CHECK((groomed.n_subjets[0] == 2 && groomed.n_subjets[2] == 0));
  }
  CHECK(trim(jets.view(), 0.2, 0.05).n_subjets == std::vector<std::int32_t>{2, 1, 0, 1});
  const Groomed dropped = soft_drop(jets.view(), 0.8, 0.1, 0);
  CHECK(dropped.n_subjets == std::vector<std::int32_t>{2, 0, 0, 2});
  CHECK(pt(dropped.momenta[15]) == Approx(200 * std::cos(0.5 * (2 * 3.14159265358979 - 6.2))));
  // the angular exponent: what is wide needs more
  CHECK(soft_drop(jets.view(), 0.1, 0.3, 2).n_subjets[0] == 0);
}

TEST_CASE("grooming drops particles along the beam") {
  MomentumLists jets;
  for (const double phi : {0.2, -0.2}) jets.add(150, 0, phi);
  for (const double pz : {20.0, 30.0, -40.0}) {
    jets.px.push_back(0), jets.py.push_back(0), jets.pz.push_back(pz), jets.energy.push_back(std::abs(pz));
  }
  jets.end();
  for (const Groomed& groomed :
       {trim(jets.view(), 0.2, 0.05), prune(jets.view(), 0.8, 0.1, 0.5), soft_drop(jets.view(), 0.8, 0.1, 0)}) {
    CHECK(groomed.n_subjets == std::vector<std::int32_t>{2});
    CHECK(pt(groomed.momenta[0]) == Approx(300 * std::cos(0.2)));
    CHECK(groomed.momenta[0][3] == Approx(300));
  }
}

TEST_CASE("grooming refuses lists that do not fit") {
  MomentumLists jets;
  jets.add(10, 0, 0);
  jets.offsets = {0, 2};
  CHECK_THROWS_AS(soft_drop(jets.view(), 0.8, 0.1, 0), InputError);
  CHECK_THROWS_AS(prune(jets.view(), 0.8, 0.1, 0.5), InputError);
  CHECK_THROWS_AS(trim(jets.view(), 0.2, 0.05), InputError);
}
