# SPDX-License-Identifier: MIT
"""Which GEN particle leads which constituent of Delphes' energy flow: by the file's references, or by matching."""

from __future__ import annotations

import awkward as ak
import numpy as np

from hepgen_fastsim.convert_match import match_towers, match_tracks
from hepgen_fastsim.events import CARTESIAN
from hepgen_fastsim.helix import Magnet, follow

__all__ = ["CODES", "KINDS", "by_distance", "by_reference"]

KINDS = ("EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron")
CODES = (0, 22, 130)
#: share of the energy that species leave in the two calorimeters of Delphes' cards; others: 0 and 1
_SHARED, _ECAL, _NOWHERE = (310, 3122), (11, 22, 111), (12, 13, 14, 16)
_NOWHERE_SUSY = (1000022, 1000023, 1000025, 1000035, 1000045)

Links = tuple[list[np.ndarray], list[np.ndarray], np.ndarray]


def by_reference(arrays: ak.Array, gen: dict[str, np.ndarray], reco: list[dict[str, np.ndarray]]) -> Links:
    """Rows of the leading particles by kind (-1: none), numbers of contributors, and which particles contribute."""
    uid, counts = arrays["Particle.fUniqueID"], ak.to_numpy(ak.num(arrays["Particle.PID"]))
    # IDs are a permutation of 1 ... N within the event, and no positions
    key = np.repeat(np.arange(len(counts)), counts) << 32 | ak.to_numpy(ak.flatten(uid)).astype(np.int64)
    order = np.argsort(key)
    ascending = key[order]

    def rows_of(event: np.ndarray, ids: np.ndarray) -> np.ndarray:
        wanted = event << 32 | ids.astype(np.int64)
        at = np.minimum(np.searchsorted(ascending, wanted), max(len(ascending) - 1, 0))
        return np.where(ascending[at] == wanted, order[at], -1) if len(ascending) else np.full(len(ids), -1)

    contributes = np.zeros(len(key), bool)
    track = rows_of(reco[0]["event"], ak.to_numpy(ak.flatten(arrays["EFlowTrack.Particle"].ref)))
    contributes[track[track >= 0]] = True
    leaders, numbers = [track], [np.ones(len(track), np.int64)]
    for kind, code, own in zip(KINDS[1:], CODES[1:], reco[1:]):
        refs = ak.flatten(arrays[f"{kind}.Particles"].refs, axis=1)
        number = ak.to_numpy(ak.num(refs))
        tower = np.repeat(np.arange(len(number)), number)
        rows = rows_of(own["event"][tower], ak.to_numpy(ak.flatten(refs)))
        tower, rows = tower[rows >= 0], rows[rows >= 0]
        contributes[rows] = True
        deposit = gen["energy"][rows] * _share(gen["pdgid"][rows], code)
        rank = np.lexsort((deposit, tower))
        last = rank[np.flatnonzero(np.append(np.diff(tower[rank]) != 0, len(rank) > 0))] if len(rank) else rank
        leading = np.full(len(number), -1)
        leading[tower[last]] = rows[last]
        leaders.append(leading)
        numbers.append(number)
    return leaders, numbers, contributes


def _share(pdgid: np.ndarray, code: int) -> np.ndarray:
    """Share of the energy that species [n] leave in the calorimeter whose towers have this code."""
    species = np.abs(pdgid)
    ecal = np.where(np.isin(species, _ECAL), 1.0, np.where(np.isin(species, _SHARED), 0.3, 0.0))
    if code == 22:
        return ecal
    return np.where(np.isin(species, (*_NOWHERE, *_NOWHERE_SUSY)), 0.0, 1.0 - ecal)


def by_distance(
    gen: dict[str, np.ndarray], gen_event: np.ndarray, reco: list[dict[str, np.ndarray]], n_events: int, magnet: Magnet
) -> Links:
    """As `by_reference`, by `match_tracks` and `match_towers`."""
    particle = np.flatnonzero((gen["status"] == 1) & (np.abs(gen["eta"]) < 10.0))
    bounds = np.searchsorted(gen_event[particle], np.arange(n_events + 1))
    parts = [np.searchsorted(r["event"], np.arange(n_events + 1)) for r in reco]
    leaders = [np.full(len(r["event"]), -1) for r in reco]
    for event in range(n_events):
        rows = particle[bounds[event] : bounds[event + 1]]
        if len(rows) == 0:
            continue
        own = {name: gen[name][rows] for name in ("pdgid", "pt", "eta", "charge", "energy")}
        momentum, vertex = ([gen[name][rows] for name in names] for names in (CARTESIAN, ("vx", "vy", "vz")))
        path = follow(momentum, own["charge"], vertex, magnet)
        inside = [slice(part[event], part[event + 1]) for part in parts]
        r, part = reco[0], inside[0]
        found = match_tracks(r["eta"][part], r["phi"][part], r["pt"][part], r["charge"][part], own, path)
        leaders[0][part] = np.where(found >= 0, rows[found], -1)
        tracked = np.zeros(len(rows), bool)
        tracked[found[found >= 0]] = True
        for k in (1, 2):
            r, part = reco[k], inside[k]
            found = match_towers(CODES[k], r["eta"][part], r["phi"][part], own, path, tracked)
            leaders[k][part] = np.where(found >= 0, rows[found], -1)
    contributes = np.zeros(len(gen_event), bool)
    for leader in leaders:
        contributes[leader[leader >= 0]] = True
    return leaders, [np.ones(len(leader), np.int64) for leader in leaders], contributes
