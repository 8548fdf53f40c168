// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/random.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

// One binary for all processors: the loader picks the widest instruction set that is there. The bits do not depend on
// it, since this file is compiled without contraction into fused multiply-adds.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define HEPGEN_MULTIVERSION __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define HEPGEN_MULTIVERSION
#endif

namespace hepgen_fastsim {
namespace {

constexpr std::uint32_t multiplier_0 = 0xD2511F53u, multiplier_1 = 0xCD9E8D57u;
constexpr std::uint32_t weyl_0 = 0x9E3779B9u, weyl_1 = 0xBB67AE85u;
constexpr int rounds = 10;
constexpr std::size_t lanes = 64;  // rows worked on at a time: four arrays of them stay in the first-level cache

inline void philox(std::uint32_t& c0, std::uint32_t& c1, std::uint32_t& c2, std::uint32_t& c3, std::uint32_t k0,
                   std::uint32_t k1) {
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t p0 = std::uint64_t{multiplier_0} * c0;
    const std::uint64_t p1 = std::uint64_t{multiplier_1} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += weyl_0;
    k1 += weyl_1;
  }
}

/// Natural logarithm on (0, 1], relative error below 2e-7 (polynomial of Cephes' logf).
inline float log_unit(float u) {
  const auto bits = std::bit_cast<std::int32_t>(u);
  // Shift the mantissa's window from [1, 2) to [sqrt(1/2), sqrt(2)), where the polynomial holds.
  const std::int32_t shifted = bits - 0x3F3504F3;
  const auto exponent = static_cast<float>(shifted >> 23);
  const float f = std::bit_cast<float>((shifted & 0x007FFFFF) + 0x3F3504F3) - 1.0f;
  const float f2 = f * f;
  float p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  const float y = f * f2 * p - 2.12194440e-4f * exponent - 0.5f * f2;
  return f + y + 0.693359375f * exponent;
}

/// Two normal numbers from two words: sqrt(-2 ln u1) (cos 2 pi u2, sin 2 pi u2).
inline void box_muller(std::uint32_t a, std::uint32_t b, float& z0, float& z1) {
  // All 32 bits count, so that the tail reaches sqrt(-2 ln 2^-33) = 6.76.
  const float u = static_cast<float>(static_cast<std::int32_t>(a >> 8)) * 0x1p-24f +
                  (static_cast<float>(static_cast<std::int32_t>(a & 0xFFu)) * 0x1p-32f + 0x1p-33f);
  const float radius = std::sqrt(std::max(-2.0f * log_unit(u), 0.0f));
  // Quadrant in integers, then the polynomials of Cephes' sinf and cosf on [-pi/4, pi/4].
  const std::uint32_t quadrant = (b + 0x20000000u) >> 30;
  const auto rest = static_cast<std::int32_t>(b - (quadrant << 30));
  const float x = static_cast<float>(rest) * 1.46291807926715968e-9f;  // 2 pi / 2^32
  const float x2 = x * x;
  const float sine = x + x * x2 * ((-1.9515295891e-4f * x2 + 8.3321608736e-3f) * x2 - 1.6666654611e-1f);
  const float cosine =
      1.0f - 0.5f * x2 + x2 * x2 * ((2.443315711809948e-5f * x2 - 1.388731625493765e-3f) * x2 + 4.166664568298827e-2f);
  const bool swap = (quadrant & 1u) != 0;
  const float c = swap ? sine : cosine;
  const float s = swap ? cosine : sine;
  z0 = radius * (((quadrant + 1u) & 2u) != 0 ? -c : c);
  z1 = radius * ((quadrant & 2u) != 0 ? -s : s);
}

/// Four channels of up to `lanes` rows.
HEPGEN_MULTIVERSION void normal_block(std::uint32_t k0, std::uint32_t k1, std::uint32_t block, std::uint32_t stream,
                                      const std::uint32_t* event, const std::uint32_t* slot, float* z0, float* z1,
                                      float* z2, float* z3) {
  for (std::size_t i = 0; i < lanes; ++i) {
    std::uint32_t c0 = block, c1 = slot[i], c2 = event[i], c3 = stream;
    philox(c0, c1, c2, c3, k0, k1);
    box_muller(c0, c1, z0[i], z1[i]);
    box_muller(c2, c3, z2[i], z3[i]);
  }
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
  return counter;
}

void normal_noise(std::uint64_t seed, std::uint32_t stream, std::span<const std::uint32_t> event,
                  std::span<const std::uint32_t> slot, std::int64_t channels, std::span<float> out) {
  const auto k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  const auto width = static_cast<std::size_t>(channels);
  std::array<std::uint32_t, lanes> events{}, slots{};
  std::array<std::array<float, lanes>, 4> z;
  for (std::size_t begin = 0; begin < event.size(); begin += lanes) {
    const std::size_t n = std::min(lanes, event.size() - begin);
    std::copy_n(event.begin() + begin, n, events.begin());
    std::copy_n(slot.begin() + begin, n, slots.begin());
    for (std::size_t first = 0; first < width; first += 4) {
      normal_block(k0, k1, static_cast<std::uint32_t>(first / 4), stream, events.data(), slots.data(), z[0].data(),
                   z[1].data(), z[2].data(), z[3].data());
      const std::size_t last = std::min<std::size_t>(4, width - first);
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t c = 0; c < last; ++c) out[(begin + i) * width + first + c] = z[c][i];
      }
    }
  }
}

}  // namespace hepgen_fastsim
