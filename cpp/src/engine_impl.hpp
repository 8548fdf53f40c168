// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend.hpp"
#include "hepgen_fastsim/engine.hpp"
#include "packing.hpp"
#include "sharing.hpp"

namespace hepgen_fastsim {

/// What one call of `run` works on.
struct Job {
  const SetView& sets;
  std::uint64_t seed;
  std::uint32_t stream;
  std::stop_token stop;
  std::vector<std::int64_t> event;  // noise keys of the sets
  std::vector<std::int64_t> slots;  // of each set
};

struct Engine::Impl {
  Impl(Model model, Config config);

  Model model;
  Config config;
  Lanes lanes;
  std::string device;

  const Metadata& metadata() const { return model.metadata(); }

  /// Throws InputError unless the arrays fit the model and are finite.
  void check(const SetView& sets) const;

  /// The sets' noise keys.
  std::vector<std::int64_t> events(const SetView& sets) const;

  /// Number of slots of each set, by the model's rule or drawn by its method.
  std::vector<std::int64_t> slot_counts(const Job& job) const;

  /// Shares the batches out over the lanes, with torch's state of each thread set for the work. What a device reports
  /// becomes OutOfMemory or an Error, and names it.
  void share(const Job& job, Packing packing,
             const std::function<void(const Lane&, const Packing::Batch&)>& work) const;

  /// The network's arguments for one batch, on its device or on their way there.
  NetworkInput pack(const Job& job, const Packing::Batch& batch, at::Device device) const;

  /// One batch through the network; the results are on the CPU, contiguous and checked.
  NetworkOutput forward(const Job& job, const Packing::Batch& batch, const Lane& lane) const;

  [[noreturn]] void broken(const std::string& what) const;
  void check_shapes(const NetworkOutput& out, std::int64_t n_sets) const;
  void check_values(const NetworkOutput& out, const SetView& sets, const Packing::Batch& batch) const;
};

}  // namespace hepgen_fastsim
