# SPDX-License-Identifier: MIT
"""Distributions of Delphes' top-pair events, as numbers, for the demo to compare with.

    python -m training.data.reference_histograms      # reads HEPGEN_DATA, writes demo/reference.json

`floor` is the W1 that two samples of Delphes itself have by chance, at the sizes `floor_events`: the mean over random
splits of the events.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
from hepgen_fastsim.demo.observables import OBSERVABLES, measure, quantiles, summarise, wasserstein

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("HEPGEN_DATA", ROOT.parent / "shared" / "data"))
OUTPUT = ROOT / "python" / "hepgen_fastsim" / "demo" / "reference.json"
TTBAR = 1
SPLITS = 40
CODES = np.array([0, 22, 130])  # reco_type: 0 track, 1 photon, 2 neutral hadron


def constituents(path: Path, process: int) -> ak.Array:
    """Delphes' constituents of the events of one process, with the columns of RECO that the demo needs."""
    names = ["process", "reco_type", "reco_pid", "reco_pt", "reco_eta", "reco_phi"]
    table = ak.from_arrow(pq.read_table(path, columns=names))
    table = table[table.process == process]
    counts = ak.num(table.reco_type)
    kind = ak.to_numpy(ak.flatten(table.reco_type))
    code = np.where(kind == 0, ak.to_numpy(ak.flatten(table.reco_pid)), CODES[kind])
    pt, eta, phi = (ak.flatten(table[f"reco_{name}"]) for name in ("pt", "eta", "phi"))
    mass = np.where(kind == 0, 0.13957, 0.0)  # tracks as pions: only jet masses depend on it, by permille
    return ak.unflatten(ak.zip({"pdgid": code, "pt": pt, "eta": eta, "phi": phi, "mass": mass}), counts)


def floor(reco: ak.Array, rng: np.random.Generator) -> tuple[dict[str, float], tuple[int, int]]:
    """Mean W1 between two halves of the events, over random splits."""
    half = len(reco) // 2
    found: dict[str, list[float]] = {}
    for _ in range(SPLITS):
        order = rng.permutation(len(reco))
        one, two = measure(reco[order[:half]]), measure(reco[order[half : 2 * half]])
        for name, values in one.items():
            found.setdefault(name, []).append(wasserstein(values, quantiles(two[name])))
    return {name: float(np.mean(w1)) for name, w1 in found.items()}, (half, half)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.reference_histograms", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the training data (HEPGEN_DATA)")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    path = options.data / "val" / "val.parquet"
    reco = constituents(path, TTBAR)
    floors, sizes = floor(reco, np.random.default_rng(1))
    result: dict[str, Any] = {
        "what": "pp -> t tbar, 13 TeV, Pythia 8.317 and Delphes 3.5.1+ with its CMS card",
        "events": len(reco),
        "data": {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "command": "python -m training.data.reference_histograms",
        "floor_events": sizes,
        "observables": {},
    }
    for name, values in measure(reco).items():
        summary = summarise(values, OBSERVABLES[name])
        result["observables"][name] = summary | {"floor": float(f"{floors[name]:.4g}")}
    options.output.write_text(json.dumps(result) + "\n", encoding="utf-8")
    print(f"{options.output}: {len(reco)} events, {len(result['observables'])} observables")


if __name__ == "__main__":
    main()
