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

TEST_CASE("the noise of slots is that of their rows") {
  const at::Tensor event = at::tensor(std::vector<std::int64_t>{7, 0xFFFFFFFF, 3, 7, 0}, at::kLong);
  const at::Tensor offsets = at::tensor(std::vector<std::int64_t>{0, 0, 130, 130, 131, 200}, at::kLong);
  std::vector<std::uint32_t> events, slots;
  for (int set = 0; set < 5; ++set) {
    const auto n = offsets[set + 1].item<std::int64_t>() - offsets[set].item<std::int64_t>();
    for (std::uint32_t slot = 0; slot < n; ++slot) {
      events.push_back(static_cast<std::uint32_t>(event[set].item<std::int64_t>()));
      slots.push_back(slot);
    }
  }
  for (const std::int64_t channels : {0, 3, 5}) {
    std::vector<float> expected(200 * static_cast<std::size_t>(channels));
    normal_noise(5, 6, events, slots, channels, expected);
    const at::Tensor z = slot_noise(5, 6, event, offsets, 200, channels);
    REQUIRE(z.sizes() == at::IntArrayRef{200, channels});
    CHECK(std::equal(expected.begin(), expected.end(), z.const_data_ptr<float>()));
  }
  const at::Tensor of_sets = set_noise(5, 6, event, 2),
                   expected = normal_noise_torch(5, 6, event, at::full_like(event, std::int64_t{set_slot}), 2);
  CHECK(at::allclose(of_sets, expected, 1e-5, 5e-6));
}

TEST_CASE("no rows and no channels are legal") {
  const at::Tensor none = at::empty({0}, at::kLong);
  CHECK(normal_noise_torch(1, 2, none, none, 3).sizes() == at::IntArrayRef{0, 3});
  CHECK(normal_noise_torch(1, 2, at::zeros({4}, at::kLong), at::zeros({4}, at::kLong), 0).sizes() ==
        at::IntArrayRef{4, 0});
}
