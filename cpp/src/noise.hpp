// SPDX-License-Identifier: MIT
/// The noise of random.hpp, as the engine draws it.
#pragma once

#include <cstdint>
#include <span>

namespace at {
class Tensor;
}

namespace hepgen_fastsim {

/// Fills `out` [slot_offsets[B], channels] with the noise of the slots 0, 1, ... of every set: normal_noise without
/// lists of its rows. event [B], slot_offsets [B + 1].
void slot_noise(std::uint64_t seed, std::uint32_t stream, std::span<const std::uint32_t> event,
                std::span<const std::int64_t> slot_offsets, std::int64_t channels, std::span<float> out);

/// Philox4x32-10 and Box-Muller in torch operations, on the device of `event`: event i64 [n], slot i64 [n] (values
/// below 2^32) -> f32 [n, channels], equal to normal_noise of random.hpp up to rounding.
at::Tensor normal_noise_torch(std::uint64_t seed, std::uint32_t stream, const at::Tensor& event, const at::Tensor& slot,
                              std::int64_t channels);

/// The noise of sets, f32 [B, channels], and of their slots, f32 [slot_offsets[B], channels]: by the kernel on a CPU,
/// in torch operations elsewhere, on the device of `event` i64 [B] and `slot_offsets` i64 [B + 1]. `n_slots` is
/// slot_offsets[B], which to ask a device would be to wait for it.
at::Tensor set_noise(std::uint64_t seed, std::uint32_t stream, const at::Tensor& event, std::int64_t channels);
at::Tensor slot_noise(std::uint64_t seed, std::uint32_t stream, const at::Tensor& event, const at::Tensor& slot_offsets,
                      std::int64_t n_slots, std::int64_t channels);

}  // namespace hepgen_fastsim
