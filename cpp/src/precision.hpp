// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/Context.h>
#include <c10/core/Device.h>

#include <optional>
#include <vector>

#include "hepgen_fastsim/engine.hpp"

namespace hepgen_fastsim {

/// A precision on this thread while alive: autocast for bfloat16, no TF32 unless it was asked for. Both are the
/// thread's own state in torch, and are what they were afterwards.
class PrecisionScope {
 public:
  PrecisionScope(Precision precision, at::DeviceType device);
  ~PrecisionScope();
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  at::DeviceType device_;
  bool autocast_, before_ = false;
  at::ScalarType dtype_ = at::kFloat;
  std::optional<at::NoTF32Guard> no_tf32_;
};

/// Throws Error if TF32 is asked for on a GPU where the process does not allow it.
void check_precision(Precision precision, const std::vector<at::Device>& devices);

}  // namespace hepgen_fastsim
