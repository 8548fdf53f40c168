// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/fastsim.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/pdg.hpp"
#include "kinematics.hpp"

namespace hepgen_fastsim {
namespace {

/// Quantities of one GEN particle that a model may ask for by name.
enum class Quantity { pt, eta, phi, mass, charge, vx, vy, vz, vt };
constexpr std::array<const char*, 9> quantity_names = {"pt", "eta", "phi", "mass", "charge", "vx", "vy", "vz", "vt"};
using Particle = std::array<double, quantity_names.size()>;

int find_name(const char* const* names, std::size_t n, const std::string& name) {
  const auto* found = std::find_if(names, names + n, [&](const char* known) { return name == known; });
  return found == names + n ? -1 : static_cast<int>(found - names);
}

/// A named range on one of the quantities.
struct Limit {
  std::size_t quantity;
  double low, high;
  std::string name;
  bool holds(const Particle& p) const { return p[quantity] >= low && p[quantity] <= high; }
};

std::vector<Limit> limits(const std::vector<ColumnRange>& ranges) {
  std::vector<Limit> out;
  for (const ColumnRange& r : ranges) {
    const int quantity = find_name(quantity_names.data(), quantity_names.size(), r.name);
    // Ranges of the metadata went through decimal text and float32: their ends belong to them.
    const double slack = 1e-5 * std::max(std::abs(r.low), std::abs(r.high));
    if (quantity >= 0) out.push_back({static_cast<std::size_t>(quantity), r.low - slack, r.high + slack, r.name});
  }
  return out;
}

std::string where(const GenView& events, std::int64_t event, std::int64_t row) {
  const std::int64_t id = events.event.empty() ? event : events.event[event];
  return "event " + std::to_string(id) + ", particle " + std::to_string(row - events.offsets[event]) + " (pdgid " +
         std::to_string(events.pdgid[row]) + ")";
}

}  // namespace

struct FastSim::Impl {
  explicit Impl(Config c) : config(std::move(c)), engine(Model::load(config.model), config.engine) {
    const Metadata& m = engine.metadata();
    if (m.task != "reconstruct" || m.unit != "event" || m.slots_drawn) {
      throw ModelError("FastSim needs a model of task 'reconstruct' and unit 'event', but '" + m.name + "' has task '" +
                       m.task + "' and unit '" + m.unit + "'");
    }
    for (const Column& column : m.features) {
      const int quantity = find_name(quantity_names.data(), quantity_names.size(), column.name);
      if (quantity < 0)
        throw ModelError("model '" + m.name + "' asks for the GEN column '" + column.name +
                         "', which FastSim does not know");
      features.push_back(static_cast<std::size_t>(quantity));
    }
    if (m.codes.size() != 1 || m.codes[0].name != "pdgid" || !m.condition.empty()) {
      throw ModelError("FastSim gives 'pdgid' as the only code and no conditions, but model '" + m.name +
                       "' asks for " + std::to_string(m.codes.size()) + " codes and " +
                       std::to_string(m.condition.size()) + " conditions");
    }
    constexpr std::array<const char*, 6> outputs = {"pt", "eta", "phi", "mass", "d0", "dz"};
    output.fill(-1);
    for (std::size_t i = 0; i < m.output_features.size(); ++i) {
      const int known = find_name(outputs.data(), outputs.size(), m.output_features[i].name);
      if (known >= 0) output[static_cast<std::size_t>(known)] = static_cast<int>(i);
    }
    for (std::size_t i = 0; i < m.output_codes.size(); ++i) {
      if (m.output_codes[i].name == "pdgid") pdgid_output = static_cast<int>(i);
      if (m.output_codes[i].name == "charge") charge_output = static_cast<int>(i);
    }
    for (std::size_t i = 0; i < 3; ++i) {
      if (output[i] < 0 || pdgid_output < 0) {
        throw ModelError("FastSim needs the output columns 'pt', 'eta', 'phi' and 'pdgid', but model '" + m.name +
                         "' lacks one of them");
      }
    }
    acceptance = limits(m.acceptance);
    domain = limits(m.domain.features);
  }

  Config config;
  Engine engine;
  std::vector<std::size_t> features;
  std::array<int, 6> output{};  // column of pt, eta, phi, mass, d0, dz in the model's output; -1: none
  int pdgid_output = -1, charge_output = -1;
  std::vector<Limit> acceptance, domain;

  void check(const GenView& events) const;
  const std::string* outside(const Particle& p, std::int64_t code) const;
};

void FastSim::Impl::check(const GenView& events) const {
  if (events.offsets.empty() || events.offsets.front() != 0 ||
      !std::is_sorted(events.offsets.begin(), events.offsets.end())) {
    throw InputError("FastSim: offsets should begin with 0 and never decrease");
  }
  const auto n = static_cast<std::size_t>(events.offsets.back());
  const auto expect = [n](const char* name, std::size_t found, bool required) {
    if (found == n || (found == 0 && !required)) return;
    throw InputError("FastSim: the offsets count " + std::to_string(n) + " particles, but column '" + name + "' has " +
                     std::to_string(found));
  };
  const bool cartesian = !events.px.empty() || !events.py.empty() || !events.pz.empty();
  expect("pdgid", events.pdgid.size(), true);
  expect("status", events.status.size(), false);
  expect("px", events.px.size(), cartesian);
  expect("py", events.py.size(), cartesian);
  expect("pz", events.pz.size(), cartesian);
  expect("pt", events.pt.size(), !cartesian);
  expect("eta", events.eta.size(), !cartesian);
  expect("phi", events.phi.size(), !cartesian);
  expect("mass", events.mass.size(), false);
  expect("charge", events.charge.size(), false);
  expect("vx", events.vx.size(), false);
  expect("vy", events.vy.size(), false);
  expect("vz", events.vz.size(), false);
  expect("vt", events.vt.size(), false);
  if (!events.event.empty() && static_cast<std::int64_t>(events.event.size()) != events.size()) {
    throw InputError("FastSim: " + std::to_string(events.size()) + " events, but " +
                     std::to_string(events.event.size()) + " event ids");
  }
}

/// The quantity by which a particle lies outside the domain, or "pdgid"; null if it does not.
const std::string* FastSim::Impl::outside(const Particle& p, std::int64_t code) const {
  static const std::string species = "pdgid";
  const std::vector<std::int64_t>& known = engine.metadata().domain.pdgid;
  if (!known.empty() && !std::binary_search(known.begin(), known.end(), code)) return &species;
  for (const Limit& limit : domain) {
    if (!limit.holds(p)) return &limit.name;
  }
  return nullptr;
}

namespace {

/// Rows of the stable particles; `offsets` gets how many there are before each event.
std::vector<std::int64_t> stable_rows(const GenView& e, std::vector<std::int64_t>& offsets) {
  std::vector<std::int64_t> rows;
  rows.reserve(e.pdgid.size());
  for (std::int64_t event = 0; event < e.size(); ++event) {
    for (std::int64_t row = e.offsets[event]; row < e.offsets[event + 1]; ++row) {
      if (e.status.empty() || e.status[static_cast<std::size_t>(row)] == 1) rows.push_back(row);
    }
    offsets.push_back(static_cast<std::int64_t>(rows.size()));
  }
  return rows;
}

Particle particle(const GenView& e, const Kinematics& cartesian, std::size_t i, std::size_t row) {
  const auto or_else = [row](const auto& column, double value) {
    return column.empty() ? value : static_cast<double>(column[row]);
  };
  Particle p{};
  if (!e.px.empty()) {
    p = {cartesian.pt[i], cartesian.eta[i], cartesian.phi[i]};
  } else {
    p = {e.pt[row], e.eta[row], e.phi[row]};
  }
  const std::int64_t code = e.pdgid[row];
  p[static_cast<int>(Quantity::mass)] = e.mass.empty() ? pdg::mass(code).value_or(0.0) : e.mass[row];
  p[static_cast<int>(Quantity::charge)] = e.charge.empty() ? pdg::charge(code) : e.charge[row];
  p[static_cast<int>(Quantity::vx)] = or_else(e.vx, 0);
  p[static_cast<int>(Quantity::vy)] = or_else(e.vy, 0);
  p[static_cast<int>(Quantity::vz)] = or_else(e.vz, 0);
  p[static_cast<int>(Quantity::vt)] = or_else(e.vt, 0);
  return p;
}

struct Numbers {
  const char* name;
  std::span<const double> GenView::* values;
};
constexpr Numbers numbers[] = {{"px", &GenView::px},     {"py", &GenView::py},   {"pz", &GenView::pz},
                               {"pt", &GenView::pt},     {"eta", &GenView::eta}, {"phi", &GenView::phi},
                               {"mass", &GenView::mass}, {"vx", &GenView::vx},   {"vy", &GenView::vy},
                               {"vz", &GenView::vz},     {"vt", &GenView::vt}};

/// Raises if a number of a particle is not finite; one sum for all, as long as that is.
void require_finite(const GenView& e, std::int64_t event, std::int64_t at) {
  const auto row = static_cast<std::size_t>(at);
  double sum = e.charge.empty() ? 0.0 : static_cast<double>(e.charge[row]);
  for (const Numbers& c : numbers) sum += (e.*c.values).empty() ? 0.0 : (e.*c.values)[row];
  if (std::isfinite(sum)) [[likely]]
    return;
  const auto refuse = [&](const char* name, double value) {
    if (std::isfinite(value)) return;
    throw InputError("FastSim: " + where(e, event, at) + ": " + name + " is " + std::to_string(value) +
                     ", a finite number is expected");
  };
  for (const Numbers& c : numbers) {
    if (!(e.*c.values).empty()) refuse(c.name, (e.*c.values)[row]);
  }
  if (!e.charge.empty()) refuse("charge", static_cast<double>(e.charge[row]));
}

}  // namespace

FastSim::FastSim(Config config) : impl_(std::make_unique<const Impl>(std::move(config))) {}
FastSim::~FastSim() = default;
FastSim::FastSim(FastSim&&) noexcept = default;
FastSim& FastSim::operator=(FastSim&&) noexcept = default;

const Metadata& FastSim::metadata() const {
  return impl_->engine.metadata();
}
const std::string& FastSim::device() const {
  return impl_->engine.device();
}

FastSim::Result FastSim::simulate(const GenView& events, std::uint64_t seed, std::uint32_t stream,
                                  std::stop_token stop) const {
  impl_->check(events);
  Result result;
  std::vector<std::int64_t> stable_offsets{0}, offsets{0}, codes, index;  // index: place of the given one in its event
  const std::vector<std::int64_t> rows = stable_rows(events, stable_offsets);
  const Kinematics cartesian = events.px.empty() ? Kinematics{} : kinematics(events.px, events.py, events.pz, rows);
  const std::size_t n_features = impl_->features.size();
  std::vector<float> features(rows.size() * n_features);
  codes.reserve(rows.size());
  index.reserve(rows.size());
  for (std::int64_t event = 0; event < events.size(); ++event) {
    for (std::int64_t i = stable_offsets[event]; i < stable_offsets[event + 1]; ++i) {
      const std::int64_t row = rows[i];
      const auto r = static_cast<std::size_t>(row);
      require_finite(events, event, row);
      const Particle p = particle(events, cartesian, static_cast<std::size_t>(i), r);
      if (!std::all_of(impl_->acceptance.begin(), impl_->acceptance.end(), [&](const Limit& l) { return l.holds(p); }))
        continue;
      if (const std::string* name = impl_->outside(p, events.pdgid[r]); name != nullptr) {
        const std::string reason = *name == "pdgid" ? "pdgid " + std::to_string(events.pdgid[r]) : *name;
        if (impl_->config.outside == Outside::refuse) {
          throw InputError("FastSim: " + where(events, event, row) + " lies outside the domain of model '" +
                           metadata().name + "': " + reason);
        }
        ++result.outside[reason];
        if (impl_->config.outside == Outside::drop) continue;
      }
      float* to = features.data() + codes.size() * n_features;
      for (const std::size_t quantity : impl_->features) {
        *to = static_cast<float>(p[quantity]);
        if (!std::isfinite(*to++)) {
          throw InputError("FastSim: " + where(events, event, row) + ": " + quantity_names[quantity] +
                           " is not finite in single precision");
        }
      }
      codes.push_back(events.pdgid[r]);
      index.push_back(row - events.offsets[event]);
    }
    offsets.push_back(static_cast<std::int64_t>(codes.size()));
  }
  features.resize(codes.size() * n_features);

  SetBatch batch = impl_->engine.run({features, codes, offsets, {}, events.event}, seed, stream, std::move(stop));

  const std::size_t n = batch.origin.size(), width = metadata().output_features.size(),
                    width_codes = metadata().output_codes.size();
  const auto column = [&](int which) {
    std::vector<float> out(n, 0.0f);
    if (which >= 0) {
      for (std::size_t i = 0; i < n; ++i) out[i] = batch.items[i * width + static_cast<std::size_t>(which)];
    }
    return out;
  };
  RecoEvents& reco = result.reco;
  reco.pt = column(impl_->output[0]);
  reco.eta = column(impl_->output[1]);
  reco.phi = column(impl_->output[2]);
  reco.mass = column(impl_->output[3]);
  reco.d0 = column(impl_->output[4]);
  reco.dz = column(impl_->output[5]);
  reco.pdgid.resize(n);
  reco.charge.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    reco.pdgid[i] = batch.item_codes[i * width_codes + static_cast<std::size_t>(impl_->pdgid_output)];
    reco.charge[i] = impl_->charge_output >= 0
                         ? static_cast<std::int32_t>(
                               batch.item_codes[i * width_codes + static_cast<std::size_t>(impl_->charge_output)])
                         : static_cast<std::int32_t>(std::lround(pdg::charge(reco.pdgid[i])));
  }
  reco.origin.resize(n);
  for (std::int64_t event = 0; event < batch.size(); ++event) {
    for (std::int64_t i = batch.offsets[event]; i < batch.offsets[event + 1]; ++i) {
      const std::int64_t origin = batch.origin[i];
      reco.origin[i] = origin < 0 ? -1 : index[offsets[event] + origin];
    }
  }
  reco.offsets = std::move(batch.offsets);
  return result;
}

}  // namespace hepgen_fastsim
