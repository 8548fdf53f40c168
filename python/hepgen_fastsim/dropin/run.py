# SPDX-License-Identifier: MIT
"""The executables of a drop-in folder: Delphes' arguments, log lines and manners; exit codes that tell the truth.

    DelphesHepMC2, DelphesHepMC3, DelphesROOT    card out.root [input…]    (no input or -: standard input)
    DelphesPythia8                               card pythia.cmnd out.root
    DelphesSTDHEP, DelphesLHEF                   say what they cannot read

Exit codes: 0 done; 1 error, nothing was written; 3 an input broke off and the good events before are in the output;
130 and 143 interrupted, likewise.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hepgen_fastsim.dropin.settings import Settings, output_format, read_settings
from hepgen_fastsim.errors import Error, InputError

__all__ = ["main"]

BATCH_SIZE = 250
INCOMPLETE = 3

_USAGE = {
    "DelphesPythia8": "config_file pythia_card output_file",
    "DelphesROOT": "config_file output_file input_file(s)",
}
_INPUTS = "config_file output_file [input_file(s)]"

_FOREIGN = {
    "DelphesSTDHEP": "STDHEP (XDR) files cannot be read: let the generator write HepMC, or convert them, and use "
    "DelphesHepMC2 or DelphesHepMC3",
    "DelphesLHEF": "Les Houches files hold partons, which leave no hadrons for the detector: shower them with Pythia "
    "(DelphesPythia8 with Beams:frameType = 4, or HepMC and DelphesHepMC3)",
}


@dataclass
class _Job:
    """The arguments of one call."""

    name: str
    card: str
    output: str
    inputs: list[str]
    pythia: str = ""
    overwrite: bool = False


def main(folder: str, name: str, arguments: Sequence[str]) -> int:
    """Run an executable of a drop-in folder; returns the exit code."""
    try:
        if any(word in ("-h", "--help") for word in arguments):
            print(_usage(name))
            return 0
        job = _parse(name, list(arguments))
        if job is None:
            print(_usage(name), file=sys.stderr)
            return 1
        return _run(job, read_settings(folder))
    except (Error, OSError) as error:
        sys.stdout.flush()
        print(f"** ERROR: {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("** ERROR: interrupted; nothing was written.", file=sys.stderr, flush=True)
        return 130


def _usage(name: str) -> str:
    lines = [
        f" Usage: {name} {_USAGE.get(name, _INPUTS)} [--overwrite]",
        " config_file - a card of Delphes (Tcl) or of hepgen_fastsim (TOML),",
    ]
    if name == "DelphesPythia8":
        lines.append(" pythia_card - Pythia's settings,")
    lines.append(" output_file - output file in ROOT format,")
    if name in _FOREIGN:
        lines.append(f" {_FOREIGN[name]}.")
    elif name != "DelphesPythia8":
        lines.append(" input_file(s) - HepMC2, HepMC3 (compressed or not), ROOT or Parquet, told by the content,")
        if name != "DelphesROOT":
            lines.append(" with no input_file, or when input_file is -, read standard input.")
    return "\n".join(lines)


def _parse(name: str, words: list[str]) -> _Job | None:
    overwrite = "--overwrite" in words
    words = [word for word in words if word != "--overwrite"]
    if name == "DelphesPythia8":
        if len(words) != 3:
            return None
        return _Job(name, words[0], words[2], [], words[1], overwrite)
    if len(words) < (3 if name == "DelphesROOT" else 2):
        return None
    return _Job(name, words[0], words[1], words[2:] or ["-"], overwrite=overwrite)


def _run(job: _Job, settings: Settings) -> int:
    if job.name in _FOREIGN:
        _refuse_foreign(job)
    if job.inputs.count("-") > 1:
        raise InputError("standard input can be read once; - was given twice.")
    if os.path.exists(job.output) and not job.overwrite:
        raise InputError(f"can't create output file {job.output}: it exists already (remove it, or --overwrite).")
    from hepgen_fastsim.cards import load_card

    card = load_card(job.card, strict=settings.strict_card)
    for difference in card.differences:
        _say(f"** WARNING: {job.card}: {difference}")
    kind, why = output_format(settings.format)

    from hepgen_fastsim.cli.running import provenance_of, simulate_until_signal
    from hepgen_fastsim.dropin.progress import Progress
    from hepgen_fastsim.fastsim import FastSim
    from hepgen_fastsim.io import open_output

    seed = card.settings.get("RandomSeed") or settings.seed
    sim = FastSim(_model(card, settings), device=settings.device, seed=seed)
    provenance = provenance_of(sim, [job.name, *sys.argv[3:]]) | {"card": card.source}
    objects = None
    if settings.objects:
        from hepgen_fastsim.objects import reconstruct

        objects = partial(reconstruct, card=card, seed=seed)
    readers, total = _inputs(job, card)
    _say(f"** INFO: hepgen_fastsim: model {sim.file.name} {provenance['model_version']} on {sim.device}, seed {seed}")
    _say(f"** INFO: output in the form '{kind}' ({why})")
    writer = open_output(job.output, kind, overwrite=job.overwrite, provenance=provenance, objects=objects is not None)
    with Progress(total) as progress:
        report, signum = simulate_until_signal(
            writer,
            readers,
            sim,
            source=", ".join(job.inputs) or job.pythia,
            objects=objects,
            threads=settings.threads,
            on_batch=progress.advance,
        )
    return _conclude(job, report, sim, signum)


def _say(text: str) -> None:
    print(text, flush=True)


def _refuse_foreign(job: _Job) -> None:
    """Go on for inputs that can be read after all, whatever the executable is called."""
    from hepgen_fastsim.io.detect import HEAD, detect

    for name in job.inputs:
        if name == "-" or not os.path.isfile(name):
            raise InputError(f"{job.name}: {_FOREIGN[job.name]}.")
        with open(name, "rb") as file:
            kind = detect(file.read(HEAD))[0]
        if kind not in ("hepmc", "root", "parquet"):
            raise InputError(f"{name}: {_FOREIGN[job.name]}.")


def _model(card: Any, settings: Settings) -> str:
    """The model that is set, or the card's; the default one where that is not installed, which is said."""
    from hepgen_fastsim.fastsim import DEFAULT_MODEL
    from hepgen_fastsim.registry import models

    if settings.model != "auto":
        return settings.model
    if card.model not in models():
        _say(f"** WARNING: the card is for the model {card.model}, which is not installed; {DEFAULT_MODEL} is taken.")
        return DEFAULT_MODEL
    return card.model


def _inputs(job: _Job, card: Any) -> tuple[Iterable[Any], Any]:
    """Readers, and a function that says how many events there will be in all."""
    skip, limit = max(card.settings.get("SkipEvents", 0), 0), max(card.settings.get("MaxEvents", 0), 0)
    if job.name == "DelphesPythia8":
        from hepgen_fastsim.io.pythia import make_pythia, read_pythia

        pythia = make_pythia(job.pythia)
        n_events = limit or pythia.settings.mode("Main:numberOfEvents")
        _say(f"** Reading {job.pythia}")
        return [read_pythia(pythia, n_events, batch_size=BATCH_SIZE)], lambda: n_events
    from hepgen_fastsim.cli.running import Readers

    readers = Readers(
        job.inputs,
        batch_size=BATCH_SIZE,
        entry_start=skip,
        entry_stop=skip + limit if limit else None,  # of each input, as in Delphes
        on_open=lambda name: _say("** Reading standard input" if name == "-" else f"** Reading {name}"),
    )
    readers.open_first()  # if it cannot be read, nothing is touched
    return readers, readers.total


def _conclude(job: _Job, report: Any, sim: Any, signum: int) -> int:
    from hepgen_fastsim.cli.running import outside_sentence

    rate = report.n_events / max(report.seconds, 1e-9)
    _say(
        f"** INFO: {report.n_events:,} events, {report.n_constituents:,} constituents in {report.seconds:.1f} s "
        f"({rate:,.0f} events/s) -> {job.output}"
    )
    if sentence := outside_sentence(sim, report.n_particles):
        _say(f"** INFO: {sentence}")
    if report.error is not None:
        print(f"** ERROR: {report.error}", file=sys.stderr)
        print(
            f"** ERROR: the {report.n_events:,} good events before it are in {job.output}, which is readable.",
            file=sys.stderr,
            flush=True,
        )
        return INCOMPLETE
    if report.ended == "interrupted":
        _say(f"** INFO: interrupted; the {report.n_events:,} events so far are in {job.output}, which is readable.")
        return 128 + signum
    _say("** Exiting...")
    return 0
