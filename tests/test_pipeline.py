# SPDX-License-Identifier: MIT
"""Reading, simulating and writing at the same time."""

from __future__ import annotations

import threading

import awkward as ak
import hepgen_fastsim as hf
import pytest
import samples
from hepgen_fastsim.errors import Error, InputError
from hepgen_fastsim.pipeline import simulate_to


class Sink:
    """A writer that keeps what it gets."""

    def __init__(self, fails_at: int | None = None, error: Exception | None = None) -> None:
        self.batches, self.n_written, self.fails_at, self.error = [], 0, fails_at, error

    def write(self, gen, reco):
        if self.fails_at is not None and self.n_written + len(gen) > self.fails_at:
            raise self.error
        self.batches.append((gen, reco))
        self.n_written += len(gen)


@pytest.fixture
def sim(test_models):
    return hf.FastSim(test_models / "smear.pt", device="cpu")


def batches(n=6, size=5):
    gen = samples.gen(n * size)
    return [gen[i : i + size] for i in range(0, n * size, size)]


@pytest.mark.parametrize("threads", [1, 3])
def test_order_is_kept_and_all_is_counted(sim, threads):
    sink, seen = Sink(), []
    report = simulate_to(sink, [iter(batches()), iter(batches())], sim, threads=threads, on_batch=seen.append)
    assert report.ended == "complete"
    assert report.n_events == 60
    assert seen == [5] * 12
    assert [gen.event[0] for gen, _ in sink.batches] == [0, 5, 10, 15, 20, 25] * 2
    assert report.n_constituents == sum(ak.count(reco.pt) for _, reco in sink.batches)
    for gen, reco in sink.batches:
        assert reco.pt.to_list() == sim(gen).pt.to_list()


def test_max_events(sim):
    sink = Sink()
    assert simulate_to(sink, [iter(batches()), iter(batches())], sim, max_events=33).n_events == 33
    assert [len(gen) for gen, _ in sink.batches] == [5] * 6 + [3]


def failing(good, error):
    yield from batches()[:good]
    raise error


@pytest.mark.parametrize("threads", [1, 3])
def test_reader_that_breaks_keeps_what_came_before(sim, threads):
    sink = Sink()
    report = simulate_to(sink, [failing(4, InputError("line 7 is garbled"))], sim, threads=threads)
    assert (report.ended, str(report.error), report.n_events) == ("input error", "line 7 is garbled", 20)


@pytest.mark.parametrize("threads", [1, 3])
def test_nothing_after_a_bad_event_is_written(sim, threads):
    sink, all_batches = Sink(), batches()
    bad = all_batches[2]
    stable = int((bad.particles.status[3] == 1).to_list().index(True))
    row = int(ak.sum(ak.num(bad.particles[:3]))) + stable
    packed = ak.to_packed(bad)
    packed.layout["particles"].content["py"].data[row] = float("inf")
    all_batches[2] = packed
    report = simulate_to(sink, [iter(all_batches)], sim, threads=threads)
    assert report.n_events == 13
    assert str(report.error).startswith(f"sample: event 13, particle {stable} ")


def test_writer_that_refuses_ends_the_run(sim):
    sink = Sink(12, InputError("other weights"))
    report = simulate_to(sink, [iter(batches())], sim)
    assert (report.ended, report.n_events) == ("input error", 10)


def test_errors_of_the_disk_are_raised(sim):
    with pytest.raises(Error, match="disk is full"):
        simulate_to(Sink(12, Error("disk is full")), [iter(batches())], sim)


def test_errors_that_are_no_input_error_are_raised(sim):
    with pytest.raises(ZeroDivisionError):
        simulate_to(Sink(), [failing(2, ZeroDivisionError())], sim)


def test_stop_finishes_the_batches_under_way(sim):
    stop = threading.Event()

    def source():
        for i, gen in enumerate(batches(20)):
            if i == 3:
                stop.set()
            yield gen

    sink = Sink()
    report = simulate_to(sink, [source()], sim, stop=stop)
    assert report.ended == "interrupted"
    assert report.n_events in (5, 10, 15, 20)
    assert not report.reading


def test_stop_while_the_input_gives_nothing(sim):
    stop, never = threading.Event(), threading.Event()

    def source():
        yield batches()[0]
        stop.set()
        never.wait(30)

    report = simulate_to(Sink(), [source()], sim, stop=stop)
    assert report.reading
    assert report.ended == "interrupted"
    never.set()
