// SPDX-License-Identifier: MIT
#pragma once

// From the OpenMP runtime that torch brings along; absent (null) if this torch was built without.
extern "C" {
void omp_set_num_threads(int) __attribute__((weak));
int omp_get_max_threads() __attribute__((weak));
}

namespace hepgen_fastsim {

/// Keeps torch's operations on the calling thread while alive. OpenMP's number of threads belongs to the thread that
/// sets it, so nobody else is affected; at::set_num_threads would change the whole process.
///
/// Ragged batches are too small to share one operation among cores: events in parallel are, operations are not.
class OneThread {
 public:
  OneThread() {
    if (omp_set_num_threads == nullptr || omp_get_max_threads == nullptr) return;
    before_ = omp_get_max_threads();
    omp_set_num_threads(1);
  }
  ~OneThread() {
    if (before_ > 0) omp_set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = 0;
};

}  // namespace hepgen_fastsim
