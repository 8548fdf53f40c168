# SPDX-License-Identifier: MIT
"""GEN particles for RECO constituents that carry no references: matching by distance, charge and energy.

A particle is compared with tracks where it was closest to the beam, and with towers where it meets the calorimeter:
the cell in the direction of its momentum at production is the wrong one for most charged particles.
"""

from __future__ import annotations

import math

import numpy as np

from hepgen_fastsim.helix import Path

__all__ = ["match_towers", "match_tracks"]

TRACK_ETA, TRACK_PHI, TRACK_LOG_PT = 0.01, 0.02, 0.3
"""Scales of the differences in eta, phi [rad] and ln pT between a track and its particle."""

TRACK_WINDOW = 0.1
"""Largest distance in (eta, phi) between a track and its particle."""

TOWER_WINDOW = 0.25
"""Largest distance in (eta, phi) between a tower and its leading particle."""

FORWARD = 3.0
"""|eta| beyond which the cells are coarse."""

TOWER_SCALE = {22: (0.02, 0.1), 130: (0.06, 0.1)}
"""Distances that a tower of this code and its particle typically have, before and beyond `FORWARD`."""

TRACKED = 0.1
"""Weight of a particle that has a track already, relative to one that has none: its energy is the track's."""

ELECTROMAGNETIC, MUON, NEUTRINOS = (11, 22), 13, (12, 14, 16)


def match_tracks(
    eta: np.ndarray, phi: np.ndarray, pt: np.ndarray, charge: np.ndarray, gen: dict[str, np.ndarray], path: Path
) -> np.ndarray:
    """Particle of each track of one event, int64 [n_tracks], -1: none; no particle has two.

    Pairs of the same charge within `TRACK_WINDOW`, nearest first, the distance being the sum of squares of the
    differences in eta, phi and ln pT over their scales. gen: pt, eta, charge and more of the stable particles [n].
    """
    d_eta = eta[:, None] - gen["eta"]
    d_phi = _wrapped(phi[:, None] - path.track_phi)
    near = (d_eta**2 + d_phi**2 < TRACK_WINDOW**2) & (charge[:, None] == np.sign(gen["charge"])) & (gen["charge"] != 0)
    track, particle = np.nonzero(near)
    with np.errstate(divide="ignore"):
        log_ratio = np.log(pt[track] / gen["pt"][particle])
    distance = (
        (d_eta[track, particle] / TRACK_ETA) ** 2
        + (d_phi[track, particle] / TRACK_PHI) ** 2
        + (log_ratio / TRACK_LOG_PT) ** 2
    )
    return _assign(track, particle, distance, len(eta), len(gen["pt"]))


def match_towers(
    code: int,
    eta: np.ndarray,
    phi: np.ndarray,
    gen: dict[str, np.ndarray],
    path: Path,
    tracked: np.ndarray,
) -> np.ndarray:
    """Leading particle of each tower of one event, int64 [n_towers], -1: none; no particle leads two.

    Photon towers (`code` 22) are led by electrons and photons, neutral-hadron towers (130) by hadrons. Of the particles
    that arrive within `TOWER_WINDOW` the one with the largest E exp(-d^2 / 2 w^2) leads, d its distance and w the
    typical one; those with a track (`tracked`, bool [n]) count `TRACKED` times their energy.
    """
    species = np.abs(gen["pdgid"])
    electromagnetic = np.isin(species, ELECTROMAGNETIC)
    seen = electromagnetic if code == 22 else ~(electromagnetic | (species == MUON) | np.isin(species, NEUTRINOS))
    d2 = (eta[:, None] - path.eta_out) ** 2 + _wrapped(phi[:, None] - path.phi_out) ** 2
    tower, particle = np.nonzero((d2 < TOWER_WINDOW**2) & seen)
    width = np.where(np.abs(eta[tower]) < FORWARD, *TOWER_SCALE[code])
    strength = np.log(np.maximum(gen["energy"][particle], 1e-9)) - 0.5 * d2[tower, particle] / width**2
    strength += np.where(tracked[particle], math.log(TRACKED), 0.0)
    return _assign(tower, particle, -strength, len(eta), len(gen["pt"]))


def _assign(first: np.ndarray, second: np.ndarray, cost: np.ndarray, n_first: int, n_second: int) -> np.ndarray:
    """Pair rows by ascending cost, each row once: int64 [n_first]."""
    out = np.full(n_first, -1)
    taken = np.zeros(n_second, bool)
    order = np.argsort(cost, kind="stable")
    for i, j in zip(first[order].tolist(), second[order].tolist()):
        if out[i] < 0 and not taken[j]:
            out[i] = j
            taken[j] = True
    return out


def _wrapped(phi: np.ndarray) -> np.ndarray:
    return (phi + np.pi) % (2 * np.pi) - np.pi
