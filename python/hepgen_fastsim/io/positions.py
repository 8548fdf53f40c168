# SPDX-License-Identifier: MIT
"""Positions and times of constituents, which Delphes computes without randomness: from GEN particle, magnet and cells.

They are exact for tracks. A tower's time is that of its leading particle; in Delphes it is the mean over all particles
of the tower, which a model does not name.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from hepgen_fastsim import geometry, helix
from hepgen_fastsim.helix import LEAVES, Magnet, cos_sin

__all__ = ["OUTER", "arrival", "known_geometry", "surface", "tower_leaves", "track_leaves"]

OUTER = tuple(leaf for leaf in LEAVES if leaf not in ("D0", "DZ"))
"""Leaves of a track that follow from its GEN particle; of `LEAVES`, the impact parameters are the model's."""


@lru_cache(maxsize=8)
def known_geometry(name: str) -> geometry.Geometry:
    """A bundled geometry, read once."""
    return geometry.load(name)


def track_leaves(truth: dict[str, np.ndarray], rows: np.ndarray, detector: geometry.Geometry) -> dict[str, np.ndarray]:
    """`OUTER` of tracks: float64 [n].

    truth: columns of GEN particles; rows: int64 [n], the particles that left the tracks, -1 for none (zeros).
    """
    path = helix.follow(**_given(truth, rows, detector))
    return {leaf: getattr(path, LEAVES[leaf]) for leaf in OUTER}


def arrival(truth: dict[str, np.ndarray], rows: np.ndarray, detector: geometry.Geometry) -> np.ndarray:
    """TOuter alone: float64 [n]."""
    return helix.arrival(**_given(truth, rows, detector))


def _given(truth: dict[str, np.ndarray], rows: np.ndarray, detector: geometry.Geometry) -> dict[str, Any]:
    momentum, vertex = ([truth[name] for name in names] for names in (("px", "py", "pz"), ("vx", "vy", "vz")))
    own = {"charge": truth["charge"], "mass": truth["mass"], "time": truth["vt"]}
    return {"momentum": momentum, "vertex": vertex, **own, "rows": rows, "magnet": Magnet.of(detector)}


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
