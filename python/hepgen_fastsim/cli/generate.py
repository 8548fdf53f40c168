# SPDX-License-Identifier: MIT
"""`hepgen-fastsim generate`: jets or parton-level events of a generative model into a file."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from typing import Any

from hepgen_fastsim.cli.simulate import _positive, _seed
from hepgen_fastsim.errors import InputError


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Describe the command; nothing heavy is imported."""
    parser = commands.add_parser(
        "generate",
        help="generate jets or parton-level events",
        description="Generate sets with a generative model (`hepgen-fastsim models list`): jets of constituents, or "
        "events of a fixed final state.",
        epilog="Random numbers depend on the seed and on the number of each set: --first continues a sample.",
    )
    parser.add_argument("model", metavar="MODEL", help="name or path")
    parser.add_argument("-n", "--number", type=_positive, required=True, metavar="N", help="sets to generate")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="file to write: .parquet; .h5 in JetNet's layout (jets); .lhe[.gz] or .hepmc[.gz] for a shower (events)",
    )
    parser.add_argument(
        "--condition",
        type=_condition,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="ask for a condition, e.g. jet_pt=1000 [GeV]; several may be given; those left out are drawn",
    )
    parser.add_argument("--seed", type=_seed, default=1, metavar="N", help="default: %(default)s")
    parser.add_argument("--first", type=int, default=0, metavar="I", help="number of the first set; default: 0")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:N, or a list")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.set_defaults(run=run, parser=parser)
    return parser


def _condition(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"NAME=VALUE is expected, found '{text}'")
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"the condition '{name}' must be a number, found '{value}'") from None


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    names = [name for name, _ in options.condition]
    if len(set(names)) < len(names):
        options.parser.error(f"a condition may be given once; found {', '.join(names)}")
    if os.path.exists(options.output) and not options.overwrite:
        raise InputError(f"output {options.output} exists already; give another name, or --overwrite.")

    import hepgen_fastsim
    from hepgen_fastsim.cli.progress import Progress
    from hepgen_fastsim.generator import Generator
    from hepgen_fastsim.io.generated import open_generated

    generator = Generator(options.model, device=options.device, seed=options.seed)
    chunks = generator.iterate(options.number, first=options.first, **dict(options.condition))
    version = generator.metadata["version"]
    provenance = {
        "model": generator.file.name,
        "model_version": version,
        "sha256": generator.sha256,
        "seed": generator.seed,
        "first": options.first,
        "conditions": dict(options.condition),
        "version": hepgen_fastsim.__version__,
        "command": shlex.join(options.words),
    }
    provenance |= {k: v for k, v in generator.metadata["provenance"].items() if k == "cross_section_pb"}
    print(f"model {generator.file.name} {version} on {generator.device}, seed {generator.seed}", file=sys.stderr)
    start = time.perf_counter()
    with (
        open_generated(options.output, overwrite=options.overwrite, provenance=provenance) as writer,
        Progress(lambda: options.number) as progress,
    ):
        for chunk in chunks:
            writer.write(chunk)
            progress.advance(len(chunk))
    seconds = time.perf_counter() - start
    what = {"jet": "jets", "event": "events"}.get(generator.metadata["unit"], "sets")
    rate = writer.n_written / max(seconds, 1e-9)
    print(f"{writer.n_written:,} {what} in {seconds:.1f} s ({rate:,.0f}/s) -> {options.output}", file=sys.stderr)
    return 0
