// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <utility>

#include "hepgen_fastsim/pdg.hpp"

using namespace hepgen_fastsim;

TEST_CASE("The charge follows from the code's digits") {
  const std::pair<std::int64_t, double> charges[] = {
      {1, -1. / 3},    {2, 2. / 3},   {11, -1},        {-11, 1},          {12, 0},           {22, 0},
      {24, 1},         {-24, -1},     {37, 1},         {38, 2},           {111, 0},          {211, 1},
      {-211, -1},      {130, 0},      {310, 0},        {321, 1},          {411, 1},          {421, 0},
      {511, 0},        {521, 1},      {541, 1},        {2212, 1},         {-2212, -1},       {2112, 0},
      {2224, 2},       {1114, -1},    {3112, -1},      {3222, 1},         {3334, -1},        {4122, 1},
      {4222, 2},       {5122, 0},     {2103, 1. / 3},  {1103, -2. / 3},   {2203, 4. / 3},    {10441, 0},
      {9010211, 1},    {9000221, 0},  {1000010020, 1}, {1000020040, 2},   {-1000020040, -2}, {1000822080, 82},
      {1010010030, 1}, {1000011, -1}, {1000024, 1},    {1000002, 2. / 3}, {1000022, 0},      {2000006, 2. / 3},
      {1000612, 1},    {1000622, 0},  {1000522, -1},   {1009213, 1},      {1092224, 2},      {1000993, 0},
      {1006223, 2},    {4110010, 1},  {4120010, -1},   {4900211, 0},      {9900041, 2},      {9902210, 1},
      {9900210, 1},    {9940003, 0},  {9422144, 1},    {990, 0},          {4000011, -1},     {3000211, 1},
  };
  for (const auto& [code, charge] : charges) {
    CAPTURE(code);
    CHECK(pdg::charge(code) == Approx(charge));
    CHECK(pdg::is_known(code));
  }
}

TEST_CASE("Codes that mean nothing are neutral, massless unknowns") {
  for (const std::int64_t code : {std::int64_t{0}, std::int64_t{10}, std::int64_t{1000}, std::int64_t{1000010000},
                                  std::int64_t{1009990010}, std::int64_t{99999999999},
                                  std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
    CAPTURE(code);
    CHECK_FALSE(pdg::is_known(code));
    CHECK(pdg::charge(code) == 0);
    CHECK_FALSE(pdg::mass(code));
  }
}

TEST_CASE("Masses are those of the particle listings") {
  CHECK(pdg::mass(22) == 0.0);
  CHECK(pdg::mass(-11) == Approx(0.00051099895).epsilon(1e-6));
  CHECK(pdg::mass(211) == Approx(0.13957039).epsilon(1e-6));
  CHECK(pdg::mass(-2212) == Approx(0.93827209).epsilon(1e-6));
  CHECK(pdg::mass(130) == pdg::mass(310));
  CHECK(pdg::mass(1000010020) == Approx(1.875613).epsilon(1e-6));
  CHECK(pdg::mass(1000822080) == Approx(193.687).epsilon(2e-3));
  CHECK_FALSE(pdg::mass(1000022));
}
