# SPDX-License-Identifier: MIT
"""Loops over pairs of objects of the same event, compiled: distances in (eta, phi)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np

__all__ = ["cone_sums", "count_near", "highest_code", "last_within"]


def _compiled(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Compile for one set of types only (int64, float64, writable), to which arguments are brought."""
    run = nb.njit(cache=True, nogil=True)(function)

    def plain(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return float(value)
        dtype = {"i": np.int64, "u": np.int64, "f": np.float64, "b": np.bool_}[value.dtype.kind]
        return np.require(value, dtype=dtype, requirements=("C", "W"))

    @functools.wraps(function)
    def call(*arguments: Any) -> np.ndarray:
        return run(*map(plain, arguments))

    return call


@nb.njit(cache=True, nogil=True)
def _distance2(eta1: float, phi1: float, eta2: float, phi2: float) -> float:
    dphi = abs(phi1 - phi2)
    if dphi > math.pi:
        dphi = 2.0 * math.pi - dphi
    return (eta1 - eta2) ** 2 + dphi**2


@_compiled
def cone_sums(
    row: np.ndarray,
    event: np.ndarray,
    eta: np.ndarray,
    phi: np.ndarray,
    pt: np.ndarray,
    charge: np.ndarray,
    counts: np.ndarray,
    offsets: np.ndarray,
    delta_r: float,
    delta_r_min: float,
) -> np.ndarray:
    """pt [GeV] around candidates: float64 [n_candidates, 2] of charged and of neutral constituents.

    row, event: constituent and event of each candidate. eta, phi, pt, charge, counts (whether it takes part):
    constituents. delta_r_min: below 0, all within delta_r but the candidate itself; else all beyond delta_r_min.
    """
    sums = np.zeros((len(row), 2))
    for k in range(len(row)):
        i = row[k]
        for j in range(offsets[event[k]], offsets[event[k] + 1]):
            if not counts[j]:
                continue
            d2 = _distance2(eta[i], phi[i], eta[j], phi[j])
            if d2 > delta_r * delta_r:
                continue
            if delta_r_min >= 0.0:
                if d2 <= delta_r_min * delta_r_min:
                    continue
            elif i == j:
                continue
            sums[k, 0 if charge[j] != 0 else 1] += pt[j]
    return sums


@_compiled
def highest_code(
    eta: np.ndarray,
    phi: np.ndarray,
    event: np.ndarray,
    other_eta: np.ndarray,
    other_phi: np.ndarray,
    code: np.ndarray,
    offsets: np.ndarray,
    delta_r: float,
) -> np.ndarray:
    """Highest code among the others of the event within delta_r: int64 [n], -1 for none."""
    found = np.full(len(eta), -1, dtype=np.int64)
    for k in range(len(eta)):
        for j in range(offsets[event[k]], offsets[event[k] + 1]):
            if code[j] > found[k] and _distance2(eta[k], phi[k], other_eta[j], other_phi[j]) <= delta_r * delta_r:
                found[k] = code[j]
    return found


@_compiled
def last_within(
    eta: np.ndarray,
    phi: np.ndarray,
    event: np.ndarray,
    other_eta: np.ndarray,
    other_phi: np.ndarray,
    offsets: np.ndarray,
    delta_r: float,
) -> np.ndarray:
    """Row of the last other of the event within delta_r: int64 [n], -1 for none."""
    found = np.full(len(eta), -1, dtype=np.int64)
    for k in range(len(eta)):
        for j in range(offsets[event[k]], offsets[event[k] + 1]):
            if _distance2(eta[k], phi[k], other_eta[j], other_phi[j]) <= delta_r * delta_r:
                found[k] = j
    return found


@_compiled
def count_near(
    eta: np.ndarray,
    phi: np.ndarray,
    event: np.ndarray,
    other_eta: np.ndarray,
    other_phi: np.ndarray,
    weight: np.ndarray,
    offsets: np.ndarray,
    delta_r: float,
) -> np.ndarray:
    """Number of others of the event within delta_r and the sum of their weights: float64 [n, 2]."""
    sums = np.zeros((len(eta), 2))
    for k in range(len(eta)):
        for j in range(offsets[event[k]], offsets[event[k] + 1]):
            if _distance2(eta[k], phi[k], other_eta[j], other_phi[j]) <= delta_r * delta_r:
                sums[k, 0] += 1.0
                sums[k, 1] += weight[j]
    return sums
