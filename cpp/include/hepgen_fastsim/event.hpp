// SPDX-License-Identifier: MIT
/// GEN and RECO events as columns.
///
/// Units: GeV, mm, mm/c for time, radian, c = 1; phi in (-pi, pi]. Ragged data are columns plus `offsets`
/// (int64 [n_events + 1]): event i owns the rows offsets[i] <= row < offsets[i + 1].
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hepgen_fastsim/export.hpp"

namespace hepgen_fastsim {

/// What a generator says of one event, beside its particles.
struct EventInfo {
  std::int64_t number = 0;      ///< the generator's own event number
  std::int32_t process_id = 0;  ///< signal process
  std::int32_t mpi = 0;         ///< number of multiparton interactions
  double scale = 0;             ///< [GeV]
  double alpha_qed = 0;
  double alpha_qcd = 0;
  double cross_section = 0;        ///< [pb]
  double cross_section_error = 0;  ///< [pb]
  std::int32_t id1 = 0, id2 = 0;   ///< PDG codes of the incoming partons
  double x1 = 0, x2 = 0;           ///< their momentum fractions
  double scale_pdf = 0;            ///< [GeV]
  double pdf1 = 0, pdf2 = 0;       ///< x f(x)
};

/// Complete generator record of a run of events, in float64, as the file has it.
///
/// The rows of an event keep the order of its record, where the daughters of a particle need not stand together. Since
/// a particle ends in one vertex only, m1 names the vertex that a row comes from: row j is a daughter of row i exactly
/// when d1[i] >= 0 and m1[j] == m1[d1[i]], and i is a mother of j exactly when m1[j] >= 0 and d1[i] == d1[m1[j]].
struct GenEvents {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int64_t> pdgid;           ///< ten digits for nuclei
  std::vector<std::int32_t> status;          ///< 1: stable
  std::vector<double> px, py, pz, mass;      ///< [GeV]; mass carries the sign of m^2
  std::vector<float> charge;                 ///< [e], from the PDG code
  std::vector<double> vx, vy, vz, vt;        ///< production vertex [mm], [mm/c]
  std::vector<std::int32_t> m1, m2, d1, d2;  ///< first and last mother, daughter within the event; -1: none
  std::vector<EventInfo> info;               ///< [n_events]
  std::vector<double> weights;               ///< [n_events, n_weights], row-major
  std::vector<std::string> weight_names;     ///< [n_weights]
  std::int64_t first_event = 0;              ///< position in its stream of the first event held here

  std::int64_t size() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
};

/// GEN events seen through the caller's arrays; nothing is owned or copied. `pdgid` and a momentum are enough:
/// (pt, eta, phi) or (px, py, pz); an empty span means "not given".
struct GenView {
  std::span<const std::int64_t> offsets;
  std::span<const std::int64_t> pdgid;
  std::span<const std::int32_t> status;    ///< absent: every particle is stable
  std::span<const double> pt, eta, phi;    ///< either these
  std::span<const double> px, py, pz;      ///< or these
  std::span<const double> mass;            ///< absent: from the PDG code
  std::span<const float> charge;           ///< absent: from the PDG code
  std::span<const double> vx, vy, vz, vt;  ///< absent: 0
  std::span<const std::int64_t> event;     ///< [n_events]; absent: position in the batch

  std::int64_t size() const { return offsets.empty() ? 0 : static_cast<std::int64_t>(offsets.size()) - 1; }
};

/// View of a complete record.
HEPGEN_FASTSIM_EXPORT GenView view(const GenEvents& events);

/// RECO constituents of a run of events.
struct RecoEvents {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int64_t> pdgid;        ///< 22 photon, 130 neutral hadron, otherwise a track
  std::vector<float> pt, eta, phi, mass;  ///< [GeV], radian
  std::vector<std::int32_t> charge;       ///< [e]
  std::vector<float> d0, dz;              ///< [mm], 0 for towers
  std::vector<std::int64_t> origin;       ///< index of the leading GEN particle in its event, -1: none

  std::int64_t size() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
};

}  // namespace hepgen_fastsim
