// SPDX-License-Identifier: MIT
#pragma once

#include <torch/script.h>

#include "hepgen_fastsim/model.hpp"

namespace hepgen_fastsim {

struct Model::Impl {
  Metadata metadata;
  std::string path;
  torch::jit::Module module;  // on the CPU, in eval mode, not frozen
};

}  // namespace hepgen_fastsim
