// SPDX-License-Identifier: MIT
/// Index of the Python extension `hepgen_fastsim._core`: one bind_*.cpp per subject.
#include "bindings.hpp"

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/version.hpp"

namespace py = pybind11;
namespace hf = hepgen_fastsim;

PYBIND11_MODULE(_core, m) {
  m.doc() = "C++ core of hepgen_fastsim";
  m.attr("__version__") = HEPGEN_FASTSIM_VERSION;
  m.attr("torch_version") = HEPGEN_FASTSIM_TORCH_VERSION;

  // The exception family lives in Python, so that pure Python code raises the same classes.
  py::register_exception_translator([](std::exception_ptr pointer) {
    const auto raise = [](const char* name, const std::exception& error) {
      const py::object type = py::module_::import("hepgen_fastsim.errors").attr(name);
      py::set_error(type, error.what());
    };
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const hf::ModelError& error) {
      raise("ModelError", error);
    } catch (const hf::InputError& error) {
      raise("InputError", error);
    } catch (const hf::Error& error) {
      raise("Error", error);
    }
  });

  bind_random(m);
  bind_pdg(m);
  bind_model(m);
  bind_engine(m);
  bind_fastsim(m);
  bind_hepmc(m);
  bind_jets(m);
  bind_grooming(m);
  bind_cones(m);
  bind_leaves(m);
  bind_paths(m);
  bind_record(m);
}
