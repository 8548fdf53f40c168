// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/jets.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <string>

#include "hepgen_fastsim/error.hpp"
#include "jets_kernel.hpp"

namespace hepgen_fastsim {
namespace {

constexpr double pi = std::numbers::pi;
constexpr double infinity = std::numeric_limits<double>::infinity();
using jets::none;

/// A particle or what has become of several; its place in the list does not change.
struct PseudoJet {
  double px, py, pz, energy;
  int first, last;  // members, as a linked list

  double pt2() const { return px * px + py * py; }
};

/// Rapidity; along the beam so large, and so different, that nothing is near.
double rapidity(const PseudoJet& j) {
  constexpr double along_beam = 1e5;
  const double pt2 = j.pt2();
  if (pt2 == 0 && j.energy == std::abs(j.pz)) return std::copysign(along_beam + std::abs(j.pz), j.pz);
  const double mass2 = std::max(0.0, (j.energy + j.pz) * (j.energy - j.pz) - pt2);
  const double sum = j.energy + std::abs(j.pz);
  const double y = 0.5 * std::log((pt2 + mass2) / (sum * sum));
  return j.pz > 0 ? -y : y;
}

/// Azimuth in [0, 2 pi).
double azimuth(const PseudoJet& j) {
  double phi = j.pt2() == 0 ? 0 : std::atan2(j.py, j.px);
  if (phi < 0) phi += 2 * pi;
  return phi >= 2 * pi ? phi - 2 * pi : phi;
}

/// One event. Kept between events for its memory.
///
/// The weight of a particle is pt^2p, so that the distance of two is that in the plane times the smaller weight: the
/// heavier one is a neighbour of the lighter one, which alone keeps it in mind. What is kept is a lower bound: when the
/// nearest neighbour is gone, another one is looked for only once the bound is the smallest of all.
class Clustering {
 public:
  explicit Clustering(const JetFinder::Config& config) : config_(config), r2_(config.radius * config.radius) {}

  void run(const MomentumView& particles, std::int64_t begin, std::int64_t end, Jets& out) {
    load(particles, begin, end);
    done_.clear();
    for (std::size_t left = end - begin; left > 0;) {
      if (2 * left < laid_) lay_out();
      const std::size_t at = next();
      const int i = at_.jet[at], j = at_.nearest[at];
      if (j == none) {
        if (jets_[i].pt2() >= config_.pt_min * config_.pt_min) done_.push_back(i);
        remove(i);
      } else if (place_[j] == none) {
        find_nearest(at);
        continue;
      } else {
        merge(i, j);
      }
      --left;
    }
    collect(begin, out);
  }

 private:
  void load(const MomentumView& particles, std::int64_t begin, std::int64_t end) {
    const auto n = static_cast<std::size_t>(end - begin);
    jets_.clear();
    jets_.reserve(2 * n);
    place_.assign(2 * n, none);
    next_member_.assign(n, none);
    at_.assign(n);
    double high = -infinity;
    low_ = infinity;
    for (int i = 0; i < static_cast<int>(n); ++i) {
      const std::int64_t row = begin + i;
      jets_.push_back({particles.px[row], particles.py[row], particles.pz[row], particles.energy[row], i, i});
      put(i, i, rapidity(jets_[i]));
      if (std::abs(at_.rapidity[i]) > widest) continue;
      low_ = std::min(low_, at_.rapidity[i]);
      high = std::max(high, at_.rapidity[i]);
    }
    per_strip_ = 1 / std::max(config_.radius, 0.1);
    n_strips_ = high > low_ ? 1 + static_cast<int>((high - low_) * per_strip_) : 1;
    lay_out();
    for (std::size_t k = 0; k < at_.jet.size(); ++k) {
      if (at_.jet[k] != none) find_nearest(k);
    }
  }

  void put(int place, int jet, double rapidity) {
    at_.rapidity[place] = rapidity;
    at_.phi[place] = azimuth(jets_[jet]);
    at_.weight[place] = weight(jets_[jet]);
    at_.jet[place] = jet;
    place_[jet] = place;
  }

  double weight(const PseudoJet& j) const {
    if (config_.algorithm == JetAlgorithm::cambridge) return 1;
    const double pt2 = j.pt2();
    if (config_.algorithm == JetAlgorithm::kt) return std::min(pt2, 1e300);
    return pt2 > 1e-300 ? 1 / pt2 : 1e300;
  }

  /// Where the smallest bound is.
  std::size_t next() {
    for (const int strip : changed_) {
      const jets::Found found = kernel_.smallest(at_.bound, first_[strip], first_[strip + 1]);
      best_[strip] = found.place;
      least_[strip] = found.value;
    }
    changed_.clear();
    return best_[kernel_.smallest(least_, 0, least_.size()).place];
  }

  void change(int strip) {
    if (std::find(changed_.begin(), changed_.end(), strip) == changed_.end()) changed_.push_back(strip);
  }

  // --- strips of rapidity: two particles within R are in the same one or in neighbours ----------------------------

  /// Beyond the ends everything is in the last strip: what is near stays in the same one or in the next.
  int strip_of(double rapidity) const {
    if (!(rapidity > low_)) return 0;
    return static_cast<int>(std::min((rapidity - low_) * per_strip_, n_strips_ - 1.0));
  }

  /// Particles strip by strip, with a few empty places in each.
  void lay_out() {
    first_.assign(n_strips_ + 1, 0);
    laid_ = 0;
    for (std::size_t k = 0; k < at_.jet.size(); ++k) {
      if (at_.jet[k] == none) continue;
      ++first_[strip_of(at_.rapidity[k]) + 1];
      ++laid_;
    }
    for (int s = 0; s < n_strips_; ++s) {
      first_[s + 1] = first_[s] + (first_[s + 1] / jets::lanes + 1) * jets::lanes;
    }
    before_.assign(first_.back());
    std::swap(before_, at_);
    least_.assign((n_strips_ + jets::lanes - 1) / jets::lanes * jets::lanes, infinity);
    best_.resize(n_strips_);
    changed_.resize(n_strips_);
    std::iota(changed_.begin(), changed_.end(), 0);
    next_.assign(first_.begin(), first_.end() - 1);
    for (std::size_t k = 0; k < before_.jet.size(); ++k) {
      if (before_.jet[k] == none) continue;
      const int to = next_[strip_of(before_.rapidity[k])]++;
      at_.put(to, before_, k);
      place_[at_.jet[to]] = to;
    }
  }

  void remove(int jet) {
    change(strip_of(at_.rapidity[place_[jet]]));
    at_.clear(place_[jet]);
    place_[jet] = none;
  }

  int empty_place(int strip, int guess) {
    if (first_[strip] <= guess && guess < first_[strip + 1]) return guess;
    for (;; lay_out()) {
      const auto end = at_.jet.begin() + first_[strip + 1],
                 found = std::find(at_.jet.begin() + first_[strip], end, none);
      if (found != end) return static_cast<int>(found - at_.jet.begin());
    }
  }

  // --- neighbours ------------------------------------------------------------------------------------------------

  /// The nearest of those that are at least as heavy; and this as the nearest of those that are lighter, if it is
  /// `news`.
  void find_nearest(std::size_t own, bool news = false) {
    const int strip = strip_of(at_.rapidity[own]);
    const std::size_t begin = first_[std::max(0, strip - 1)], end = first_[std::min(n_strips_, strip + 2)];
    const jets::Point point = {at_.rapidity[own], at_.phi[own], at_.weight[own]};
    at_.rapidity[own] = jets::Columns::far;  // not its own neighbour
    const jets::Found found = kernel_.nearest(at_, point, begin, end);
    at_.rapidity[own] = point.rapidity;
    const bool near = found.value < r2_;
    at_.nearest[own] = near ? at_.jet[found.place] : none;
    at_.distance[own] = near ? found.value : r2_;
    at_.bound[own] = at_.weight[own] * at_.distance[own];
    change(strip);
    if (news && found.nearer) tell_lighter(own, begin, end);
  }

  void tell_lighter(std::size_t own, std::size_t begin, std::size_t end) {
    for (std::size_t k = begin; k < end; ++k) {
      if (at_.jet[k] == none || !(at_.weight[k] < at_.weight[own])) continue;
      const double dphi = pi - std::abs(pi - std::abs(at_.phi[own] - at_.phi[k]));
      const double dy = at_.rapidity[own] - at_.rapidity[k], distance = dphi * dphi + dy * dy;
      if (!(distance < at_.distance[k])) continue;
      at_.distance[k] = distance;
      at_.bound[k] = at_.weight[k] * distance;
      at_.nearest[k] = at_.jet[own];
      change(strip_of(at_.rapidity[k]));
    }
  }

  void merge(int i, int j) {
    PseudoJet sum = jets_[i];
    const PseudoJet& other = jets_[j];
    sum.px += other.px;
    sum.py += other.py;
    sum.pz += other.pz;
    sum.energy += other.energy;
    next_member_[sum.last] = other.first;
    sum.last = other.last;
    const int before = place_[i];
    remove(i);
    remove(j);
    const int jet = static_cast<int>(jets_.size());
    jets_.push_back(sum);
    const double y = rapidity(sum);
    const int place = empty_place(strip_of(y), before);
    put(place, jet, y);
    find_nearest(place, true);
  }

  void collect(std::int64_t begin, Jets& out) {
    std::stable_sort(done_.begin(), done_.end(), [&](int a, int b) { return jets_[a].pt2() > jets_[b].pt2(); });
    for (const int i : done_) {
      const PseudoJet& j = jets_[i];
      out.px.push_back(j.px);
      out.py.push_back(j.py);
      out.pz.push_back(j.pz);
      out.energy.push_back(j.energy);
      const auto start = static_cast<std::ptrdiff_t>(out.members.size());
      for (int m = j.first; m != none; m = next_member_[m]) out.members.push_back(begin + m);
      std::sort(out.members.begin() + start, out.members.end());
      out.member_of.resize(out.members.size(), static_cast<std::int64_t>(out.px.size()) - 1);
    }
  }

  static constexpr double widest = 20;  // of the strips

  JetFinder::Config config_;
  jets::Kernel kernel_ = jets::best_kernel();
  double r2_;
  std::vector<PseudoJet> jets_;  // particles, then what they are merged to
  std::vector<int> place_;       // of each jet, none if it is gone
  jets::Columns at_, before_;
  std::size_t laid_ = 0;           // particles, when they were laid out
  std::vector<int> first_, next_;  // places of strips
  jets::Numbers least_;            // smallest bound of each strip
  std::vector<std::size_t> best_;  // where it is
  std::vector<int> changed_;       // strips for which these are to be found anew
  std::vector<int> next_member_, done_;
  int n_strips_ = 1;
  double per_strip_ = 0, low_ = 0;
};

}  // namespace

JetFinder::JetFinder(Config config) : config_(config) {
  if (!(config.radius > 0 && config.radius < 10) || !(config.pt_min >= 0)) {
    throw Error("JetFinder: the radius should lie between 0 and 10 and pt_min should not be negative, but they are " +
                std::to_string(config.radius) + " and " + std::to_string(config.pt_min));
  }
}

Jets JetFinder::operator()(const MomentumView& particles) const {
  const auto& offsets = particles.offsets;
  if (offsets.empty() || offsets.front() != 0 || !std::is_sorted(offsets.begin(), offsets.end())) {
    throw InputError("JetFinder: offsets should begin with 0 and never decrease");
  }
  const auto n = static_cast<std::size_t>(offsets.back());
  for (const auto& column : {particles.px, particles.py, particles.pz, particles.energy}) {
    if (column.size() != n) {
      throw InputError("JetFinder: the offsets count " + std::to_string(n) + " particles, but a column has " +
                       std::to_string(column.size()));
    }
    const auto odd = std::find_if(column.begin(), column.end(), [](double x) { return !std::isfinite(x); });
    if (odd != column.end()) {
      throw InputError("JetFinder: the momentum of particle " + std::to_string(odd - column.begin()) +
                       " is not finite");
    }
  }
  Jets out;
  Clustering clustering(config_);
  for (std::size_t event = 0; event + 1 < offsets.size(); ++event) {
    double sum = 0;  // no jet has more than the scalar sum
    for (std::int64_t i = offsets[event]; i < offsets[event + 1]; ++i)
      sum += std::sqrt(particles.px[i] * particles.px[i] + particles.py[i] * particles.py[i]);
    if (sum >= config_.pt_min * (1 - 1e-9)) clustering.run(particles, offsets[event], offsets[event + 1], out);
    out.offsets.push_back(static_cast<std::int64_t>(out.px.size()));
  }
  return out;
}

}  // namespace hepgen_fastsim
