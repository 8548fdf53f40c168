// SPDX-License-Identifier: MIT
#include <array>

#include "bindings.hpp"
#include "hepgen_fastsim/paths.hpp"

namespace py = pybind11;
namespace hf = hepgen_fastsim;

namespace {

using Column = Array<double>;

/// What `run` makes of particles, rows of them, and a magnet; without Python's lock.
template <typename Result, typename... Columns>
Result without_lock(Result (*run)(const hf::Beginnings&, std::span<const std::int64_t>, const hf::Magnet&),
                    const Array<std::int64_t>& rows, const hf::Magnet& magnet, const Columns&... columns) {
  const py::gil_scoped_release release;
  return run({as_span(columns)...}, as_span(rows), magnet);
}

/// Defines `name`, which gives what `answer` makes of the result of `run`.
template <typename Result, typename Answer>
void define(py::module_& m, const char* name,
            Result (*run)(const hf::Beginnings&, std::span<const std::int64_t>, const hf::Magnet&),
            const Answer& answer, const char* doc) {
  m.def(
      name,
      [run, answer](const Column& px, const Column& py, const Column& pz, const Column& mass, const Column& charge,
                    const Column& vx, const Column& vy, const Column& vz, const Column& vt,
                    const Array<std::int64_t>& rows, double field, double radius, double half_length) {
        return answer(without_lock(run, rows, {field, radius, half_length}, px, py, pz, mass, charge, vx, vy, vz, vt));
      },
      py::arg("px"), py::arg("py"), py::arg("pz"), py::arg("mass"), py::arg("charge"), py::arg("vx"), py::arg("vy"),
      py::arg("vz"), py::arg("vt"), py::arg("rows"), py::arg("field"), py::arg("radius"), py::arg("half_length"), doc);
}

py::dict columns_of(hf::Paths&& paths) {
  py::dict out;
  const auto give = [&](const char* name, std::vector<double>& column) { out[name] = as_numpy(std::move(column)); };
  give("eta_out", paths.eta_out), give("phi_out", paths.phi_out);
  give("x_out", paths.x_out), give("y_out", paths.y_out), give("z_out", paths.z_out);
  give("time_out", paths.time_out), give("track_phi", paths.track_phi);
  give("x_d", paths.x_d), give("y_d", paths.y_d), give("z_d", paths.z_d), give("d0", paths.d0);
  give("length", paths.length);
  return out;
}

}  // namespace

void bind_paths(py::module_& m) {
  define(
      m, "follow", hf::follow, columns_of,
      "Paths of the particles at `rows`, zeros for -1: float64 [rows] each, mm, rad, s.\n\n"
      "px, py, pz, mass [GeV], charge [e], vx, vy, vz [mm], vt [mm, times the speed of light]: float64 [n_particles]; "
      "field [T], radius, half_length [m].");
  define(
      m, "arrival", hf::arrival, [](std::vector<double>&& times) { return as_numpy(std::move(times)); },
      "time_out of `follow` alone: float64 [rows], s.");
}
