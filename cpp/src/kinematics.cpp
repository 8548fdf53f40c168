// SPDX-License-Identifier: MIT
#include "kinematics.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <utility>

#include "one_thread.hpp"

namespace hepgen_fastsim {
namespace {

at::Tensor view(std::vector<double>& column) {
  return at::from_blob(column.data(), {static_cast<std::int64_t>(column.size())}, at::kDouble);
}

double exact_eta(double pt, double pz) {
  if (std::isnan(pz)) return pz;
  if (pt > 0) return std::asinh(pz / pt);
  return pz == 0 ? 0 : std::copysign(HUGE_VAL, pz);
}

}  // namespace

void logarithms(std::vector<double>& numbers) {
  const OneThread one_thread;
  const c10::InferenceMode inference;
  view(numbers).log_();
}

void tangents(std::vector<double>& numbers) {
  const OneThread one_thread;
  const c10::InferenceMode inference;
  view(numbers).tan_();
}

void azimuths(std::vector<double>& x, std::vector<double>& y) {
  const OneThread one_thread;
  const c10::InferenceMode inference;
  view(y).atan2_(view(x));
}

Kinematics kinematics(std::span<const double> px, std::span<const double> py, std::span<const double> pz,
                      std::span<const std::int64_t> rows) {
  const std::size_t n = rows.size();
  Kinematics out{std::vector<double>(n), std::vector<double>(n), {}};
  if (n == 0) return out;
  std::vector<double> x(n), y(n), ratio(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = static_cast<std::size_t>(rows[i]);
    x[i] = px[row];
    y[i] = py[row];
    ratio[i] = pz[row];
  }
  for (std::size_t i = 0; i < n; ++i) {
    out.pt[i] = std::sqrt(x[i] * x[i] + y[i] * y[i]);  // no momentum overflows its square
    ratio[i] /= out.pt[i];
    out.eta[i] = std::abs(ratio[i]) + std::sqrt(ratio[i] * ratio[i] + 1.0);
  }
  logarithms(out.eta);
  azimuths(x, y);
  out.phi = std::move(y);
  for (std::size_t i = 0; i < n; ++i) {
    out.eta[i] = std::isfinite(out.eta[i]) ? std::copysign(out.eta[i], ratio[i])
                                           : exact_eta(out.pt[i], pz[static_cast<std::size_t>(rows[i])]);
  }
  return out;
}

}  // namespace hepgen_fastsim
