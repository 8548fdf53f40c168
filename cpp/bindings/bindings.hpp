// SPDX-License-Identifier: MIT
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

void bind_random(pybind11::module_& m);
void bind_pdg(pybind11::module_& m);
void bind_model(pybind11::module_& m);
void bind_engine(pybind11::module_& m);
void bind_fastsim(pybind11::module_& m);
void bind_hepmc(pybind11::module_& m);
void bind_jets(pybind11::module_& m);
void bind_grooming(pybind11::module_& m);
void bind_cones(pybind11::module_& m);
void bind_leaves(pybind11::module_& m);
void bind_paths(pybind11::module_& m);
void bind_record(pybind11::module_& m);

/// C-contiguous array of exactly this type; other types are converted, with a copy.
template <typename T>
using Array = pybind11::array_t<T, pybind11::array::c_style | pybind11::array::forcecast>;

/// A view of the array's memory; the array must outlive it.
template <typename T>
std::span<const T> as_span(const Array<T>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

/// The vector's memory as a numpy array; nothing is copied.
template <typename T>
pybind11::array as_numpy(std::vector<T>&& data, std::vector<pybind11::ssize_t> shape = {}) {
  auto owner = std::make_unique<std::vector<T>>(std::move(data));
  if (shape.empty()) shape = {static_cast<pybind11::ssize_t>(owner->size())};
  const T* values = owner->data();
  pybind11::capsule capsule(owner.release(), [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return pybind11::array_t<T>(shape, values, capsule);
}
