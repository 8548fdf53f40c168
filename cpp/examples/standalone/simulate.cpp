// SPDX-License-Identifier: MIT
/// Four threads simulate the events of a HepMC file with one model: simulate FILE [MODEL]
#include <algorithm>
#include <cstdio>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "hepgen_fastsim/fastsim.hpp"
#include "hepgen_fastsim/hepmc.hpp"

namespace hf = hepgen_fastsim;

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FILE.hepmc [MODEL]\n", argv[0]);
    return 2;
  }
  const hf::FastSim sim({.model = argc > 2 ? argv[2] : "delphes-cms"});
  hf::HepMCReader reader(argv[1]);

  std::mutex reading;
  std::map<std::int64_t, hf::RecoEvents> results;  // by position in the file, whichever thread was first
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      while (true) {
        hf::GenEvents gen;
        {
          const std::scoped_lock lock(reading);
          if (failure || !reader.read(gen, 10)) return;
        }
        std::vector<std::int64_t> ids;
        for (std::int64_t i = 0; i < gen.size(); ++i) ids.push_back(gen.first_event + i);
        hf::GenView events = hf::view(gen);
        events.event = ids;  // the noise is keyed on them: threads and batches do not matter
        hf::FastSim::Result out = sim.simulate(events, /*seed=*/42, reader.stream_id());
        const std::scoped_lock lock(reading);
        results[gen.first_event] = std::move(out.reco);
      }
    } catch (...) {
      const std::scoped_lock lock(reading);
      failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back(work);
  }

  std::int64_t events = 0, constituents = 0;
  for (const auto& [first, reco] : results) {
    events += reco.size();
    constituents += reco.offsets.back();
  }
  std::printf("%lld events, %lld RECO constituents\n", static_cast<long long>(events),
              static_cast<long long>(constituents));
  if (!results.empty()) {
    const hf::RecoEvents& reco = results.begin()->second;
    std::printf("first event:\n%8s %10s %8s %8s %7s\n", "pdgid", "pt [GeV]", "eta", "phi", "origin");
    for (std::int64_t i = 0; i < std::min<std::int64_t>(reco.offsets[1], 5); ++i) {
      std::printf("%8lld %10.3f %8.3f %8.3f %7lld\n", static_cast<long long>(reco.pdgid[i]), reco.pt[i], reco.eta[i],
                  reco.phi[i], static_cast<long long>(reco.origin[i]));
    }
  }
  if (failure) std::rethrow_exception(failure);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "simulate: %s\n", error.what());
  return 1;
}
