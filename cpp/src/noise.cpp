// SPDX-License-Identifier: MIT
#include "noise.hpp"

#include <ATen/ATen.h>

#include <numbers>

#include "hepgen_fastsim/random.hpp"

namespace hepgen_fastsim {
namespace {

constexpr std::int64_t mask = 0xFFFFFFFF;

/// High and low word of constant * x. int64 multiplication wraps, so all 64 bits of the product are right.
std::pair<at::Tensor, at::Tensor> multiply(std::int64_t constant, const at::Tensor& x) {
  const at::Tensor product = x * constant;
  return {product.bitwise_right_shift(32).bitwise_and(mask), product.bitwise_and(mask)};
}

std::pair<at::Tensor, at::Tensor> box_muller(const at::Tensor& a, const at::Tensor& b) {
  // The same float32 as in random.cpp: near 1 its rounding is what counts, not the logarithm's.
  const at::Tensor u =
      a.bitwise_right_shift(8).to(at::kFloat) * 0x1p-24 + (a.bitwise_and(0xFF).to(at::kFloat) * 0x1p-32 + 0x1p-33);
  const at::Tensor radius = (u.to(at::kDouble).log() * -2.0).sqrt();
  const at::Tensor angle = b.to(at::kDouble) * (2.0 * std::numbers::pi * 0x1p-32);
  return {(radius * angle.cos()).to(at::kFloat), (radius * angle.sin()).to(at::kFloat)};
}

std::vector<std::uint32_t> words(const at::Tensor& t) {
  const auto* data = t.const_data_ptr<std::int64_t>();
  return {data, data + t.numel()};
}

std::span<float> numbers(at::Tensor& t) {
  return {t.mutable_data_ptr<float>(), static_cast<std::size_t>(t.numel())};
}

}  // namespace

at::Tensor normal_noise_torch(std::uint64_t seed, std::uint32_t stream, const at::Tensor& event, const at::Tensor& slot,
                              std::int64_t channels) {
  std::vector<at::Tensor> out;
  for (std::int64_t block = 0; 4 * block < channels; ++block) {
    at::Tensor c0 = at::full_like(event, block), c1 = slot, c2 = event;
    at::Tensor c3 = at::full_like(event, static_cast<std::int64_t>(stream));
    auto k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const auto [high0, low0] = multiply(0xD2511F53, c0);
      const auto [high1, low1] = multiply(0xCD9E8D57, c2);
      c0 = high1.bitwise_xor(c1).bitwise_xor(static_cast<std::int64_t>(k0));
      c1 = low1;
      c2 = high0.bitwise_xor(c3).bitwise_xor(static_cast<std::int64_t>(k1));
      c3 = low0;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    const auto [z0, z1] = box_muller(c0, c1);
    const auto [z2, z3] = box_muller(c2, c3);
    out.insert(out.end(), {z0, z1, z2, z3});
  }
  if (out.empty()) return at::empty({event.size(0), 0}, event.options().dtype(at::kFloat));
  return at::stack(out, 1).narrow(1, 0, channels).contiguous();
}

at::Tensor set_noise(std::uint64_t seed, std::uint32_t stream, const at::Tensor& event, std::int64_t channels) {
  if (!event.is_cpu()) {
    const at::Tensor slot = at::full_like(event, std::int64_t{set_slot});
    return normal_noise_torch(seed, stream, event, slot, channels);
  }
  at::Tensor out = at::empty({event.size(0), channels}, at::kFloat);
  const std::vector<std::uint32_t> slot(static_cast<std::size_t>(event.size(0)), set_slot);
  normal_noise(seed, stream, words(event), slot, channels, numbers(out));
  return out;
}

at::Tensor slot_noise(std::uint64_t seed, std::uint32_t stream, const at::Tensor& event, const at::Tensor& slot_offsets,
                      std::int64_t n_slots, std::int64_t channels) {
  if (!event.is_cpu()) {
    const at::Tensor set =
        at::repeat_interleave(at::arange(event.size(0), event.options()), slot_offsets.diff(), 0, n_slots);
    const at::Tensor slot = at::arange(n_slots, event.options()) - slot_offsets.index_select(0, set);
    return normal_noise_torch(seed, stream, event.index_select(0, set), slot, channels);
  }
  at::Tensor out = at::empty({n_slots, channels}, at::kFloat);
  const std::span offsets(slot_offsets.const_data_ptr<std::int64_t>(), static_cast<std::size_t>(slot_offsets.numel()));
  slot_noise(seed, stream, words(event), offsets, channels, numbers(out));
  return out;
}

}  // namespace hepgen_fastsim
