// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>
#include <string>

#include "hepgen_fastsim/export.hpp"

namespace hepgen_fastsim {

/// Base of everything that this library throws on purpose. The message is a sentence with both sides of the
/// disagreement: what was expected and what was found, with the file, line and event where there are such.
class HEPGEN_FASTSIM_EXPORT Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
  ~Error() override;
};

/// A model file that cannot be trusted or does not keep the contract.
class HEPGEN_FASTSIM_EXPORT ModelError : public Error {
 public:
  explicit ModelError(const std::string& message) : Error(message) {}
  ~ModelError() override;
};

/// Events, arrays or files that cannot be used; what came before them is unharmed.
class HEPGEN_FASTSIM_EXPORT InputError : public Error {
 public:
  explicit InputError(const std::string& message) : Error(message) {}
  ~InputError() override;
};

/// The caller asked to stop; nothing was returned.
class HEPGEN_FASTSIM_EXPORT Cancelled : public Error {
 public:
  explicit Cancelled(const std::string& message) : Error(message) {}
  ~Cancelled() override;
};

}  // namespace hepgen_fastsim
