# SPDX-License-Identifier: MIT
"""Small events with two sprays of particles back to back, and simple detectors for them."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hepgen_fastsim import io
from hepgen_fastsim._core_loader import core
from hepgen_fastsim.events import GenColumns, gen_batch
from hepgen_fastsim.validation.sources import ragged

CODES = np.array([211, -211, 321, 22, 22, 130, 2112, 13, -13])


def gen_events(n_events: int = 60, seed: int = 1, numbers: np.ndarray | None = None) -> ak.Array:
    """A GEN batch; pT of the sprays about 60 GeV, all particles within |eta| < 2 and stable."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(20, 40, n_events)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    n = int(offsets[-1])
    axis, tilt = rng.uniform(-np.pi, np.pi, n_events), rng.uniform(-1.5, 1.5, (n_events, 2))
    event, side = np.repeat(np.arange(n_events), sizes), rng.integers(0, 2, n)
    pt = rng.exponential(4.0, n) + 0.2
    phi, eta = axis[event] + np.pi * side + rng.normal(0, 0.12, n), tilt[event, side] + rng.normal(0, 0.12, n)
    columns = {"pdgid": rng.choice(CODES, n), "status": np.ones(n, np.int32)}
    columns |= {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta)}
    number = 7 + np.arange(n_events) if numbers is None else numbers
    return gen_batch(GenColumns(columns, offsets, np.arange(n_events)), info={"number": number}, source="synthetic")


def reco_of(
    gen: ak.Array, seed: int = 1, *, shift: float = 0.0, scale: float = 1.0, efficiency: float = 0.9, width: float = 0.1
) -> ak.Array:
    """A detector that finds a share of the particles, with pT = scale * (1 + width * Gaussian) * GEN pT + shift."""
    rng = np.random.default_rng(seed)
    p = gen["particles"]
    offsets = np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(p)))])
    event = np.repeat(np.arange(len(gen)), np.diff(offsets))
    flat = ak.flatten(p)
    keep = rng.random(len(flat)) < efficiency
    code = ak.to_numpy(flat["pdgid"])
    charge = core().pdg_charge(code)
    pt = ak.to_numpy(flat.pt) * np.maximum(scale * (1 + width * rng.normal(size=len(flat))), 0.05) + shift
    columns = {
        "pdgid": np.where(charge != 0, code, np.where(code == 22, 22, 130)),
        "pt": pt,
        "eta": ak.to_numpy(flat.eta),
        "phi": ak.to_numpy(flat.phi),
        "mass": np.where(charge != 0, core().pdg_mass(code), 0.0),
        "charge": np.rint(charge),
        "origin": np.arange(len(flat)) - offsets[event],
    }
    lengths = np.bincount(event[keep], minlength=len(gen))
    return ragged({k: v[keep] for k, v in columns.items()}, np.concatenate([[0], np.cumsum(lengths)]))


def write(path: Path, gen: ak.Array, reco: ak.Array, format: str = "parquet", **provenance: object) -> Path:
    """A file as `hepgen-fastsim simulate` writes it."""
    with io.open_output(path, format, provenance=provenance) as out:
        out.write(gen, reco)
    return path


def write_pairs(path: Path, gen: ak.Array | None, reco: ak.Array, number: np.ndarray) -> Path:
    """Training pairs; without GEN columns if there are none, as in a rerun."""
    kind = ak.where(reco.pdgid == 22, 1, ak.where(reco.pdgid == 130, 2, 0))
    columns = {"process": number // 100_000, "event": number}
    if gen is not None:
        p = gen["particles"]
        columns |= {"gen_pdgid": p.pdgid, "gen_pt": p.pt, "gen_eta": p.eta, "gen_phi": p.phi}
    columns |= {"reco_type": kind, "reco_pid": reco.pdgid, "reco_charge": reco.charge}
    columns |= {"reco_pt": reco.pt, "reco_eta": reco.eta, "reco_phi": reco.phi, "reco_gen_index": reco.origin}
    arrays = {k: v if isinstance(v, np.ndarray) else pa.array(ak.to_list(v)) for k, v in columns.items()}
    pq.write_table(pa.table(arrays), path)
    return path
