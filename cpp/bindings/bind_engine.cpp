// SPDX-License-Identifier: MIT
#include "bindings.hpp"
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

}  // namespace

void bind_engine(py::module_& m) {
  py::class_<hf::Engine>(m, "Engine",
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
           "features float32 [T, F], codes int64 [T, C], offsets int64 [B + 1], conditions float32 [B, D], event int64 [B].\n\n"
           "Returns a dict: items float32 [M, G], item_codes int64 [M, H], offsets int64 [B + 1], origin int64 [M],\n"
           "scalars float32 [B, S]. Raises InputError, ModelError.")
      .def_property_readonly("metadata", [](const hf::Engine& engine) { return engine.metadata().json; })
      .def_property_readonly("device", &hf::Engine::device);
}
