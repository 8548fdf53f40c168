# SPDX-License-Identifier: MIT
"""RECO constituents of ROOT files: Delphes' own (EFlowTrack, EFlowPhoton, EFlowNeutralHadron), and flat ones."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator

import awkward as ak
import numpy as np
import uproot

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.io.delphes import SIDE_OBJECT
from hepgen_fastsim.validation.sources import BATCH, NEUTRAL_HADRON, PHOTON, Source, first_line, ragged

__all__ = ["RootSource"]

KINDS = ("EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron")
NEEDED = {"EFlowTrack": "PID Charge PT Eta Phi", "EFlowPhoton": "ET Eta Phi", "EFlowNeutralHadron": "ET Eta Phi"}
RECORD = ("Particle.fUniqueID", "Particle.PID", "Particle.E")
ECAL_ONLY, INVISIBLE = (11, 22), (12, 13, 14, 16)


class RootSource(Source):
    """The energy-flow branches of a tree in Delphes' layout."""

    def __init__(self, path: str, tree: str = "Delphes") -> None:
        self._name = tree
        super().__init__(path)

    def _open(self) -> None:
        try:
            # mapped, so that nothing stays open after a file that turns out to be none
            file = uproot.open(self.path, handler=uproot.source.file.MemmapSource)
            names = file.keys(cycle=False)
            if self._name not in names:
                near = difflib.get_close_matches(self._name, names, n=1)
                hint = f"did you mean {self.path}:{near[0]}?" if near else f"found {', '.join(names) or 'nothing'}."
                raise InputError(f"{self.path} has no tree '{self._name}'; {hint}")
            self._tree = file[self._name]
            self._there = {name.rsplit("/", 1)[-1] for name in self._tree.keys()}  # noqa: SIM118 (a tree, not a dict)
            self._check()
            self.n_events = self._tree.num_entries
            self.provenance = json.loads(str(file[SIDE_OBJECT])) if SIDE_OBJECT in names else {}
            self.format = "ROOT, flat" if self._flat else "ROOT, Delphes"
            if "Event.Number" in self._there:
                self.number = self._per_event("Event.Number")
            else:
                self.number = np.arange(self.n_events)
            if "Event.ProcessID" in self._there:
                self.process = self._per_event("Event.ProcessID")
            self.seconds = self._timing()
        except InputError:
            raise
        except Exception as error:  # uproot raises whatever its parser meets in a damaged file
            raise InputError(f"{self.path} cannot be read as a ROOT file: {first_line(error)}.") from error

    def _check(self) -> None:
        wanted = [f"{kind}.{leaf}" for kind, leaves in NEEDED.items() for leaf in leaves.split()]
        missing = [name for name in wanted if name not in self._there]
        if missing:
            found = sorted({name.split(".")[0] for name in self._there if "." in name})
            raise InputError(
                f"{self.path}:{self._name} has no energy flow: the branches {', '.join(missing)} are missing, found "
                f"{', '.join(found) or 'none of Delphes'}; were EFlowTrack, EFlowPhoton and EFlowNeutralHadron left "
                "out of Delphes' TreeWriter?"
            )
        self.has_gen = {"Particle.PID", "Particle.Px", "Particle.Status"} <= self._there
        flat = "EFlowTrack.Particle" in self._there and "EFlowPhoton.Particle" in self._there
        native = "EFlowTrack.Particle" in self._there and "EFlowPhoton.Particles" in self._there
        self._flat = flat
        self.has_links = flat or (native and set(RECORD) <= self._there)

    def _per_event(self, name: str) -> np.ndarray:
        values = self._tree[self._path(name)].array()
        return ak.to_numpy(ak.fill_none(ak.firsts(values), -1)).astype(np.int64)

    def _path(self, name: str) -> str:
        return next(key for key in self._tree.keys() if key.rsplit("/", 1)[-1] == name)  # noqa: SIM118

    def _timing(self) -> float | None:
        """Delphes notes reading and processing times of each event; of these, the processing."""
        if (stored := self.provenance.get("seconds_per_event")) is not None:
            return float(stored)
        if "Event.ProcTime" not in self._there:
            return None
        times = self._tree[self._path("Event.ProcTime")].array(entry_stop=10_000)
        mean = float(ak.mean(times)) if ak.count(times) else 0.0
        return mean or None

    def batches(self) -> Iterator[ak.Array]:
        optional = ("EFlowTrack.Mass", "EFlowTrack.D0", "EFlowTrack.DZ")
        branches = [f"{kind}.{leaf}" for kind, leaves in NEEDED.items() for leaf in leaves.split()]
        branches += [name for name in optional if name in self._there]
        if self.has_links:
            branches += ["EFlowTrack.Particle", *(f"{k}.Particle" + ("" if self._flat else "s") for k in KINDS[1:])]
            branches += [] if self._flat else list(RECORD)
        for arrays in self._tree.iterate(filter_name=branches, step_size=BATCH):
            yield self._batch(arrays)

    def _batch(self, arrays: ak.Array) -> ak.Array:
        n_events = len(arrays)
        columns: dict[str, list[np.ndarray]] = {}
        events, resolve = [], None
        if self.has_links and not self._flat:
            resolve = _Record(arrays)
        for kind in KINDS:
            counts = ak.to_numpy(ak.num(arrays[f"{kind}.Eta"]))
            event = np.repeat(np.arange(n_events), counts)
            events.append(event)
            for name, values in self._columns(arrays, kind, event, resolve).items():
                columns.setdefault(name, []).append(values)
        order = np.argsort(np.concatenate(events), kind="stable")
        lengths = np.bincount(np.concatenate(events), minlength=n_events)
        flat = {name: np.concatenate(parts)[order] for name, parts in columns.items()}
        return ragged(flat, np.concatenate([[0], np.cumsum(lengths)]))

    def _columns(
        self, arrays: ak.Array, kind: str, event: np.ndarray, resolve: _Record | None
    ) -> dict[str, np.ndarray]:
        def leaf(name: str) -> np.ndarray:
            full = f"{kind}.{name}"
            return ak.to_numpy(ak.flatten(arrays[full])) if full in arrays.fields else np.zeros(len(event))

        track = kind == "EFlowTrack"
        c = {"pt": leaf("PT" if track else "ET"), "eta": leaf("Eta"), "phi": leaf("Phi")}
        c["pdgid"] = leaf("PID") if track else np.full(len(event), PHOTON if kind == "EFlowPhoton" else NEUTRAL_HADRON)
        c |= {column: leaf(name) for column, name in (("mass", "Mass"), ("d0", "D0"), ("dz", "DZ"))}
        c["charge"] = leaf("Charge")
        if resolve is not None:
            c["origin"] = resolve.tracks(arrays, event) if track else resolve.towers(arrays, kind, event)
        else:
            c["origin"] = leaf("Particle") if self._flat else np.full(len(event), -1)
        return c


class _Record:
    """Finds the particles that references name: IDs are a permutation of 1 … N within the event, not positions."""

    def __init__(self, arrays: ak.Array) -> None:
        uid, pid, energy = (ak.to_numpy(ak.flatten(arrays[name])) for name in RECORD)
        counts = ak.to_numpy(ak.num(arrays[RECORD[0]]))
        event = np.repeat(np.arange(len(counts)), counts)
        self._first = np.cumsum(counts) - counts
        self._energy, self._code = energy.astype(np.float64), np.abs(pid)
        key = _key(event, uid)
        self._order = np.argsort(key)
        self._sorted = key[self._order]

    def _rows(self, event: np.ndarray, uid: np.ndarray) -> np.ndarray:
        """Rows of the batch, -1 for IDs that are no particle's."""
        if len(self._sorted) == 0:
            return np.full(len(uid), -1)
        wanted = _key(event, uid)
        place = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        return np.where(self._sorted[place] == wanted, self._order[place], -1)

    def tracks(self, arrays: ak.Array, event: np.ndarray) -> np.ndarray:
        rows = self._rows(event, ak.to_numpy(ak.flatten(arrays["EFlowTrack.Particle"].ref)))
        return np.where(rows >= 0, rows - self._first[event], -1)

    def towers(self, arrays: ak.Array, kind: str, event: np.ndarray) -> np.ndarray:
        """The particle of most energy among those that this calorimeter sees; what each left is not stored."""
        refs = ak.flatten(arrays[f"{kind}.Particles"].refs, axis=1)
        counts = ak.to_numpy(ak.num(refs))
        of = np.repeat(np.arange(len(counts)), counts)
        rows = self._rows(event[of], ak.to_numpy(ak.flatten(refs)))
        of, rows = of[rows >= 0], rows[rows >= 0]
        electromagnetic = np.isin(self._code[rows], ECAL_ONLY)
        seen = electromagnetic if kind == "EFlowPhoton" else ~(electromagnetic | np.isin(self._code[rows], INVISIBLE))
        weight = self._energy[rows] * np.where(seen, 1.0, 1e-6)
        order = np.lexsort((weight, of))
        of, rows = of[order], rows[order]
        last = np.flatnonzero(np.concatenate([of[1:] != of[:-1], [True]])) if len(of) else np.empty(0, np.int64)
        leading = np.full(len(event), -1)
        leading[of[last]] = rows[last] - self._first[event[of[last]]]
        return leading


def _key(event: np.ndarray, uid: np.ndarray) -> np.ndarray:
    return event.astype(np.int64) << 32 | uid.astype(np.int64)
