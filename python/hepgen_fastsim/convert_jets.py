# SPDX-License-Identifier: MIT
"""Pairs of GEN and RECO jets out of GEN-RECO event pairs: what jet simulations are trained on and judged by.

GEN particles (no neutrinos) and RECO constituents of every event are clustered alike; a GEN jet and a RECO jet that are
each other's nearest, within half the radius, are a pair. Two simulations of the same GEN events give pairs with two
RECO versions of each GEN jet, by which spread and floors are measured.

Columns, a row per pair: process, event, weight; jet (rank of the GEN jet by pt in its event); genjet_pt, _eta, _phi,
_mass and recojet_pt, _eta, _phi, _mass of the summed constituents; lists, pt descending: gen_pdgid, _charge, _pt, _eta,
_phi, _vx, _vy, _vz and reco_pdgid (22 photon, 130 neutral hadron, else a track), _charge, _pt, _eta, _phi, _origin
(position of the leading GEN particle in the GEN jet, -1: not in it). With a second simulation also rerunjet_pt, … and
rerun_pdgid, …, the pt 0 and the lists empty where it has no such jet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.cards.card import GenJets
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.io.table import TableFile
from hepgen_fastsim.objects.clustering import JetList, cluster
from hepgen_fastsim.objects.columns import NEUTRAL_HADRON, PHOTON, Momenta, owners, ranges

__all__ = ["RECO_PT_MIN", "JetDefinition", "JetPairs", "convert_jets", "match_jets"]

NEUTRINOS = (12, 14, 16)
BATCH = 500
"""Events that are clustered and written at a time."""

RECO_PT_MIN = 5.0
"""RECO jets are looked for down to it [GeV], far below the GEN jets, so that a low response costs no pair."""

_GEN = ("pdgid", "pt", "eta", "phi", "vx", "vy", "vz")
_RECO = ("type", "pid", "charge", "pt", "eta", "phi", "gen_index")


@dataclass(frozen=True)
class JetDefinition:
    """Which GEN jets there are: anti-kT of `radius`, from `pt_min` [GeV] on, with |eta| up to `eta_max`."""

    radius: float = 0.8
    pt_min: float = 30.0
    eta_max: float = 2.5

    def __post_init__(self) -> None:
        if not (0 < self.radius <= 3 and self.pt_min > RECO_PT_MIN and self.eta_max > 0):
            raise InputError(
                f"jets need a radius in (0, 3], a pt_min above {RECO_PT_MIN:g} GeV, a positive eta_max; found {self}."
            )

    def cluster(self, columns: Momenta, pdgid: np.ndarray, rows: np.ndarray | None = None) -> JetList:
        """GEN jets of particles (`rows` of them), neutrinos left out."""
        rows = np.arange(len(pdgid)) if rows is None else rows
        seen = rows[~np.isin(np.abs(pdgid[rows]), NEUTRINOS)]
        jets = cluster(columns, GenJets("antikt", self.radius, self.pt_min), seen)
        return jets[np.abs(jets.eta) <= self.eta_max]


@dataclass
class JetPairs:
    """What was written: events read, GEN jets found in them, pairs, and pairs with a RECO jet in the rerun."""

    n_events: int = 0
    n_gen_jets: int = 0
    n_pairs: int = 0
    n_rerun: int = 0


def convert_jets(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    rerun: str | os.PathLike[str] | None = None,
    jets: JetDefinition | None = None,
    processes: Sequence[int] = (),
    overwrite: bool = False,
    notify: Callable[[int], None] = lambda n: None,
) -> JetPairs:
    """Write the matched GEN and RECO jets of event pairs (Parquet, as `convert` writes them), in bounded memory.

    Parameters
    ----------
    inputs
        event pairs
    output
        Parquet file; written aside and renamed at the end
    rerun
        the events of the (single) input in the same order, simulated again; only its RECO columns are used
    jets
        which GEN jets; default `JetDefinition()`
    processes
        numbers of the processes to take; default all
    notify
        called with the number of pairs written so far

    Raises InputError if columns are missing, the rerun is of other events, or there is no pair at all.

    >>> from hepgen_fastsim.convert_jets import convert_jets
    >>> convert_jets(["val.parquet"], "jets.parquet", rerun="val_rerun.parquet")
    """
    if rerun is not None and len(inputs) != 1:
        raise InputError(f"a rerun belongs to one input, found {len(inputs)}.")
    jets = jets or JetDefinition()
    result = JetPairs()
    with TableFile(output, overwrite=overwrite) as out:
        for path in inputs:
            seconds: Iterator[pa.Table | None] = iter(lambda: None, 0)
            if rerun is not None:
                seconds = _batches(rerun, ["event", *(f"reco_{n}" for n in _RECO)])
            for table in _batches(path, ["process", "event", *(f"{k}_{n}" for k, c in _SIDES for n in c)]):
                second = next(seconds, None)
                if rerun is not None and (second is None or not second["event"].equals(table["event"])):
                    raise InputError(f"{rerun} has other events than {path}, or in another order.")
                rows = _pairs(table, second, jets, processes, result)
                if rows is not None:
                    out.write(rows)
                    notify(result.n_pairs)
        if not out.n_written:
            raise InputError(f"no pairs of jets in {', '.join(os.fspath(path) for path in inputs) or 'no input'}.")
    return result


_SIDES = (("gen", _GEN), ("reco", _RECO))


def _batches(path: str | os.PathLike[str], names: list[str]) -> Iterator[pa.Table]:
    """The events of a file with these columns, and `weight` where it is there."""
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}.") from error
    there = file.schema_arrow.names
    missing = [name for name in names if name not in there]
    if missing:
        raise InputError(
            f"{path} is not a file of event pairs: {', '.join(missing)} are missing, found {', '.join(there)}; "
            "`hepgen-fastsim convert` makes them from Delphes' files."
        )
    for batch in file.iter_batches(BATCH, columns=[*names, *(n for n in ("weight",) if n in there)]):
        yield pa.Table.from_batches([batch])


def _flat(table: pa.Table, side: str, names: Sequence[str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """List columns as flat arrays [n], and their offsets int64 [n_events + 1]."""
    columns = {name: table[f"{side}_{name}"].combine_chunks() for name in names}
    lists = next(iter(columns.values()))
    offsets = np.asarray(lists.offsets, np.int64)
    return {name: c.flatten().to_numpy(zero_copy_only=False) for name, c in columns.items()}, offsets - offsets[0]


def _momenta(c: dict[str, np.ndarray], mass: np.ndarray, offsets: np.ndarray) -> Momenta:
    pt, eta, phi = (c[name].astype(np.float64) for name in ("pt", "eta", "phi"))
    energy = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
    return Momenta(pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), energy, offsets)


def match_jets(a: JetList, b: JetList, largest: float) -> np.ndarray:
    """For each jet of `a` the row of the jet of `b` in the same event, or -1: int64 [len(a)].

    Two jets match if each is the other's nearest in (eta, phi), nearer than `largest`.
    """
    counts = np.diff(b.offsets)[a.event]  # candidates of each jet
    i = np.repeat(np.arange(len(a)), counts)
    j = ranges(b.offsets[a.event], counts)
    dphi = (a.phi[i] - b.phi[j] + np.pi) % (2 * np.pi) - np.pi
    distance = np.hypot(a.eta[i] - b.eta[j], dphi)
    close = np.flatnonzero(distance < largest)
    i, j, distance = i[close], j[close], distance[close]
    nearest = np.full(len(a), -1)
    nearest_of_b = np.full(len(b), -1)
    order = np.argsort(-distance, kind="stable")  # the nearest is written last
    nearest[i[order]] = j[order]
    nearest_of_b[j[order]] = i[order]
    matched = np.full(len(a), -1)
    mutual = nearest_of_b[nearest_of_b >= 0]
    mutual = mutual[nearest_of_b[nearest[mutual]] == mutual]
    matched[mutual] = nearest[mutual]
    return matched


def _pairs(
    table: pa.Table, second: pa.Table | None, definition: JetDefinition, processes: Sequence[int], result: JetPairs
) -> pa.Table | None:
    """A batch of events as rows of pairs; None without any."""
    result.n_events += len(table)
    gen, offsets = _flat(table, "gen", _GEN)
    pdgid = gen["pdgid"].astype(np.int64)
    particles = _momenta(gen, np.nan_to_num(core().pdg_mass(pdgid)), offsets)
    gen["charge"] = core().pdg_charge(pdgid)
    found = definition.cluster(particles, pdgid)
    process = table["process"].to_numpy()
    if processes:
        found = found[np.isin(process[found.event], processes)]
    result.n_gen_jets += len(found)

    sides = [_Side(table, definition, found)] + ([] if second is None else [_Side(second, definition, found)])
    keep = np.flatnonzero(sides[0].match >= 0)
    if len(keep) == 0:
        return None
    result.n_pairs += len(keep)
    event = found.event[keep]
    columns: dict[str, Any] = {"process": process[event].astype(np.int32), "event": table["event"].to_numpy()[event]}
    weight = table["weight"].to_numpy() if "weight" in table.column_names else np.ones(len(table))
    columns |= {"weight": weight[event].astype(np.float32), "jet": found.rank[keep].astype(np.int32)}
    columns |= _summed("genjet", found, keep)
    member, bounds, place = _constituents(found, keep, gen["pt"])
    for name in ("pdgid", "charge", *_GEN[1:]):
        columns[f"gen_{name}"] = _list(gen[name][member], bounds, _TYPES.get(name, np.float32))
    for prefix, side in zip(("reco", "rerun"), sides):
        columns |= side.columns(prefix, keep, found, place, offsets)
    result.n_rerun += int((sides[-1].match[keep] >= 0).sum()) if second is not None else 0
    return pa.table(columns)


class _Side:
    """One simulation of a batch: its jets, and which of them each GEN jet matches."""

    def __init__(self, table: pa.Table, definition: JetDefinition, found: JetList) -> None:
        c, offsets = _flat(table, "reco", _RECO)
        track = c["type"] == 0
        c["pdgid"] = np.where(track, c["pid"], np.where(c["type"] == 1, PHOTON, NEUTRAL_HADRON)).astype(np.int64)
        mass = np.where(track, np.nan_to_num(core().pdg_mass(c["pdgid"])), 0.0)
        self.c, self.offsets = c, offsets
        self.jets = cluster(_momenta(c, mass, offsets), GenJets("antikt", definition.radius, RECO_PT_MIN))
        self.match = match_jets(found, self.jets, 0.5 * definition.radius)

    def columns(
        self,
        prefix: str,
        keep: np.ndarray,
        found: JetList,
        place: tuple[np.ndarray, np.ndarray],
        gen_offsets: np.ndarray,
    ) -> dict[str, Any]:
        """Columns of the jets that match the GEN jets `keep`; `place`: see `_constituents`."""
        match = self.match[keep]
        member, bounds, _ = _constituents(self.jets, match, self.c["pt"])
        of = owners(bounds)
        leader = self.c["gen_index"][member].astype(np.int64)
        row = np.where(leader >= 0, leader + gen_offsets[found.event[keep[of]]], 0)
        same = (leader >= 0) & (place[0][row] == of)
        out = _summed(f"{prefix}jet", self.jets, match)
        for name in ("pdgid", "charge", "pt", "eta", "phi"):
            out[f"{prefix}_{name}"] = _list(self.c[name][member], bounds, _TYPES.get(name, np.float32))
        out[f"{prefix}_origin"] = _list(np.where(same, place[1][row], -1), bounds, np.int32)
        return out


_TYPES = {"pdgid": np.int32, "charge": np.int8}


def _summed(prefix: str, jets: JetList, rows: np.ndarray) -> dict[str, np.ndarray]:
    """pt, eta, phi, mass float32 of jets at `rows`; 0 where that is -1."""
    values = {name: getattr(jets, name) for name in ("pt", "eta", "phi", "mass")}
    if len(jets) == 0:
        return {f"{prefix}_{name}": np.zeros(len(rows), np.float32) for name in values}
    return {f"{prefix}_{name}": np.where(rows >= 0, v[rows], 0.0).astype(np.float32) for name, v in values.items()}


def _constituents(
    jets: JetList, rows: np.ndarray, pt: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Members of the jets at `rows` (-1: none), pt descending.

    Returns members int64 [n], their offsets [n_rows + 1], and for every particle of the batch the position in `rows`
    of its jet (-1: in none of them) and its own position therein.
    """
    starts = np.searchsorted(jets.member_of, np.arange(len(jets) + 1))
    there = rows >= 0
    counts = np.zeros(len(rows), np.int64)
    counts[there] = np.diff(starts)[rows[there]]
    begin = np.zeros(len(rows), np.int64)
    begin[there] = starts[rows[there]]
    member = jets.members[ranges(begin, counts)] if len(jets) else np.empty(0, np.int64)
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    of = owners(bounds)
    member = member[np.lexsort((-pt[member], of))]
    jet, position = np.full(len(pt), -1), np.full(len(pt), -1)
    jet[member], position[member] = of, np.arange(len(member)) - bounds[of]
    return member, bounds, (jet, position)


def _list(values: np.ndarray, offsets: np.ndarray, kind: Any) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(np.asarray(values).astype(kind)))
