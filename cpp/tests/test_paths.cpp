// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/paths.hpp"

using namespace hepgen_fastsim;

namespace {

constexpr Magnet cms{3.8, 1.29, 3.0};

struct Particles {
  std::vector<double> px, py, pz, mass, charge, vx, vy, vz, vt;

  void add(double pt, double eta, double phi, double q, double x = 0, double y = 0, double z = 0) {
    px.push_back(pt * std::cos(phi)), py.push_back(pt * std::sin(phi)), pz.push_back(pt * std::sinh(eta));
    mass.push_back(0), charge.push_back(q), vx.push_back(x), vy.push_back(y), vz.push_back(z), vt.push_back(0);
  }
  Beginnings view() const { return {px, py, pz, mass, charge, vx, vy, vz, vt}; }
};

}  // namespace

TEST_CASE("particles go straight or turn, to the calorimeters") {
  Particles all;
  all.add(5, 0.7, 0.4, 0);              // straight from the origin
  all.add(20, 0, 0, 1);                 // turns by asin(R / 2 r) against the positive sense
  all.add(0.3, 0.1, 0, 1);              // turns within the volume and leaves by the endcap
  all.add(5, 0, 0, 0, 0, 300, 50);      // passes the beam at 300 mm, to the left of it
  all.add(1, 0.5, 0.2, 1, 2000, 0, 0);  // starts outside, stays there
  const std::vector<std::int64_t> rows{0, 1, 2, 3, 4, -1};
  const Paths paths = follow(all.view(), rows, cms);
  CHECK(paths.eta_out[0] == Approx(0.7));
  CHECK(paths.length[0] == Approx(1290 * std::cosh(0.7)));
  CHECK(paths.time_out[0] == Approx(1290 * std::cosh(0.7) / 2.99792458e11));
  CHECK(std::sin(-paths.phi_out[1]) == Approx(1.29 / 2 / (20 / (0.299792458 * 3.8))));
  CHECK(paths.z_out[2] == Approx(3000));
  CHECK(paths.length[2] == Approx(3000 / std::tanh(0.1)));
  CHECK(paths.d0[3] == Approx(-300));
  CHECK(paths.x_out[3] == Approx(std::sqrt(1290.0 * 1290 - 300 * 300)));
  CHECK(paths.x_out[4] == 2000);
  CHECK(paths.phi_out[4] == Approx(0.2));
  for (const auto* column :
       {&paths.eta_out, &paths.phi_out, &paths.x_out, &paths.time_out, &paths.z_d, &paths.length}) {
    CHECK(column->at(5) == 0);
  }
  CHECK(arrival(all.view(), rows, cms) == paths.time_out);
  CHECK(follow(all.view(), {}, cms).length.empty());
}

TEST_CASE("paths refuse rows and columns that do not fit") {
  Particles all;
  all.add(5, 0.7, 0.4, 0);
  const std::vector<std::int64_t> beyond{1}, first{0};
  CHECK_THROWS_AS(follow(all.view(), beyond, cms), InputError);
  all.vt.clear();
  CHECK_THROWS_AS(arrival(all.view(), first, cms), InputError);
}
