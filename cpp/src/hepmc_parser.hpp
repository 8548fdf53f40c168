// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "event_graph.hpp"
#include "hepgen_fastsim/event.hpp"
#include "line_reader.hpp"

namespace hepgen_fastsim::detail {

/// Turns the lines of HepMC listings into events. A failed event leaves rows behind that were never counted:
/// call trim() before `out` is handed over.
class HepMCParser {
 public:
  HepMCParser(LineReader& lines, std::string name);

  /// Appends the next event; false at the end of the input. Throws InputError with file, event and line.
  bool next(GenEvents& out);
  /// Passes over up to n events without reading their particles; returns how many there were.
  std::int64_t skip(std::int64_t n);

  const std::vector<std::string>& weight_names() const { return weight_names_; }
  std::int64_t position() const { return position_; }  ///< of the event that comes next
  std::string where() const;                           ///< "file: event 3 (number 17), line 4231: "

 private:
  enum class Format { none, asciiv3, io_genevent };

  // hepmc_parser.cpp: what the formats share
  void sniff();
  bool find_event();
  void header_line();
  bool is_blank() const;
  void begin_event();
  void parse_units();
  const char* parse_position(const char* p, Position& position);
  /// Stores a particle as the next row; p stands before px. Returns the end of the mass.
  const char* parse_momentum(const char* p, GenEvents& out, std::int64_t pdgid);
  void grow_rows(GenEvents& out);
  float charge(std::int64_t pdgid);
  void finish_event(GenEvents& out);
  void set_weight_names(std::vector<std::string> names);
  void check_weights();
  std::int64_t parse_count(std::int64_t n, const char* what) const;
  void check_promise(std::int64_t promised, const char* what, std::int64_t found, bool more) const;
  [[noreturn]] void fail(const std::string& message) const;
  [[noreturn]] void fail_at(std::int64_t line, const std::string& message) const;
  [[noreturn]] void garbled(const char* expected) const;

  // hepmc_asciiv3.cpp
  void read_asciiv3(GenEvents& out);
  void asciiv3_event_line();
  void asciiv3_weights();
  void asciiv3_attribute();
  void asciiv3_vertex();
  void asciiv3_particle(GenEvents& out);
  void asciiv3_restore_order(GenEvents& out);
  void asciiv3_connect();
  void asciiv3_weight_names(std::string_view text);

  // hepmc_io_genevent.cpp
  void read_io_genevent(GenEvents& out);
  void io_genevent_event_line();
  void io_genevent_weight_names();
  void io_genevent_vertex();
  void io_genevent_particle(GenEvents& out);
  void io_genevent_check_vertex(bool at_end) const;
  void io_genevent_connect();

  LineReader& lines_;
  std::string name_;
  Format format_ = Format::none;
  bool seen_listing_ = false;
  std::int64_t position_ = 0;

  double momentum_unit_ = 1;  ///< GeV are so many of the file's units
  double length_unit_ = 1;    ///< [mm]

  std::vector<std::string> names_;         ///< as the header gives them
  std::vector<std::string> weight_names_;  ///< as settled by the first event
  std::string names_line_;                 ///< HepMC2 repeats them in every event
  bool weights_settled_ = false;

  // The event being read.
  bool in_event_ = false;
  EventInfo info_;
  std::vector<double> weights_;
  Position origin_;
  std::int64_t event_line_ = 0;
  std::int64_t n_vertices_ = 0, n_particles_ = 0;  ///< as its E line promises
  std::size_t base_ = 0, n_ = 0;                   ///< first row, rows so far
  EventGraph graph_;
  std::vector<std::int32_t> tie_;   ///< [n] HepMC3: mother, a vertex (< 0) or particle (> 0); HepMC2: end vertex
  std::vector<std::int32_t> line_;  ///< [n] counted from the event's first

  // HepMC3
  std::vector<std::int32_t> incoming_;     ///< particles of the explicit vertices, one list after the other
  std::vector<std::size_t> incoming_end_;  ///< [explicit vertices]
  std::vector<std::int32_t> ids_;          ///< [n] only when they do not count 1, 2, 3, ...

  // HepMC2
  std::int64_t vertex_promised_ = 0, vertex_found_ = 0;  ///< particles of the vertex being read

  struct Charge {
    std::int64_t pdgid = 0;
    float charge = 0;
  };
  std::array<Charge, 1024> charges_{};
};

/// Weight names that were separated by blanks instead of line feeds.
std::vector<std::string> split_blanks(const std::vector<std::string>& names);

/// Cuts the columns to the rows that belong to events.
void trim(GenEvents& out);

}  // namespace hepgen_fastsim::detail
