// SPDX-License-Identifier: MIT
#include "jets_kernel.hpp"

#include <cstring>
#include <numbers>

#if defined(__x86_64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC's own header, in what it leaves undefined on purpose
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace hepgen_fastsim::jets {
namespace {

constexpr double pi = std::numbers::pi;
constexpr double infinity = std::numeric_limits<double>::infinity();

// One binary for all processors: the widest instruction set that is there is taken. The numbers do not depend on it,
// since this file is compiled without contraction into fused multiply-adds.
namespace baseline {
#define HEPGEN_VECTOR_BYTES 16
#include "jets_kernel.inc"
}  // namespace baseline

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC target("avx2")
namespace avx2 {
#define HEPGEN_VECTOR_BYTES 32
#include "jets_kernel.inc"
}  // namespace avx2
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f")
namespace avx512 {
#define HEPGEN_VECTOR_BYTES 64
#include "jets_kernel.inc"
}  // namespace avx512
#pragma GCC pop_options
#endif

}  // namespace

Kernel best_kernel() {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  if (__builtin_cpu_supports("avx512f")) return {avx512::smallest, avx512::nearest};
  if (__builtin_cpu_supports("avx2")) return {avx2::smallest, avx2::nearest};
#endif
  return {baseline::smallest, baseline::nearest};
}

}  // namespace hepgen_fastsim::jets
