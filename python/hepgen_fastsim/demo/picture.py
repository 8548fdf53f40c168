# SPDX-License-Identifier: MIT
"""The demo's picture: one event in the transverse plane, and distributions beside Delphes'."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Wedge

from hepgen_fastsim.demo.observables import OBSERVABLES

__all__ = ["draw", "draw_event"]

INK, GREY, FAINT, FILL = "#1b1b1f", "#8a8a92", "#e9e9ee", "#d4d6e0"
TRACK, PHOTON, NEUTRAL, MODEL = "#3f90da", "#f5a623", "#bd1f01", "#c2185b"

FIELD, RADIUS = 3.8, 1.29  # [T], [m]: the tracker of Delphes' CMS card
PANELS = ("track_pt", "photon_et", "neutral_et", "n_tracks", "jet_pt", "met")

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "legend.frameon": False,
    "mathtext.fontset": "dejavusans",
}


def draw(path: Path, gen: ak.Array, reco: ak.Array, values: dict[str, np.ndarray], reference: dict[str, Any]) -> None:
    """Write the picture as PNG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(16, 7.6), dpi=110)
        FigureCanvasAgg(figure)
        outer = figure.add_gridspec(
            1, 2, width_ratios=(0.92, 1.25), left=0.005, right=0.988, top=0.872, bottom=0.055, wspace=0.08
        )
        display = figure.add_subplot(outer[0])
        event = _choose(reco)
        draw_event(display, reco[event])
        grid = outer[1].subgridspec(2, 3, hspace=0.22, wspace=0.3)
        for i, name in enumerate(PANELS):
            cell = grid[i].subgridspec(2, 1, height_ratios=(3, 1), hspace=0.06)
            axes = figure.add_subplot(cell[0])
            _panel(axes, figure.add_subplot(cell[1], sharex=axes), name, values[name], reference, len(reco))
        figure.text(0.02, 0.95, r"$pp \to t\bar{t}$, 13 TeV", fontsize=17, color=INK, weight="bold")
        figure.text(0.02, 0.918, "one event as the model reconstructs it, seen along the beam", fontsize=11, color=GREY)
        left = outer[1].get_position(figure).x0
        figure.text(left, 0.95, "hepgen_fastsim beside Delphes", fontsize=17, color=INK, weight="bold")
        figure.text(left, 0.918, "entries per event and bin, and their ratio to Delphes", fontsize=11, color=GREY)
        key = [
            Patch(facecolor=FILL, edgecolor=GREY, label=f"Delphes, {reference['events']} events"),
            Line2D([], [], color=MODEL, marker="o", ms=5, lw=1.2, label=f"hepgen_fastsim, {len(reco)} events"),
        ]
        figure.legend(handles=key, loc="upper right", bbox_to_anchor=(0.994, 0.988), fontsize=10.5, handlelength=1.8)
        figure.savefig(path)


def _choose(reco: ak.Array) -> int:
    """An event with activity all around: the largest scalar sum of pT among those with a moderate imbalance."""
    pt = ak.to_numpy(ak.sum(reco.pt, axis=1))
    return int(np.argsort(pt)[int(0.8 * (len(pt) - 1))])


def _path(pt: float, phi: float, charge: int) -> np.ndarray:
    """Transverse track from the beam to the calorimeter, or a full turn, [n, 2] in m; radius pT/(0.3 B)."""
    radius = pt / (0.299792458 * FIELD)
    turn = 2 * np.arcsin(RADIUS / (2 * radius)) if 2 * radius > RADIUS else 2 * np.pi
    angle = np.linspace(0, turn, 60 if turn > 0.3 else 12)
    chord, bend = 2 * radius * np.sin(angle / 2), phi - np.sign(charge) * angle / 2
    return np.stack([chord * np.cos(bend), chord * np.sin(bend)], axis=1)


def draw_event(axes: Axes, event: ak.Array, *, legend: bool = True) -> None:
    """One event (its constituents) in the transverse plane: tracks bend, towers are as long as ln pT, |eta| < 2.5."""
    central = event[abs(event.eta) < 2.5]
    pdgid, pt, phi = (ak.to_numpy(central[name]) for name in ("pdgid", "pt", "phi"))
    charge = ak.to_numpy(central.charge)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.add_patch(Circle((0, 0), RADIUS + 0.5, color="#f6f6f9", lw=0))
    axes.add_patch(Circle((0, 0), RADIUS, facecolor="white", edgecolor=FAINT, lw=1.2))
    for fraction in (0.25, 0.5, 0.75):
        axes.add_patch(Circle((0, 0), RADIUS * fraction, fill=False, edgecolor=FAINT, lw=0.7))
    is_track = (pdgid != 22) & (pdgid != 130)
    order = np.argsort(pt[is_track])
    lines = [_path(*row) for row in zip(pt[is_track][order], phi[is_track][order], charge[is_track][order])]
    widths = np.clip(0.5 + 0.5 * np.log10(np.maximum(pt[is_track][order], 0.1) / 0.5), 0.35, 2.2)
    alphas = np.clip(0.35 + 0.25 * np.log10(np.maximum(pt[is_track][order], 0.1)), 0.3, 1.0)
    colours = [mpl.colors.to_rgba(TRACK, alpha) for alpha in alphas]
    axes.add_collection(LineCollection(lines, linewidths=widths, colors=colours, capstyle="round"))
    for code, colour, inner, width in ((22, PHOTON, RADIUS + 0.02, 2.2), (130, NEUTRAL, RADIUS + 0.20, 4.2)):
        chosen = pdgid == code
        length = 0.32 * np.log10(1 + pt[chosen] / 0.5)
        degrees = np.degrees(phi[chosen])
        wedges = [Wedge((0, 0), inner + s, d - width / 2, d + width / 2, width=s) for s, d in zip(length, degrees)]
        axes.add_collection(PatchCollection(wedges, facecolor=colour, edgecolor="white", linewidth=0.3, alpha=0.85))
    px, py = np.sum(pt * np.cos(phi)), np.sum(pt * np.sin(phi))
    missing, direction = np.hypot(px, py), np.arctan2(-py, -px)
    tip = (1.15 * RADIUS * np.cos(direction), 1.15 * RADIUS * np.sin(direction))
    axes.annotate("", tip, (0, 0), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.4, "ls": (0, (5, 3))})
    axes.set_xlim(-2.05, 2.05)
    axes.set_ylim(-2.15, 1.95)
    if not legend:
        return
    handles = [
        Line2D([], [], color=TRACK, lw=2, label=f"{is_track.sum()} tracks"),
        Line2D([], [], color=PHOTON, lw=6, label=f"{(pdgid == 22).sum()} photons"),
        Line2D([], [], color=NEUTRAL, lw=6, label=f"{(pdgid == 130).sum()} neutral hadrons"),
        Line2D([], [], color=INK, lw=1.4, ls=(0, (5, 3)), label=f"missing $p_T$ {missing:.0f} GeV"),
    ]
    axes.legend(handles=handles, loc="lower left", fontsize=9.5, handlelength=1.6, labelcolor=INK, borderaxespad=0.2)


def _panel(
    axes: Axes,
    ratio: Axes,
    name: str,
    values: np.ndarray,
    reference: dict[str, Any],
    n_events: int,
) -> None:
    observable, stored = OBSERVABLES[name], reference["observables"][name]
    edges = observable.edges
    centres = np.sqrt(edges[1:] * edges[:-1]) if observable.log else (edges[1:] + edges[:-1]) / 2
    counts, expected = np.histogram(values, edges)[0], np.array(stored["counts"])
    mine, error = counts / n_events, np.sqrt(counts) / n_events
    theirs, their_error = expected / reference["events"], np.sqrt(expected) / reference["events"]
    axes.stairs(theirs, edges, fill=True, color=FILL)
    axes.stairs(theirs, edges, color=GREY, lw=0.9)
    axes.errorbar(centres, mine, error, fmt="o", ms=3.2, lw=1.0, color=MODEL)
    if observable.log:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(np.min(theirs[theirs > 0]) / 3, np.max(theirs) * 5)
    else:
        axes.set_ylim(0, 1.35 * np.max(theirs + their_error))
    axes.set_xlim(edges[0], edges[-1])
    axes.tick_params(labelbottom=False)
    axes.set_title(observable.title, loc="left", fontsize=10.5, color=INK, pad=5)
    filled = expected >= 3
    with np.errstate(divide="ignore", invalid="ignore"):
        band = np.where(filled, their_error / theirs, np.nan)
        ratio.stairs(1 + band, edges, baseline=1 - band, fill=True, color=FILL)
        ratio.errorbar(
            centres[filled], (mine / theirs)[filled], (error / theirs)[filled], fmt="o", ms=2.6, lw=0.9, color=MODEL
        )
    ratio.axhline(1, color=GREY, lw=0.8)
    ratio.set_ylim(0.4, 1.6)
    ratio.set_yticks([0.5, 1, 1.5])
    ratio.tick_params(labelsize=8)
