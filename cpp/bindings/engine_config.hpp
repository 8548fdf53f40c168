// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "hepgen_fastsim/engine.hpp"
#include "hepgen_fastsim/error.hpp"

inline hepgen_fastsim::Engine::Config engine_config(const std::string& device, const std::string& precision,
                                                    std::int64_t batch_items) {
  using hepgen_fastsim::Precision;
  hepgen_fastsim::Engine::Config config{device, Precision::float32, batch_items};
  if (precision == "bf16" || precision == "bfloat16") {
    config.precision = Precision::bfloat16;
  } else if (precision == "tf32") {
    config.precision = Precision::tf32;
  } else if (precision != "float32") {
    throw hepgen_fastsim::InputError("precision should be 'float32', 'tf32' or 'bf16', but is '" + precision + "'");
  }
  return config;
}
