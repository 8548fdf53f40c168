# SPDX-License-Identifier: MIT
"""GEN particles for RECO constituents that carry no references: matching by distance, charge and energy.

A particle is compared with tracks where it was closest to the beam, and with towers where it meets the calorimeter:
the cell in the direction of its momentum at production is the wrong one for most charged particles.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

__all__ = ["CMS", "Arrival", "Magnet", "arrive", "match_towers", "match_tracks"]

GEV_PER_TESLA_METRE = 0.299792458
STRAIGHT = 1e6
"""Radius of the path of a neutral particle [m]."""

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


class Magnet(NamedTuple):
    """The volume in which particles are propagated: field along z [T], radius and half-length [m]."""

    field: float
    radius: float
    half_length: float


CMS = Magnet(3.8, 1.29, 3.0)


class Arrival(NamedTuple):
    """Where particles meet the calorimeter, and the direction of their closest approach to the beam: float64 [n]."""

    eta: np.ndarray
    phi: np.ndarray
    track_phi: np.ndarray


def arrive(
    pt: np.ndarray, eta: np.ndarray, phi: np.ndarray, charge: np.ndarray, vertex: np.ndarray, magnet: Magnet = CMS
) -> Arrival:
    """Follow particles to the cylinder on which the calorimeter begins.

    Parameters
    ----------
    pt, eta, phi, charge: float [n], GeV and e
    vertex: float [n, 3], mm

    With s the turned angle, r = pt / (0.3 |q| B) and x the start, the distance from the axis is
    rho^2(s) = rho0^2 + A (1 - cos s) + C sin s, A = 2 r (r + b), C = 2 r a; a, b: components of x along and across the
    momentum. Particles that start outside keep their direction.
    """
    x, y, z = np.asarray(vertex, np.float64).T * 1e-3
    inside = (np.hypot(x, y) <= magnet.radius) & (np.abs(z) <= magnet.half_length) & (pt > 3.2e-5)
    x, y, z = (np.where(inside, v, 0.0) for v in (x, y, z))
    bend = np.abs(charge) * GEV_PER_TESLA_METRE * magnet.field
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.clip(np.where(bend > 0, pt / bend, STRAIGHT), 1e-9, STRAIGHT)
    sign, slope = np.where(charge < 0, -1.0, 1.0), np.sinh(eta)
    a = x * np.cos(phi) + y * np.sin(phi)
    b = sign * (x * np.sin(phi) - y * np.cos(phi))
    big_a, big_c, d = 2 * r * (r + b), 2 * r * a, magnet.radius**2 - x * x - y * y
    discriminant = big_c**2 + (2 * big_a - d) * d
    root = np.sqrt(np.maximum(discriminant, 0))
    ahead = big_c >= 0
    half = np.arctan2(np.where(ahead, d, root - big_c), np.where(ahead, big_c + root, 2 * big_a - d))
    to_barrel = np.where(discriminant > 0, 2 * half * r, np.inf)  # curlers never arrive there
    to_endcap = (magnet.half_length - np.where(slope < 0, -z, z)) / np.maximum(np.abs(slope), 1e-9)
    path = np.minimum(to_barrel, to_endcap)
    half = 0.5 * path / r
    chord, toward = 2 * r * np.sin(half), phi - sign * half
    x_out, y_out = x + chord * np.cos(toward), y + chord * np.sin(toward)
    rho = np.maximum(np.hypot(x_out, y_out), 1e-6)
    back = -np.arctan2(a, r + b)
    return Arrival(
        np.where(inside, np.arcsinh((z + slope * path) / rho), eta),
        np.where(inside, np.arctan2(y_out, x_out), phi),
        phi - sign * back,
    )


def match_tracks(
    eta: np.ndarray, phi: np.ndarray, pt: np.ndarray, charge: np.ndarray, gen: dict[str, np.ndarray], arrival: Arrival
) -> np.ndarray:
    """Particle of each track of one event, int64 [n_tracks], -1: none; no particle has two.

    Pairs of the same charge within `TRACK_WINDOW`, nearest first, the distance being the sum of squares of the
    differences in eta, phi and ln pT over their scales. gen: pt, eta, charge and more of the stable particles [n].
    """
    d_eta = eta[:, None] - gen["eta"]
    d_phi = _wrapped(phi[:, None] - arrival.track_phi)
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
    arrival: Arrival,
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
    d2 = (eta[:, None] - arrival.eta) ** 2 + _wrapped(phi[:, None] - arrival.phi) ** 2
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
