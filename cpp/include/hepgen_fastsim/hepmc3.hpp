// SPDX-License-Identifier: MIT
/// HepMC3 events that are in memory already: a header-only adapter, for those who link HepMC3 themselves.
///
///     GenEvents gen;
///     append(gen, event);                       // once per event
///     auto reco = sim.simulate(view(gen), seed);
#pragma once

#include <HepMC3/GenEvent.h>
#include <HepMC3/GenParticle.h>
#include <HepMC3/GenVertex.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/event.hpp"
#include "hepgen_fastsim/pdg.hpp"

namespace hepgen_fastsim {

namespace hepmc3 {

/// First and last index, counted from 0, of particles; -1 for none.
inline std::pair<std::int32_t, std::int32_t> first_last(const std::vector<HepMC3::ConstGenParticlePtr>& particles) {
  if (particles.empty()) return {-1, -1};
  return {particles.front()->id() - 1, particles.back()->id() - 1};
}

}  // namespace hepmc3

/// Adds one event to `out`, with the conventions of HepMCReader: GeV and mm, `m2` is -1 for a single mother.
/// Throws InputError if its number of weights differs from that of the events already there.
inline void append(GenEvents& out, const HepMC3::GenEvent& event) {
  const std::vector<double>& weights = event.weights();
  if (out.size() == 0) {
    out.weight_names = event.run_info() ? event.run_info()->weight_names() : std::vector<std::string>{};
    if (out.weight_names.size() != weights.size()) {
      out.weight_names.clear();
      for (std::size_t i = 0; i < weights.size(); ++i) out.weight_names.push_back(std::to_string(i));
    }
  } else if (weights.size() != out.weight_names.size()) {
    throw InputError("HepMC3 event " + std::to_string(event.event_number()) + " has " + std::to_string(weights.size()) +
                     " weights, the events before it " + std::to_string(out.weight_names.size()));
  }
  out.weights.insert(out.weights.end(), weights.begin(), weights.end());

  const double energy_unit = event.momentum_unit() == HepMC3::Units::GEV ? 1.0 : 1e-3;
  const double length_unit = event.length_unit() == HepMC3::Units::MM ? 1.0 : 10.0;
  for (const HepMC3::ConstGenParticlePtr& particle : event.particles()) {
    const HepMC3::FourVector& p = particle->momentum();
    const HepMC3::ConstGenVertexPtr production = particle->production_vertex(), decay = particle->end_vertex();
    const HepMC3::FourVector x = production ? production->position() : HepMC3::FourVector(0, 0, 0, 0);
    out.pdgid.push_back(particle->pid());
    out.status.push_back(particle->status());
    out.px.push_back(p.px() * energy_unit);
    out.py.push_back(p.py() * energy_unit);
    out.pz.push_back(p.pz() * energy_unit);
    out.mass.push_back(particle->generated_mass() * energy_unit);
    out.charge.push_back(static_cast<float>(pdg::charge(particle->pid())));
    out.vx.push_back(x.x() * length_unit);
    out.vy.push_back(x.y() * length_unit);
    out.vz.push_back(x.z() * length_unit);
    out.vt.push_back(x.t() * length_unit);
    const auto [m1, m2] = production ? hepmc3::first_last(production->particles_in()) : std::pair{-1, -1};
    const auto [d1, d2] = decay ? hepmc3::first_last(decay->particles_out()) : std::pair{-1, -1};
    out.m1.push_back(m1);
    out.m2.push_back(m2 == m1 ? -1 : m2);
    out.d1.push_back(d1);
    out.d2.push_back(d2);
  }
  out.offsets.push_back(static_cast<std::int64_t>(out.pdgid.size()));

  EventInfo info;
  info.number = event.event_number();
  if (const auto cross_section = event.cross_section()) {
    info.cross_section = cross_section->xsec();
    info.cross_section_error = cross_section->xsec_err();
  }
  if (const auto pdf = event.pdf_info()) {
    info.id1 = pdf->parton_id[0], info.id2 = pdf->parton_id[1];
    info.x1 = pdf->x[0], info.x2 = pdf->x[1];
    info.scale_pdf = pdf->scale;
    info.pdf1 = pdf->xf[0], info.pdf2 = pdf->xf[1];
  }
  out.info.push_back(info);
}

}  // namespace hepgen_fastsim
