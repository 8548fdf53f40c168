// SPDX-License-Identifier: MIT
/// The shape of a Gaudi functional algorithm (Key4hep, LHCb, Athena), in plain C++: properties, initialize, a const
/// call operator from many threads. Replace the base and the event types by your framework's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "hepgen_fastsim/fastsim.hpp"

namespace example {

/// What a framework hands to every call: which event this is, on which slot it is processed.
struct EventContext {
  std::uint32_t run = 0;
  std::uint32_t event = 0;
};

class FastSimAlgorithm {
 public:
  // Properties
  std::string model = "delphes-cms";
  std::string device = "cpu";
  std::uint64_t seed = 42;

  /// Once per job: one model in memory, whatever the number of threads.
  void initialize() { sim_.emplace(hepgen_fastsim::FastSim::Config{.model = model, .engine = {.device = device}}); }

  /// Once per event, on any thread. Run and event number key the noise: the answer does not depend on scheduling.
  hepgen_fastsim::RecoEvents operator()(const hepgen_fastsim::GenEvents& gen, const EventContext& context) const {
    const std::int64_t key = context.event;
    hepgen_fastsim::GenView view = hepgen_fastsim::view(gen);
    view.event = {&key, 1};
    return sim_->simulate(view, seed, context.run).reco;
  }

 private:
  std::optional<hepgen_fastsim::FastSim> sim_;
};

}  // namespace example
