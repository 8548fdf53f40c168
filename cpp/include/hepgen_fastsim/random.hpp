// SPDX-License-Identifier: MIT
/// Counter-based noise: the same numbers for the same event in any batch, order, thread count or split.
///
/// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11) with
/// key = seed and counter = (channel block, slot, event, stream), 32 bits each; four channels a block, made normal
/// by the Box-Muller transform.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "hepgen_fastsim/export.hpp"

namespace hepgen_fastsim {

/// One Philox4x32-10 block. Known answers: Random123's kat_vectors.
HEPGEN_FASTSIM_EXPORT std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                              std::array<std::uint32_t, 2> key);

/// The slot that carries the noise of a whole set.
inline constexpr std::uint32_t set_slot = 0xFFFFFFFFu;

/// Fills `out` [n, channels] row-major with independent N(0, 1) numbers, |z| < 6.8; row k belongs to
/// (event[k], slot[k]).
HEPGEN_FASTSIM_EXPORT void normal_noise(std::uint64_t seed, std::uint32_t stream, std::span<const std::uint32_t> event,
                                        std::span<const std::uint32_t> slot, std::int64_t channels,
                                        std::span<float> out);

}  // namespace hepgen_fastsim
