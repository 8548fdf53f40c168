# SPDX-License-Identifier: MIT
"""Detector geometries: one TOML file each. A new detector is a new file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Calorimeter:
    """One calorimeter: rings of cells in eta, and which share of a species' energy it sees."""

    name: str
    pdgid: int  #: code of its energy-flow towers
    eta_edges: np.ndarray  #: float64 [rings + 1], ascending
    cells: np.ndarray  #: int64 [rings], cells in phi; the first begins at -pi
    fractions: dict[int, float]  #: |pdgid| -> share of the energy
    default_fraction: float  #: of every other species


@dataclass(frozen=True)
class Geometry:
    """A solenoid and its calorimeters."""

    name: str
    field: float  #: T
    radius: float  #: m
    half_length: float  #: m
    calorimeters: tuple[Calorimeter, ...]


def load(name: str | Path) -> Geometry:
    """Read a geometry: the name of a bundled one (``cms``) or the path of a TOML file."""
    path = Path(name)
    if path.suffix != ".toml":
        path = Path(__file__).with_name(f"{name}.toml")
    document = tomllib.loads(path.read_text())
    magnet = document["magnet"]
    return Geometry(
        name=document["name"],
        field=float(magnet["field"]),
        radius=float(magnet["radius"]),
        half_length=float(magnet["half_length"]),
        calorimeters=tuple(_calorimeter(table, path) for table in document["calorimeter"]),
    )


def _calorimeter(table: dict[str, Any], path: Path) -> Calorimeter:
    edges: list[np.ndarray] = []
    cells: list[int] = []
    for rings in table["rings"]:
        eta = np.array(rings["eta"]) if "eta" in rings else np.linspace(rings["from"], rings["to"], rings["count"] + 1)
        if edges and edges[-1][-1] != eta[0]:
            raise ValueError(f"{path}: {table['name']}: expected rings from eta {edges[-1][-1]} on, found {eta[0]}")
        edges.append(eta)
        cells += [rings["cells"]] * (len(eta) - 1)
    eta_edges = np.unique(np.concatenate(edges))
    if not np.allclose(eta_edges, -eta_edges[::-1], atol=1e-9):
        raise ValueError(f"{path}: {table['name']}: expected rings symmetric in eta, found {eta_edges.tolist()}")
    return Calorimeter(
        name=table["name"],
        pdgid=int(table["pdgid"]),
        eta_edges=eta_edges,
        cells=np.array(cells, dtype=np.int64),
        fractions={int(code): float(share) for code, share in table["fractions"].items()},
        default_fraction=float(table["default_fraction"]),
    )
