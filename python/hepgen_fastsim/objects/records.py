# SPDX-License-Identifier: MIT
"""From columns to awkward records: the objects as the user gets them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np
from awkward.contents import Content, IndexedOptionArray, ListOffsetArray, NumpyArray, RecordArray, RegularArray
from awkward.index import Index64
from vector.backends.awkward import behavior as vector_behavior

from hepgen_fastsim.cards import Card
from hepgen_fastsim.objects.clustering import JetList, cluster, none
from hepgen_fastsim.objects.columns import Constituents, Momenta, Particles, eta_of, over, ranges
from hepgen_fastsim.objects.grooming import N_AXES, groom, nsubjettiness
from hepgen_fastsim.objects.jets import contents, momentum, particle_lists
from hepgen_fastsim.objects.leptons import Candidates

__all__ = ["Builder"]

GROOMED = ("trimmed", "pruned", "soft_dropped")


class Builder:
    """Records of one batch."""

    def __init__(
        self, c: Constituents, gen: Particles | None, card: Card, by_constituent: dict[str, np.ndarray]
    ) -> None:
        self.c, self.gen, self.card, self.by = c, gen, card, by_constituent
        self.n_events = len(c.offsets) - 1

    def events(self, **fields: Content | np.ndarray) -> ak.Array:
        """All objects, one record per event."""
        columns = {k: NumpyArray(v) if isinstance(v, np.ndarray) else v for k, v in fields.items()}
        layout = RecordArray(
            list(columns.values()), list(columns), length=self.n_events, parameters={"card": self.card.name}
        )
        return ak.Array(layout, behavior=vector_behavior)

    def jets(self, jets: JetList, leaves: dict[str, np.ndarray]) -> Content:
        order = np.lexsort((-jets.pt, jets.event))  # the energy scale may have changed it
        leaves = {name: leaf[order] for name, leaf in leaves.items()}
        return _ragged(self._columns(jets[order], leaves), jets.offsets)

    def fatjets(self) -> Content:
        c, definition = self.c, self.card.fatjets
        jets = cluster(c, definition)
        columns = self._columns(jets, contents(jets, c))
        groomed = {} if definition is None else groom(jets, c, definition)
        tau = np.empty((0, N_AXES)) if definition is None else nsubjettiness(jets, c, definition)
        columns["nsubjettiness"] = RegularArray(NumpyArray(tau.astype(np.float32).ravel()), N_AXES, len(jets))
        for name in GROOMED:
            p4, number = groomed.get(name, (np.zeros((len(jets), N_AXES, 4)), np.zeros(len(jets), np.int32)))
            polar = dict(zip(("pt", "eta", "phi", "mass"), p4.reshape(-1, 4).T.astype(np.float32)))
            columns[name] = RegularArray(_record(polar), N_AXES, len(jets))
            columns[f"n_subjets_{name}"] = number
        return _ragged(columns, jets.offsets)

    def genjets(self) -> Content:
        inputs: Constituents | Particles = self.c if self.gen is None else self.gen
        jets = none(self.n_events)
        if self._visible is not None:
            rows, momenta = self._visible
            jets = cluster(momenta, self.card.genjets)
            jets.members = rows[jets.members]
        leaves = contents(jets, inputs)
        constituents = _lists(jets.members - inputs.offsets[jets.event[jets.member_of]], jets.member_of, len(jets))
        return _ragged({**momentum(jets), **leaves, "constituents": constituents}, jets.offsets)

    def leptons(self, found: Candidates | None, kind: str) -> Content:
        c = self.c
        if found is None:
            found = Candidates(np.empty(0, np.int64), np.empty(0), np.empty(0))
        row, event = found.row, c.event[found.row]
        columns: dict[str, Any] = {name: getattr(c, name)[row].astype(np.float32) for name in ("pt", "eta", "phi")}
        columns["mass"] = c.mass[row].astype(np.float32)
        if kind != "photons":
            columns["charge"] = c.charge[row].astype(np.int32)
            columns |= {name: getattr(c, name)[row].astype(np.float32) for name in ("d0", "dz")}
        columns |= found.leaves(c)
        if kind != "muons":
            columns["ehad_over_eem"] = np.zeros(len(row), np.float32)
        columns["constituent"] = row - c.offsets[event]
        columns["particle"] = c.origin[row]
        if kind == "photons":
            columns["status"] = np.zeros(len(row), np.int32)
            count = self.by["count"][row]
            particle = self.by["row"][ranges(self.by["start"][row], count)]
            of = np.repeat(np.arange(len(row)), count)
            columns["particles"] = _lists(particle - c.first_particle[event[of]], of, len(row))
        return _ragged(columns, np.searchsorted(event, np.arange(self.n_events + 1)))

    def met(self) -> Content:
        return _missing(self.c)

    def genmet(self) -> Content:
        if self._visible is None:
            return IndexedOptionArray(Index64(np.full(self.n_events, -1)), _missing(self.c))
        return IndexedOptionArray(Index64(np.arange(self.n_events)), _missing(self._visible[1]))

    @cached_property
    def _visible(self) -> tuple[np.ndarray, Momenta] | None:
        """The stable particles that Delphes' GEN objects are made of: rows and momenta."""
        if self.gen is None:
            return None
        rows = self.gen.select(self.card.invisible, stable=True, among=False)
        return rows, Momenta(*self.gen.momenta(rows), np.searchsorted(rows, self.gen.offsets))

    def _columns(self, jets: JetList, leaves: dict[str, np.ndarray]) -> dict[str, Any]:
        row, of = particle_lists(jets, self.by)
        c, n = self.c, len(jets)
        return {
            **momentum(jets),
            **leaves,
            "constituents": _lists(jets.members - c.offsets[jets.event[jets.member_of]], jets.member_of, n),
            "particles": _lists(row - c.first_particle[jets.event[of]], of, n),
        }


def _missing(momenta: Momenta) -> Content:
    """Minus the sum of momenta of each event: records of pt [GeV], eta, phi."""
    px, py, pz = (-over(np.add, column, momenta.offsets) for column in (momenta.px, momenta.py, momenta.pz))
    pt = np.hypot(px, py)
    values = {"pt": pt, "eta": eta_of(pt, pz), "phi": np.where(pt > 0, np.arctan2(py, px), 0.0)}
    return _record({name: value.astype(np.float32) for name, value in values.items()}, "Momentum3D")


def _record(columns: dict[str, Any], name: str = "Momentum4D") -> RecordArray:
    layouts = [v if isinstance(v, Content) else NumpyArray(np.ascontiguousarray(v)) for v in columns.values()]
    return RecordArray(layouts, list(columns), parameters={"__record__": name})


def _ragged(columns: dict[str, Any], offsets: np.ndarray) -> Content:
    return ListOffsetArray(Index64(offsets.astype(np.int64)), _record(columns))


def _lists(values: np.ndarray, of: np.ndarray, n: int) -> Content:
    """Lists of integers, one per object; `of` ascends."""
    return ListOffsetArray(Index64(np.searchsorted(of, np.arange(n + 1)).astype(np.int64)), NumpyArray(values))
