# SPDX-License-Identifier: MIT
"""What all commands that simulate have in common: inputs in turn, signals, what is kept and said of a run."""

from __future__ import annotations

import gc
import shlex
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import hepgen_fastsim
from hepgen_fastsim._core_loader import core
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.fastsim import FastSim
from hepgen_fastsim.io import GenReader, Writer, read
from hepgen_fastsim.pipeline import Report, simulate_to

__all__ = ["Readers", "outside_sentence", "provenance_of", "simulate_until_signal"]


class Readers(Iterator[GenReader]):
    """Opens inputs one after the other; says what is still to come.

    Parameters
    ----------
    names
        files, - for standard input
    entry_start, entry_stop
        range of entries to read of each
    max_events
        events to read in all
    on_open
        called with the name of each input before it is opened
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        batch_size: int,
        entry_start: int = 0,
        entry_stop: int | None = None,
        max_events: int | None = None,
        on_open: Callable[[str], None] | None = None,
    ) -> None:
        self._single = len(names) == 1
        self._names = iter(names)
        self._max_events, self._on_open = max_events, on_open
        if max_events is not None:
            limit = entry_start + max_events
            entry_stop = limit if entry_stop is None else min(entry_stop, limit)
        self._window: dict[str, Any] = {"batch_size": batch_size, "entry_start": entry_start, "entry_stop": entry_stop}
        self._waiting: list[GenReader] = []
        self.current: GenReader | None = None

    def open_first(self) -> None:
        """Open the first input now, to learn of what is wrong with it."""
        self._waiting = [self._open()]

    def __next__(self) -> GenReader:
        return self._waiting.pop() if self._waiting else self._open()

    def _open(self) -> GenReader:
        name = next(self._names)
        if self._on_open is not None:
            self._on_open(name)
        self.current = read(name, **self._window)
        return self.current

    def total(self) -> int | None:
        """Events in all, as far as that is known by now, for a single input."""
        if self.current is None or not self._single:
            return None
        total, limit = self.current.estimate(), self._max_events
        return total if limit is None else min(limit, total or limit)


def provenance_of(sim: FastSim, command: Sequence[str]) -> dict[str, Any]:
    """What is kept in every output file, the words of the command among it; loads the model."""
    metadata = sim.metadata
    jets = sim.jets
    of_jets = {} if jets is None else {"jets_model": jets.metadata["name"], "jets_sha256": jets.sha256}
    return {
        "package": f"hepgen_fastsim {hepgen_fastsim.__version__}",
        "torch": core().torch_version,
        "model": metadata.get("name", sim.file.name),
        "model_version": metadata.get("version", "?"),
        "sha256": sim.sha256,
        "seed": sim.seed,
        "device": sim.device,
        "command": shlex.join(command),
        **of_jets,
    }


def simulate_until_signal(
    writer: Writer, readers: Iterable[Any], sim: FastSim, *, source: str, **options: Any
) -> tuple[Report, int]:
    """`simulate_to`, and the end of the file; SIGINT and SIGTERM end it in order. Also their number, 0 for none.

    Good events before an error are kept; where there are none, nothing is left behind and the error is raised, which
    names ``source`` if that has no events. A second signal ends the program at once.
    """
    gc.freeze()  # what was imported stays: there is no need to look through it again and again
    try:
        report, signum = _until_signal(writer, readers, sim, **options)
        if report.error is not None and report.n_events == 0:
            raise report.error
        if report.n_events == 0 and report.ended == "complete":
            raise InputError(f"no events were found in {source}; nothing was written.")
        writer.ended = report.ended if report.error is None else f"input error: {report.error}"
        writer.close()
    except BaseException:
        writer.abort()
        raise
    finally:
        gc.unfreeze()
    _warn_of_twins(writer.inputs)
    return report, signum


def _until_signal(writer: Writer, readers: Iterable[Any], sim: FastSim, **options: Any) -> tuple[Report, int]:
    stop, received = threading.Event(), []

    def on_signal(number: int, _frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        received.append(number)
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        report = simulate_to(writer, readers, sim, stop=stop, **options)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return report, received[0] if received else 0


def outside_sentence(sim: FastSim, n_particles: int) -> str:
    """What was outside the model's domain; empty if nothing was."""
    outside = Counter({reason: n for reason, n in sim.outside.items() if n})
    if not outside:
        return ""
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in outside.most_common(5))
    return (
        f"outside the model's domain: {outside.total():,} of {n_particles:,} stable particles "
        f"({reasons}{', …' if len(outside) > 5 else ''}); they were simulated all the same."
    )


def _warn_of_twins(inputs: list[dict[str, Any]]) -> None:
    """Say so if inputs have the same random numbers, which makes their events dependent."""
    first: dict[tuple[int, int], str] = {}
    for entry in inputs:
        key = (entry["stream"], entry["first_event"])
        if key in first:
            print(
                f"warning: {first[key]} and {entry['source']} begin with the same event, so their events get the same "
                "random numbers; is one a copy of the other?",
                file=sys.stderr,
            )
        first.setdefault(key, entry["source"])
