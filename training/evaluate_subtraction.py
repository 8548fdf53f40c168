# SPDX-License-Identifier: MIT
"""Judge a subtraction GAN through the engine: closure bin by bin, normalisation, speed. Prints Markdown.

    python -m training.evaluate_subtraction --model toy1.pt --train toy1.parquet --test toy1-test.parquet

Truth is the toys' density, else base - subtract + add of the test samples. An error is that of the training samples'
own difference (and of the test samples', where they are the truth): what the GAN has learnt from can know no better.
The floor is this difference of the training samples in the place of the GAN.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hepgen_fastsim._core_loader import core
from hepgen_fastsim.registry import find_model

from training.data import subtraction as samples_data
from training.data.subtraction import HIGH, LOW, TOYS, Samples, difference
from training.evaluate_unfolding import table
from training.networks.subtraction import SubtractionGan


def _energy(item: np.ndarray) -> np.ndarray:
    return np.sqrt((item[:, 0] * np.cosh(item[:, 1])) ** 2 + item[:, 3] ** 2)


def _four(item: np.ndarray) -> np.ndarray:
    pt, eta, phi, _ = item.T
    return np.stack([_energy(item), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)])


def _mass(items: np.ndarray) -> np.ndarray:
    e, px, py, pz = _four(items[:, 0]) + _four(items[:, 1])
    return np.sqrt(np.maximum(e**2 - px**2 - py**2 - pz**2, 0.0))


MASS_EDGES = np.r_[20, 22, 25:45:5, 50:90:10, 84:90:2, 89:95, 96, 100:140:10, 160, 200, 300, 600.0]
MASS_EDGES = np.unique(MASS_EDGES)
PT_EDGES = np.r_[10, 12, 15:45:5, 42:52:2, 60, 80, 120, 300.0]

Observable = tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]

#: edges of the bins, and the observable of items [N, I, G], by the case
OBSERVABLES: dict[str, dict[str, Observable]] = {
    "toy": {
        "x": (np.linspace(LOW, HIGH, 51), lambda i: i[:, 0, 0]),
        "ln x": (np.linspace(0, np.log(HIGH), 31), lambda i: np.log(i[:, 0, 0])),
    },
    "dilepton": {
        "m_ee [GeV]": (MASS_EDGES, _mass),
        "pT e- [GeV]": (PT_EDGES, lambda i: i[:, 0, 0]),
        "eta e-": (np.linspace(-6, 6, 31), lambda i: i[:, 0, 1]),
        "E e- [GeV]": (np.geomspace(10, 2000, 26), lambda i: _energy(i[:, 0])),
    },
    "dipole": {
        "pT g [GeV]": (np.geomspace(5, 400, 26), lambda i: i[:, 1, 0]),
        "E g [GeV]": (np.geomspace(5, 2000, 26), lambda i: _energy(i[:, 1])),
        "eta g": (np.linspace(-6, 6, 31), lambda i: i[:, 1, 1]),
        "E Z [GeV]": (np.geomspace(92, 2500, 26), lambda i: _energy(i[:, 0])),
        "m_Zg [GeV]": (np.geomspace(96.5, 1500, 26), _mass),
    },
}  # fmt: skip
#: bins shown one by one: observable and edges
SHOWN = {
    "toy": ("x", np.array([1, 2, 5, 10, 20, 40, 60, 75, 85, 95, 105, 120, 150, 200.0])),
    "dilepton": ("m_ee [GeV]", np.array([20, 25, 30, 40, 50, 60, 70, 80, 86, 89, 93, 96, 110, 150, 300.0])),
    "dipole": ("pT g [GeV]", np.array([5, 6, 8, 10, 15, 20, 30, 50, 80, 120, 200.0])),
}


def family(case: str) -> str:
    return "toy" if case in TOYS else case


def items_of(samples: Samples) -> list[np.ndarray]:
    """Items [N, I, G] of the events of each sample."""
    decode = SubtractionGan(samples, 1, 1, False).decode
    generator = torch.Generator().manual_seed(1)
    found = []
    for x in samples.events:
        angle = np.pi * (2 * torch.rand(len(x), generator=generator) - 1)
        found.append(decode(torch.from_numpy(x), angle).double().numpy())
    return found


def measured(samples: Samples, items: list[np.ndarray], edges: np.ndarray, take: Any) -> tuple[np.ndarray, np.ndarray]:
    """Base - subtract + add of samples in bins [n], cross section per bin, and its variance."""
    value = variance = np.zeros(len(edges) - 1)
    for sample, events in zip(samples.samples, items):
        counts = np.histogram(take(events), edges)[0]
        scale = sample.sigma / len(events)
        value = value + (-1 if sample.role == "subtract" else 1) * scale * counts
        variance = variance + scale**2 * np.maximum(counts, 1)
    return value, variance


def exact(case: str, edges: np.ndarray, logarithm: bool) -> np.ndarray:
    """The toys' truth in bins, by a fine trapezoid."""
    edges = np.exp(edges) if logarithm else edges
    fine = [np.linspace(a, b, 2001) for a, b in itertools.pairwise(edges)]
    return np.array([np.trapezoid(difference(case, x), x) for x in fine])


class Generated:
    """Events of a model through the engine, the result's and the base's."""

    def __init__(self, path: Path, n: int, seed: int = 11) -> None:
        loaded = core().Model(str(path))
        self.metadata = json.loads(loaded.metadata)
        self.engine = core().Engine(loaded, "cpu")
        self.asked = n
        self.items_per_event = self.metadata["slots"]["per_set"]
        start = time.process_time()
        self.items, self.scalars = self.run(0, n, seed)
        self.microseconds = 1e6 * (time.process_time() - start) / n
        self.base = self.run(1, n, seed + 1)[1]

    def run(self, request: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Items [N', I, G] and scalars [N', 2] (weight, class) of the events that exist, of n requested."""
        empty = np.zeros((0, 0))
        out = self.engine.run(
            empty.astype(np.float32), empty.astype(np.int64), np.zeros(n + 1, np.int64),
            np.full((n, 1), request, np.float32), np.arange(n), seed, 0,
        )  # fmt: skip
        exists = np.diff(out["offsets"]) > 0
        items = out["items"].reshape(-1, self.items_per_event, out["items"].shape[1])
        return items.astype(float), out["scalars"][exists]

    def normalisation(self) -> float:
        """Result over base as the generated classes have it, in units of the true ratio."""
        about = self.metadata["provenance"]
        sigma = sum(s["sigma"] for s in about["samples"] if s["role"] == "base")
        if len(self.base) < self.asked:  # learnt classes: those that are not asked for leave no events
            return self.scalars[:, 0].sum() / len(self.base) * sigma / about["result_sigma"]
        counts = np.bincount(self.base[:, 1].astype(int), minlength=len(about["classes"])) / self.asked
        rates = [sigma * n if n > 0 else c["rate"] for c, n in zip(about["classes"], counts, strict=True)]
        return sum(c["sign"] * rate for c, rate in zip(about["classes"], rates)) / about["result_sigma"]


def closure(generated: Generated, train: Samples, test: Samples) -> str:
    """χ²/ndf of each observable, and the bins of one."""
    case = family(train.case)
    trained, tested = items_of(train), items_of(test)
    weights = generated.scalars[:, 0].astype(float)
    unit = test.result / weights.sum()

    def made(edges: np.ndarray, take: Any) -> tuple[np.ndarray, np.ndarray]:
        values = take(generated.items)
        return (unit**k * np.histogram(values, edges, weights=weights**k)[0] for k in (1, 2))

    def compare(name: str, edges: np.ndarray, take: Any) -> tuple[np.ndarray, ...]:
        value, variance = made(edges, take)
        learnt, learnt_variance = measured(train, trained, edges, take)
        if case == "toy":
            truth, error = exact(train.case, edges, name == "ln x"), np.sqrt(learnt_variance)
        else:
            truth, test_variance = measured(test, tested, edges, take)
            error = np.sqrt(learnt_variance + test_variance)
        return truth, learnt, value, error, np.sqrt(variance)

    rows = []
    for name, (edges, take) in OBSERVABLES[case].items():
        truth, learnt, value, error, _ = compare(name, edges, take)
        pull, floor = (value - truth) / error, (learnt - truth) / error
        cells = [f"{(pull**2).mean():.2f}", f"{(floor**2).mean():.2f}", f"{np.abs(pull).max():.1f}"]
        rows.append([name, str(len(truth)), *cells, str((np.abs(pull) > 2).sum()), str((np.abs(pull) > 3).sum())])
    text = table(["observable", "bins", "χ²/ndf", "floor", "worst [σ]", "beyond 2 σ", "beyond 3 σ"], rows)
    name, edges = SHOWN[case]
    truth, learnt, value, error, _ = compare(name, edges, OBSERVABLES[case][name][1])
    rows = [
        [f"{a:g}–{b:g}", f"{t:.4g}", f"{s:.4g}", f"{v:.4g}", f"{e:.2g}", f"{(v - t) / e:+.1f}"]
        for a, b, t, s, v, e in zip(edges[:-1], edges[1:], truth, learnt, value, error, strict=True)
    ]
    header = [name, "truth", "samples' difference", "GAN", "samples' error", "(GAN - truth) / error"]
    return text + "\n" + table(header, rows)


def picture(generated: Generated, train: Samples, test: Samples, path: Path) -> None:
    """Each observable: base, subtract, add of the test samples, their difference, and the GAN's."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    case = family(train.case)
    tested, observables = items_of(test), OBSERVABLES[case]
    weights = generated.scalars[:, 0].astype(float)
    figure, axes = plt.subplots(2, len(observables), figsize=(4 * len(observables), 5), sharex="col", squeeze=False)
    for column, (name, (edges, take)) in zip(axes.T, observables.items()):
        widths = np.diff(edges)
        for sample, events in zip(test.samples, tested):
            counts = np.histogram(take(events), edges)[0] * sample.sigma / len(events)
            column[0].stairs(counts / widths, edges, label=sample.name, ls="--")
        truth, variance = measured(test, tested, edges, take)
        value = np.histogram(take(generated.items), edges, weights=weights)[0] * test.result / weights.sum()
        centre = 0.5 * (edges[1:] + edges[:-1])
        column[0].errorbar(centre, truth / widths, np.sqrt(variance) / widths, fmt="k.", ms=3, label="difference")
        column[0].stairs(value / widths, edges, color="r", label="GAN")
        column[0].set_yscale("symlog", linthresh=max(1e-3 * truth.max() / widths.max(), 1e-6))
        column[1].stairs((value - truth) / np.sqrt(variance), edges, color="r")
        column[1].axhline(0, color="k", lw=0.5)
        column[1].set(xlabel=name, ylim=(-6, 6))
        if edges[0] > 0 and edges[-1] / edges[0] > 20 and name != "x":
            column[1].set_xscale("log")
            column[1].xaxis.set_minor_formatter(NullFormatter())
    axes[0, 0].legend(fontsize=7)
    axes[1, 0].set_ylabel("(GAN - difference) / error")
    figure.tight_layout()
    figure.savefig(path, dpi=60)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate_subtraction", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--model", required=True, help="name or path of a model")
    parser.add_argument("--train", type=Path, required=True, help="samples that it was trained on")
    parser.add_argument("--test", type=Path, required=True, help="other samples of the same kind")
    parser.add_argument("-n", type=int, default=1_000_000, help="events to generate")
    parser.add_argument("--picture", type=Path, help="PNG to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    train, test = samples_data.load(options.train), samples_data.load(options.test)
    generated = Generated(find_model(options.model).path, options.n)
    print(closure(generated, train, test))
    facts = {
        "result of the classes / true": f"{generated.normalisation():.4f}",
        "events that exist, of those asked for": f"{len(generated.items) / options.n:.4f}",
        "of negative weight": f"{(generated.scalars[:, 0] < 0).mean():.4f}",
        "not finite": str(int((~np.isfinite(generated.items)).any((1, 2)).sum())),
        "CPU time per event [µs]": f"{generated.microseconds:.2f}",
    }
    print("\n" + table(list(facts), [list(facts.values())]))
    if options.picture:
        picture(generated, train, test, options.picture)


if __name__ == "__main__":
    main()
