# SPDX-License-Identifier: MIT
"""Classifier tests and distances of jets and events; the classifier sees GEN features too."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from hepgen_fastsim.validation.measure import Measured
from hepgen_fastsim.validation.responses import JetPairs
from hepgen_fastsim.validation.truth import Truth

__all__ = [
    "EVENT_FEATURES",
    "JET_FEATURES",
    "event_conditions",
    "event_features",
    "jet_conditions",
    "jet_features",
    "tests",
]

JET_FEATURES = (
    "pT / GEN pT",
    "mass / GEN pT",
    "constituents",
    "charged fraction",
    "width",
    "pTD",
    "τ21",
    "EFP, 1 edge",
)
EVENT_FEATURES = (
    "missing px and py, RECO − GEN",
    "number and sum of pT of tracks, photons, neutral hadrons",
    "HT",
    "number of jets",
)
MIN_ROWS = 200
TREES = {"max_bins": 63}  # finding the edges of 255 takes several times as long as the trees


def jet_features(jets: dict[str, np.ndarray], rows: np.ndarray, gen_pt: np.ndarray) -> np.ndarray:
    """Of matched jets: float32 [n, 8], see `JET_FEATURES`."""
    columns = [jets["pt"][rows] / gen_pt, jets["mass"][rows] / gen_pt]
    columns += [jets[name][rows] for name in ("n", "charged", "width", "ptd", "tau21", "efp0")]
    return np.stack(columns, axis=1).astype(np.float32)


def jet_conditions(gen: dict[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """ln pT, eta, mass / pT of GEN jets: float32 [n, 3]."""
    pt = gen["pt"][rows]
    return np.stack([np.log(pt), gen["eta"][rows], gen["mass"][rows] / pt], axis=1).astype(np.float32)


def event_features(m: Measured) -> np.ndarray:
    """Of events: float32 [n_events, 10], see `EVENT_FEATURES`."""
    n_events = len(m.ht)
    columns = [m.values[f"event.{name}"][0] for name in ("met_x", "met_y", "ht", "jets")]
    for kind in ("track", "photon", "neutral"):
        pt, event = m.values[f"{kind}.pt"]
        columns += [m.values[f"{kind}.n"][0], np.bincount(event, pt, n_events)]
    return np.stack(columns, axis=1).astype(np.float32)


def event_conditions(t: Truth) -> np.ndarray:
    """Of GEN events: numbers and sums of pT of visible stable particles, central and forward, charged and neutral,
    GEN missing momentum: float32 [n_events, 8]."""
    p, n_events = t.particles, len(t.genmet)
    visible = t.stable & ~np.isin(np.abs(p.pdgid), (12, 14, 16))
    columns = [t.genmet[:, 0], t.genmet[:, 1]]
    for part in (p.charge != 0) & (np.abs(p.eta) < 2.5), (p.pdgid == 22) & (np.abs(p.eta) < 5), np.abs(p.eta) < 5:
        use = visible & part
        columns += [np.bincount(p.event[use], minlength=n_events), np.bincount(p.event[use], p.pt[use], n_events)]
    return np.stack(columns, axis=1).astype(np.float32)


def tests(
    jets: list[JetPairs], events: list[np.ndarray], conditions: np.ndarray, seed: int
) -> dict[str, dict[str, Any]]:
    """AUC of classifiers on jets and events, and FPD and KPD of the jets' features.

    Parameters
    ----------
    jets, events: of reference, candidate and perhaps rerun
    conditions: of the events
    seed: of folds, classifiers and batches

    Returns {name: Result.to_dict()}; empty where scikit-learn is missing or there are too few jets or events.
    """
    from hepgen_fastsim.metrics import c2st, fpd, kpd

    out: dict[str, dict[str, Any]] = {}
    trees = find_spec("sklearn") is not None
    if min(sum(map(len, pairs.event)) for pairs in jets) >= MIN_ROWS:
        features = [pairs.joined("features").astype(np.float64) for pairs in jets]
        groups = tuple(pairs.joined("event") for pairs in jets)
        if trees:
            given = tuple(pairs.joined("conditions") for pairs in jets)
            out["c2st, jets"] = c2st(*features, conditions=given, groups=groups, seed=seed, **TREES).to_dict()
        out["FPD, jets"] = fpd(*features, seed=seed).to_dict()
        out["KPD, jets"] = kpd(*features, batch_size=min(5000, min(map(len, features)) // 2), seed=seed).to_dict()
    if trees and len(conditions) >= MIN_ROWS:
        index = np.arange(len(conditions))
        out["c2st, events"] = c2st(
            *events, conditions=(conditions,) * len(events), groups=(index,) * len(events), seed=seed, **TREES
        ).to_dict()
    return out
