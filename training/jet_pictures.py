# SPDX-License-Identifier: MIT
"""A picture of generated jets beside real ones: constituents, jets, substructure, each with a ratio below.

    python -m training.jet_pictures --models r0.pt r1.pt r4.pt --data gluon.parquet --leading 30 --out layers.png

draws several models beside the validation jets: pt_rel of the constituents, summed pt_rel, mass, a flow polynomial.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from hepgen_fastsim import metrics
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

REAL, GENERATED = "#8a8a92", "#c2185b"
SEVERAL = ("#1565c0", "#ef6c00", GENERATED, "#2e7d32")
_SQUARE, _TRIANGLE = [(0, 1), (1, 2), (2, 3), (0, 3)], [(0, 1), (1, 2), (0, 2)]
Panel = tuple[np.ndarray, np.ndarray, bool]  #: real, generated, whether the axis is logarithmic


def panels(reference: ak.Array, candidate: ak.Array) -> dict[str, Panel]:
    """What is shown, by the label of its axis."""
    from training.evaluate_jets import momentum

    both = (reference, candidate)
    sums = [momentum(jets) for jets in both]
    found: dict[str, Panel] = {}
    for name, label, log in (
        ("eta_rel", r"constituent $\eta^{rel}$", False),
        ("phi_rel", r"constituent $\phi^{rel}$", False),
        ("pt_rel", r"constituent $p_T^{rel}$", True),
    ):
        found[label] = (*(ak.to_numpy(ak.flatten(jets.constituents[name])) for jets in both), log)
    for name, label in (("n", "constituents"), ("pt", r"$\Sigma p_T^{rel}$"), ("mass", r"jet mass / $p_T$")):
        found[label] = (sums[0][name], sums[1][name], False)
    for rank in (0, 4):
        values = [
            ak.to_numpy(ak.fill_none(ak.pad_none(jets.constituents.pt_rel, rank + 1)[:, rank], 0)) for jets in both
        ]
        found[f"$p_T^{{rel}}$ of constituent {rank + 1}"] = (*values, False)
    if "jet_pt" in candidate.fields:
        pts = [ak.to_numpy(jets.jet_pt) for jets in both]
        found[r"jet $p_T$ [GeV]"] = (*pts, False)
        masses = [pt * own["mass"] for pt, own in zip(pts, sums)]  # of the constituents that are compared
        found["jet mass [GeV]"] = (*masses, False)
    for label, graph in (("EFP, triangle", _TRIANGLE), ("EFP, square", _SQUARE)):
        found[label] = (*(_polynomial(jets, graph) for jets in both), True)
    return found


def _polynomial(jets: ak.Array, graph: list[tuple[int, int]]) -> np.ndarray:
    c = jets.constituents
    return metrics.efps(ak.zip({"pt": c.pt_rel, "eta": c.eta_rel, "phi": c.phi_rel}), [graph], normed=False)[:, 0]


def draw(reference: ak.Array, candidate: ak.Array, path: Path, title: str, bins: int = 40) -> Path:
    """Write the picture (PNG)."""
    found = panels(reference, candidate)
    columns = 4
    lines = -(-len(found) // columns)
    figure = Figure(figsize=(3.1 * columns, 2.9 * lines), dpi=70, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{title}: {len(candidate):,} generated jets (line), {len(reference):,} real ones (area)")
    grid: Any = figure.add_gridspec(2 * lines, columns, height_ratios=[3, 1] * lines)
    for k, (label, (real, new, log)) in enumerate(found.items()):
        top = figure.add_subplot(grid[2 * (k // columns), k % columns])
        below = figure.add_subplot(grid[2 * (k // columns) + 1, k % columns], sharex=top)
        _panel(top, below, label, real, new, log, bins)
    figure.savefig(path)
    return path


def _edges(real: np.ndarray, log: bool, bins: int) -> np.ndarray:
    """Edges of the bins that show the real values."""
    low, high = np.quantile(real[real > 0] if log else real, (0.001, 0.999))
    if high - low < 1e-9 * abs(high):  # all equal
        low, high = low - 0.5 * abs(low), high + 0.5 * abs(high)
    if log:
        return np.geomspace(max(low, 1e-12), max(high, 2e-12), bins + 1)
    if real.dtype.kind == "i":
        step = max(1, int(np.ceil((high - low + 1) / bins)))
        return np.arange(np.floor(low), high + step + 1, step) - 0.5
    return np.linspace(low, high, bins + 1)


def _panel(top: Any, below: Any, label: str, real: np.ndarray, new: np.ndarray, log: bool, bins: int) -> None:
    new = new[np.isfinite(new)]
    edges = _edges(real, log, bins)
    if log:
        top.set_xscale("log")
    counts = [np.histogram(v, edges)[0].astype(float) for v in (real, new)]
    density = [c / n / np.diff(edges) for c, n in zip(counts, (len(real), max(len(new), 1)))]
    top.stairs(density[0], edges, fill=True, color=REAL, alpha=0.5)
    top.stairs(density[1], edges, color=GENERATED, linewidth=1.2)
    top.set_yscale("log")
    top.tick_params(labelbottom=False, labelsize=7)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = density[1] / density[0]
        error = ratio * np.sqrt(1 / counts[0] + 1 / counts[1])
    centre = np.sqrt(edges[1:] * edges[:-1]) if log else 0.5 * (edges[1:] + edges[:-1])
    shown = np.isfinite(ratio) & np.isfinite(error)
    below.axhline(1.0, color=REAL, linewidth=0.8)
    below.errorbar(centre[shown], ratio[shown], error[shown], fmt=".", color=GENERATED, markersize=2, linewidth=0.7)
    below.set_ylim(0.5, 1.5)
    below.set_xlabel(label, fontsize=8)
    below.tick_params(labelsize=7)


def several(reference: ak.Array, candidates: dict[str, ak.Array], path: Path, bins: int = 40) -> Path:
    """Jets of several models, by name, beside real ones, in four panels (PNG)."""
    found = {name: panels(reference, jets) for name, jets in candidates.items()}
    shown = [r"constituent $p_T^{rel}$", r"$\Sigma p_T^{rel}$", r"jet mass / $p_T$", "EFP, square"]
    figure = Figure(figsize=(10, 2.6), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    for axis, label in zip(figure.subplots(1, 4), shown):
        real, _, log = next(iter(found.values()))[label]
        edges = _edges(real, log, bins)
        width = np.diff(np.log(edges) if log else edges)
        axis.stairs(np.histogram(real, edges)[0] / len(real) / width, edges, fill=True, color=REAL, alpha=0.5)
        for (name, found_panels), colour in zip(found.items(), SEVERAL):
            new = found_panels[label][1]
            axis.stairs(np.histogram(new, edges)[0] / len(new) / width, edges, color=colour, linewidth=1.2, label=name)
        axis.set_xscale("log" if log else "linear")
        axis.set_yscale("log")
        axis.set_xlabel(label, fontsize=8)
        axis.tick_params(labelsize=7)
        if label == shown[0]:
            axis.legend(fontsize=7)
    figure.savefig(path)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    import hepgen_fastsim as hf

    from training.evaluate_jets import comparable, generated, real

    parser = argparse.ArgumentParser(prog="python -m training.jet_pictures", description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", required=True, help="names or paths of models, at most four")
    parser.add_argument("--data", type=Path, required=True, help="Parquet file of real jets of their class")
    parser.add_argument("--leading", type=int, help="constituents to keep")
    parser.add_argument("--jets", type=int, default=6000, help="validation jets, and jets generated by each")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    options = parser.parse_args(arguments)
    reference, candidates = real(options.data, "val", options.leading, options.jets), {}
    for model in options.models:
        generator = hf.Generator(model, seed=1)
        jets = generated(generator, len(reference), options.leading, reference)
        candidates[Path(model).stem] = comparable(jets, generator.metadata["scalars"])
    several(reference, candidates, options.out)


if __name__ == "__main__":
    main()
