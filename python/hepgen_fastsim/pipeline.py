# SPDX-License-Identifier: MIT
"""Reading, simulating and writing at the same time, batch by batch, in bounded memory."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import awkward as ak

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.events import parameter
from hepgen_fastsim.fastsim import FastSim
from hepgen_fastsim.io.writer import Writer

__all__ = ["Report", "simulate_to"]

STABLE = 1
_POLL = 0.2  # seconds between two looks at `stop` while an input gives nothing
_PATIENCE = 2.0  # seconds that a reader gets to end

Simulated = tuple[ak.Array, ak.Array | None]  # RECO constituents and, where they are asked for, objects


@dataclass
class Report:
    """What a run did.

    `ended` is "complete", "interrupted" or "input error"; in the last case `error` says what was wrong, and the events
    before it are in the output. `reading`: the input's thread still waits for more, on a pipe that nobody writes.
    """

    n_events: int = 0
    n_particles: int = 0  # stable ones
    n_constituents: int = 0
    seconds: float = 0.0
    ended: str = "complete"
    error: InputError | None = None
    reading: bool = False


def simulate_to(
    writer: Writer,
    readers: Iterable[Iterator[ak.Array]],
    sim: FastSim,
    *,
    objects: Callable[[ak.Array, ak.Array], ak.Array] | None = None,
    threads: int = 1,
    max_events: int | None = None,
    stop: threading.Event | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> Report:
    """Simulate all events of the readers, one after the other, into a writer, which stays open.

    Parameters
    ----------
    objects
        makes objects from the RECO and GEN events of a batch, for a writer that takes them
    threads
        batches that are simulated at the same time; reading and writing have a thread of their own besides
    stop
        when set, no further batch is begun; those under way are finished and written
    on_batch
        called with the number of events of each batch that has been written

    Wrong input ends the run but is not raised: see `Report`. Errors of the model and of the disk are raised.
    """
    report, begun = Report(), time.perf_counter()
    simulating: deque[tuple[ak.Array, Future[Simulated]]] = deque()
    writing: deque[tuple[int, Future[None]]] = deque()

    def simulate(gen: ak.Array) -> Simulated:
        reco = sim(gen)
        return reco, None if objects is None else objects(reco, gen)

    def advance(limit: int) -> None:
        """Hand finished batches over to the writer, in order, until `limit` are left."""
        while len(simulating) > limit:
            gen, future = simulating.popleft()
            try:
                made = future.result()
            except InputError as error:
                good = gen[: getattr(error, "good_events", 0)]
                pass_on(good, simulate(good))
                source = parameter(gen, "source", "")
                raise InputError(f"{source}: {error}" if source else str(error)) from error
            pass_on(gen, made)

    def pass_on(gen: ak.Array, made: Simulated) -> None:
        collect()
        if len(gen):
            writing.append((len(gen), keeper.submit(_write, writer, gen, made, report)))

    def collect() -> None:
        """Wait for the one batch that is being written."""
        while writing:
            n_events, future = writing.popleft()
            future.result()
            if on_batch is not None:
                on_batch(n_events)

    with (
        _Prefetch(_limited(readers, max_events), stop or threading.Event()) as batches,
        ThreadPoolExecutor(threads, "simulate") as pool,
        ThreadPoolExecutor(1, "write") as keeper,
    ):
        try:
            for gen in batches:
                simulating.append((gen, pool.submit(simulate, gen)))
                advance(threads)
            advance(0)
            collect()
        except InputError as error:
            report.error = error
            collect()
        report.error = report.error or batches.error
    if report.error is not None:
        report.ended = "input error"
    elif batches.stopped:
        report.ended = "interrupted"
    report.n_events, report.reading = writer.n_written, batches.waiting
    report.seconds = time.perf_counter() - begun
    return report


def _write(writer: Writer, gen: ak.Array, made: Simulated, report: Report) -> None:
    """Write a batch, or as many of its events as are good if the writer refuses one of them."""
    reco, objects = made
    try:
        writer.write(gen, reco, *([] if objects is None else [objects]))
    except InputError as error:
        good = getattr(error, "good_events", 0)
        if good:
            _write(writer, gen[:good], (reco[:good], None if objects is None else objects[:good]), report)
        raise
    report.n_particles += int(ak.sum(gen["particles"]["status"] == STABLE))
    report.n_constituents += int(ak.count(reco["pdgid"]))


def _limited(readers: Iterable[Iterator[ak.Array]], max_events: int | None) -> Iterator[ak.Array]:
    left = max_events
    for reader in readers:
        for gen in reader:
            if left is not None:
                gen = gen[:left]
                left -= len(gen)
            yield gen
            if left == 0:
                return


class _Prefetch:
    """Runs an iterator in a thread of its own, one item ahead.

    Iteration ends at the end, at an InputError of the iterator (kept in `error`) or when `stop` is set (`stopped`).
    """

    def __init__(self, items: Iterator[ak.Array], stop: threading.Event) -> None:
        self.error: InputError | None = None
        self.stopped = False
        self._items = items
        self._stop = stop
        self._closed = threading.Event()
        self._queue: queue.Queue[Any] = queue.Queue(1)
        self._thread = threading.Thread(target=self._produce, name="read", daemon=True)

    def __enter__(self) -> _Prefetch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join(_PATIENCE)

    @property
    def waiting(self) -> bool:
        """Whether the iterator has not come back, after the end of the run."""
        return self._thread.is_alive()

    def _produce(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _put(self, item: Any) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_POLL)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self) -> Iterator[ak.Array]:
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=_POLL)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, InputError):
                self.error = item
                return
            if isinstance(item, BaseException):
                raise item
            yield item
        self.stopped = True
