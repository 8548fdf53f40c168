// SPDX-License-Identifier: MIT
// HepMC2's IO_GenEvent (M. Dobbs, J. B. Hansen et al., HepMC 2 user manual, section "IO_GenEvent"). An event:
//   E number mpi scale alphaQCD alphaQED process signal_vertex vertices beam1 beam2 n random... n weight...
//   N n "name"...
//   U momentum length
//   C cross_section error
//   F id1 id2 x1 x2 scale pdf1 pdf2 ...
//   V barcode id x y z t orphans outgoing n weight...
//   P barcode pdgid px py pz E m status theta phi end_vertex n flow...
// A vertex is followed by its orphans, incoming particles that no vertex made, and its outgoing particles.
#include <cmath>
#include <string>
#include <utility>

#include "hepgen_fastsim/error.hpp"
#include "hepmc_parser.hpp"
#include "input_kind.hpp"
#include "text_number.hpp"

namespace hepgen_fastsim::detail {
namespace {

const char* skip_token(const char* p) {
  p = skip_blanks(p);
  const char* const first = p;
  while (!ends_token(*p)) ++p;
  return p == first ? nullptr : p;
}

}  // namespace

void HepMCParser::read_io_genevent(GenEvents& out) {
  io_genevent_event_line();
  for (;;) {
    // Once all promised lines are there, only a particle too many can still belong to the event: what else comes, were
    // it a damaged stream, is no longer its concern.
    const bool complete = n_vertices_ > 0 && static_cast<std::int64_t>(graph_.vertices.size()) == n_vertices_ &&
                          vertex_found_ >= vertex_promised_;
    bool more = false;
    try {
      more = lines_.next();
    } catch (const InputError&) {
      if (!complete) throw;
    }
    const char* line = lines_.begin();
    const bool ends = !more || (line[0] == 'E' && line[1] == ' ') || lines_.text().starts_with("HepMC::") ||
                      (complete && line[0] != 'P' && line[0] != '#');
    if (ends) {
      io_genevent_check_vertex(!more);
      check_promise(n_vertices_, "vertices", static_cast<std::int64_t>(graph_.vertices.size()), more);
      if (more) lines_.put_back();
      break;
    }
    if (line[1] != ' ') {
      if (line[0] == '#' || is_blank()) continue;
      garbled("a line of the event (N, U, C, H, F, V, P)");
    }
    switch (line[0]) {
      case 'P':
        io_genevent_particle(out);
        break;
      case 'V':
        io_genevent_vertex();
        break;
      case 'U':
        parse_units();
        break;
      case 'N':
        io_genevent_weight_names();
        break;
      case 'C':
        if (!parse_numbers(line + 1, info_.cross_section, info_.cross_section_error))
          garbled("'C cross_section error'");
        break;
      case 'F':
        if (!parse_numbers(line + 1, info_.id1, info_.id2, info_.x1, info_.x2, info_.scale_pdf, info_.pdf1,
                           info_.pdf2)) {
          garbled("'F id1 id2 x1 x2 scale pdf1 pdf2'");
        }
        break;
      case 'H':  // heavy ions
      case '#':
        break;
      default:
        if (!is_blank()) garbled("a line of the event (N, U, C, H, F, V, P)");
    }
  }
  io_genevent_connect();
}

void HepMCParser::io_genevent_event_line() {
  constexpr auto expected =
      "'E number mpi scale alphaQCD alphaQED process signal_vertex vertices beam1 beam2 n random... n weight...'";
  const char* p = lines_.begin() + 1;
  std::int64_t signal_vertex, vertices, beam1, beam2, n_random, n_weights;
  p = parse_numbers(p, info_.number, info_.mpi, info_.scale, info_.alpha_qcd, info_.alpha_qed, info_.process_id,
                    signal_vertex, vertices, beam1, beam2, n_random);
  if (!p) garbled(expected);
  n_vertices_ = parse_count(vertices, "vertices");
  parse_count(n_random, "random states");
  for (std::int64_t i = 0; i < n_random; ++i) {
    if (!(p = skip_token(p))) garbled(expected);
  }
  if (!(p = parse_int(p, n_weights))) garbled(expected);
  parse_count(n_weights, "weights");
  for (std::int64_t i = 0; i < n_weights; ++i) {
    double weight;
    if (!(p = parse_double(p, weight))) garbled(expected);
    weights_.push_back(weight);
  }
  vertex_promised_ = vertex_found_ = 0;
}

/// The same line comes with every event.
void HepMCParser::io_genevent_weight_names() {
  const auto text = lines_.text();
  if (text == names_line_) return;
  std::vector<std::string> names;
  if (text.find('"') == text.npos) {
    names = split_blanks({std::string(text.substr(1))});
  } else {
    for (std::size_t at = 0; (at = text.find('"', at)) != text.npos;) {
      const auto end = text.find('"', at + 1);
      if (end == text.npos) garbled("weight names (N n \"name\"...)");
      names.emplace_back(text.substr(at + 1, end - at - 1));
      at = end + 1;
    }
    std::int64_t n;
    const char* p = parse_int(lines_.begin() + 1, n);
    if (p && n != static_cast<std::int64_t>(names.size())) {
      fail("expected " + std::to_string(n) + " weight names, found " + std::to_string(names.size()));
    }
  }
  set_weight_names(std::move(names));
  names_line_ = text;
}

void HepMCParser::io_genevent_check_vertex(bool at_end) const {
  // More than promised is a known flaw of some generators' files, which HepMC accepts as well.
  if (vertex_found_ >= vertex_promised_) return;
  fail("expected " + std::to_string(vertex_promised_) + " particles of vertex " +
       std::to_string(graph_.vertices.back().id) + " as line " + std::to_string(graph_.vertices.back().line) +
       " promises, found " + std::to_string(vertex_found_) +
       (at_end ? " before the end of the input: the file is truncated" : ""));
}

void HepMCParser::io_genevent_vertex() {
  io_genevent_check_vertex(false);
  if (static_cast<std::int64_t>(graph_.vertices.size()) == n_vertices_) {
    fail("expected " + std::to_string(n_vertices_) + " vertices as the E line in line " + std::to_string(event_line_) +
         " promises, found more");
  }
  constexpr auto expected = "'V barcode id x y z t orphans outgoing n weight...'";
  const char* p = lines_.begin() + 1;
  std::int64_t barcode, id, orphans, outgoing, n_weights;
  Position position;
  if (!(p = parse_numbers(p, barcode, id)) || !(p = parse_position(p, position)) ||
      !(p = parse_numbers(p, orphans, outgoing, n_weights)) || !lines_.terminated()) {
    garbled(expected);
  }
  if (barcode == 0) fail("expected a vertex with a barcode, found 0");
  vertex_promised_ = parse_count(orphans, "orphans") + parse_count(outgoing, "outgoing particles");
  vertex_found_ = 0;
  graph_.add_vertex(barcode, position, lines_.number());
}

void HepMCParser::io_genevent_particle(GenEvents& out) {
  constexpr auto expected = "'P barcode pdgid px py pz E m status theta phi end_vertex n flow...'";
  const char* p = lines_.begin() + 1;
  std::int64_t barcode, pdgid, n_flows;
  std::int32_t status, end;
  double theta, phi;
  if (!(p = parse_numbers(p, barcode, pdgid)) || !(p = parse_momentum(p, out, pdgid)) ||
      !(p = parse_numbers(p, status, theta, phi, end, n_flows)) || !lines_.terminated()) {
    garbled(expected);
  }
  if (graph_.vertices.empty()) fail("expected a vertex (V) before the first particle");
  out.status[base_ + n_] = status;
  tie_.push_back(end);
  const bool orphan = end != 0 && end == graph_.vertices.back().id;
  graph_.production.push_back(orphan ? -1 : static_cast<std::int32_t>(graph_.vertices.size()) - 1);
  line_.push_back(static_cast<std::int32_t>(lines_.number() - event_line_));
  ++vertex_found_;
  ++n_;
}

void HepMCParser::io_genevent_connect() {
  if (const auto twice = graph_.index_vertices(); twice >= 0) {
    const auto& vertex = graph_.vertices[static_cast<std::size_t>(twice)];
    fail_at(vertex.line, "vertex " + std::to_string(vertex.id) + " occurs for the second time");
  }
  graph_.end.assign(n_, -1);
  for (std::size_t i = 0; i < n_; ++i) {
    if (tie_[i] == 0) continue;
    const auto slot = graph_.find(tie_[i]);
    if (slot < 0) {
      fail_at(event_line_ + line_[i],
              "the particle ends in vertex " + std::to_string(tie_[i]) + ", which has no line in the event");
    }
    graph_.end[i] = slot;
  }
}

}  // namespace hepgen_fastsim::detail
