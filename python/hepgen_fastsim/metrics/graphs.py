# SPDX-License-Identifier: MIT
"""Loopless multigraphs: the names of the energy flow polynomials, enumerated in the order that the field uses.

A multigraph is written as a tuple of edges ``((0, 1), (0, 2), (0, 2))``, vertices numbered from 0, a repeated edge
standing for a power of the angle. Energy flow polynomials are one-to-one with these graphs up to isomorphism
(Komiske, Metodiev, Thaler, arXiv:1712.07124, section 2), so a set such as "all graphs with at most five edges"
needs an agreed order, and that of the ``energyflow`` package is what published files use. It is reproduced here by
the enumeration below:

* connected simple graphs with n vertices and e edges grow from those with (n - 1, e - 1) by a leaf, then from those
  with (n, e - 1) by an edge, and the first of each isomorphism class stays;
* multiplicities of the edges are ordered partitions of d into e parts, again the first of each class;
* disconnected graphs are products of connected ones, ordered by n, d, number of factors.

Where that recipe leaves a tie, the published order is the one in which CPython before 3.8 walked a set of tuples of
small integers. `_walk_order` computes that walk, so that column 57 is the same polynomial in both packages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product

from hepgen_fastsim.errors import InputError

__all__ = ["Multigraph", "canonical_form", "components", "graph_set", "multigraph", "select_graphs"]

Edges = tuple[tuple[int, int], ...]

_MAX_DEGREE = 10  # the largest degree of a `d<=k` set; beyond, the number of graphs explodes (21,540 + 23,691 at 10)


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


# ---- selection -------------------------------------------------------------------------------------------------------

_COMPARE = {
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}


@lru_cache(maxsize=64)
def select_graphs(selection: str) -> tuple[Multigraph, ...]:
    """Graphs that meet every condition of a selection such as ``"d<=5"``, ``"d<=4, p==1"`` or ``"n==4, d==4, p==1"``.

    A condition compares one of n, e, d, v, p, h (see `Multigraph`) with an integer; conditions are separated by
    commas. One of them must bound d from above. ``"d<=4"`` gives 36 graphs, ``"d<=5"`` 102, ``"d<=6"`` 314,
    ``"d<=7"`` 1,000.

    Raises
    ------
    InputError
        if the selection cannot be read, has no bound on d, or a bound above 10.
    """
    conditions = []
    for text in selection.split(","):
        match = re.fullmatch(r"\s*([nedvph])\s*(<=|>=|==|!=|<|>)\s*(\d+)\s*", text)
        if match is None:
            raise InputError(
                f"expected graphs as a list of edge lists or a selection such as 'd<=5' or 'n==4, d==4, p==1' "
                f"(columns n, e, d, v, p, h; comparisons <=, >=, ==, !=, <, >), got {text.strip()!r} in {selection!r}"
            )
        conditions.append((match[1], match[2], int(match[3])))
    bounds = [
        value - (sign == "<") for column, sign, value in conditions if column == "d" and sign in ("<=", "==", "<")
    ]
    if not bounds:
        raise InputError(f"a selection of graphs must bound d from above, as in 'd<=5'; got {selection!r}")
    if min(bounds) > _MAX_DEGREE:
        raise InputError(f"sets of graphs are enumerated up to d = {_MAX_DEGREE}, got {selection!r}")
    return tuple(
        graph
        for graph in graph_set(min(bounds))
        if all(_COMPARE[sign](getattr(graph, column), value) for column, sign, value in conditions)
    )


@lru_cache(maxsize=16)
def graph_set(degree: int) -> tuple[Multigraph, ...]:
    """All loopless multigraphs with at most `degree` edges and no isolated vertex, in energyflow's order: the
    one-vertex graph, then the connected ones, then the products."""
    primes = _connected_multigraphs(degree)
    return primes + tuple(_disconnected_multigraphs(primes, degree))


# ---- connected graphs ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _connected_multigraphs(degree: int) -> tuple[Multigraph, ...]:
    found = [Multigraph((), 1)]
    for (n, e), graphs in sorted(_connected_simple_graphs(degree).items()):
        for edges in graphs:
            seen = set()
            for d in range(e, degree + 1):
                for weights in _ordered_partitions(d, e):
                    form = canonical_form(n, edges, weights)
                    if form not in seen:
                        seen.add(form)
                        repeated = (edge for edge, weight in zip(edges, weights) for _ in range(weight))
                        found.append(Multigraph(tuple(repeated), n))
    return tuple(found)


def _connected_simple_graphs(max_edges: int) -> dict[tuple[int, int], list[Edges]]:
    """Connected simple graphs with at least one edge by (n, e), each as edges in the order in which they were added."""
    graphs: dict[tuple[int, int], list[Edges]] = {(1, 0): [()]}
    for n in range(2, max_edges + 2):
        for e in range(n - 1, min(max_edges, n * (n - 1) // 2) + 1):
            leaves = (g + ((v, n - 1),) for g in graphs.get((n - 1, e - 1), ()) for v in range(n - 1))
            closures = (
                g + (pair,) for g in graphs.get((n, e - 1), ()) for pair in combinations(range(n), 2) if pair not in g
            )
            unique = {}
            for edges in (*leaves, *closures):
                unique.setdefault(canonical_form(n, edges, (1,) * e), edges)
            graphs[(n, e)] = list(unique.values())
    del graphs[(1, 0)]
    return graphs


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


# ---- disconnected graphs ---------------------------------------------------------------------------------------------


def _disconnected_multigraphs(primes: Sequence[Multigraph], degree: int) -> Iterator[Multigraph]:
    by_size: dict[tuple[int, int], list[Multigraph]] = {}
    for graph in primes:
        by_size.setdefault((graph.n, graph.d), []).append(graph)
    seen = set()
    for n in range(4, 2 * degree + 1):
        vertex_splits = sorted((part for part in _partitions(n) if len(part) > 1 and part[0] > 1), key=len)
        for d in range((n - 1) // 2 + 1, degree + 1):
            for sizes in vertex_splits:
                candidates = (
                    tuple(sorted(zip(ordered, split)))
                    for ordered in _walk_order(_arrangements(sizes))
                    for split in _partitions(d)
                    if len(split) == len(sizes)
                )
                possible = (kinds for kinds in candidates if all(kind in by_size for kind in kinds))
                for kinds in _walk_order(possible):
                    for which in product(*(range(len(by_size[kind])) for kind in kinds)):
                        formula = tuple(sorted(zip(kinds, which)))
                        if formula not in seen:
                            seen.add(formula)
                            yield _union([by_size[kind][k] for kind, k in formula])


def _union(graphs: Sequence[Multigraph]) -> Multigraph:
    edges: list[tuple[int, int]] = []
    n = 0
    for graph in graphs:
        edges.extend((i + n, j + n) for i, j in graph.edges)
        n += graph.n
    return Multigraph(tuple(edges), n)


# ---- partitions, and the order that sets had -------------------------------------------------------------------------


def _partitions(total: int, smallest: int = 1) -> Iterator[tuple[int, ...]]:
    """Partitions of `total` into ascending parts, in lexicographic order."""
    for part in range(smallest, total // 2 + 1):
        for rest in _partitions(total - part, part):
            yield (part, *rest)
    yield (total,)


def _arrangements(parts: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Distinct orderings of `parts`, in lexicographic order."""
    if not parts:
        yield ()
    for part in sorted(set(parts)):
        k = parts.index(part)
        for rest in _arrangements(parts[:k] + parts[k + 1 :]):
            yield (part, *rest)


def _ordered_partitions(total: int, length: int) -> Iterator[tuple[int, ...]]:
    for part in _partitions(total):
        if len(part) == length:
            yield from _walk_order(_arrangements(part))


def _tuple_hash(value: tuple | int) -> int:
    """The 64-bit hash that CPython gave to nested tuples of small non-negative integers before version 3.8."""
    if isinstance(value, int):
        return value
    state, multiplier, left = 0x345678, 1000003, len(value)
    for item in value:
        left -= 1
        state = ((state ^ _tuple_hash(item)) * multiplier) % 2**64
        multiplier += 82520 + 2 * left
    return (state + 97531) % 2**64


def _walk_order(items: Iterable[tuple]) -> list[tuple]:
    """Distinct items in the order in which a CPython set of them, filled in this order, was walked before version 3.8.

    Open addressing: ten neighbouring slots are probed (fewer than that at the end of the table: one), then the next
    slot follows from the hash's higher bits; the table grows fourfold (from 8, in powers of two) when three fifths
    are full.
    """
    table: list[tuple[int, tuple] | None] = [None] * 8

    def slot(key: int, item: tuple) -> int:
        mask, perturb, start = len(table) - 1, key, key & (len(table) - 1)
        while True:
            for k in range(start, start + (10 if start + 9 <= mask else 1)):
                entry = table[k]
                if entry is None or entry[1] == item:
                    return k
            perturb >>= 5
            start = (5 * start + 1 + perturb) & mask

    used = 0
    for item in items:
        key = _tuple_hash(item)
        where = slot(key, item)
        if table[where] is not None:
            continue
        table[where] = (key, item)
        used += 1
        if used * 5 >= (len(table) - 1) * 3:
            entries = [entry for entry in table if entry is not None]
            size = 8
            while size <= used * 4:
                size *= 2
            table = [None] * size
            for entry in entries:
                table[slot(*entry)] = entry
    return [entry[1] for entry in table if entry is not None]
