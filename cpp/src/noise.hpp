// SPDX-License-Identifier: MIT
/// The noise of random.hpp as tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hepgen_fastsim {

/// Philox4x32-10 and Box-Muller in torch operations, on the device of `event`: event i64 [n], slot i64 [n] (values
/// below 2^32) -> f32 [n, channels], equal to normal_noise of random.hpp up to rounding.
at::Tensor normal_noise_torch(std::uint64_t seed, std::uint32_t stream, const at::Tensor& event, const at::Tensor& slot,
                              std::int64_t channels);

}  // namespace hepgen_fastsim
