# SPDX-License-Identifier: MIT
"""`hepgen-fastsim convert`: training pairs from Delphes' ROOT files."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Describe the command; nothing heavy is imported."""
    parser = commands.add_parser(
        "convert",
        help="make training pairs (Parquet) from Delphes' ROOT files",
        description="Writes GEN particles, RECO constituents, and which particle leads which constituent, as "
        "`python -m training.train hepic` takes them. Needs Particle, EFlowTrack, EFlowPhoton and EFlowNeutralHadron, "
        "as Delphes' own cards write them. Links follow the references in the file; constituents of a file without any "
        "are matched by distance, charge and energy.",
    )
    parser.add_argument("input", nargs="+", metavar="DELPHES.root", help="files of one process")
    parser.add_argument("-o", "--output", required=True, metavar="PAIRS.parquet")
    parser.add_argument(
        "--process", type=int, default=1, metavar="N", help="number that marks the events; default: %(default)s"
    )
    parser.add_argument("--tree", default="Delphes", metavar="NAME", help="default: %(default)s")
    parser.add_argument(
        "--acceptance", type=float, default=5.2, metavar="ETA", help="keep GEN particles up to it; default: %(default)s"
    )
    parser.add_argument(
        "--links", choices=("auto", "references", "matching"), default="auto", help="default: %(default)s"
    )
    parser.add_argument(
        "--geometry",
        default="cms",
        metavar="NAME|TOML",
        help="detector in which particles are followed, for matching; default: %(default)s",
    )
    parser.add_argument("--entry-start", type=int, default=0, metavar="I", help="first entry of each input")
    parser.add_argument("--entry-stop", type=int, metavar="J", help="entry to stop before")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from hepgen_fastsim.convert import convert
    from hepgen_fastsim.geometry import load
    from hepgen_fastsim.helix import Magnet

    done = convert(
        options.input,
        options.output,
        process=options.process,
        tree=options.tree,
        acceptance=options.acceptance,
        links=options.links,
        magnet=Magnet.of(load(options.geometry)),
        entry_start=options.entry_start,
        entry_stop=options.entry_stop,
        overwrite=options.overwrite,
        notify=lambda n: print(f"{n:,} events written", file=sys.stderr, flush=True),
    )
    ways = ", ".join(sorted(set(done.by.values())))
    print(
        f"{done.n_events:,} events, {done.n_constituents:,} constituents linked by {ways} "
        f"({done.n_unlinked:,} without a particle) -> {options.output}",
        file=sys.stderr,
    )
    return 0
