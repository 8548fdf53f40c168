# SPDX-License-Identifier: MIT
"""Sequential recombination of all events at once, in C++ (`hepgen_fastsim/jets.hpp`): the jets that FastJet gives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.cards.card import GenJets
from hepgen_fastsim.objects.columns import Polar, over, ranges

__all__ = ["JetList", "cluster", "none"]


@dataclass
class JetList(Polar):
    """Jets of all events, pt descending within an event.

    px, py, pz, energy float64 [n_jets]; offsets int64 [n_events + 1]; `members` int64 [n_members] rows of what was
    clustered, `member_of` [n_members] the jets that they belong to, ascending.
    """

    px: np.ndarray
    py: np.ndarray
    pz: np.ndarray
    energy: np.ndarray
    offsets: np.ndarray
    members: np.ndarray
    member_of: np.ndarray

    def __len__(self) -> int:
        return len(self.px)

    @cached_property
    def rank(self) -> np.ndarray:
        """Position within the event."""
        return np.arange(len(self)) - self.offsets[self.event]

    @cached_property
    def bounds(self) -> np.ndarray:
        """Where the members of each jet begin and end: int64 [n_jets + 1]."""
        return np.searchsorted(self.member_of, np.arange(len(self) + 1)).astype(np.int64)

    @cached_property
    def mass(self) -> np.ndarray:
        """sqrt(E^2 - p^2), negative where that is of a negative number, as ROOT has it."""
        square = self.energy**2 - self.px**2 - self.py**2 - self.pz**2
        return np.copysign(np.sqrt(np.abs(square)), square)

    def scaled(self, factor: np.ndarray) -> JetList:
        """The same jets, in the same order, with other momenta."""
        px, py, pz, energy = (column * factor for column in (self.px, self.py, self.pz, self.energy))
        return JetList(px, py, pz, energy, self.offsets, self.members, self.member_of)

    def __getitem__(self, rows: np.ndarray) -> JetList:
        """Those jets alone (bool [n_jets]), or in that order (int64 [n], event by event)."""
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        counts = np.diff(self.bounds)[rows]
        px, py, pz, energy = (column[rows] for column in (self.px, self.py, self.pz, self.energy))
        offsets = np.searchsorted(self.event[rows], np.arange(len(self.offsets)))
        members = self.members[ranges(self.bounds[rows], counts)]
        return JetList(px, py, pz, energy, offsets, members, np.repeat(np.arange(len(rows)), counts))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum over each jet's members of `values` [n_members]: [n_jets]."""
        return over(np.add, values.astype(np.float64, copy=False), self.bounds)


def none(n_events: int) -> JetList:
    """No jets in any event."""
    empty, index = np.empty(0), np.empty(0, np.int64)
    return JetList(empty, empty, empty, empty, np.zeros(n_events + 1, np.int64), index, index)


def cluster(columns: Any, jets: GenJets | None, rows: np.ndarray | None = None) -> JetList:
    """Inclusive jets of pt >= jets.pt_min; none without a definition.

    Parameters
    ----------
    columns
        constituents or particles
    jets
        algorithm, radius and pt_min
    rows
        those to be clustered, ascending; default all
    """
    momenta = columns.momenta(slice(None) if rows is None else rows)
    if len(momenta[0]) == 0 or jets is None:
        return none(len(columns.offsets) - 1)
    offsets = columns.offsets if rows is None else np.searchsorted(rows, columns.offsets)
    px, py, pz, energy, jet_offsets, members, member_of = core().cluster(
        *momenta, offsets, jets.algorithm, jets.radius, jets.pt_min
    )
    return JetList(px, py, pz, energy, jet_offsets, members if rows is None else rows[members], member_of)
