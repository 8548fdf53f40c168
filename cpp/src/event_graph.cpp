// SPDX-License-Identifier: MIT
#include "event_graph.hpp"

#include <algorithm>

namespace hepgen_fastsim::detail {

void EventGraph::clear() {
  vertices.clear();
  production.clear();
  end.clear();
}

std::size_t EventGraph::add_vertex(std::int64_t id, const Position& position, std::int64_t line) {
  Vertex& vertex = vertices.emplace_back();
  vertex.id = id;
  vertex.position = position;
  vertex.line = line;
  return vertices.size() - 1;
}

std::int32_t EventGraph::index_vertices() {
  slot_.clear();
  order_.clear();
  std::int64_t largest = 0;
  bool dense = true;
  for (const Vertex& vertex : vertices) {
    largest = std::max(largest, -vertex.id);
    dense = dense && vertex.id < 0;
  }
  // A table in proportion to the event, whatever ids the file claims.
  dense = dense && largest <= static_cast<std::int64_t>(16 * vertices.size() + 4096);
  if (dense) {
    slot_.assign(static_cast<std::size_t>(largest) + 1, -1);
    for (std::size_t i = 0; i < vertices.size(); ++i) {
      auto& slot = slot_[static_cast<std::size_t>(-vertices[i].id)];
      if (slot >= 0) return static_cast<std::int32_t>(i);
      slot = static_cast<std::int32_t>(i);
    }
    return -1;
  }
  for (std::size_t i = 0; i < vertices.size(); ++i) order_.push_back(static_cast<std::int32_t>(i));
  const auto id = [this](std::int32_t slot) { return vertices[static_cast<std::size_t>(slot)].id; };
  std::stable_sort(order_.begin(), order_.end(), [&](auto a, auto b) { return id(a) < id(b); });
  const auto twice = std::adjacent_find(order_.begin(), order_.end(), [&](auto a, auto b) { return id(a) == id(b); });
  return twice == order_.end() ? -1 : *(twice + 1);
}

std::int32_t EventGraph::find(std::int64_t id) const {
  if (!slot_.empty()) {
    return id >= 0 || -id >= static_cast<std::int64_t>(slot_.size()) ? -1 : slot_[static_cast<std::size_t>(-id)];
  }
  const auto of = [this](std::int32_t slot) { return vertices[static_cast<std::size_t>(slot)].id; };
  const auto found = std::lower_bound(order_.begin(), order_.end(), id,
                                      [&](std::int32_t slot, std::int64_t i) { return of(slot) < i; });
  return found != order_.end() && of(*found) == id ? *found : -1;
}

void EventGraph::resolve_positions(const Position& origin) {
  // Files exist whose vertices form a loop: there the search ends at the event's own position.
  for (std::size_t start = 0; start < vertices.size(); ++start) {
    path_.clear();
    auto at = static_cast<std::int32_t>(start);
    Position position = origin;
    while (at >= 0) {
      Vertex& vertex = vertices[static_cast<std::size_t>(at)];
      if (vertex.placed || !vertex.position.is_zero()) {
        position = vertex.position;
        break;
      }
      if (vertex.visited) break;
      vertex.visited = true;
      path_.push_back(at);
      at = vertex.first_in < 0 ? -1 : production[static_cast<std::size_t>(vertex.first_in)];
    }
    for (const auto slot : path_) {
      vertices[static_cast<std::size_t>(slot)].position = position;
      vertices[static_cast<std::size_t>(slot)].placed = true;
    }
  }
}

void EventGraph::link(GenEvents& out, std::size_t n, double length, const Position& origin) {
  for (std::size_t i = 0; i < n; ++i) {
    const auto particle = static_cast<std::int32_t>(i);
    if (end[i] >= 0) {
      Vertex& vertex = vertices[static_cast<std::size_t>(end[i])];
      if (vertex.first_in < 0) vertex.first_in = particle;
      vertex.last_in = particle;
    }
    if (production[i] >= 0) {
      Vertex& vertex = vertices[static_cast<std::size_t>(production[i])];
      if (vertex.first_out < 0) vertex.first_out = particle;
      vertex.last_out = particle;
    }
  }
  resolve_positions(origin);

  const std::size_t base = static_cast<std::size_t>(out.offsets.back());
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t row = base + i;
    const Position* position = &origin;
    std::int32_t m1 = -1, m2 = -1, d1 = -1, d2 = -1;
    if (production[i] >= 0) {
      const Vertex& vertex = vertices[static_cast<std::size_t>(production[i])];
      position = &vertex.position;
      m1 = vertex.first_in;
      m2 = vertex.last_in == m1 ? -1 : vertex.last_in;
    }
    if (end[i] >= 0) {
      const Vertex& vertex = vertices[static_cast<std::size_t>(end[i])];
      d1 = vertex.first_out;
      d2 = vertex.last_out;
    }
    out.vx[row] = position->x * length;
    out.vy[row] = position->y * length;
    out.vz[row] = position->z * length;
    out.vt[row] = position->t * length;
    out.m1[row] = m1;
    out.m2[row] = m2;
    out.d1[row] = d1;
    out.d2[row] = d2;
  }
}

}  // namespace hepgen_fastsim::detail
