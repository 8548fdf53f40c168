# SPDX-License-Identifier: MIT
"""Does an event model ever explode? Simulates a file's events many times, and counts what should not occur.

    python -m training.guard --model delphes-cms --data val.parquet --events 1000000

Counted are constituents that are not finite, of no or of negative pT, outside |eta| < 6 or |phi| <= pi, or of more
energy than both beams have; and events whose visible energy is more than twice that of GEN. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import awkward as ak
import hepgen_fastsim as hf
import numpy as np

BEAMS = 13_000.0
"""GeV."""


def count(model: str, data: str, n_events: int, seed: int = 1) -> dict[str, Any]:
    """Counts over at least ``n_events`` simulated events; every pass over the file has a seed of its own."""
    begun = time.perf_counter()
    out = dict.fromkeys(("events", "particles", "constituents", "not_finite", "out_of_range", "energy_gained"), 0)
    out |= {"largest_pt": 0.0, "largest_energy_ratio": 0.0}
    batches = list(hf.read(data, batch_size=800))
    inside = [(g["particles"].status == 1) & (abs(g["particles"].eta) < 5.2) for g in batches]
    energies = [ak.to_numpy(ak.sum(ak.where(on, g["particles"].energy, 0.0), axis=1)) for on, g in zip(inside, batches)]
    while out["events"] < n_events:
        sim = hf.FastSim(model, device="cpu", seed=seed)
        seed += 1
        for gen, on, truth in zip(batches, inside, energies):
            reco = sim(gen)
            flat = ak.flatten(reco)
            pt, eta, phi, mass = (ak.to_numpy(flat[name]).astype(np.float64) for name in ("pt", "eta", "phi", "mass"))
            others = [ak.to_numpy(flat[name]) for name in ("d0", "dz")]
            finite = np.all([np.isfinite(column) for column in (pt, eta, phi, mass, *others)], axis=0)
            with np.errstate(over="ignore", invalid="ignore"):
                energy = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
            usual = (pt > 0) & (np.abs(eta) < 6) & (np.abs(phi) <= np.pi + 1e-6) & (energy < BEAMS)
            event = np.repeat(np.arange(len(gen)), ak.to_numpy(ak.num(reco)))
            visible = np.bincount(event[finite], energy[finite], len(gen))
            ratio = visible / np.maximum(truth, 1.0)
            out["events"] += len(gen)
            out["particles"] += int(ak.sum(on))
            out["constituents"] += len(pt)
            out["not_finite"] += int((~finite).sum())
            out["out_of_range"] += int((finite & ~usual).sum())
            out["energy_gained"] += int((ratio > 2.0).sum())
            out["largest_pt"] = max(out["largest_pt"], float(pt[finite].max(initial=0.0)))
            out["largest_energy_ratio"] = max(out["largest_energy_ratio"], float(ratio.max(initial=0.0)))
    out["seconds"] = round(time.perf_counter() - begun, 1)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.guard", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="delphes-cms")
    parser.add_argument("--data", required=True, help="event file, or any file with GEN events")
    parser.add_argument("--events", type=int, default=1_000_000, help="simulated events at least")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(json.dumps(count(options.model, options.data, options.events, options.seed), indent=1))


if __name__ == "__main__":
    main()
