// SPDX-License-Identifier: MIT
#include "bindings.hpp"
#include "hepgen_fastsim/model.hpp"

namespace py = pybind11;
namespace hf = hepgen_fastsim;

void bind_model(py::module_& m) {
  m.def(
      "read_metadata", [](const std::string& path) { return hf::Metadata::read(path).json; }, py::arg("path"),
      "The model's hepgen.json, validated; read as a plain zip entry, nothing is executed. Raises ModelError.");
  m.def(
      "check_metadata", [](const std::string& text) { hf::Metadata::parse(text); }, py::arg("text"),
      "Validates the text of a hepgen.json. Raises ModelError.");

  py::class_<hf::Model>(m, "Model", "A validated model file. A model file is code: load only files that you trust.")
      .def(py::init([](const std::string& path) {
             const py::gil_scoped_release release;
             return hf::Model::load(path);
           }),
           py::arg("path"))
      .def_property_readonly("metadata", [](const hf::Model& model) { return model.metadata().json; })
      .def_property_readonly("path", &hf::Model::path);
}
