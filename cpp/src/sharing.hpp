// SPDX-License-Identifier: MIT
/// Who works on which batch: lanes, and the threads that use them.
#pragma once

#include <c10/core/Stream.h>

#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <vector>

#include "backend.hpp"
#include "packing.hpp"

namespace hepgen_fastsim {

/// A way through a device: a replica of the network and a stream. A CPU has one. An accelerator has two, which share
/// the replica: one packs, uploads or downloads while the other computes.
struct Lane {
  std::shared_ptr<const Backend> backend;
  c10::Stream stream;
  int users = 0;
};

/// All lanes of an engine, first lanes first. Throws what make_backend throws.
class Lanes {
 public:
  Lanes(const Model& model, const std::vector<at::Device>& devices, Precision precision);

  std::size_t size() const { return lanes_.size(); }
  const Backend& on(at::Device device) const;  ///< the replica there; the first if there is none

  /// The lane with the fewest users, for as long as this lives.
  class Use {
   public:
    explicit Use(const Lanes& lanes);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    const Lane& operator*() const { return lane_; }
    const Lane* operator->() const { return &lane_; }

   private:
    static Lane& least_used(const Lanes& lanes);
    const Lanes& lanes_;
    Lane& lane_;
  };

 private:
  mutable std::mutex mutex_;  // over `users`
  mutable std::vector<Lane> lanes_;
};

/// Calls `work` for every batch, each time on the next thread that is free: the calling one and up to `threads` - 1
/// others, so that no more than `threads` batches are on their way. Returns when all are done.
///
/// A batch for which `work` throws OutOfMemory is halved; a single set is tried once more when nothing else is under
/// way. Any other exception ends it, as does `stop` (Cancelled); batches that have begun are waited for.
void share_out(std::vector<Packing::Batch> batches, std::size_t threads, const std::stop_token& stop,
               const std::function<void(const Packing::Batch&)>& work);

}  // namespace hepgen_fastsim
