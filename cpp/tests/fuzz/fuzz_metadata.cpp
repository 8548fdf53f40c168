// SPDX-License-Identifier: MIT
/// Any bytes: the metadata parser gives complete metadata or throws ModelError.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/metadata.hpp"

namespace hf = hepgen_fastsim;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto m = hf::Metadata::parse(std::string(reinterpret_cast<const char*>(data), size));
    if (m.format != hf::Metadata::supported_format || m.noise_slot < 0 || m.slots_per_item < 0) std::abort();
  } catch (const hf::ModelError&) {
  }
  return 0;
}
