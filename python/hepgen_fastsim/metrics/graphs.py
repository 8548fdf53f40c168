# SPDX-License-Identifier: MIT
"""Loopless multigraphs: the names of the energy flow polynomials.

A multigraph is written as a tuple of edges ``((0, 1), (0, 2), (0, 2))``, vertices numbered from 0, a repeated edge
standing for a power of the angle. Energy flow polynomials are one-to-one with these graphs up to isomorphism
(Komiske, Metodiev, Thaler, arXiv:1712.07124, section 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hepgen_fastsim.errors import InputError

__all__ = ["Multigraph", "canonical_form", "components", "multigraph"]

Edges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Multigraph:
    """A loopless multigraph, and the quantities by which sets of them are selected.

    `edges` holds the d edges with multiplicity. The properties have energyflow's one-letter names: n vertices, e
    distinct edges, d edges, v largest valency, p connected components, h vertices of valency one.
    """

    edges: Edges
    n: int

    @property
    def d(self) -> int:
        return len(self.edges)

    @property
    def e(self) -> int:
        return len(set(self.edges))

    @property
    def valencies(self) -> list[int]:
        counts = [0] * self.n
        for i, j in self.edges:
            counts[i] += 1
            counts[j] += 1
        return counts

    @property
    def v(self) -> int:
        return max(self.valencies, default=0)

    @property
    def h(self) -> int:
        return self.valencies.count(1)

    @property
    def p(self) -> int:
        return len(components(self))


def multigraph(edges: Iterable[Sequence[int]]) -> Multigraph:
    """The multigraph with these edges, vertices renumbered 0, 1, ... in the order of their labels.

    Raises
    ------
    InputError
        if an edge is not a pair of integers, or joins a vertex to itself (a loop has zero angle: the polynomial
        would be zero for massless particles and ill-defined otherwise).
    """
    pairs = []
    for edge in edges:
        try:
            i, j = (int(vertex) for vertex in edge)
            exact = [i, j] == list(edge)
        except (TypeError, ValueError):
            exact = False
        if not exact:
            raise InputError(f"a graph is a list of edges, each a pair of vertex numbers such as (0, 1); got {edge!r}")
        if i == j:
            raise InputError(f"a graph must have no loops, but the edge {edge!r} joins vertex {i} to itself")
        if min(i, j) < 0:
            raise InputError(f"vertex numbers start at 0, but the edge {edge!r} has a negative one")
        pairs.append((min(i, j), max(i, j)))
    labels = {vertex: k for k, vertex in enumerate(sorted({v for pair in pairs for v in pair}))}
    return Multigraph(tuple((labels[i], labels[j]) for i, j in pairs), max(len(labels), 1))


def components(graph: Multigraph) -> list[Multigraph]:
    """The connected components, each with vertices renumbered from 0, in the order of their smallest vertex."""
    owner = list(range(graph.n))

    def root(vertex: int) -> int:
        while owner[vertex] != vertex:
            vertex = owner[vertex]
        return vertex

    for i, j in graph.edges:
        a, b = sorted((root(i), root(j)))
        owner[b] = a
    parts: dict[int, list[tuple[int, int]]] = {root(vertex): [] for vertex in range(graph.n)}
    for edge in graph.edges:
        parts[root(edge[0])].append(edge)
    return [multigraph(edges) for edges in parts.values()]


def canonical_form(n: int, edges: Edges, weights: Sequence[int]) -> tuple:
    """A value that is the same for two weighted graphs if and only if they are isomorphic.

    Colours of vertices are refined until stable; ties are broken by individualising one vertex of the first
    ambiguous class at a time, and the smallest adjacency matrix over these choices is taken. Of vertices that can
    be swapped without changing the graph (the leaves of a star) only one needs to be tried.
    """
    matrix = [[0] * n for _ in range(n)]
    for (i, j), weight in zip(edges, weights):
        matrix[i][j] = matrix[j][i] = weight

    def refine(colours: list[int]) -> list[int]:
        while True:
            labels = [
                (colours[i], tuple(sorted((colours[j], w) for j, w in enumerate(matrix[i]) if w))) for i in range(n)
            ]
            rank = {label: k for k, label in enumerate(sorted(set(labels)))}
            refined = [rank[label] for label in labels]
            if len(rank) == len(set(colours)):
                return refined
            colours = refined

    def interchangeable(i: int, j: int) -> bool:
        return all(matrix[i][k] == matrix[j][k] for k in range(n) if k not in (i, j))

    def smallest(colours: list[int]) -> tuple:
        colours = refine(colours)
        classes: dict[int, list[int]] = {}
        for vertex, colour in enumerate(colours):
            classes.setdefault(colour, []).append(vertex)
        ambiguous = [classes[colour] for colour in sorted(classes) if len(classes[colour]) > 1]
        if not ambiguous:
            order = sorted(range(n), key=colours.__getitem__)
            return tuple(matrix[i][j] for a, i in enumerate(order) for j in order[:a])
        tried: list[int] = []
        for vertex in ambiguous[0]:
            if not any(interchangeable(vertex, other) for other in tried):
                tried.append(vertex)
        return min(smallest([2 * c + (i != vertex) for i, c in enumerate(colours)]) for vertex in tried)

    return (n, smallest([0] * n)) if n > 1 else (1, ())
