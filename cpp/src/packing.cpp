// SPDX-License-Identifier: MIT
#include "packing.hpp"

#include <algorithm>
#include <numeric>

namespace hepgen_fastsim {

std::pair<Packing::Batch, Packing::Batch> Packing::Batch::halves() const {
  const auto middle = sets.begin() + static_cast<std::ptrdiff_t>(sets.size() / 2);
  return {{{sets.begin(), middle}, contiguous}, {{middle, sets.end()}, contiguous}};
}

Packing Packing::in_order(std::span<const std::int64_t> sizes, std::int64_t limit) {
  Packing out;
  std::int64_t filled = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    // A set costs something even when it is empty.
    const std::int64_t size = std::max<std::int64_t>(sizes[i], 1);
    if (out.batches.empty() || filled + size > limit) {
      out.batches.emplace_back();
      filled = 0;
    }
    out.batches.back().sets.push_back(static_cast<std::int64_t>(i));
    filled += size;
  }
  return out;
}

Packing Packing::by_size(std::span<const std::int64_t> sizes, std::int64_t limit) {
  std::vector<std::int64_t> order(sizes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return sizes[a] > sizes[b]; });
  Packing out;
  std::int64_t largest = 0;
  for (const std::int64_t set : order) {
    const bool full =
        out.batches.empty() || largest * static_cast<std::int64_t>(out.batches.back().sets.size() + 1) > limit;
    if (full) {
      out.batches.push_back({{}, false});
      largest = std::max<std::int64_t>(sizes[set], 1);
    }
    out.batches.back().sets.push_back(set);
  }
  return out;
}

SetBatchBuilder::SetBatchBuilder(const Metadata& metadata, std::int64_t n_sets)
    : width_items_(metadata.output_features.size()),
      width_codes_(metadata.output_codes.size()),
      width_scalars_(metadata.scalars.size()),
      places_(static_cast<std::size_t>(n_sets)) {}

void SetBatchBuilder::add(const Packing::Batch& batch, NetworkOutput output) {
  for (std::size_t i = 0; i < batch.sets.size(); ++i) {
    places_[static_cast<std::size_t>(batch.sets[i])] = {outputs_.size(), static_cast<std::int64_t>(i)};
  }
  outputs_.push_back(std::move(output));
}

SetBatch SetBatchBuilder::finish() {
  SetBatch out;
  out.offsets.reserve(places_.size() + 1);
  for (const Place& place : places_) {
    const auto* offset = outputs_[place.output].item_offsets.const_data_ptr<std::int64_t>() + place.set;
    out.offsets.push_back(out.offsets.back() + offset[1] - offset[0]);
  }
  const auto items = static_cast<std::size_t>(out.offsets.back());
  out.items.reserve(items * width_items_);
  out.item_codes.reserve(items * width_codes_);
  out.origin.reserve(items);
  out.scalars.reserve(places_.size() * width_scalars_);
  const auto append = []<typename T>(std::vector<T>& to, const at::Tensor& from, std::size_t begin, std::size_t end) {
    if (begin == end) return;
    const T* data = from.const_data_ptr<T>();
    to.insert(to.end(), data + begin, data + end);
  };
  for (const Place& place : places_) {
    const NetworkOutput& from = outputs_[place.output];
    const auto* offset = from.item_offsets.const_data_ptr<std::int64_t>() + place.set;
    const auto begin = static_cast<std::size_t>(offset[0]), end = static_cast<std::size_t>(offset[1]);
    append(out.items, from.items, begin * width_items_, end * width_items_);
    append(out.item_codes, from.item_codes, begin * width_codes_, end * width_codes_);
    append(out.origin, from.origin, begin, end);
    const auto set = static_cast<std::size_t>(place.set);
    append(out.scalars, from.scalars, set * width_scalars_, (set + 1) * width_scalars_);
  }
  return out;
}

}  // namespace hepgen_fastsim
