# SPDX-License-Identifier: MIT
"""Energy mover's distance between jets, and coverage and minimum matching distance made of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from hepgen_fastsim.errors import Error, InputError
from hepgen_fastsim.metrics.jets import Jets
from hepgen_fastsim.metrics.result import Result, clean_jets, cleaned, counts_of, out_of_range

__all__ = ["cov_mmd", "emd"]

_MAX_ITERATIONS = 1_000_000


def emd(
    a: Any,
    b: Any,
    *,
    radius: float = 1.0,
    beta: float = 1.0,
    norm: bool = False,
    pairwise: bool = False,
    coords: str | None = None,
) -> np.ndarray:
    """Energy mover's distance of jets (Komiske, Metodiev, Thaler, arXiv:1902.02346, equation 1), through POT.

    EMD = min over flows f_ij of sum f_ij (theta_ij / R)^beta + |sum pT_i - sum pT_j|, theta^2 = dy^2 + dphi^2

    Parameters
    ----------
    a, b: jets, see `Jets`; the same number of them unless `pairwise`
    radius: R, the distance at which moving energy costs as much as making it
    beta: angular exponent
    norm: compare pT fractions, so that nothing is made
    pairwise: every jet of a with every jet of b
    coords: columns of arrays, default ``"ptyphim"``

    Returns
    -------
    float64 [n_jets], or [n_a, n_b] if `pairwise`; in the unit of pT, or none if `norm`. An empty jet is at a
    distance of the other's whole pT, and NaN if `norm`.

    Notes
    -----
    Angles are periodic in phi; ``energyflow.emd.emds`` has ``periodic_phi=False`` by default, which makes no
    difference for relative coordinates.
    """
    jets_a, jets_b = (Jets.read(x, coords, name=n).require_usable(n) for x, n in ((a, "a"), (b, "b")))
    if not pairwise and len(jets_a) != len(jets_b):
        raise InputError(f"a and b should have the same number of jets, got {len(jets_a)} and {len(jets_b)}")
    if not (radius > 0 and beta > 0):
        raise InputError(f"radius and beta should be positive, got {radius} and {beta}")
    if pairwise:
        first, second = (index.ravel() for index in np.indices((len(jets_a), len(jets_b))))
    else:
        first = second = np.arange(len(jets_a))
    out, solve = np.empty(len(first)), _solver()
    columns = [jets.hadronic()[:3] for jets in (jets_a, jets_b)]
    parts = [
        [np.stack([c[start:stop] for c in column]) for start, stop in zip(jets.offsets[:-1], jets.offsets[1:])]
        for jets, column in zip((jets_a, jets_b), columns)
    ]

    for k in range(len(out)):
        out[k] = _emd(solve, parts[0][first[k]], parts[1][second[k]], radius, beta, norm)
    return out.reshape(len(jets_a), len(jets_b)) if pairwise else out


def _emd(solve: Callable, x: np.ndarray, y: np.ndarray, radius: float, beta: float, norm: bool) -> float:
    pt_x, pt_y = x[0], y[0]
    total_x, total_y = pt_x.sum(), pt_y.sum()
    if total_x == 0 or total_y == 0:
        return np.nan if norm else max(total_x, total_y)
    dphi = np.abs(np.subtract.outer(x[2], y[2])) % (2 * np.pi)
    cost = np.hypot(np.subtract.outer(x[1], y[1]), np.minimum(dphi, 2 * np.pi - dphi))
    if radius != 1:
        cost /= radius
    if beta != 1:
        cost **= beta
    if norm:
        pt_x, pt_y = pt_x / total_x, pt_y / total_y
    elif total_x > total_y:  # what is missing is made at a cost of 1 from anywhere
        pt_y, cost = np.append(pt_y, total_x - total_y), np.hstack([cost, np.ones((len(pt_x), 1))])
    elif total_y > total_x:
        pt_x, cost = np.append(pt_x, total_y - total_x), np.vstack([cost, np.ones((1, len(pt_y)))])
    scale = pt_x.sum()
    _, value, _, _, code = solve(pt_x / scale, pt_y / pt_y.sum(), np.ascontiguousarray(cost), _MAX_ITERATIONS, 1)
    if code != 1:
        raise Error(
            f"POT found no optimal transport between jets of {x.shape[1]} and {y.shape[1]} particles: code {code}"
        )
    return float(scale * value)


def _solver() -> Callable[..., tuple]:
    """POT's network simplex itself: `ot.emd2` spends more time on choosing an array library than on a jet."""
    for library in ("TENSORFLOW", "JAX", "CUPY"):  # POT imports every array library that it finds
        os.environ.setdefault(f"POT_BACKEND_DISABLE_{library}", "1")
    try:
        from ot.lp.emd_wrap import emd_c
    except ImportError as error:
        raise ImportError("the energy mover's distance needs POT: pip install POT") from error
    return emd_c


def cov_mmd(
    reference: Any,
    candidate: Any,
    rerun: Any = None,
    *,
    n_samples: int = 100,
    n_batches: int = 10,
    sampling: str = "subsets",
    seed: int = 0,
    coords: str | None = None,
) -> dict[str, Result]:
    """Coverage and minimum matching distance of jets, with the energy mover's distance (arXiv:2106.11535, section 4).

    COV: the share of reference jets in a batch that are the nearest one of some candidate; larger is better, and
    about 0.5 to 0.6 is the best that equal samples reach. MMD: the average distance of a reference jet to its
    nearest candidate. Both saturate: they see collapsed modes, not fine differences.

    Parameters
    ----------
    reference, candidate, rerun: jets, see `Jets`
    n_samples: jets of each in a batch
    n_batches: batches
    sampling: ``"subsets"``: no jet twice in a batch; ``"jetnet"``: drawn with replacement, as jetnet does (which puts
        pairs of equal jets into a batch of a small pool, and so lowers COV)
    seed: of the sampling
    coords: columns of arrays, default ``"ptyphim"``

    Returns
    -------
    {"cov": Result, "mmd": Result}; errors are those of the mean over batches
    """
    if sampling not in ("subsets", "jetnet"):
        raise InputError(f"sampling must be one of subsets, jetnet, got {sampling!r}")
    if n_samples < 1 or n_batches < 2:
        raise InputError(f"COV and MMD need at least one jet in two batches, got {n_samples} in {n_batches}")
    jets, bad = cleaned(lambda sample, name: clean_jets(sample, name, coords), reference, candidate, rerun)

    def measure(real: Jets, generated: Jets) -> np.ndarray:
        rng = np.random.default_rng(seed)
        scores = []
        for _ in range(n_batches):
            batch = []
            for pool in (real, generated):
                size = n_samples if sampling == "jetnet" else min(n_samples, len(pool))
                batch.append(pool.select(rng.choice(len(pool), size=size, replace=sampling == "jetnet")))
            distances = emd(batch[1], batch[0], pairwise=True)  # [generated, real]
            covered = len(np.unique(distances.argmin(axis=1))) / len(batch[0])
            scores.append((covered, distances.min(axis=0).mean()))
        return np.array(scores)

    def mean_of(score: np.ndarray) -> tuple[float, float]:
        return float(score.mean()), float(score.std(ddof=1) / np.sqrt(n_batches))

    counts = counts_of(len(jets[0]), len(jets[1]), *bad)
    counts["n_out_of_range"] = out_of_range(*(np.stack(j.summed()[:2], axis=1) for j in jets[:2]))
    scores = measure(jets[0], jets[1])
    floors = None if jets[2] is None else measure(jets[0], jets[2])
    results = {}
    for k, name in enumerate(("cov", "mmd")):
        value, error = mean_of(scores[:, k])
        floor, floor_error = (None, None) if floors is None else mean_of(floors[:, k])
        results[name] = Result(name, value, error, floor, floor_error, dict(counts))
    return results
