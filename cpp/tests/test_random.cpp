// SPDX-License-Identifier: MIT
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <vector>

#include "hepgen_fastsim/random.hpp"

using namespace hepgen_fastsim;
using Words = std::array<std::uint32_t, 4>;

TEST_CASE("Philox4x32-10 gives Random123's known answers") {
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

namespace {
std::vector<float> draw(std::uint64_t seed, std::uint32_t stream, const std::vector<std::uint32_t>& event,
                        const std::vector<std::uint32_t>& slot, std::int64_t channels) {
  std::vector<float> out(event.size() * static_cast<std::size_t>(channels));
  normal_noise(seed, stream, event, slot, channels, out);
  return out;
}
}  // namespace

TEST_CASE("the noise is the Box-Muller transform of the Philox words") {
  const std::uint64_t seed = 0x299f31d0a4093822;
  const std::uint32_t stream = 0x03707344, event = 0x13198a2e, slot = 0x85a308d3;
  const auto z = draw(seed, stream, {event}, {slot}, 7);
  for (std::uint32_t block = 0; block < 2; ++block) {
    const auto w = philox4x32({block, slot, event, stream}, {0xa4093822, 0x299f31d0});
    for (std::size_t pair = 0; pair < 2; ++pair) {
      const double u = (w[2 * pair] + 0.5) * 0x1p-32, angle = 2 * M_PI * 0x1p-32 * w[2 * pair + 1];
      const double radius = std::sqrt(-2 * std::log(u));
      CHECK(z[4 * block + 2 * pair] == Approx(radius * std::cos(angle)).epsilon(1e-5).margin(2e-6));
      if (4 * block + 2 * pair + 1 < 7) {
        CHECK(z[4 * block + 2 * pair + 1] == Approx(radius * std::sin(angle)).epsilon(1e-5).margin(2e-6));
      }
    }
  }
}

TEST_CASE("a row depends on its own event and slot alone") {
  std::vector<std::uint32_t> event(1000), slot(1000);
  for (std::uint32_t i = 0; i < 1000; ++i) event[i] = i / 37, slot[i] = i % 37;
  const auto all = draw(42, 7, event, slot, 5);
  for (std::size_t i : {0u, 63u, 64u, 500u, 999u}) {
    const auto one = draw(42, 7, {event[i]}, {slot[i]}, 5);
    for (std::size_t c = 0; c < 5; ++c) CHECK(one[c] == all[5 * i + c]);
  }
  CHECK(draw(43, 7, event, slot, 5) != all);
  CHECK(draw(42, 8, event, slot, 5) != all);
}

TEST_CASE("the bits are the same on every processor, and in every version") {
  std::vector<std::uint32_t> event(1003), slot(1003);
  for (std::uint32_t i = 0; i < 1003; ++i) {
    event[i] = i * 2654435761u;
    slot[i] = i % 7 == 0 ? set_slot : i * 40503u;
  }
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, word by word
  for (std::int64_t channels = 1; channels < 10; ++channels) {
    for (const float z : draw(0xDEADBEEF12345678, 0xFEDCBA98, event, slot, channels)) {
      hash = (hash ^ std::bit_cast<std::uint32_t>(z)) * 0x100000001b3;
    }
  }
  CHECK(hash == 0xFEE62629606731D6);
}

TEST_CASE("the noise has the moments of N(0, 1)") {
  const std::size_t n = 1 << 20;
  std::vector<std::uint32_t> event(n), slot(n, 3);
  std::iota(event.begin(), event.end(), 0u);
  const auto z = draw(1, 0, event, slot, 4);
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, beyond_4 = 0, correlation = 0;
  for (std::size_t i = 0; i < z.size(); ++i) {
    const double x = z[i];
    REQUIRE(std::abs(x) < 6.8);
    m1 += x, m2 += x * x, m3 += x * x * x, m4 += x * x * x * x, beyond_4 += std::abs(x) > 4;
    if (i % 2 == 0) correlation += x * z[i + 1];
  }
  const double count = static_cast<double>(z.size());
  // Five standard deviations of each estimator.
  CHECK(m1 / count == Approx(0).margin(5 / std::sqrt(count)));
  CHECK(m2 / count == Approx(1).margin(5 * std::sqrt(2 / count)));
  CHECK(m3 / count == Approx(0).margin(5 * std::sqrt(15 / count)));
  CHECK(m4 / count == Approx(3).margin(5 * std::sqrt(96 / count)));
  CHECK(correlation / (count / 2) == Approx(0).margin(5 / std::sqrt(count / 2)));
  CHECK(beyond_4 == Approx(count * 6.334e-5).margin(5 * std::sqrt(count * 6.334e-5)));
}
