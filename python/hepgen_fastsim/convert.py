# SPDX-License-Identifier: MIT
"""Training pairs from Delphes' ROOT files: GEN particles, RECO constituents, and which particle leads which of them.

The files must have the branches Particle, EFlowTrack, EFlowPhoton and EFlowNeutralHadron, as Delphes' own cards write
them. Tracks name their particle; of the particles that a tower names, the one with the largest deposit leads it.
Files without references are matched (`hepgen_fastsim.convert_match`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import uproot

from hepgen_fastsim.convert_links import CODES, KINDS, by_distance, by_reference
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.helix import CMS, Magnet
from hepgen_fastsim.io.table import TableFile

__all__ = ["Converted", "convert"]

BATCH = 500
"""Events that are read, linked and written at a time."""

PER_PROCESS = 100_000
"""`event` is process * PER_PROCESS + running number."""

VERTEX_AT_ORIGIN = 1e-3
"""Vertices nearer than this to the origin in a coordinate are exactly 0 in it [mm]."""

GEN = ("PID", "Status", "Charge", "Mass", "E", "Px", "Py", "Pz", "X", "Y", "Z")
RECO = {"EFlowTrack": ("PID", "Charge", "PT", "Eta", "Phi"), **dict.fromkeys(KINDS[1:], ("ET", "Eta", "Phi"))}
LINKS = ("Particle.fUniqueID", "EFlowTrack.Particle", "EFlowPhoton.Particles", "EFlowNeutralHadron.Particles")

_PT_ETA_PHI = {"pt": "PT", "eta": "Eta", "phi": "Phi"}
LISTS: dict[str, dict[str, str]] = {
    "Jet": {**_PT_ETA_PHI, "mass": "Mass", "btag": "BTag", "tautag": "TauTag", "flavor": "Flavor"},
    "GenJet": {**_PT_ETA_PHI, "mass": "Mass"},
    "Electron": {**_PT_ETA_PHI, "charge": "Charge"},
    "Muon": {**_PT_ETA_PHI, "charge": "Charge"},
    "Photon": _PT_ETA_PHI,
}
"""Delphes' own objects, copied where the file has them: branch -> column -> leaf."""

SCALARS: dict[str, dict[str, str]] = {
    "MissingET": {"met_pt": "MET", "met_phi": "Phi"},
    "GenMissingET": {"genmet_pt": "MET", "genmet_phi": "Phi"},
    "ScalarHT": {"scalarht_ht": "HT"},
}


@dataclass
class Converted:
    """What was written: numbers of events, constituents, and of those without a particle; and how they were linked."""

    n_events: int = 0
    n_constituents: int = 0
    n_unlinked: int = 0
    by: dict[str, str] = field(default_factory=dict)  #: file -> "references" or "matching"


def convert(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    process: int = 1,
    tree: str = "Delphes",
    acceptance: float = 5.2,
    links: str = "auto",
    magnet: Magnet = CMS,
    entry_start: int = 0,
    entry_stop: int | None = None,
    overwrite: bool = False,
    notify: Callable[[int], None] = lambda n: None,
) -> Converted:
    """Write the events of Delphes' files as training pairs (Parquet), in bounded memory.

    Parameters
    ----------
    inputs
        ROOT files of one process
    output
        Parquet file; written aside and renamed at the end
    process
        number that marks the events: `event` is process * 100,000 + their running number
    tree
        name of the tree
    acceptance
        largest |eta| of the GEN particles that are kept; those that contribute to a constituent are kept in any case
    links
        "auto": references where the file has them, else matching; "references" or "matching"
    magnet
        for matching
    entry_start, entry_stop
        first entry and the one to stop before, of each input
    notify
        called with the number of events written so far

    Raises InputError if branches are missing, a file is damaged, or there are no events.

    >>> from hepgen_fastsim.convert import convert
    >>> convert(["delphes.root"], "train.parquet")
    """
    if links not in ("auto", "references", "matching"):
        raise InputError(f"links must be one of auto, references, matching; found '{links}'.")
    if not 1 <= process <= 20_000:
        raise InputError(f"process must be a number from 1 to 20000, found {process}.")
    result = Converted()
    with TableFile(output, overwrite=overwrite) as out:
        for path in inputs:
            source = _File(os.fspath(path), tree, links)
            result.by[source.path] = "references" if source.linked else "matching"
            for arrays in source.batches(entry_start, entry_stop):
                table, counts = _pairs(arrays, source, result.n_events, process, acceptance, magnet)
                if result.n_events + len(table) > PER_PROCESS:
                    raise InputError(
                        f"{path}: a process holds at most {PER_PROCESS} events; give the files further on another "
                        "process number, in another output."
                    )
                out.write(table)
                result.n_events += len(table)
                result.n_constituents += counts[0]
                result.n_unlinked += counts[1]
                notify(result.n_events)
        if not out.n_written:
            raise InputError(f"no events in {', '.join(os.fspath(path) for path in inputs) or 'no input'}.")
    return result


class _File:
    """A file of Delphes, checked for what is needed."""

    def __init__(self, path: str, tree: str, links: str) -> None:
        self.path = path
        try:
            file = uproot.open(path)
            names = file.keys(cycle=False)
            if tree not in names:
                raise InputError(f"{path} has no tree '{tree}'; found {', '.join(sorted(set(names))) or 'nothing'}.")
            self.tree = file[tree]
            self.there = {name.rsplit("/", 1)[-1] for name in self.tree.keys()}  # noqa: SIM118 (a tree, not a dict)
        except InputError:
            raise
        except Exception as error:  # uproot raises whatever its parser meets
            raise InputError(f"{path} cannot be read as a ROOT file: {_first_line(error)}.") from error
        needed = [f"Particle.{leaf}" for leaf in GEN] + [f"{kind}.{leaf}" for kind in KINDS for leaf in RECO[kind]]
        missing = [name for name in needed if name not in self.there]
        if missing:
            branches = sorted({name.split(".")[0] for name in self.there if "." in name})
            raise InputError(
                f"{path}: training pairs need the branches Particle, EFlowTrack, EFlowPhoton and EFlowNeutralHadron; "
                f"{', '.join(missing[:6])}{', …' if len(missing) > 6 else ''} are missing, found "
                f"{', '.join(branches) or 'no branch of Delphes'}. Was one left out of the card's TreeWriter?"
            )
        without = [name for name in LINKS if name not in self.there]
        if links == "references" and without:
            raise InputError(f"{path} has no references: {', '.join(without)} are missing.")
        self.linked = links != "matching" and not without
        self.leaves = needed + (list(LINKS) if self.linked else [])
        self.leaves += [name for name in ("Event.Weight",) if name in self.there]
        self.lists = {
            kind: c for kind, c in LISTS.items() if all(f"{kind}.{leaf}" in self.there for leaf in c.values())
        }
        self.scalars = {k: c for k, c in SCALARS.items() if all(f"{k}.{leaf}" in self.there for leaf in c.values())}
        for objects in (self.lists, self.scalars):
            self.leaves += [f"{kind}.{leaf}" for kind, columns in objects.items() for leaf in columns.values()]

    def batches(self, start: int, stop: int | None) -> Iterator[ak.Array]:
        done = start
        try:
            for arrays in self.tree.iterate(
                filter_name=self.leaves, step_size=BATCH, entry_start=start, entry_stop=stop
            ):
                yield arrays
                done += len(arrays)
        except Exception as error:  # uproot raises whatever its parser meets
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{self.path} is damaged: entries from {done} on cannot be read ({_first_line(error)})."
            ) from error


def _pairs(
    arrays: ak.Array, source: _File, first: int, process: int, acceptance: float, magnet: Magnet
) -> tuple[pa.Table, tuple[int, int]]:
    """A batch as a table, and its numbers of constituents and of those that no particle leads."""
    n_events = len(arrays)
    gen, gen_event = _gen(arrays)
    reco = [_reco(arrays, kind, code) for kind, code in zip(KINDS, CODES)]
    found = by_reference(arrays, gen, reco) if source.linked else by_distance(gen, gen_event, reco, n_events, magnet)
    leader, count, contributes = found  # leader: rows of `gen`, by kind

    stable = gen["status"] == 1
    kept = np.flatnonzero(stable & ((np.abs(gen["eta"]) <= acceptance) | contributes))
    kept = kept[np.lexsort((-gen["pt"][kept], gen_event[kept]))]
    offsets = _offsets(gen_event[kept], n_events)
    place = np.full(len(stable), -1)
    place[kept] = np.arange(len(kept)) - offsets[gen_event[kept]]

    event = np.concatenate([r["event"] for r in reco])
    order = np.argsort(event, kind="stable")
    bounds = _offsets(event, n_events)
    joined = {name: np.concatenate([r[name] for r in reco])[order] for name in ("pid", "charge", "pt", "eta", "phi")}
    joined["type"] = np.concatenate([np.full(len(r["event"]), k) for k, r in enumerate(reco)])[order]
    rows = np.concatenate(leader)[order]
    joined["gen_index"] = np.where(rows >= 0, place[rows], -1)
    joined["n_contrib"] = np.concatenate(count)[order]

    columns: dict[str, Any] = {
        "process": np.full(n_events, process, np.int32),
        "event": (process * PER_PROCESS + first + np.arange(n_events)).astype(np.int64),
        "weight": _weights(arrays, n_events),
    }
    for name in ("pdgid", "pt", "eta", "phi", "vx", "vy", "vz"):
        columns[f"gen_{name}"] = _list(gen[name][kept], offsets, np.int32 if name == "pdgid" else np.float32)
    kinds = {"type": np.int8, "pid": np.int32, "charge": np.int8, "gen_index": np.int32, "n_contrib": np.int32}
    for name in ("type", "pid", "charge", "pt", "eta", "phi", "gen_index", "n_contrib"):
        columns[f"reco_{name}"] = _list(joined[name], bounds, kinds.get(name, np.float32))
    columns |= _objects(arrays, source, n_events)
    return pa.table(columns), (len(rows), int((joined["gen_index"] < 0).sum()))


def _gen(arrays: ak.Array) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns [n_particles] of the record, and the event of each particle."""
    counts = ak.to_numpy(ak.num(arrays["Particle.PID"]))
    leaf = {name: ak.to_numpy(ak.flatten(arrays[f"Particle.{name}"])) for name in GEN}
    px, py, pz = (leaf[name].astype(np.float64) for name in ("Px", "Py", "Pz"))
    pt = np.hypot(px, py)
    with np.errstate(divide="ignore", invalid="ignore"):
        eta = np.where(pt > 0, np.arcsinh(pz / pt), np.copysign(999.9, pz))
    gen = {"pdgid": leaf["PID"], "status": leaf["Status"], "charge": leaf["Charge"], "energy": leaf["E"]}
    gen |= {"px": px, "py": py, "pz": pz, "pt": pt, "eta": eta, "phi": np.arctan2(py, px)}
    for name in ("X", "Y", "Z"):
        gen[f"v{name.lower()}"] = np.where(np.abs(leaf[name]) < VERTEX_AT_ORIGIN, 0.0, leaf[name])
    return gen, np.repeat(np.arange(len(counts)), counts)


def _reco(arrays: ak.Array, kind: str, code: int) -> dict[str, np.ndarray]:
    counts = ak.to_numpy(ak.num(arrays[f"{kind}.Eta"]))
    n = int(counts.sum())
    leaf = {name: ak.to_numpy(ak.flatten(arrays[f"{kind}.{name}"])) for name in RECO[kind]}
    out = {"event": np.repeat(np.arange(len(counts)), counts), "eta": leaf["Eta"], "phi": leaf["Phi"]}
    track = kind == "EFlowTrack"
    out["pt"] = leaf["PT" if track else "ET"]
    out["pid"] = leaf["PID"] if track else np.full(n, code)
    out["charge"] = leaf["Charge"] if track else np.zeros(n, np.int8)
    return out


def _objects(arrays: ak.Array, source: _File, n_events: int) -> dict[str, Any]:
    """Delphes' own objects."""
    out: dict[str, Any] = {}
    for kind, leaves in source.lists.items():
        for column, leaf in leaves.items():
            values = arrays[f"{kind}.{leaf}"]
            offsets = np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(values)))])
            flat = ak.to_numpy(ak.flatten(values))
            out[f"{kind.lower()}_{column}"] = _list(flat, offsets, np.float32 if flat.dtype.kind == "f" else np.int32)
    for kind, leaves in source.scalars.items():
        for column, leaf in leaves.items():
            values = ak.fill_none(ak.firsts(arrays[f"{kind}.{leaf}"]), 0.0)
            out[column] = ak.to_numpy(values).astype(np.float32)
    return out


def _weights(arrays: ak.Array, n_events: int) -> np.ndarray:
    if "Event.Weight" not in arrays.fields:
        return np.ones(n_events, np.float32)
    return ak.to_numpy(ak.fill_none(ak.firsts(arrays["Event.Weight"]), 1.0)).astype(np.float32)


def _offsets(event: np.ndarray, n_events: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(event, minlength=n_events))]).astype(np.int64)


def _list(values: np.ndarray, offsets: np.ndarray, kind: Any) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(np.asarray(values).astype(kind)))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
