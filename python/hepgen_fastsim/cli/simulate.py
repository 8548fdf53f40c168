# SPDX-License-Identifier: MIT
"""`hepgen-fastsim simulate`: files of GEN events in, one file of RECO constituents out."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from hepgen_fastsim.errors import InputError

if TYPE_CHECKING:
    from hepgen_fastsim.fastsim import FastSim
    from hepgen_fastsim.pipeline import Report

BATCH_SIZE = 400
"""Events that are read, simulated and written at a time: large enough for speed, small enough to stop soon."""

INCOMPLETE = 3
"""Exit code when an input broke off and the events before are in the output."""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Describe the command; nothing heavy is imported."""
    parser = commands.add_parser(
        "simulate",
        help="simulate events of files",
        description="Simulate GEN events: HepMC2 and HepMC3 text (plain, gzip, zstd, xz, bzip2), Delphes' ROOT files "
        "(their "
        "Particle branch; file.root:tree names another tree), Parquet. The content tells the format; - is standard "
        "input.",
        epilog="Random numbers depend on the seed, on the first event of an input and on the position of each event "
        "in its "
        "input: parts of a split sample differ, and a rerun gives the same.",
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="file with GEN events, - for standard input")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="file to write")
    parser.add_argument("--model", default="delphes-cms", metavar="NAME|PATH", help="default: %(default)s")
    parser.add_argument(
        "--jets-model",
        metavar="NAME|PATH",
        help="model of jets, e.g. graph-vae: the particles of GEN jets are simulated by it, all others by --model",
    )
    parser.add_argument("--seed", type=_seed, default=1, metavar="N", help="default: %(default)s")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:N, or a list")
    parser.add_argument("--max-events", type=_count, metavar="N", help="stop after N events in all")
    parser.add_argument("--entry-start", type=_count, default=0, metavar="I", help="first entry of the input")
    parser.add_argument("--entry-stop", type=_count, metavar="J", help="entry to stop before")
    parser.add_argument(
        "--card",
        metavar="NAME|PATH",
        help="definitions of jets, leptons, tags: cms, atlas, a TOML file, or one of Delphes' own cards; default: cms",
    )
    parser.add_argument("--strict-card", action="store_true", help="refuse a Delphes card that changes the detector")
    parser.add_argument(
        "--no-objects", action="store_true", help="constituents alone: no jets, leptons, missing energy"
    )
    parser.add_argument(
        "--format",
        choices=("flat", "delphes", "parquet"),
        help="flat: ROOT tree with Delphes' branches; delphes: the same as Delphes' own classes (needs ROOT); parquet: "
        "columns gen_* and reco_*, no objects; default: by the suffix of OUT",
    )
    parser.add_argument("--threads", type=_positive, default=1, metavar="N", help="batches simulated at the same time")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.set_defaults(run=run, parser=parser)
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"a number of 0 or more is expected, found {text}")
    return value


def _positive(text: str) -> int:
    value = _count(text)
    if value == 0:
        raise argparse.ArgumentTypeError("a number of 1 or more is expected, found 0")
    return value


def _seed(text: str) -> int:
    value = _count(text)
    if value >= 2**64:
        raise argparse.ArgumentTypeError(f"an unsigned 64-bit number is expected, found {text}")
    return value


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    if len(options.inputs) > 1 and (options.entry_start or options.entry_stop is not None):
        options.parser.error("--entry-start and --entry-stop are for one INPUT; several were given")
    if options.inputs.count("-") > 1:
        options.parser.error("standard input can be read once; - was given twice")
    if options.entry_stop is not None and options.entry_stop < options.entry_start:
        options.parser.error(f"--entry-stop {options.entry_stop} lies before --entry-start {options.entry_start}")
    kind = options.format or ("parquet" if options.output.endswith(".parquet") else "flat")
    if kind == "parquet" and options.card is not None:
        options.parser.error("Parquet files hold constituents, not objects: --card is for ROOT files")
    if options.no_objects and options.card is not None:
        options.parser.error("--card says how objects are made; --no-objects makes none")
    _check_paths(options)

    from hepgen_fastsim.cli.messages import warnings_once
    from hepgen_fastsim.cli.progress import Progress
    from hepgen_fastsim.cli.running import Readers, provenance_of, simulate_until_signal
    from hepgen_fastsim.fastsim import FastSim
    from hepgen_fastsim.io import open_output

    warnings_once()
    sim = FastSim(options.model, device=options.device, seed=options.seed, jets=options.jets_model)
    provenance = provenance_of(sim, options.words)  # loads the model: if it cannot be used, nothing is touched
    objects = None if kind == "parquet" or options.no_objects else _objects(options)  # likewise for the card
    readers = Readers(
        options.inputs,
        batch_size=BATCH_SIZE,
        entry_start=options.entry_start,
        entry_stop=options.entry_stop,
        max_events=options.max_events,
    )
    readers.open_first()  # and for the first input
    name = f"{sim.file.name} {provenance['model_version']}"
    made = "" if objects is None else f", card {objects.keywords['card'].name}"
    name += f", jets by {sim.jets_file.name}" if sim.jets_file is not None else ""
    print(f"model {name} on {sim.device}, seed {sim.seed}{made}", file=sys.stderr, flush=True)
    if objects is not None:
        provenance |= {"card": objects.keywords["card"].source}
    writer = open_output(
        options.output, kind, overwrite=options.overwrite, provenance=provenance, objects=objects is not None
    )
    with Progress(readers.total) as progress:
        report, signum = simulate_until_signal(
            writer,
            readers,
            sim,
            source=", ".join(options.inputs),
            objects=objects,
            threads=options.threads,
            max_events=options.max_events,
            on_batch=progress.advance,
        )
    return _conclude(options, report, sim, signum)


def _objects(options: argparse.Namespace) -> partial[Any]:
    """What makes objects."""
    from hepgen_fastsim.cards import load_card
    from hepgen_fastsim.objects import reconstruct

    return partial(reconstruct, card=load_card(options.card or "cms", strict=options.strict_card), seed=options.seed)


def _check_paths(options: argparse.Namespace) -> None:
    for name in options.inputs:
        if (
            name != "-"
            and os.path.exists(name)
            and os.path.exists(options.output)
            and os.path.samefile(name, options.output)
        ):
            raise InputError(f"{name} is both input and output; another name for the output is expected.")
    if os.path.exists(options.output) and not options.overwrite:
        raise InputError(f"output {options.output} exists already; give another name, or --overwrite.")


def _conclude(options: argparse.Namespace, report: Report, sim: FastSim, signum: int) -> int:
    from hepgen_fastsim.cli.running import outside_sentence

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    rate = report.n_events / max(report.seconds, 1e-9)
    say(
        f"{report.n_events:,} events, {report.n_constituents:,} constituents in {report.seconds:.1f} s ({rate:,.0f} "
        "events/s) "
        f"-> {options.output}"
    )
    if sentence := outside_sentence(sim, report.n_particles):
        say(sentence)
    if report.error is not None:
        say(f"hepgen-fastsim: error: {report.error}")
        say(
            f"hepgen-fastsim: the {report.n_events:,} good events before it are in {options.output}, which is readable."
        )
        return INCOMPLETE
    if report.ended == "interrupted":
        say(
            f"hepgen-fastsim: interrupted; the {report.n_events:,} events so far are in {options.output}, which is "
            "readable."
        )
        return 128 + signum
    return 0
