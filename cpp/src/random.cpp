// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/random.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "noise.hpp"

namespace hepgen_fastsim {
namespace {

constexpr std::uint32_t multiplier_0 = 0xD2511F53u, multiplier_1 = 0xCD9E8D57u;
constexpr std::uint32_t weyl_0 = 0x9E3779B9u, weyl_1 = 0xBB67AE85u;
constexpr int rounds = 10;
constexpr std::size_t lanes = 64;  // rows worked on at a time: their words and numbers stay in the first-level cache

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

/// Rows of one block of channels, and the numbers made for them.
struct Rows {
  alignas(64) std::array<std::uint32_t, lanes> event{}, slot{};
  alignas(64) std::array<std::array<std::uint32_t, lanes>, 4> word;
  alignas(64) std::array<std::array<float, lanes>, 4> z;
};

#define HEPGEN_KERNEL "random_kernel.inc"
#include "every_instruction_set.inc"

/// `next` fills the events and slots of the next so many rows.
template <typename Next>
void fill(std::uint64_t seed, std::uint32_t stream, std::size_t n_rows, std::size_t width, float* out, Next next) {
  static const auto block = HEPGEN_WIDEST(normal_block);
  const auto k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  Rows rows;
  for (std::size_t begin = 0; begin < n_rows; begin += lanes) {
    const std::size_t n = std::min(lanes, n_rows - begin);
    next(rows, n);
    for (std::size_t first = 0; first < width; first += 4) {
      const std::size_t last = std::min<std::size_t>(4, width - first);
      block(rows, static_cast<std::uint32_t>(first / 4), stream, k0, k1, last);
      float* to = out + begin * width + first;
      for (std::size_t i = 0; i < n; ++i, to += width) {
        for (std::size_t c = 0; c < last; ++c) to[c] = rows.z[c][i];
      }
    }
  }
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t p0 = std::uint64_t{multiplier_0} * c[0], p1 = std::uint64_t{multiplier_1} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ key[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key = {key[0] + weyl_0, key[1] + weyl_1};
  }
  return c;
}

void normal_noise(std::uint64_t seed, std::uint32_t stream, std::span<const std::uint32_t> event,
                  std::span<const std::uint32_t> slot, std::int64_t channels, std::span<float> out) {
  auto from_event = event.begin();
  auto from_slot = slot.begin();
  fill(seed, stream, event.size(), static_cast<std::size_t>(channels), out.data(), [&](Rows& rows, std::size_t n) {
    std::copy_n(from_event, n, rows.event.begin());
    std::copy_n(from_slot, n, rows.slot.begin());
    from_event += static_cast<std::ptrdiff_t>(n), from_slot += static_cast<std::ptrdiff_t>(n);
  });
}

void slot_noise(std::uint64_t seed, std::uint32_t stream, std::span<const std::uint32_t> event,
                std::span<const std::int64_t> slot_offsets, std::int64_t channels, std::span<float> out) {
  const auto n_slots = static_cast<std::size_t>(slot_offsets.back());
  std::size_t set = 0;
  std::int64_t row = 0;
  fill(seed, stream, n_slots, static_cast<std::size_t>(channels), out.data(), [&](Rows& rows, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i, ++row) {
      while (row == slot_offsets[set + 1]) ++set;
      rows.event[i] = event[set];
      rows.slot[i] = static_cast<std::uint32_t>(row - slot_offsets[set]);
    }
  });
}

}  // namespace hepgen_fastsim
