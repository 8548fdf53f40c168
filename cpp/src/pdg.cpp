// SPDX-License-Identifier: MIT
// Particle Data Group, "Monte Carlo particle numbering scheme" (Phys. Rev. D 110 (2024) 030001, section 45): a code is
// +-n nr nL nq1 nq2 nq3 nJ, ten digits for nuclei; most of what follows reads these digits.
#include "hepgen_fastsim/pdg.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>

namespace hepgen_fastsim::pdg {
namespace {

/// Digits by their name in the scheme.
struct Digits {
  explicit Digits(std::int64_t code)
      : nj(code % 10),
        nq3(code / 10 % 10),
        nq2(code / 100 % 10),
        nq1(code / 1000 % 10),
        nl(code / 10000 % 10),
        nr(code / 100000 % 10),
        n(code / 1000000 % 10),
        rest(code / 10000000) {}
  std::int64_t nj, nq3, nq2, nq1, nl, nr, n, rest;
};

/// Charges in units of e/3. A 9 stands for a gluon or gluino.
constexpr int quark_charge[] = {0, -1, 2, -1, 2, -1, 2, -1, 2, 0};

int quark(std::int64_t digit) {
  return quark_charge[digit];
}

/// Quarks, leptons, bosons, and what is numbered like them (codes below 100).
std::optional<int> elementary(std::int64_t code) {
  if (code <= 8) return code == 0 ? std::nullopt : std::optional(quark(code));
  switch (code) {
    case 9:
      return 0;
    case 11:
    case 13:
    case 15:
    case 17:
      return -3;
    case 24:
    case 34:
    case 37:
    case 44:
      return 3;
    case 38:
      return 6;
    case 42:
      return -1;
    case 10:
    case 19:
    case 20:
      return std::nullopt;
    default:
      return 0;
  }
}

/// A meson is a quark and an antiquark; its code is positive when the heavier one is an up-type quark or a down-type
/// antiquark.
int meson(std::int64_t heavy, std::int64_t light) {
  return heavy == 3 || heavy == 5 || heavy == 7 ? quark(light) - quark(heavy) : quark(heavy) - quark(light);
}

/// Hadrons with a supersymmetric constituent, 1000000 + digits: a gluino is a 9, a squark comes first and is never
/// the antiparticle.
std::optional<int> r_hadron(const Digits& d) {
  if (d.nl == 9) return quark(d.nq1) + quark(d.nq2) + quark(d.nq3);  // gluino and three quarks
  if (d.nl != 0) return std::nullopt;
  if (d.nq1 == 9) return meson(std::max(d.nq2, d.nq3), std::min(d.nq2, d.nq3));  // gluino, quark, antiquark
  if (d.nq1 == 0) return quark(d.nq2) - quark(d.nq3);                            // squark and antiquark
  return quark(d.nq1) + quark(d.nq2) + quark(d.nq3);                             // squark and two quarks
}

std::optional<int> hadron(const Digits& d) {
  if (d.nq2 == 0) return std::nullopt;
  if (d.nq1 == 0) return d.nq3 == 0 ? std::nullopt : std::optional(meson(d.nq2, d.nq3));
  return quark(d.nq1) + quark(d.nq2) + quark(d.nq3);  // a baryon, or a diquark when nq3 = 0
}

/// Three times the charge of the particle with this code > 0; nothing if the scheme has no such code.
std::optional<int> three_charge(std::int64_t code) {
  const Digits d(code);
  if (code >= 1000000000) {  // 10LZZZAAAI
    const std::int64_t z = code / 10000 % 1000, a = code / 10 % 1000;
    if (code / 100000000 != 10 || a == 0 || z > a) return std::nullopt;
    return static_cast<int>(3 * z);
  }
  if (d.rest == 10 && d.n <= 2 && code >= 100000000) {  // nine digits: tetraquarks and pentaquarks
    if (d.nr == 0 || d.nl == 0 || d.nq2 == 0 || d.nq3 == 0) return std::nullopt;
    if (d.nq1 == 0) return quark(d.nr) + quark(d.nl) - quark(d.nq2) - quark(d.nq3);
    return quark(d.nr) + quark(d.nl) + quark(d.nq1) + quark(d.nq2) - quark(d.nq3);
  }
  if (d.rest == 1 && d.n == 0 && d.nr == 0 && d.nj == 0) return static_cast<int>(3 * (code / 10 % 10000));  // Q-balls
  if (d.rest != 0) return std::nullopt;

  if (code < 100) return elementary(code);
  const std::int64_t low = code % 10000;
  switch (d.n) {
    case 0:
      if (d.nq2 == 0 && d.nq1 == 0) return std::nullopt;
      return hadron(d);
    case 1:
    case 2:
      if (d.nr != 0) return std::nullopt;
      if (low >= 100 || d.nl == 9) return d.n == 1 ? r_hadron(d) : std::nullopt;
      if (d.nl == 0 && (low == 17 || low == 18 || low == 34)) return 0;
      return elementary(low);
    case 4:
      if (d.nr == 1 && (d.nl == 1 || d.nl == 2)) {  // monopoles and dyons
        const int z = static_cast<int>(code / 10 % 1000);
        return d.nl == 1 ? 3 * z : -3 * z;
      }
      if (d.nr == 9 && low >= 100) return 0;  // hidden valley: mesons and quarks of another force
      break;
    case 9:
      if (code == 9900041 || code == 9900042) return 6;
      if (d.nr == 9 && (d.nl == 4 || d.nl == 5)) return 0;  // colour octets of charmonium and bottomonium
      if (d.nr >= 1 && d.nr <= 6 && d.nl >= 1 && d.nq1 >= 1 && d.nq2 >= 1 && d.nq3 >= 1) {  // pentaquarks
        return quark(d.nr) + quark(d.nl) + quark(d.nq1) + quark(d.nq2) - quark(d.nq3);
      }
      break;
    default:
      if (code == 5100061 || code == 5100062) return 6;
  }
  return low < 100 ? elementary(low) : hadron(d);
}

struct Mass {
  std::int64_t code;
  double mass;
};

/// [GeV], Particle Data Group 2024, nuclei without their electrons (AME 2020); ascending codes.
constexpr Mass masses[] = {
    {6, 172.6},
    {11, 0.000510998951},
    {12, 0},
    {13, 0.105658375},
    {14, 0},
    {15, 1.77693},
    {16, 0},
    {21, 0},
    {22, 0},
    {23, 91.1879},
    {24, 80.362},
    {25, 125.13},
    {111, 0.1349768},
    {113, 0.77526},
    {130, 0.497611},
    {211, 0.13957039},
    {213, 0.77511},
    {221, 0.547862},
    {223, 0.78266},
    {310, 0.497611},
    {311, 0.497611},
    {313, 0.89556},
    {321, 0.493677},
    {323, 0.89188},
    {331, 0.95778},
    {333, 1.01946},
    {411, 1.86966},
    {413, 2.01027},
    {421, 1.86484},
    {423, 2.00686},
    {431, 1.96835},
    {433, 2.1122},
    {441, 2.98409},
    {443, 3.0969},
    {511, 5.27972},
    {513, 5.32475},
    {521, 5.27941},
    {523, 5.32475},
    {531, 5.36693},
    {541, 6.27447},
    {553, 9.4604},
    {1114, 1.232},
    {2112, 0.939565422},
    {2114, 1.232},
    {2212, 0.938272089},
    {2214, 1.232},
    {2224, 1.232},
    {3112, 1.197449},
    {3114, 1.3872},
    {3122, 1.115683},
    {3212, 1.192642},
    {3214, 1.3838},
    {3222, 1.18937},
    {3224, 1.38283},
    {3312, 1.32171},
    {3314, 1.535},
    {3322, 1.31486},
    {3324, 1.5318},
    {3334, 1.67245},
    {4112, 2.45375},
    {4122, 2.28646},
    {4132, 2.4705},
    {4212, 2.45265},
    {4222, 2.45397},
    {4232, 2.46779},
    {4332, 2.6953},
    {5112, 5.81564},
    {5122, 5.61957},
    {5132, 5.797},
    {5222, 5.81056},
    {5232, 5.7917},
    {5332, 6.0458},
    {1000000010, 0.939565422},
    {1000010010, 0.938272089},
    {1000010020, 1.87561294},
    {1000010030, 2.80892114},
    {1000020030, 2.80839161},
    {1000020040, 3.72737941},
    {1000030060, 5.60151851},
    {1000030070, 6.53383283},
    {1000040090, 8.39275139},
    {1000050100, 9.32443665},
    {1000050110, 10.2525479},
    {1000060120, 11.1748633},
    {1000060130, 12.1094824},
    {1000070140, 13.0402039},
    {1000080160, 14.8950807},
};

}  // namespace

double charge(std::int64_t code) {
  if (code < 0) return code == INT64_MIN ? 0.0 : -charge(-code);
  return three_charge(code).value_or(0) / 3.0;
}

std::optional<double> mass(std::int64_t code) {
  if (code == INT64_MIN) return std::nullopt;
  code = std::abs(code);
  const auto* found = std::lower_bound(std::begin(masses), std::end(masses), code,
                                       [](const Mass& m, std::int64_t c) { return m.code < c; });
  if (found != std::end(masses) && found->code == code) return found->mass;
  if (code >= 1000000000 && three_charge(code)) return static_cast<double>(code / 10 % 1000) * 0.9315;
  return std::nullopt;
}

bool is_known(std::int64_t code) {
  return code != INT64_MIN && three_charge(std::abs(code)).has_value();
}

}  // namespace hepgen_fastsim::pdg
