// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

#include "packing.hpp"

using namespace hepgen_fastsim;

namespace {
std::vector<std::int64_t> all_sets(const Packing& packing) {
  std::vector<std::int64_t> out;
  for (const auto& batch : packing.batches) out.insert(out.end(), batch.sets.begin(), batch.sets.end());
  return out;
}
}  // namespace

TEST_CASE("in_order keeps neighbours together within the limit") {
  const std::vector<std::int64_t> sizes = {3, 4, 5, 20, 0, 0, 9};
  const Packing packing = Packing::in_order(sizes, 10);
  std::vector<std::vector<std::int64_t>> sets;
  for (const auto& batch : packing.batches) sets.push_back(batch.sets);
  CHECK(sets == std::vector<std::vector<std::int64_t>>{{0, 1}, {2}, {3}, {4, 5}, {6}});
}

TEST_CASE("by_size bounds the padded size and loses no set") {
  std::vector<std::int64_t> sizes;
  for (int i = 0; i < 500; ++i) sizes.push_back((i * 7919) % 157);
  const Packing packing = Packing::by_size(sizes, 1000);
  std::int64_t padded = 0;
  for (const auto& batch : packing.batches) {
    std::int64_t largest = 0;
    for (const auto set : batch.sets) largest = std::max(largest, sizes[static_cast<std::size_t>(set)]);
    const auto cells = largest * static_cast<std::int64_t>(batch.sets.size());
    CHECK((cells <= 1000 || batch.sets.size() == 1));
    padded += cells;
  }
  auto sets = all_sets(packing);
  std::sort(sets.begin(), sets.end());
  std::vector<std::int64_t> expected(sizes.size());
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(sets == expected);
  // Bounded waste: sorted sizes leave few padded cells.
  CHECK(padded < 1.2 * static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0})));
}

TEST_CASE("an empty list of sets makes no batch") {
  CHECK(Packing::in_order({}, 10).batches.empty());
  CHECK(Packing::by_size({}, 10).batches.empty());
}
