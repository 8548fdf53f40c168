# SPDX-License-Identifier: MIT
"""Pictures of top pairs at parton level: distributions with ratio panels, and the resonances."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

from training.parton_observables import DISTRIBUTIONS

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_LABELS = {
    "pt_t": "$p_T$ of the top", "pt_w": "$p_T$ of the W", "pt_b": "$p_T$ of the b", "pt_q": "$p_T$ of the quark",
    "e_t": "$E$ of the top", "e_b": "$E$ of the b", "e_q": "$E$ of the quark", "eta_b": "$\\eta$ of the b",
    "y_tt": "rapidity of the pair", "m_tt": "mass of the pair", "cos_w": "$\\cos\\theta$ of the W",
    "dr_qq": "$\\Delta R$ of the quarks",
}  # fmt: skip
_COLOURS = ("#4477aa", "#cc6677", "#228833", "#ccbb44", "#aa3377")

Samples = Mapping[str, Mapping[str, np.ndarray]]


def ratios(truth: np.ndarray, found: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ratio of the shapes in each bin, its error, and the truth's own error; nan where the truth has no event."""
    a, b = (np.histogram(values, edges)[0].astype(float) for values in (truth, found))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(a > 0, (b / len(found)) / (a / len(truth)), np.nan)
        return ratio, np.where(b > 0, ratio / np.sqrt(b), np.nan), np.where(a > 0, 1 / np.sqrt(a), np.nan)


def draw_distributions(samples: Samples, path: Path, bins: int = 40) -> None:
    """The twelve distributions of samples by name, the first being the truth, each with its ratio below."""
    names = list(samples)
    figure, axes = plt.subplots(
        6, 4, figsize=(13, 12.5), gridspec_kw={"height_ratios": [2.2, 1] * 3, "hspace": 0.32, "wspace": 0.27}
    )
    for k, (key, unit) in enumerate(DISTRIBUTIONS.items()):
        top, below = axes[2 * (k // 4), k % 4], axes[2 * (k // 4) + 1, k % 4]
        truth = samples[names[0]][key]
        low, high = np.quantile(truth, [0.0, 0.9995])
        edges = np.linspace(low, high, bins + 1)
        middle = 0.5 * (edges[1:] + edges[:-1])
        top.hist(truth, edges, histtype="stepfilled", color="0.85", density=True, label=names[0])
        for name, colour in zip(names[1:], ("0.4", *_COLOURS)):
            values = samples[name][key]
            counts = np.histogram(values, edges)[0] / (len(values) * np.diff(edges))
            top.stairs(counts, edges, color=colour, label=name, linewidth=1.1)
            ratio, error, own = ratios(truth, values, edges)
            below.errorbar(middle, ratio, error, color=colour, fmt=".", markersize=2, linewidth=0.6)
        below.fill_between(middle, 1 - own, 1 + own, color="0.85", step="mid")
        top.set_yscale("log" if unit else "linear")
        top.set_xticklabels([])
        below.axhline(1.0, color="0.3", linewidth=0.6)
        below.set_ylim(0.7, 1.3)
        below.set_xlabel(_LABELS[key] + (f" [{unit}]" if unit else ""), fontsize=9)
        for axis in (top, below):
            axis.set_xlim(low, high)
            axis.tick_params(labelsize=7)
    axes[0, 0].legend(fontsize=7, frameon=False)
    _save(figure, path)


def draw_resonances(samples: Samples, path: Path) -> None:
    """Masses of W and top: each sample's curve over the truth's."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8))
    names = list(samples)
    for axis, keys, centre, reach in zip(axes, (("m_wp", "m_wm"), ("m_t", "m_tbar")), (80.4, 173.0), (15.0, 15.0)):
        edges = np.linspace(centre - reach, centre + reach, 121)
        for name, colour in zip(names, ("0.85", "0.4", *_COLOURS)):
            values = np.concatenate([samples[name][key] for key in keys])
            counts = np.histogram(values, edges)[0] / (len(values) * np.diff(edges))
            axis.stairs(counts, edges, color=colour, label=name, fill=name == names[0], linewidth=1.2)
        axis.set_xlabel(f"mass of the {'W' if centre < 100 else 'top'} [GeV]")
        axis.set_ylabel("density [1/GeV]")
    axes[0].legend(fontsize=8, frameon=False)
    figure.tight_layout()
    _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> None:
    figure.savefig(path, dpi=62, bbox_inches="tight", pil_kwargs={"optimize": True})
    plt.close(figure)
