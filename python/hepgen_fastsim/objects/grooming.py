# SPDX-License-Identifier: MIT
"""Substructure of large jets, in C++: trimming, pruning, soft drop (`hepgen_fastsim/grooming.hpp`) and N-subjettiness
(`hepgen_fastsim/nsubjettiness.hpp`)."""

from __future__ import annotations

import numpy as np

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.cards.card import FatJets
from hepgen_fastsim.objects.clustering import JetList
from hepgen_fastsim.objects.columns import Constituents, eta_of

__all__ = ["N_AXES", "groom", "nsubjettiness"]

N_AXES = 5
"""tau_1 … tau_5; and the groomed jet with up to four subjets."""


def nsubjettiness(jets: JetList, c: Constituents, definition: FatJets) -> np.ndarray:
    """tau_1 … tau_5 of each jet, float64 [n_jets, 5]; NaN if the card does not ask for them."""
    if (n := definition.nsubjettiness) is None:
        return np.full((len(jets), N_AXES), np.nan)
    return core().nsubjettiness(*c.momenta(jets.members), jets.bounds, definition.radius, n.beta, n.axes)


def groom(jets: JetList, c: Constituents, definition: FatJets) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Groomed jets: for each of trimmed, pruned, soft_dropped that the card asks for, (float64 [n_jets, 5, 4]: pt, eta,
    phi, mass of the groomed jet and its four hardest subjets, zeros for none; number of subjets int32 [n_jets])."""
    inputs = (*c.momenta(jets.members), jets.bounds)
    found = {}
    if (t := definition.trimming) is not None:
        found["trimmed"] = core().trim(*inputs, t.radius, t.pt_fraction)
    if (p := definition.pruning) is not None:
        found["pruned"] = core().prune(*inputs, p.radius, p.z_cut, p.r_cut)
    if (s := definition.softdrop) is not None:
        found["soft_dropped"] = core().soft_drop(*inputs, s.radius, s.z_cut, s.beta)
    return {name: (_polar(momenta), number) for name, (momenta, number) in found.items()}


def _polar(momenta: np.ndarray) -> np.ndarray:
    """pt, eta, phi, mass of px, py, pz, energy: [..., 4]."""
    px, py, pz, energy = np.moveaxis(momenta, -1, 0)
    pt, square = np.hypot(px, py), (energy + pz) * (energy - pz) - px**2 - py**2
    mass = np.copysign(np.sqrt(np.abs(square)), square)
    return np.stack([pt, eta_of(pt, pz), np.arctan2(py, px), mass], axis=-1)
