// SPDX-License-Identifier: MIT
/// Any bytes: the HepMC reader delivers whole, consistent events or throws InputError; it neither crashes nor hangs.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/hepmc.hpp"

namespace hf = hepgen_fastsim;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const hf::GenEvents& e) {
  const auto n = e.pdgid.size();
  require(e.offsets.front() == 0 && e.offsets.back() == static_cast<std::int64_t>(n));
  require(std::is_sorted(e.offsets.begin(), e.offsets.end()));
  require(e.status.size() == n && e.px.size() == n && e.mass.size() == n && e.charge.size() == n && e.vt.size() == n);
  require(e.info.size() == static_cast<std::size_t>(e.size()));
  require(e.weights.size() == e.info.size() * e.weight_names.size());
  for (std::int64_t event = 0; event < e.size(); ++event) {
    const std::int64_t size = e.offsets[event + 1] - e.offsets[event];
    for (std::int64_t row = e.offsets[event]; row < e.offsets[event + 1]; ++row) {
      require(std::isfinite(e.px[row]) && std::isfinite(e.py[row]) && std::isfinite(e.pz[row]));
      for (const auto* relative : {&e.m1, &e.m2, &e.d1, &e.d2}) {
        require((*relative)[row] >= -1 && (*relative)[row] < size);
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    std::size_t at = 0;
    hf::HepMCReader reader(hf::HepMCReader::Config{.source =
                                                       [&](char* out, std::size_t n) {
                                                         // Small pieces, so that tokens fall across the edges of
                                                         // blocks.
                                                         n = std::min({n, size - at, std::size_t{57}});
                                                         std::memcpy(out, data + at, n);
                                                         at += n;
                                                         return n;
                                                       },
                                                   .name = "fuzz"});
    hf::GenEvents events;
    while (reader.read(events, 3)) check(events);
  } catch (const hf::InputError&) {
  }
  return 0;
}
