// SPDX-License-Identifier: MIT
#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "hepgen_fastsim/random.hpp"
#include "noise.hpp"

using namespace hepgen_fastsim;

TEST_CASE("the torch formulation equals the kernel") {
  const std::int64_t n = 20000, channels = 7;
  std::vector<std::uint32_t> event, slot;
  for (std::uint32_t i = 0; i < n; ++i) {
    event.push_back(i * 2654435761u);  // the whole range of 32 bits
    slot.push_back(i % 5 == 0 ? set_slot : i);
  }
  std::vector<float> expected(static_cast<std::size_t>(n * channels));
  normal_noise(0xDEADBEEF12345678, 0xFEDCBA98, event, slot, channels, expected);
  const auto tensor = [&](const std::vector<std::uint32_t>& words) {
    std::vector<std::int64_t> wide(words.begin(), words.end());
    return at::tensor(wide, at::kLong);
  };
  const at::Tensor z = normal_noise_torch(0xDEADBEEF12345678, 0xFEDCBA98, tensor(event), tensor(slot), channels);
  REQUIRE(z.size(0) == n);
  REQUIRE(z.size(1) == channels);
  const auto* values = z.const_data_ptr<float>();
  float worst = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, std::abs(values[i] - expected[i]));
  CHECK(worst < 5e-6f);
}

TEST_CASE("no rows and no channels are legal") {
  const at::Tensor none = at::empty({0}, at::kLong);
  CHECK(normal_noise_torch(1, 2, none, none, 3).sizes() == at::IntArrayRef{0, 3});
  CHECK(normal_noise_torch(1, 2, at::zeros({4}, at::kLong), at::zeros({4}, at::kLong), 0).sizes() ==
        at::IntArrayRef{4, 0});
}
