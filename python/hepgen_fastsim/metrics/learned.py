# SPDX-License-Identifier: MIT
"""Fréchet distance of jets in the features of a classifier of gluon, quark and top jets.

The idea is that of the Fréchet inception distance and of its jet version FPND (arXiv:2106.11535), but with a network of
our own, which comes with the package: figures are neither FPND's nor comparable with them, and those of two networks
are not comparable with each other (``details["model"]`` says which one it was). The network takes up to 150
constituents in any order, was trained on 1 to 150 leading ones, and runs in the C++ engine.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from typing import Any

import numpy as np

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.errors import InputError, ModelError
from hepgen_fastsim.metrics.frechet import distance_at_infinity, is_table, require_line
from hepgen_fastsim.metrics.jets import Jets
from hepgen_fastsim.metrics.result import (
    Result,
    clean_features,
    clean_jets,
    cleaned,
    counts_of,
    out_of_range,
    with_floor,
)
from hepgen_fastsim.registry import ModelFile, find_model

__all__ = ["are_relative", "classifier_features", "fgd"]

DEFAULT_MODEL = "jet-classifier"
_INPUT = ["eta_rel", "phi_rel", "pt_rel"]


@lru_cache(maxsize=4)
def _load(file: ModelFile, device: str) -> tuple[Any, int, np.ndarray, str]:
    """The engine, the most constituents that the network takes, which scalars are features, and the model's label."""
    digest = file.sha256()
    engine = core().Engine(core().Model(str(file.path)), device=device)
    metadata = json.loads(engine.metadata)
    inputs = [column["name"] for column in metadata["input"]["features"]]
    features = [i for i, column in enumerate(metadata["scalars"]) if column["name"].startswith("feature_")]
    if inputs != _INPUT or metadata["input"]["codes"] or metadata["condition"] or not features:
        raise ModelError(
            f"model '{metadata['name']}' does not describe jets: expected the inputs {', '.join(_INPUT)}, no condition "
            f"and scalars feature_0, …; found the inputs {', '.join(inputs)} and {len(features)} such scalars."
        )
    label = f"{metadata['name']} {metadata['version']} ({digest[:16]})"
    return engine, int(metadata["domain"]["items"][1]), np.array(features), label


def are_relative(jets: Jets) -> bool:
    """Whether momenta are in units of the jet's: half of the jets have a summed pT between 0.1 and 2."""
    if jets.coords == "epxpypz":
        return False
    return bool(0.1 < np.median(jets.sum_over(jets.columns[0])) < 2)


def _leading(jets: Jets, limit: int) -> Jets:
    """The `limit` constituents of highest pT of each jet."""
    if len(jets) == 0 or jets.counts.max() <= limit:
        return jets
    owner = np.repeat(np.arange(len(jets)), jets.counts)
    order = np.lexsort((-jets.columns[0], owner))
    order = order[np.arange(len(order)) - np.repeat(jets.offsets[:-1], jets.counts) < limit]
    offsets = np.concatenate([[0], np.cumsum(np.minimum(jets.counts, limit))]).astype(np.int64)
    return Jets(np.ascontiguousarray(jets.columns[:, order]), offsets, jets.coords, jets.precision)


def classifier_features(
    jets: Any, *, model: str | os.PathLike[str] = DEFAULT_MODEL, device: str = "cpu", coords: str | None = None
) -> np.ndarray:
    """What the classifier's last hidden layer makes of jets.

    Parameters
    ----------
    jets: pT, eta, phi relative to the jet (pt_rel, eta_rel, phi_rel), see `Jets`; masses are not used; of more than
        150 constituents the leading ones
    model: name or path of a model with inputs eta_rel, phi_rel, pt_rel and scalars feature_0, …
    device: "cpu", "cuda", "cuda:N", a list of them, or "auto"
    coords: columns of arrays, default ``"ptyphim"``

    Returns
    -------
    float64 [n_jets, 64]; an empty jet has the features of an empty sum
    """
    read = Jets.read(jets, coords).require_usable()
    if read.coords == "epxpypz":
        raise InputError("the classifier takes jets as pT, eta, phi relative to the jet, got E, px, py, pz")
    engine, limit, columns, _ = _load(find_model(model), device)
    read = _leading(read, limit)
    pt, eta, phi = np.clip(read.columns[:3], -1e30, 1e30).astype(np.float32)
    codes, conditions = np.zeros((len(pt), 0), np.int64), np.zeros((len(read), 0), np.float32)
    found = engine.run(np.stack([eta, phi, pt], axis=1), codes, read.offsets, conditions)
    return found["scalars"][:, columns].astype(np.float64)


def fgd(
    reference: Any,
    candidate: Any,
    rerun: Any = None,
    *,
    min_samples: int = 20_000,
    max_samples: int = 50_000,
    n_batches: int = 20,
    n_points: int = 10,
    seed: int = 42,
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    device: str = "cpu",
    coords: str | None = None,
) -> Result:
    """Fréchet distance of jets in the 64 features of a gluon/quark/top classifier, extrapolated to infinite samples.

    Sampling, extrapolation and error are those of `fpd`; features are taken as they are.

    Parameters
    ----------
    reference, candidate, rerun: jets as `classifier_features` takes them, or such features [n, d]. A reference whose
        momenta are not relative to the jet is refused; a candidate is measured whatever it is.
    min_samples, max_samples, n_batches, n_points, seed: as in `fpd`
    model, device, coords: as in `classifier_features`

    Returns
    -------
    Result; ``details``: the model, ``n_empty`` candidates without constituents, ``at_max_samples`` as in `fpd`

    Examples
    --------
    >>> print(hf.metrics.fgd(pythia, generated, rerun))  # doctest: +SKIP
    """
    require_line(n_points, n_batches)
    counts: dict[str, Any] = {}

    def features(sample: Any, name: str) -> tuple[np.ndarray, int]:
        if is_table(sample):
            return clean_features(sample, name)
        jets, bad = clean_jets(sample, name, coords)
        if name == "reference" and jets.coords != "epxpypz" and not are_relative(jets):
            middle = np.median(jets.sum_over(jets.columns[0]))
            raise InputError(
                "fgd takes pT, eta, phi relative to the jet (pt_rel = pT of the particle / pT of the jet), so that the "
                f"pT of a jet's particles sum to about 1; the median of the reference's jets is {middle:.4g}"
            )
        if name == "candidate":
            counts["n_empty"] = int((jets.counts == 0).sum())
        counts["model"] = _load(find_model(model), device)[3]
        table, more = clean_features(classifier_features(jets, model=model, device=device), name)
        return table, bad + more

    samples, bad = cleaned(features, reference, candidate, rerun)
    widths = [s.shape[1] for s in samples if s is not None]
    if len(set(widths)) > 1:
        raise InputError(f"samples should have the same features, got {' and '.join(map(str, widths))} columns")
    counts |= counts_of(len(samples[0]), len(samples[1]), *bad)
    counts["n_out_of_range"] = out_of_range(samples[0], samples[1])

    def measure(x: np.ndarray, y: np.ndarray) -> tuple[float, float, dict[str, Any]]:
        return distance_at_infinity(x, y, min_samples, max_samples, n_batches, n_points, seed)

    return with_floor("fgd", measure, *samples, counts)
