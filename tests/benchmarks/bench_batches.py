# SPDX-License-Identifier: MIT
"""What the shape of a batch and the precision cost: CPU time of one thread, variants in turn, medians.

    python tests/benchmarks/bench_batches.py

Particles per batch; bfloat16 (and TF32, where there is a GPU) against float32, with the distances (W1) that it puts
between constituents of the same noise, beside those between two seeds; ragged events against events padded to the
longest of 64: as a dense network pays for it, where a row of padding goes through all layers like any other (particles
of other events), and with neutrinos, which this network drops before its layers. The events are the top pairs and the
validation events of HEPGEN_DATA.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pyarrow.parquet as pq
import torch

DATA = Path(os.environ.get("HEPGEN_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
GEN = {"pdgid": "gen_pdgid", "pt": "gen_pt", "eta": "gen_eta", "phi": "gen_phi"}
GEN |= {"vx": "gen_vx", "vy": "gen_vy", "vz": "gen_vz"}


def in_turn(actions: dict[str, Callable[[], object]], rounds: int = 7) -> dict[str, float]:
    """Median CPU time of each action [s], one after the other in every round."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for i in range(rounds + 1):
        for name, action in actions.items():
            begun = time.thread_time()
            action()
            if i:
                times[name].append(time.thread_time() - begun)
    return {name: float(np.median(values)) for name, values in times.items()}


def w1(a: np.ndarray, b: np.ndarray) -> float:
    q = (np.arange(4000) + 0.5) / 4000
    return float(np.abs(np.quantile(a, q) - np.quantile(b, q)).mean())


def observables(reco: ak.Array) -> dict[str, np.ndarray]:
    track = (reco.pdgid != 22) & (reco.pdgid != 130)
    found = {
        "track pt": reco.pt[track],
        "photon pt": reco.pt[reco.pdgid == 22],
        "hadron pt": reco.pt[reco.pdgid == 130],
    }
    out = {name: ak.to_numpy(ak.flatten(values)) for name, values in found.items()}
    out["constituents"], out["HT"] = ak.to_numpy(ak.num(reco.pt)), ak.to_numpy(ak.sum(reco.pt, axis=1))
    out["MET"] = ak.to_numpy(np.hypot(ak.sum(reco.px, axis=1), ak.sum(reco.py, axis=1)))
    return out


def batches(gen: ak.Array) -> None:
    sizes = (16384, 32768, 65536, 98304, 131072, 262144)
    sims = {str(size): hf.FastSim(device="cpu", batch_items=size) for size in sizes}
    found = in_turn({name: lambda sim=sim: sim(gen) for name, sim in sims.items()})
    print(
        "slots per batch: " + ", ".join(f"{name} {1e3 * t / len(gen):.3f}" for name, t in found.items()) + " ms/event"
    )


def precision(gen: ak.Array) -> None:
    f32, bf16 = (hf.FastSim(device="cpu", seed=1, precision=p) for p in ("float32", "bf16"))
    found = in_turn({"float32": lambda: f32(gen), "bf16": lambda: bf16(gen)})
    print(f"bf16 / float32: {found['bf16'] / found['float32']:.2f} of the time")
    moved(gen, "bf16", f32, bf16)
    if torch.cuda.is_available():
        wide = hf.FastSim(device="cuda", seed=1)
        wide(gen)
        torch.backends.cuda.matmul.allow_tf32 = True
        for name in ("tf32", "bf16"):
            moved(gen, name, wide, hf.FastSim(device="cuda", seed=1, precision=name))


def moved(gen: ak.Array, name: str, wide: hf.FastSim, narrow: hf.FastSim) -> None:
    torch.backends.cuda.matmul.allow_tf32, allowed = False, torch.backends.cuda.matmul.allow_tf32
    a, c = observables(wide(gen)), observables(hf.FastSim(device=wide.device, seed=2)(gen))
    torch.backends.cuda.matmul.allow_tf32 = allowed
    b = observables(narrow(gen))
    for column in a:
        to_narrow, to_other = w1(a[column], b[column]), w1(a[column], c[column])
        print(f"  {wide.device} {column:14} W1 to {name} {to_narrow:8.4f}, to another seed {to_other:8.4f}")


def ragged(n_events: int = 640, together: int = 64) -> None:
    table = pq.read_table(DATA / "val" / "val.parquet", columns=list(GEN.values())).slice(0, n_events)
    lists = {name: table[column].combine_chunks() for name, column in GEN.items()}
    offsets = np.asarray(lists["pdgid"].offsets, np.int64)
    offsets = offsets - offsets[0]
    columns = {name: np.asarray(values.flatten()) for name, values in lists.items()}
    counts = np.diff(offsets)
    longest = np.repeat(counts.reshape(-1, together).max(axis=1), together)
    padded_offsets = np.concatenate([[0], np.cumsum(longest)])
    place = np.arange(padded_offsets[-1]) - np.repeat(padded_offsets[:-1], longest)
    own = place < np.repeat(counts, longest)
    other = np.random.default_rng(1).integers(0, offsets[-1], len(place))
    row = np.where(own, np.repeat(offsets[:-1], longest) + place, other)
    dense = {name: values[row] for name, values in columns.items()}
    filler = {"pdgid": 12, "pt": 1.0}
    masked = {name: np.where(own, values, values.dtype.type(filler.get(name, 0))) for name, values in dense.items()}
    sim = hf.FastSim(device="cpu")
    found = in_turn(
        {
            "ragged": lambda: sim({**columns, "offsets": offsets}),
            "dense": lambda: sim({**dense, "offsets": padded_offsets}),
            "neutrinos": lambda: sim({**masked, "offsets": padded_offsets}),
        },
        rounds=5,
    )
    dense_time, masked_time = (found[name] / found["ragged"] for name in ("dense", "neutrinos"))
    print(
        f"{n_events} events of eight processes, {counts.min()} to {counts.max()} particles: padding to the longest of "
        f"{together} takes {padded_offsets[-1] / offsets[-1]:.2f} times the rows and "
        f"{dense_time:.2f} times the time; with neutrinos {masked_time:.2f}"
    )


def main() -> None:
    gen = next(iter(hf.read(DATA / "real" / "ttbar100.hepmc.gz")))
    batches(gen)
    precision(gen)
    ragged()


if __name__ == "__main__":
    main()
