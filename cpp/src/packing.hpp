// SPDX-License-Identifier: MIT
/// Which sets go through the network together, and how their results come back in order.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "backend.hpp"
#include "hepgen_fastsim/engine.hpp"

namespace hepgen_fastsim {

/// A partition of the sets into batches of bounded size.
struct Packing {
  struct Batch {
    std::vector<std::int64_t> sets;
    bool contiguous = true;  ///< sets are first, first + 1, ...: their rows need no copy

    std::pair<Batch, Batch> halves() const;
  };
  std::vector<Batch> batches;

  /// Neighbours together, at most `limit` items a batch (a larger set is alone): for networks of linear cost.
  static Packing in_order(std::span<const std::int64_t> sizes, std::int64_t limit);

  /// Sets of similar size together, (largest size) x (sets) at most `limit`: for networks that pad inside.
  static Packing by_size(std::span<const std::int64_t> sizes, std::int64_t limit);
};

/// Collects the batches' results; `finish` gives them in the order of the sets.
class SetBatchBuilder {
 public:
  SetBatchBuilder(const Metadata& metadata, std::int64_t n_sets);
  void add(const Packing::Batch& batch, NetworkOutput output);
  SetBatch finish();

 private:
  struct Place {
    std::size_t output = 0;
    std::int64_t set = 0;  // within that output
  };
  std::size_t width_items_, width_codes_, width_scalars_;
  std::vector<Place> places_;
  std::vector<NetworkOutput> outputs_;
};

}  // namespace hepgen_fastsim
