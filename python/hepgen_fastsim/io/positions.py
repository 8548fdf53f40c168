# SPDX-License-Identifier: MIT
"""Positions and times of constituents, which Delphes computes without randomness: from GEN particle, magnet and cells.

They are exact for tracks. A tower's time is that of its leading particle; in Delphes it is the mean over all particles
of the tower, which a model does not name.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from hepgen_fastsim import geometry
from hepgen_fastsim.helix import C_LIGHT, Magnet, arrival, cos_sin, track_leaves

__all__ = ["OUTER", "known_geometry", "of_particles", "surface", "tower_leaves"]

OUTER = ("EtaOuter", "PhiOuter", "TOuter", "XOuter", "YOuter", "ZOuter", "Xd", "Yd", "Zd", "L")
"""Leaves of a track that follow from its GEN particle."""

_BLOCK = 1 << 13  # constituents worked on at a time, which stay in the cache


@lru_cache(maxsize=8)
def known_geometry(name: str) -> geometry.Geometry:
    """A bundled geometry, read once."""
    return geometry.load(name)


def of_particles(
    truth: dict[str, np.ndarray], row: np.ndarray, known: np.ndarray, track: np.ndarray, detector: geometry.Geometry
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """`OUTER` of those constituents that are a `track` [n], and TOuter of all [n]: of GEN particles at `row` [n] of
    `truth`, 0 where they are not `known` [n]."""
    magnet, place = Magnet.of(detector), np.cumsum(track) - 1  # of each track in `out`
    out = {name: np.zeros(int(track.sum()), np.float32) for name in OUTER}
    times = np.zeros(len(row), np.float32)
    for chosen in (track, ~track):
        index = np.flatnonzero(known & chosen)
        for start in range(0, len(index), _BLOCK):
            rows = index[start : start + _BLOCK]
            paths = _arguments(truth, row[rows])
            if chosen is not track:
                times[rows] = arrival(**paths, magnet=magnet)
                continue
            found = track_leaves(**paths, magnet=magnet)
            times[rows] = found["TOuter"]
            for name, values in out.items():
                values[place[rows]] = found[name]
    return out, times


def _arguments(truth: dict[str, np.ndarray], row: np.ndarray) -> dict[str, Any]:
    """What `track_leaves` takes of particles."""
    t = {name: truth[name][row] for name in ("px", "py", "pz", "mass", "charge", "vx", "vy", "vz", "vt")}
    pt = np.sqrt(t["px"] ** 2 + t["py"] ** 2)
    return {
        "pt": pt,
        "eta": np.arcsinh(t["pz"] / np.maximum(pt, 1e-300)),
        "phi": np.arctan2(t["py"], t["px"]),
        "mass": t["mass"],
        "charge": t["charge"],
        "vertex": np.stack([t["vx"], t["vy"], t["vz"]], axis=1),
        "time": t["vt"] / C_LIGHT,
    }


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
