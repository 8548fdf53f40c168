// SPDX-License-Identifier: MIT
/// The one interface behind the engine: a network, loaded and ready on its device.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "hepgen_fastsim/engine.hpp"
#include "hepgen_fastsim/model.hpp"

namespace hepgen_fastsim {

/// Arguments of the model's `forward`, in the contract's order (B sets, T items, K slots).
struct NetworkInput {
  at::Tensor features;      // f32 [T, F]
  at::Tensor codes;         // i64 [T, C]
  at::Tensor offsets;       // i64 [B + 1]
  at::Tensor conditions;    // f32 [B, D]
  at::Tensor noise_set;     // f32 [B, Zs]
  at::Tensor slot_offsets;  // i64 [B + 1]
  at::Tensor noise_slot;    // f32 [K, Zk]
};

/// Its results.
struct NetworkOutput {
  at::Tensor items;         // f32 [M, G]
  at::Tensor item_codes;    // i64 [M, H]
  at::Tensor item_offsets;  // i64 [B + 1]
  at::Tensor origin;        // i64 [M]
  at::Tensor scalars;       // f32 [B, S]
};

/// A batch did not fit into the device's memory: the engine tries smaller ones.
class OutOfMemory : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Backend {
 public:
  virtual ~Backend() = default;

  /// Throws OutOfMemory, and ModelError when the network fails otherwise.
  virtual NetworkOutput forward(const NetworkInput& input) const = 0;

  /// Number of slots of each set, i64 [B]; only for models that draw it.
  virtual at::Tensor slots(const NetworkInput& input) const = 0;

  virtual at::Device device() const = 0;
};

/// Picks the backend by the file's suffix: TorchScript for ".pt". Throws Error for a device that is not there.
std::unique_ptr<const Backend> make_backend(const Model& model, const Engine::Config& config);

}  // namespace hepgen_fastsim
