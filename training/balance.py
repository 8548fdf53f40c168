# SPDX-License-Identifier: MIT
"""Energy conservation: what tracks and tower of a calorimeter cell say together, over what entered it; isolation.

A track that is lost, or rescaled, should come back in the tower of its cell. A model with independent tracks and towers
has the right distributions of both and the wrong one of their sum.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from hepgen_fastsim import geometry
from hepgen_fastsim.events import columns_of
from hepgen_fastsim.geometry import Geometry
from hepgen_fastsim.helix import Magnet, follow
from hepgen_fastsim.objects.columns import particles
from hepgen_fastsim.validation.sources import GenFile, open_source
from hepgen_fastsim.validation.swap import Pair, distances, exchanges

LEAST = 5.0
"""Energy [GeV] that must have entered a cell."""

CONE = 0.3
"""Radius of the cone around a lepton."""

LEPTON_PT = 10.0
"""GeV, of isolated leptons."""

Found = dict[str, tuple[np.ndarray, np.ndarray]]


def observables(gen: ak.Array, reco: ak.Array, layout: Geometry) -> Found:
    """Values and events of a batch.

    ``ecal``, ``hcal``: (sum of the energies of a cell's tracks and tower) / (energy that entered it), of cells without
    charged particles; ``ecal, charged`` and ``hcal, charged`` of those with some. ``isolation``: sum of the pT of the
    other constituents in the cone around an electron or muon, over its pT.
    """
    p = particles(columns_of(gen))
    n_events = len(gen)
    energy = gen_column(gen, "energy")
    vertex = [gen_column(gen, name) for name in ("vx", "vy", "vz")]
    path = follow((p.px, p.py, p.pz), p.charge, vertex, Magnet.of(layout))
    counts = ak.to_numpy(ak.num(reco))
    event = np.repeat(np.arange(n_events), counts)
    flat = ak.flatten(reco)
    c = {name: ak.to_numpy(flat[name]) for name in ("pdgid", "pt", "eta", "phi", "mass", "origin")}
    reco_energy = np.sqrt((c["pt"].astype(np.float64) * np.cosh(c["eta"])) ** 2 + c["mass"].astype(np.float64) ** 2)
    linked = c["origin"] >= 0
    leader = np.where(linked, p.offsets[event] + c["origin"], 0)
    tower = np.isin(c["pdgid"], (22, 130))

    out: Found = {}
    for layer in layout.calorimeters:
        share = np.full(len(energy), layer.default_fraction)
        for code, fraction in layer.fractions.items():
            share[np.abs(p.pdgid) == code] = fraction
        share[p.status != 1] = 0.0
        edges = layer.edges(path.eta_out, path.phi_out)
        key = p.event * 10_000_000 + np.searchsorted(layer.eta_edges, edges[:, 1]) * 10_000
        key += np.rint((edges[:, 2] + np.pi) / (edges[:, 3] - edges[:, 2])).astype(np.int64)
        entered = (share > 0) & (np.abs(path.eta_out) < layer.eta_edges[-1])
        cells, index = np.unique(key[entered], return_inverse=True)
        total = np.bincount(index, (energy * share)[entered], len(cells))
        charged = np.bincount(index, (p.charge != 0)[entered], len(cells)) > 0
        mine = linked & np.where(tower, c["pdgid"] == layer.pdgid, share[leader] > 0) & entered[leader]
        place = np.searchsorted(cells, key[leader[mine]])
        found = np.bincount(place, (reco_energy * np.where(tower, 1.0, share[leader]))[mine], len(cells))
        for name, on in ((layer.name, ~charged), (f"{layer.name}, charged", charged)):
            use = on & (total > LEAST)
            out[name] = found[use] / total[use], cells[use] // 10_000_000

    lepton = np.flatnonzero(np.isin(np.abs(c["pdgid"]), (11, 13)) & (c["pt"] > LEPTON_PT))
    first = np.concatenate([[0], np.cumsum(counts)])
    n_others = counts[event[lepton]]
    of = np.repeat(np.arange(len(lepton)), n_others)
    other = np.arange(len(of)) - np.repeat(np.cumsum(n_others) - n_others, n_others) + first[event[lepton]][of]
    d_phi = np.abs(c["phi"][other] - c["phi"][lepton][of])
    near = np.hypot(c["eta"][other] - c["eta"][lepton][of], np.minimum(d_phi, 2 * np.pi - d_phi)) < CONE
    near &= other != lepton[of]
    around = np.bincount(of[near], c["pt"][other[near]], len(lepton))
    out["isolation"] = around / c["pt"][lepton], event[lepton]
    return out


def gen_column(gen: ak.Array, name: str) -> np.ndarray:
    """A column of the GEN particles, flat."""
    return ak.to_numpy(ak.flatten(getattr(gen["particles"], name))).astype(np.float64)


def judge(
    files: list[Path], data: Path, numbers: np.ndarray, detector: str, n_swaps: int = 400, batch: int = 500
) -> list[dict[str, Any]]:
    """W1 of each observable against the reference's, and its band: ``files`` are reference, models, rerun."""
    sources, gen, layout = [open_source(file) for file in files], GenFile(str(data)), geometry.load(detector)
    rows = [np.flatnonzero(np.isin(source.number, numbers)) for source in (*sources, gen)]
    found: list[dict[str, list[Any]]] = [{} for _ in sources]
    for start in range(0, len(numbers), batch):
        given = gen.take(rows[-1][start : start + batch])
        for source, own, into in zip(sources, rows, found):
            for name, (values, event) in observables(given, source.take(own[start : start + batch]), layout).items():
                into.setdefault(name, []).append((values, event + start))
    flip = exchanges(len(numbers), n_swaps, 1)
    out = []
    for name in found[0]:
        samples = [tuple(np.concatenate(column) for column in zip(*f[name])) for f in found]
        if min(len(values) for values, _ in samples) < 20:
            continue
        reference, *models, rerun = samples
        w1 = float(np.mean([distances(Pair.of(reference, model))[0] for model in models]))
        again = Pair.of(reference, rerun)
        floor, band = float(distances(again)[0]), float(np.nanquantile(distances(again, flip=flip), 0.95))
        mean = [float(np.mean(values)) for values, _ in samples]
        out.append(
            {
                "name": name,
                "n": len(reference[0]),
                "w1": w1,
                "floor": floor,
                "band": band,
                "of_band": w1 / band,
                "mean": {"reference": mean[0], "model": float(np.mean(mean[1:-1])), "rerun": mean[-1]},
            }
        )
    return out
