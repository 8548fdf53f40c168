# SPDX-License-Identifier: MIT
"""Do generated jets know more than those that trained the model? And does one of many explode?

    PYTHONPATH=. python tests/benchmarks/amplify_jets.py jets-top --data top.parquet --jets 210000

The truth: the validation and test parts of the file, or its jets after the first ``--seen``, if the model saw none of
those. Against it, the jets that trained the model (the train part of the file, or of the first), and 1, 2, 5, ... times
as many generated ones: root mean squared error of the shares in ten quantiles of the truth, times ten
(arXiv:2008.06545), for the mass of the constituents, their number and the largest pt_rel. The floor is what the truth's
own number allows. Generated jets are counted if they are broken (`training.evaluate_jets.n_broken`), all constituents
of all of them. ``--save FILE`` keeps what was found, and goes on from there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import torch

from training.data import jets as jet_data
from training.evaluate_jets import momentum, n_broken, real

NAMES = ("mass", "n", "leading")


def observables(jets: ak.Array) -> np.ndarray:
    """Mass over pT, number and largest pt_rel, [jets, 3]."""
    sums = momentum(jets)
    return np.stack([sums["mass"], sums["n"], np.asarray(ak.max(jets.constituents.pt_rel, axis=1))], 1)


def error(values: np.ndarray, edges: np.ndarray) -> float:
    bins = len(edges) + 1
    share = np.bincount(np.searchsorted(edges, values), minlength=bins) / len(values)
    return float(np.sqrt(((bins * share - 1.0) ** 2).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name or path of a model without conditions, or that draws them")
    parser.add_argument("--data", type=Path, required=True, help="Parquet file of real jets of its class")
    parser.add_argument("--seen", type=int, help="rows, the first, that training, choice and test saw; default: all")
    parser.add_argument("--jets", type=int, required=True, help="jets to generate")
    parser.add_argument("--save", type=Path, help="file of what was found so far (npz)")
    options = parser.parse_args()
    torch.set_num_threads(1)

    found, broken = np.zeros((0, 3)), 0
    if options.save is not None and options.save.exists():
        with np.load(options.save) as stored:
            found, broken = stored["found"], int(stored["broken"])
    generator = hf.Generator(options.model, seed=1, device="cpu")
    parts = [found]
    for chunk in generator.iterate(max(0, options.jets - len(found)), chunk=5000, first=len(found), stream=2):
        parts.append(observables(chunk))
        broken += n_broken(chunk)
        if options.save is not None:
            np.savez(options.save, found=np.concatenate(parts), broken=broken)
    found = np.concatenate(parts)

    every = observables(real(options.data, "all"))
    rows = jet_data.part(options.seen or len(every), "train").numpy()
    trained, n = every[rows], len(rows)
    truth = every[options.seen :] if options.seen else np.delete(every, rows, axis=0)
    print(f"{generator.file.name}: {broken} broken of {len(found):,}; truth {len(truth):,}, trained on {n:,}\n")
    sizes = [k for k in (1, 2, 5, 10, 20) if k * n <= len(found)]
    columns = ["", "floor", "trained", *(f"{k} n generated" for k in sizes)]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    rng = np.random.default_rng(1)
    for k, name in enumerate(NAMES):
        values = [v[:, k] + (rng.random(len(v)) - 0.5 if name == "n" else 0.0) for v in (truth, trained, found)]
        edges = np.quantile(values[0], np.linspace(0, 1, 11)[1:-1])
        half = len(truth) // 2  # the second half against the first: errors of both; so many jets have half its square
        of_half = error(values[0][half:], np.quantile(values[0][:half], np.linspace(0, 1, 11)[1:-1]))
        row = [of_half / 2, error(values[1], edges), *(error(values[2][: m * n], edges) for m in sizes)]
        print(f"| {name} | " + " | ".join(f"{v:.4f}" for v in row) + " |")


if __name__ == "__main__":
    main()
