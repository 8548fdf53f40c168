# SPDX-License-Identifier: MIT
"""Numba kernels of the energy flow polynomials: pair angles, and the interpreter of a plan.

Storage is per thread and reused for every jet, so memory does not grow with the number of jets. Matrices have their
rows padded with zeros to a multiple of 16 columns: inner loops then need no remainder, and a padded particle has z
= 0. Sums may be reassociated (all terms are non-negative, so this costs no accuracy); infinities and NaN keep their
meaning.
"""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np

from hepgen_fastsim.metrics.plan import Op
from hepgen_fastsim.metrics.simd import TILE_COLUMNS, TILE_ROWS, multiply_tile

__all__ = ["EE", "HADR", "HADRDOT", "run_plan"]

_FAST = {"reassoc", "contract", "nsz"}
_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "fastmath": _FAST, "error_model": "numpy"}

HADR, HADRDOT, EE = 0, 1, 2

_HADAMARD, _TRANSPOSE, _MATMUL, _MATMUL_SYMMETRIC = (
    int(op) for op in (Op.HADAMARD, Op.TRANSPOSE, Op.MATMUL, Op.MATMUL_SYMMETRIC)
)
_MATVEC, _MATVEC_HADAMARD, _MULTIPLY, _SUM, _DOT = (
    int(op) for op in (Op.MATVEC, Op.MATVEC_HADAMARD, Op.MULTIPLY, Op.SUM, Op.DOT)
)
_ROW, _ZERO, _SCALAR_MULTIPLY, _ACCUMULATE, _LOOP, _END = (
    int(op) for op in (Op.ROW, Op.ZERO, Op.SCALAR_MULTIPLY, Op.ACCUMULATE, Op.LOOP, Op.END)
)


@nb.njit(**_OPTIONS)
def _scale_columns(out, a, v, rows, width):
    for i in range(rows):
        for j in range(width):
            out[i, j] = a[i, j] * v[j]


@nb.njit(**_OPTIONS)
def _matmul(out, a, b, rows, width, n, symmetric):
    """out = a b; of a symmetric result only tiles that touch the upper triangle are computed, the rest is mirrored."""
    for j in range(0, width, TILE_COLUMNS):
        for i in range(0, min(rows, j + TILE_COLUMNS) if symmetric else rows, TILE_ROWS):
            multiply_tile(out, a, b, i, j, n)
    if symmetric:
        for i in range(rows):
            for j in range(i):
                out[i, j] = out[j, i]


@nb.njit(**_OPTIONS)
def _matvec(out, a, v, n, width):
    for i in range(n):
        total = 0.0
        row = a[i]
        for j in range(width):
            total += row[j] * v[j]
        out[i] = total


@nb.njit(**_OPTIONS)
def _matvec_hadamard(out, a, b, v, n, width):
    for i in range(n):
        total = 0.0
        row, other = a[i], b[i]
        for j in range(width):
            total += row[j] * other[j] * v[j]
        out[i] = total


@nb.njit(**_OPTIONS)
def _dot(a, b, width):
    total = 0.0
    for j in range(width):
        total += a[j] * b[j]
    return total


@nb.njit(**_OPTIONS)
def _hadr(p, theta, n):
    """theta_ij^2 = (y_i - y_j)^2 + (phi_i - phi_j)^2, phi periodic; p rows: y, phi."""
    y, phi = p[0], p[1]
    for i in range(n):
        yi, fi = y[i], phi[i]
        row = theta[i]
        for j in range(n):
            dy = yi - y[j]
            df = abs(fi - phi[j])
            df = min(df, 2 * math.pi - df)
            row[j] = dy * dy + df * df


@nb.njit(**_OPTIONS)
def _hadrdot(p, theta, n):
    """theta_ij^2 = 2 p_i p_j / (pT_i pT_j), as a sum of non-negative terms so that small angles keep their digits.

    With mu = m^2 / pT^2 and r = sqrt((1 + mu_i)(1 + mu_j)) it is
    2 (r - 1) + 4 r sinh^2(dy / 2) + 4 sin^2(dphi / 2); rows of p: mu, exp(y), cos(phi), sin(phi).
    """
    mu, e, c, s = p[0], p[1], p[2], p[3]
    for i in range(n):
        row = theta[i]
        for j in range(n):
            product = mu[i] + mu[j] + mu[i] * mu[j]
            r = math.sqrt(1.0 + product)
            de, dc, ds = e[i] - e[j], c[i] - c[j], s[i] - s[j]
            row[j] = 2.0 * product / (1.0 + r) + r * de * de / (e[i] * e[j]) + dc * dc + ds * ds


@nb.njit(**_OPTIONS)
def _ee(p, theta, n):
    """theta_ij^2 = 2 p_i p_j / (E_i E_j) = 2 (1 - v_i v_j) + v_i v_j |n_i - n_j|^2; rows of p: 1 - v, direction n."""
    u, x, y, z = p[0], p[1], p[2], p[3]
    for i in range(n):
        row = theta[i]
        for j in range(n):
            slow = u[i] + u[j] - u[i] * u[j]
            dx, dy, dz = x[i] - x[j], y[i] - y[j], z[i] - z[j]
            row[j] = 2.0 * slow + (1.0 - slow) * (dx * dx + dy * dy + dz * dz)


@nb.njit(**_OPTIONS)
def _angular_power(theta, n, beta):
    """theta^2 to theta^beta, in place."""
    for i in range(n):
        row = theta[i]
        if beta == 1.0:
            for j in range(n):
                row[j] = math.sqrt(row[j])
        elif beta == 0.5:
            for j in range(n):
                row[j] = math.sqrt(math.sqrt(row[j]))
        elif beta == 4.0:
            for j in range(n):
                row[j] = row[j] * row[j]
        elif beta != 2.0:
            half = 0.5 * beta
            for j in range(i + 1):
                row[j] = row[j] ** half if row[j] > 0.0 else 0.0
                theta[j, i] = row[j]


@nb.njit(**_OPTIONS)
def _pair_angles(particles, start, n, measure, beta, geometry, theta, width):
    """Fills theta, n x n, for particles start ... start + n; columns as `efp.prepare` lays them out."""
    for k in range(particles.shape[0] - 1):
        for i in range(n):
            geometry[k, i] = particles[k + 1, start + i]
    if measure == HADR:
        _hadr(geometry, theta, n)
    elif measure == HADRDOT:
        _hadrdot(geometry, theta, n)
    else:
        _ee(geometry, theta, n)
    _angular_power(theta, n, beta)
    rows = (n + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS
    for i in range(rows):
        for j in range(n if i < n else 0, width):
            theta[i, j] = 0.0


@nb.njit(**_OPTIONS)
def _interpret(code, matrices, vectors, scalars, fixed, n, width):
    rows = (n + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS
    pc = 0
    while pc < code.shape[0]:
        op, out, a, b, c = code[pc, 0], code[pc, 1], code[pc, 2], code[pc, 3], code[pc, 4]
        pc += 1
        if op == _DOT:
            scalars[out] = _dot(vectors[a], vectors[b], width)
        elif op == _MATVEC_HADAMARD:
            _matvec_hadamard(vectors[out], matrices[a], matrices[b], vectors[c], n, width)
        elif op == _MATVEC:
            _matvec(vectors[out], matrices[a], vectors[b], n, width)
        elif op == _MULTIPLY:
            for j in range(width):
                vectors[out, j] = vectors[a, j] * vectors[b, j]
        elif op == _HADAMARD:
            for i in range(rows):
                for j in range(width):
                    matrices[out, i, j] = matrices[a, i, j] * matrices[b, i, j]
        elif op in (_MATMUL, _MATMUL_SYMMETRIC):
            _scale_columns(matrices[1], matrices[a], vectors[b], rows, width)
            _matmul(matrices[out], matrices[1], matrices[c], rows, width, n, op == _MATMUL_SYMMETRIC)
        elif op == _TRANSPOSE:
            for i in range(rows):
                for j in range(width):
                    matrices[out, i, j] = matrices[a, j, i] if j < rows else 0.0
        elif op == _SUM:
            total = 0.0
            for j in range(width):
                total += vectors[a, j]
            scalars[out] = total
        elif op == _ROW:
            for j in range(width):
                vectors[out, j] = matrices[a, fixed[b], j]
        elif op == _ZERO:
            scalars[out] = 0.0
        elif op == _SCALAR_MULTIPLY:
            scalars[out] = scalars[a] * scalars[b]
        elif op == _ACCUMULATE:
            scalars[out] += vectors[a, fixed[c]] * scalars[b]
        elif op == _LOOP:
            fixed[out] = 0
            if n == 0:
                pc = a
        else:  # END
            fixed[out] += 1
            if fixed[out] < n:
                pc = a


@nb.njit(**_OPTIONS)
def run_plan(particles, offsets, jets, measure, beta, code, sizes, factors, factor_offsets, out):
    """Energy flow polynomials of the jets numbered `jets`.

    Parameters
    ----------
    particles: float64 [5 or fewer, n_particles]
        row 0 the energy weight z, the rest as the measure needs them
    offsets: int64 [n_jets + 1]
        jet k owns particles offsets[k] ... offsets[k + 1]
    jets: int64 [n]
        which jets to compute
    sizes: (matrices, vectors, scalars)
        storage of the plan
    out: float64 [n_jets, n_graphs]
        result; rows of other jets are not touched
    """
    largest = 0
    for jet in jets:
        largest = max(largest, offsets[jet + 1] - offsets[jet])
    widest = (largest + 15) // 16 * 16
    storage = np.zeros(sizes[0] * widest * widest)
    vector_storage = np.zeros(sizes[1] * widest)
    geometry = np.zeros((4, widest))
    scalars = np.zeros(sizes[2])
    fixed = np.zeros(64, dtype=np.int64)
    for jet in jets:
        start = offsets[jet]
        n = offsets[jet + 1] - start
        width = (n + 15) // 16 * 16
        matrices = storage[: sizes[0] * width * width].reshape(sizes[0], width, width)
        vectors = vector_storage[: sizes[1] * width].reshape(sizes[1], width)
        vectors[:, n:] = 0.0
        for i in range(n):
            vectors[0, i] = particles[0, start + i]
        _pair_angles(particles, start, n, measure, beta, geometry, matrices[0], width)
        _interpret(code, matrices, vectors, scalars, fixed, n, width)
        for g in range(factor_offsets.shape[0] - 1):
            value = 1.0
            for k in range(factor_offsets[g], factor_offsets[g + 1]):
                value *= scalars[factors[k]]
            out[jet, g] = value
