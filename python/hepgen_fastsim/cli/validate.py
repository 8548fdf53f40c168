# SPDX-License-Identifier: MIT
"""`hepgen-fastsim validate`: how close a simulation comes to its reference, as a page and as numbers."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Describe the command; nothing heavy is imported."""
    parser = commands.add_parser(
        "validate",
        help="compare a simulation with its reference: a page (HTML) and metrics.json",
        description="Compares RECO events of the same GEN events, event by event: distributions and their W1, jet "
        "response, efficiencies, classifier tests, event displays. Reads ROOT files of Delphes (with EFlowTrack, "
        "EFlowPhoton, EFlowNeutralHadron), files that `simulate` writes, and Parquet pairs. Leaves index.html, which "
        "needs nothing beside it, and metrics.json in DIR.",
    )
    parser.add_argument("--reference", required=True, metavar="FILE", help="the detector simulation to be reproduced")
    parser.add_argument(
        "--candidate",
        required=True,
        nargs="+",
        metavar="FILE",
        help="the fast simulation of the same GEN events; several files: with several seeds, averaged",
    )
    parser.add_argument("--rerun", metavar="FILE", help="the reference again with another seed; gives floors and bands")
    parser.add_argument("-o", "--output", required=True, metavar="DIR")
    parser.add_argument(
        "--gen", metavar="FILE", help="GEN events; default: those in the reference, or in the candidate"
    )
    parser.add_argument(
        "--card", default="cms", metavar="NAME|PATH", help="definitions of objects; default: %(default)s"
    )
    parser.add_argument(
        "--half", choices=("all", "even", "odd"), default="all", help="events by number; default: %(default)s"
    )
    parser.add_argument("--max-events", type=int, metavar="N")
    parser.add_argument(
        "--swaps", type=int, default=200, metavar="N", help="exchanges for the band; default: %(default)s"
    )
    parser.add_argument("--no-classifiers", action="store_true", help="leave out classifier tests, FPD and KPD")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default: %(default)s")
    parser.add_argument("--title", default="", metavar="TEXT")
    parser.add_argument("--overwrite", action="store_true", help="replace a report in DIR")
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from hepgen_fastsim.validation import compare
    from hepgen_fastsim.validation.output import check_output

    check_output(options.output, options.overwrite)
    report = compare(
        options.reference,
        options.candidate,
        options.rerun,
        gen=options.gen,
        card=options.card,
        half=options.half,
        max_events=options.max_events,
        n_swaps=options.swaps,
        use_classifiers=not options.no_classifiers,
        seed=options.seed,
        title=options.title,
        notify=_say,
    )
    _say("pictures")
    path = report.write(options.output, overwrite=options.overwrite)
    s = report.metrics["summary"]
    median = "" if s["median_ratio"] is None else f", median W1 / floor {s['median_ratio']:.2f}"
    _say(
        f"{report.metrics['events']['matched']:,} events: {s['n_inside']} of {s['n_cells']} distributions inside their "
        f"95 % band, {s['n_beyond_twice']} beyond twice the band{median}"
    )
    print(path)
    return 0


def _say(text: str) -> None:
    print(f"hepgen-fastsim: {text}", file=sys.stderr, flush=True)
