# SPDX-License-Identifier: MIT
"""Numba kernel of the one-dimensional Wasserstein distance of weighted samples that are sorted already."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["wasserstein_sorted"]


@nb.njit(nogil=True, cache=True, error_model="numpy")
def wasserstein_sorted(a, weights_a, b, weights_b):
    """Integral of |F_a - F_b| for values [n], [m] in ascending order with weights; entries of weight 0 count for
    nothing."""
    norm_a, norm_b = weights_a.sum(), weights_b.sum()
    i, j, below_a, below_b, total = 0, 0, 0.0, 0.0, 0.0
    previous = np.nan
    while i < len(a) or j < len(b):
        if j == len(b) or (i < len(a) and a[i] <= b[j]):
            weight, x, from_a = weights_a[i], a[i], True
            i += 1
        else:
            weight, x, from_a = weights_b[j], b[j], False
            j += 1
        if weight == 0.0:
            continue
        if not np.isnan(previous):
            total += abs(below_a / norm_a - below_b / norm_b) * (x - previous)
        previous = x
        if from_a:
            below_a += weight
        else:
            below_b += weight
    return total
