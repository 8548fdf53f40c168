// SPDX-License-Identifier: MIT
/// The adapter for HepMC3 in memory against our own reader of the same file. Built where HepMC3 is installed.
#ifdef HEPGEN_TEST_HEPMC3
#include <HepMC3/WriterAscii.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "hepgen_fastsim/hepmc.hpp"
#include "hepgen_fastsim/hepmc3.hpp"

using namespace hepgen_fastsim;

namespace {

/// p p -> Z -> mu mu, in MeV and cm, the Z decaying away from the origin.
HepMC3::GenEvent z_event(int number) {
  using namespace HepMC3;
  auto run = std::make_shared<GenRunInfo>();
  run->set_weight_names({"nominal", "up"});
  GenEvent event(run, Units::MEV, Units::CM);
  event.set_event_number(number);
  const auto particle = [](double px, double py, double pz, double m, int code, int status) {
    auto made = std::make_shared<GenParticle>(FourVector(px, py, pz, std::sqrt(px * px + py * py + pz * pz + m * m)),
                                              code, status);
    made->set_generated_mass(m);
    return made;
  };
  const auto hard = std::make_shared<GenVertex>(), decay = std::make_shared<GenVertex>(FourVector(0.1, 0.2, -0.3, 0.4));
  const auto z = particle(10e3, 0, 5e3 + number, 91e3, 23, 22);
  hard->add_particle_in(particle(0, 0, 6.5e6, 938.0, 2212, 4));
  hard->add_particle_in(particle(0, 0, -6.5e6, 938.0, 2212, 4));
  hard->add_particle_out(z);
  decay->add_particle_in(z);
  decay->add_particle_out(particle(30e3, 30e3, 10e3, 105.7, 13, 1));
  decay->add_particle_out(particle(-20e3, -30e3, -5e3, 105.7, -13, 1));
  event.add_vertex(hard);
  event.add_vertex(decay);
  event.weights() = {1.5, 2.5};
  auto cross_section = std::make_shared<GenCrossSection>();
  event.set_cross_section(cross_section);
  cross_section->set_cross_section(1234.0, 5.0, 1, 1);
  return event;
}

}  // namespace

TEST_CASE("HepMC3 events in memory equal those read from their file") {
  const std::string path = (std::filesystem::temp_directory_path() / "hepgen_fastsim_test_hepmc3.hepmc").string();
  GenEvents out;
  {
    HepMC3::WriterAscii file(path, z_event(0).run_info());
    for (int i = 0; i < 3; ++i) {
      const HepMC3::GenEvent event = z_event(i);
      file.write_event(event);
      append(out, event);
    }
  }
  GenEvents expected;
  HepMCReader(path).read(expected, 100);
  std::filesystem::remove(path);

  REQUIRE(expected.size() == 3);
  CHECK(out.offsets == expected.offsets);
  CHECK(out.pdgid == expected.pdgid);
  CHECK(out.status == expected.status);
  CHECK(out.m1 == expected.m1);
  CHECK(out.m2 == expected.m2);
  CHECK(out.d1 == expected.d1);
  CHECK(out.d2 == expected.d2);
  CHECK(out.charge == expected.charge);
  CHECK(out.weights == expected.weights);
  CHECK(out.weight_names == expected.weight_names);
  for (std::size_t i = 0; i < out.px.size(); ++i) {
    CAPTURE(i);
    CHECK(out.px[i] == Approx(expected.px[i]));
    CHECK(out.py[i] == Approx(expected.py[i]));
    CHECK(out.pz[i] == Approx(expected.pz[i]));
    CHECK(out.mass[i] == Approx(expected.mass[i]));
    CHECK(out.vx[i] == Approx(expected.vx[i]));
    CHECK(out.vz[i] == Approx(expected.vz[i]));
    CHECK(out.vt[i] == Approx(expected.vt[i]));
  }
  for (std::size_t i = 0; i < out.info.size(); ++i) {
    CHECK(out.info[i].number == expected.info[i].number);
    CHECK(out.info[i].cross_section == Approx(expected.info[i].cross_section));
  }
  // By hand: the muon, in GeV and mm.
  CHECK(out.px[3] == Approx(30.0));
  CHECK(out.vz[3] == Approx(-3.0));
  CHECK(out.m1[3] == 2);
}
#endif
