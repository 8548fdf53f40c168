# SPDX-License-Identifier: MIT
"""Sets of graphs, in the order that the field uses.

A set such as "all graphs with at most five edges" needs an agreed order, and that of the ``energyflow`` package is what
published files use. It is reproduced here by this enumeration:

* connected simple graphs with n vertices and e edges grow from those with (n - 1, e - 1) by a leaf, then from those
  with (n, e - 1) by an edge, and the first of each isomorphism class stays;
* multiplicities of the edges are ordered partitions of d into e parts, again the first of each class;
* disconnected graphs are products of connected ones, ordered by n, d, number of factors.

Where that recipe leaves a tie, the published order is the one in which CPython before 3.8 walked a set of tuples of
small integers. `_walk_order` computes that walk, so that column 57 is the same polynomial in both packages.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations, product

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.graphs import Edges, Multigraph, canonical_form

__all__ = ["graph_set", "select_graphs"]

_MAX_DEGREE = 10  # the largest degree of a `d<=k` set; beyond, the number of graphs explodes (21,540 + 23,691 at 10)

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
            unique: dict[Hashable, Edges] = {}
            for edges in (*leaves, *closures):
                unique.setdefault(canonical_form(n, edges, (1,) * e), edges)
            graphs[(n, e)] = list(unique.values())
    del graphs[(1, 0)]
    return graphs


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
