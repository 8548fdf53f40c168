// SPDX-License-Identifier: MIT
/// Loops over pairs of objects of the same event, by their distance in (eta, phi).
#include <algorithm>
#include <cmath>
#include <numbers>

#include "bindings.hpp"
#include "hepgen_fastsim/error.hpp"

namespace py = pybind11;
namespace hf = hepgen_fastsim;

namespace {

using Doubles = Array<double>;
using Integers = Array<std::int64_t>;

/// The others, event by event; those of one event stand together.
struct Others {
  std::span<const double> eta, phi;
  std::span<const std::int64_t> offsets;

  Others(const Doubles& eta, const Doubles& phi, const Integers& offsets)
      : eta(as_span(eta)), phi(as_span(phi)), offsets(as_span(offsets)) {
    const auto n = static_cast<std::int64_t>(this->eta.size());
    const bool good = this->phi.size() == this->eta.size() && !this->offsets.empty() && this->offsets.front() == 0 &&
                      this->offsets.back() <= n && std::is_sorted(this->offsets.begin(), this->offsets.end());
    if (!good) throw hf::InputError("offsets should begin with 0, never decrease, and end with the number of objects");
  }

  /// action(other, distance squared) for those of the event within delta_r.
  template <typename Action>
  void near(double eta_k, double phi_k, std::int64_t event, double delta_r, const Action& action) const {
    if (event < 0 || event + 1 >= static_cast<std::int64_t>(offsets.size())) {
      throw hf::InputError("event " + std::to_string(event) + " is not among the " +
                           std::to_string(offsets.size() - 1) + " that there are");
    }
    for (auto j = static_cast<std::size_t>(offsets[event]); j < static_cast<std::size_t>(offsets[event + 1]); ++j) {
      double dphi = std::abs(phi_k - phi[j]);
      if (dphi > std::numbers::pi) dphi = 2 * std::numbers::pi - dphi;
      const double deta = eta_k - eta[j], distance2 = deta * deta + dphi * dphi;
      if (distance2 <= delta_r * delta_r) action(j, distance2);
    }
  }
};

template <typename T, typename U>
void require_size(const T& values, const U& like, const char* name) {
  if (values.size() == like.size()) return;
  throw hf::InputError(std::string("'") + name + "' should have " + std::to_string(like.size()) + " values, but has " +
                       std::to_string(values.size()));
}

py::array cone_sums(const Integers& row, const Integers& event, const Doubles& eta, const Doubles& phi,
                    const Doubles& pt, const Doubles& charge, const Array<bool>& counts, const Integers& offsets,
                    double delta_r, double delta_r_min) {
  require_size(event, row, "event");
  for (const auto* column : {&phi, &pt, &charge}) require_size(*column, eta, "phi, pt, charge");
  require_size(counts, eta, "counts");
  const Others others(eta, phi, offsets);
  const auto rows = as_span(row);
  std::vector<double> sums(2 * rows.size());
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const auto i = static_cast<std::size_t>(rows[k]);
    if (rows[k] < 0 || i >= others.eta.size()) throw hf::InputError("a candidate is not among the constituents");
    others.near(others.eta[i], others.phi[i], event.data()[k], delta_r, [&](std::size_t j, double distance2) {
      const bool inside = delta_r_min >= 0 ? distance2 <= delta_r_min * delta_r_min : j == i;
      if (counts.data()[j] && !inside) sums[2 * k + (charge.data()[j] == 0)] += pt.data()[j];
    });
  }
  return as_numpy(std::move(sums), {static_cast<py::ssize_t>(rows.size()), 2});
}

}  // namespace

void bind_cones(py::module_& m) {
  m.def("cone_sums", &cone_sums, py::arg("row"), py::arg("event"), py::arg("eta"), py::arg("phi"), py::arg("pt"),
        py::arg("charge"), py::arg("counts"), py::arg("offsets"), py::arg("delta_r"), py::arg("delta_r_min"),
        "pt [GeV] around candidates: float64 [n_candidates, 2] of charged and of neutral constituents.\n\n"
        "row, event: constituent and event of each candidate. eta, phi, pt, charge, counts (whether it takes part): "
        "constituents. delta_r_min: below 0, all within delta_r but the candidate itself; else all beyond it.");
  m.def(
      "last_within",
      [](const Doubles& eta, const Doubles& phi, const Integers& event, const Doubles& other_eta,
         const Doubles& other_phi, const Integers& offsets, double delta_r) {
        const Others others(other_eta, other_phi, offsets);
        require_size(phi, eta, "phi");
        require_size(event, eta, "event");
        std::vector<std::int64_t> found(static_cast<std::size_t>(eta.size()), -1);
        for (std::size_t k = 0; k < found.size(); ++k) {
          others.near(eta.data()[k], phi.data()[k], event.data()[k], delta_r,
                      [&](std::size_t j, double) { found[k] = static_cast<std::int64_t>(j); });
        }
        return as_numpy(std::move(found));
      },
      py::arg("eta"), py::arg("phi"), py::arg("event"), py::arg("other_eta"), py::arg("other_phi"), py::arg("offsets"),
      py::arg("delta_r"), "Row of the last other of the event within delta_r: int64 [n], -1 for none.");
  m.def(
      "count_near",
      [](const Doubles& eta, const Doubles& phi, const Integers& event, const Doubles& other_eta,
         const Doubles& other_phi, const Doubles& weight, const Integers& offsets, double delta_r) {
        require_size(weight, other_eta, "weight");
        std::vector<double> sums(2 * static_cast<std::size_t>(eta.size()));
        const Others others(other_eta, other_phi, offsets);
        require_size(phi, eta, "phi");
        require_size(event, eta, "event");
        for (std::size_t k = 0; k < sums.size() / 2; ++k) {
          others.near(eta.data()[k], phi.data()[k], event.data()[k], delta_r, [&](std::size_t j, double) {
            sums[2 * k] += 1;
            sums[2 * k + 1] += weight.data()[j];
          });
        }
        return as_numpy(std::move(sums), {eta.size(), 2});
      },
      py::arg("eta"), py::arg("phi"), py::arg("event"), py::arg("other_eta"), py::arg("other_phi"), py::arg("weight"),
      py::arg("offsets"), py::arg("delta_r"),
      "Number of others of the event within delta_r and the sum of their weights: float64 [n, 2].");
}
