# SPDX-License-Identifier: MIT
"""Has a generator learnt its training set by heart?"""

from __future__ import annotations

from typing import Any

import numpy as np

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.result import Result, clean_features, cleaned, counts_of, with_floor
from hepgen_fastsim.metrics.two_sample import auc_with_error

__all__ = ["memorisation"]


def memorisation(
    training: Any,
    holdout: Any,
    candidate: Any,
    rerun: Any = None,
    *,
    max_rows: int = 20_000,
    seed: int = 0,
) -> Result:
    """Nearest-neighbour memorisation test.

    Compares the distance of generated rows to their nearest training row with that of held-out rows, which the
    generator cannot have seen. The value is P(generated is nearer) (ties count half): 0.5 for a perfect generator,
    towards 1 for one that repeats its training set, below 0.5 for one that is merely inaccurate. Features are
    scaled by the training set's standard deviations.

    Parameters
    ----------
    training: features [n, d] of what the generator was trained on
    holdout: features [m, d] of the same distribution, not trained on
    candidate: features [k, d], generated
    rerun: features of a second held-out sample: the floor
    max_rows: rows of candidate and held-out samples used, at most; the training set is used in full
    seed: of the drawing

    Returns
    -------
    Result; ``details["n_copies"]``: candidates that equal a training row (distance below 1e-6 standard deviations),
    ``["median_candidate"]`` and ``["median_holdout"]`` the median distances
    """
    from scipy.spatial import cKDTree

    train, _ = clean_features(training, "training")
    samples, bad = cleaned(clean_features, holdout, candidate, rerun)
    widths = {s.shape[1] for s in (train, *samples) if s is not None}
    if len(widths) > 1:
        raise InputError(f"samples should have the same features, got {sorted(widths)} columns")
    scale = train.std(axis=0)
    scale[scale == 0] = 1
    tree = cKDTree(train / scale)
    rng = np.random.default_rng(seed)

    def distances(rows: np.ndarray) -> np.ndarray:
        rows = rows if len(rows) <= max_rows else rows[rng.permutation(len(rows))[:max_rows]]
        return tree.query(rows / scale)[0]

    held_out, generated = distances(samples[0]), distances(samples[1])
    second = None if samples[2] is None else distances(samples[2])

    def measure(reference: np.ndarray, other: np.ndarray) -> tuple[float, float, dict[str, Any]]:
        value, error = auc_with_error(-reference, -other)
        copies = int((other < 1e-6).sum())
        medians = {"median_candidate": float(np.median(other)), "median_holdout": float(np.median(reference))}
        return value, error, {"n_copies": copies, **medians}

    counts = counts_of(len(samples[0]), len(samples[1]), *bad)
    return with_floor("memorisation", measure, held_out, generated, second, counts)
