// SPDX-License-Identifier: MIT
#include "hepmc_parser.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/pdg.hpp"
#include "input_kind.hpp"
#include "text_number.hpp"

namespace hepgen_fastsim::detail {
namespace {

// No event of any generator has as many; a larger count is a damaged line.
constexpr std::int64_t largest_count = 100'000'000;
// Rows grow with the lines that were read, not with what an E line promises, and by as many as stay in the cache until
// they are filled: a new row is first set to 0.
constexpr std::size_t row_step = 1024;

void resize_rows(GenEvents& out, std::size_t n) {
  out.pdgid.resize(n);
  out.status.resize(n);
  for (auto* column : {&out.px, &out.py, &out.pz, &out.mass, &out.vx, &out.vy, &out.vz, &out.vt}) column->resize(n);
  out.charge.resize(n);
  for (auto* column : {&out.m1, &out.m2, &out.d1, &out.d2}) column->resize(n);
}

/// The generated mass, unless energy and momentum contradict it by more than 1e-6 of the energy.
double consistent_mass(double px, double py, double pz, double energy, double mass) {
  const double square = px * px + py * py + pz * pz + (mass < 0 ? -mass : mass) * mass;
  const double energy2 = energy * energy;
  if (energy >= 0 && std::abs(energy2 - square) <= 1.9e-6 * energy2) [[likely]]
    return mass;
  if (std::abs(std::sqrt(std::max(square, 0.0)) - energy) <= 1e-6 * std::abs(energy)) return mass;
  const double p = std::hypot(px, py, pz);
  const double low = energy - p, high = energy + p;
  return std::copysign(std::sqrt(std::abs(low)) * std::sqrt(std::abs(high)), (low < 0) == (high < 0) ? 1.0 : -1.0);
}

}  // namespace

void trim(GenEvents& out) {
  resize_rows(out, static_cast<std::size_t>(out.offsets.back()));
}

HepMCParser::HepMCParser(LineReader& lines, std::string name) : lines_(lines), name_(std::move(name)) {
  try {
    sniff();
  } catch (const InputError& error) {
    throw InputError(name_ + ": " + error.what());
  }
}

void HepMCParser::sniff() {
  if (lines_.peek(7) == "HepMC::") return;  // do not wait for more than a pipe may have
  const std::string_view head = lines_.peek(4096);
  for (std::size_t at = 0; at < head.size();) {
    const auto line = head.substr(at, head.find('\n', at) - at);
    if (line.starts_with("HepMC::")) return;
    if (!line.starts_with('#') && line.find_first_not_of(" \t\r") != line.npos) break;
    at += line.size() + 1;
  }
  throw InputError("expected HepMC text (HepMC::Asciiv3 or HepMC::IO_GenEvent), found " + describe_input(head));
}

std::string HepMCParser::where() const {
  std::string text = name_ + ": ";
  if (in_event_) {
    text += "event " + std::to_string(position_) + " (number " + std::to_string(info_.number) + "), ";
  } else {
    text += "after " + std::to_string(position_) + " events, ";
  }
  return text + "line " + std::to_string(lines_.number()) + ": ";
}

void HepMCParser::fail(const std::string& message) const {
  throw InputError(where() + message);
}

void HepMCParser::fail_at(std::int64_t line, const std::string& message) const {
  throw InputError(name_ + ": event " + std::to_string(position_) + " (number " + std::to_string(info_.number) +
                   "), line " + std::to_string(line) + ": " + message);
}

void HepMCParser::garbled(const char* expected) const {
  fail(std::string("expected ") + expected + ", found " + excerpt(lines_.text()) +
       (lines_.terminated() ? "" : ", where the input ends"));
}

bool HepMCParser::is_blank() const {
  const auto text = lines_.text();
  return text.find_first_not_of(" \t\r") == text.npos;
}

bool HepMCParser::next(GenEvents& out) {
  if (!find_event()) return false;
  base_ = static_cast<std::size_t>(out.offsets.back());
  begin_event();
  if (format_ == Format::asciiv3) {
    read_asciiv3(out);
  } else {
    read_io_genevent(out);
  }
  finish_event(out);
  in_event_ = false;
  ++position_;
  return true;
}

void HepMCParser::begin_event() {
  in_event_ = true;
  info_ = EventInfo{};
  weights_.clear();
  origin_ = Position{};
  event_line_ = lines_.number();
  n_ = 0;
  graph_.clear();
  tie_.clear();
  line_.clear();
  incoming_.clear();
  incoming_end_.clear();
  ids_.clear();
}

/// Goes on to the next E line and stops there.
bool HepMCParser::find_event() {
  while (lines_.next()) {
    const char* line = lines_.begin();
    if (line[0] == 'E' && line[1] == ' ') {
      if (format_ == Format::none) fail("expected a START_EVENT_LISTING line before the first event, found an E line");
      return true;
    }
    if (line[0] == '#' || is_blank()) continue;
    if (lines_.text().starts_with("HepMC::")) {
      header_line();
      continue;
    }
    const bool in_header = format_ == Format::asciiv3 && line[1] == ' ';
    if (in_header && line[0] == 'W') {
      asciiv3_weight_names(lines_.text().substr(2));
    } else if (in_header && line[0] == 'N') {
      io_genevent_weight_names();
    } else if (in_header && (line[0] == 'A' || line[0] == 'T')) {
      continue;
    } else if (line[0] == 'P' || line[0] == 'V') {
      fail("the event before has more lines than its E line promises: expected the next event (E) or the end, found " +
           excerpt(lines_.text()));
    } else if (!lines_.terminated() && std::string_view("HepMC::").starts_with(lines_.text())) {
      continue;  // the END line is cut off; no event is missing
    } else {
      garbled("the next event (E) or the end of the listing");
    }
  }
  if (!seen_listing_) fail("expected a START_EVENT_LISTING line, found the end of the input");
  return false;
}

void HepMCParser::header_line() {
  auto text = lines_.text();
  text = text.substr(0, text.find_last_not_of(" \t\r") + 1);
  if (text == "HepMC::Asciiv3-START_EVENT_LISTING") {
    format_ = Format::asciiv3;
  } else if (text == "HepMC::IO_GenEvent-START_EVENT_LISTING") {
    format_ = Format::io_genevent;
  } else if (text.find("-START_EVENT_LISTING") != text.npos) {
    fail("expected an Asciiv3 or IO_GenEvent listing, found " + excerpt(text));
  } else {
    if (text.find("-END_EVENT_LISTING") != text.npos) format_ = Format::none;
    return;  // HepMC::Version, or an END line
  }
  seen_listing_ = true;
  momentum_unit_ = length_unit_ = 1;
  names_.clear();
  names_line_.clear();
}

std::int64_t HepMCParser::skip(std::int64_t n) {
  std::int64_t skipped = 0;
  while (skipped < n && find_event()) {
    ++skipped;
    ++position_;
    // Stay within the event as long as its lines cannot be anything else.
    while (lines_.next()) {
      const char c = *lines_.begin();
      if (c == 'P' || c == 'V' || c == 'A' || c == 'W' || c == 'F' || c == 'C' || c == '#') continue;
      if (c == 'E' || (c == 'H' && lines_.begin()[1] == 'e')) {
        lines_.put_back();
        break;
      }
      if (c == 'U') parse_units();
      if (c == 'N' && format_ == Format::io_genevent) io_genevent_weight_names();
    }
  }
  return skipped;
}

void HepMCParser::parse_units() {
  if (n_ > 0 && in_event_) fail("expected the units (U) before the event's first particle, found them behind it");
  const char* p = skip_blanks(lines_.begin() + 1);
  const std::string_view text(p, static_cast<std::size_t>(lines_.end() - p));
  const auto gap = text.find_first_of(" \t");
  const auto momentum = text.substr(0, gap);
  const auto length = gap == text.npos ? std::string_view{} : std::string_view(skip_blanks(p + gap), 2);
  if ((momentum != "GEV" && momentum != "MEV") || (length != "MM" && length != "CM")) {
    garbled("units (U GEV|MEV MM|CM)");
  }
  momentum_unit_ = momentum == "GEV" ? 1 : 1000;
  length_unit_ = length == "MM" ? 1 : 10;
}

const char* HepMCParser::parse_position(const char* p, Position& position) {
  for (double* x : {&position.x, &position.y, &position.z, &position.t}) {
    p = parse_double(p, *x);
    if (!p) return nullptr;
    if (!std::isfinite(*x)) fail("expected a position, found one that is not finite: " + excerpt(lines_.text()));
  }
  return p;
}

void HepMCParser::grow_rows(GenEvents& out) {
  resize_rows(out, base_ + n_ + row_step);
}

float HepMCParser::charge(std::int64_t pdgid) {
  Charge& entry = charges_[(static_cast<std::uint64_t>(pdgid) * 0x9E3779B97F4A7C15u) >> 54];
  if (entry.pdgid != pdgid) entry = {pdgid, static_cast<float>(pdg::charge(pdgid))};
  return entry.charge;
}

const char* HepMCParser::parse_momentum(const char* p, GenEvents& out, std::int64_t pdgid) {
  double px, py, pz, energy, mass;
  if (!(p = parse_numbers(p, px, py, pz, energy, mass))) return nullptr;
  const double sum = std::abs(px) + std::abs(py) + std::abs(pz) + std::abs(energy) + std::abs(mass);
  if (!(sum <= std::numeric_limits<double>::max())) {
    fail("expected a finite momentum (px py pz E m), found " + excerpt(lines_.text(), 160));
  }
  if (momentum_unit_ != 1) {
    px /= momentum_unit_;
    py /= momentum_unit_;
    pz /= momentum_unit_;
    energy /= momentum_unit_;
    mass /= momentum_unit_;
  }
  const std::size_t row = base_ + n_;
  if (row >= out.pdgid.size()) grow_rows(out);
  out.pdgid[row] = pdgid;
  out.px[row] = px;
  out.py[row] = py;
  out.pz[row] = pz;
  out.mass[row] = consistent_mass(px, py, pz, energy, mass);
  out.charge[row] = charge(pdgid);
  return p;
}

void HepMCParser::finish_event(GenEvents& out) {
  if (weights_.empty()) weights_.push_back(1);  // as HepMC does
  check_weights();
  if (out.pdgid.size() < base_ + n_) resize_rows(out, base_ + n_);
  graph_.link(out, n_, length_unit_, origin_);
  out.offsets.push_back(static_cast<std::int64_t>(base_ + n_));
  out.info.push_back(info_);
  out.weights.insert(out.weights.end(), weights_.begin(), weights_.end());
}

void HepMCParser::set_weight_names(std::vector<std::string> names) {
  if (weights_settled_ && names != weight_names_ && !names.empty()) {
    const auto differ = std::mismatch(names.begin(), names.end(), weight_names_.begin(), weight_names_.end());
    const auto text = [](auto at, const auto& all) { return at == all.end() ? "none" : excerpt(*at, 60); };
    fail("expected the " + std::to_string(weight_names_.size()) + " weight names of the events before, found " +
         std::to_string(names.size()) + "; they differ at number " + std::to_string(differ.first - names.begin()) +
         ": " + text(differ.second, weight_names_) + " before, " + text(differ.first, names) + " here");
  }
  names_ = std::move(names);
}

void HepMCParser::check_weights() {
  const std::size_t n = weights_.size();
  if (weights_settled_) {
    if (n != weight_names_.size()) {
      fail("expected " + std::to_string(weight_names_.size()) + " weights as in the events before, found " +
           std::to_string(n));
    }
    return;
  }
  if (names_.empty()) {
    for (std::size_t i = 0; i < n; ++i) names_.push_back(std::to_string(i));
    if (n == 1 && format_ == Format::asciiv3) names_[0] = "Weight";
  }
  if (names_.size() != n && format_ == Format::asciiv3) {
    if (auto words = split_blanks(names_); words.size() == n) names_ = std::move(words);
  }
  if (names_.size() != n) {
    fail("expected " + std::to_string(names_.size()) + " weights, one for each name in the header, found " +
         std::to_string(n));
  }
  weight_names_ = names_;
  weights_settled_ = true;
}

void HepMCParser::check_promise(std::int64_t promised, const char* what, std::int64_t found, bool more) const {
  if (found >= promised) return;
  fail("expected " + std::to_string(promised) + " " + what + " as the E line in line " + std::to_string(event_line_) +
       " promises, found " + std::to_string(found) + " before " +
       (more ? "the event ends" : "the end of the input: the file is truncated"));
}

std::int64_t HepMCParser::parse_count(std::int64_t n, const char* what) const {
  if (n < 0 || n > largest_count) {
    fail("expected a number of " + std::string(what) + " from 0 to " + std::to_string(largest_count) + ", found " +
         std::to_string(n));
  }
  return n;
}

}  // namespace hepgen_fastsim::detail
