// SPDX-License-Identifier: MIT
#include <zlib.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/hepmc.hpp"
#include "text_number.hpp"

using namespace hepgen_fastsim;
using Catch::Matchers::Contains;

namespace {

std::string sample(const std::string& name) {
  std::ifstream file(std::string(HEPGEN_TEST_DATA "/") + name, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Gives `text` in pieces of the given size.
HepMCReader::ByteSource pieces(std::string text, std::size_t size) {
  return [text = std::move(text), size, at = std::size_t{0}](char* to, std::size_t n) mutable {
    const auto take = std::min({n, size, text.size() - at});
    std::memcpy(to, text.data() + at, take);
    at += take;
    return take;
  };
}

HepMCReader reader_of(std::string text, std::int64_t start = 0, std::int64_t stop = -1) {
  HepMCReader::Config config;
  config.source = pieces(std::move(text), 1 << 20);
  config.name = "sample";
  config.entry_start = start;
  config.entry_stop = stop;
  return HepMCReader(std::move(config));
}

GenEvents all_of(HepMCReader reader) {
  GenEvents events;
  reader.read(events, 1000);
  return events;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

void check_same(const GenEvents& a, const GenEvents& b) {
  CHECK(a.offsets == b.offsets);
  CHECK(a.pdgid == b.pdgid);
  CHECK(a.status == b.status);
  CHECK(a.px == b.px);
  CHECK(a.pz == b.pz);
  CHECK(a.mass == b.mass);
  CHECK(a.vz == b.vz);
  CHECK(a.m1 == b.m1);
  CHECK(a.m2 == b.m2);
  CHECK(a.d1 == b.d1);
  CHECK(a.d2 == b.d2);
  CHECK(a.weights == b.weights);
}

}  // namespace

TEST_CASE("Numbers are read as strtod reads them") {
  std::mt19937_64 random(1);
  char text[128];
  const auto check = [&] {
    double value = 0;
    const char* end = detail::parse_double(text, value);
    REQUIRE(end == text + std::strlen(text) - 1);
    const double expected = std::strtod(text, nullptr);
    CAPTURE(text);
    REQUIRE(std::memcmp(&value, &expected, sizeof value) == 0);
  };
  for (int i = 0; i < 300000; ++i) {
    std::uint64_t bits = random();
    double value;
    switch (i % 4) {
      case 0:  // ordinary magnitudes
        bits = (bits & 0x800FFFFFFFFFFFFFu) | ((900 + random() % 240) << 52);
        std::memcpy(&value, &bits, 8);
        std::snprintf(text, 100, "%.16e\n", value);
        break;
      case 1:  // any double, denormal ones too
        std::memcpy(&value, &bits, 8);
        if (!(value - value == 0)) continue;
        std::snprintf(text, 100, "%.16e\n", value);
        break;
      case 2:  // half way between two doubles
        std::snprintf(text, 100, "%llu\n", static_cast<unsigned long long>((bits >> 10 | 1ULL << 53) | 1));
        break;
      default:
        std::snprintf(text, 100, "%.*f\n", static_cast<int>(bits % 24), static_cast<double>(random() >> 20) * 1e-9);
    }
    check();
  }
  for (const char* special :
       {"0\n", "-0.0\n", "1e22\n", "1e23\n", "+5\n", "1.\n", ".5\n", "1e-400\n", "-1e400\n", "4.9e-324\n",
        "0.00000000000000000000000000000000001\n", "1e+0000003\n", "inf\n", "-0.0000000000000000e+00\n",
        "9.9999999999999999e+99\n", "-1.0000000000000000e-99\n", "0.0000000000000001e+02\n"}) {
    std::snprintf(text, sizeof text, "%s", special);
    check();
  }
  double value;
  for (const char* bad : {"\n",
                          "x\n",
                          "1x\n",
                          "1e\n",
                          "--1\n",
                          "1.0.0\n",
                          "e5\n",
                          "0x10\n",
                          "1,5\n",
                          "1.0000000000000000e+0x\n",
                          "1.0000000000000000e+011x\n",
                          "x.0000000000000000e+00\n",
                          "1.0000000000000000e/00\n",
                          "1.0000000000000000e)00\n",
                          "1.0000000000000000e+:0\n",
                          "1.0000000000000000e+0/\n",
                          "1.0000000000000000e+\2600\n",
                          "1.0000000000000000d+00\n",
                          "1.00000:0000000000e+00\n",
                          "1.000000000000000/e+00\n",
                          "1.0000\26000000000000e+00\n",
                          "/.0000000000000000e+00\n",
                          "1,0000000000000000e+00\n",
                          "1.0000000000000000e+00\v\n"}) {
    std::snprintf(text, sizeof text, "%s", bad);
    CAPTURE(text);
    CHECK(detail::parse_double(text, value) == nullptr);
  }
}

TEST_CASE("An Asciiv3 listing gives the whole record") {
  auto reader = reader_of(sample("asciiv3.hepmc"));
  GenEvents events;
  REQUIRE(reader.read(events, 10));
  CHECK(events.offsets == std::vector<std::int64_t>{0, 8, 10});
  CHECK(events.pdgid == std::vector<std::int64_t>{2212, 2212, 310, 22, 211, -211, -13, 22, 1000020040, 11});
  CHECK(events.status == std::vector<std::int32_t>{4, 4, 2, 1, 2, 1, 1, 1, 4, 1});
  CHECK(events.weight_names == std::vector<std::string>{"nominal", "scale up"});
  CHECK(events.weights == std::vector<double>{2, 3, 1, -1});
  CHECK(events.charge[4] == 1);
  CHECK(events.charge[8] == 2);

  CHECK(events.m1 == std::vector<std::int32_t>{-1, -1, 0, 0, 2, 2, 4, 3, -1, 0});
  CHECK(events.m2 == std::vector<std::int32_t>{-1, -1, 1, 1, -1, -1, -1, -1, -1, -1});
  CHECK(events.d1 == std::vector<std::int32_t>{2, 2, 4, 7, 6, -1, -1, -1, 1, -1});
  CHECK(events.d2 == std::vector<std::int32_t>{3, 3, 5, 7, 6, -1, -1, -1, 1, -1});

  const auto& info = events.info[0];
  CHECK(info.number == 17);
  CHECK(info.process_id == 221);
  CHECK(info.mpi == 4);
  CHECK(info.scale == 91.2);
  CHECK(info.alpha_qcd == 0.118);
  CHECK(info.alpha_qed == 0.0078);
  CHECK(info.cross_section == 1500);
  CHECK(info.cross_section_error == 2.5);
  CHECK((info.id1 == 21 && info.id2 == 2 && info.x1 == 0.1 && info.x2 == 0.2));
  CHECK((info.scale_pdf == 91.5 && info.pdf1 == 0.3 && info.pdf2 == 0.4));

  // No position of their own: the event's; the muon's vertex has no line: where the pion was made.
  CHECK(events.vz[2] == 0.5);
  CHECK(events.vt[7] == 0.5);
  CHECK((events.vx[6] == 10 && events.vy[6] == 0 && events.vz[6] == 20 && events.vt[6] == 30));
  // MeV and cm in the second event.
  CHECK(events.px[9] == 3);
  CHECK(events.mass[8] == Approx(3.727379));
  CHECK((events.vx[9] == 10 && events.vt[9] == 40));
  // E = 4 GeV with |p| = 5 GeV contradicts the mass of an electron: m^2 = -9 GeV^2.
  CHECK(events.mass[9] == Approx(-3));

  CHECK_FALSE(reader.read(events, 10));
  CHECK(events.size() == 0);
  CHECK(reader.events_read() == 2);
}

TEST_CASE("An IO_GenEvent listing gives the same record") {
  auto events = all_of(reader_of(sample("io_genevent.hepmc")));
  auto expected = all_of(reader_of(replaced(sample("asciiv3.hepmc"), " @ 0 0 0.5 0.5", "")));
  check_same(events, expected);
  CHECK(events.weight_names == expected.weight_names);
  CHECK(events.info[0].scale_pdf == 91.5);
  CHECK(events.info[0].process_id == 221);
  CHECK(events.info[0].cross_section_error == 2.5);
}

TEST_CASE("Pieces of any size, batches of any size, CRLF and comments make no difference") {
  for (const char* name : {"asciiv3.hepmc", "io_genevent.hepmc"}) {
    const auto text = sample(name);
    const auto expected = all_of(reader_of(text));
    for (const std::size_t size : {1, 2, 7, 100, 1000}) {
      HepMCReader::Config config;
      config.source = pieces(text, size);
      check_same(all_of(HepMCReader(std::move(config))), expected);
    }
    std::string crlf;
    for (const char c : text) crlf += c == '\n' ? std::string("\r\n# a comment\r\n\r\n") : std::string(1, c);
    check_same(all_of(reader_of(crlf)), expected);

    auto reader = reader_of(text);
    GenEvents batch;
    std::vector<std::int64_t> pdgid;
    for (std::int64_t i = 0; reader.read(batch, 1); ++i) {
      CHECK(batch.size() == 1);
      CHECK(batch.first_event == i);
      pdgid.insert(pdgid.end(), batch.pdgid.begin(), batch.pdgid.end());
    }
    CHECK(pdgid == expected.pdgid);
  }
}

TEST_CASE("A batch ends at its limit of particles") {
  HepMCReader::Config config;
  config.source = pieces(sample("asciiv3.hepmc"), 1000);
  config.max_particles = 3;
  HepMCReader reader(std::move(config));
  GenEvents batch;
  CHECK(reader.read(batch, 10));
  CHECK(batch.size() == 1);
  CHECK(reader.read(batch, 10));
  CHECK(batch.size() == 1);
}

TEST_CASE("Listings one after the other are one stream, of both formats") {
  const auto text = sample("asciiv3.hepmc") + sample("io_genevent.hepmc") + sample("asciiv3.hepmc");
  auto reader = reader_of(text);
  GenEvents events;
  CHECK(reader.read(events, 100));
  CHECK(events.size() == 6);
  CHECK(events.info[5].number == 18);
}

TEST_CASE("Attributes may be longer than any buffer") {
  const auto text = replaced(sample("asciiv3.hepmc"), "A 3 flow1 501",
                             "A 0 lhe " + std::string(3'000'000, 'x') + "\nA 3 note " + std::string(600'000, 'y'));
  check_same(all_of(reader_of(text)), all_of(reader_of(sample("asciiv3.hepmc"))));
}

TEST_CASE("Particles may come in any order") {
  auto text = sample("asciiv3.hepmc");
  const auto line = [&](const std::string& start) {
    const auto at = text.find("\n" + start) + 1;
    return text.substr(at, text.find('\n', at) + 1 - at);
  };
  const auto first = line("P 1 0 2212"), second = line("P 2 0 2212"), muon = line("P 7 5"), pion = line("P 6 -3");
  auto shuffled = replaced(replaced(text, second, ""), first, second + first);
  shuffled = replaced(replaced(shuffled, pion, ""), muon, muon + pion);
  check_same(all_of(reader_of(shuffled)), all_of(reader_of(text)));
}

TEST_CASE("A range of entries knows the whole input's stream") {
  for (const char* name : {"asciiv3.hepmc", "io_genevent.hepmc"}) {
    const auto text = sample(name) + sample(name);
    const auto all = all_of(reader_of(text));
    const auto stream = reader_of(text).stream_id();
    auto crc = crc32(0, nullptr, 0);
    for (const void* column : {static_cast<const void*>(all.pdgid.data()), static_cast<const void*>(all.px.data()),
                               static_cast<const void*>(all.py.data()), static_cast<const void*>(all.pz.data())}) {
      crc = crc32(crc, static_cast<const Bytef*>(column), static_cast<uInt>(8 * all.offsets[1]));
    }
    CHECK(stream == crc);
    for (std::int64_t start = 0; start <= 5; ++start) {
      for (std::int64_t stop = start; stop <= 5; ++stop) {
        auto reader = reader_of(text, start, stop);
        GenEvents events;
        reader.read(events, 100);
        const auto expected =
            std::max<std::int64_t>(0, std::min<std::int64_t>(stop, 4) - std::min<std::int64_t>(start, 4));
        CHECK(events.size() == expected);
        if (expected > 0) {
          CHECK(events.first_event == start);
          CHECK(events.info[0].number == all.info[static_cast<std::size_t>(start)].number);
          CHECK(events.weights[1] == all.weights[2 * static_cast<std::size_t>(start) + 1]);
        }
        CHECK(reader.stream_id() == stream);
      }
    }
  }
}

TEST_CASE("Asking for the stream first loses no event") {
  auto reader = reader_of(sample("asciiv3.hepmc"));
  reader.stream_id();
  CHECK(all_of(std::move(reader)).size() == 2);
}

TEST_CASE("An input that goes wrong is an error after the good events, again and again") {
  const auto text = replaced(sample("asciiv3.hepmc"), "P 2 -1 11 3.0e+03", "P 2 -1 11 nan");
  auto reader = reader_of(text);
  GenEvents events;
  REQUIRE(reader.read(events, 100));
  CHECK(events.size() == 1);
  CHECK(events.pdgid.size() == 8);
  CHECK(events.px.size() == 8);
  CHECK(events.weights.size() == 2);
  for (int i = 0; i < 2; ++i) {
    REQUIRE_THROWS_WITH(reader.read(events, 100),
                        Contains("sample: event 1 (number 18), line 33: expected a finite momentum"));
  }
  CHECK(reader.events_read() == 1);
}

TEST_CASE("The reader refuses what it cannot read from") {
  CHECK_THROWS_WITH(HepMCReader("/no/such/file.hepmc"), "/no/such/file.hepmc: no such file");
  CHECK_THROWS_WITH(HepMCReader("/tmp"), Contains("found a directory"));
  CHECK_THROWS_WITH(HepMCReader(HepMCReader::Config{}), Contains("expected one of path, descriptor and source"));
  CHECK_THROWS_WITH(reader_of(""),
                    "sample: expected HepMC text (HepMC::Asciiv3 or HepMC::IO_GenEvent), found an empty file");
  CHECK_THROWS_WITH(reader_of(sample("asciiv3.hepmc"), 5, 2), Contains("0 <= entry_start <= entry_stop"));
  auto reader = reader_of(sample("asciiv3.hepmc"));
  GenEvents events;
  CHECK_THROWS_AS(reader.read(events, 0), InputError);
}

TEST_CASE("Damaged bytes never do worse than an InputError") {
  std::mt19937 random(7);
  for (const char* name : {"asciiv3.hepmc", "io_genevent.hepmc"}) {
    const auto good = sample(name);
    for (int i = 0; i < 4000; ++i) {
      auto text = good;
      for (unsigned k = random() % 4; k-- > 0;) {
        const auto at = random() % text.size();
        switch (random() % 5) {
          case 0:
            text[at] = static_cast<char>(random());
            break;
          case 1:
            text.erase(at, random() % 40);
            break;
          case 2:
            text.insert(at, text.substr(random() % text.size(), random() % 200));
            break;
          case 3:
            text[at] = "0123456789-+.e \n\r@[],VPEAWU"[random() % 27];
            break;
          default:
            text.resize(at);
        }
        if (text.empty()) break;
      }
      try {
        HepMCReader::Config config;
        config.source = pieces(text, 1 + random() % 300);
        HepMCReader reader(std::move(config));
        GenEvents events;
        while (reader.read(events, 1 + random() % 3)) {
          REQUIRE(events.pdgid.size() == static_cast<std::size_t>(events.offsets.back()));
          for (std::size_t row = 0; row < events.pdgid.size(); ++row) REQUIRE(std::isfinite(events.px[row]));
        }
      } catch (const InputError& error) {
        REQUIRE(std::strlen(error.what()) > 10);
      }
    }
  }
}
