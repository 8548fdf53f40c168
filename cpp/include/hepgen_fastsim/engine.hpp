// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "hepgen_fastsim/export.hpp"
#include "hepgen_fastsim/model.hpp"

struct DLManagedTensor;  // dlpack.h

namespace hepgen_fastsim {

/// Ragged sets seen through the caller's arrays, row-major. B sets with T items in all.
struct SetView {
  std::span<const float> features;        ///< [T, F]
  std::span<const std::int64_t> codes;    ///< [T, C]
  std::span<const std::int64_t> offsets;  ///< [B + 1], from 0 to T
  std::span<const float> conditions;      ///< [B, D]
  std::span<const std::int64_t> event;    ///< [B] noise keys in 0 ... 2^32 - 1; empty: 0 ... B - 1

  std::int64_t size() const { return offsets.empty() ? 0 : static_cast<std::int64_t>(offsets.size()) - 1; }
};

/// Ragged sets that the model made, row-major. M items in all.
struct SetBatch {
  std::vector<float> items;              ///< [M, G]
  std::vector<std::int64_t> item_codes;  ///< [M, H]
  std::vector<std::int64_t> offsets{0};  ///< [B + 1]
  std::vector<std::int64_t> origin;      ///< [M] index of the item that it comes from, within its set; -1: none
  std::vector<float> scalars;            ///< [B, S]

  std::int64_t size() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
};

/// The same as tensors of any framework and device, through DLPack; shapes as in SetView. B sets, T items.
struct SetTensors {
  DLManagedTensor* features = nullptr;    ///< f32 [T, F]
  DLManagedTensor* codes = nullptr;       ///< i64 [T, C]
  DLManagedTensor* offsets = nullptr;     ///< i64 [B + 1]
  DLManagedTensor* conditions = nullptr;  ///< f32 [B, D]
  DLManagedTensor* event = nullptr;       ///< i64 [B]; absent: 0 ... B - 1
};

/// Results as tensors on the engine's device; the receiver calls their deleters.
struct SetBatchTensors {
  DLManagedTensor* items = nullptr;       ///< f32 [M, G]
  DLManagedTensor* item_codes = nullptr;  ///< i64 [M, H]
  DLManagedTensor* offsets = nullptr;     ///< i64 [B + 1]
  DLManagedTensor* origin = nullptr;      ///< i64 [M]
  DLManagedTensor* scalars = nullptr;     ///< f32 [B, S]
};

enum class Precision {
  float32,   ///< never TF32 by ourselves: torch's products of matrices by cuBLAS are IEEE float32 whatever the process
             ///< allows; those with a bias, for which torch has cuBLASLt, are so unless the process allows TF32
  bfloat16,  ///< autocast around the network; noise, counts and offsets stay float32 and int64
  tf32,      ///< float32 numbers, products of matrices in TF32 where a GPU has it; elsewhere, CPUs included, float32
};

/// Torch's switch for TF32 in products of matrices on CUDA, torch.backends.cuda.matmul.allow_tf32. It has no form that
/// holds for one thread or object: this changes the whole process, and nothing else in this library does. An Engine of
/// precision tf32 on a GPU needs it on.
HEPGEN_FASTSIM_EXPORT void allow_tf32(bool allow);

/// Whether it is on. Throws Error if torch's older and newer ways to set it were mixed, as torch's products would.
HEPGEN_FASTSIM_EXPORT bool tf32_allowed();

/// Runs a model over ragged sets: packs them into batches of bounded size, draws their noise, returns them in order.
///
/// Results depend on (model, seed, stream, event, set) alone, up to rounding: not on batches, order or threads.
///
/// `run` is const and may be called from many threads on one engine. It works on the calling thread, and for further
/// devices, or a second batch on an accelerator, on threads that end before it returns. It changes nothing of the
/// process: torch's thread counts, gradient modes, generators and current streams stay as they are.
///
/// Each device has its replica of the network; the batches of a run go to the next one that is free. A GPU has two
/// batches on their way, each on its own stream: one is packed, sent or fetched while the other computes.
class HEPGEN_FASTSIM_EXPORT Engine {
 public:
  struct Config {
    std::string device = "auto";  ///< "cpu", "cuda", "cuda:N", "auto": CUDA if there is one; or a list, "cuda:0,cuda:1"
    Precision precision = Precision::float32;
    /// Items (or slots, if those are more) given to the network at a time. 0: on a CPU what the model asks for, else
    /// 32768, which fill its caches; 2^20 on GPUs, which launches of kernels would keep waiting otherwise.
    std::int64_t batch_items = 0;
  };

  /// Moves the model to the devices and freezes it there. Throws Error if there is no such device, or for tf32 on a GPU
  /// in a process that does not allow it.
  explicit Engine(Model model);
  Engine(Model model, Config config);
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  /// Throws InputError if the arrays do not fit the model or hold non-finite numbers, ModelError if the model breaks
  /// its contract. A batch that does not fit into memory is halved and tried again, down to one set; then Error names
  /// the device and the sizes. A device that fails in another way is named by Error too; another call may work.
  /// `stop` is looked at between batches (a network under way is not interrupted) and leads to Cancelled.
  SetBatch run(const SetView& sets, std::uint64_t seed, std::uint32_t stream = 0, std::stop_token stop = {}) const;

  /// The same for tensors that live on a device already: one pass over all of them, no packing, the results stay on the
  /// engine's device (that of the offsets if it is among several, else the first). Takes the inputs over, whatever
  /// happens. Values are not checked: that would synchronise.
  SetBatchTensors run(SetTensors sets, std::uint64_t seed, std::uint32_t stream = 0) const;

  const Metadata& metadata() const;
  const std::string& device() const;  ///< as they were found, for instance "cuda:0,cuda:1"

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace hepgen_fastsim
