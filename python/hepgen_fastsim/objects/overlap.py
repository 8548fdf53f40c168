# SPDX-License-Identifier: MIT
"""Unique objects: an object that shares a constituent or a GEN particle with one of an earlier kind is removed.

So Delphes' UniqueObjectFinder does: two candidates overlap if anything that they are made of, down to the GEN
particles, is the same. A model names only the leading particle of a tower; objects that share nothing but a lesser
contributor are then both kept.
"""

from __future__ import annotations

import numpy as np

from hepgen_fastsim.objects.columns import Constituents, ranges

__all__ = ["Overlap", "particles_of"]


def particles_of(c: Constituents) -> dict[str, np.ndarray]:
    """GEN particles by constituent: `row` [n], `start` and `count` [n_constituents]."""
    count = np.bincount(c.contributor_of, minlength=len(c))
    return {"row": c.contributors, "start": np.cumsum(count) - count, "count": count}


class Overlap:
    """What the objects kept so far are made of."""

    def __init__(self, c: Constituents, by_constituent: dict[str, np.ndarray]) -> None:
        self._by = by_constituent
        self._taken = np.zeros(len(c), bool)
        self._taken_particle = np.zeros(int(c.first_particle[-1]), bool)

    def keep(self, members: np.ndarray, member_of: np.ndarray, n: int) -> np.ndarray:
        """Which of n objects of a kind are unique; these take their constituents and particles with them.

        members, member_of: constituents (rows) and the objects that they belong to.
        """
        count = self._by["count"][members]
        row = self._by["row"][ranges(self._by["start"][members], count)]
        row_of = np.repeat(member_of, count)
        shared = np.zeros(n, bool)
        shared[member_of[self._taken[members]]] = True
        shared[row_of[self._taken_particle[row]]] = True
        self._taken[members[~shared[member_of]]] = True
        self._taken_particle[row[~shared[row_of]]] = True
        return ~shared
