# SPDX-License-Identifier: MIT
"""The demo: top pairs from Pythia, simulated by a bundled model, compared with Delphes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

__all__ = ["PYTHIA_SETTINGS", "compare", "run_demo", "sample"]

PYTHIA_SETTINGS = ("Beams:eCM = 13000", "Top:gg2ttbar = on", "Top:qqbar2ttbar = on")

SAMPLE = Path(__file__).with_name("sample_ttbar.pq")
REFERENCE = Path(__file__).with_name("reference.json")


def sample() -> Path:
    """File of the bundled sample: the stable particles of 40 top pairs at 13 TeV, by Pythia 8.

    >>> gen = next(hf.read(hf.sample()))
    """
    return SAMPLE


def run_demo(
    folder: str | os.PathLike[str], *, model: str | os.PathLike[str] = "delphes-cms", n_events: int = 300, seed: int = 1
) -> dict[str, dict[str, float]]:
    """Simulate top pairs, write `demo.root` and `demo.png` into `folder`, print a comparison with Delphes.

    Returns the rows of the printed table, {observable: {mean, width, w1, …}}.
    """
    from rich.console import Console

    from hepgen_fastsim.demo.observables import measure
    from hepgen_fastsim.fastsim import FastSim
    from hepgen_fastsim.io import open_output

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False)
    sim = FastSim(model, seed=seed)
    description = sim.metadata
    begun = time.perf_counter()
    gen, origin = _events(n_events, seed)
    console.print(f"GEN   {len(gen)} top pairs at 13 TeV {origin}, {time.perf_counter() - begun:.1f} s")
    sim(gen[:4])  # the first call optimises the network; it does not count
    begun = time.perf_counter()
    reco = sim(gen)
    seconds = time.perf_counter() - begun
    console.print(
        f"RECO  {ak.count(reco.pt):,} constituents by {description['name']} {description['version']} on {sim.device}, "
        f"{1e3 * seconds / len(gen):.2f} ms/event"
    )
    provenance = {"model": description["name"], "sha256": sim.sha256, "seed": seed, "command": "hepgen-fastsim demo"}
    with open_output(folder / "demo.root", overwrite=True, provenance=provenance) as out:
        out.write(gen, reco)
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
    values = measure(reco)
    rows = compare(values, reference, len(gen))
    console.print(_table(rows, len(gen), reference))
    console.print("jets: anti-kT, R = 0.5, pT > 20 GeV")
    console.print(f"file    {folder / 'demo.root'}")
    if (picture := _draw(folder / "demo.png", gen, reco, values, reference)) is not None:
        console.print(f"picture {picture}")
    else:
        console.print("no picture: matplotlib is not installed; `pip install hepgen_fastsim[demo]`.")
    return rows


def _events(n_events: int, seed: int) -> tuple[ak.Array, str]:
    from importlib.util import find_spec

    from hepgen_fastsim.io import read, read_pythia

    if find_spec("pythia8mc") is not None:
        (gen,) = read_pythia(PYTHIA_SETTINGS, n_events, batch_size=n_events, seed=seed)
        return gen, "from Pythia 8, in memory"
    (gen,) = read(SAMPLE, entry_stop=n_events)
    return gen, "of the bundled sample (Pythia is not installed)"


def compare(values: dict[str, np.ndarray], reference: dict[str, Any], n_events: int) -> dict[str, dict[str, float]]:
    """Mean, width and W1 of each observable against the stored distributions.

    `expected` is the W1 that Delphes itself would have against them with `n_events` events: the stored one between two
    samples, scaled by sqrt(1/n + 1/m).
    """
    from hepgen_fastsim.demo.observables import wasserstein

    n, m = reference["floor_events"]
    scale = np.sqrt((1 / n_events + 1 / reference["events"]) / (1 / n + 1 / m))
    rows = {}
    for name, stored in reference["observables"].items():
        if name in values and len(values[name]):
            rows[name] = {
                "mean": float(np.mean(values[name])),
                "width": float(np.std(values[name])),
                "reference_mean": stored["mean"],
                "reference_width": stored["std"],
                "w1": wasserstein(values[name], np.array(stored["quantiles"])),
                "expected": stored["floor"] * scale,
            }
    return rows


def _table(rows: dict[str, dict[str, float]], n_events: int, reference: dict[str, Any]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from hepgen_fastsim.demo.observables import OBSERVABLES

    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=f"{n_events} simulated events and {reference['events']} of Delphes (CMS card)",
        title_justify="left",
    )
    table.add_column("observable", no_wrap=True)
    for title in ("mean", "Delphes", "width", "Delphes", "W1", "by chance"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, row in rows.items():
        observable = OBSERVABLES[name]
        title = f"{observable.words} [{observable.unit}]" if observable.unit else observable.words
        numbers = (row[k] for k in ("mean", "reference_mean", "width", "reference_width", "w1", "expected"))
        table.add_row(title, *(f"{number:.3g}" if abs(number) < 100 else f"{number:.0f}" for number in numbers))
    return table


def _draw(
    path: Path, gen: ak.Array, reco: ak.Array, values: dict[str, np.ndarray], reference: dict[str, Any]
) -> Path | None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        return None
    from hepgen_fastsim.demo.picture import draw

    draw(path, gen, reco, values, reference)
    return path
