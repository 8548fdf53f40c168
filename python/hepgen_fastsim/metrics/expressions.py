# SPDX-License-Identifier: MIT
"""Sums over particles as expressions in matrices and vectors, found by variable elimination.

The polynomial of a graph is a sum over one particle index per vertex,

    EFP_G = sum_{i1..in} z_i1 ... z_in  prod_{(k,l) in G} theta_{ik il}          (arXiv:1712.07124, equation 1)

A vertex with one neighbour is summed by a matrix-vector product and leaves a factor on that neighbour; one with two
neighbours by a matrix product and leaves an edge between them; when every vertex has three or more (the complete
graph of four vertices is the first), one is held fixed and summed last, in a loop, its edges becoming factors on
the neighbours. The order of elimination is free: `derivations` returns the cheapest ones, and `plan` picks among
them so that as much as possible is shared within a set of graphs.

Expressions are interned, so that two of them are equal exactly if their numbers are. They are brought to one form
first: powers of theta merge, chains of matrix products are flattened and read in one direction, products are
sorted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hepgen_fastsim.metrics.graphs import Multigraph

__all__ = ["Expressions", "derivations"]

# Cost of an operation in floating-point operations, for a jet of this many particles; it decides between derivations.
_PARTICLES = 60.0
_MATRIX_PRODUCT = 2 * _PARTICLES**3
_MATRIX_PASS = 2 * _PARTICLES**2
_VECTOR_PASS = 4 * _PARTICLES

_KEPT_DERIVATIONS = 24


@dataclass
class Expressions:
    """A table of interned expressions; an expression is an index into `nodes`.

    Kinds of nodes (`level` numbers the nested loops over a particle that is held fixed, from 1):

    ``("z",)``                    vector: energy weights
    ``("row", M, level)``         vector: row of a matrix that belongs to the fixed particle
    ``("mv", M, v)``              vector: sum_j M_ij v_j
    ``("prod", (v, ...))``        vector: product, particle by particle
    ``("pow", k)``                matrix: theta^k, element by element
    ``("chain", (M, v, M, ...))`` matrix: M diag(v) M ...
    ``("had", (M, ...))``         matrix: product, element by element
    ``("T", M)``                  matrix: transposed, of one that is not symmetric
    ``("sum", (v, ...))``         number: sum_i of a product of vectors
    ``("fixed", level, (v, ...), (s, ...))`` number: sum over the fixed particle i of v_i ... times the numbers s
    """

    nodes: list[tuple] = field(default_factory=list)
    _numbers: dict[tuple, int] = field(default_factory=dict)
    _symmetric: dict[int, bool] = field(default_factory=dict)
    _closures: dict[int, frozenset[int]] = field(default_factory=dict)
    _levels: dict[int, int] = field(default_factory=dict)

    def intern(self, node: tuple) -> int:
        number = self._numbers.get(node)
        if number is None:
            number = self._numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return number

    def power(self, k: int) -> int:
        return self.intern(("pow", k))

    def product(self, factors: tuple[int, ...]) -> int:
        return factors[0] if len(factors) == 1 else self.intern(("prod", tuple(sorted(factors))))

    def matvec(self, matrix: int, factors: tuple[int, ...]) -> int:
        return self.intern(("mv", matrix, self.product(factors)))

    def symmetric(self, matrix: int) -> bool:
        known = self._symmetric.get(matrix)
        if known is None:
            node = self.nodes[matrix]
            if node[0] == "chain":
                known = self._reversed(node[1]) == node[1]
            elif node[0] == "had":
                known = tuple(sorted(self.transposed(m) for m in node[1])) == node[1]
            else:
                known = node[0] == "pow"
            self._symmetric[matrix] = known
        return known

    def transposed(self, matrix: int) -> int:
        if self.symmetric(matrix):
            return matrix
        node = self.nodes[matrix]
        return node[1] if node[0] == "T" else self.intern(("T", matrix))

    def chain(self, left: int, middle: int, right: int) -> int:
        """left diag(middle) right, flattened and read in the direction that sorts first."""
        links = (*self._links(left), middle, *self._links(right))
        backwards = self._reversed(links)
        if backwards < links:
            return self.intern(("T", self.intern(("chain", backwards))))
        return self.intern(("chain", links))

    def _links(self, matrix: int) -> tuple[int, ...]:
        node = self.nodes[matrix]
        if node[0] == "T" and self.nodes[node[1]][0] == "chain":
            return self._reversed(self.nodes[node[1]][1])
        return node[1] if node[0] == "chain" else (matrix,)

    def _reversed(self, links: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self.transposed(x) if k % 2 == 0 else x for k, x in enumerate(reversed(links)))

    def hadamard(self, a: int, b: int) -> int:
        """Product of two matrices element by element; powers of theta merge into one."""
        k, rest = 0, []
        for matrix in (a, b):
            node = self.nodes[matrix]
            for part in self._factors(matrix) if node[0] in ("had", "T") else (matrix,):
                if self.nodes[part][0] == "pow":
                    k += self.nodes[part][1]
                else:
                    rest.append(part)
        factors = sorted(rest + ([self.power(k)] if k else []))
        if len(factors) == 1:
            return factors[0]
        flipped = sorted(self.transposed(m) for m in factors)
        if flipped < factors:
            return self.intern(("T", self.intern(("had", tuple(flipped)))))
        return self.intern(("had", tuple(factors)))

    def _factors(self, matrix: int) -> tuple[int, ...]:
        node = self.nodes[matrix]
        if node[0] == "had":
            return node[1]
        if node[0] == "T" and self.nodes[node[1]][0] == "had":
            return tuple(self.transposed(m) for m in self.nodes[node[1]][1])
        return (matrix,)

    # ---- how an expression is computed: its direct operands, and the cost of that one step ----

    def split(self, chain: int) -> tuple[int, int, int]:
        """The last product of a chain: (left, middle, right), where the parts are cheap and, on a tie, symmetric."""
        links = self.nodes[chain][1]

        def part(piece: tuple[int, ...]) -> int:
            if len(piece) == 1:
                return piece[0]
            backwards = self._reversed(piece)
            canonical = self.intern(("chain", min(piece, backwards)))
            return canonical if piece <= backwards else self.intern(("T", canonical))

        options = []
        for k in range(1, len(links), 2):
            option = (part(links[:k]), links[k], part(links[k + 1 :]))
            needed = self.closure(option[0]) | self.closure(option[2])
            options.append(((sum(self.cost(x) for x in needed), k < len(links) // 2), option))
        return min(options, key=lambda pair: pair[0])[1]

    def operands(self, number: int) -> tuple[int, ...]:
        node = self.nodes[number]
        kind = node[0]
        if kind == "z":
            return ()
        if kind == "pow":
            return () if node[1] == 1 else (self.power(node[1] // 2), self.power(node[1] - node[1] // 2))
        if kind in ("T", "row"):
            return (node[1],)
        if kind == "mv":  # a product of two matrices is not stored: the kernel multiplies as it sums
            head, last = self.peel(node[1])
            return (head, node[2]) if last is None else (head, last, node[2])
        if kind == "chain":
            return self.split(number)
        if kind in ("prod", "had"):
            return (self.intern((kind, node[1][:-1])) if len(node[1]) > 2 else node[1][0], node[1][-1])
        if kind == "sum":
            return node[1] if len(node[1]) == 1 else (self.product(node[1][:-1]), node[1][-1])
        return (self.product(node[2]), *node[3])

    def peel(self, matrix: int) -> tuple[int, int | None]:
        """A matrix as (A, B) with A * B element by element, B None if it is not such a product."""
        node = self.nodes[matrix]
        if node[0] != "had":
            return matrix, None
        return (self.intern(("had", node[1][:-1])) if len(node[1]) > 2 else node[1][0]), node[1][-1]

    def cost(self, number: int) -> float:
        """Cost of the last step of an expression, its operands given."""
        kind = self.nodes[number][0]
        loops = _PARTICLES ** self.level(number)
        if kind == "chain":
            return loops * _MATRIX_PRODUCT * (0.5 if self.symmetric(number) else 1.0)
        if kind in ("mv", "had", "T") or (kind == "pow" and self.nodes[number][1] > 1):
            return loops * _MATRIX_PASS
        return loops * _VECTOR_PASS

    def level(self, number: int) -> int:
        """The innermost loop over a fixed particle that an expression depends on; 0 for none."""
        level = self._levels.get(number)
        if level is None:
            node = self.nodes[number]
            if node[0] == "row":
                level = node[2]
            elif node[0] == "fixed":
                level = node[1] - 1
            else:
                level = max((self.level(x) for x in self.operands(number)), default=0)
            self._levels[number] = level
        return level

    def closure(self, number: int) -> frozenset[int]:
        """An expression and everything that has to be computed for it."""
        found = self._closures.get(number)
        if found is None:
            found = frozenset({number}).union(*(self.closure(x) for x in self.operands(number)))
            self._closures[number] = found
        return found


@dataclass(frozen=True)
class _State:
    """What is left of a graph: factors on each remaining vertex, and matrices on edges (u < v, rows belong to u)."""

    factors: tuple[tuple[int, tuple[int, ...]], ...]
    edges: tuple[tuple[int, int, int], ...]


def derivations(table: Expressions, graph: Multigraph) -> list[int]:
    """The cheapest ways to compute the polynomial of a connected graph, as expressions for the same number."""
    z = table.intern(("z",))
    multiplicity: dict[tuple[int, int], int] = {}
    for edge in graph.edges:
        multiplicity[edge] = multiplicity.get(edge, 0) + 1
    state = _State(
        tuple((vertex, (z,)) for vertex in range(graph.n)),
        tuple((i, j, table.power(k)) for (i, j), k in sorted(multiplicity.items())),
    )
    return _all_roots(table, state, 0, {})


def _all_roots(table: Expressions, state: _State, level: int, memo: dict) -> list[int]:
    return _cheapest(table, {x for root, _ in state.factors for x in _reduce(table, state, root, level, memo)})


def _cheapest(table: Expressions, found: set[int]) -> list[int]:
    return sorted(found, key=lambda x: (sum(table.cost(y) for y in table.closure(x)), x))[:_KEPT_DERIVATIONS]


def _reduce(table: Expressions, state: _State, root: int, level: int, memo: dict) -> list[int]:
    """Ways to sum over what is left of a graph, the particle at `root` last."""
    if (state, root, level) in memo:
        return memo[state, root, level]
    neighbours: dict[int, int] = {vertex: 0 for vertex, _ in state.factors}
    for i, j, _ in state.edges:
        neighbours[i] += 1
        neighbours[j] += 1
    del neighbours[root]
    found: set[int] = set()
    if not neighbours:
        found.add(table.intern(("sum", tuple(sorted(state.factors[0][1])))))
    elif min(neighbours.values()) == 1:  # leaves commute: one order is as good as another
        leaf = min(neighbours, key=neighbours.__getitem__)
        found.update(_reduce(table, _eliminate(table, state, leaf), root, level, memo))
    elif min(neighbours.values()) == 2:
        for vertex in (v for v, near in neighbours.items() if near == 2):
            found.update(_reduce(table, _eliminate(table, state, vertex), root, level, memo))
    else:
        for vertex in neighbours:
            found.add(_hold_fixed(table, state, vertex, level + 1, memo))
    memo[state, root, level] = _cheapest(table, found)
    return memo[state, root, level]


def _eliminate(table: Expressions, state: _State, vertex: int) -> _State:
    """Sums over the particle at a vertex that has one or two neighbours."""
    factors = dict(state.factors)
    own = factors.pop(vertex)
    touching = sorted(  # matrices whose rows belong to the neighbour
        (j, table.transposed(m)) if i == vertex else (i, m) for i, j, m in state.edges if vertex in (i, j)
    )
    edges = {(i, j): m for i, j, m in state.edges if vertex not in (i, j)}
    if len(touching) == 1:
        near, matrix = touching[0]
        factors[near] = tuple(sorted((*factors[near], table.matvec(matrix, own))))
    else:
        (u, to_u), (w, to_w) = touching
        matrix = table.chain(to_u, table.product(own), table.transposed(to_w))
        edges[u, w] = table.hadamard(edges[u, w], matrix) if (u, w) in edges else matrix
    return _State(tuple(sorted(factors.items())), tuple((i, j, m) for (i, j), m in sorted(edges.items())))


def _hold_fixed(table: Expressions, state: _State, vertex: int, level: int, memo: dict) -> int:
    """Takes a vertex out as the index of a loop; its edges become factors on the neighbours."""
    factors = dict(state.factors)
    own = factors.pop(vertex)
    rest = []
    for i, j, matrix in state.edges:
        if vertex in (i, j):
            near, rows = (j, matrix) if i == vertex else (i, table.transposed(matrix))
            factors[near] = tuple(sorted((*factors[near], table.intern(("row", rows, level)))))
        else:
            rest.append((i, j, matrix))
    inner = [_all_roots(table, part, level, memo)[0] for part in _connected_parts(factors, rest)]
    return table.intern(("fixed", level, own, tuple(sorted(inner))))


def _connected_parts(factors: dict[int, tuple[int, ...]], edges: list[tuple[int, int, int]]) -> list[_State]:
    owner = {vertex: vertex for vertex in factors}
    for _ in range(len(factors)):
        for i, j, _matrix in edges:
            owner[i] = owner[j] = min(owner[i], owner[j])
    return [
        _State(
            tuple(sorted((vertex, f) for vertex, f in factors.items() if owner[vertex] == root)),
            tuple(edge for edge in edges if owner[edge[0]] == root),
        )
        for root in sorted(set(owner.values()))
    ]
