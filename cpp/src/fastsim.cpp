// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/fastsim.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <span>

#include "gen_columns.hpp"
#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/pdg.hpp"

namespace hepgen_fastsim {
namespace {

int find_name(const char* const* names, std::size_t n, const std::string& name) {
  const auto* found = std::find_if(names, names + n, [&](const char* known) { return name == known; });
  return found == names + n ? -1 : static_cast<int>(found - names);
}

/// A named range on one of the quantities.
struct Limit {
  std::size_t quantity;
  double low, high;
  std::string name;
  bool holds(double x) const { return x >= low && x <= high; }

  /// Sets `flag` [n] where it does not hold, by the signs of the distances from both ends: no branch, all in vectors.
  void mark(const GenColumns& columns, std::vector<std::uint64_t>& flag) const {
    const double lowest = low, highest = high;
    const double* x = columns[quantity].data();
    std::uint64_t* out = flag.data();
    const std::size_t n = flag.size();
    for (std::size_t i = 0; i < n; ++i) {
      out[i] |= (std::bit_cast<std::uint64_t>(x[i] - lowest) | std::bit_cast<std::uint64_t>(highest - x[i])) >> 63;
    }
  }
};

/// Whether a code is one of a sorted list; a table answers for the small ones, which are most.
class KnownCodes {
 public:
  explicit KnownCodes(std::vector<std::int64_t> codes) : codes_(std::move(codes)) {
    for (const std::int64_t code : codes_) {
      if (-size < code && code < size) small_[static_cast<std::size_t>(code + size)] = true;
    }
  }
  bool contains(std::int64_t code) const {
    if (-size < code && code < size) return small_[static_cast<std::size_t>(code + size)];
    return std::binary_search(codes_.begin(), codes_.end(), code);
  }
  bool empty() const { return codes_.empty(); }

 private:
  static constexpr std::int64_t size = 4096;
  std::vector<std::int64_t> codes_;
  std::array<bool, 2 * size> small_{};
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
    for (const std::size_t quantity : features) used[quantity] = true;
    for (const auto* ranges : {&acceptance, &domain}) {
      for (const Limit& limit : *ranges) used[limit.quantity] = true;
    }
  }

  Config config;
  Engine engine;
  std::vector<std::size_t> features;
  std::array<int, 6> output{};  // column of pt, eta, phi, mass, d0, dz in the model's output; -1: none
  int pdgid_output = -1, charge_output = -1;
  std::vector<Limit> acceptance, domain;
  KnownCodes known{engine.metadata().domain.pdgid};
  std::array<bool, quantity_names.size()> used{};  // by the three above

  class Input;
  void check(const GenView& events) const;
  const std::string* outside(const GenColumns& columns, std::size_t i, std::int64_t code) const;
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

/// The quantity by which stable particle i lies outside the domain, or "pdgid"; null if it does not.
const std::string* FastSim::Impl::outside(const GenColumns& columns, std::size_t i, std::int64_t code) const {
  static const std::string species = "pdgid";
  if (!known.empty() && !known.contains(code)) return &species;
  for (const Limit& limit : domain) {
    if (!limit.holds(columns[limit.quantity][i])) return &limit.name;
  }
  return nullptr;
}

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

/// Gives the stable particles to the model event by event.
class FastSim::Impl::Input {
 public:
  Input(const Impl& sim, const GenView& events) : sim_(sim), events_(events), rows_(stable_rows(events, stable_)) {
    features.resize(rows_.size() * sim.features.size());
    codes.reserve(rows_.size());
    index.reserve(rows_.size());
    constexpr std::int64_t block = 4096;  // particles whose columns stay in the second-level cache
    for (std::int64_t first = 0, event = 0; event < events.size(); ++event) {
      if (stable_[event + 1] - stable_[first] < block && event + 1 < events.size()) continue;
      add(first, event + 1);
      first = event + 1;
    }
    features.resize(codes.size() * sim.features.size());
  }

  std::vector<float> features;
  std::vector<std::int64_t> codes, offsets{0};
  std::vector<std::int64_t> index;  ///< place of the given one in its event
  std::map<std::string, std::int64_t> outside;

 private:
  void add(std::int64_t first_event, std::int64_t last_event);

  const Impl& sim_;
  const GenView& events_;
  std::vector<std::int64_t> stable_{0}, rows_;
};

void FastSim::Impl::Input::add(std::int64_t first_event, std::int64_t last_event) {
  const auto begin = static_cast<std::size_t>(stable_[first_event]);
  const auto rows = std::span(rows_).subspan(begin, static_cast<std::size_t>(stable_[last_event]) - begin);
  require_finite(events_, rows);
  const GenColumns columns = gen_columns(events_, rows, sim_.used);
  std::vector<std::uint64_t> unseen(rows.size()), strange(rows.size());
  for (const Limit& limit : sim_.acceptance) limit.mark(columns, unseen);
  for (const Limit& limit : sim_.domain) limit.mark(columns, strange);
  if (!sim_.known.empty()) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      strange[i] |= sim_.known.contains(events_.pdgid[rows[i]]) ? 0 : 1;
    }
  }
  std::vector<std::size_t> taken;  // of the block
  taken.reserve(rows.size());
  for (std::int64_t event = first_event; event < last_event; ++event) {
    for (std::size_t i = stable_[event] - begin; i < stable_[event + 1] - begin; ++i) {
      if (unseen[i]) continue;
      const std::int64_t row = rows[i], code = events_.pdgid[row];
      if (strange[i]) {
        const std::string& name = *sim_.outside(columns, i, code);
        const std::string reason = name == "pdgid" ? "pdgid " + std::to_string(code) : name;
        if (sim_.config.outside == Outside::refuse) {
          throw InputError("FastSim: " + where(events_, row) + " lies outside the domain of model '" +
                           sim_.engine.metadata().name + "': " + reason);
        }
        ++outside[reason];
        if (sim_.config.outside == Outside::drop) continue;
      }
      taken.push_back(i);
      codes.push_back(code);
      index.push_back(row - events_.offsets[event]);
    }
    offsets.push_back(static_cast<std::int64_t>(codes.size()));
  }
  const std::size_t width = sim_.features.size();
  for (std::size_t f = 0; f < width; ++f) {
    const double* from = columns[sim_.features[f]].data();
    float* to = features.data() + (codes.size() - taken.size()) * width + f;
    std::uint32_t largest = 0;  // exponent
    for (std::size_t k = 0; k < taken.size(); ++k) {
      const auto value = static_cast<float>(from[taken[k]]);
      to[k * width] = value;
      largest = std::max(largest, std::bit_cast<std::uint32_t>(value) & 0x7F800000u);
    }
    if (largest != 0x7F800000u) continue;
    const auto bad = std::find_if(taken.begin(), taken.end(),
                                  [&](std::size_t i) { return !std::isfinite(static_cast<float>(from[i])); });
    throw InputError("FastSim: " + where(events_, rows[*bad]) + ": " + quantity_names[sim_.features[f]] +
                     " is not finite in single precision");
  }
}

FastSim::Result FastSim::simulate(const GenView& events, std::uint64_t seed, std::uint32_t stream,
                                  std::stop_token stop) const {
  impl_->check(events);
  Impl::Input given(*impl_, events);
  Result result;
  result.outside = std::move(given.outside);
  SetBatch batch =
      impl_->engine.run({given.features, given.codes, given.offsets, {}, events.event}, seed, stream, std::move(stop));

  const std::size_t n = batch.origin.size(), width = metadata().output_features.size(),
                    width_codes = metadata().output_codes.size();
  RecoEvents& reco = result.reco;
  const std::array<std::vector<float>*, 6> to_columns = {&reco.pt,   &reco.eta, &reco.phi,
                                                         &reco.mass, &reco.d0,  &reco.dz};
  for (std::size_t c = 0; c < to_columns.size(); ++c) {
    to_columns[c]->resize(n);
    if (impl_->output[c] < 0) continue;
    const float* from = batch.items.data() + impl_->output[c];
    float* out = to_columns[c]->data();
    for (std::size_t i = 0; i < n; ++i) out[i] = from[i * width];
  }
  reco.pdgid.resize(n);
  reco.charge.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::int64_t* from = batch.item_codes.data() + i * width_codes;
    reco.pdgid[i] = from[impl_->pdgid_output];
    reco.charge[i] = static_cast<std::int32_t>(impl_->charge_output >= 0 ? from[impl_->charge_output]
                                                                         : std::lround(pdg::charge(reco.pdgid[i])));
  }
  reco.origin.resize(n);
  for (std::int64_t event = 0; event < batch.size(); ++event) {
    for (std::int64_t i = batch.offsets[event]; i < batch.offsets[event + 1]; ++i) {
      const std::int64_t origin = batch.origin[i];
      reco.origin[i] = origin < 0 ? -1 : given.index[given.offsets[event] + origin];
    }
  }
  reco.offsets = std::move(batch.offsets);
  return result;
}

}  // namespace hepgen_fastsim
