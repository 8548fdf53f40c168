// SPDX-License-Identifier: MIT
// HepMC3's own text format (A. Buckley et al., Comput. Phys. Commun. 260 (2021) 107310). An event:
//   E number vertices particles [@ x y z t]
//   U momentum length
//   W weight...
//   A id name value...                             id 0: the event's own
//   P id mother pdgid px py pz E m status          mother: vertex (< 0), particle (> 0), none (0)
//   V id status [particle,...] [@ x y z t]
// A vertex with one incoming particle and nothing to say for itself has no line: its particles name their mother.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "hepmc_parser.hpp"
#include "input_kind.hpp"
#include "text_number.hpp"

namespace hepgen_fastsim::detail {
namespace {

/// The text after p if it starts with the word `name`, else nullptr.
const char* after_word(const char* p, std::string_view name) {
  return std::string_view(p, name.size()) == name && ends_token(p[name.size()]) ? p + name.size() : nullptr;
}

template <typename T>
void reorder(std::vector<T>& column, std::size_t base, const std::vector<std::int32_t>& ids) {
  const std::vector<T> copy(column.begin() + static_cast<std::ptrdiff_t>(base),
                            column.begin() + static_cast<std::ptrdiff_t>(base + ids.size()));
  for (std::size_t i = 0; i < ids.size(); ++i) column[base + static_cast<std::size_t>(ids[i]) - 1] = copy[i];
}

}  // namespace

std::vector<std::string> split_blanks(const std::vector<std::string>& names) {
  std::vector<std::string> words;
  for (const std::string& name : names) {
    for (std::size_t at = 0; (at = name.find_first_not_of(" \t\r", at)) != name.npos;) {
      const auto end = std::min(name.find_first_of(" \t\r", at), name.size());
      words.push_back(name.substr(at, end - at));
      at = end;
    }
  }
  return words;
}

/// Line feeds within names are written as \| and backslashes as two.
void HepMCParser::asciiv3_weight_names(std::string_view text) {
  std::vector<std::string> names(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') continue;
    if (text[i] != '\\' || i + 1 == text.size()) {
      names.back() += text[i];
    } else if (text[++i] == '|') {
      names.emplace_back();
    } else {
      names.back() += text[i];
    }
  }
  if (weights_settled_ && names != weight_names_) {
    if (auto words = split_blanks(names); words == weight_names_) names = std::move(words);
  }
  set_weight_names(std::move(names));
}

void HepMCParser::read_asciiv3(GenEvents& out) {
  asciiv3_event_line();
  for (;;) {
    const auto found = static_cast<std::int64_t>(n_);
    if (found == n_particles_ && found > 0) break;
    const bool more = lines_.next();
    const char* line = lines_.begin();
    if (!more || line[0] == 'E' || lines_.text().starts_with("HepMC::")) {
      check_promise(n_particles_, "particles", found, more);
      if (more) lines_.put_back();
      break;
    }
    if (line[1] != ' ') {
      if (line[0] == '#' || is_blank()) continue;
      garbled("a line of the event (U, W, A, P, V)");
    }
    switch (line[0]) {
      case 'P':
        asciiv3_particle(out);
        break;
      case 'V':
        asciiv3_vertex();
        break;
      case 'A':
        if (line[2] == '0' && line[3] == ' ') asciiv3_attribute();
        break;
      case 'U':
        parse_units();
        break;
      case 'W':
        asciiv3_weights();
        break;
      case 'T':
      case '#':
        break;
      default:
        if (!is_blank()) garbled("a line of the event (U, W, A, P, V)");
    }
  }
  if (!ids_.empty()) asciiv3_restore_order(out);
  asciiv3_connect();
}

void HepMCParser::asciiv3_event_line() {
  const char* p = lines_.begin() + 1;
  std::int64_t vertices, particles;
  if (!lines_.terminated() || !(p = parse_numbers(p, info_.number, vertices, particles))) {
    garbled("'E number vertices particles'");
  }
  n_vertices_ = parse_count(vertices, "vertices");
  n_particles_ = parse_count(particles, "particles");
  p = skip_blanks(p);
  if (*p == '@' && !(p = parse_position(p + 1, origin_))) garbled("'E number vertices particles @ x y z t'");
}

void HepMCParser::asciiv3_weights() {
  weights_.clear();
  const char* p = lines_.begin() + 1;
  for (double weight; (p = skip_blanks(p), *p != '\n' && *p != '\r'); weights_.push_back(weight)) {
    if (!(p = parse_double(p, weight))) garbled("weights (W weight...)");
  }
}

void HepMCParser::asciiv3_attribute() {
  const char* name = skip_blanks(lines_.begin() + 3);
  bool good = true;
  const auto read = [&good](const char* p, auto&... values) { good = parse_numbers(p, values...) != nullptr; };
  if (const char* p = after_word(name, "GenCrossSection")) {
    read(p, info_.cross_section, info_.cross_section_error);
  } else if (const char* p = after_word(name, "GenPdfInfo")) {
    read(p, info_.id1, info_.id2, info_.x1, info_.x2, info_.scale_pdf, info_.pdf1, info_.pdf2);
  } else if (const char* p = after_word(name, "signal_process_id")) {
    read(p, info_.process_id);
  } else if (const char* p = after_word(name, "mpi")) {
    read(p, info_.mpi);
  } else if (const char* p = after_word(name, "event_scale")) {
    read(p, info_.scale);
  } else if (const char* p = after_word(name, "alphaQED")) {
    read(p, info_.alpha_qed);
  } else if (const char* p = after_word(name, "alphaQCD")) {
    read(p, info_.alpha_qcd);
  }
  if (!good) garbled("the numbers of an attribute");
}

void HepMCParser::asciiv3_particle(GenEvents& out) {
  const char* p = lines_.begin() + 1;
  std::int64_t id, mother, pdgid;
  std::int32_t status;
  constexpr auto expected = "'P id mother pdgid px py pz E m status'";
  if (!(p = parse_numbers(p, id, mother, pdgid)) || !(p = parse_momentum(p, out, pdgid)) ||
      !(p = parse_int(p, status)) || *(p = skip_blanks(p)) > '\r' || !lines_.terminated()) {
    garbled(expected);
  }
  if (id < 1 || id > n_particles_) {
    fail("expected a particle from 1 to " + std::to_string(n_particles_) + ", found " + std::to_string(id));
  }
  if (mother < -n_vertices_ || mother > n_particles_) {
    fail("particle " + std::to_string(id) + " has the mother " + std::to_string(mother) + "; the event has " +
         std::to_string(n_vertices_) + " vertices and " + std::to_string(n_particles_) + " particles");
  }
  const bool in_order = id == static_cast<std::int64_t>(n_) + 1;
  if (!in_order || !ids_.empty()) [[unlikely]] {
    if (ids_.empty()) {
      ids_.resize(n_);
      std::iota(ids_.begin(), ids_.end(), 1);
    }
    ids_.push_back(static_cast<std::int32_t>(id));
  }
  out.status[base_ + n_] = status;
  tie_.push_back(static_cast<std::int32_t>(mother));
  line_.push_back(static_cast<std::int32_t>(lines_.number() - event_line_));
  ++n_;
}

/// Particles may be listed in any order: row i is for the particle with id i + 1.
void HepMCParser::asciiv3_restore_order(GenEvents& out) {
  std::vector<char> seen(n_, 0);
  for (std::size_t i = 0; i < n_; ++i) {
    char& known = seen[static_cast<std::size_t>(ids_[i]) - 1];
    if (known) fail_at(event_line_ + line_[i], "particle " + std::to_string(ids_[i]) + " occurs for the second time");
    known = 1;
  }
  reorder(out.pdgid, base_, ids_);
  reorder(out.status, base_, ids_);
  for (auto* column : {&out.px, &out.py, &out.pz, &out.mass}) reorder(*column, base_, ids_);
  reorder(out.charge, base_, ids_);
  reorder(tie_, 0, ids_);
  reorder(line_, 0, ids_);
}

void HepMCParser::asciiv3_vertex() {
  const char* p = lines_.begin() + 1;
  constexpr auto expected = "'V id status [particle,...]' with or without '@ x y z t'";
  std::int64_t id, status;
  if (!(p = parse_numbers(p, id, status)) || *(p = skip_blanks(p)) != '[') garbled(expected);
  if (id >= 0 || id < -n_vertices_) {
    fail("expected a vertex from -1 to -" + std::to_string(n_vertices_) + ", found " + std::to_string(id));
  }
  ++p;
  while (*p != ']') {
    if (*p == ',' || *p == ' ') {
      ++p;
      continue;
    }
    std::int64_t particle = 0;
    const char* const first = p;
    while (is_digit(*p) && p - first < 10) particle = particle * 10 + (*p++ - '0');
    if (p == first || (*p != ',' && *p != ' ' && *p != ']')) garbled(expected);
    if (particle < 1 || particle > n_particles_) {
      fail("vertex " + std::to_string(id) + " has the incoming particle " + std::to_string(particle) +
           "; the event has " + std::to_string(n_particles_));
    }
    incoming_.push_back(static_cast<std::int32_t>(particle));
  }
  p = skip_blanks(p + 1);
  Position position;
  if (*p == '@') {
    if (!(p = parse_position(p + 1, position))) garbled(expected);
    p = skip_blanks(p);
  }
  if (*p > '\r') garbled(expected);
  graph_.add_vertex(id, position, lines_.number());
  incoming_end_.push_back(incoming_.size());
}

/// Ids become slots and rows; vertices without a line are made here.
void HepMCParser::asciiv3_connect() {
  if (const auto twice = graph_.index_vertices(); twice >= 0) {
    const auto& vertex = graph_.vertices[static_cast<std::size_t>(twice)];
    fail_at(vertex.line, "vertex " + std::to_string(vertex.id) + " occurs for the second time");
  }
  graph_.production.assign(n_, -1);
  graph_.end.assign(n_, -1);
  std::size_t at = 0;
  for (std::size_t slot = 0; slot < incoming_end_.size(); ++slot) {
    for (; at < incoming_end_[slot]; ++at) {
      auto& end = graph_.end[static_cast<std::size_t>(incoming_[at]) - 1];
      if (end >= 0 && end != static_cast<std::int32_t>(slot)) {
        fail_at(graph_.vertices[slot].line, "particle " + std::to_string(incoming_[at]) + " ends in two vertices");
      }
      end = static_cast<std::int32_t>(slot);
    }
  }
  const auto n_explicit = static_cast<std::int32_t>(graph_.vertices.size());
  for (std::size_t i = 0; i < n_; ++i) {
    const auto mother = tie_[i];
    if (mother == 0) continue;
    const auto complain = [&](const std::string& what) {
      fail_at(event_line_ + line_[i], "particle " + std::to_string(i + 1) + what);
    };
    if (mother < 0) {
      const auto slot = graph_.find(mother);
      if (slot < 0) complain(" comes from vertex " + std::to_string(mother) + ", which has no line in the event");
      graph_.production[i] = slot;
      continue;
    }
    if (mother == static_cast<std::int32_t>(i) + 1) complain(" is its own mother");
    auto& end = graph_.end[static_cast<std::size_t>(mother) - 1];
    if (end < 0) {
      end = static_cast<std::int32_t>(graph_.add_vertex(0, Position{}, event_line_ + line_[i]));
    } else if (end < n_explicit) {
      complain(" has the mother " + std::to_string(mother) + ", which ends in vertex " +
               std::to_string(graph_.vertices[static_cast<std::size_t>(end)].id));
    }
    graph_.production[i] = end;
  }
  if (static_cast<std::int64_t>(graph_.vertices.size()) != n_vertices_) {
    fail_at(event_line_, "expected " + std::to_string(n_vertices_) + " vertices as the E line promises, found " +
                             std::to_string(graph_.vertices.size()));
  }
}

}  // namespace hepgen_fastsim::detail
