# SPDX-License-Identifier: MIT
"""Observables of RECO events: constituents, and objects by the definitions of a card, made alike for every file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import awkward as ak
import numpy as np

from hepgen_fastsim.cards import Card
from hepgen_fastsim.cards.card import FatJets, Nsubjettiness
from hepgen_fastsim.objects import reconstruct
from hepgen_fastsim.objects.clustering import JetList
from hepgen_fastsim.objects.columns import Constituents, constituents
from hepgen_fastsim.objects.grooming import nsubjettiness
from hepgen_fastsim.validation.observables import EFP_GRAPHS, KINDS
from hepgen_fastsim.validation.sources import NEUTRAL_HADRON, PHOTON

__all__ = ["Values", "clean", "kinds_of", "measure", "plain_card"]

PT_LIMIT, ETA_LIMIT = 1e5, 10.0
"""Constituents beyond these [GeV, 1] are counted as out of range."""

HARDEST = 6
"""Jets that the three-jet mass looks at."""


@dataclass
class Values:
    """Values of one observable of one file, float32 [n], and their events, int32 [n], among the matched ones."""

    values: list[np.ndarray] = field(default_factory=list)
    event: list[np.ndarray] = field(default_factory=list)

    def append(self, values: Any, event: np.ndarray) -> None:
        """Add values of further events."""
        self.values.append(np.asarray(values, np.float32))
        self.event.append(np.asarray(event, np.int32))

    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """All values and their events."""
        if len(self.values) != 1:
            self.values = [np.concatenate(self.values) if self.values else np.empty(0, np.float32)]
            self.event = [np.concatenate(self.event) if self.event else np.empty(0, np.int32)]
        return self.values[0], self.event[0]


class _Sure:
    """An efficiency that is 1 wherever a formula is not 0: what is to be compared is the simulation, not the dice of
    identification."""

    def __init__(self, formula: Any) -> None:
        self.formula = formula

    def __call__(self, **columns: np.ndarray) -> np.ndarray:
        return (np.asarray(self.formula(**columns)) > 0).astype(np.float64)


def plain_card(card: Card) -> Card:
    """The card without fat jets and tags, and without random losses of leptons and photons."""
    kept: dict[str, Any] = {"fatjets": None, "btag": (), "tautag": (), "flavor": None}
    for kind in ("photons", "electrons", "muons"):
        definition = getattr(card, kind)
        kept[kind] = None if definition is None else replace(definition, efficiency=_Sure(definition.efficiency))
    return replace(card, **kept)


def clean(reco: ak.Array) -> tuple[ak.Array, dict[str, int]]:
    """Without constituents that are not finite or of negative pT; counts of these, and of those out of range."""
    flat = ak.flatten(reco)
    pt, eta, phi, mass = (ak.to_numpy(flat[name]) for name in ("pt", "eta", "phi", "mass"))
    finite = np.isfinite(pt) & np.isfinite(eta) & np.isfinite(phi) & np.isfinite(mass) & (pt >= 0)
    far = (pt > PT_LIMIT) | (np.abs(eta) > ETA_LIMIT) | (np.abs(phi) > np.pi + 1e-3)
    counts = {
        "n_constituents": len(pt),
        "n_unusable": int((~finite).sum()),
        "n_out_of_range": int((far & finite).sum()),
    }
    if finite.all():
        return reco, counts
    return reco[ak.unflatten(finite, ak.num(reco))], counts


def kinds_of(pdgid: np.ndarray) -> np.ndarray:
    """Position in `KINDS` of each constituent."""
    return np.select([pdgid == PHOTON, pdgid == NEUTRAL_HADRON], [1, 2], 0)


@dataclass
class Measured:
    """What was found in a batch: values by observable, with events; the constituents, and the jets.

    values: name -> (values [n], event within the batch [n]). columns: constituents. jets: pt, eta, phi, mass, n,
    charged, width, ptd, tau21 and event, [n_jets] each.
    """

    values: dict[str, tuple[np.ndarray, np.ndarray]]
    columns: Constituents
    jets: dict[str, np.ndarray]
    ht: np.ndarray


def measure(reco: ak.Array, card: Card, genmet: np.ndarray | None, number: np.ndarray) -> Measured:
    """All observables of a batch of events.

    Parameters
    ----------
    reco: constituents, clean
    card: see `plain_card`
    genmet: float64 [n_events, 2], GEN missing px, py [GeV], or None
    number: int64 [n_events], ids of the events
    """
    objects = reconstruct(reco, None, card, event=number, stream=0)
    c = constituents(reco, None)
    values: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    kind, n_events = kinds_of(c.pdgid), len(reco)
    for k, name in enumerate(KINDS):
        on = kind == k
        event = c.event[on]
        positive = c.pt[on] > 0
        values[f"{name}.pt"] = c.pt[on], event
        values[f"{name}.log_pt"] = np.log(c.pt[on][positive]), event[positive]
        values[f"{name}.eta"], values[f"{name}.phi"] = (c.eta[on], event), (c.phi[on], event)
        values[f"{name}.n"] = np.bincount(event, minlength=n_events), np.arange(n_events)
    jets = _jets(objects["jets"], c)
    for name, column in jets.items():
        if name not in ("phi", "event"):
            values[f"jet.{name}"] = column, jets["event"]
    values |= _events(objects, genmet)
    return Measured(values, c, jets, ak.to_numpy(objects["ht"]))


def _jets(jets: ak.Array, c: Constituents) -> dict[str, np.ndarray]:
    from hepgen_fastsim.metrics import Jets, efps

    counts = ak.to_numpy(ak.num(jets["pt"]))
    event = np.repeat(np.arange(len(counts)), counts)
    flat = ak.flatten(jets)
    out = {name: ak.to_numpy(flat[name]).astype(np.float64) for name in ("pt", "eta", "phi", "mass", "ptd")}
    out["charged"] = ak.to_numpy(flat["charged_energy_fraction"]).astype(np.float64)
    inside = flat["constituents"]
    n = ak.to_numpy(ak.num(inside)) if len(flat) else np.empty(0, np.int64)
    of = np.repeat(np.arange(len(n)), n)
    rows = ak.to_numpy(ak.flatten(inside)) + c.offsets[event[of]] if len(flat) else np.empty(0, np.int64)
    bounds = np.concatenate([[0], np.cumsum(n)]).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    dphi = np.abs(c.phi[rows] - out["phi"][of])
    distance = np.hypot(c.eta[rows] - out["eta"][of], np.minimum(dphi, 2 * np.pi - dphi))
    total = np.bincount(of, c.pt[rows], len(n))
    out["n"] = n.astype(np.float64)
    out["width"] = np.bincount(of, c.pt[rows] * distance, len(n)) / total
    px, py, pz, energy = (np.bincount(of, column[rows], len(n)) for column in (c.px, c.py, c.pz, c.energy))
    tau = nsubjettiness(
        JetList(px, py, pz, energy, offsets, rows, of), c, FatJets(radius=0.5, nsubjettiness=Nsubjettiness(axes="kt"))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        out["tau21"] = np.where(tau[:, 0] > 0, tau[:, 1] / tau[:, 0], 0.0)
    particles = Jets(np.stack([c.pt[rows], c.eta[rows], c.phi[rows], c.mass[rows]]), bounds, "ptetaphim", 1e-7)
    table = efps(particles, list(EFP_GRAPHS.values()), threads=1)
    out |= {f"efp{i}": column for i, column in enumerate(table.T)}
    return out | {"event": event}


def _events(objects: ak.Array, genmet: np.ndarray | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    n_events = len(objects)
    everywhere = np.arange(n_events)
    met = objects["met"]
    size, direction = ak.to_numpy(met["pt"]).astype(np.float64), ak.to_numpy(met["phi"]).astype(np.float64)
    out: dict[str, tuple[np.ndarray, np.ndarray]] = {
        "event.jets": (ak.to_numpy(ak.num(objects["jets"])), everywhere),
        "event.met": (size, everywhere),
        "event.ht": (ak.to_numpy(objects["ht"]), everywhere),
    }
    if genmet is not None:
        out["event.met_x"] = size * np.cos(direction) - genmet[:, 0], everywhere
        out["event.met_y"] = size * np.sin(direction) - genmet[:, 1], everywhere
    electrons, muons, photons = (_padded(objects[k], 2, k != "photons") for k in ("electrons", "muons", "photons"))
    leading = np.fmax(electrons["pt"][:, 0], muons["pt"][:, 0])
    out["event.lepton_pt"] = _finite(leading)
    out["event.photon_pt"] = _finite(photons["pt"][:, 0])
    masses = [
        np.where(p["charge"][:, 0] * p["charge"][:, 1] < 0, _mass(p, (0, 1))[0], np.nan) for p in (electrons, muons)
    ]
    of_muons = np.isfinite(masses[1]) & ~(electrons["pt"].sum(axis=1) > muons["pt"].sum(axis=1))
    out["event.dilepton"] = _finite(np.where(of_muons, masses[1], np.where(np.isfinite(masses[0]), *masses)))
    out["event.diphoton"] = _finite(_mass(photons, (0, 1))[0])
    jets = _padded(objects["jets"], HARDEST, False)
    out["event.dijet"] = _finite(_mass(jets, (0, 1))[0])
    triples = [_mass(jets, three) for three in combinations(range(HARDEST), 3)]
    mass, pt = (np.stack(column, axis=1) for column in zip(*triples))
    best = np.argmax(np.nan_to_num(pt, nan=-1.0), axis=1)
    out["event.top"] = _finite(mass[everywhere, best])
    return out


def _padded(objects: ak.Array, n: int, charged: bool) -> dict[str, np.ndarray]:
    """The n hardest of each event, float64 [n_events, n]; NaN where there are fewer."""
    names = ("pt", "eta", "phi", "mass", *(("charge",) if charged else ()))
    return {
        name: ak.to_numpy(ak.fill_none(ak.pad_none(objects[name], n, clip=True), np.nan)).astype(np.float64)
        for name in names
    }


def _mass(p: dict[str, np.ndarray], which: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Mass and pT of the sum of these objects, [n_events] each; NaN where one is missing."""
    pt, eta, phi, mass = (p[name][:, list(which)] for name in ("pt", "eta", "phi", "mass"))
    px, py, pz = (pt * np.cos(phi)).sum(axis=1), (pt * np.sin(phi)).sum(axis=1), (pt * np.sinh(eta)).sum(axis=1)
    energy = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2).sum(axis=1)
    return np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0)), np.hypot(px, py)


def _finite(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = np.isfinite(values)
    return values[found], np.flatnonzero(found)
