# SPDX-License-Identifier: MIT
"""Paths of particles in a solenoid, and what Delphes computes from them without randomness; in C++
(`hepgen_fastsim/paths.hpp`).

A Delphes card with a ParticlePropagator, and without smearing of positions, times or impact parameters (its CMS and
ATLAS cards), gives a track all of these leaves from the GEN particle alone: EtaOuter, PhiOuter, X/Y/Z/TOuter, Xd, Yd,
Zd, D0, DZ, L. See `LEAVES`; the edges of a tower's cell are in `hepgen_fastsim.geometry`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.geometry import Geometry

__all__ = ["CMS", "LEAVES", "Magnet", "Path", "arrival", "cos_sin", "follow"]

Vectors = Sequence[np.ndarray]
"""x, y and z components, float [n_particles] each."""


class Magnet(NamedTuple):
    """The volume in which particles are propagated: field along z [T], radius and half-length [m]."""

    field: float
    radius: float
    half_length: float

    @classmethod
    def of(cls, geometry: Geometry) -> Magnet:
        """The volume of a detector."""
        return cls(geometry.field, geometry.radius, geometry.half_length)


CMS = Magnet(3.8, 1.29, 3.0)


def cos_sin(phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine in double precision, by the tangent of half the angle: numpy has vectors for that, while it
    takes its own one number at a time."""
    tangent = np.tan(0.5 * np.asarray(phi, np.float64))
    square = tangent * tangent
    return (1.0 - square) / (1.0 + square), 2.0 * tangent / (1.0 + square)


class Path(NamedTuple):
    """Paths of particles, float64 [n] each: mm, rad, s.

    out: where and when they leave the volume, seen from the origin in eta_out and phi_out; d: closest approach to the
    beam axis, there the azimuth track_phi of the momentum and the impact parameters d0, dz; length: from the vertex to
    the exit.
    """

    eta_out: np.ndarray
    phi_out: np.ndarray
    x_out: np.ndarray
    y_out: np.ndarray
    z_out: np.ndarray
    time_out: np.ndarray
    track_phi: np.ndarray
    x_d: np.ndarray
    y_d: np.ndarray
    z_d: np.ndarray
    d0: np.ndarray
    length: np.ndarray


LEAVES = {
    "EtaOuter": "eta_out",
    "PhiOuter": "phi_out",
    "TOuter": "time_out",
    "XOuter": "x_out",
    "YOuter": "y_out",
    "ZOuter": "z_out",
    "Xd": "x_d",
    "Yd": "y_d",
    "Zd": "z_d",
    "D0": "d0",
    "DZ": "z_d",
    "L": "length",
}
"""Leaves of Delphes' class Track that follow from the GEN particle -> fields of `Path`, in the same units."""


def follow(
    momentum: Vectors,
    charge: np.ndarray,
    vertex: Vectors,
    magnet: Magnet = CMS,
    *,
    mass: np.ndarray | None = None,
    time: np.ndarray | None = None,
    rows: np.ndarray | None = None,
) -> Path:
    """Follow particles to the cylinder on which the calorimeter begins.

    momentum, mass in GeV, charge in e, vertex in mm, time in mm (times the speed of light): [n_particles] each, mass
    and time 0 if they are not given. rows: int64 [n], those to be followed, -1 for zeros; default all. Particles that
    start outside stay where they are and keep their direction. See `hepgen_fastsim/paths.hpp` for the formulas.
    """
    return Path(**core().follow(*_columns(momentum, charge, vertex, mass, time, rows), *magnet))


def arrival(
    momentum: Vectors,
    charge: np.ndarray,
    vertex: Vectors,
    magnet: Magnet = CMS,
    *,
    mass: np.ndarray | None = None,
    time: np.ndarray | None = None,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """`Path.time_out` of `follow` alone [s]: when particles reach the cylinder."""
    return core().arrival(*_columns(momentum, charge, vertex, mass, time, rows), *magnet)


def _columns(momentum: Vectors, charge: np.ndarray, vertex: Vectors, *more: np.ndarray | None) -> tuple:
    n = len(charge)
    mass, time, rows = more
    none = np.zeros(n if mass is None or time is None else 0)
    mass, time = (none if column is None else column for column in (mass, time))
    return *momentum, mass, charge, *vertex, time, np.arange(n) if rows is None else rows
