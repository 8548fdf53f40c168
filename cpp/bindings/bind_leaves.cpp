// SPDX-License-Identifier: MIT
#include "bindings.hpp"
#include "hepgen_fastsim/leaves.hpp"

namespace py = pybind11;
namespace hf = hepgen_fastsim;

namespace {

py::dict momentum_leaves(const Array<double>& px, const Array<double>& py, const Array<double>& pz,
                         const Array<double>& mass) {
  py::dict out;
  const auto leaf = [&](const char* name) {
    py::array_t<float> values(px.size());
    out[name] = values;
    return std::span<float>(values.mutable_data(), static_cast<std::size_t>(values.size()));
  };
  const hf::MomentumLeaves leaves{leaf("PT"), leaf("P"), leaf("E"), leaf("Eta"), leaf("Phi"), leaf("Rapidity")};
  const py::gil_scoped_release release;
  hf::momentum_leaves({as_span(px), as_span(py), as_span(pz), as_span(mass)}, leaves);
  return out;
}

}  // namespace

void bind_leaves(py::module_& m) {
  m.def("momentum_leaves", &momentum_leaves, py::arg("px"), py::arg("py"), py::arg("pz"), py::arg("mass"),
        "Leaves PT, P, E, Eta, Phi, Rapidity of Delphes' tree, float32 [n], from momenta and masses [GeV], float64 "
        "[n].\n\n"
        "The mass carries the sign of its square. Eta and Rapidity are +-999.9 along the beam; Rapidity is Eta where "
        "there is none.");
}
