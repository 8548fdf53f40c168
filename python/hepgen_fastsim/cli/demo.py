# SPDX-License-Identifier: MIT
"""`hepgen-fastsim demo`: from Pythia's events to a file, a picture and a comparison with Delphes."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Describe the command; nothing heavy is imported."""
    parser = commands.add_parser(
        "demo",
        help="simulate some top pairs, draw them and compare with Delphes",
        description="Makes top-pair events with Pythia (or takes the bundled sample where Pythia is not installed), "
        "simulates "
        "them with a bundled model, and leaves a ROOT file and a picture in DIR; prints a comparison with Delphes.",
    )
    parser.add_argument("-o", "--output", default="hepgen-fastsim-demo", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--model", default="delphes-cms", metavar="NAME|PATH", help="default: %(default)s")
    parser.add_argument("--events", type=int, default=300, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default: %(default)s")
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from hepgen_fastsim.demo import run_demo

    run_demo(options.output, model=options.model, n_events=options.events, seed=options.seed)
    return 0
