// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend.hpp"
#include "hepgen_fastsim/engine.hpp"
#include "packing.hpp"

namespace hepgen_fastsim {

struct Engine::Impl {
  Impl(Model model, Config config);

  Model model;
  Config config;
  std::unique_ptr<const Backend> backend;
  std::string device;

  const Metadata& metadata() const { return model.metadata(); }

  /// Throws InputError unless the arrays fit the model and are finite.
  void check(const SetView& sets) const;

  /// The sets' noise keys.
  std::vector<std::uint32_t> events(const SetView& sets) const;

  /// Number of slots of each set, by the model's rule or drawn by its method.
  std::vector<std::int64_t> slot_counts(const SetView& sets, std::span<const std::uint32_t> event, std::uint64_t seed,
                                        std::uint32_t stream) const;

  /// f32 [n, channels] on the backend's device.
  at::Tensor noise(std::uint64_t seed, std::uint32_t stream, const std::vector<std::uint32_t>& event,
                   const std::vector<std::uint32_t>& slot, std::int64_t channels) const;

  /// The network's arguments for one batch, on its device.
  NetworkInput pack(const SetView& sets, const Packing::Batch& batch, std::span<const std::uint32_t> event,
                    std::span<const std::int64_t> slots, std::uint64_t seed, std::uint32_t stream) const;

  /// One batch through the network; the results are on the CPU, contiguous and checked.
  NetworkOutput forward(const SetView& sets, const Packing::Batch& batch, std::span<const std::uint32_t> event,
                        std::span<const std::int64_t> slots, std::uint64_t seed, std::uint32_t stream) const;

  [[noreturn]] void broken(const std::string& what) const;
  void check_shapes(const NetworkOutput& out, std::int64_t n_sets) const;
  void check_values(const NetworkOutput& out, const SetView& sets, const Packing::Batch& batch) const;
};

}  // namespace hepgen_fastsim
