// SPDX-License-Identifier: MIT
/// The one interface behind the engine: a network, loaded and ready on its device.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "hepgen_fastsim/engine.hpp"
#include "hepgen_fastsim/error.hpp"
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
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

class Backend {
 public:
  virtual ~Backend() = default;

  /// Throws ModelError when the network fails; what the device reports passes as it is.
  virtual NetworkOutput forward(const NetworkInput& input) const = 0;

  /// Number of slots of each set, i64 [B]; only for models that draw it.
  virtual at::Tensor slots(const NetworkInput& input) const = 0;

  virtual at::Device device() const = 0;
};

/// Picks the backend by the file's suffix: TorchScript for ".pt".
std::shared_ptr<const Backend> make_backend(const Model& model, at::Device device, Precision precision);

/// The devices of Engine::Config. Throws Error for one that is not there.
std::vector<at::Device> find_devices(const std::string& names);

/// What is given to the network at a time where nobody says so; with a CPU among the devices, what suits that: the
/// model's wish, if it has one (above 0).
std::int64_t default_batch_items(const std::vector<at::Device>& devices, std::int64_t wish);

/// Whether an exception is the device's, not the network's.
bool is_of_device(const std::exception& error);

/// Throws OutOfMemory, or an Error that names the device; `batch` says what was being worked on.
[[noreturn]] void fail_of_device(const std::exception& error, at::Device device, const std::string& batch);

}  // namespace hepgen_fastsim
