// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/event.hpp"

namespace hepgen_fastsim {

GenView view(const GenEvents& events) {
  GenView view;
  view.offsets = events.offsets;
  view.pdgid = events.pdgid;
  view.status = events.status;
  view.px = events.px;
  view.py = events.py;
  view.pz = events.pz;
  view.mass = events.mass;
  view.charge = events.charge;
  view.vx = events.vx;
  view.vy = events.vy;
  view.vz = events.vz;
  view.vt = events.vt;
  return view;
}

}  // namespace hepgen_fastsim
