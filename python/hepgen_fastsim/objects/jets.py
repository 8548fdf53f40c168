# SPDX-License-Identifier: MIT
"""Leaves of jets that follow from their constituents, as Delphes' jet finder and tree writer define them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hepgen_fastsim.objects.clustering import JetList
from hepgen_fastsim.objects.columns import NEUTRAL_HADRON, PHOTON, Constituents, Particles, over, ranges

__all__ = ["NO_ECAL", "contents", "lists", "momentum", "particle_lists"]

NO_ECAL = 999.9
"""EhadOverEem of jets without electromagnetic energy, in Delphes."""


def momentum(jets: JetList) -> dict[str, np.ndarray]:
    """pt, eta, phi, mass: float32 [n_jets]; eta ±999.9 along the beam."""
    return {name: getattr(jets, name).astype(np.float32) for name in ("pt", "eta", "phi", "mass")}


def contents(jets: JetList, inputs: Constituents | Particles) -> dict[str, np.ndarray]:
    """Counts, energy fractions and shapes, from the momenta of the jets as clustered.

    delta_eta, delta_phi   largest distance of a constituent from the axis, the maximum over this and all harder jets of
                           the event: so does Delphes' jet finder, which never resets them
    mean_sq_delta_r, ptd   sum pt^2 dR^2 / sum pt^2, sqrt(sum pt^2) / sum pt (zero in Delphes but for pile-up cards)
    ehad_over_eem          energy of neutral hadrons over that of photons; 999.9 without photons
    """
    member, of = jets.members, jets.member_of
    (pt, eta, phi, energy), charge = inputs.polar(member), inputs.charge[member]
    charged = charge != 0
    deta = np.abs(jets.eta[of] - eta)
    dphi = np.abs(jets.phi[of] - phi)
    dphi = np.where(dphi > np.pi, 2 * np.pi - dphi, dphi)
    with np.errstate(divide="ignore", invalid="ignore"):
        pt2 = jets.sums(pt**2)
        leaves = {
            "charge": np.rint(jets.sums(charge)).astype(np.int32),
            "n_charged": jets.sums(charged).astype(np.int32),
            "n_neutrals": jets.sums(~charged).astype(np.int32),
            "charged_energy_fraction": jets.sums(energy * charged) / jets.energy,
            "neutral_energy_fraction": jets.sums(energy * ~charged) / jets.energy,
            "delta_eta": _running_maximum(jets, deta),
            "delta_phi": _running_maximum(jets, dphi),
            "mean_sq_delta_r": jets.sums(pt**2 * (deta**2 + dphi**2)) / pt2,
            "ptd": np.sqrt(pt2) / jets.sums(pt),
        }
        if isinstance(inputs, Constituents):  # GEN particles have no calorimeter energies
            code = inputs.pdgid[member]
            eem, ehad = jets.sums(energy * (code == PHOTON)), jets.sums(energy * (code == NEUTRAL_HADRON))
            leaves["ehad_over_eem"] = np.where(eem > 0, ehad / eem, NO_ECAL)
        else:
            leaves["ehad_over_eem"] = np.full(len(jets), NO_ECAL)
    return {name: leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf for name, leaf in leaves.items()}


def _running_maximum(jets: JetList, values: np.ndarray) -> np.ndarray:
    largest = over(np.maximum, values, jets.bounds)
    if len(jets) == 0:
        return largest
    table = np.zeros((len(jets.offsets) - 1, int(jets.rank.max()) + 1))
    table[jets.event, jets.rank] = largest
    return np.maximum.accumulate(table, axis=1)[jets.event, jets.rank]


def lists(jets: JetList, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Constituents as indices within their event: (int64 [n_members], counts [n_jets])."""
    return jets.members - offsets[jets.event[jets.member_of]], np.bincount(jets.member_of, minlength=len(jets))


def particle_lists(jets: JetList, by_constituent: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """GEN particles of each jet, each once, ascending: (rows int64 [n], jet of each int64 [n]).

    by_constituent: `start`, `count` of each constituent's particles in `row`.
    """
    count = by_constituent["count"][jets.members]
    row = by_constituent["row"][ranges(by_constituent["start"][jets.members], count)]
    of = np.repeat(jets.member_of, count)
    first = of * (row.max(initial=0) + 1)  # `of` ascends: sorted, each jet's rows stay where they are
    row = np.sort(first + row) - first
    new = np.ones(len(row), bool)
    new[1:] = (row[1:] != row[:-1]) | (of[1:] != of[:-1])
    return row[new], of[new]
