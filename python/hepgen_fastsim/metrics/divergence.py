# SPDX-License-Identifier: MIT
"""Kullback-Leibler divergence of histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.result import Result, clean_values, cleaned, counts_of, out_of_range, with_floor

__all__ = ["kld"]


def kld(
    reference: Any,
    candidate: Any,
    rerun: Any = None,
    *,
    bins: int | Any = 50,
    pseudo_count: float = 0.5,
    n_bootstrap: int = 50,
    seed: int = 0,
) -> Result:
    """Kullback-Leibler divergence sum_k p_k ln(p_k / q_k) of histograms, p the reference and q the candidate, in nats.

    The figure by which the jet VAE was selected (arXiv:2203.00520). It depends on the bins, which therefore follow
    from the reference alone; entries beyond the edges are counted in the outermost bins, so that nothing is lost.
    `pseudo_count` is added to each bin of both: without it one empty bin of the candidate makes the divergence
    infinite (0 gives exactly that).

    Parameters
    ----------
    reference, candidate, rerun: float [n] each
    bins: number of equal bins between the reference's 0.1 % and 99.9 % quantiles, or increasing edges
    pseudo_count: events added to each bin
    n_bootstrap: Poisson resamplings of the histograms for the error
    seed: of the resampling
    """
    values, bad = cleaned(clean_values, reference, candidate, rerun)
    if np.ndim(bins) == 0:
        if int(bins) != bins or bins < 2:
            raise InputError(f"bins should be a number of at least 2, or edges, got {bins!r}")
        low, high = np.quantile(values[0], (0.001, 0.999))
        if low == high:
            low, high = low - 0.5, high + 0.5
        edges = np.linspace(low, high, int(bins) + 1)
    else:
        edges = np.asarray(bins, dtype=np.float64)
        if edges.ndim != 1 or len(edges) < 3 or not (np.diff(edges) > 0).all():
            raise InputError("edges of bins should increase, and there should be at least three of them")
    if pseudo_count < 0:
        raise InputError(f"pseudo_count should not be negative, got {pseudo_count}")

    def histogram(x: np.ndarray) -> np.ndarray:
        return np.histogram(np.clip(x, edges[0], edges[-1]), bins=edges)[0].astype(np.float64)

    def divergence(p: np.ndarray, q: np.ndarray) -> float:
        p, q = p + pseudo_count, q + pseudo_count
        with np.errstate(divide="ignore", invalid="ignore"):
            p, q = p / p.sum(), q / q.sum()
            return float(np.where(p > 0, p * np.log(p / q), 0.0).sum())

    def measure(x: np.ndarray, y: np.ndarray) -> tuple[float, float, dict[str, Any]]:
        rng = np.random.default_rng(seed)
        p, q = histogram(x), histogram(y)
        spread = [divergence(rng.poisson(p), rng.poisson(q)) for _ in range(n_bootstrap)]
        finite = np.isfinite(spread).all()
        return divergence(p, q), float(np.std(spread, ddof=1)) if finite else np.inf, {}

    counts = counts_of(len(values[0]), len(values[1]), *bad)
    counts["n_out_of_range"] = out_of_range(values[0], values[1])
    result = with_floor("kld", measure, *values, counts)
    result.details["edges"] = edges.tolist()
    return result
