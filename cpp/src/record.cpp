// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/record.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>

#include "hepgen_fastsim/error.hpp"
#include "kinematics.hpp"

namespace hepgen_fastsim {
namespace {

constexpr std::size_t block = 1024;  // particles worked on at a time, which stay in the cache
constexpr std::array<std::int64_t, 6> partons{1, 2, 3, 4, 5, 21};
constexpr std::int64_t gluon = 21;

/// Codes without their sign: those of quarks, leptons and bosons as bits of a word, all others as a list.
class Species {
 public:
  explicit Species(std::span<const std::int64_t> codes) {
    for (const std::int64_t code : codes) {
      if (const std::uint64_t own = magnitude(code); own < 64) {
        small_ |= std::uint64_t{1} << own;
      } else {
        large_.push_back(own);
      }
    }
  }
  bool has(std::int64_t code) const {
    const std::uint64_t own = magnitude(code);
    bool found = (own < 64) & static_cast<bool>(small_ >> (own & 63) & 1);
    for (const std::uint64_t other : large_) found |= other == own;
    return found;
  }

 private:
  static std::uint64_t magnitude(std::int64_t code) {
    const auto sign = static_cast<std::uint64_t>(code >> 63);  // all bits; no branch, since nobody foresees signs
    return (static_cast<std::uint64_t>(code) ^ sign) - sign;
  }

  std::uint64_t small_ = 0;
  std::vector<std::uint64_t> large_;
};

void require(bool good, const char* what) {
  if (!good) throw InputError(what);
}

/// Appends row(0), row(1), ... row(n - 1) as far as they are wanted; without branches, since nobody foresees them.
template <typename Row, typename Wanted>
void append(std::vector<std::int64_t>& rows, std::size_t n, const Row& row, const Wanted& wanted) {
  std::array<std::int64_t, block> some;
  for (std::size_t first = 0; first < n; first += block) {
    const std::size_t last = std::min(first + block, n);
    std::size_t found = 0;
    for (std::size_t k = first; k < last; ++k) {
      some[found] = row(k);
      found += static_cast<std::size_t>(wanted(row(k)));
    }
    rows.insert(rows.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(found));
  }
}

}  // namespace

std::vector<std::int64_t> select(std::span<const std::int64_t> pdgid, std::span<const std::int32_t> status, bool stable,
                                 std::span<const std::int64_t> codes, bool among) {
  require(pdgid.size() == status.size(), "select: there should be as many PDG codes as particles with a status");
  const Species wanted(codes);
  std::vector<std::int64_t> rows;
  append(
      rows, pdgid.size(), [](std::size_t k) { return static_cast<std::int64_t>(k); },
      [&](std::int64_t i) {
        return static_cast<bool>(((status[i] == 1) == stable) & (wanted.has(pdgid[i]) == among));
      });
  return rows;
}

std::array<std::vector<double>, 4> momenta(std::span<const double> px, std::span<const double> py,
                                           std::span<const double> pz, std::span<const double> mass,
                                           std::span<const std::int64_t> rows) {
  const std::size_t n = px.size();
  require(py.size() == n && pz.size() == n && mass.size() == n, "momenta: all columns should have the same length");
  std::array<std::vector<double>, 4> out;
  for (auto& column : out) column.reserve(rows.size());
  for (const std::int64_t row : rows) {
    require(row >= 0 && row < static_cast<std::int64_t>(n), "momenta: a row is not among those of the particles");
    const double x = px[row], y = py[row], z = pz[row], m = mass[row];
    out[0].push_back(x), out[1].push_back(y), out[2].push_back(z);
    out[3].push_back(std::sqrt(x * x + y * y + z * z + m * m));
  }
  return out;
}

std::vector<std::int64_t> jet_flavors(const JetAxes& jets, const Record& gen, const FlavorCone& cone) {
  const std::size_t n = gen.pdgid.size();
  for (const std::size_t size : {gen.status.size(), gen.px.size(), gen.py.size(), gen.pz.size()}) {
    require(size == n, "jet_flavors: all columns of particles should have the same length");
  }
  require(jets.phi.size() == jets.eta.size() && jets.event.size() == jets.eta.size(),
          "jet_flavors: there should be as many eta, phi and events of jets");
  const auto& offsets = gen.offsets;
  require(!offsets.empty() && offsets.front() == 0 && offsets.back() == static_cast<std::int64_t>(n) &&
              std::is_sorted(offsets.begin(), offsets.end()),
          "jet_flavors: offsets should begin with 0, never decrease, and end with the number of particles");
  const std::vector<std::int64_t> all = select(gen.pdgid, gen.status, false, partons, true);
  const double pt2_min = cone.pt_min * cone.pt_min, steepest = std::sinh(cone.eta_max);
  const double slope2_max = steepest * steepest * (1 + 1e-9);  // eta itself is looked at below
  std::vector<std::int64_t> rows;
  append(
      rows, all.size(), [&](std::size_t k) { return all[k]; },
      [&](std::int64_t i) {
        const double pt2 = gen.px[i] * gen.px[i] + gen.py[i] * gen.py[i];
        return static_cast<bool>((gen.status[i] != -1) & (pt2 > pt2_min) & (gen.pz[i] * gen.pz[i] <= slope2_max * pt2));
      });
  const Kinematics at = kinematics(gen.px, gen.py, gen.pz, rows);
  std::vector<std::int64_t> codes(rows.size());
  for (std::size_t j = 0; j < rows.size(); ++j) codes[j] = std::abs(gen.pdgid[rows[j]]);
  std::vector<std::int64_t> flavors(jets.eta.size());
  for (std::size_t k = 0; k < flavors.size(); ++k) {
    const std::int64_t event = jets.event[k];
    require(event >= 0 && event + 1 < static_cast<std::int64_t>(offsets.size()),
            "jet_flavors: a jet's event is not among those of the particles");
    const auto row_of = [&](std::int64_t offset) {
      return static_cast<std::size_t>(std::lower_bound(rows.begin(), rows.end(), offset) - rows.begin());
    };
    std::int64_t quark = 0;
    for (std::size_t j = row_of(offsets[event]), end = row_of(offsets[event + 1]); j < end; ++j) {
      double dphi = std::abs(jets.phi[k] - at.phi[j]);
      if (dphi > std::numbers::pi) dphi = 2 * std::numbers::pi - dphi;
      const double deta = jets.eta[k] - at.eta[j];
      if (!(deta * deta + dphi * dphi <= cone.delta_r * cone.delta_r) || std::abs(at.eta[j]) > cone.eta_max) continue;
      flavors[k] = codes[j];
      if (codes[j] != gluon) quark = std::max(quark, codes[j]);
    }
    if (quark > 0) flavors[k] = quark;
  }
  return flavors;
}

}  // namespace hepgen_fastsim
