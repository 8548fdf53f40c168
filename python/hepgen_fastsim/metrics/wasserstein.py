# SPDX-License-Identifier: MIT
"""One-dimensional Wasserstein distances: of any observable, and of particles, masses and energy flow polynomials of
jets.

W1 = integral |F_a(x) - F_b(x)| dx, of the values and not of bin heights: a shift of s gives s.

Definitions and settings are those of ``jetnet.evaluation`` (arXiv:2106.11535, section 4): five batches of 50,000
jets. jetnet draws them with replacement and without a seed, which makes W1 between a sample and itself positive and
adds to every value. Here batches are drawn without replacement by default, and the error is the spread over as many
bootstrap samples;
``sampling="jetnet"`` draws as jetnet does, with a seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.efp import efps
from hepgen_fastsim.metrics.jets import Jets
from hepgen_fastsim.metrics.result import (
    Result,
    clean_jets,
    clean_values,
    cleaned,
    counts_of,
    out_of_range,
    with_floor,
)

__all__ = ["w1", "w1efp", "w1m", "w1p"]

SAMPLING = ("subsets", "jetnet")


class _Sample:
    """Values of a feature, sorted once; a batch of entries is a weight on each value.

    values: float64 [n]; owner: int64 [n], which entry (jet) a value belongs to; weights: float64 [n_entries]
    """

    def __init__(self, values: np.ndarray, owner: np.ndarray, n_entries: int, weights: np.ndarray | None = None):
        order = np.argsort(values, kind="stable")
        self.values, self.owner, self.n_entries = values[order], owner[order], n_entries
        self.weights = np.ones(n_entries) if weights is None else weights

    def weigh(self, multiplicity: np.ndarray) -> np.ndarray:
        return (self.weights * multiplicity)[self.owner]


def _entries(values: np.ndarray, weights: np.ndarray | None = None) -> _Sample:
    return _Sample(values, np.arange(len(values)), len(values), weights)


def _distance(a: _Sample, b: _Sample, times_a: np.ndarray, times_b: np.ndarray) -> float:
    from hepgen_fastsim.metrics.wasserstein_kernels import wasserstein_sorted

    weights_a, weights_b = a.weigh(times_a), b.weigh(times_b)
    if not (weights_a.sum() > 0 and weights_b.sum() > 0):
        return np.inf
    return wasserstein_sorted(a.values, weights_a, b.values, weights_b)


def _score(
    pairs: list[tuple[_Sample, _Sample]], n_samples: int, n_batches: int, seed: int, sampling: str
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over batches and its error for each feature; all features of a batch are of the same jets."""
    if sampling not in SAMPLING:
        raise InputError(f"sampling must be one of {', '.join(SAMPLING)}, got {sampling!r}")
    if n_samples < 1 or n_batches < 2:
        raise InputError(f"at least one sample in two batches are needed, got {n_samples} in {n_batches}")
    sizes = [sample.n_entries for sample in pairs[0]]
    rng = np.random.default_rng(seed)

    def scores(replace: bool, counts: list[int], batches: int) -> np.ndarray:
        drawn = []
        for _ in range(batches):
            chosen = [rng.choice(size, size=n, replace=replace) for size, n in zip(sizes, counts)]
            times = [np.bincount(c, minlength=size).astype(np.float64) for c, size in zip(chosen, sizes)]
            drawn.append([_distance(a, b, *times) for a, b in pairs])
        return np.array(drawn)

    if sampling == "jetnet":
        values = scores(True, [n_samples, n_samples], n_batches)
        return values.mean(axis=0), values.std(axis=0)
    counts = [min(n_samples, size) for size in sizes]
    whole = counts == sizes
    values = scores(False, counts, 1 if whole else n_batches)
    spread = scores(True, counts, n_batches)
    return values.mean(axis=0), spread.std(axis=0, ddof=1)


def w1(
    reference: Any,
    candidate: Any,
    rerun: Any = None,
    *,
    weights: tuple[Any, ...] | None = None,
    n_bootstrap: int = 20,
    seed: int = 0,
) -> Result:
    """Wasserstein distance of one observable, in the unit of the observable, from all entries.

    Parameters
    ----------
    reference, candidate, rerun: float [n] each, any lengths; numbers that are not finite are left out and counted
    weights: (of the reference, of the candidate[, of rerun]), float [n] each or None: event weights, not negative
    n_bootstrap: resamplings for the error
    seed: of the bootstrap

    Examples
    --------
    >>> from hepgen_fastsim import metrics
    >>> metrics.w1([0.0, 1.0, 2.0], [0.5, 1.5, 2.5]).value
    0.5
    """
    weight_of = dict(zip(("reference", "candidate", "rerun"), weights or ()))

    def sample(values: Any, name: str) -> tuple[_Sample, int]:
        weight = weight_of.get(name)
        if weight is not None:
            weight = np.asarray(weight, dtype=np.float64)
            if weight.shape != np.shape(values):
                raise InputError(
                    f"weights of {name} should be one per entry: {np.shape(values)} entries, {weight.shape} weights"
                )
            if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.sum() > 0):
                raise InputError(f"weights of {name} should be finite, not negative and not all zero")
            weight = weight[np.isfinite(np.asarray(values, dtype=np.float64))]
        finite, bad = clean_values(values, name)
        return _entries(finite, weight), bad

    samples, bad = cleaned(sample, reference, candidate, rerun)

    def measure(a: _Sample, b: _Sample) -> tuple[float, float, dict[str, Any]]:
        largest = max(a.n_entries, b.n_entries)
        value, error = _score([(a, b)], largest, n_bootstrap, seed, "subsets")
        return value[0], error[0], {}

    counts = counts_of(samples[0].n_entries, samples[1].n_entries, *bad)
    counts["n_out_of_range"] = out_of_range(samples[0].values, samples[1].values)
    return with_floor("w1", measure, *samples, counts)


def w1m(
    reference: Any,
    candidate: Any,
    rerun: Any = None,
    *,
    n_samples: int = 50_000,
    n_batches: int = 5,
    sampling: str = "subsets",
    seed: int = 0,
    coords: str | None = None,
) -> Result:
    """W1 between the masses of jets, in the unit of pT (for relative pT, in units of the jet's).

    Parameters
    ----------
    reference, candidate, rerun: jets, see `Jets`
    n_samples: jets in a batch, at most those that there are
    n_batches: batches over which value and error are taken
    sampling: ``"subsets"`` or ``"jetnet"``, see the module
    seed: of the sampling
    coords: columns of arrays, default ``"ptyphim"``

    Notes
    -----
    ``jetnet.evaluation.w1m(..., return_std=False)`` returns a tuple by mistake; its values agree with
    ``sampling="jetnet"``.
    """

    def feature(jets: Jets) -> list[_Sample]:
        return [_entries(jets.summed()[1])]

    return _jet_distance("w1m", feature, (reference, candidate, rerun), n_samples, n_batches, sampling, seed, coords)


def w1p(
    reference: Any,
    candidate: Any,
    rerun: Any = None,
    *,
    n_samples: int = 50_000,
    n_batches: int = 5,
    sampling: str = "subsets",
    seed: int = 0,
    coords: str | None = None,
) -> Result:
    """W1 between the particles' eta, phi and pT, pooled over jets, averaged over the three.

    ``details["per_feature"]`` and ``["per_feature_error"]`` hold the three. Padding is left out. Parameters as in
    `w1m`.
    """
    names = ("eta", "phi", "pt")

    def feature(jets: Jets) -> list[_Sample]:
        pt, y, phi = jets.hadronic()[:3] if jets.coords == "epxpypz" else jets.columns[:3]
        owner = np.repeat(np.arange(len(jets)), jets.counts)
        return [_Sample(values, owner, len(jets)) for values in (y, phi, pt)]

    return _jet_distance(
        "w1p", feature, (reference, candidate, rerun), n_samples, n_batches, sampling, seed, coords, names
    )


def w1efp(
    reference: Any,
    candidate: Any,
    rerun: Any = None,
    *,
    graphs: Any = "n==4, d==4, p==1",
    n_samples: int = 50_000,
    n_batches: int = 5,
    sampling: str = "subsets",
    seed: int = 0,
    coords: str | None = None,
) -> Result:
    """W1 between energy flow polynomials of jets, averaged over the graphs.

    Default graphs are the five connected ones with four vertices and four edges; polynomials are not normed, measure
    hadr, beta = 1, as in jetnet. ``details["per_feature"]`` holds one value per graph. Parameters as in `w1m`.
    """
    names: list[int] = []

    def feature(jets: Jets) -> list[_Sample]:
        values = efps(jets, graphs, normed=False)
        names[:] = list(range(values.shape[1]))
        return [_entries(column) for column in values.T]

    return _jet_distance(
        "w1efp", feature, (reference, candidate, rerun), n_samples, n_batches, sampling, seed, coords, names
    )


def _jet_distance(name, feature, inputs, n_samples, n_batches, sampling, seed, coords, names=None) -> Result:
    (ref, cand, second), bad = cleaned(lambda jets, label: clean_jets(jets, label, coords), *inputs)
    samples = feature(ref), feature(cand), None if second is None else feature(second)

    def measure(a: list[_Sample], b: list[_Sample]) -> tuple[float, float, dict[str, Any]]:
        values, errors = _score(list(zip(a, b)), n_samples, n_batches, seed, sampling)
        details = {}
        if names:
            details = {"per_feature": dict(zip(names, values)), "per_feature_error": dict(zip(names, errors))}
        return values.mean(), np.sqrt((errors**2).sum()) / len(errors), details

    counts = counts_of(len(ref), len(cand), *bad)
    counts["n_empty"] = int((cand.counts == 0).sum())
    observable = [np.stack(jets.summed()[:2], axis=1) for jets in (ref, cand)]
    counts["n_out_of_range"] = out_of_range(*observable)
    return with_floor(name, measure, *samples, counts)
