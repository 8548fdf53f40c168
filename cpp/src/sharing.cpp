// SPDX-License-Identifier: MIT
#include "sharing.hpp"

#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <thread>

#include "precision.hpp"

namespace hepgen_fastsim {

Lanes::Lanes(const Model& model, const std::vector<at::Device>& devices, Precision precision) {
  check_precision(precision, devices);
  for (const int lane : {0, 1}) {
    for (std::size_t i = 0; i < devices.size(); ++i) {
      const auto* torch = c10::impl::getDeviceGuardImpl(devices[i].type());
      if (lane == 0) {
        lanes_.push_back({make_backend(model, devices[i], precision), torch->getNewStream(devices[i])});
        torch->synchronizeStream(torch->getStream(devices[i]));  // the weights are there, whatever stream comes
      } else if (!devices[i].is_cpu()) {
        lanes_.push_back({lanes_[i].backend, torch->getNewStream(devices[i])});
      }
    }
  }
}

const Backend& Lanes::on(at::Device device) const {
  const auto there = [&](const Lane& lane) { return lane.backend->device() == device; };
  const auto found = std::find_if(lanes_.begin(), lanes_.end(), there);
  return *(found == lanes_.end() ? lanes_.front() : *found).backend;
}

Lane& Lanes::Use::least_used(const Lanes& lanes) {
  const std::lock_guard lock(lanes.mutex_);
  Lane& lane = *std::min_element(lanes.lanes_.begin(), lanes.lanes_.end(),
                                 [](const Lane& a, const Lane& b) { return a.users < b.users; });
  ++lane.users;
  return lane;
}

Lanes::Use::Use(const Lanes& lanes) : lanes_(lanes), lane_(least_used(lanes)) {}

Lanes::Use::~Use() {
  const std::lock_guard lock(lanes_.mutex_);
  --lane_.users;
}

void share_out(std::vector<Packing::Batch> batches, std::size_t threads, const std::stop_token& stop,
               const std::function<void(const Packing::Batch&)>& work) {
  using Batch = Packing::Batch;
  threads = std::min(threads, batches.size());
  std::reverse(batches.begin(), batches.end());  // the next one is the last
  std::vector<Batch> alone;
  std::exception_ptr error;
  std::mutex mutex;  // over the three above

  const auto next = [&]() -> std::optional<Batch> {
    const std::lock_guard lock(mutex);
    if (error || batches.empty()) return std::nullopt;
    if (stop.stop_requested()) {
      throw Cancelled("Engine: cancelled with " + std::to_string(batches.size()) + " batches to go");
    }
    Batch batch = std::move(batches.back());
    batches.pop_back();
    return batch;
  };
  const auto halve = [&](Batch batch) {
    const std::lock_guard lock(mutex);
    if (batch.sets.size() < 2) return alone.push_back(std::move(batch));
    auto [first, second] = batch.halves();
    batches.push_back(std::move(second));
    batches.push_back(std::move(first));
  };
  const auto work_on = [&] {
    try {
      while (std::optional<Batch> batch = next()) {
        try {
          work(*batch);
        } catch (const OutOfMemory&) {
          if (threads == 1 && batch->sets.size() < 2) throw;  // nobody else has any
          halve(std::move(*batch));
        }
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < threads; ++i) others.emplace_back(work_on);
    work_on();
  }
  if (error) std::rethrow_exception(error);
  if (!alone.empty()) share_out(std::move(alone), 1, stop, work);
}

}  // namespace hepgen_fastsim
