// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/record.hpp"

using namespace hepgen_fastsim;
using Rows = std::vector<std::int64_t>;

TEST_CASE("particles are selected by status and code") {
  const std::int64_t least = std::numeric_limits<std::int64_t>::min();
  const Rows pdgid{21, -15, 15, 1000022, -1000022, 22, 0, least, 64, -15}, none;
  const std::vector<std::int32_t> status{2, 2, 1, 1, 1, 1, 1, 1, 2, -1};
  CHECK(select(pdgid, status, false, Rows{15}, true) == Rows{1, 9});
  CHECK(select(pdgid, status, true, Rows{-15}, true) == Rows{2});
  CHECK(select(pdgid, status, true, Rows{15, 1000022}, false) == Rows{5, 6, 7});
  CHECK(select(pdgid, status, true, Rows{0, least}, true) == Rows{6, 7});
  CHECK(select(pdgid, status, false, Rows{64}, true) == Rows{8});
  CHECK(select(pdgid, status, false, none, false) == Rows{0, 1, 8, 9});
  CHECK(select(none, {}, true, Rows{1}, true).empty());
  const Rows many(5000, 13);
  CHECK(select(many, std::vector<std::int32_t>(5000, 1), true, Rows{13}, true).size() == 5000);
  CHECK_THROWS_AS(select(pdgid, {}, true, none, true), InputError);
}

TEST_CASE("momenta of chosen particles") {
  const std::vector<double> px{1, 2, 0}, py{2, 0, 0}, pz{2, 0, -3}, mass{0, 1.5, 4};
  const auto found = momenta(px, py, pz, mass, Rows{2, 0, 1});
  CHECK(found[0] == std::vector<double>{0, 1, 2});
  CHECK(found[1] == std::vector<double>{0, 2, 0});
  CHECK(found[2] == std::vector<double>{-3, 2, 0});
  CHECK(found[3] == std::vector<double>{5, 3, 2.5});
  CHECK(momenta({}, {}, {}, {}, Rows{})[3].empty());
  for (const std::int64_t row : {-1, 3}) CHECK_THROWS_AS(momenta(px, py, pz, mass, Rows{row}), InputError);
  CHECK_THROWS_AS(momenta(px, py, pz, {}, Rows{}), InputError);
}

TEST_CASE("the flavour of a jet is that of the heaviest quark in its cone") {
  // two events; (code, status, pt, eta, phi)
  struct Parton {
    std::int64_t code;
    std::int32_t status;
    double pt, eta, phi;
  };
  const std::vector<Parton> partons{{21, 2, 50, 0.1, 3.1},  {-4, 2, 5, 0.2, -3.1}, {5, -1, 9, 0.1, 3.1},
                                    {5, 1, 9, 0.1, 3.1},    {5, 2, 0.5, 0.1, 3.1}, {6, 2, 99, 0.1, 3.1},
                                    {21, 2, 7, -1.0, 0.0},  {5, 2, 20, 2.6, 1.0},  {3, 2, 20, 2.4, 1.0},
                                    {-5, 2, 30, 0.1, -3.1}, {5, 2, 0, 0, 0}};
  Rows pdgid;
  std::vector<std::int32_t> status;
  std::vector<double> px, py, pz;
  for (const Parton& p : partons) {
    pdgid.push_back(p.code), status.push_back(p.status);
    px.push_back(p.pt * std::cos(p.phi)), py.push_back(p.pt * std::sin(p.phi)), pz.push_back(p.pt * std::sinh(p.eta));
  }
  const Rows offsets{0, 9, 9, 11};
  const Record gen{pdgid, status, px, py, pz, offsets};
  const std::vector<double> eta{0.1, -1.0, 2.5, 1.2, 0.1, 0.1}, phi{3.14, 0.1, 1.0, 1.0, 3.1, 3.1};
  const Rows event{0, 0, 0, 0, 1, 2};
  const FlavorCone cone{0.5, 1.0, 2.5};
  CHECK(jet_flavors({eta, phi, event}, gen, cone) == Rows{4, 21, 3, 0, 0, 5});
  CHECK(jet_flavors({{}, {}, {}}, gen, cone).empty());
  CHECK_THROWS_AS(jet_flavors({eta, phi, Rows{0, 0, 0, 0, 0, 3}}, gen, cone), InputError);
  CHECK_THROWS_AS(jet_flavors({eta, phi, Rows{0}}, gen, cone), InputError);
  CHECK_THROWS_AS(jet_flavors({eta, phi, event}, {pdgid, status, px, py, pz, Rows{0, 12}}, cone), InputError);
  CHECK_THROWS_AS(jet_flavors({eta, phi, event}, {pdgid, status, px, py, {}, offsets}, cone), InputError);
}
