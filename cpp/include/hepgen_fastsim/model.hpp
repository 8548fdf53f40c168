// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "hepgen_fastsim/export.hpp"
#include "hepgen_fastsim/metadata.hpp"

namespace hepgen_fastsim {

/// A validated model file. A model file is code: load only files that you trust.
///
/// Copies share the loaded module; all members are const and may be called from any thread.
class HEPGEN_FASTSIM_EXPORT Model {
 public:
  /// Loads a TorchScript file, or a bundled model by its name (see `find`). Throws ModelError and loads nothing if the
  /// file is missing or damaged, its metadata are not of format 1, or its methods do not match them.
  static Model load(const std::string& path_or_name);

  /// Path of a bundled model: NAME.pt in the folders of the environment variable HEPGEN_MODEL_PATH (separated by ':'),
  /// or in ../models beside this library; a name that contains '/' or ends in ".pt" is a path already.
  static std::string find(const std::string& path_or_name);

  const Metadata& metadata() const;
  const std::string& path() const;

  struct Impl;  ///< holds torch's types, which stay out of this header
  const Impl& impl() const { return *impl_; }

 private:
  explicit Model(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace hepgen_fastsim
