// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/nsubjettiness.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "momentum.hpp"

namespace hepgen_fastsim {
namespace {

constexpr double pi = std::numbers::pi;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::size_t most = std::tuple_size_v<Subjettiness>;

constexpr double accuracy = 1e-4;  // of the axes; keeps weights finite where a particle is at its axis, too
constexpr int most_steps = 1000;

/// A difference of azimuths in [-2 pi, 2 pi], the short way round.
inline double around(double difference) {
  const double less = difference > pi ? difference - 2 * pi : difference;
  return less < -pi ? less + 2 * pi : less;
}

/// A jet's constituents, column by column; and what one step towards the minimum needs of each.
struct Constituents {
  std::size_t n = 0;
  std::vector<double> pt, rapidity, phi;
  std::vector<double> nearest2, dy, dphi, axis;  // of the nearest axis

  void resize(std::size_t size) {
    n = size;
    for (auto* column : {&pt, &rapidity, &phi, &nearest2, &dy, &dphi, &axis}) column->resize(size);
  }
};

/// Exclusive kt subjets of a radius so large that nothing is nearest to the beam. Of the pair that is recombined, the
/// one of less pt has the other for its nearest neighbour in the plane. Kept between jets for its memory.
class Clustering {
 public:
  explicit Clustering(bool winner_takes_all) : winner_takes_all_(winner_takes_all) {}

  /// The directions of the last five, four, ... one, those of N at [N - 1].
  std::array<std::array<Direction, most>, most> operator()(const std::vector<Momentum>& momenta, const Constituents& c);

 private:
  void merge(std::size_t a, std::size_t b);

  /// The nearest of `own`; `own` is told to the others if it is `news`.
  void look(std::size_t own, bool news) {
    const double y = rapidity_[own], phi = phi_[own];
    for (std::size_t i = 0; i < n_; ++i) {
      const double dy = rapidity_[i] - y, dphi = around(phi_[i] - phi);
      distance_[i] = dy * dy + dphi * dphi;
    }
    distance_[own] = infinity;
    double least = infinity;
    std::size_t nearest = own;
    for (std::size_t i = 0; i < n_; ++i) {
      if (distance_[i] < least) least = distance_[i], nearest = i;
      if (news && distance_[i] < nearest2_[i]) set(i, own, distance_[i]);
    }
    set(own, nearest, least);
  }
  void set(std::size_t i, std::size_t nearest, double distance2) {
    nearest_[i] = nearest, nearest2_[i] = distance2;
    bound_[i] = pt_[i] * pt_[i] * distance2;
  }

  bool winner_takes_all_;
  std::size_t n_ = 0;
  std::vector<Momentum> momenta_;
  std::vector<double> pt_, rapidity_, phi_, distance_, nearest2_, bound_;
  std::vector<std::size_t> nearest_;
};

std::array<std::array<Direction, most>, most> Clustering::operator()(const std::vector<Momentum>& momenta,
                                                                     const Constituents& c) {
  std::array<std::array<Direction, most>, most> axes;
  momenta_ = momenta, pt_ = c.pt, rapidity_ = c.rapidity, phi_ = c.phi;
  n_ = c.n;
  for (auto* column : {&distance_, &bound_}) column->resize(n_);
  nearest_.resize(n_);
  nearest2_.assign(n_, infinity);
  for (std::size_t i = 0; i < n_; ++i) look(i, false);
  while (n_ > 0) {
    if (n_ <= most) {
      for (std::size_t k = 0; k < n_; ++k) axes[n_ - 1][k] = {rapidity_[k], phi_[k]};
    }
    if (n_ == 1) break;
    const auto a = static_cast<std::size_t>(std::min_element(bound_.begin(), bound_.begin() + n_) - bound_.begin());
    merge(std::min(a, nearest_[a]), std::max(a, nearest_[a]));
  }
  return axes;
}

void Clustering::merge(std::size_t a, std::size_t b) {
  if (winner_takes_all_) {
    if (pt_[b] > pt_[a]) rapidity_[a] = rapidity_[b], phi_[a] = phi_[b];
    pt_[a] += pt_[b];
  } else {
    const Momentum& p = momenta_[a] += momenta_[b];
    const Direction d = direction(p);
    pt_[a] = std::sqrt(p.pt2()), rapidity_[a] = d.rapidity, phi_[a] = d.phi;
  }
  const std::size_t last = --n_;
  momenta_[b] = momenta_[last];
  for (auto* column : {&pt_, &rapidity_, &phi_, &nearest2_, &bound_}) (*column)[b] = (*column)[last];
  nearest_[b] = nearest_[last];
  for (std::size_t i = 0; i < n_; ++i) {
    if (i == a) continue;
    if (nearest_[i] == a || nearest_[i] == b) {
      look(i, false);
    } else if (nearest_[i] == last) {
      nearest_[i] = b;
    }
  }
  look(a, true);
}

/// The axis nearest to each particle.
template <std::size_t n_axes>
void assign(Constituents& c, const std::array<Direction, most> axes) {
  const double *const y = c.rapidity.data(), *const phi = c.phi.data();
  double* const nearest2 = c.nearest2.data();
  double *const dys = c.dy.data(), *const dphis = c.dphi.data(), *const axis = c.axis.data();
  const std::size_t n = c.n;
#pragma GCC ivdep  // the columns do not overlap
  for (std::size_t i = 0; i < n; ++i) {
    double best = infinity, best_dy = 0, best_dphi = 0, best_axis = 0;
    for (std::size_t k = 0; k < n_axes; ++k) {
      const double dy = y[i] - axes[k].rapidity, dphi = around(phi[i] - axes[k].phi);
      const double distance2 = dy * dy + dphi * dphi;
      const bool nearer = distance2 < best;
      best = nearer ? distance2 : best;
      best_dy = nearer ? dy : best_dy;
      best_dphi = nearer ? dphi : best_dphi;
      best_axis = nearer ? static_cast<double>(k) : best_axis;
    }
    nearest2[i] = best, dys[i] = best_dy, dphis[i] = best_dphi, axis[i] = best_axis;
  }
}

/// pt dR^(beta - 2) of each particle, in the place of nearest2.
void weigh(Constituents& c, double beta) {
  const double* const pt = c.pt.data();
  double* const weight = c.nearest2.data();
  if (beta == 2) {
    std::copy_n(pt, c.n, weight);
  } else if (beta == 1) {
    for (std::size_t i = 0; i < c.n; ++i) weight[i] = pt[i] / std::sqrt(weight[i] + accuracy * accuracy);
  } else {
    for (std::size_t i = 0; i < c.n; ++i) weight[i] = pt[i] * std::pow(weight[i] + accuracy * accuracy, beta / 2 - 1);
  }
}

/// From axes to those of the next minimum of tau.
template <std::size_t n_axes>
void minimise(Constituents& c, double beta, std::array<Direction, most>& axes) {
  double moved = infinity;
  for (int step = 0; step < most_steps && moved > accuracy; ++step) {
    assign<n_axes>(c, axes);
    weigh(c, beta);
    struct {
      double weight, dy, dphi;
    } sums[n_axes] = {};
    for (std::size_t i = 0; i < c.n; ++i) {
      auto& sum = sums[static_cast<std::size_t>(c.axis[i])];
      sum.weight += c.nearest2[i], sum.dy += c.nearest2[i] * c.dy[i], sum.dphi += c.nearest2[i] * c.dphi[i];
    }
    moved = 0;
    for (std::size_t k = 0; k < n_axes; ++k) {
      if (sums[k].weight == 0) continue;  // nobody is nearest
      const double dy = sums[k].dy / sums[k].weight, dphi = sums[k].dphi / sums[k].weight;
      axes[k] = {axes[k].rapidity + dy, around(axes[k].phi + dphi)};
      moved += std::sqrt(dy * dy + dphi * dphi) / n_axes;
    }
  }
}

template <std::size_t n_axes>
double tau(Constituents& c, double radius, double beta, bool onepass, std::array<Direction, most> axes) {
  if (c.n <= n_axes) return 0;
  if (onepass) minimise<n_axes>(c, beta, axes);
  assign<n_axes>(c, axes);
  double sum = 0, pt = 0;
  for (std::size_t i = 0; i < c.n; ++i) {
    const double distance = std::sqrt(c.nearest2[i]) / radius;
    sum += c.pt[i] * (beta == 1 ? distance : std::pow(distance, beta));
    pt += c.pt[i];
  }
  return pt > 0 ? sum / pt : 0;
}

}  // namespace

std::vector<Subjettiness> nsubjettiness(const MomentumView& jets, double radius, double beta, SubjetAxes axes) {
  if (!(radius > 0 && std::isfinite(radius)) || !(beta > 0 && std::isfinite(beta))) {
    throw Error("nsubjettiness: the radius and beta should be positive, but they are " + std::to_string(radius) +
                " and " + std::to_string(beta));
  }
  check_momenta(jets, "nsubjettiness");
  const bool onepass = axes == SubjetAxes::onepass_kt || axes == SubjetAxes::onepass_wta_kt;
  Clustering cluster(axes == SubjetAxes::wta_kt || axes == SubjetAxes::onepass_wta_kt);
  std::vector<Subjettiness> out;
  std::vector<Momentum> momenta;
  Constituents c;
  for (std::size_t jet = 0; jet + 1 < jets.offsets.size(); ++jet) {
    const auto begin = static_cast<std::size_t>(jets.offsets[jet]),
               end = static_cast<std::size_t>(jets.offsets[jet + 1]);
    momenta.clear();
    c.resize(end - begin);
    for (std::size_t i = begin; i < end; ++i) {
      const Momentum p{jets.px[i], jets.py[i], jets.pz[i], jets.energy[i]};
      const Direction d = direction(p);
      momenta.push_back(p);
      c.pt[i - begin] = std::sqrt(p.pt2());
      c.rapidity[i - begin] = d.rapidity, c.phi[i - begin] = d.phi;
    }
    const auto seeds = cluster(momenta, c);
    out.push_back({tau<1>(c, radius, beta, onepass, seeds[0]), tau<2>(c, radius, beta, onepass, seeds[1]),
                   tau<3>(c, radius, beta, onepass, seeds[2]), tau<4>(c, radius, beta, onepass, seeds[3]),
                   tau<5>(c, radius, beta, onepass, seeds[4])});
  }
  return out;
}

}  // namespace hepgen_fastsim
