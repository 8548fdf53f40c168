// SPDX-License-Identifier: MIT
/// bench_engine EVENTS.hepmc [MODEL] [ROUNDS]
///
/// CPU time of Engine::run against calls of the network alone on the same batches, in turn; and the throughput of two
/// threads on one engine against one thread, beside a control that only computes.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>

#include "backend.hpp"
#include "engine_impl.hpp"
#include "flush_denormals.hpp"
#include "hepgen_fastsim/hepmc.hpp"
#include "hepgen_fastsim/random.hpp"
#include "one_thread.hpp"
#include "packing.hpp"

using namespace hepgen_fastsim;

namespace {

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// The columns of the event model: pt, eta, phi, mass, charge, vx, vy, vz and the code, of stable particles.
struct Sets {
  std::vector<float> features;
  std::vector<std::int64_t> codes, offsets{0};
  SetView view() const { return {features, codes, offsets, {}, {}}; }
};

Sets load(const char* path) {
  HepMCReader reader(path);
  GenEvents e;
  reader.read(e, 1000);
  Sets out;
  for (std::int64_t event = 0; event < e.size(); ++event) {
    for (auto i = static_cast<std::size_t>(e.offsets[event]); i < static_cast<std::size_t>(e.offsets[event + 1]); ++i) {
      const double pt = std::hypot(e.px[i], e.py[i]), eta = pt > 0 ? std::asinh(e.pz[i] / pt) : 99;
      if (e.status[i] != 1 || std::abs(eta) > 5.2) continue;
      for (const double x : {pt, eta, std::atan2(e.py[i], e.px[i]), e.mass[i], static_cast<double>(e.charge[i]),
                             e.vx[i], e.vy[i], e.vz[i]}) {
        out.features.push_back(static_cast<float>(x));
      }
      out.codes.push_back(e.pdgid[i]);
    }
    out.offsets.push_back(static_cast<std::int64_t>(out.codes.size()));
  }
  return out;
}

/// What the engine gives to its network, batch by batch.
std::vector<NetworkInput> batches(const Sets& sets, const Metadata& m, std::int64_t limit) {
  std::vector<std::int64_t> sizes;
  for (std::size_t i = 1; i < sets.offsets.size(); ++i) sizes.push_back(2 * (sets.offsets[i] - sets.offsets[i - 1]));
  std::vector<NetworkInput> out;
  for (const Packing::Batch& batch : Packing::in_order(sizes, limit).batches) {
    const std::int64_t begin = sets.offsets[batch.sets.front()], end = sets.offsets[batch.sets.back() + 1];
    at::Tensor offsets = at::empty({static_cast<std::int64_t>(batch.sets.size()) + 1}, at::kLong);
    for (std::size_t i = 0; i <= batch.sets.size(); ++i) {
      offsets[static_cast<std::int64_t>(i)] = sets.offsets[batch.sets.front() + static_cast<std::int64_t>(i)] - begin;
    }
    const std::int64_t n = end - begin, b = static_cast<std::int64_t>(batch.sets.size());
    at::Tensor features = at::empty({n, 8}), codes = at::empty({n, 1}, at::kLong);
    std::copy_n(sets.features.begin() + 8 * begin, 8 * n, features.mutable_data_ptr<float>());
    std::copy_n(sets.codes.begin() + begin, n, codes.mutable_data_ptr<std::int64_t>());
    out.push_back({features, codes, offsets, at::empty({b, 0}), at::empty({b, 0}), 2 * offsets,
                   at::randn({2 * n, m.noise_slot})});
  }
  return out;
}

/// Calls per second of `work` with so many threads, and CPU time per call.
std::pair<double, double> throughput(int threads, int rounds, const std::function<void()>& work) {
  std::vector<double> cpu(static_cast<std::size_t>(threads));
  std::vector<std::thread> pool;
  const auto begun = std::chrono::steady_clock::now();
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&, t] {
      const double start = cpu_seconds();
      for (int i = 0; i < rounds; ++i) work();
      cpu[static_cast<std::size_t>(t)] = (cpu_seconds() - start) / rounds;
    });
  }
  for (std::thread& thread : pool) thread.join();
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begun;
  double sum = 0;
  for (const double seconds : cpu) sum += seconds;
  return {threads * rounds / passed.count(), sum / threads};
}

void compute() {
  static std::atomic<double> sink;
  double x = 1;
  for (int i = 0; i < 10'000'000; ++i) x = x * 1.0000001 + 1e-9;
  sink = x;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_engine EVENTS.hepmc [MODEL] [ROUNDS]\n");
    return 2;
  }
  const Model model = Model::load(argc > 2 ? argv[2] : "delphes-cms");
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 20;
  const Sets sets = load(argv[1]);
  const double events = static_cast<double>(sets.view().size());
  for (const std::int64_t limit : {8192, 32768, 65536, 98304}) {
    const Engine engine(model, {.device = "cpu", .batch_items = limit});
    const auto backend = make_backend(model, at::kCPU, Precision::float32);
    const std::vector<NetworkInput> inputs = batches(sets, model.metadata(), limit);
    std::vector<std::uint32_t> keys(2 * sets.codes.size());
    std::vector<float> numbers(keys.size() * static_cast<std::size_t>(model.metadata().noise_slot));
    std::vector<double> network, whole, noise, ratio;
    for (int i = 0; i < rounds + 2; ++i) {
      double begun = cpu_seconds();
      {
        const OneThread one_thread;
        [[maybe_unused]] const FlushDenormals flush{};
        const c10::InferenceMode inference;
        for (const NetworkInput& in : inputs) backend->forward(in);
      }
      const double a = cpu_seconds() - begun;
      begun = cpu_seconds();
      engine.run(sets.view(), 1);
      const double b = cpu_seconds() - begun;
      begun = cpu_seconds();
      normal_noise(1, 0, keys, keys, model.metadata().noise_slot, numbers);
      const double c = cpu_seconds() - begun;
      if (i < 2) continue;  // warm
      network.push_back(a), whole.push_back(b), noise.push_back(c), ratio.push_back(b / a);
    }
    std::printf("batch_items %6lld: network %.3f ms/event, engine %.3f, of that noise %.3f; engine / network %.3f\n",
                static_cast<long long>(limit), 1e3 * median(network) / events, 1e3 * median(whole) / events,
                1e3 * median(noise) / events, median(ratio));
  }
  const Engine engine(model, {.device = "cpu"});
  for (const auto& [name, work] :
       {std::pair<const char*, std::function<void()>>{"engine", [&] { engine.run(sets.view(), 1); }},
        std::pair<const char*, std::function<void()>>{"control", compute}}) {
    work();
    const auto one = throughput(1, rounds, work), two = throughput(2, rounds, work);
    std::printf("%-8s two threads / one: %.2f by the clock; CPU time per call grows by %.3f\n", name,
                two.first / one.first, two.second / one.second);
  }
}
