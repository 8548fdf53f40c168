// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/engine.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "engine_impl.hpp"
#include "flush_denormals.hpp"
#include "one_thread.hpp"

namespace hepgen_fastsim {
namespace {

std::string text(std::int64_t n) {
  return std::to_string(n);
}

/// glibc gives memory back to the system as soon as a few hundred kilobytes are free at the end of the heap, and
/// fetches it again page by page for the next tensor: a tenth of the time. Once a large block has been freed it keeps
/// up to twice its size, as long as nobody has set the thresholds by hand.
void keep_heap() {
  constexpr std::size_t largest = (std::size_t{32} << 20) - (std::size_t{1} << 16);  // beyond 32 MB nothing is learned
  void* volatile block = std::malloc(largest);
  std::free(block);
}

}  // namespace

Engine::Impl::Impl(Model m, Config c)
    : model(std::move(m)), config(std::move(c)), lanes(model, find_devices(config.device), config.precision) {
  if (config.batch_items < 0) {
    throw Error("Engine: batch_items should be at least 1, or 0 for the engine's choice, but is " +
                text(config.batch_items));
  }
  keep_heap();
  const std::vector<at::Device> devices = find_devices(config.device);
  if (config.batch_items == 0) config.batch_items = default_batch_items(devices, metadata().batch_items);
  for (const at::Device& found : devices) {
    if (!device.empty()) device += ',';
    device += found.str();
  }
}

std::vector<std::int64_t> Engine::Impl::events(const SetView& sets) const {
  std::vector<std::int64_t> out(static_cast<std::size_t>(sets.size()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = sets.event.empty() ? static_cast<std::int64_t>(i) : sets.event[i];
    if (out[i] < 0 || out[i] > 0xFFFFFFFF) {
      throw InputError("Engine: event ids key the noise and lie in 0 ... 2^32 - 1, but set " + text(i) + " has " +
                       text(out[i]));
    }
  }
  return out;
}

void Engine::Impl::share(const Job& job, Packing packing,
                         const std::function<void(const Lane&, const Packing::Batch&)>& work) const {
  share_out(std::move(packing.batches), lanes.size(), job.stop, [&](const Packing::Batch& batch) {
    const Lanes::Use use(lanes);
    const Lane& lane = *use;
    const OneThread one_thread;
    [[maybe_unused]] const FlushDenormals flush{};
    const c10::InferenceMode inference;  // of this thread, while we are here
    try {
      const c10::StreamGuard stream(lane.stream);
      work(lane, batch);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      std::int64_t items = 0, slots = 0;
      for (const std::int64_t set : batch.sets) {
        items += job.sets.offsets[set + 1] - job.sets.offsets[set];
        slots += job.slots.empty() ? 0 : job.slots[set];
      }
      const std::string sets = batch.sets.size() == 1 ? "a single set" : text(batch.sets.size()) + " sets";
      fail_of_device(error, lane.backend->device(),
                     sets + " of " + text(items) + " items and " + text(slots) + " slots");
    }
  });
}

std::vector<std::int64_t> Engine::Impl::slot_counts(const Job& job) const {
  const Metadata& m = metadata();
  std::vector<std::int64_t> counts(static_cast<std::size_t>(job.sets.size())), sizes(counts.size());
  for (std::size_t i = 0; i < counts.size(); ++i) {
    sizes[i] = job.sets.offsets[i + 1] - job.sets.offsets[i];
    counts[i] = m.slots_per_item * sizes[i] + m.slots_per_set;
  }
  if (!m.slots_drawn) return counts;
  constexpr std::int64_t max_slots = 1 << 24;  // of one set: more is a broken model, not a jet
  share(job, Packing::in_order(sizes, config.batch_items), [&](const Lane& lane, const Packing::Batch& batch) {
    const at::Tensor drawn = lane.backend->slots(pack(job, batch, lane.backend->device())).to(at::kCPU).contiguous();
    if (drawn.scalar_type() != at::kLong || drawn.dim() != 1 ||
        drawn.size(0) != static_cast<std::int64_t>(batch.sets.size())) {
      throw ModelError("model '" + m.name + "': 'slots' should return int64 [" + text(batch.sets.size()) +
                       "], but returned " + c10::toString(drawn.scalar_type()) + " with " + text(drawn.numel()) +
                       " elements");
    }
    const auto* values = drawn.const_data_ptr<std::int64_t>();
    for (std::size_t i = 0; i < batch.sets.size(); ++i) {
      if (values[i] < 0 || values[i] > max_slots) {
        throw ModelError("model '" + m.name + "': 'slots' should lie in 0 ... " + text(max_slots) + ", but is " +
                         text(values[i]));
      }
      counts[static_cast<std::size_t>(batch.sets[i])] = values[i];
    }
  });
  return counts;
}

Engine::Engine(Model model) : Engine(std::move(model), Config{}) {}
Engine::Engine(Model model, Config config) : impl_(std::make_unique<const Impl>(std::move(model), std::move(config))) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

const Metadata& Engine::metadata() const {
  return impl_->metadata();
}
const std::string& Engine::device() const {
  return impl_->device;
}

SetBatch Engine::run(const SetView& sets, std::uint64_t seed, std::uint32_t stream, std::stop_token stop) const {
  impl_->check(sets);
  Job job{sets, seed, stream, std::move(stop), impl_->events(sets), {}};
  job.slots = impl_->slot_counts(job);
  std::vector<std::int64_t> sizes(job.slots.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    sizes[i] = std::max(sets.offsets[i + 1] - sets.offsets[i], job.slots[i]);
  }
  const auto pack = impl_->metadata().cost == Cost::linear ? Packing::in_order : Packing::by_size;
  SetBatchBuilder builder(impl_->metadata(), sets.size());
  std::mutex mutex;  // over the builder
  impl_->share(job, pack(sizes, impl_->config.batch_items), [&](const Lane& lane, const Packing::Batch& batch) {
    NetworkOutput out = impl_->forward(job, batch, lane);
    const std::lock_guard lock(mutex);
    builder.add(batch, std::move(out));
  });
  return builder.finish();
}

}  // namespace hepgen_fastsim
