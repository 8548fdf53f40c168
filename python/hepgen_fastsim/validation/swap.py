# SPDX-License-Identifier: MIT
"""How large W1 becomes by chance alone: reference and rerun exchanged event by event, and resampled events.

If the candidate were the reference's own simulation with another seed, then any exchange of the two would be as likely
as what was observed. A perfect candidate therefore stays below the 95 % quantile of the W1 between exchanged samples in
95 % of the observables. Events are exchanged, not values, since the values of one event depend on each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

__all__ = ["Pair", "distances", "exchanges", "resamplings"]


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _distances(values, event, second, times, flip):
    """W1 of every replica: float64 [n_replicas].

    values float [n] ascending; event int [n]; second bool [n], which sample a value is of; times uint8 [n_events,
    n_replicas], how often an event counts; flip bool [n_events, n_replicas], whether its samples are exchanged.
    """
    n_replicas = times.shape[1]
    norm = np.zeros((2, n_replicas))
    for i in range(len(values)):
        for r in range(n_replicas):
            norm[int(second[i] != flip[event[i], r]), r] += times[event[i], r]
    norm = 1.0 / norm
    below, total = np.zeros((2, n_replicas)), np.zeros(n_replicas)  # counts, so that equal samples differ by exactly 0
    for i in range(len(values)):
        gap = values[i] - values[i - 1] if i > 0 else 0.0
        e, mine = event[i], second[i]
        if gap > 0:
            for r in range(n_replicas):
                total[r] += abs(below[0, r] * norm[0, r] - below[1, r] * norm[1, r]) * gap
        for r in range(n_replicas):
            other = mine != flip[e, r]
            below[0, r] += 0.0 if other else times[e, r]
            below[1, r] += times[e, r] if other else 0.0
    for r in range(n_replicas):
        if not (np.isfinite(norm[0, r]) and np.isfinite(norm[1, r])):
            total[r] = np.nan  # a sample without values
    return total


@dataclass
class Pair:
    """Values of two samples, sorted together: `values` float64 [n], `event` int64 [n], `second` bool [n]."""

    values: np.ndarray
    event: np.ndarray
    second: np.ndarray

    @classmethod
    def of(cls, first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> Pair:
        """From (values, events) of each sample."""
        values = np.concatenate([first[0], second[0]]).astype(np.float64)
        event = np.concatenate([first[1], second[1]]).astype(np.int64)
        label = np.repeat([False, True], [len(first[0]), len(second[0])])
        order = np.argsort(values, kind="stable")
        return cls(values[order], event[order], label[order])


def distances(pair: Pair, times: np.ndarray | None = None, flip: np.ndarray | None = None) -> np.ndarray:
    """W1 = integral |F - G| dx of each replica, float64 [n_replicas]; NaN where a sample has no values.

    Parameters
    ----------
    times: uint8 [n_events, n_replicas], how often each event counts; default once
    flip: bool [n_events, n_replicas], whether the samples are exchanged in it; default not
    """
    shape = times.shape if times is not None else flip.shape if flip is not None else (_n_events(pair), 1)
    times = np.ones(shape, np.uint8) if times is None else times
    flip = np.zeros(shape, np.bool_) if flip is None else flip
    return _distances(pair.values, pair.event, pair.second, times, flip)


def _n_events(pair: Pair) -> int:
    return int(pair.event.max()) + 1 if len(pair.event) else 1


def exchanges(n_events: int, n: int, seed: int) -> np.ndarray:
    """Which events are exchanged in each of n swaps: bool [n_events, n]."""
    return np.random.default_rng([seed, 1]).integers(0, 2, (n_events, n), dtype=np.int8).astype(np.bool_)


def resamplings(n_events: int, n: int, seed: int) -> np.ndarray:
    """How often each event is drawn in each of n bootstraps: uint8 [n_events, n]."""
    rng = np.random.default_rng([seed, 2])
    drawn = [np.bincount(rng.integers(0, n_events, n_events), minlength=n_events) for _ in range(n)]
    return np.stack(drawn, axis=1).clip(max=255).astype(np.uint8)
