// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/fastsim.hpp"

using namespace hepgen_fastsim;
using Catch::Contains;

namespace {

const std::string models = HEPGEN_TEST_MODELS "/";

FastSim fastsim(FastSim::Outside outside = FastSim::Outside::keep) {
  return FastSim({.model = models + "no-smearing.pt", .engine = {.device = "cpu"}, .outside = outside});
}

/// Event 0: a pion, its mother, a photon; event 1: empty; event 2: a proton along the beam, a neutralino, a pion.
GenEvents gen() {
  GenEvents e;
  const auto add = [&](std::int64_t pdgid, std::int32_t status, double px, double py, double pz, float charge) {
    e.pdgid.push_back(pdgid), e.status.push_back(status);
    e.px.push_back(px), e.py.push_back(py), e.pz.push_back(pz), e.mass.push_back(0);
    e.charge.push_back(charge);
    for (auto* column : {&e.vx, &e.vy, &e.vz, &e.vt}) column->push_back(0);
  };
  add(113, 2, 3, 4, 0, 0);
  add(211, 1, 3, 4, 0, 1);
  add(22, 1, 0, -2, 2 * std::sinh(1.5), 0);
  e.offsets.push_back(3);
  e.offsets.push_back(3);
  add(2212, 1, 0, 0, 6500, 1);
  add(1000022, 1, 100, 0, 0, 0);
  add(-211, 1, -1, 0, 0, -1);
  e.offsets.push_back(6);
  return e;
}

}  // namespace

TEST_CASE("no smearing returns the truth") {
  const GenEvents events = gen();
  const FastSim sim = fastsim();
  // The model loses a particle with the second channel of its noise above 1; take a seed that keeps them all.
  FastSim::Result out;
  for (std::uint64_t seed = 0; out.reco.pt.size() != 4; ++seed) out = sim.simulate(view(events), seed);
  const RecoEvents& reco = out.reco;
  CHECK(reco.offsets == std::vector<std::int64_t>{0, 2, 2, 4});
  CHECK(reco.origin == std::vector<std::int64_t>{1, 2, 1, 2});  // in the events as they were given
  CHECK(reco.pdgid == std::vector<std::int64_t>{211, 22, 22, -211});
  CHECK(reco.charge == std::vector<std::int32_t>{1, 0, 0, -1});
  CHECK(reco.pt[0] == Approx(5));
  CHECK(reco.phi[0] == Approx(std::atan2(4, 3)));
  CHECK(reco.eta[1] == Approx(1.5));
  CHECK(reco.phi[3] == Approx(M_PI));
  CHECK(reco.d0 == std::vector<float>(4, 0.0f));
  CHECK(out.outside == std::map<std::string, std::int64_t>{{"pdgid 1000022", 1}});
}

TEST_CASE("momenta may come as pt, eta, phi") {
  const std::vector<std::int64_t> offsets{0, 1}, pdgid{-211};
  const std::vector<double> pt{3}, eta{-2}, phi{1};
  GenView e;
  e.offsets = offsets, e.pdgid = pdgid, e.pt = pt, e.eta = eta, e.phi = phi;
  FastSim::Result out;
  for (std::uint64_t seed = 0; out.reco.pt.empty(); ++seed) out = fastsim().simulate(e, seed);
  CHECK(out.reco.pt[0] == Approx(3));
  CHECK(out.reco.eta[0] == Approx(-2));
  CHECK(out.reco.charge[0] == -1);  // from the PDG code
}

TEST_CASE("particles outside the domain are kept, dropped or refused") {
  const GenEvents events = gen();
  FastSim::Result kept, dropped;
  std::uint64_t seed = 0;
  do kept = fastsim().simulate(view(events), seed++);
  while (kept.reco.pt.size() != 4);
  dropped = fastsim(FastSim::Outside::drop).simulate(view(events), 0);
  CHECK(dropped.outside == kept.outside);
  for (const auto code : dropped.reco.pdgid) CHECK(code != 1000022);
  CHECK_THROWS_WITH(
      fastsim(FastSim::Outside::refuse).simulate(view(events), 0),
      Contains("event 2, particle 1 (pdgid 1000022) lies outside the domain of model 'no-smearing': pdgid 1000022"));
}

TEST_CASE("bad events are refused, with the event and the particle") {
  GenEvents events = gen();
  const FastSim sim = fastsim();
  SECTION("not a number") {
    events.px[2] = std::nan("");
    CHECK_THROWS_WITH(sim.simulate(view(events), 0),
                      Contains("event 0, particle 2 (pdgid 22): px is nan, a finite number is expected"));
  }
  SECTION("not a number in pz") {
    events.pz[5] = std::nan("");
    CHECK_THROWS_WITH(sim.simulate(view(events), 0), Contains("event 2, particle 2 (pdgid -211): pz is nan"));
  }
  SECTION("infinite") {
    events.px[1] = HUGE_VAL;
    CHECK_THROWS_WITH(sim.simulate(view(events), 0), Contains("event 0, particle 1 (pdgid 211): px is inf"));
  }
  SECTION("an infinite time") {
    events.vt[1] = HUGE_VAL;
    CHECK_THROWS_WITH(sim.simulate(view(events), 0), Contains("vt is inf"));
  }
  SECTION("beyond single precision") {
    events.px[1] = 1e100;
    CHECK_THROWS_WITH(sim.simulate(view(events), 0), Contains("pt is not finite in single precision"));
  }
  SECTION("columns of different lengths") {
    events.pz.pop_back();
    CHECK_THROWS_WITH(sim.simulate(view(events), 0), Contains("the offsets count 6 particles, but column 'pz' has 5"));
  }
  SECTION("an unstable particle may be anything") {
    events.px[0] = std::nan("");
    CHECK_NOTHROW(sim.simulate(view(events), 0));
  }
}

TEST_CASE("a model of another task is refused") {
  CHECK_THROWS_WITH(FastSim({.model = models + "drawn.pt"}),
                    Contains("needs a model of task 'reconstruct' and unit 'event'"));
}
