// SPDX-License-Identifier: MIT
#include "precision.hpp"

#include <ATen/autocast_mode.h>

#include <algorithm>

#include "hepgen_fastsim/error.hpp"

namespace hepgen_fastsim {

PrecisionScope::PrecisionScope(Precision precision, at::DeviceType device)
    : device_(device), autocast_(precision == Precision::bfloat16) {
  if (precision != Precision::tf32) no_tf32_.emplace();
  if (!autocast_) return;
  before_ = at::autocast::is_autocast_enabled(device_);
  dtype_ = at::autocast::get_autocast_dtype(device_);
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  at::autocast::increment_nesting();
}

PrecisionScope::~PrecisionScope() {
  if (!autocast_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, before_);
  at::autocast::set_autocast_dtype(device_, dtype_);
}

void check_precision(Precision precision, const std::vector<at::Device>& devices) {
  const auto is_cuda = [](const at::Device& device) { return device.is_cuda(); };
  if (precision != Precision::tf32 || !std::any_of(devices.begin(), devices.end(), is_cuda) || tf32_allowed()) return;
  throw Error(
      "Engine: precision tf32 on a GPU needs torch's switch for TF32, which belongs to the whole process and is off; "
      "turn it on first: allow_tf32(true), in Python torch.backends.cuda.matmul.allow_tf32 = True");
}

void allow_tf32(bool allow) {
  at::globalContext().setAllowTF32CuBLAS(allow);
}

bool tf32_allowed() {
  try {
    return at::globalContext().allowTF32CuBLAS();
  } catch (const std::exception& error) {  // torch's older and newer switch contradict each other
    throw Error("Engine: torch cannot tell whether TF32 is allowed: " + std::string(error.what()).substr(0, 400));
  }
}

}  // namespace hepgen_fastsim
