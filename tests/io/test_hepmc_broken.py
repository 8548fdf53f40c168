# SPDX-License-Identifier: MIT
"""Everything that can be wrong with HepMC input, each with its message and after the good events."""

from __future__ import annotations

import gzip
import io
import threading

import numpy as np
import pytest
from hepgen_fastsim.errors import Error, InputError
from hepgen_fastsim.io.hepmc import read_hepmc
from hepmc_samples import PACK, SAMPLES, edit, same, v2, v3

LAST3, LAST2 = "P 2 -1 11 3.0e+03 4.0e+03", "P 10002 11 3.0e+03 4.0e+03"
BROKEN = {  # of the second event: name -> (text, message)
    "v3 cut in a line": (lambda: v3()[: v3().index(LAST3) + 10], r"event 1 \(number 18\), line 33: expected 'P id"),
    "v3 cut in the last status": (
        lambda: v3()[: v3().index("5.10998951e-01 1") + 16],
        r"line 33: expected 'P id .* where the input ends",
    ),
    "v3 cut between lines": (
        lambda: v3()[: v3().index(LAST3)],
        r"line 32: expected 2 particles as the E line in line 28 promises, found 1 before the end of the input",
    ),
    "v3 too few particles": (
        lambda: edit(v3(), "E 18 1 2", "E 18 1 3"),
        r"event 1 \(number 18\), line 34: expected 3 particles .* found 2 before the event ends",
    ),
    "v3 too many vertices": (
        lambda: edit(v3(), "E 18 1 2", "E 18 2 2"),
        "line 28: expected 2 vertices as the E line promises, found 1",
    ),
    "v3 absurd count": (
        lambda: edit(v3(), "E 18 1 2", "E 18 1 1000000000000"),
        "line 28: expected a number of particles from 0 to 100000000, found 1000000000000",
    ),
    "v3 overflowing count": (
        lambda: edit(v3(), "E 18 1 2", "E 18 1 99999999999999999999999"),
        "line 28: expected 'E number vertices particles', found",
    ),
    "v3 promises a hundred million": (
        lambda: edit(v3(), "E 18 1 2", "E 18 100000000 100000000"),
        "expected 100000000 particles .* found 2",
    ),
    "v3 negative count": (lambda: edit(v3(), "E 18 1 2", "E 18 1 -2"), "found -2"),
    "v3 nan": (lambda: edit(v3(), LAST3, "P 2 -1 11 nan 4.0e+03"), "line 33: expected a finite momentum"),
    "v3 inf": (lambda: edit(v3(), LAST3, "P 2 -1 11 1 -inf"), "line 33: expected a finite momentum"),
    "v3 overflow": (lambda: edit(v3(), LAST3, "P 2 -1 11 1 1e999"), "line 33: expected a finite momentum"),
    "v3 nan position": (lambda: edit(v3(), "@ 1 2 3 4", "@ 1 nan 3 4"), "line 32: expected a position"),
    "v3 letter in a number": (lambda: edit(v3(), LAST3, "P 2 -1 11 3.0x 4.0e+03"), "line 33: expected 'P id"),
    "v3 garbage line": (lambda: edit(v3(), LAST3, "P\x00\x01\x02"), "line 33: expected a line of the event"),
    "v3 unknown key": (lambda: edit(v3(), LAST3, "Q 2 -1 11"), 'expected a line of the event .* found "Q 2 -1 11'),
    "v3 missing vertex": (
        lambda: edit(edit(v3(), LAST3, "P 2 -2 11 1 1"), "E 18 1", "E 18 2"),
        "line 33: particle 2 comes from vertex -2, which has no line",
    ),
    "v3 vertex out of range": (lambda: edit(v3(), LAST3, "P 2 -7 11 1 1"), "particle 2 has the mother -7"),
    "v3 missing particle": (lambda: edit(v3(), "V -1 0 [1] @ 1", "V -1 0 [9] @ 1"), "the incoming particle 9"),
    "v3 mother out of range": (lambda: edit(v3(), LAST3, "P 2 3 11 1 1"), "particle 2 has the mother 3"),
    "v3 own mother": (lambda: edit(v3(), LAST3, "P 2 2 11 1 1"), "particle 2 is its own mother"),
    "v3 particle twice": (lambda: edit(v3(), LAST3, "P 1 -1 11 1 1"), "particle 1 occurs for the second time"),
    "v3 particle out of range": (
        lambda: edit(v3(), LAST3, "P 5 -1 11 1 1"),
        "expected a particle from 1 to 2, found 5",
    ),
    "v3 vertex twice": (
        lambda: edit(v3(), LAST3, "V -1 0 [1]\n" + LAST3),
        "line 33: vertex -1 occurs for the second time",
    ),
    "v3 two ends": (
        lambda: edit(edit(v3(), LAST3, "V -2 0 [1]\n" + LAST3), "E 18 1", "E 18 2"),
        "line 33: particle 1 ends in two vertices",
    ),
    "v3 mother ends elsewhere": (
        lambda: edit(v3(), LAST3, "P 2 1 11 1 1"),
        "particle 2 has the mother 1, which ends in vertex -1",
    ),
    "v3 units": (lambda: edit(v3(), "U MEV CM", "U TEV CM"), r"line 29: expected units \(U GEV\|MEV MM\|CM\)"),
    "v3 weight count": (
        lambda: edit(v3(), "W 1.0e+00 -1.0e+00", "W 1 2 3"),
        "expected 2 weights as in the events before, found 3",
    ),
    "v3 weight missing": (
        lambda: edit(v3(), "W 1.0e+00 -1.0e+00\n", ""),
        "expected 2 weights as in the events before, found 1",
    ),
    "v3 weight garbled": (lambda: edit(v3(), "W 1.0e+00 -1.0e+00", "W 1.0e+00 x"), "line 30: expected weights"),
    "v3 attribute garbled": (lambda: edit(v3(), "W 1.0e+00", "A 0 mpi x\nW 1.0e+00"), "numbers of an attribute"),
    "v3 more lines than promised": (
        lambda: edit(v3(), "HepMC::Asciiv3-END", "P 3 -1 11 0 0 0 0 0 1\nHepMC::Asciiv3-END"),
        "after 2 events, line 34: the event before has more lines",
    ),
    "v3 something after the events": (
        lambda: v3() + "what is this?\n",
        r'after 2 events, line 36: expected the next event \(E\) .* found "what is this\?"',
    ),
    "v3 event without a listing": (lambda: v3() + "E 1 0 0\n", "expected a START_EVENT_LISTING line"),
    "v3 other weight names": (
        lambda: v3() + edit(v3(), "scale up", "scale down"),
        'number 1: "scale up" before, "scale down" here',
    ),
    "v2 cut in a line": (lambda: v2()[: v2().index(LAST2) + 20], r"event 1 \(number 18\), line 27: expected 'P bar"),
    "v2 cut between lines": (
        lambda: v2()[: v2().index(LAST2)],
        "line 26: expected 2 particles of vertex -1 as line 25 promises, found 1 before the end of the input",
    ),
    "v2 cut before the vertex": (
        lambda: v2()[: v2().index("V -1 0 1 2 3 4")],
        "expected 1 vertices as the E line in line 22 promises, found 0 before the end",
    ),
    "v2 too few vertices": (
        lambda: edit(v2(), "E 18 -1 -1 -1 -1 0 0 1", "E 18 -1 -1 -1 -1 0 0 2"),
        "expected 2 vertices .* found 1 before the event ends",
    ),
    "v2 missing vertex": (
        lambda: edit(v2(), "5.10998951e-01 1 0 0 0 0", "5.10998951e-01 1 0 0 -5 0"),
        "line 27: the particle ends in vertex -5, which has no line",
    ),
    "v2 nan": (lambda: edit(v2(), LAST2, "P 10002 11 nan 1"), "line 27: expected a finite momentum"),
    "v2 weight count": (
        lambda: edit(v2(), "0 0 0 2 1.0e+00 -1.0e+00", "0 0 0 3 1 2 3"),
        "expected 2 weights as in the events before, found 3",
    ),
    "v2 absurd weights": (lambda: edit(v2(), "0 0 0 2 1.0e+00", "0 0 0 2000000000 1.0e+00"), "number of weights"),
    "v2 weight names": (lambda: v2()[:-1].replace('N 2 "nominal" "scale up"\nU M', 'N 2 "a" "b"\nU M'), "weight names"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("packing", ["plain", "gzip"])
def test_broken_event_is_named_after_the_good_ones(name, packing, tmp_path):
    text, message = BROKEN[name]
    path = tmp_path / "broken.hepmc"
    path.write_bytes(PACK[packing](text().encode()))
    batches = read_hepmc(path)
    good = next(batches)
    n_good = 2 if "after 2 events" in message or name in ("v3 event without a listing", "v3 other weight names") else 1
    assert len(good) == n_good
    same(good, next(read_hepmc(SAMPLES[int(name[1]) == 2]))[:n_good])
    with pytest.raises(InputError, match=message) as error:
        next(batches)
    assert str(error.value).startswith(f"{path}: ")
    assert "line " in str(error.value)


def test_broken_first_event_raises_at_once():
    for text in (edit(v3(), "P 1 0 2212", "P 1 0 x"), edit(v3(), "P 1 0 2212", "P 1 0 x")):
        with pytest.raises(InputError, match=r"event 0 \(number 17\), line 17"):
            next(read_hepmc(io.BytesIO(text.encode())))
        with pytest.raises(InputError, match=r"event 0 \(number 17\), line 17"):
            next(read_hepmc(io.BytesIO(text.encode()), entry_start=1))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.stem)
def test_missing_end_line_after_a_complete_event_is_accepted(path):
    text = path.read_text()
    (expected,) = read_hepmc(path)
    end = text.rindex("HepMC::")
    for stop in (end, end + 3, end + 7, end + 20):
        (gen,) = read_hepmc(io.BytesIO(text[:stop].encode()))
        same(gen, expected)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.stem)
@pytest.mark.parametrize("packing", ["gzip", "bzip2", "xz", "zstd"])
def test_cut_compressed_stream_is_an_error_after_the_good_events(path, packing):
    n = 600_000 if packing == "bzip2" else 100_000  # so that the cut lies behind the events, and their block
    noise = "# " + np.random.default_rng(1).bytes(n).hex() + "\n"
    data = PACK[packing]((path.read_text() + noise).encode())
    batches = read_hepmc(io.BytesIO(data[: len(data) - 100]))
    assert next(batches).number.tolist() == [17, 18]
    with pytest.raises(InputError, match=r"stream: after 2 events, line \d+"):
        next(batches)


def test_damaged_gzip_is_an_error():
    data = bytearray(gzip.compress(v3().encode() * 50))
    data[-6] ^= 0xFF  # the checksum
    batches = read_hepmc(io.BytesIO(bytes(data)))
    assert len(next(batches)) == 100
    with pytest.raises(InputError, match="the gzip stream is damaged"):
        next(batches)
    padded = gzip.compress(v3().encode()) + bytes(512)
    assert len(next(read_hepmc(io.BytesIO(padded)))) == 2
    batches = read_hepmc(io.BytesIO(gzip.compress(v3().encode()) + b"rubbish"))
    assert len(next(batches)) == 2
    with pytest.raises(InputError, match="bytes that are not gzip follow"):
        next(batches)


WRONG = {
    "empty": (b"", "an empty file"),
    "blank": (b"\n\n  \n", "blank lines only"),
    "lhe": (b'<LesHouchesEvents version="3.0">\n', "an LHE file: partons that need a parton shower first"),
    "root": (b"root\x00\x00\xf7\x8f", "a ROOT file"),
    "parquet": (b"PAR1\x15\x04", "a Parquet file"),
    "html": (b"<!DOCTYPE html><html>", "an HTML page"),
    "zip": (b"PK\x03\x04\x14", "a zip archive"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    "binary": (bytes(range(256)), "binary data of an unknown kind"),
    "text": (b"pt eta phi\n1 2 3\n", 'text that begins with "pt eta phi"'),
    "headless": (b"E 0 1 2\nU GEV MM\n", "HepMC or HEPEVT events without the header line"),
    "gzip in gzip": (gzip.compress(b""), "an empty file"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("packing", ["plain", "gzip"])
def test_other_formats_are_recognised(name, packing, tmp_path):
    data, message = WRONG[name]
    path = tmp_path / "events.hepmc"
    path.write_bytes(PACK[packing](data))
    if (name, packing) == ("gzip in gzip", "gzip"):
        message = "gzip within gzip"
    with pytest.raises(InputError, match=r"events\.hepmc: expected HepMC text .* found " + message):
        read_hepmc(path)


def test_other_listings_are_named():
    text = "HepMC::Version 2.06\nHepMC::IO_Ascii-START_EVENT_LISTING\nE 1\n"
    with pytest.raises(InputError, match='line 2: expected an Asciiv3 or IO_GenEvent listing, found "HepMC::IO_Ascii'):
        next(read_hepmc(io.BytesIO(text.encode())))
    with pytest.raises(InputError, match="expected a START_EVENT_LISTING line, found the end of the input"):
        next(read_hepmc(io.BytesIO(b"HepMC::Version 3.02.05\n")))
    empty = "HepMC::Version 3\nHepMC::Asciiv3-START_EVENT_LISTING\nHepMC::Asciiv3-END_EVENT_LISTING\n"
    assert list(read_hepmc(io.BytesIO(empty.encode()))) == []


def test_wrong_arguments(tmp_path):
    with pytest.raises(InputError, match=r"/no/such\.hepmc: no such file"):
        read_hepmc("/no/such.hepmc")
    with pytest.raises(InputError, match="found a directory"):
        read_hepmc(tmp_path)
    with pytest.raises(InputError, match="batch_size must be at least 1, found 0"):
        read_hepmc(SAMPLES[0], batch_size=0)
    with pytest.raises(InputError, match="found 3 to 1"):
        read_hepmc(SAMPLES[0], entry_start=3, entry_stop=1)
    with pytest.raises(InputError, match="descriptor 9999 cannot be read"):
        read_hepmc(9999)
    with open(SAMPLES[0]) as file, pytest.raises(InputError, match="text mode"):
        read_hepmc(file)
    with pytest.raises(InputError, match="expected bytes from the input, found str"):
        read_hepmc(type("Text", (), {"read": io.StringIO("HepMC::").read})())
    with pytest.raises(InputError, match="NUL"):
        read_hepmc("a\0b")


class Failing(io.RawIOBase):
    """Good bytes, then an exception."""

    def __init__(self, data: bytes, error: BaseException) -> None:
        self._data = io.BytesIO(data)
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        n = self._data.readinto(memoryview(buffer)[:100])
        if n == 0:
            raise self._error
        return n


def test_source_that_fails_is_an_error_after_the_good_events():
    batches = read_hepmc(Failing(v3().encode(), OSError("the network is down")))
    assert len(next(batches)) == 2
    with pytest.raises(InputError, match="OSError: the network is down"):
        next(batches)


def test_interrupt_passes_through():
    batches = read_hepmc(Failing(v3().encode(), KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        next(batches)
    with pytest.raises(InputError, match="interrupted"):
        next(batches)


def test_one_reader_in_two_threads_is_refused():
    inside, go_on = threading.Event(), threading.Event()

    class Slow(io.BytesIO):
        def readinto1(self, buffer) -> int:
            if self.tell() > 4000:
                inside.set()
                go_on.wait(10)
            return super().readinto1(memoryview(buffer)[:1000])

    batches = read_hepmc(Slow(v3().encode() * 4))
    result = []
    thread = threading.Thread(target=lambda: result.append(next(batches)))
    thread.start()
    assert inside.wait(10)
    with pytest.raises(Error, match="used by another thread"):
        _ = batches.events_read
    go_on.set()
    thread.join()
    assert len(result[0]) == 8
