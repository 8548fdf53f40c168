# SPDX-License-Identifier: MIT
"""RECO beside GEN: jets of the truth and their responses, efficiencies and fakes of tracks and photons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.cards import Card
from hepgen_fastsim.events import columns_of
from hepgen_fastsim.objects import reconstruct
from hepgen_fastsim.objects.columns import Constituents, Particles, particles
from hepgen_fastsim.validation.sources import ragged

__all__ = ["JET_ETA_BINS", "JET_PT_BINS", "RATES", "Rate", "Truth", "jet_matches", "links_agree", "rates", "truth_of"]

JET_PT_BINS = (20.0, 40.0, 70.0, 130.0, 250.0, 5000.0)
JET_ETA_BINS = (0.0, 1.3, 2.5, 5.0)
JET_RADIUS = 0.25
"""A GEN jet has at most this distance from its RECO jet."""

MIN_PT = 1.0
"""In efficiencies as functions of eta, of particles and constituents [GeV]."""

NEAR = {"track": 0.05, "photon": 0.1}
"""Distances within which GEN and RECO match where there are no links."""

LINK_AGREEMENT = 0.99


@dataclass
class Truth:
    """GEN events of a batch.

    genmet: float64 [n_events, 2], missing px, py of the visible stable particles. jets: pt, eta, phi, mass, event.
    """

    particles: Particles
    stable: np.ndarray
    genmet: np.ndarray
    jets: dict[str, np.ndarray]


def truth_of(gen: ak.Array, card: Card) -> Truth:
    """GEN jets and missing momentum by the card's definitions."""
    p = particles(columns_of(gen))
    nothing = ragged({}, np.zeros(len(gen) + 1, np.int64))
    objects = reconstruct(nothing, gen, card)
    met = objects["genmet"]
    size, direction = ak.to_numpy(met["pt"], allow_missing=False), ak.to_numpy(met["phi"], allow_missing=False)
    counts = ak.to_numpy(ak.num(objects["genjets"]["pt"]))
    flat = ak.flatten(objects["genjets"])
    jets = {name: ak.to_numpy(flat[name]).astype(np.float64) for name in ("pt", "eta", "phi", "mass")}
    jets["event"] = np.repeat(np.arange(len(counts)), counts)
    return Truth(p, p.status == 1, np.stack([size * np.cos(direction), size * np.sin(direction)], axis=1), jets)


def jet_matches(jets: dict[str, np.ndarray], gen: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """RECO jets [n] with a GEN jet within `JET_RADIUS`, and the nearest such GEN jet [n]."""
    n_events = int(max(jets["event"].max(initial=-1), gen["event"].max(initial=-1))) + 1
    start = np.searchsorted(gen["event"], np.arange(n_events + 1))
    counts = np.diff(start)[jets["event"]] if n_events else np.empty(0, np.int64)
    jet = np.repeat(np.arange(len(jets["pt"])), counts)
    row = np.arange(len(jet)) - np.repeat(np.cumsum(counts) - counts, counts) + start[jets["event"][jet]]
    dphi = np.abs(jets["phi"][jet] - gen["phi"][row])
    distance = np.hypot(jets["eta"][jet] - gen["eta"][row], np.minimum(dphi, 2 * np.pi - dphi))
    close = np.flatnonzero(distance < JET_RADIUS)
    close = close[np.lexsort((distance[close], jet[close]))]
    jet, row = jet[close], row[close]
    nearest = np.concatenate([[True], jet[1:] != jet[:-1]]) if len(jet) else np.empty(0, bool)
    return jet[nearest], row[nearest]


@dataclass(frozen=True)
class RateKind:
    """A share of particles or constituents, in bins of their pT or eta."""

    name: str
    words: str
    kind: str
    fake: bool
    variable: str
    edges: tuple[float, ...]

    @property
    def axis(self) -> str:
        """Label of the variable (matplotlib)."""
        owner = {"track": "charged particle", "photon": "photon"}[self.kind]
        owner = {"track": "track", "photon": "photon"}[self.kind] if self.fake else f"GEN {owner}"
        return f"{owner} $p_T$ [GeV]" if self.variable == "pt" else rf"{owner} $\eta$"


_PT = (0.1, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0)
_PHOTON_PT = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0)
_TRACK_ETA = tuple(np.round(np.linspace(-2.5, 2.5, 11), 6))
_PHOTON_ETA = tuple(np.round(np.linspace(-3.0, 3.0, 13), 6))

RATES: dict[str, RateKind] = {
    r.name: r
    for r in (
        RateKind("track.efficiency.pt", "track efficiency", "track", False, "pt", _PT),
        RateKind("track.efficiency.eta", "track efficiency", "track", False, "eta", _TRACK_ETA),
        RateKind("track.fake.pt", "tracks without a charged particle", "track", True, "pt", _PT),
        RateKind("track.fake.eta", "tracks without a charged particle", "track", True, "eta", _TRACK_ETA),
        RateKind("photon.efficiency.pt", "photon efficiency", "photon", False, "pt", _PHOTON_PT),
        RateKind("photon.efficiency.eta", "photon efficiency", "photon", False, "eta", _PHOTON_ETA),
        RateKind("photon.fake.pt", "photons not led by a photon", "photon", True, "pt", _PHOTON_PT),
        RateKind("photon.fake.eta", "photons not led by a photon", "photon", True, "eta", _PHOTON_ETA),
    )
}


@dataclass
class Rate:
    """Counts of one file: `passed` and `all` float32 [n_events, n_bins]."""

    passed: list[np.ndarray] = field(default_factory=list)
    all: list[np.ndarray] = field(default_factory=list)

    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """Both, of all batches."""
        return np.concatenate(self.passed), np.concatenate(self.all)


def links_agree(c: Constituents, p: Particles) -> bool:
    """Whether origins point at the GEN particles given: tracks keep the code of their particle."""
    track = (c.charge != 0) & (c.origin >= 0)
    if not track.any():
        return False
    rows = p.offsets[c.event[track]] + c.origin[track]
    known = rows < p.offsets[c.event[track] + 1]
    same = np.zeros(len(rows), bool)
    same[known] = p.pdgid[rows[known]] == c.pdgid[track][known]
    return bool(np.mean(same) >= LINK_AGREEMENT)


def rates(c: Constituents, t: Truth, links: bool) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Counts (passed, all) per event and bin of every rate, float32 [n_events, n_bins].

    By links, a particle is found if a constituent of its kind names it as the leading one; without, if there is one
    within `NEAR`. Tracks are compared with charged particles within |eta| < 2.5, photons with photons within |eta| < 3.
    """
    out, p = {}, t.particles
    for kind, eta_max in (("track", 2.5), ("photon", 3.0)):
        gen = np.flatnonzero(t.stable & ((p.charge != 0) if kind == "track" else (p.pdgid == 22)))
        reco = np.flatnonzero((c.charge != 0) if kind == "track" else (c.pdgid == 22))
        found, real = _linked(c, p, gen, reco) if links else _near(c, p, gen, reco, NEAR[kind])
        for rate in RATES.values():
            if rate.kind != kind:
                continue
            rows, good = (reco, ~real) if rate.fake else (gen, found)
            own: Any = c if rate.fake else p
            pt, eta, event = own.pt[rows], own.eta[rows], own.event[rows]
            use = (np.abs(eta) < eta_max) & ((pt > MIN_PT) if rate.variable == "eta" else (pt > 0))
            value = pt if rate.variable == "pt" else eta
            out[rate.name] = _counts(value, event, use & good, rate.edges, t), _counts(value, event, use, rate.edges, t)
    return out


def _linked(c: Constituents, p: Particles, gen: np.ndarray, reco: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    event = c.event[reco]
    row = p.offsets[event] + c.origin[reco]
    valid = (c.origin[reco] >= 0) & (row < p.offsets[event + 1])
    wanted = np.zeros(len(p.pdgid), bool)
    wanted[gen] = True
    real = np.zeros(len(reco), bool)
    real[valid] = wanted[row[valid]]
    led = np.zeros(len(p.pdgid), bool)
    led[row[valid]] = True
    return led[gen], real


def _near(
    c: Constituents, p: Particles, gen: np.ndarray, reco: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    def any_within(a: Any, rows: np.ndarray, b: Any, others: np.ndarray) -> np.ndarray:
        offsets = np.searchsorted(others, b.offsets)
        values = np.ones(len(others))
        position = a.eta[rows], a.phi[rows], a.event[rows]
        return core().count_near(*position, b.eta[others], b.phi[others], values, offsets, radius)[:, 0] > 0

    return any_within(p, gen, c, reco), any_within(c, reco, p, gen)


def _counts(value: np.ndarray, event: np.ndarray, use: np.ndarray, edges: tuple[float, ...], t: Truth) -> np.ndarray:
    n_events, n_bins = len(t.genmet), len(edges) - 1
    where = np.digitize(value, edges) - 1
    use = use & (where >= 0) & (where < n_bins)
    counts = np.bincount(event[use] * n_bins + where[use], minlength=n_events * n_bins)
    return counts.reshape(n_events, n_bins).astype(np.float32)
