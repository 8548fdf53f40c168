// SPDX-License-Identifier: MIT
#include <algorithm>

#include "bindings.hpp"
#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/grooming.hpp"
#include "hepgen_fastsim/nsubjettiness.hpp"

namespace py = pybind11;
namespace hf = hepgen_fastsim;

namespace {

/// Defines `groom` for constituents jet by jet, with the parameters of these names.
template <typename... Parameters, typename... Names>
void define(py::module_& m, const char* name, hf::Groomed (*groom)(const hf::MomentumView&, Parameters...),
            const char* doc, Names... names) {
  m.def(
      name,
      [groom](const Array<double>& px, const Array<double>& py, const Array<double>& pz, const Array<double>& energy,
              const Array<std::int64_t>& offsets, Parameters... parameters) {
        hf::Groomed out;
        {
          const py::gil_scoped_release release;
          out = groom({as_span(px), as_span(py), as_span(pz), as_span(energy), as_span(offsets)}, parameters...);
        }
        const auto n = static_cast<py::ssize_t>(out.n_subjets.size());
        py::array_t<double> momenta({n, static_cast<py::ssize_t>(hf::Groomed::slots), py::ssize_t{4}});
        std::copy_n(out.momenta.empty() ? nullptr : out.momenta.front().data(), momenta.size(), momenta.mutable_data());
        return py::make_tuple(momenta, as_numpy(std::move(out.n_subjets)));
      },
      py::arg("px"), py::arg("py"), py::arg("pz"), py::arg("energy"), py::arg("offsets"), py::arg(names)..., doc);
}

hf::SubjetAxes axes_of(const std::string& name) {
  if (name == "kt") return hf::SubjetAxes::kt;
  if (name == "onepass_kt") return hf::SubjetAxes::onepass_kt;
  if (name == "wta_kt") return hf::SubjetAxes::wta_kt;
  if (name == "onepass_wta_kt") return hf::SubjetAxes::onepass_wta_kt;
  throw hf::InputError("axes should be 'kt', 'onepass_kt', 'wta_kt' or 'onepass_wta_kt', but are '" + name + "'");
}

}  // namespace

void bind_grooming(py::module_& m) {
  define(m, "trim", hf::trim,
         "Trimmed jets: momenta (px, py, pz, energy) of each and of its four hardest subjets, float64 [n_jets, 5, 4] "
         "GeV, zeros where there are fewer, and the number of subjets, int32 [n_jets].\n\n"
         "px, py, pz, energy: constituents, jet by jet; offsets: int64 [n_jets + 1].",
         "radius", "pt_fraction");
  define(m, "prune", hf::prune, "Pruned jets, as those of `trim`; the subjets are the last two branches.", "radius",
         "z_cut", "r_cut");
  define(m, "soft_drop", hf::soft_drop,
         "Soft-dropped jets, as those of `trim`; the subjets are the two branches that pass.", "radius", "z_cut",
         "beta");
  m.def(
      "nsubjettiness",
      [](const Array<double>& px, const Array<double>& py, const Array<double>& pz, const Array<double>& energy,
         const Array<std::int64_t>& offsets, double radius, double beta, const std::string& axes) {
        std::vector<hf::Subjettiness> found;
        {
          const hf::SubjetAxes which = axes_of(axes);
          const py::gil_scoped_release release;
          found = hf::nsubjettiness({as_span(px), as_span(py), as_span(pz), as_span(energy), as_span(offsets)}, radius,
                                    beta, which);
        }
        const hf::Subjettiness none{};
        py::array_t<double> tau({static_cast<py::ssize_t>(found.size()), static_cast<py::ssize_t>(none.size())});
        std::copy_n(found.empty() ? none.data() : found.front().data(), tau.size(), tau.mutable_data());
        return tau;
      },
      py::arg("px"), py::arg("py"), py::arg("pz"), py::arg("energy"), py::arg("offsets"), py::arg("radius"),
      py::arg("beta"), py::arg("axes"),
      "N-subjettiness tau_1 to tau_5 of each jet, float64 [n_jets, 5].\n\n"
      "px, py, pz, energy: constituents in GeV, jet by jet; offsets: int64 [n_jets + 1]; radius and beta: those of the "
      "measure; axes: 'kt', 'onepass_kt', 'wta_kt' or 'onepass_wta_kt'.");
}
