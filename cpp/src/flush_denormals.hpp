// SPDX-License-Identifier: MIT
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace hepgen_fastsim {

/// Numbers below 1e-38 are 0 for the calling thread while alive. The powers of small numbers inside of arc tangents and
/// other functions are such numbers, and x86 takes a hundred cycles for each.
class FlushDenormals {
#if defined(__SSE2__)
 public:
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040u); }  // results and operands
  ~FlushDenormals() { _mm_setcsr(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned before_;
#endif
};

}  // namespace hepgen_fastsim
