# SPDX-License-Identifier: MIT
"""The HepMC reader against hand-made samples, pyhepmc, and everything that can be wrong with a file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import awkward as ak
import numpy as np
import pyhepmc
import pytest
from hepgen_fastsim.errors import Error, InputError
from hepgen_fastsim.io.hepmc import read_hepmc
from hypothesis import given, settings
from hypothesis import strategies as st

DATA = Path(__file__).parents[1] / "data"
SAMPLES = [DATA / "asciiv3.hepmc", DATA / "io_genevent.hepmc"]
REAL = Path(os.environ.get("HEPGEN_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "real"


def zstd(data: bytes) -> bytes:
    import pyarrow as pa

    return pa.Codec("zstd").compress(data, asbytes=True)


PACK = {"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd}


def v3() -> str:
    return SAMPLES[0].read_text()


def v2() -> str:
    return SAMPLES[1].read_text()


def same(a: ak.Array, b: ak.Array) -> None:
    assert a.fields == b.fields
    assert a.particles.fields == b.particles.fields
    for name in a.particles.fields:
        assert ak.array_equal(a.particles[name], b.particles[name], check_parameters=False), name
    for name in a.fields[1:]:
        assert ak.array_equal(a[name], b[name], check_parameters=False), name


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.stem)
def test_batch_has_the_fixed_layout(path):
    (gen,) = read_hepmc(path)
    assert gen.fields[0] == "particles"
    assert str(gen.particles.pdgid.type) == "2 * var * int64"
    assert str(gen.particles.charge.type) == "2 * var * float32"
    assert str(gen.particles.status.type) == str(gen.particles.d2.type) == "2 * var * int32"
    assert ak.parameters(gen)["weight_names"] == ["nominal", "scale up"]
    assert ak.parameters(gen)["source"] == str(path)
    assert gen.event.tolist() == [0, 1]
    assert gen.number.tolist() == [17, 18]
    assert gen.weights.tolist() == [[2, 3], [1, -1]]
    assert gen.cross_section.tolist() == [1500, 0]
    assert gen.particles.pt[0, 4] == pytest.approx(np.hypot(3, 0.1))
    assert gen.particles.energy[0, 4] == pytest.approx(3.6099, rel=1e-6)
    assert gen.particles.energy[1, 1] == pytest.approx(4, rel=1e-6)  # spacelike: the mass is -3
    first = gen.particles[0]
    crc = 0
    for name in ("pdgid", "px", "py", "pz"):
        crc = zlib.crc32(np.asarray(first[name]).tobytes(), crc)
    assert ak.parameters(gen)["stream"] == crc


def test_nothing_is_copied():
    (gen,) = read_hepmc(SAMPLES[0])
    column = gen.layout.content("particles").content.content("px").data
    assert not column.flags.owndata
    del gen
    assert column[2] == 3


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.stem)
@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("way", ["path", "file", "memory", "read only", "descriptor", "fifo"])
def test_every_way_in(path, packing, way, tmp_path):
    (expected,) = read_hepmc(path)
    data = PACK[packing](path.read_bytes())
    file = tmp_path / "events.dat"
    if way == "fifo":
        os.mkfifo(file)
        thread = threading.Thread(target=file.write_bytes, args=(data,))
        thread.start()
        (gen,) = read_hepmc(file)
        thread.join()
    else:
        file.write_bytes(data)
        if way == "path":
            (gen,) = read_hepmc(str(file))
        elif way == "file":
            with open(file, "rb") as stream:
                (gen,) = read_hepmc(stream)
                assert not stream.closed
        elif way == "memory":
            (gen,) = read_hepmc(io.BytesIO(data))
        elif way == "read only":

            class ReadOnly:
                read = io.BytesIO(data).read

            (gen,) = read_hepmc(ReadOnly())
        else:
            descriptor = os.open(file, os.O_RDONLY)
            (gen,) = read_hepmc(descriptor)
            os.close(descriptor)
    same(gen, expected)


@pytest.mark.parametrize("packing", PACK)
def test_compressed_pieces_one_after_the_other(packing):
    data = PACK[packing](v3().encode()) + PACK[packing](v2().encode())
    (gen,) = read_hepmc(io.BytesIO(data))
    assert gen.number.tolist() == [17, 18, 17, 18]


@pytest.mark.parametrize("packing", ["plain", "zstd"])
def test_standard_input(packing):
    code = (
        "from hepgen_fastsim.io.hepmc import read_hepmc\n"
        "print([len(e.particles) for gen in read_hepmc('-', batch_size=1) for e in gen])"
    )
    done = subprocess.run([sys.executable, "-c", code], input=PACK[packing](v3().encode()), capture_output=True)
    assert done.stdout == b"[8, 2]\n", done.stderr.decode()


def test_ranges_and_batches(tmp_path):
    path = tmp_path / "many.hepmc"
    path.write_text(v3() * 3 + v2() * 2)
    (whole,) = read_hepmc(path)
    assert len(whole) == 10
    stream = ak.parameters(whole)["stream"]
    for start, stop, size in [(0, 10, 3), (3, 7, 1), (4, None, 4), (9, 10, 5), (2, 50, 2)]:
        parts = list(read_hepmc(path, entry_start=start, entry_stop=stop, batch_size=size))
        assert all(len(part) <= size for part in parts)
        assert {ak.parameters(part)["stream"] for part in parts} == {stream}
        gen = ak.concatenate(parts)
        assert gen.event.tolist() == list(range(10))[start:stop]
        same(gen, whole[start:stop])
    assert list(read_hepmc(path, entry_start=10)) == []
    assert list(read_hepmc(path, entry_start=3, entry_stop=3)) == []


def test_progress(tmp_path):
    text = v3().replace("HepMC::Asciiv3-END_EVENT_LISTING\n", "")
    events = "E 17" + text.split("E 17")[1]
    text += events * 3000
    for packing in ("plain", "gzip", "zstd"):
        path = tmp_path / packing
        path.write_bytes(PACK[packing](text.encode()))
        batches = read_hepmc(path, batch_size=2)
        seen = []
        for _ in batches:
            seen.append(batches.fraction())
            if len(seen) == 3:
                break
        assert batches.events_read == 6
        assert 0 < seen[0] <= seen[-1] <= 1
        if packing == "plain":
            assert seen[-1] < 1
        batches.close()
    assert read_hepmc(io.BytesIO(text.encode())).fraction() is None


def edit(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


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
    noise = "# " + np.random.default_rng(1).bytes(600_000).hex() + "\n"  # so that the cut lies behind the events
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


@pytest.mark.parametrize(
    ("header", "weights", "names"),
    [
        ("", "W 2\n", ["Weight"]),
        ("", "", ["Weight"]),
        ("", "W 1 2\n", ["0", "1"]),
        ("W a b\n", "W 1 2\n", ["a", "b"]),
        ("W a b\n", "W 1\n", ["a b"]),
        (r"W a\\b\|c" + "\n", "W 1 2\n", [r"a\b", "c"]),
        ("W 2\nN a b\n", "W 1 2\n", ["a", "b"]),
        ("W \xe9\n", "W nan\n", ["�"]),
    ],
)
def test_weight_names(header, weights, names):
    text = f"HepMC::Version 3\nHepMC::Asciiv3-START_EVENT_LISTING\n{header}E 1 0 1\n{weights}P 1 0 22 0 0 1 1 0 1\n"
    (gen,) = read_hepmc(io.BytesIO(text.encode("latin1")))
    assert ak.parameters(gen)["weight_names"] == names
    assert gen.weights.type.content.size == len(names)


def test_weight_names_without_their_weights():
    text = "HepMC::Version 3\nHepMC::Asciiv3-START_EVENT_LISTING\nW a\\|b\\|c\nE 1 0 1\nW 1 2\nP 1 0 22 0 0 1 1 0 1\n"
    with pytest.raises(InputError, match="expected 3 weights, one for each name in the header, found 2"):
        next(read_hepmc(io.BytesIO(text.encode())))


def test_loop_of_vertices_ends():
    text = (
        "HepMC::Version 3\nHepMC::Asciiv3-START_EVENT_LISTING\nE 1 2 2 @ 0 0 7 7\n"
        "V -1 0 [2]\nP 1 -1 22 0 0 1 1 0 1\nV -2 0 [1]\nP 2 -2 22 0 0 1 1 0 1\n"
    )
    (gen,) = read_hepmc(io.BytesIO(text.encode()))
    assert gen.particles.vz.tolist() == [[7, 7]]
    assert gen.particles.m1.tolist() == gen.particles.d1.tolist() == [[1, 0]]


def test_events_without_particles():
    text = "HepMC::Version 3\nHepMC::Asciiv3-START_EVENT_LISTING\nE 1 0 0\nU GEV MM\nW 1\nE 2 0 0\nW 1\n"
    (gen,) = read_hepmc(io.BytesIO(text.encode()))
    assert ak.num(gen.particles).tolist() == [0, 0]
    assert gen.number.tolist() == [1, 2]


def test_herwig_orphans_in_hepmc2():
    """A vertex without a beam, orphans that name it, and a status of 11."""
    text = (
        "HepMC::Version 2.06.09\nHepMC::IO_GenEvent-START_EVENT_LISTING\n"
        "E 1 -1 0 0 0 0 0 2 0 0 0 1 1\nU GEV MM\n"
        "V -10 0 0 0 0 0 0 1 0\nP 1 21 0 0 5 5 0 11 0 0 -7 0\n"
        "V -7 0 0 0 1 1 1 1 0\nP 2 2212 0 0 -5 5 0 20 0 0 -7 0\nP 3 22 0 0 0 0 0 1 0 0 0 0\n"
        "HepMC::IO_GenEvent-END_EVENT_LISTING\n"
    )
    (gen,) = read_hepmc(io.BytesIO(text.encode()))
    assert gen.particles.status.tolist() == [[11, 20, 1]]
    assert gen.particles.m1.tolist() == [[-1, -1, 0]]
    assert gen.particles["m2"].tolist() == [[-1, -1, 1]]
    assert gen.particles.d1.tolist() == [[2, 2, -1]]
    assert gen.particles.vt.tolist() == [[0, 0, 1]]
    assert ak.parameters(gen)["weight_names"] == ["0"]


# --- against pyhepmc --------------------------------------------------------------------------------------------


momentum = st.one_of(st.floats(-1e4, 1e4, allow_subnormal=False), st.integers(-(10**6), 10**6).map(lambda i: i / 997))
mass = st.sampled_from([0.0, 0.13957039, 0.93827209, 91.1876])
code = st.sampled_from([21, -2, 211, -321, 2212, 1000020040, 1000022, 22, 11])
length = st.floats(-1e3, 1e3, allow_subnormal=False)


@st.composite
def events(draw):
    """A pyhepmc event: a tree of one to six vertices, some without a position of their own."""
    event = pyhepmc.GenEvent(
        draw(st.sampled_from([pyhepmc.Units.GEV, pyhepmc.Units.MEV])),
        draw(st.sampled_from([pyhepmc.Units.MM, pyhepmc.Units.CM])),
    )

    def particle(status):
        p, m = [draw(momentum) for _ in range(3)], draw(mass)
        made = pyhepmc.GenParticle((*p, float(np.sqrt(np.dot(p, p) + m * m))), draw(code), status)
        made.generated_mass = m
        return made

    open_ends = [particle(4), particle(4)]
    for i in range(draw(st.integers(1, 6))):
        at = (0.0, 0.0, 0.0, 0.0) if draw(st.booleans()) else tuple(draw(length) for _ in range(4))
        vertex = pyhepmc.GenVertex(at)
        for _ in range(2 if i == 0 else 1):
            vertex.add_particle_in(open_ends.pop(draw(st.integers(0, len(open_ends) - 1))))
        for _ in range(draw(st.integers(1, 4))):
            made = particle(draw(st.sampled_from([1, 2, 62])))
            vertex.add_particle_out(made)
            open_ends.append(made)
        event.add_vertex(vertex)
    event.weights = draw(st.lists(st.floats(-10, 10), min_size=2, max_size=2))
    event.event_number = draw(st.integers(0, 2**31 - 1))
    return event


def expected_particles(event) -> dict[str, np.ndarray]:
    """What the reader must give for an event that pyhepmc has read."""
    event.set_units(pyhepmc.Units.GEV, pyhepmc.Units.MM)
    particles = event.particles
    ends = [(0, 0, 0, 0) if (v := p.production_vertex) is None else tuple(v.position) for p in particles]
    mothers = [[q.id - 1 for q in p.parents] for p in particles]
    daughters = [[q.id - 1 for q in p.children] for p in particles]
    return {
        "pdgid": np.array([p.pid for p in particles]),
        "status": np.array([p.status for p in particles]),
        "p": np.array([tuple(p.momentum) for p in particles]),
        "mass": np.array([p.generated_mass for p in particles]),
        "v": np.array(ends),
        "m1": np.array([min(m, default=-1) for m in mothers]),
        "m2": np.array([max(m) if len(m) > 1 else -1 for m in mothers]),
        "d1": np.array([min(d, default=-1) for d in daughters]),
        "d2": np.array([max(d, default=-1) for d in daughters]),
    }


def four_momenta(particles: ak.Array) -> np.ndarray:
    return np.stack([np.asarray(getattr(particles, name)) for name in ("px", "py", "pz", "energy")], axis=1)


def check_event(particles: ak.Array, expected: dict[str, np.ndarray], order: np.ndarray | None = None) -> None:
    rows = np.arange(len(particles)) if order is None else order
    for name in ("pdgid", "status"):
        assert np.array_equal(np.asarray(particles[name])[rows], expected[name])
    p = four_momenta(particles)[rows]
    scale = np.abs(expected["p"][:, 3:]) + 1e-300
    assert (np.abs(p - expected["p"]) <= 1e-6 * scale).all()
    v = np.stack([np.asarray(particles[name]) for name in ("vx", "vy", "vz", "vt")], axis=1)[rows]
    assert np.allclose(v, expected["v"], rtol=1e-12, atol=0)
    # At most two mothers here: the same two, whatever the order of the record.
    rank = np.append(np.argsort(rows), -1)
    mothers = np.sort([rank[np.asarray(particles[name])[rows]] for name in ("m1", "m2")], axis=0)
    assert np.array_equal(mothers, np.sort([expected["m1"], expected["m2"]], axis=0))
    if order is None:
        assert np.allclose(p[:, :3], expected["p"][:, :3], rtol=1e-15, atol=0)
        assert np.allclose(np.asarray(particles.mass), expected["mass"], rtol=1e-14, atol=0)
        for name in ("m1", "m2", "d1", "d2"):
            assert np.array_equal(np.asarray(particles[name]), expected[name]), name


@settings(max_examples=60, deadline=None)
@given(st.lists(events(), min_size=1, max_size=3), st.sampled_from(["hepmc3", "hepmc2"]))
def test_random_events_as_pyhepmc_reads_them(made, format):
    buffer = io.BytesIO()
    with pyhepmc.open(buffer, "w", format=format) as out:
        for event in made:
            out.write(event)
    text = buffer.getvalue()
    (gen,) = read_hepmc(io.BytesIO(text))
    with pyhepmc.open(io.BytesIO(text), format=format) as theirs:
        read = list(theirs)
    assert gen.number.tolist() == [event.event_number for event in read]
    assert np.allclose(ak.to_numpy(gen.weights), [event.weights for event in read], rtol=1e-15, atol=0)
    for particles, event in zip(gen.particles, read, strict=True):
        expected = expected_particles(event)
        # Reading HepMC2, HepMC3 sorts the particles anew: there they are matched by their momenta.
        order = None
        if format == "hepmc2":
            theirs, mine = expected["p"], four_momenta(particles)
            if len(np.unique(theirs[:, :3], axis=0)) < len(theirs):
                continue  # alike particles cannot be matched
            order = np.empty(len(theirs), int)
            order[np.lexsort(theirs.T[:3])] = np.lexsort(mine.T[:3])
        check_event(particles, expected, order)


# --- against real files -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> ak.Array:
    path = REAL / "ttbar100.hepmc.gz"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return ak.concatenate(list(read_hepmc(path, batch_size=30)))


@pytest.mark.data
def test_real_events_as_pyhepmc_reads_them(real):
    assert len(real) == 100
    with pyhepmc.open(str(REAL / "ttbar100.hepmc.gz")) as file:
        for event, theirs in zip(real, file, strict=True):
            particles, arrays = event.particles, theirs.numpy.particles
            assert len(particles) == len(arrays.pid)
            assert event.number == theirs.event_number
            for name, column in (("pdgid", "pid"), ("status", "status"), ("mass", "generated_mass")):
                assert np.array_equal(ak.to_numpy(particles[name]), getattr(arrays, column))
            for name in ("px", "py", "pz"):
                assert np.array_equal(ak.to_numpy(particles[name]), getattr(arrays, name))
            assert (np.abs(np.asarray(particles.energy) - arrays.e) <= 1e-6 * arrays.e).all()
            v = [
                (0, 0, 0) if p.production_vertex is None else tuple(p.production_vertex.position)[:3]
                for p in theirs.particles
            ]
            mine = np.stack([np.asarray(particles[name]) for name in ("vx", "vy", "vz")], axis=1)
            assert np.allclose(mine, v, rtol=1e-15, atol=1e-9)  # HepMC3 inherits nothing where an event has loops


@pytest.mark.data
def test_real_events_as_delphes_reads_them(real):
    """Delphes lists the particles by production vertex; put into that order, the record is its Particle branch."""
    import uproot

    with uproot.open(REAL / "delphes_ttbar100.root") as file:
        names = ["PID", "Status", "M1", "M2", "D1", "D2", "Charge", "Mass", "Px", "Py", "Pz", "X", "Y", "Z"]
        branch = {name: file["Delphes"][f"Particle.{name}"].array() for name in names}
        process = file["Delphes"]["Event.ProcessID"].array()[:, 0]
    assert real.process_id.tolist() == process.tolist()
    for i, event in enumerate(real.particles):
        m1, d1 = np.asarray(event.m1), np.asarray(event.d1)
        vertex = np.where(m1 >= 0, d1[m1], 0)  # named by its first particle
        order = np.argsort(vertex, kind="stable")
        rank = np.append(np.argsort(order, kind="stable"), -1)
        theirs = {name: np.asarray(branch[name][i]) for name in names}
        mine = {name: np.asarray(event[name])[order] for name in event.fields}
        assert np.array_equal(mine["pdgid"], theirs["PID"])
        assert np.array_equal(mine["status"], theirs["Status"])
        for ours, name in (("px", "Px"), ("py", "Py"), ("pz", "Pz"), ("mass", "Mass")):
            assert np.array_equal(mine[ours].astype(np.float32), theirs[name])
        for ours, name in (("vx", "X"), ("vy", "Y"), ("vz", "Z")):
            assert np.allclose(mine[ours], theirs[name], rtol=1e-6, atol=1e-6)
        known = theirs["Charge"] != -999
        assert np.array_equal(np.trunc(mine["charge"])[known], theirs["Charge"][known])
        assert np.array_equal(rank[mine["d1"]], theirs["D1"])
        assert np.array_equal(rank[mine["d2"]], theirs["D2"])
        # First and last mother are told by their place in the record, by Delphes in its own order.
        mothers = np.sort([rank[mine["m1"]], rank[mine["m2"]]], axis=0)
        differ = (mothers != np.sort([theirs["M1"], theirs["M2"]], axis=0)).any(axis=0)
        assert differ.mean() < 0.01


# --- PDG codes against the `particle` package -------------------------------------------------------------------


def test_charges_and_masses_as_the_particle_package_has_them():
    particle = pytest.importorskip("particle")
    from hepgen_fastsim._core_loader import core

    table = particle.Particle.all()
    codes = np.array([int(p.pdgid) for p in table])
    charges = np.array([float(p.charge) for p in table])
    assert len(codes) > 500
    assert np.allclose(core().pdg_charge(codes), charges)
    masses = core().pdg_mass(codes)
    electrons = np.where(abs(codes) >= 10**9, abs(codes) // 10000 % 1000 * 0.51099895e-3, 0)  # theirs are atoms
    theirs = np.array([np.nan if p.mass is None else p.mass * 1e-3 for p in table]) - electrons
    with np.errstate(invalid="ignore"):
        wrong = np.abs(masses - theirs) > np.where(abs(codes) < 10**9, 1e-4, 2e-2) * theirs
    assert not wrong.any(), codes[wrong]
    stable = [
        11,
        13,
        15,
        22,
        111,
        211,
        321,
        130,
        310,
        2212,
        2112,
        3122,
        3222,
        3212,
        3112,
        3322,
        3312,
        3334,
        411,
        421,
        431,
    ]
    stable += [511, 521, 531, 541, 4122, 4132, 4232, 4332, 5122, 5132, 5232, 5332, 1000010020, 1000010030, 1000020030]
    assert np.isfinite(core().pdg_mass(np.array([*stable, 12, 14, 16, 1000020040]))).all()
    where = np.isin(codes, stable)
    assert np.allclose(masses[where], np.nan_to_num(theirs[where]), rtol=1e-4)
