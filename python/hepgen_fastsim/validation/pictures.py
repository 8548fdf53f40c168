# SPDX-License-Identifier: MIT
"""The report's pictures, as data URIs. At their natural width of 345 CSS pixels, text has 14 pixels."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import awkward as ak
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hepgen_fastsim.demo.picture import FILL, GREY, INK, MODEL, STYLE, draw_event
from hepgen_fastsim.validation.cells import Cell
from hepgen_fastsim.validation.measure import Values
from hepgen_fastsim.validation.observables import Observable, edges_of
from hepgen_fastsim.validation.responses import QUANTITIES
from hepgen_fastsim.validation.tables import bin_words
from hepgen_fastsim.validation.truth import RATES

__all__ = ["distribution", "event", "overview", "rate", "response"]

RERUN, BAND = "#1f6fb2", "#e3e4ea"
WIDTH, HEIGHT = 3.6, 3.35  # inches
# ticks take most of the time of a small picture
_STYLE = STYLE | {"font.size": 10.5, "figure.dpi": 200, "ytick.minor.visible": False, "xtick.minor.ndivs": 2}
_SHAPES = {"inside": "#2e7d32", "outside": "#b45309", "beyond": "#b3261e"}


@contextmanager
def _figure(height: float = HEIGHT) -> Iterator[Figure]:
    with mpl.rc_context(_STYLE):
        yield Figure(figsize=(WIDTH, height))


def _png(figure: Figure, colours: int = 64) -> str:
    """A PNG with a palette, a tenth of the size of an SVG with its letters in it."""
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    out = io.BytesIO()
    palette = image.quantize(colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    white = [255 if value >= 248 else value for value in palette.getpalette() or []]
    palette.putpalette(white)
    palette.save(out, "PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def _panels(figure: Figure, left: float = 0.2) -> tuple[Axes, Axes]:
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (2.5, 1), "hspace": 0.07})
    figure.subplots_adjust(left=left, right=0.965, top=0.965, bottom=0.155)
    upper.tick_params(labelbottom=False)
    return upper, lower


def _points(axes: Axes, x: np.ndarray, y: np.ndarray, error: np.ndarray, size: float = 3.0) -> None:
    """The candidate's points with error bars ([n] or [2, n]), where there are numbers."""
    shown = np.isfinite(y) & np.isfinite(error).reshape(-1, len(y)).all(axis=0)
    axes.errorbar(x[shown], y[shown], error[..., shown], fmt="o", ms=size, lw=1.0, color=MODEL)


def _counts(sample: tuple[np.ndarray, np.ndarray], edges: np.ndarray, n_events: int) -> np.ndarray:
    """Counts per event and bin: float64 [n_events, n_bins]."""
    values, event = sample
    where = np.searchsorted(edges, values, side="right") - 1
    inside = (where >= 0) & (where < len(edges) - 1)
    key = event[inside].astype(np.int64) * (len(edges) - 1) + where[inside]
    return np.bincount(key, minlength=n_events * (len(edges) - 1)).reshape(n_events, -1).astype(np.float64)


def distribution(
    observable: Observable,
    reference: Values,
    candidates: list[Values],
    rerun: Values | None,
    rows: np.ndarray,
) -> str:
    """Entries per event and bin, and their ratio to the reference.

    Error bars and the band are those of the difference to the reference: events share their GEN particles, so that it
    is smaller than that of independent samples. They follow from the differences event by event.
    `rows`: bool [n_events].
    """
    place = np.cumsum(rows) - 1
    n_events = int(rows.sum())

    def of(values: Values) -> tuple[np.ndarray, np.ndarray]:
        numbers, events = values.joined()
        keep = rows[events]
        return numbers[keep], place[events[keep]]

    own = of(reference)
    edges = edges_of(observable, own[0])
    table = _counts(own, edges, n_events)
    expected = table.sum(axis=0)
    others = [_counts(of(c), edges, n_events) for c in candidates]
    mine = np.mean([o.sum(axis=0) for o in others], axis=0)
    error = np.sqrt(((others[0] - table) ** 2).sum(axis=0)) / np.sqrt(len(others))
    again = None if rerun is None else _counts(of(rerun), edges, n_events)
    spread = np.sqrt(expected) if again is None else np.sqrt(((again - table) ** 2).sum(axis=0))
    centres = np.sqrt(edges[1:] * edges[:-1]) if observable.scale == "log" else (edges[1:] + edges[:-1]) / 2
    with _figure() as figure:
        axes, ratio = _panels(figure)
        axes.stairs(expected / n_events, edges, fill=True, color=FILL)
        axes.stairs(expected / n_events, edges, color=GREY, lw=0.9)
        if again is not None:
            axes.stairs(again.sum(axis=0) / n_events, edges, color=RERUN, lw=1.1)
        _points(axes, centres, mine / n_events, error / n_events)
        if observable.scale == "log":
            _logarithmic(axes, edges[0], edges[-1])
        _vertical(axes, expected / n_events, observable)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylabel("entries / event")
        filled = expected >= 5
        with np.errstate(divide="ignore", invalid="ignore"):
            band = np.where(filled, spread / expected, np.nan)
            ratio.stairs(1 + band, edges, baseline=1 - band, fill=True, color=FILL)
            if again is not None:
                relative = np.where(filled, again.sum(axis=0) / expected, np.nan)
                ratio.stairs(relative, edges, color=RERUN, lw=1.1, baseline=None)
            quotient, relative_error = (mine / expected)[filled], (error / expected)[filled]
        _points(ratio, centres[filled], quotient, relative_error, 2.8)
        _around_one(ratio, np.concatenate([quotient, 1 + band[filled]]))
        ratio.set_xlabel(observable.axis)
        return _png(figure)


def _logarithmic(axes: Axes, low: float, high: float) -> None:
    """A logarithmic axis, with plain numbers where they are of everyday size."""
    axes.set_xscale("log")
    decades = np.log10(high / low)
    if decades < 4.5 and low > 1e-2 and high < 2e4:
        subs = (1.0,) if decades > 2.2 else (1.0, 2.0, 5.0)
        axes.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=subs))
        axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())


def _vertical(axes: Axes, heights: np.ndarray, observable: Observable) -> None:
    positive = heights[heights > 0]
    wide = len(positive) and positive.max() / positive.min() > 300 and observable.scale != "integer"
    if wide:
        axes.set_yscale("log")
        axes.set_ylim(positive.min() / 3, positive.max() * 4)
    elif len(positive):
        axes.set_ylim(0, 1.3 * positive.max())
        axes.ticklabel_format(axis="y", style="plain", useOffset=False)


def _around_one(axes: Axes, values: np.ndarray, least: float = 0.04, most: float = 0.7) -> None:
    off = np.abs(values[np.isfinite(values)] - 1)
    size = float(np.clip(1.35 * np.quantile(off, 0.97) if len(off) else least, least, most))
    step = max(d for d in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if d <= 0.8 * size)
    axes.axhline(1, color=GREY, lw=0.8, zorder=0)
    axes.set_ylim(1 - size, 1 + size)
    axes.set_yticks([1 - step, 1, 1 + step])
    axes.set_ylabel("ratio")


def response(tables: dict[str, list[dict[str, Any]]], variable: str, quantity: str) -> str | None:
    """Response, resolution or tails in bins, and their ratio to the reference; None if no bin has enough jets."""
    rows = [row for row in tables[variable] if quantity in row]
    if not rows:
        return None
    x = np.arange(len(rows))
    edges = np.arange(len(rows) + 1) - 0.5
    figures = [row[quantity] for row in rows]
    last = tables[variable][-1]
    labels = [bin_words(row, row is last and variable == "pt") for row in rows]

    def column(name: str) -> np.ndarray:
        return np.array([f[name] for f in figures], np.float64)

    with _figure() as figure:
        axes, ratio = _panels(figure)
        reference, error = column("reference"), column("reference_error")
        axes.stairs(reference + error, edges, baseline=reference - error, fill=True, color=FILL)
        axes.stairs(reference, edges, color=GREY, lw=1.0, baseline=None)
        if "rerun" in figures[0]:
            axes.stairs(column("rerun"), edges, color=RERUN, lw=1.1, baseline=None)
            ratio.stairs(column("rerun_ratio"), edges, color=RERUN, lw=1.1, baseline=None)
        _points(axes, x, column("candidate"), column("candidate_error"), 4)
        band = column("band")
        ratio.stairs(1 + band, edges, baseline=1 - band, fill=True, color=FILL, zorder=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = column("candidate_error") / reference
        _points(ratio, x, column("ratio"), relative, 3.5)
        _around_one(ratio, np.concatenate([column("ratio"), 1 + band]), least=0.01)
        axes.set_ylabel(f"{QUANTITIES[quantity].split(',')[0]}")
        axes.margins(y=0.25)
        ratio.set_xticks(x, labels, fontsize=9.5 if len(x) > 4 else None)
        ratio.tick_params(axis="x", which="minor", bottom=False, top=False)
        axes.tick_params(axis="x", which="minor", bottom=False, top=False)
        ratio.set_xlim(edges[0], edges[-1])
        ratio.set_xlabel({"pt": "GEN jet $p_T$ [GeV]", "eta": r"GEN jet $|\eta|$"}[variable])
        return _png(figure)


def rate(table: dict[str, Any], name: str) -> str | None:
    """An efficiency or a share of fakes in bins, and the difference to the reference; None if all are 0."""
    kind = RATES[name]
    edges = np.array(kind.edges)
    shown = (table["n_reference"] > 0) & np.isfinite(table["candidate"]) & np.isfinite(table["sigma"])
    if not shown.any() or not any(np.nansum(table[key]) > 0 for key in ("reference", "candidate")):
        return None
    centres = np.sqrt(edges[1:] * edges[:-1]) if kind.variable == "pt" else (edges[1:] + edges[:-1]) / 2
    with _figure() as figure:
        axes, lower = _panels(figure)
        axes.stairs(table["reference"], edges, fill=True, color=FILL)
        axes.stairs(table["reference"], edges, color=GREY, lw=1.0)
        if "rerun" in table:
            axes.stairs(table["rerun"], edges, color=RERUN, lw=1.1, baseline=None)
            lower.stairs(table["rerun"] - table["reference"], edges, color=RERUN, lw=1.1, baseline=None)
        value = table["candidate"]
        errors = np.maximum(np.stack([value - table["candidate_low"], table["candidate_high"] - value]), 0)
        _points(axes, centres[shown], value[shown], errors[:, shown], 3.5)
        sigma = table["sigma"]
        difference = value - table["reference"]
        lower.stairs(sigma, edges, baseline=-sigma, fill=True, color=FILL, zorder=-1)
        _points(lower, centres[shown], difference[shown], sigma[shown])
        lower.axhline(0, color=GREY, lw=0.8, zorder=0)
        size = np.nanquantile(np.abs(np.concatenate([difference[shown], 2 * sigma[shown]])), 0.9)
        lower.set_ylim(-1.4 * size or -1, 1.4 * size or 1)
        lower.set_ylabel("diff.")
        axes.set_ylabel("share of fakes" if kind.fake else "efficiency")
        axes.set_ylim(0, 1.25 * np.nanmax([np.nanmax(table["reference"]), np.nanmax(value)]))
        filled = np.flatnonzero(shown)
        if kind.variable == "pt":
            _logarithmic(axes, edges[filled[0]], edges[filled[-1] + 1])
        axes.set_xlim(edges[filled[0]], edges[filled[-1] + 1])
        lower.set_xlabel(kind.axis)
        return _png(figure)


def overview(cells: list[Cell]) -> str:
    """How W1 is spread in units of its band."""
    counted = [cell for cell in cells if cell.counted]
    values = np.minimum([cell.of_band for cell in counted], 2.99)
    edges = np.linspace(0, 3, 31)
    with _figure(2.3) as figure:
        axes = figure.subplots()
        figure.subplots_adjust(left=0.14, right=0.965, top=0.96, bottom=0.24)
        for verdict, low, high in (("inside", 0, 1), ("outside", 1, 2), ("beyond", 2, 3)):
            chosen = values[(values >= low) & (values < high)] if low else values[values <= 1]
            axes.hist(chosen, bins=list(edges), color=_SHAPES[verdict], alpha=0.85)
        axes.axvline(1, color=INK, lw=1.0, ls=(0, (4, 3)))
        axes.axvline(2, color=INK, lw=1.0, ls=(0, (4, 3)))
        axes.set_xlim(0, 3 if values.max(initial=0) > 2 else 2.2)
        axes.set_xlabel("$W_1$ / 95 % band")
        axes.set_ylabel("distributions")
        return _png(figure)


def event(reco: ak.Array) -> str:
    """One event in the transverse plane, without words."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4, 4), dpi=160)
        axes = figure.add_axes((0, 0, 1, 1))
        draw_event(axes, reco, legend=False)
        axes.set_ylim(-2.05, 2.05)
        return _png(figure, 128)
