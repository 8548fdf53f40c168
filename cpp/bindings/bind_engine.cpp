// SPDX-License-Identifier: MIT
#include "bindings.hpp"
#include "dlpack_capsule.hpp"
#include "engine_config.hpp"
#include "hepgen_fastsim/engine.hpp"

namespace py = pybind11;
namespace hf = hepgen_fastsim;

namespace {

py::dict run(const hf::Engine& engine, const Array<float>& features, const Array<std::int64_t>& codes,
             const Array<std::int64_t>& offsets, const Array<float>& conditions,
             const std::optional<Array<std::int64_t>>& event, std::uint64_t seed, std::uint32_t stream) {
  hf::SetView sets{as_span(features), as_span(codes), as_span(offsets), as_span(conditions), {}};
  if (event) sets.event = as_span(*event);
  hf::SetBatch out;
  {
    const py::gil_scoped_release release;
    out = engine.run(sets, seed, stream);
  }
  const auto items = static_cast<py::ssize_t>(out.origin.size()), n_sets = static_cast<py::ssize_t>(out.size());
  const auto width = [](const std::vector<hf::Column>& columns) { return static_cast<py::ssize_t>(columns.size()); };
  const hf::Metadata& m = engine.metadata();
  py::dict result;
  result["items"] = as_numpy(std::move(out.items), {items, width(m.output_features)});
  result["item_codes"] = as_numpy(std::move(out.item_codes), {items, width(m.output_codes)});
  result["offsets"] = as_numpy(std::move(out.offsets));
  result["origin"] = as_numpy(std::move(out.origin));
  result["scalars"] = as_numpy(std::move(out.scalars), {n_sets, width(m.scalars)});
  return result;
}

/// A tensor on its way out: answers the DLPack protocol once.
class DLTensorOwner {
 public:
  explicit DLTensorOwner(DLManagedTensor* tensor) : capsule_(hepgen_dlpack::to_capsule(tensor)) {
    const auto device = hepgen_dlpack::device(tensor);
    device_ = py::make_tuple(device.first, device.second);
  }
  py::object dlpack(const py::kwargs&) const { return capsule_; }
  py::tuple device() const { return device_; }

 private:
  py::capsule capsule_;
  py::tuple device_;
};

py::dict run_tensors(const hf::Engine& engine, const py::object& features, const py::object& codes,
                     const py::object& offsets, const py::object& conditions, const py::object& event,
                     std::uint64_t seed, std::uint32_t stream) {
  const auto take = [](const py::object& tensor) -> DLManagedTensor* {
    return tensor.is_none() ? nullptr : hepgen_dlpack::from_capsule(tensor.attr("__dlpack__")());
  };
  const hf::SetTensors sets{take(features), take(codes), take(offsets), take(conditions), take(event)};
  hf::SetBatchTensors out;
  {
    const py::gil_scoped_release release;
    out = engine.run(sets, seed, stream);
  }
  py::dict result;
  result["items"] = DLTensorOwner(out.items);
  result["item_codes"] = DLTensorOwner(out.item_codes);
  result["offsets"] = DLTensorOwner(out.offsets);
  result["origin"] = DLTensorOwner(out.origin);
  result["scalars"] = DLTensorOwner(out.scalars);
  return result;
}

}  // namespace

void bind_engine(py::module_& m) {
  py::class_<DLTensorOwner>(m, "DLTensor", "A result that torch.from_dlpack, numpy.from_dlpack and the like take over.")
      .def("__dlpack__", &DLTensorOwner::dlpack)
      .def("__dlpack_device__", &DLTensorOwner::device);

  m.def("allow_tf32", &hf::allow_tf32, py::arg("allow"),
        "torch.backends.cuda.matmul.allow_tf32: TF32 in products of matrices on CUDA, for the whole process.");
  m.def("tf32_allowed", &hf::tf32_allowed);

  py::class_<hf::Engine>(
      m, "Engine",
      "Runs a model over ragged sets, packed into batches of bounded size; safe to call from many threads.")
      .def(py::init([](const hf::Model& model, const std::string& device, const std::string& precision,
                       std::int64_t batch_items) {
             const py::gil_scoped_release release;
             return hf::Engine(model, engine_config(device, precision, batch_items));
           }),
           py::arg("model"), py::arg("device") = "auto", py::arg("precision") = "float32",
           py::arg("batch_items") = hf::Engine::Config{}.batch_items)
      .def("run", &run, py::arg("features"), py::arg("codes"), py::arg("offsets"), py::arg("conditions"),
           py::arg("event") = py::none(), py::arg("seed") = 0, py::arg("stream") = 0,
           "features float32 [T, F], codes int64 [T, C], offsets int64 [B + 1], conditions float32 [B, D], event int64 "
           "[B].\n\n"
           "Returns a dict: items float32 [M, G], item_codes int64 [M, H], offsets int64 [B + 1], origin int64 [M],\n"
           "scalars float32 [B, S]. Raises InputError, ModelError.")
      .def("run_tensors", &run_tensors, py::arg("features"), py::arg("codes"), py::arg("offsets"),
           py::arg("conditions"), py::arg("event") = py::none(), py::arg("seed") = 0, py::arg("stream") = 0,
           "The same for tensors with __dlpack__ (torch, CuPy, ...), CUDA ones included: one pass, no packing, results "
           "stay\n"
           "on the engine's device as DLPack tensors.")
      .def_property_readonly("metadata", [](const hf::Engine& engine) { return engine.metadata().json; })
      .def_property_readonly("device", &hf::Engine::device);
}
