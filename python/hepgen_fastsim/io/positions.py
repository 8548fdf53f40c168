# SPDX-License-Identifier: MIT
"""Positions and times of constituents, which Delphes computes without randomness: from GEN particle, magnet and cells.

They are exact for tracks. A tower's time is that of its leading particle; in Delphes it is the mean over all particles
of the tower, which a model does not name.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from hepgen_fastsim import geometry, helix
from hepgen_fastsim.helix import C_LIGHT, Magnet, cos_sin

__all__ = ["LEADER", "OUTER", "arrival", "known_geometry", "surface", "tower_leaves", "track_leaves"]

OUTER = ("EtaOuter", "PhiOuter", "TOuter", "XOuter", "YOuter", "ZOuter", "Xd", "Yd", "Zd", "L")
"""Leaves of a track that follow from its GEN particle."""

LEADER = ("px", "py", "pz", "mass", "charge", "vx", "vy", "vz", "vt")
"""Columns of GEN particles that positions and times follow from."""

_BLOCK = 1 << 13  # constituents worked on at a time, which stay in the cache


@lru_cache(maxsize=8)
def known_geometry(name: str) -> geometry.Geometry:
    """A bundled geometry, read once."""
    return geometry.load(name)


def track_leaves(leader: dict[str, np.ndarray], detector: geometry.Geometry) -> dict[str, np.ndarray]:
    """`OUTER` of the tracks [n] of particles, given by their columns `LEADER`: float32."""
    out = {name: np.empty(len(leader["px"]), np.float32) for name in OUTER}
    for rows, path in _blocks(leader, detector):
        found = helix.track_leaves(**path)
        for name, values in out.items():
            values[rows] = found[name]
    return out


def arrival(leader: dict[str, np.ndarray], detector: geometry.Geometry) -> np.ndarray:
    """TOuter alone: float32 [n]."""
    out = np.empty(len(leader["px"]), np.float32)
    for rows, path in _blocks(leader, detector):
        out[rows] = helix.arrival(**path)
    return out


def _blocks(leader: dict[str, np.ndarray], detector: geometry.Geometry) -> Iterator[tuple[slice, dict[str, Any]]]:
    """Rows, and what `helix` takes of them."""
    for start in range(0, len(leader["px"]), _BLOCK):
        rows = slice(start, start + _BLOCK)
        px, py, pz, mass, charge, x, y, z, time = (leader[name][rows] for name in LEADER)
        path = {"momentum": (px, py, pz), "mass": mass, "charge": charge, "vertex": (x, y, z), "time": time / C_LIGHT}
        yield rows, path | {"magnet": Magnet.of(detector)}


def surface(eta: np.ndarray, phi: np.ndarray, detector: geometry.Geometry) -> dict[str, np.ndarray]:
    """X, Y, Z [mm] where a direction [n] from the origin meets the calorimeters."""
    slope = np.sinh(eta)
    with np.errstate(divide="ignore"):
        rho = 1e3 * np.minimum(detector.radius, detector.half_length / np.abs(slope))
    cos, sin = cos_sin(phi)
    return {"X": rho * cos, "Y": rho * sin, "Z": rho * slope}


def tower_leaves(eta: np.ndarray, phi: np.ndarray, layer: int, detector: geometry.Geometry) -> dict[str, np.ndarray]:
    """X, Y, Z and Edges of towers [n] of a calorimeter: 0 the electromagnetic, 1 the hadronic one."""
    eta, phi = np.asarray(eta, np.float64), np.asarray(phi, np.float64)
    return {**surface(eta, phi, detector), "Edges": detector.calorimeters[layer].edges(eta, phi)}
