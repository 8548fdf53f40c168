# SPDX-License-Identifier: MIT
"""RECO events as flat arrays, and what is measured on them: constituents, anti-kT jets, missing and scalar energy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hepgen_fastsim.cards.card import GenJets
from hepgen_fastsim.objects.clustering import cluster
from hepgen_fastsim.objects.columns import Momenta

from training.data.events import species

KINDS = ("track", "photon", "neutral_hadron")
JET_PT = 20.0  # GeV


@dataclass(frozen=True)
class Reco:
    """Constituents of events, flat."""

    pt: np.ndarray  #: [M] GeV
    eta: np.ndarray  #: [M]
    phi: np.ndarray  #: [M]
    mass: np.ndarray  #: [M] GeV
    kind: np.ndarray  #: [M] position in KINDS
    offsets: np.ndarray  #: [B + 1]

    def where(self, keep: np.ndarray) -> Reco:
        """The events of a mask [B]."""
        lengths = np.diff(self.offsets)
        rows = np.repeat(keep, lengths)
        flat = {name: getattr(self, name)[rows] for name in ("pt", "eta", "phi", "mass", "kind")}
        return Reco(**flat, offsets=np.concatenate([[0], lengths[keep].cumsum()]))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums [B] over each event's constituents of values [M]."""
        running = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        return np.diff(running[self.offsets])


@dataclass(frozen=True)
class Jets:
    """Anti-kT jets (R = 0.5, pT > 20 GeV), flat; in an event the hardest first."""

    event: np.ndarray  #: [J] position of the event
    pt: np.ndarray  #: [J] GeV
    eta: np.ndarray  #: [J]
    phi: np.ndarray  #: [J]
    mass: np.ndarray  #: [J] GeV
    n: np.ndarray  #: [J] constituents
    width: np.ndarray  #: [J] mean distance of the constituents from the axis, weighted by pT


def read(path: str | Path) -> tuple[Reco, np.ndarray]:
    """RECO constituents of an event file, and the events' numbers [B]."""
    names = ["reco_type", "reco_pid", "reco_pt", "reco_eta", "reco_phi"]
    table = pq.read_table(path, columns=["event", *names])
    flat = {name: table[name].combine_chunks().flatten().to_numpy() for name in names}
    mass, _ = species(np.where(flat["reco_type"] == 0, flat["reco_pid"], 0).astype(np.int64))
    offsets = np.concatenate([[0], _lengths(table, "reco_pt").cumsum()])
    reco = Reco(flat["reco_pt"], flat["reco_eta"], flat["reco_phi"], mass, flat["reco_type"], offsets)
    return reco, table["event"].to_numpy()


def read_gen_jets(path: str | Path) -> ak.Array:
    """Generator-level jets of an event file: records pt, eta, phi, mass, by event."""
    names = ("pt", "eta", "phi", "mass")
    table = pq.read_table(path, columns=[f"genjet_{name}" for name in names])
    flat = {name: table[f"genjet_{name}"].combine_chunks().flatten().to_numpy() for name in names}
    return ak.unflatten(ak.zip(flat), _lengths(table, "genjet_pt"))


def _lengths(table: pa.Table, name: str) -> np.ndarray:
    """Entries of a list column in every row."""
    return np.concatenate([np.diff(chunk.offsets.to_numpy()) for chunk in table[name].chunks])


def jets(reco: Reco) -> Jets:
    """Cluster the constituents of every event."""
    pt, eta, phi, mass = (value.astype(np.float64) for value in (reco.pt, reco.eta, reco.phi, reco.mass))
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
    found = cluster(Momenta(px, py, pz, energy, reco.offsets), GenJets("antikt", 0.5, JET_PT))
    rows, jet = found.members, found.member_of
    distance = np.hypot(eta[rows] - found.eta[jet], angle(phi[rows] - found.phi[jet]))
    width = found.sums(pt[rows] * distance) / found.sums(pt[rows])
    mass = np.maximum(found.mass, 0)
    return Jets(found.event, found.pt, found.eta, found.phi, mass, np.diff(found.bounds), width)


def missing(reco: Reco) -> np.ndarray:
    """Missing transverse momentum of every event: [B, 2] GeV."""
    return -np.stack([reco.sums(reco.pt * np.cos(reco.phi)), reco.sums(reco.pt * np.sin(reco.phi))], 1)


def angle(difference: np.ndarray) -> np.ndarray:
    """A difference of azimuths in [-pi, pi)."""
    return (difference + np.pi) % (2 * np.pi) - np.pi


def match(found: Jets, gen: ak.Array, radius: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Jets [K] with a generator jet within ``radius``, and that jet's row [K] in the flat array of generator jets."""
    starts = np.concatenate([[0], ak.num(gen.pt).to_numpy().cumsum()])
    gen_eta, gen_phi = ak.flatten(gen.eta).to_numpy(), ak.flatten(gen.phi).to_numpy()
    counts = np.diff(starts)[found.event]  # candidates of every jet
    jet = np.repeat(np.arange(len(found.pt)), counts)
    first = np.repeat(np.concatenate([[0], counts.cumsum()])[:-1], counts)
    row = np.repeat(starts[found.event], counts) + np.arange(len(jet)) - first
    distance = np.hypot(found.eta[jet] - gen_eta[row], angle(found.phi[jet] - gen_phi[row]))
    close = np.flatnonzero(distance < radius)
    close = close[np.lexsort([distance[close], jet[close]])]
    jet, row = jet[close], row[close]
    nearest = np.concatenate([[True], jet[1:] != jet[:-1]]) if len(jet) else np.zeros(0, bool)
    return jet[nearest], row[nearest]
