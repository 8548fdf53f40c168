# SPDX-License-Identifier: MIT
"""GEN batches from the `Particle` branch of Delphes' ROOT files, and of the flat files that this package writes.

Leaves are read by name: Delphes' own files have them as split TClonesArray branches, flat files as branches with a
dot in their name. Times are seconds there and mm/c here.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any

import awkward as ak
import numpy as np
import uproot

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.events import GenColumns, gen_batch
from hepgen_fastsim.io.reader import GenReader

__all__ = ["C_LIGHT", "EVENT_LEAVES", "PARTICLE_LEAVES", "SIDE_OBJECT", "read_delphes"]

C_LIGHT = 2.99792458e11
"""Speed of light [mm/s]."""

SIDE_OBJECT = "hepgen_fastsim"
"""Name of the object, beside the tree, in which flat files keep weight names and provenance as JSON."""

_PARTICLE = (
    "pdgid PID, status Status, px Px, py Py, pz Pz, mass Mass, charge Charge, vx X, vy Y, vz Z, vt T, m1 M1, m2 M2, "
    "d1 D1, "
    "d2 D2"
)
_EVENT = (
    "number Number, process_id ProcessID, mpi MPI, scale Scale, alpha_qed AlphaQED, alpha_qcd AlphaQCD, id1 ID1, id2 "
    "ID2, "
    "cross_section CrossSection, cross_section_error CrossSectionError, x1 X1, x2 X2, scale_pdf ScalePDF, pdf1 PDF1, "
    "pdf2 PDF2"
)

PARTICLE_LEAVES: dict[str, str] = dict(pair.split() for pair in _PARTICLE.split(","))
"""GEN column -> leaf of Delphes' class GenParticle."""

EVENT_LEAVES: dict[str, str] = dict(pair.split() for pair in _EVENT.split(","))
"""GEN column of an event -> leaf of Delphes' class HepMCEvent."""

_OPTIONAL = {"charge", "vt", "m1", "m2", "d1", "d2"}


def read_delphes(
    path: str, *, tree: str, batch_size: int = 1000, entry_start: int = 0, entry_stop: int | None = None
) -> GenReader:
    """GEN batches from `Particle.*` of a tree; arguments as those of `hf.read`."""
    try:
        file = uproot.open(path)
        events, weight_names = _tree(path, tree, file)
        branches = _branches(path, tree, events)
    except InputError:
        raise
    except Exception as error:  # uproot raises whatever its parser meets in a damaged file
        raise InputError(f"{path} cannot be read as a ROOT file: {_text(error)}.") from error
    stop = min(events.num_entries, events.num_entries if entry_stop is None else entry_stop)

    def batches() -> Iterator[ak.Array]:
        start, stream = entry_start, None
        try:
            if start < stop:
                stream = _columns(events.arrays(filter_name=list(branches), entry_stop=1), branches, 0, None).key()
            for arrays in events.iterate(
                filter_name=list(branches), step_size=batch_size, entry_start=entry_start, entry_stop=stop
            ):
                yield _batch(arrays, branches, start, stream, weight_names, path)
                start += len(arrays)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"{path} is damaged: entries from {start} on of tree '{tree}' cannot be read ({_text(error)})."
            ) from error

    return GenReader(batches(), source=path, format="root", n_events=max(0, stop - entry_start), owned=(file,))


def _tree(path: str, tree: str, file: Any) -> tuple[Any, list[str] | None]:
    """The tree, and the names of the weights where the file has them."""
    names = file.keys(cycle=False)
    if tree not in names:
        near = difflib.get_close_matches(tree, names, n=1)
        hint = f"did you mean {path}:{near[0]}?" if near else f"found {', '.join(sorted(set(names))) or 'nothing'}."
        raise InputError(f"{path} has no tree '{tree}'; {hint}")
    if SIDE_OBJECT not in names:
        return file[tree], None
    return file[tree], json.loads(str(file[SIDE_OBJECT])).get("weight_names")


def _text(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _branches(path: str, tree: str, events: Any) -> dict[str, tuple[str, str]]:
    """Leaf name -> ("particle" | "event" | "weight", GEN column), for those that the tree has."""
    if not hasattr(events, "num_entries"):
        raise InputError(f"{path}:{tree} is a {type(events).__name__}, a tree is expected.")
    there = {name.rsplit("/", 1)[-1] for name in events.keys()}  # noqa: SIM118 (a tree, not a dict)
    wanted = {f"Particle.{leaf}": ("particle", column) for column, leaf in PARTICLE_LEAVES.items()}
    needed = [name for name, (_, column) in wanted.items() if column not in _OPTIONAL]
    missing = [name for name in needed if name not in there]
    if missing:
        found = ", ".join(sorted(there)[:8]) or "no branch"
        raise InputError(
            f"{path}:{tree} has no generator record: the branches {', '.join(missing)} are missing, found {found}"
            f"{', …' if len(there) > 8 else ''}; was `Particle` left out of Delphes' TreeWriter?"
        )
    wanted |= {f"Event.{leaf}": ("event", column) for column, leaf in EVENT_LEAVES.items()}
    wanted["Weight.Weight"] = ("weight", "weights")
    return {name: target for name, target in wanted.items() if name in there}


def _columns(arrays: Any, branches: dict[str, tuple[str, str]], start: int, stream: int | None) -> GenColumns:
    columns, offsets = {}, np.zeros(1, np.int64)
    for name, (kind, column) in branches.items():
        if kind == "particle":
            layout = ak.to_packed(arrays[name], highlevel=False).to_ListOffsetArray64(True)
            offsets = np.asarray(layout.offsets.data)
            columns[column] = np.asarray(layout.content.data)
    for name in ("px", "py", "pz", "mass", "vx", "vy", "vz", "vt"):
        if name in columns:
            columns[name] = columns[name].astype(np.float64)
    columns["pdgid"] = columns["pdgid"].astype(np.int64)
    if "vt" in columns:
        columns["vt"] *= C_LIGHT
    return GenColumns(columns, offsets, np.arange(start, start + len(offsets) - 1), stream)


def _batch(
    arrays: Any,
    branches: dict[str, tuple[str, str]],
    start: int,
    stream: int | None,
    weight_names: list[str] | None,
    path: str,
) -> ak.Array:
    gen = _columns(arrays, branches, start, stream)
    info, weights = {}, None
    for name, (kind, column) in branches.items():
        if kind == "event":
            info[column] = ak.to_numpy(ak.fill_none(ak.firsts(arrays[name]), 0))
        elif kind == "weight":
            counts = ak.num(arrays[name])
            if len(gen) and ak.all(counts == counts[0]):
                weights = ak.to_numpy(ak.to_regular(arrays[name])).astype(np.float64)
            elif len(gen):
                raise InputError(f"{path}: entries from {start} on have different numbers of weights.")
    if weights is not None and (weight_names is None or len(weight_names) != weights.shape[1]):
        weight_names = [str(i) for i in range(weights.shape[1])]
    return gen_batch(gen, info=info, weights=weights, weight_names=weight_names or ["Default"], source=path)
