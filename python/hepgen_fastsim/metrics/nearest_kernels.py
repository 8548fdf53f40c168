# SPDX-License-Identifier: MIT
"""Numba kernel of the Chamfer distance: every pair once, nearest neighbours of both sides in the same sweep."""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np

from hepgen_fastsim.metrics.simd import SWEEP_ROWS, nearest_sweep

__all__ = ["run"]

_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "fastmath": {"reassoc", "contract", "nsz"},
    "error_model": "numpy",
}
_BYTES = 64  # `nearest_sweep` loads as many at once
_FAR = 1e30  # a squared distance; those of padding, from _NOWHERE, are larger still and fit in float32
_NOWHERE = 1e16


@nb.njit(**_OPTIONS)
def _load(points, start, n, circle, out, width):
    """Copies points [n, d] to columns, the angle last, and pads with points far away; false if one is not finite.

    Columns of `out` between the coordinates and the angle, which a small d lacks, are zero from the start.
    """
    d = points.shape[1]
    check = 0.0  # 0 * x is 0 for finite numbers, NaN for others; a sum of them is faster than asking each
    if d == 3 and circle < 0:
        x, y, z = out[0], out[1], out[2]
        for i in range(n):
            x[i], y[i], z[i] = points[start + i, 0], points[start + i, 1], points[start + i, 2]
            check += 0.0 * x[i] + 0.0 * y[i] + 0.0 * z[i]
    else:
        column = 0
        for k in range(d):
            if k != circle:
                target = out[column]
                for i in range(n):
                    target[i] = points[start + i, k]
                    check += 0.0 * target[i]
                column += 1
        if circle >= 0:
            target = out[out.shape[0] - 1]
            for i in range(n):
                angle = float(points[start + i, circle])
                target[i] = angle - 2 * math.pi * math.floor(angle / (2 * math.pi))
                check += 0.0 * target[i]
    for i in range(n, width):
        out[0, i] = _NOWHERE
    return check == 0.0


@nb.njit(**_OPTIONS)
def _sweep_any(a, b, nearest_a, nearest_b, i, periodic, distances):
    """`nearest_sweep` for one point and any number of coordinates."""
    distances[:] = 0.0
    for k in range(a.shape[0]):
        x = a[k, i]
        other = b[k]
        if periodic and k == a.shape[0] - 1:
            for j in range(other.shape[0]):
                turn = abs(x - other[j])
                turn = min(turn, 2 * math.pi - turn)
                distances[j] += turn * turn
        else:
            for j in range(other.shape[0]):
                difference = x - other[j]
                distances[j] += difference * difference
    nearest_a[i] = distances.min()
    for j in range(distances.shape[0]):
        nearest_b[j] = min(nearest_b[j], distances[j])


@nb.njit(**_OPTIONS)
def _total(nearest, weights, start, n, squared, mean):
    total, norm = 0.0, 0.0
    if weights.shape[0] == 0 and squared:
        for i in range(n):
            total += float(nearest[i])
        norm = float(n)
    else:
        for i in range(n):
            weight = weights[start + i] if weights.shape[0] else 1.0
            total += weight * (nearest[i] if squared else math.sqrt(nearest[i]))
            norm += weight
    return total / norm if mean else total


@nb.njit(**_OPTIONS)
def run(a, b, offsets_a, offsets_b, weights_a, weights_b, sets, circle, squared, mean, out):
    """Chamfer distances of the sets numbered `sets`.

    Parameters
    ----------
    a, b: float32 or float64 [n_points, d], both of the same type
    offsets_a, offsets_b: int64 [n_sets + 1]
    weights_a, weights_b: float64 [n_points], or empty for unit weights
    circle: the coordinate that is an angle, or -1
    out: float64 [n_sets]; NaN where a point is not finite
    """
    largest_a, largest_b = 0, 0
    for k in sets:
        largest_a = max(largest_a, offsets_a[k + 1] - offsets_a[k])
        largest_b = max(largest_b, offsets_b[k + 1] - offsets_b[k])
    d = max(a.shape[1], 3)
    lanes = _BYTES // a.itemsize
    points_a = np.zeros((d, largest_a + SWEEP_ROWS), dtype=a.dtype)
    points_b = np.zeros((d, (largest_b + lanes - 1) // lanes * lanes), dtype=a.dtype)
    nearest_a = np.empty(largest_a + SWEEP_ROWS, dtype=a.dtype)
    nearest_b = np.empty(largest_b + lanes, dtype=a.dtype)
    distances = np.empty(largest_b + lanes, dtype=a.dtype)
    for k in sets:
        n, m = offsets_a[k + 1] - offsets_a[k], offsets_b[k + 1] - offsets_b[k]
        rows, width = (n + SWEEP_ROWS - 1) // SWEEP_ROWS * SWEEP_ROWS, (m + lanes - 1) // lanes * lanes
        if not (_load(a, offsets_a[k], n, circle, points_a, rows) & _load(b, offsets_b[k], m, circle, points_b, width)):
            out[k] = np.nan
            continue
        if n == 0 or m == 0:
            out[k] = 0.0 if n == m else np.inf
            continue
        for j in range(width):
            nearest_b[j] = _FAR
        if d == 3 and circle < 0:
            for i in range(0, n, SWEEP_ROWS):
                nearest_sweep(points_a, points_b, nearest_a, nearest_b, i, width, 3, 0)
        elif d == 3:
            for i in range(0, n, SWEEP_ROWS):
                nearest_sweep(points_a, points_b, nearest_a, nearest_b, i, width, 3, 1)
        elif d == 4 and circle < 0:
            for i in range(0, n, SWEEP_ROWS):
                nearest_sweep(points_a, points_b, nearest_a, nearest_b, i, width, 4, 0)
        else:
            for i in range(n):
                _sweep_any(points_a, points_b[:, :width], nearest_a, nearest_b, i, circle >= 0, distances[:width])
        out[k] = _total(nearest_a, weights_a, offsets_a[k], n, squared, mean) + _total(
            nearest_b, weights_b, offsets_b[k], m, squared, mean
        )
