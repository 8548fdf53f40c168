// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hepgen_fastsim/export.hpp"

namespace hepgen_fastsim {

/// Momenta of all events' particles: [T] each, GeV; offsets [B + 1] from 0 to T.
struct MomentumView {
  std::span<const double> px, py, pz, energy;
  std::span<const std::int64_t> offsets;
};

/// Jets of all events, by descending pt within an event. J jets in all, M members.
struct Jets {
  std::vector<double> px, py, pz, energy;  ///< [J] GeV
  std::vector<std::int64_t> offsets{0};    ///< [B + 1]
  std::vector<std::int64_t> members;       ///< [M] particles (of all T), jet by jet, ascending within a jet
  std::vector<std::int64_t> member_of;     ///< [M] jet of each
};

/// Exponent p of the generalised kt algorithm: distances are min(pt_i^2p, pt_j^2p) dR_ij^2 / R^2, to the beam pt^2p.
enum class JetAlgorithm { antikt = -1, cambridge = 0, kt = 1 };

/// Inclusive sequential recombination with the E scheme.
///
/// dR is measured in rapidity and azimuth. The definition is that of Cacciari, Salam and Soyez, JHEP 04 (2008) 063,
/// and gives the jets that FastJet gives; only the nearest neighbour in the plane matters (Cacciari and Salam, Phys.
/// Lett. B 641 (2006) 57), which is searched for in strips of rapidity. Linear in memory; quadratic in time, with a
/// small factor: 0.2 ms for 500 particles.
class HEPGEN_FASTSIM_EXPORT JetFinder {
 public:
  struct Config {
    JetAlgorithm algorithm = JetAlgorithm::antikt;
    double radius = 0.5;
    double pt_min = 0;  ///< GeV, of a jet; softer ones are left out
  };

  /// Throws Error if the radius or pt_min make no sense.
  explicit JetFinder(Config config);

  /// Safe to call from many threads. Throws InputError if the columns' lengths differ or a momentum is not finite.
  Jets operator()(const MomentumView& particles) const;

 private:
  Config config_;
};

}  // namespace hepgen_fastsim
