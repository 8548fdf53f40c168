// SPDX-License-Identifier: MIT
#include "bindings.hpp"
#include "hepgen_fastsim/record.hpp"

namespace py = pybind11;
namespace hf = hepgen_fastsim;

void bind_record(py::module_& m) {
  m.def(
      "select",
      [](const Array<std::int64_t>& pdgid, const Array<std::int32_t>& status, bool stable,
         const Array<std::int64_t>& codes, bool among) {
        std::vector<std::int64_t> rows;
        {
          const py::gil_scoped_release release;
          rows = hf::select(as_span(pdgid), as_span(status), stable, as_span(codes), among);
        }
        return as_numpy(std::move(rows));
      },
      py::arg("pdgid"), py::arg("status"), py::arg("stable"), py::arg("codes"), py::arg("among") = true,
      "Rows, ascending, of particles that are stable (status 1) or not, and whose code, sign apart, is among `codes` "
      "or "
      "not: int64.");
  m.def(
      "momenta",
      [](const Array<double>& px, const Array<double>& py, const Array<double>& pz, const Array<double>& mass,
         const Array<std::int64_t>& rows) {
        std::array<std::vector<double>, 4> found;
        {
          const py::gil_scoped_release release;
          found = hf::momenta(as_span(px), as_span(py), as_span(pz), as_span(mass), as_span(rows));
        }
        auto& [x, y, z, energy] = found;
        return py::make_tuple(as_numpy(std::move(x)), as_numpy(std::move(y)), as_numpy(std::move(z)),
                              as_numpy(std::move(energy)));
      },
      py::arg("px"), py::arg("py"), py::arg("pz"), py::arg("mass"), py::arg("rows"),
      "px, py, pz, energy [GeV] of the particles at `rows`, float64 [rows] each.");
  m.def(
      "jet_flavors",
      [](const Array<double>& eta, const Array<double>& phi, const Array<std::int64_t>& event,
         const Array<std::int64_t>& pdgid, const Array<std::int32_t>& status, const Array<double>& px,
         const Array<double>& py, const Array<double>& pz, const Array<std::int64_t>& offsets, double delta_r,
         double pt_min, double eta_max) {
        std::vector<std::int64_t> flavors;
        {
          const py::gil_scoped_release release;
          flavors = hf::jet_flavors(
              {as_span(eta), as_span(phi), as_span(event)},
              {as_span(pdgid), as_span(status), as_span(px), as_span(py), as_span(pz), as_span(offsets)},
              {delta_r, pt_min, eta_max});
        }
        return as_numpy(std::move(flavors));
      },
      py::arg("eta"), py::arg("phi"), py::arg("event"), py::arg("pdgid"), py::arg("status"), py::arg("px"),
      py::arg("py"), py::arg("pz"), py::arg("offsets"), py::arg("delta_r"), py::arg("pt_min"), py::arg("eta_max"),
      "Flavours of jets [n_jets] from the partons of their events, int64: the highest code of quarks (top apart) "
      "within "
      "delta_r, 21 if there are gluons alone, 0 if there is nothing.\n\n"
      "Partons are not stable, of a status other than -1, of more than pt_min [GeV], within eta_max.");
}
