// SPDX-License-Identifier: MIT
#include <limits>

#include "bindings.hpp"
#include "hepgen_fastsim/pdg.hpp"

namespace py = pybind11;
namespace hf = hepgen_fastsim;

void bind_pdg(py::module_& m) {
  m.def(
      "pdg_charge",
      [](const Array<std::int64_t>& codes) {
        std::vector<float> out;
        out.reserve(static_cast<std::size_t>(codes.size()));
        for (const std::int64_t code : as_span(codes)) out.push_back(static_cast<float>(hf::pdg::charge(code)));
        return as_numpy(std::move(out));
      },
      py::arg("pdgid"), "Charge [e] from PDG codes, float32 [n]; unknown codes count as neutral.");
  m.def(
      "pdg_mass",
      [](const Array<std::int64_t>& codes) {
        std::vector<double> out;
        out.reserve(static_cast<std::size_t>(codes.size()));
        for (const std::int64_t code : as_span(codes)) {
          out.push_back(hf::pdg::mass(code).value_or(std::numeric_limits<double>::quiet_NaN()));
        }
        return as_numpy(std::move(out));
      },
      py::arg("pdgid"), "Mass [GeV] from PDG codes, float64 [n]; nan where it is not known.");
}
