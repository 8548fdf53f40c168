# SPDX-License-Identifier: MIT
"""The sections of the page below the summary: pictures and tables."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import awkward as ak
import numpy as np

from hepgen_fastsim.validation import tables
from hepgen_fastsim.validation.cells import ALL, Cell
from hepgen_fastsim.validation.classifiers import EVENT_FEATURES, JET_FEATURES
from hepgen_fastsim.validation.observables import GROUPS, OBSERVABLES
from hepgen_fastsim.validation.responses import QUANTITIES
from hepgen_fastsim.validation.tables import number
from hepgen_fastsim.validation.truth import RATES

if TYPE_CHECKING:
    from hepgen_fastsim.validation.report import Report

__all__ = [
    "distributions",
    "efficiencies",
    "events",
    "every_table",
    "files",
    "jets",
    "method",
    "outside",
    "picture",
    "tests",
]

MOST_PICTURES = 24
"""Cells outside their band that get a picture of their own; the worst ones."""


def picture(uri: str, alt: str, caption: str) -> str:
    """A picture with its words."""
    # the size keeps the place before a picture is decoded
    return (
        f'<figure><img src="{uri}" alt="{escape(alt)}" width="346" height="322">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _key(report: Report, kind: str = "distribution") -> str:
    """What grey, points and lines are."""
    again = report.rerun is not None
    band = {
        "distribution": "1σ of the rerun's difference to it" if again else "its statistical error",
        "jets": "its statistical error; in the ratio, the 95 % band of chance",
        "rates": "1σ of chance, in the difference",
    }[kind]
    n = report.n_candidates
    several = f", mean of {n}" if n > 1 and kind == "distribution" else ", the first" if n > 1 else ""
    rerun = '<li class="rerun">rerun of the reference</li>' if again else ""
    return (
        f'<ul class="key" aria-label="Key"><li class="reference">reference; band: {band}</li>'
        f'<li class="candidate">candidate{several}</li>{rerun}</ul>'
    )


def _distribution(report: Report, name: str, process: str, caption: str) -> str:
    from hepgen_fastsim.validation import pictures

    again = None if report.rerun is None else report.rerun.values[name]
    uri = pictures.distribution(
        OBSERVABLES[name],
        report.reference.values[name],
        [c.values[name] for c in report.candidates],
        again,
        report.judge.events(process),
    )
    words = OBSERVABLES[name].words
    sample = "all events" if process == ALL else process
    return picture(uri, f"Distribution of {words} in {sample}: reference, candidate, and their ratio.", caption)


def _caption(cell: Cell, name: str) -> str:
    verdict = f'<span class="{cell.verdict}">{tables.mark(cell.verdict)} {tables.ratio_of(cell)}</span>'
    return f"{escape(name)}: W₁ {number(cell.value)}, floor {number(cell.floor)}, ratio {verdict}"


def outside(report: Report) -> str:
    """What is outside its band, with pictures of the worst."""
    cells = sorted((c for c in report.cells if c.verdict != "inside"), key=lambda c: -c.of_band)
    cells = [c for c in cells if c.counted] + [c for c in cells if not c.counted]
    if not cells:
        return "<p>None: every distribution is inside its band.</p>"
    counted = sum(c.counted for c in report.cells)
    chance = f"<p>By chance alone about {0.05 * counted:.0f} of {counted} would be here; they are correlated.</p>"
    shown = "".join(
        _distribution(report, c.observable, c.process, _caption(c, f"{OBSERVABLES[c.observable].words}, {c.process}"))
        for c in cells[:MOST_PICTURES]
    )
    more = f'<p class="note">Pictures of the {MOST_PICTURES} worst.</p>' if len(cells) > MOST_PICTURES else ""
    return f'{chance}{tables.cell_table(cells, True)}{_key(report)}{more}<div class="pictures">{shown}</div>'


def distributions(report: Report) -> str:
    """All observables of all processes together."""
    by = {cell.observable: cell for cell in report.cells if cell.process == ALL}
    html = [
        "<p>All processes together; entries per event above, the ratio to the reference below. Events share their GEN "
        "particles, so that error bars and bands are those of differences event by event.</p>",
        _key(report),
    ]
    for group, title in GROUPS.items():
        names = [n for n, o in OBSERVABLES.items() if o.group == group and o.drawn and n in by]
        if names:
            shown = (_distribution(report, n, ALL, _caption(by[n], OBSERVABLES[n].words)) for n in names)
            html.append(f'<h3>{title}</h3><div class="pictures">{"".join(shown)}</div>')
    return "".join(html)


def jets(report: Report) -> str:
    """Response, resolution and tails of jets."""
    from hepgen_fastsim.validation import pictures

    shown = []
    for variable, words in (("pt", "GEN jet pT"), ("eta", "|η| of the GEN jet")):
        for quantity, title in QUANTITIES.items():
            uri = pictures.response(report.metrics["jets"], variable, quantity)
            if uri is not None:
                text = f"jet {title} against {words}"
                shown.append(picture(uri, f"{text}: reference, candidate, and their ratio.".capitalize(), f"{text}"))
    both = "".join(tables.response_table(report.metrics["jets"][v], v) for v in ("pt", "eta"))
    return (
        "<p>r = RECO pT / GEN jet pT of jets within ΔR = 0.25. Response: median of r; resolution: half the central "
        f'68 % range; tail: share of jets with |r − 1| &gt; 0.3.</p>{_key(report, "jets")}<div class="pictures">'
        f"{''.join(shown)}</div>{both}"
    )


def efficiencies(report: Report) -> str:
    """Efficiencies and fakes of tracks and photons."""
    from hepgen_fastsim.validation import pictures

    how = {
        "links": "A particle is found if a constituent of its kind names it as its leading particle.",
        "distance": "Particles and constituents match within ΔR = 0.05 (tracks) and 0.1 (photons).",
    }[report.metrics["settings"]["matching_to_gen"]]
    shown, none, pulls = [], [], []
    for name, rate in RATES.items():
        found = report.metrics["rates"][name]
        uri = pictures.rate(found, name)
        against = "pT" if rate.variable == "pt" else "η, pT > 1 GeV"
        if uri is None:
            none.append(f"{rate.words} against {against}")
            continue
        pull = np.asarray(found["pull"])
        pulls.append(pull[np.isfinite(pull)])
        text = f"{rate.words} against {against}"
        off = f"largest difference {np.max(np.abs(pulls[-1]), initial=0):.1f}σ"
        shown.append(
            picture(uri, f"{text}: reference, candidate, and their difference.".capitalize(), f"{text}; {off}")
        )
    every = np.concatenate(pulls) if pulls else np.empty(0)
    within = (
        f"<p>{np.sum(np.abs(every) < 1.96)} of {len(every)} bins agree within 1.96σ of chance.</p>"
        if len(every)
        else ""
    )
    nothing = f'<p class="note">None at all in reference and candidate: {escape("; ".join(none))}.</p>' if none else ""
    return f'<p>{how}</p>{within}{_key(report, "rates")}<div class="pictures">{"".join(shown)}</div>{nothing}'


def tests(report: Report) -> str:
    """Classifier tests, FPD, KPD."""
    return (
        "<p>A classifier (gradient-boosted trees, cross-validated, with all rows of an event in one fold) tries to "
        "tell candidate from reference, given the GEN features of jet or event; an AUC of 0.5 says that it cannot. FPD "
        "and KPD compare the features of jets as a whole; 0 is best, and values below are noise.</p>"
        f"{tables.figures_of_tests(report.metrics['tests'])}"
        f'<p class="note">Jets: {escape(", ".join(JET_FEATURES))}. Events: {escape(", ".join(EVENT_FEATURES))}.</p>'
    )


def events(report: Report) -> str:
    """The same events side by side."""
    from hepgen_fastsim.validation import pictures

    names = report.judge.names
    html = [
        "<p>The same GEN events along the beam, |η| &lt; 2.5: tracks blue, photon towers orange, neutral-hadron "
        "towers red, missing pT dashed. No two simulations of an event are equal; compare the first two columns as you "
        "compare the reference with its rerun.</p>"
    ]
    roles = ["reference", "candidate", *(["rerun"] if report.rerun is not None else [])]
    for display in report.displays:
        chosen = [display.reco[0], display.reco[1], *([display.reco[-1]] if report.rerun is not None else [])]
        label = f"event {display.number}" + (f", {names[display.process]}" if display.process in names else "")
        figures = []
        for role, reco in zip(roles, chosen):
            text = _contents(reco)
            figures.append(
                f'<figure><img src="{pictures.event(reco)}" alt="Event {display.number} as the {role} has it: {text}." '
                f'width="600" height="600"><figcaption><b>{role}</b>{text}</figcaption></figure>'
            )
        html.append(
            f'<h3>{escape(label)}</h3><div class="events{" three" if len(roles) > 2 else ""}">{"".join(figures)}</div>'
        )
    return "".join(html)


def _contents(reco: ak.Array) -> str:
    pdgid, pt, phi = (ak.to_numpy(reco[name]) for name in ("pdgid", "pt", "phi"))
    missing = np.hypot(np.sum(pt * np.cos(phi)), np.sum(pt * np.sin(phi)))
    photons, neutrals = int(np.sum(pdgid == 22)), int(np.sum(pdgid == 130))
    tracks = len(pdgid) - photons - neutrals
    return f"{tracks} tracks, {photons} photons, {neutrals} neutral hadrons, missing pT {missing:.0f} GeV"


def every_table(report: Report) -> str:
    """All figures of all processes."""
    html = ["<p>Units are those of the observable. Shift: difference of the means, candidate − reference.</p>"]
    for process in report.judge.processes:
        cells = [cell for cell in report.cells if cell.process == process]
        if cells:
            opened = " open" if process == ALL else ""
            html.append(f"<details{opened}><summary>{escape(process)}</summary>{tables.cell_table(cells)}</details>")
    return "".join(html)


def method(report: Report) -> str:
    """What was done, in words."""
    s = report.metrics["settings"]
    if report.rerun is not None:
        band = (
            f"Reference and rerun are exchanged at random, event by event, {s['n_swaps']} times; “by chance” and “95 % "
            "band” are the median and the 95 % quantile of the W₁ that result. A candidate that is the reference's own "
            "simulation with another seed lies inside in 95 % of the cases."
        )
    else:
        band = (
            f"The reference is split into halves at random {s['n_swaps']} times; “floor” and “95 % band” are the "
            "median and the 95 % quantile of their W₁, divided by √2. Candidate and reference share their GEN events "
            "and two halves do not: this band is wider than that of a rerun, which should be preferred."
        )
    return (
        f"<p>{band}</p><p>Jets, leptons and photons are made from the constituents of each file by the same "
        f"definitions (card “{escape(s['card'])}”, without random losses of leptons and without tags). Leptons: e, μ. "
        "Dilepton: the two hardest of one flavour, of opposite charge. Three-jet mass: of the three jets, among the "
        "six hardest, with the largest vector sum of pT. EFP: connected energy flow polynomials of one to three edges, "
        "normed, β = 1. Events are not weighted. Observables need 20 entries in every file.</p>"
        f'<p class="note">Seed {s["seed"]}; events: {escape(s["half"])}. GEN events: '
        f"{escape(str(report.metrics.get('gen', 'none; responses and efficiencies are left out')))}.</p>"
    )


def files(report: Report) -> str:
    """Files and their provenance."""
    return tables.files_table(report.metrics["files"])
