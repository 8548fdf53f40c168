// SPDX-License-Identifier: MIT
#include "gen_columns.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/pdg.hpp"
#include "kinematics.hpp"

namespace hepgen_fastsim {
namespace {

struct Numbers {
  const char* name;
  std::span<const double> GenView::* values;
};
constexpr Numbers numbers[] = {{"px", &GenView::px},     {"py", &GenView::py},   {"pz", &GenView::pz},
                               {"pt", &GenView::pt},     {"eta", &GenView::eta}, {"phi", &GenView::phi},
                               {"mass", &GenView::mass}, {"vx", &GenView::vx},   {"vy", &GenView::vy},
                               {"vz", &GenView::vz},     {"vt", &GenView::vt}};

/// Whether all numbers at `rows` are finite, by the largest of their exponents. Row by row: what comes from memory is
/// fetched from all columns at a time.
bool all_finite(std::span<const std::span<const double>> columns, std::span<const std::int64_t> rows) {
  constexpr std::uint64_t exponent = 0x7FF0000000000000;
  std::uint64_t largest = 0;
  for (const std::int64_t row : rows) {
    for (const std::span<const double> column : columns) {
      largest = std::max(largest, std::bit_cast<std::uint64_t>(column[static_cast<std::size_t>(row)]) & exponent);
    }
  }
  return largest != exponent;
}

}  // namespace

std::vector<std::int64_t> stable_rows(const GenView& events, std::vector<std::int64_t>& offsets) {
  std::vector<std::int64_t> rows(events.pdgid.size());
  std::size_t n = 0;
  for (std::int64_t event = 0; event < events.size(); ++event) {
    for (std::int64_t row = events.offsets[event]; row < events.offsets[event + 1]; ++row) {
      rows[n] = row;
      n += events.status.empty() || events.status[static_cast<std::size_t>(row)] == 1;
    }
    offsets.push_back(static_cast<std::int64_t>(n));
  }
  rows.resize(n);
  return rows;
}

GenColumns gen_columns(const GenView& events, std::span<const std::int64_t> rows,
                       const std::array<bool, quantity_names.size()>& used) {
  GenColumns out;
  if (!events.px.empty()) {
    Kinematics cartesian = kinematics(events.px, events.py, events.pz, rows);
    out[static_cast<std::size_t>(Quantity::pt)] = std::move(cartesian.pt);
    out[static_cast<std::size_t>(Quantity::eta)] = std::move(cartesian.eta);
    out[static_cast<std::size_t>(Quantity::phi)] = std::move(cartesian.phi);
  }
  const auto fill = [&](Quantity quantity, const auto& given, const auto& otherwise) {
    std::vector<double>& column = out[static_cast<std::size_t>(quantity)];
    if (!used[static_cast<std::size_t>(quantity)] || !column.empty()) return;
    column.resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto row = static_cast<std::size_t>(rows[i]);
      column[i] = given.empty() ? otherwise(events.pdgid[row]) : static_cast<double>(given[row]);
    }
  };
  const auto zero = [](std::int64_t) { return 0.0; };
  fill(Quantity::pt, events.pt, zero);
  fill(Quantity::eta, events.eta, zero);
  fill(Quantity::phi, events.phi, zero);
  fill(Quantity::mass, events.mass, [](std::int64_t code) { return pdg::mass(code).value_or(0.0); });
  fill(Quantity::charge, events.charge, [](std::int64_t code) { return pdg::charge(code); });
  fill(Quantity::vx, events.vx, zero);
  fill(Quantity::vy, events.vy, zero);
  fill(Quantity::vz, events.vz, zero);
  fill(Quantity::vt, events.vt, zero);
  return out;
}

void require_finite(const GenView& events, std::span<const std::int64_t> rows) {
  std::vector<std::span<const double>> given;
  for (const Numbers& c : numbers) {
    if (!(events.*c.values).empty()) given.push_back(events.*c.values);
  }
  bool fine = all_finite(given, rows);
  if (!events.charge.empty()) {
    for (const std::int64_t row : rows) fine &= std::isfinite(events.charge[static_cast<std::size_t>(row)]);
  }
  if (fine) return;
  for (const std::int64_t row : rows) {
    const auto refuse = [&](const char* name, double value) {
      if (std::isfinite(value)) return;
      throw InputError("FastSim: " + where(events, row) + ": " + name + " is " + std::to_string(value) +
                       ", a finite number is expected");
    };
    for (const Numbers& c : numbers) {
      const std::span<const double> column = events.*c.values;
      if (!column.empty()) refuse(c.name, column[static_cast<std::size_t>(row)]);
    }
    if (!events.charge.empty()) refuse("charge", static_cast<double>(events.charge[static_cast<std::size_t>(row)]));
  }
}

std::string where(const GenView& events, std::int64_t row) {
  const auto event = std::upper_bound(events.offsets.begin(), events.offsets.end(), row) - events.offsets.begin() - 1;
  const std::int64_t id = events.event.empty() ? event : events.event[static_cast<std::size_t>(event)];
  return "event " + std::to_string(id) + ", particle " +
         std::to_string(row - events.offsets[static_cast<std::size_t>(event)]) + " (pdgid " +
         std::to_string(events.pdgid[static_cast<std::size_t>(row)]) + ")";
}

}  // namespace hepgen_fastsim
