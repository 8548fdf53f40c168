// SPDX-License-Identifier: MIT
/// Reads hepgen.json out of a model file. Apart from the parser, which needs no torch.
#include <caffe2/serialize/inline_container.h>

#include <filesystem>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/metadata.hpp"

namespace hepgen_fastsim {
namespace {

constexpr std::size_t max_bytes = 16 << 20;  // a larger hepgen.json is no metadata

}  // namespace

Metadata Metadata::read(const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) throw ModelError("model file '" + path + "' does not exist");
  const std::string entry = "extra/hepgen.json";
  std::string text;
  try {
    caffe2::serialize::PyTorchStreamReader reader(path);
    if (!reader.hasRecord(entry)) {
      throw ModelError("'" + path + "' is a zip file without " + entry + ": not a model of hepgen_fastsim");
    }
    if (const std::size_t size = reader.getRecordSize(entry); size > max_bytes) {
      throw ModelError("'" + path + "': " + entry + " has " + std::to_string(size) + " bytes; at most " +
                       std::to_string(max_bytes) + " are read");
    }
    const auto [data, size] = reader.getRecord(entry);
    text.assign(static_cast<const char*>(data.get()), size);
  } catch (const c10::Error& error) {
    throw ModelError("'" + path +
                     "' is no readable model file (a TorchScript zip archive): " + error.what_without_backtrace());
  }
  try {
    return parse(text);
  } catch (const ModelError& error) {
    throw ModelError("'" + path + "': " + error.what());
  }
}

}  // namespace hepgen_fastsim
