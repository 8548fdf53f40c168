// SPDX-License-Identifier: MIT
/// One batch: to the device, through the network, and back.
#include <ATen/ATen.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <algorithm>

#include "engine_impl.hpp"
#include "noise.hpp"

namespace hepgen_fastsim {

NetworkInput Engine::Impl::pack(const Job& job, const Packing::Batch& batch, at::Device device) const {
  const Metadata& m = metadata();
  const auto n_sets = static_cast<std::int64_t>(batch.sets.size());
  // Accelerators fetch page-locked memory while the host goes on; torch keeps it until they have.
  const auto host = [&](at::IntArrayRef shape, at::ScalarType type) {
    return at::empty(shape, at::TensorOptions(type).pinned_memory(!device.is_cpu()));
  };
  const auto upload = [&](const at::Tensor& t) { return t.to(device, /*non_blocking=*/true); };

  const at::Tensor offsets = host({n_sets + 1}, at::kLong), slot_offsets = host({n_sets + 1}, at::kLong);
  const at::Tensor events = host({n_sets}, at::kLong);
  auto* offset = offsets.mutable_data_ptr<std::int64_t>();
  auto* slot_offset = slot_offsets.mutable_data_ptr<std::int64_t>();
  auto* event = events.mutable_data_ptr<std::int64_t>();
  offset[0] = slot_offset[0] = 0;
  for (std::int64_t i = 0; i < n_sets; ++i) {
    const std::int64_t set = batch.sets[static_cast<std::size_t>(i)];
    offset[i + 1] = offset[i] + job.sets.offsets[set + 1] - job.sets.offsets[set];
    slot_offset[i + 1] = slot_offset[i] + (job.slots.empty() ? 0 : job.slots[set]);
    event[i] = job.event[set];
  }
  // Rows first(set) ... first(set + 1) of the sets.
  const auto rows = [&]<typename T>(std::span<const T> data, std::size_t columns, std::int64_t n, auto first) {
    const auto width = static_cast<std::int64_t>(columns);
    constexpr auto type = std::is_same_v<T, float> ? at::kFloat : at::kLong;
    if (batch.contiguous && device.is_cpu() && n * width > 0) {  // the caller's memory itself, which is only read
      return at::from_blob(const_cast<T*>(data.data()) + first(batch.sets.front()) * width, {n, width}, type);
    }
    const at::Tensor out = host({n, width}, type);
    auto* to = out.mutable_data_ptr<T>();
    for (const std::int64_t set : batch.sets) {
      to = std::copy(data.begin() + first(set) * width, data.begin() + first(set + 1) * width, to);
    }
    return upload(out);
  };
  const auto item = [&](std::int64_t set) { return job.sets.offsets[static_cast<std::size_t>(set)]; };
  const auto itself = [](std::int64_t set) { return set; };
  NetworkInput in{.features = rows(job.sets.features, m.features.size(), offset[n_sets], item),
                  .codes = rows(job.sets.codes, m.codes.size(), offset[n_sets], item),
                  .offsets = upload(offsets),
                  .conditions = rows(job.sets.conditions, m.condition.size(), n_sets, itself),
                  .noise_set = {},
                  .slot_offsets = upload(slot_offsets),
                  .noise_slot = {}};
  const at::Tensor keys = upload(events);
  in.noise_set = set_noise(job.seed, job.stream, keys, m.noise_set);
  in.noise_slot = slot_noise(job.seed, job.stream, keys, in.slot_offsets, slot_offset[n_sets], m.noise_slot);
  return in;
}

NetworkOutput Engine::Impl::forward(const Job& job, const Packing::Batch& batch, const Lane& lane) const {
  NetworkOutput out = lane.backend->forward(pack(job, batch, lane.backend->device()));
  const auto all = {&out.items, &out.item_codes, &out.item_offsets, &out.origin, &out.scalars};
  for (at::Tensor* t : all) *t = t->contiguous().to(at::kCPU, /*non_blocking=*/true);
  c10::impl::getDeviceGuardImpl(lane.stream.device_type())->synchronizeStream(lane.stream);
  if (!lane.backend->device().is_cpu()) {  // page-locked memory is for the way, not for keeping
    for (at::Tensor* t : all) *t = t->clone();
  }
  check_shapes(out, static_cast<std::int64_t>(batch.sets.size()));
  check_values(out, job.sets, batch);
  return out;
}

}  // namespace hepgen_fastsim
