# SPDX-License-Identifier: MIT
"""The page: one file of HTML, with its pictures and its style inside, without scripts."""

from __future__ import annotations

import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepgen_fastsim.errors import Error
from hepgen_fastsim.validation import sections, tables
from hepgen_fastsim.validation.observables import OBSERVABLES
from hepgen_fastsim.validation.tables import number

if TYPE_CHECKING:
    from hepgen_fastsim.validation.report import Report

__all__ = ["page"]


def page(report: Report) -> str:
    """The whole page. Raises Error where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise Error(
            "the pictures of a report need the package matplotlib; install it with: pip install 'hepgen_fastsim[plot]'."
        ) from error
    m = report.metrics
    parts = [("summary", "Summary", _summary), ("outside", "Outside the band", sections.outside)]
    parts += [("distributions", "Distributions", sections.distributions)]
    if "jets" in m:
        parts += [("jets", "Jet response", sections.jets), ("rates", "Efficiencies", sections.efficiencies)]
    if m.get("tests"):
        parts.append(("tests", "Classifier tests", sections.tests))
    if report.displays:
        parts.append(("events", "Event displays", sections.events))
    parts += [
        ("tables", "All figures", sections.every_table),
        ("method", "Method", sections.method),
        ("files", "Files", sections.files),
    ]
    body = "".join(
        f'<section id="{name}" aria-labelledby="h-{name}"><h2 id="h-{name}">{title}</h2>{make(report)}</section>'
        for name, title, make in parts
    )
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title, _ in parts)
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(m["title"])} · validation</title><link rel="icon" href="data:,"><style>{style}</style></head>'
        f'<body><header><h1>{escape(m["title"])}</h1><p class="lead">{_verdict(m)}</p>'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav></header><main>{body}</main>'
        f"<footer>Made by {escape(m['settings']['code_version'])} on "
        f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}; all numbers are in "
        "<code>metrics.json</code> beside this page.</footer></body></html>\n"
    )


def _verdict(m: dict[str, Any]) -> str:
    s = m["summary"]
    beyond = (
        f"{s['n_beyond_twice']} of them beyond twice the band" if s["n_beyond_twice"] else "none beyond twice the band"
    )
    told = f"{s['n_inside']} of {s['n_cells']} distributions lie inside their 95 % band of chance"
    outside = s["n_cells"] - s["n_inside"]
    rest = f", {beyond}" if not outside or s["n_beyond_twice"] else f", {outside} outside, {beyond}"
    median = s["median_ratio"]
    than = "the reference run again" if m["settings"]["floor"] == "rerun" else "halves of the reference"
    ratio = "" if median is None else f"; the median distance to the reference is {median:.2f} times that of {than}"
    return f"{told}{rest}{ratio}."


def _floor(report: Report) -> str:
    if report.rerun is not None:
        return "the floor that of the rerun, the same detector simulation with another seed"
    return "the floor that of halves of the reference, scaled by 1/√2"


def _summary(report: Report) -> str:
    from hepgen_fastsim.validation import pictures

    m = report.metrics
    s, tests = m["summary"], m.get("tests", {})
    cards = [
        (
            "inside their 95 % band",
            f"{100 * s['share_inside']:.0f} %",
            f"{s['n_inside']} of {s['n_cells']} distributions",
        ),
    ]
    if s["median_ratio"] is not None:
        cards.append(("median W₁ / floor", f"{s['median_ratio']:.2f}", "1 is as good as the reference itself"))
    if s["worst"] is not None:
        worst = s["worst"]
        name = f"{OBSERVABLES[worst['observable']].words}, {worst['process']}"
        cards.append(("worst, W₁ / band", number(worst["of_band"]), escape(name)))
    for name, words in (("c2st, jets", "classifier on jets, AUC"), ("c2st, events", "classifier on events, AUC")):
        if name in tests:
            t = tests[name]
            again = "" if t["floor"] is None else f"; rerun {t['floor']:.3f}"
            cards.append((words, f"{t['value']:.3f}", f"± {t['error']:.3f}{again}"))
    unusable = sum(f["n_unusable"] + f["n_out_of_range"] for f in m["files"] if f["role"] == "candidate")
    total = sum(f["n_constituents"] for f in m["files"] if f["role"] == "candidate")
    cards.append(("unusable or out of range", f"{unusable:,}", f"of {total:,} constituents"))
    speed = [(f["role"], f["ms_per_event"]) for f in m["files"] if "ms_per_event" in f]
    for role, ms in speed[:2]:
        cards.append((f"time per event, {role}", f"{ms:.3g} ms", "as its file says"))
    shown = "".join(f"<div><dt>{t}</dt><dd>{v}<small>{w}</small></dd></div>" for t, v, w in cards)
    overview = sections.picture(
        pictures.overview(report.cells),
        f"Histogram of W1 over its 95 % band: {s['n_inside']} inside, {s['n_outside']} outside, "
        f"{s['n_beyond_twice']} beyond twice the band.",
        "W₁ of all distributions in units of their 95 % bands",
    ).replace('height="322"', 'height="221"')
    kinds = ", ".join(f"{escape(k)} {v:,}" for k, v in m["events"].items() if k != "matched")
    return (
        f'<dl class="cards">{shown}</dl><div class="beside"><div>'
        f"<p>{m['events']['matched']:,} events{f' ({kinds})' if kinds else ''}, matched by "
        f"{m['settings']['matched_by']}. W₁ is the Wasserstein distance of the values, {_floor(report)}. The 95 % band "
        "is what W₁ may be by chance.</p>"
        f'<ul class="verdicts"><li class="inside">{tables.mark("inside")} inside the band</li>'
        f'<li class="outside">{tables.mark("outside")} outside</li>'
        f'<li class="beyond">{tables.mark("beyond")} beyond twice the band</li></ul></div>{overview}</div>'
        f"<h3>W₁ / floor of every observable</h3>{tables.matrix(report.cells, report.judge.processes)}"
    )
