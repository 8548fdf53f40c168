// SPDX-License-Identifier: MIT
/// The engine's second door: tensors in, tensors out, through DLPack.
#include <ATen/ATen.h>
#include <ATen/DLConvertor.h>
#include <c10/core/InferenceMode.h>

#include "engine_impl.hpp"
#include "flush_denormals.hpp"
#include "hepgen_fastsim/error.hpp"
#include "noise.hpp"
#include "one_thread.hpp"

namespace hepgen_fastsim {
namespace {

/// Takes the tensor over, and looks at its type.
at::Tensor take(DLManagedTensor* from, const char* name, at::ScalarType type, std::int64_t columns) {
  const at::Tensor tensor = at::fromDLPack(from);
  const bool fits = tensor.scalar_type() == type && tensor.dim() == (columns < 0 ? 1 : 2) &&
                    (columns < 0 || tensor.size(1) == columns);
  if (fits) return tensor;
  throw InputError(std::string("Engine: tensor '") + name + "' should be " + c10::toString(type) + " of " +
                   (columns < 0 ? "one dimension" : "[n, " + std::to_string(columns) + "]") + ", but is " +
                   c10::toString(tensor.scalar_type()) + " of " + std::to_string(tensor.dim()) + " dimensions");
}

}  // namespace

SetBatchTensors Engine::run(SetTensors sets, std::uint64_t seed, std::uint32_t stream) const {
  const OneThread one_thread;
  [[maybe_unused]] const FlushDenormals flush{};
  const c10::InferenceMode inference;
  const Metadata& m = metadata();
  const auto width = [](const std::vector<Column>& columns) { return static_cast<std::int64_t>(columns.size()); };
  // All are taken before any is looked at, so that none leaks.
  std::optional<InputError> error;
  const auto guarded = [&](DLManagedTensor* from, const char* name, at::ScalarType type, std::int64_t columns) {
    try {
      return from == nullptr ? at::Tensor() : take(from, name, type, columns);
    } catch (const InputError& e) {
      if (!error) error = e;
      return at::Tensor();
    }
  };
  NetworkInput in;
  in.features = guarded(sets.features, "features", at::kFloat, width(m.features));
  in.codes = guarded(sets.codes, "codes", at::kLong, width(m.codes));
  in.offsets = guarded(sets.offsets, "offsets", at::kLong, -1);
  in.conditions = guarded(sets.conditions, "conditions", at::kFloat, width(m.condition));
  at::Tensor event = guarded(sets.event, "event", at::kLong, -1);
  if (error) throw *error;
  if (!in.offsets.defined() || in.offsets.numel() == 0)
    throw InputError("Engine: offsets should have at least one element");
  const std::int64_t n_sets = in.offsets.size(0) - 1;
  const Backend& backend = impl_->lanes.on(in.offsets.device());
  const at::TensorOptions here(backend.device());
  try {
    const auto bring = [&](at::Tensor& t, std::int64_t columns, at::ScalarType type) {
      t = t.defined() ? t.to(here).contiguous() : at::empty({0, columns}, here.dtype(type));
    };
    bring(in.features, width(m.features), at::kFloat);
    bring(in.codes, width(m.codes), at::kLong);
    bring(in.offsets, 0, at::kLong);
    bring(in.conditions, width(m.condition), at::kFloat);
    event = event.defined() ? event.to(here).contiguous() : at::arange(n_sets, in.offsets.options());
    if (width(m.condition) == 0) in.conditions = at::empty({n_sets, 0}, in.features.options());
    if (event.size(0) != n_sets || in.conditions.size(0) != n_sets || in.features.size(0) != in.codes.size(0)) {
      throw InputError("Engine: " + std::to_string(n_sets) + " sets by the offsets, " + std::to_string(event.size(0)) +
                       " events, " + std::to_string(in.conditions.size(0)) + " conditions; " +
                       std::to_string(in.features.size(0)) + " features, " + std::to_string(in.codes.size(0)) +
                       " codes");
    }
    in.noise_set = set_noise(seed, stream, event, m.noise_set);
    const at::Tensor slots = m.slots_drawn ? backend.slots(in) : in.offsets.diff() * m.slots_per_item + m.slots_per_set;
    in.slot_offsets = at::cat({at::zeros({1}, slots.options()), slots.cumsum(0)});
    const std::int64_t n_slots = m.slots_drawn ? in.slot_offsets[-1].item<std::int64_t>()
                                               : in.features.size(0) * m.slots_per_item + n_sets * m.slots_per_set;
    in.noise_slot = slot_noise(seed, stream, event, in.slot_offsets, n_slots, m.noise_slot);
    const NetworkOutput out = backend.forward(in);
    impl_->check_shapes(out, n_sets);
    return {at::toDLPack(out.items), at::toDLPack(out.item_codes), at::toDLPack(out.item_offsets),
            at::toDLPack(out.origin), at::toDLPack(out.scalars)};
  } catch (const Error&) {
    throw;
  } catch (const std::exception& failure) {
    fail_of_device(failure, backend.device(), std::to_string(n_sets) + " sets");
  }
}

}  // namespace hepgen_fastsim
