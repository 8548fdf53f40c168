// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <stop_token>
#include <string>

#include "hepgen_fastsim/engine.hpp"
#include "hepgen_fastsim/event.hpp"
#include "hepgen_fastsim/export.hpp"

namespace hepgen_fastsim {

/// Detector simulation: GEN events in, RECO constituents out.
///
///     const FastSim sim{{.model = "delphes-cms"}};
///     const FastSim::Result reco = sim.simulate(view(gen), /*seed=*/42);
///
/// The stable particles (status 1) within the model's acceptance are given to the network; RECO `origin` counts in the
/// event as it was given. `simulate` is const, keeps no state and may be called from many threads at once.
class HEPGEN_FASTSIM_EXPORT FastSim {
 public:
  /// What to do with particles outside the model's domain, the ranges and PDG codes seen in training.
  enum class Outside {
    keep,    ///< simulate them all the same, and count them
    drop,    ///< leave them out, and count them
    refuse,  ///< throw InputError
  };

  struct Config {
    std::string model = "delphes-cms";  ///< bundled name or path
    Engine::Config engine{};
    Outside outside = Outside::keep;
  };

  struct Result {
    RecoEvents reco;
    std::map<std::string, std::int64_t> outside;  ///< particles outside the domain, by reason: "pt", "pdgid 310", ...
  };

  /// Throws ModelError if the model cannot be loaded or is no event simulation.
  explicit FastSim(Config config);
  ~FastSim();
  FastSim(FastSim&&) noexcept;
  FastSim& operator=(FastSim&&) noexcept;

  /// Same (seed, stream, event id, event): same constituents, up to rounding, whatever the batch or thread.
  /// Throws InputError if columns disagree in length or a stable particle is not finite.
  /// `stop` is looked at between batches and leads to Cancelled.
  Result simulate(const GenView& events, std::uint64_t seed, std::uint32_t stream = 0, std::stop_token stop = {}) const;

  const Metadata& metadata() const;
  const std::string& device() const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace hepgen_fastsim
