# SPDX-License-Identifier: MIT
"""Observables of RECO events, their binning, and a comparison of samples with stored distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from hepgen_fastsim.cards.card import GenJets
from hepgen_fastsim.objects.clustering import cluster
from hepgen_fastsim.objects.columns import constituents

__all__ = ["OBSERVABLES", "Observable", "measure", "quantiles", "summarise", "wasserstein"]

LEVELS = (np.arange(200) + 0.5) / 200
"""Levels at which quantile functions are stored."""

JETS = GenJets("antikt", radius=0.5, pt_min=20.0)


@dataclass(frozen=True)
class Observable:
    """What is measured: its name, label (matplotlib), unit, and bin edges; `log` for a logarithmic axis."""

    name: str
    words: str
    label: str
    unit: str
    edges: np.ndarray
    log: bool = False

    @property
    def title(self) -> str:
        """Label with the unit in brackets."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label


OBSERVABLES = {
    o.name: o
    for o in (
        Observable("track_pt", "track pT", "track $p_T$", "GeV", np.geomspace(0.1, 200, 34), True),
        Observable("photon_et", "photon ET", "photon $E_T$", "GeV", np.geomspace(0.1, 200, 34), True),
        Observable("neutral_et", "neutral ET", "neutral hadron $E_T$", "GeV", np.geomspace(0.1, 200, 34), True),
        Observable("track_eta", "track eta", r"track $\eta$", "", np.linspace(-2.5, 2.5, 26)),
        Observable("n_tracks", "tracks", "tracks per event", "", np.linspace(0, 200, 26)),
        Observable("n_photons", "photons", "photons per event", "", np.linspace(0, 120, 25)),
        Observable("n_neutrals", "neutral hadrons", "neutral hadrons per event", "", np.linspace(0, 150, 26)),
        Observable("ht", "HT", "$H_T$ of all constituents", "GeV", np.linspace(0, 1200, 25)),
        Observable("met", "missing pT", r"missing $p_T$", "GeV", np.linspace(0, 200, 26)),
        Observable("n_jets", "jets", "jets per event", "", np.arange(-0.5, 13.5)),
        Observable("jet_pt", "leading jet pT", "leading jet $p_T$", "GeV", np.linspace(0, 400, 26)),
        Observable("jet_mass", "leading jet mass", "leading jet mass", "GeV", np.linspace(0, 80, 26)),
    )
}
"""What the demo measures; jets are anti-kT, R = 0.5, p_T > 20 GeV, of the constituents as they are."""


def measure(reco: ak.Array) -> dict[str, np.ndarray]:
    """Values of each observable, [n_constituents] or [n_events], of leading jets [events that have any].

    `reco` has per event a list of constituents with pdgid (22 photon, 130 neutral hadron, else track), pt, eta, phi.
    """
    photon, neutral = reco.pdgid == 22, reco.pdgid == 130
    track = ~(photon | neutral)
    px, py = reco.pt * np.cos(reco.phi), reco.pt * np.sin(reco.phi)
    out = {
        "track_pt": ak.flatten(reco.pt[track]),
        "photon_et": ak.flatten(reco.pt[photon]),
        "neutral_et": ak.flatten(reco.pt[neutral]),
        "track_eta": ak.flatten(reco.eta[track]),
        "n_tracks": ak.sum(track, axis=1),
        "n_photons": ak.sum(photon, axis=1),
        "n_neutrals": ak.sum(neutral, axis=1),
        "ht": ak.sum(reco.pt, axis=1),
        "met": np.hypot(ak.sum(px, axis=1), ak.sum(py, axis=1)),
        **_jets(reco),
    }
    return {name: np.asarray(ak.to_numpy(values), np.float64) for name, values in out.items()}


def _jets(reco: ak.Array) -> dict[str, np.ndarray]:
    jets = cluster(constituents(reco, None), JETS)
    leading = jets.rank == 0
    return {"n_jets": np.diff(jets.offsets), "jet_pt": jets.pt[leading], "jet_mass": jets.mass[leading]}


def quantiles(values: np.ndarray) -> np.ndarray:
    """Quantile function at `LEVELS`, [200]."""
    return np.quantile(values, LEVELS, method="inverted_cdf")


def wasserstein(values: np.ndarray, reference: np.ndarray) -> float:
    """W1 = integral over u of |F^-1(u) - G^-1(u)|, with the
    reference given by its quantiles at `LEVELS`; in the unit of the observable."""
    return float(np.mean(np.abs(quantiles(values) - reference)))


def summarise(values: np.ndarray, observable: Observable) -> dict[str, Any]:
    """Numbers that stand for a distribution: n, mean, standard deviation, quantiles, histogram."""
    return {
        "n": len(values),
        "mean": float(np.mean(values)),
        "std": float(np.std(values)),
        "quantiles": [float(f"{q:.5g}") for q in quantiles(values)],
        "counts": np.histogram(values, observable.edges)[0].tolist(),
    }
