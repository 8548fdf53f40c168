# SPDX-License-Identifier: MIT
"""Distance correlation: how much two sets of variables depend on each other, in any form."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.result import Result

__all__ = ["distance_correlation"]

_FAST = {"reassoc", "contract", "nsz"}


@nb.njit(nogil=True, cache=True, fastmath=_FAST)
def _row_sums(x, sums):
    """sums[i] = sum_j |x_i - x_j| for x [n, d]."""
    n, d = x.shape
    for i in range(n):
        total = 0.0
        for j in range(n):
            square = 0.0
            for k in range(d):
                difference = x[i, k] - x[j, k]
                square += difference * difference
            total += np.sqrt(square)
        sums[i] = total


@nb.njit(nogil=True, cache=True, fastmath=_FAST)
def _products(x, y):
    """sum_ij of |x_i - x_j| |y_i - y_j|."""
    n = x.shape[0]
    total = 0.0
    for i in range(n):
        for j in range(i):
            a, b = 0.0, 0.0
            for k in range(x.shape[1]):
                difference = x[i, k] - x[j, k]
                a += difference * difference
            for k in range(y.shape[1]):
                difference = y[i, k] - y[j, k]
                b += difference * difference
            total += np.sqrt(a * b)
    return 2 * total


def distance_correlation(x: Any, y: Any, *, max_rows: int = 10_000, n_jackknife: int = 10, seed: int = 0) -> Result:
    """Distance correlation between paired samples (Székely, Rizzo, Bakirov 2007; bias corrected: Székely, Rizzo 2014).

    0 if and only if x and y are independent, 1 if they are equal up to rotation, shift and scale. Used to see what
    a latent variable stands for, as in the talk on EPiC-GAN. The cost is quadratic in the rows, the memory linear.

    Parameters
    ----------
    x, y: float [n] or [n, d], [n, e]; row k of both belong together. Pairs with numbers that are not finite are
    left out. max_rows: rows used, at most; drawn without replacement n_jackknife: blocks for the error seed: of the
    drawing, and of the permutation behind the floor

    Returns
    -------
    Result; `value` is the distance correlation, `floor` what it is after a permutation of y (its bias at this number of
    rows: about 1 / sqrt(n), not 0), ``details["squared_unbiased"]`` the squared correlation without that bias
    """
    tables = []
    for values, name in ((x, "x"), (y, "y")):
        table = np.asarray(values, dtype=np.float64)
        if table.ndim not in (1, 2):
            raise InputError(f"{name} should have the shape [n] or [n, d], got {list(table.shape)}")
        tables.append(table.reshape(len(table), -1))
    if len(tables[0]) != len(tables[1]):
        raise InputError(f"x and y should be paired, got {len(tables[0])} and {len(tables[1])} rows")
    finite = np.isfinite(tables[0]).all(axis=1) & np.isfinite(tables[1]).all(axis=1)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.flatnonzero(finite))[:max_rows]
    if len(chosen) < 4 or n_jackknife < 2:
        raise InputError(
            f"distance correlation needs four finite rows and two blocks, got {len(chosen)} and {n_jackknife}"
        )
    a, b = (np.ascontiguousarray(table[chosen]) for table in tables)
    value, unbiased = _correlation(a, b)
    floor, _ = _correlation(a, np.ascontiguousarray(b[rng.permutation(len(b))]))
    blocks = min(n_jackknife, len(a) // 2)
    left_out = np.array(
        [_correlation(np.delete(a, np.s_[k::blocks], 0), np.delete(b, np.s_[k::blocks], 0))[0] for k in range(blocks)]
    )
    error = np.sqrt((blocks - 1) / blocks * ((left_out - left_out.mean()) ** 2).sum())
    details = {"squared_unbiased": unbiased, "n": len(chosen), "n_unusable": int((~finite).sum())}
    return Result("distance_correlation", value, float(error), floor, 0.0, details)


def _correlation(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    n = len(x)
    rows_x, rows_y = np.empty(n), np.empty(n)
    _row_sums(x, rows_x)
    _row_sums(y, rows_y)

    def covariances(p, q, rows_p, rows_q) -> tuple[float, float]:
        cross, both, margins = _products(p, q), rows_p.sum() * rows_q.sum(), (rows_p * rows_q).sum()
        biased = cross / n**2 + both / n**4 - 2 * margins / n**3
        unbiased = (cross + both / ((n - 1) * (n - 2)) - 2 * margins / (n - 2)) / (n * (n - 3))
        return biased, unbiased

    xy, xx, yy = (
        covariances(*pair) for pair in ((x, y, rows_x, rows_y), (x, x, rows_x, rows_x), (y, y, rows_y, rows_y))
    )
    if xx[0] * yy[0] <= 0:
        return 0.0, 0.0  # one of them is constant, hence independent of the other
    biased = np.sqrt(max(xy[0], 0.0) / np.sqrt(xx[0] * yy[0]))
    return float(biased), float(xy[1] / np.sqrt(xx[1] * yy[1])) if xx[1] * yy[1] > 0 else 0.0
