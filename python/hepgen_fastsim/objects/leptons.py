# SPDX-License-Identifier: MIT
"""Photons, electrons and muons: constituents of that kind that pass an efficiency and an isolation.

In Delphes' CMS card photons are energy-flow photons and electrons energy-flow tracks, as here; muons are tracks before
the energy flow, which passes muons on unchanged (they leave nothing in its calorimeters). Efficiencies are evaluated at
the eta of the momentum, in Delphes at the eta of the exit point: for prompt leptons above 10 GeV the same within 1e-3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.cards.card import Isolation, Leptons
from hepgen_fastsim.objects.columns import PHOTON, Constituents
from hepgen_fastsim.objects.draws import CANDIDATES, Draws

__all__ = ["Candidates", "candidates", "isolate", "select"]

CODES = {"photons": PHOTON, "electrons": 11, "muons": 13}


@dataclass
class Candidates:
    """Constituents that are leptons or photons: `row` int64 [n], sums of pt around them [GeV], float64 [n]."""

    row: np.ndarray
    charged: np.ndarray
    neutral: np.ndarray

    def __getitem__(self, keep: np.ndarray) -> Candidates:
        return Candidates(self.row[keep], self.charged[keep], self.neutral[keep])

    def leaves(self, c: Constituents) -> dict[str, np.ndarray]:
        """Isolation leaves; there is no pile-up, so that the corrected ones equal the others."""
        total = self.charged + self.neutral
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = total / c.pt[self.row]
        values = {
            "isolation_var": ratio,
            "isolation_var_rho_corr": ratio,
            "sum_pt_charged": self.charged,
            "sum_pt_neutral": self.neutral,
            "sum_pt_charged_pu": np.zeros(len(total)),
            "sum_pt": total,
        }
        return {name: value.astype(np.float32) for name, value in values.items()}


def candidates(c: Constituents, kind: str) -> np.ndarray:
    """Rows of the constituents that may be photons, electrons or muons."""
    return np.flatnonzero(np.abs(c.pdgid) == CODES[kind])


def efficiency(c: Constituents, rows: np.ndarray, definition: Leptons) -> np.ndarray:
    """Efficiency of candidates: float64 [n]."""
    return definition.efficiency(
        pt=c.pt[rows], eta=c.eta[rows], phi=c.phi[rows], energy=c.energy[rows], d0=c.d0[rows], dz=c.dz[rows]
    )


def isolate(c: Constituents, rows: np.ndarray, isolation: Isolation) -> tuple[Candidates, np.ndarray]:
    """Sums around the candidates, and which of them are isolated."""
    counts = (c.pt >= isolation.pt_min) & ~np.isin(np.abs(c.pdgid), isolation.ignore)
    inner = -1.0 if isolation.delta_r_min is None else isolation.delta_r_min
    sums = core().cone_sums(
        rows, c.event[rows], c.eta, c.phi, c.pt, c.charge, counts, c.offsets, isolation.delta_r, inner
    )
    total = sums.sum(axis=1)
    if isolation.sum_max is not None:
        passed = total <= isolation.sum_max
    elif isolation.ratio_max is not None:
        passed = total <= isolation.ratio_max * c.pt[rows]
    else:
        passed = np.ones(len(rows), bool)
    return Candidates(rows, sums[:, 0], sums[:, 1]), passed


def select(c: Constituents, kind: str, definition: Leptons, draws: Draws) -> Candidates:
    """Objects of a kind, in descending pt within each event."""
    rows = candidates(c, kind)
    chance = efficiency(c, rows, definition)
    possible = chance > 0
    rows, chance = rows[possible], chance[possible]
    event = c.event[rows]
    uniform = draws.uniform(CANDIDATES, event, rows - c.offsets[event], 1)
    rows = rows[uniform[:, 0] <= chance]
    rows = rows[np.lexsort((-c.pt[rows], c.event[rows]))]
    if definition.isolation is None:
        return Candidates(rows, np.zeros(len(rows)), np.zeros(len(rows)))
    found, passed = isolate(c, rows, definition.isolation)
    return found[passed]
