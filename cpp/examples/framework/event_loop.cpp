// SPDX-License-Identifier: MIT
/// A miniature of a multi-threaded event loop: HepMC3 events in memory, one algorithm, a pool of threads.
///     event_loop FILE.hepmc [THREADS]
#include <HepMC3/ReaderFactory.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "fastsim_algorithm.hpp"
#include "hepgen_fastsim/hepmc3.hpp"

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FILE.hepmc [THREADS]\n", argv[0]);
    return 2;
  }
  const int n_threads = argc > 2 ? std::atoi(argv[2]) : 2;

  std::vector<hepgen_fastsim::GenEvents> store;
  const auto file = HepMC3::deduce_reader(argv[1]);
  if (!file) return 1;
  for (HepMC3::GenEvent event; file->read_event(event) && !file->failed();) {
    hepgen_fastsim::append(store.emplace_back(), event);
  }

  example::FastSimAlgorithm algorithm;
  algorithm.initialize();
  std::vector<hepgen_fastsim::RecoEvents> output(store.size());
  std::atomic<std::size_t> next = 0;
  std::mutex failing;
  std::exception_ptr failure;
  {
    std::vector<std::jthread> pool;
    for (int i = 0; i < n_threads; ++i) {
      pool.emplace_back([&] {
        try {
          for (std::size_t at = next++; at < store.size(); at = next++) {
            output[at] = algorithm(store[at], {.run = 1, .event = static_cast<std::uint32_t>(at)});
          }
        } catch (...) {
          const std::scoped_lock lock(failing);
          failure = std::current_exception();
        }
      });
    }
  }
  if (failure) std::rethrow_exception(failure);
  double sum = 0;
  std::size_t constituents = 0;
  for (const auto& reco : output) {
    constituents += reco.pt.size();
    for (const float pt : reco.pt) sum += pt;
  }
  std::printf("%zu events, %zu constituents, sum pT %.3f GeV\n", output.size(), constituents, sum);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "event_loop: %s\n", error.what());
  return 1;
}
