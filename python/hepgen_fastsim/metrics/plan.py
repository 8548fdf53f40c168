# SPDX-License-Identifier: MIT
"""One program for a whole set of energy flow polynomials.

`compile_plan` chooses for each connected graph one of its derivations so that the set as a whole costs least,
orders the distinct expressions, assigns them storage (matrices are reused as soon as nobody needs them) and writes
a list of instructions, which the kernel in `efp_kernels` carries out for each jet. Disconnected graphs are products
of the results. The kernel is compiled once; a new set of graphs needs no compilation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np

from hepgen_fastsim.metrics.expressions import Expressions, derivations
from hepgen_fastsim.metrics.graphs import Multigraph, canonical_form, components

__all__ = ["Op", "Plan", "compile_plan"]

_ROUNDS = 4  # sweeps in which every graph reconsiders its derivation; the choice settles in two or three


class Op(IntEnum):
    """Instructions; operands are numbers of matrices (M), vectors (v) and scalars (s)."""

    HADAMARD = 0  # M = M * M, element by element
    TRANSPOSE = 1  # M = M^T
    MATMUL = 2  # M = M diag(v) M
    MATMUL_SYMMETRIC = 3  # the same, the result being symmetric
    MATVEC = 4  # v = M v
    MATVEC_HADAMARD = 5  # v = (M * M) v
    MULTIPLY = 6  # v = v * v
    SUM = 7  # s = sum v
    DOT = 8  # s = sum v * v
    ROW = 9  # v = row of M that belongs to the fixed particle of a level
    ZERO = 10  # s = 0
    SCALAR_MULTIPLY = 11  # s = s * s
    ACCUMULATE = 12  # s += v[fixed particle of a level] * s
    LOOP = 13  # fixed particle of a level = 0; to the address after END if there are no particles
    END = 14  # next fixed particle of a level, back to the address if there is one


@dataclass(frozen=True)
class Plan:
    """Instructions for a set of graphs.

    Attributes
    ----------
    code: int32 [n_instructions, 5], (operation, result, operand, operand, operand)
    n_matrices, n_vectors, n_scalars: storage needed; matrix 0 is theta, vector 0 is z, matrix 1 scratch
    factors, factor_offsets: int32, scalars whose product is graph g, at factor_offsets[g]:factor_offsets[g + 1]
    n_matrix_products: matrix products in the code, symmetric results counted as one half
    """

    code: np.ndarray
    n_matrices: int
    n_vectors: int
    n_scalars: int
    factors: np.ndarray
    factor_offsets: np.ndarray
    n_matrix_products: float

    def describe(self) -> dict[str, int]:
        """How often each operation occurs."""
        return {Op(op).name: int(n) for op, n in sorted(Counter(self.code[:, 0].tolist()).items())}


@lru_cache(maxsize=32)
def compile_plan(graphs: tuple[Multigraph, ...]) -> Plan:
    """The program for these graphs; results in the given order."""
    table = Expressions()
    distinct: dict[tuple, int] = {}
    options: list[list[int]] = []
    factors: list[list[int]] = []
    for graph in graphs:
        factors.append([])
        for part in components(graph):
            simple = Counter(part.edges)
            form = canonical_form(part.n, tuple(simple), tuple(simple.values()))
            if form not in distinct:
                distinct[form] = len(options)
                options.append(derivations(table, part))
            factors[-1].append(distinct[form])
    chosen = _choose(table, options)
    return _Writer(table, chosen).plan(factors)


def _choose(table: Expressions, options: Sequence[list[int]]) -> list[int]:
    """One derivation for each graph; each in turn takes the cheapest, given what the others compute anyway."""
    chosen = [option[0] for option in options]
    users = Counter(x for number in chosen for x in table.closure(number))
    for _ in range(_ROUNDS):
        changed = False
        for k, option in enumerate(options):
            if len(option) == 1:
                continue
            users.subtract(table.closure(chosen[k]))
            best = min(option, key=lambda x: sum(table.cost(y) for y in table.closure(x) if users[y] <= 0))
            changed |= best != chosen[k]
            chosen[k] = best
            users.update(table.closure(best))
        if not changed:
            break
    return chosen


_KINDS = {"pow": "M", "chain": "M", "had": "M", "T": "M", "sum": "s", "fixed": "s"}


class _Writer:
    """Orders expressions, writes them as instructions on unlimited storage, then packs the storage."""

    def __init__(self, table: Expressions, results: list[int]):
        self.table = table
        self.results = results
        self.code: list[list] = []  # operands as ("M" | "v" | "s", expression) until `_pack`
        self.done: set[int] = set()
        self.products = 0.0
        theta, z = table.power(1), table.intern(("z",))
        self.done.update((theta, z))
        self.slots = {("M", theta): 0, ("v", z): 0}
        needed = frozenset().union(*(table.closure(x) for x in results)) if results else frozenset()
        self.loops: dict[int, list[int]] = {}
        for x in sorted(needed):
            if table.nodes[x][0] == "fixed":
                self.loops.setdefault(table.nodes[x][1], []).append(x)
        self.needed = needed

    def plan(self, factors: list[list[int]]) -> Plan:
        for x in self.results:
            if not self._loops_below(x):
                self._emit(x)
        if self.loops:
            self._loop(1)
        sizes = self._pack()
        scalars = [self.slots["s", x] for x in self.results]
        flat = [scalars[k] for parts in factors for k in parts]
        return Plan(
            code=np.array(self.code, dtype=np.int32).reshape(-1, 5),
            n_matrices=sizes["M"],
            n_vectors=sizes["v"],
            n_scalars=sizes["s"],
            factors=np.array(flat, dtype=np.int32),
            factor_offsets=np.cumsum([0] + [len(parts) for parts in factors]).astype(np.int32),
            n_matrix_products=self.products,
        )

    def _loops_below(self, x: int) -> bool:
        return any(self.table.nodes[y][0] == "fixed" for y in self.table.closure(x))

    def _ref(self, x: int) -> tuple[str, int]:
        return _KINDS.get(self.table.nodes[x][0], "v"), x

    def _emit(self, x: int) -> None:
        """Writes an expression after its operands, unless it is there already."""
        if x in self.done:
            return
        table = self.table
        node, operands = table.nodes[x], table.operands(x)
        for operand in operands:
            self._emit(operand)
        self.done.add(x)
        refs = [self._ref(operand) for operand in operands]
        kind, out = node[0], self._ref(x)
        if kind in ("pow", "had"):
            self._write(Op.HADAMARD, out, *refs)
        elif kind == "T":
            self._write(Op.TRANSPOSE, out, *refs)
        elif kind == "chain":
            symmetric = table.symmetric(x)
            self.products += 0.5 if symmetric else 1.0
            self._write(Op.MATMUL_SYMMETRIC if symmetric else Op.MATMUL, out, *refs)
        elif kind == "mv":
            self._write(Op.MATVEC if len(refs) == 2 else Op.MATVEC_HADAMARD, out, *refs)
        elif kind == "prod":
            self._write(Op.MULTIPLY, out, *refs)
        elif kind == "sum":
            self._write(Op.SUM if len(refs) == 1 else Op.DOT, out, *refs)
        elif kind == "row":
            self._write(Op.ROW, out, *refs, node[2])
        else:
            raise AssertionError(f"no instruction for {node}")

    def _write(self, op: Op, out: tuple[str, int] | int, *operands: tuple[str, int] | int) -> None:
        self.code.append([int(op), out, *operands, *([0] * (3 - len(operands)))])

    def _loop(self, level: int) -> None:
        """The loop over the fixed particle of a level: everything that does not depend on it comes before."""
        table = self.table
        fixed = self.loops[level]
        inside = {x for f in fixed for x in table.closure(f) if table.level(x) >= level}
        for x in sorted({x for f in self._fixed_from(level) for x in table.closure(f)} - self.done):
            if table.level(x) < level and not self._loops_below(x):
                self._emit(x)
        for f in fixed:
            self._write(Op.ZERO, self._ref(f))
        begin = len(self.code)
        self._write(Op.LOOP, level, 0)
        for x in sorted(inside):
            if table.level(x) == level and not self._loops_below(x):
                self._emit(x)
        if level + 1 in self.loops:
            self._loop(level + 1)
        for f in fixed:
            weight, *numbers = table.operands(f)
            product = self._ref(numbers[0])
            for k, number in enumerate(numbers[1:]):
                partial = ("s", -1 - f * 16 - k)
                self._write(Op.SCALAR_MULTIPLY, partial, product, self._ref(number))
                product = partial
            self._write(Op.ACCUMULATE, self._ref(f), self._ref(weight), product, level)
            self.done.add(f)
        self._write(Op.END, level, begin + 1)
        self.code[begin][2] = len(self.code)

    def _fixed_from(self, level: int) -> list[int]:
        return [f for deeper, fs in self.loops.items() if deeper >= level for f in fs]

    def _pack(self) -> dict[str, int]:
        """Replaces expressions by storage numbers. A matrix or vector is free after its last use; what is made
        outside a loop and used inside stays until the loop ends. Scalars are never reused."""
        last: dict[tuple[str, int], int] = {}
        born: dict[tuple[str, int], int] = {}
        loops = [(row[2], pc) for pc, row in enumerate(self.code) if row[0] == Op.END]
        for pc, row in enumerate(self.code):
            for ref in row[1:]:
                if isinstance(ref, tuple):
                    born.setdefault(ref, pc)
                    ends = [end for begin, end in loops if begin <= pc < end and born[ref] < begin]
                    last[ref] = max([pc, last.get(ref, 0), *ends])
        sizes = {"M": 2, "v": 1, "s": 0}
        free: dict[str, list[int]] = {"M": [], "v": []}
        for pc, row in enumerate(self.code):
            ending = []
            for position, ref in enumerate(row[1:], start=1):
                if not isinstance(ref, tuple):
                    continue
                if ref not in self.slots:
                    pool = free.get(ref[0])
                    if pool:
                        self.slots[ref] = pool.pop()
                    else:
                        self.slots[ref] = sizes[ref[0]]
                        sizes[ref[0]] += 1
                row[position] = self.slots[ref]
                if last[ref] == pc and ref[0] != "s" and self.slots[ref] != 0:
                    ending.append(ref)
            for ref in dict.fromkeys(ending):
                free[ref[0]].append(self.slots[ref])
            if row[0] == Op.END:
                for ref, end in last.items():
                    if end == pc and ref[0] != "s" and self.slots[ref] != 0 and ref not in ending:
                        free[ref[0]].append(self.slots[ref])
        return sizes
