// SPDX-License-Identifier: MIT
#include <set>

#include "bindings.hpp"
#include "engine_config.hpp"
#include "hepgen_fastsim/fastsim.hpp"

namespace py = pybind11;
namespace hf = hepgen_fastsim;

namespace {

/// The numpy columns of a dict, kept alive while C++ looks at them.
class Columns {
 public:
  explicit Columns(const py::dict& columns) : columns_(columns) {
    static const std::set<std::string> known = {"pdgid",  "status", "pt", "eta", "phi", "px", "py", "pz", "mass",
                                                "charge", "vx",     "vy", "vz",  "vt",  "m1", "m2", "d1", "d2"};
    for (const auto& [key, value] : columns) {
      if (!known.contains(key.cast<std::string>())) {
        throw hf::InputError("GEN events have no column '" + key.cast<std::string>() + "'");
      }
    }
  }

  template <typename T>
  std::span<const T> get(const char* name) {
    if (!columns_.contains(name)) return {};
    auto array = py::cast<Array<T>>(columns_[name]);
    kept_.push_back(array);
    return as_span(array);
  }

 private:
  py::dict columns_;
  std::vector<py::object> kept_;
};

hf::FastSim::Outside outside_choice(const std::string& name) {
  if (name == "keep") return hf::FastSim::Outside::keep;
  if (name == "drop") return hf::FastSim::Outside::drop;
  if (name == "refuse") return hf::FastSim::Outside::refuse;
  throw hf::InputError("outside should be 'keep', 'drop' or 'refuse', but is '" + name + "'");
}

py::dict simulate(const hf::FastSim& sim, const py::dict& gen, const Array<std::int64_t>& offsets,
                  const std::optional<Array<std::int64_t>>& event, std::uint64_t seed, std::uint32_t stream) {
  Columns columns(gen);
  hf::GenView view;
  view.offsets = as_span(offsets);
  view.pdgid = columns.get<std::int64_t>("pdgid");
  view.status = columns.get<std::int32_t>("status");
  view.pt = columns.get<double>("pt");
  view.eta = columns.get<double>("eta");
  view.phi = columns.get<double>("phi");
  view.px = columns.get<double>("px");
  view.py = columns.get<double>("py");
  view.pz = columns.get<double>("pz");
  view.mass = columns.get<double>("mass");
  view.charge = columns.get<float>("charge");
  view.vx = columns.get<double>("vx");
  view.vy = columns.get<double>("vy");
  view.vz = columns.get<double>("vz");
  view.vt = columns.get<double>("vt");
  if (event) view.event = as_span(*event);
  hf::FastSim::Result result;
  {
    const py::gil_scoped_release release;
    result = sim.simulate(view, seed, stream);
  }
  hf::RecoEvents& reco = result.reco;
  py::dict out;
  out["offsets"] = as_numpy(std::move(reco.offsets));
  out["pdgid"] = as_numpy(std::move(reco.pdgid));
  out["pt"] = as_numpy(std::move(reco.pt));
  out["eta"] = as_numpy(std::move(reco.eta));
  out["phi"] = as_numpy(std::move(reco.phi));
  out["mass"] = as_numpy(std::move(reco.mass));
  out["charge"] = as_numpy(std::move(reco.charge));
  out["d0"] = as_numpy(std::move(reco.d0));
  out["dz"] = as_numpy(std::move(reco.dz));
  out["origin"] = as_numpy(std::move(reco.origin));
  out["outside"] = result.outside;
  return out;
}

}  // namespace

void bind_fastsim(py::module_& m) {
  py::class_<hf::FastSim>(m, "FastSim",
                          "Detector simulation: GEN events in, RECO constituents out; safe to call from many threads.")
      .def(py::init([](const std::string& model, const std::string& device, const std::string& precision,
                       std::int64_t batch_items, const std::string& outside) {
             const py::gil_scoped_release release;
             return hf::FastSim({model, engine_config(device, precision, batch_items), outside_choice(outside)});
           }),
           py::arg("model"), py::arg("device") = "auto", py::arg("precision") = "float32",
           py::arg("batch_items") = hf::Engine::Config{}.batch_items, py::arg("outside") = "keep")
      .def("simulate", &simulate, py::arg("columns"), py::arg("offsets"), py::arg("event") = py::none(),
           py::arg("seed") = 0, py::arg("stream") = 0,
           "columns: dict of arrays [T] (pdgid and px, py, pz or pt, eta, phi [GeV]; the rest is optional), offsets "
           "int64 [B + 1],\n"
           "event: ids [B] that key the noise.\n\n"
           "Returns a dict of RECO columns, their offsets, and 'outside': counts of particles outside the model's "
           "domain.")
      .def_property_readonly("metadata", [](const hf::FastSim& sim) { return sim.metadata().json; })
      .def_property_readonly("device", &hf::FastSim::device);
}
