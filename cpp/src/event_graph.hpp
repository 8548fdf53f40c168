// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hepgen_fastsim/event.hpp"

namespace hepgen_fastsim::detail {

/// Position in space and time, in the file's length unit until link() converts it.
struct Position {
  double x = 0, y = 0, z = 0, t = 0;
  bool is_zero() const { return x == 0 && y == 0 && z == 0 && t == 0; }
};

/// The vertices of one event and the particles' ties to them, while it is read; link() turns them into mothers,
/// daughters and production vertices of the particles. Reused from event to event without allocation.
class EventGraph {
 public:
  struct Vertex {
    std::int64_t id = 0;  ///< as the file has it, negative; 0: a vertex without a line of its own
    Position position;
    std::int64_t line = 0;
    std::int32_t first_in = -1, last_in = -1, first_out = -1, last_out = -1;  ///< particles, in the record's order
    bool placed = false, visited = false;                                     ///< for the search of positions
  };

  void clear();
  std::size_t add_vertex(std::int64_t id, const Position& position, std::int64_t line);

  /// Slot of a vertex, -1 if there is none. index_vertices() first.
  std::int32_t find(std::int64_t id) const;
  /// Makes find() work; returns the slot of a vertex whose id occurred before, -1 if there is none.
  std::int32_t index_vertices();

  /// Fills m1, m2, d1, d2 and the vertex of the last n rows of `out`. `length` is the file's unit in mm, `origin` the
  /// event's own position.
  ///
  /// As in HepMC3, a vertex without a position (all zero) is where the first of its incoming particles was made, and so
  /// on, up to the event's own position. m2 is -1 when there is one mother only, as in Delphes.
  void link(GenEvents& out, std::size_t n, double length, const Position& origin);

  std::vector<Vertex> vertices;
  std::vector<std::int32_t> production;  ///< [n particles] slot of the vertex, -1: none
  std::vector<std::int32_t> end;         ///< [n particles] slot of the vertex, -1: none

 private:
  void resolve_positions(const Position& origin);

  std::vector<std::int32_t> slot_;   ///< by -id, while the ids are dense
  std::vector<std::int32_t> order_;  ///< slots by id, otherwise
  std::vector<std::int32_t> path_;
};

}  // namespace hepgen_fastsim::detail
