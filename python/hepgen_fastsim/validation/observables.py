# SPDX-License-Identifier: MIT
"""The observables of a report: names, words, units, scales.

Constituents    pT, ln pT, eta, phi, number per event, of tracks, photons and neutral hadrons
Jets            by the card (anti-kT, R = 0.5, pT > 20 GeV before the energy scale for `cms`): pT, eta, mass,
                constituents, charged energy fraction, width = sum pT dR / sum pT, pTD = sqrt(sum pT^2) / sum pT,
                tau21 (N-subjettiness with kT axes, beta = 1), and the connected energy flow polynomials with one to
                three edges (normed, measure hadr, beta = 1)
Events          number of jets, missing pT, the two components of its residual (RECO - GEN), HT, pT of the leading
                lepton (e, mu) and photon, mass of the hardest opposite-sign same-flavour pair, of the two leading
                photons and jets, and of the three jets (of the six hardest) with the largest vector sum of pT (top)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["EFP_GRAPHS", "GROUPS", "KINDS", "OBSERVABLES", "Observable", "edges_of"]

KINDS = ("track", "photon", "neutral")
"""Kinds of constituents; `pdgid` 22 and 130 are the last two."""

EFP_GRAPHS: dict[str, list[tuple[int, int]]] = {
    "2 particles, 1 edge": [(0, 1)],
    "2 particles, 2 edges": [(0, 1), (0, 1)],
    "2 particles, 3 edges": [(0, 1), (0, 1), (0, 1)],
    "3 particles, path": [(0, 1), (0, 2)],
    "3 particles, 3 edges": [(0, 1), (0, 2), (0, 2)],
    "3 particles, triangle": [(0, 1), (0, 2), (1, 2)],
    "4 particles, star": [(0, 1), (0, 2), (0, 3)],
    "4 particles, path": [(0, 1), (0, 2), (1, 3)],
}
"""Connected multigraphs of one to three edges; the disconnected ones are products of these."""

GROUPS = {
    "track": "Tracks",
    "photon": "Photons",
    "neutral": "Neutral hadrons",
    "jet": "Jets",
    "substructure": "Jet substructure",
    "event": "Events",
}


@dataclass(frozen=True)
class Observable:
    """What is measured. `words` for text, `label` for axes, `scale` one of linear, log, integer; `drawn`: has a picture
    of its own."""

    name: str
    words: str
    label: str
    unit: str
    scale: str
    group: str
    drawn: bool = True

    @property
    def axis(self) -> str:
        """Label with the unit in brackets."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    @property
    def title(self) -> str:
        """Words with the unit in brackets."""
        return f"{self.words} [{self.unit}]" if self.unit else self.words


def _constituents() -> list[Observable]:
    found = []
    for kind, one, many in (
        ("track", "track", "tracks"),
        ("photon", "photon", "photons"),
        ("neutral", "neutral hadron", "neutral hadrons"),
    ):
        found += [
            Observable(f"{kind}.pt", f"{one} pT", f"{one} $p_T$", "GeV", "log", kind),
            Observable(f"{kind}.log_pt", f"{one} ln(pT/GeV)", rf"{one} $\ln\,p_T$", "", "linear", kind, drawn=False),
            Observable(f"{kind}.eta", f"{one} η", rf"{one} $\eta$", "", "linear", kind),
            Observable(f"{kind}.phi", f"{one} φ", rf"{one} $\phi$", "rad", "linear", kind),
            Observable(f"{kind}.n", f"{many} per event", f"{many} per event", "", "integer", kind),
        ]
    return found


def _jets() -> list[Observable]:
    found = [
        Observable("jet.pt", "jet pT", "jet $p_T$", "GeV", "log", "jet"),
        Observable("jet.eta", "jet η", r"jet $\eta$", "", "linear", "jet"),
        Observable("jet.mass", "jet mass", "jet mass", "GeV", "linear", "jet"),
        Observable("jet.n", "constituents of a jet", "constituents of a jet", "", "integer", "jet"),
        Observable("jet.charged", "charged fraction", "charged energy fraction", "", "linear", "jet"),
        Observable("jet.width", "jet width", "jet width", "", "linear", "jet"),
        Observable("jet.ptd", "pTD", "$p_T D$", "", "linear", "substructure"),
        Observable("jet.tau21", "τ21", r"$\tau_{21}$", "", "linear", "substructure"),
    ]
    for i, words in enumerate(EFP_GRAPHS):
        found.append(Observable(f"jet.efp{i}", f"EFP, {words}", f"EFP, {words}", "", "log", "substructure"))
    return found


def _events() -> list[Observable]:
    return [
        Observable("event.jets", "jets per event", "jets per event", "", "integer", "event"),
        Observable("event.met", "missing pT", "missing $p_T$", "GeV", "linear", "event"),
        Observable("event.met_x", "missing px, RECO − GEN", "missing $p_x$, RECO $-$ GEN", "GeV", "linear", "event"),
        Observable("event.met_y", "missing py, RECO − GEN", "missing $p_y$, RECO $-$ GEN", "GeV", "linear", "event"),
        Observable("event.ht", "HT", "$H_T$", "GeV", "linear", "event"),
        Observable("event.lepton_pt", "leading lepton pT", "leading lepton $p_T$", "GeV", "log", "event"),
        Observable("event.photon_pt", "leading photon pT", "leading photon $p_T$", "GeV", "log", "event"),
        Observable("event.dilepton", "dilepton mass", "dilepton mass", "GeV", "linear", "event"),
        Observable("event.diphoton", "diphoton mass", "diphoton mass", "GeV", "linear", "event"),
        Observable("event.dijet", "dijet mass", "dijet mass", "GeV", "log", "event"),
        Observable("event.top", "three-jet (top) mass", "three-jet (top) mass", "GeV", "log", "event"),
    ]


OBSERVABLES: dict[str, Observable] = {o.name: o for o in (*_constituents(), *_jets(), *_events())}
"""All observables, by name."""


def edges_of(observable: Observable, values: np.ndarray, n_bins: int = 30) -> np.ndarray:
    """Bin edges that hold all but the last few thousandths of the values: float64 [at most n_bins + 1]."""
    if observable.scale == "log":
        values = values[values > 0]
    if len(values) == 0:
        return np.array([0.0, 1.0])
    outside = min(max(0.002, 4 / len(values)), 0.05)
    low, high = (float(q) for q in np.quantile(values, (outside, 1 - outside)))
    if observable.name.endswith(".phi"):
        low, high = -np.pi, np.pi
    n_bins = int(np.clip(len(values) / 20, 6, n_bins))
    if observable.scale == "integer":
        low, high = np.floor(low), np.ceil(high)
        step = max(1, int(np.ceil((high - low + 1) / n_bins)))
        return np.arange(low - 0.5, high + step + 0.5, step)
    if high <= low:
        low, high = low - max(abs(low), 1) * 1e-3, high + max(abs(high), 1) * 1e-3
    if observable.scale == "log":
        low = max(low, high * 1e-9)
        return np.geomspace(low, high * (1 + 1e-6), n_bins + 1)
    return np.linspace(low, high + 1e-6 * (high - low), n_bins + 1)
