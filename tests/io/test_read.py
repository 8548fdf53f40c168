# SPDX-License-Identifier: MIT
"""One door for every input."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import threading

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pyarrow as pa
import pytest
import samples
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.io.detect import detect

TEXT = samples.hepmc([samples.pions(5, seed) for seed in range(12)])
PACK = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}


@pytest.fixture(params=PACK)
def packed(request, tmp_path):
    path = tmp_path / "no_telling_name"
    path.write_bytes(PACK[request.param](TEXT.encode()))
    return path


def test_content_tells_the_format(packed):
    assert detect(packed.read_bytes())[0] == "hepmc"
    reader = hf.read(packed, batch_size=5)
    assert reader.format == "hepmc"
    batches = list(reader)
    assert [len(batch) for batch in batches] == [5, 5, 2]
    assert ak.concatenate(batches).event.to_list() == list(range(12))


def test_fifo_and_open_file(packed, tmp_path):
    wanted = next(hf.read(packed)).particles.px.to_list()
    with packed.open("rb") as file:
        assert next(hf.read(file)).particles.px.to_list() == wanted
        assert not file.closed
    assert next(hf.read(io.BytesIO(packed.read_bytes()))).particles.px.to_list() == wanted
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(packed.read_bytes()))
    writer.start()
    assert next(hf.read(fifo)).particles.px.to_list() == wanted
    writer.join()


def test_stdin(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert len(next(hf.read("-"))) == 12


def test_entry_range_keeps_event_and_stream(tmp_path):
    path = tmp_path / "a.hepmc"
    path.write_text(TEXT)
    whole, part = next(hf.read(path)), next(hf.read(path, entry_start=4, entry_stop=9))
    assert part.event.to_list() == [4, 5, 6, 7, 8]
    assert part.particles.px.to_list() == whole.particles[4:9].px.to_list()
    assert part.layout.parameters["stream"] == whole.layout.parameters["stream"]


@pytest.mark.parametrize("form", ["dict", "awkward", "batch"])
def test_arrays_in_memory(form):
    flat, gen = samples.columns(30), samples.gen(30)
    source = {"dict": flat, "awkward": gen.particles, "batch": gen}[form]
    reader = hf.read(source, batch_size=7, entry_start=3, entry_stop=25)
    assert reader.n_events == 22
    batches = list(reader)
    assert [len(batch) for batch in batches] == [7, 7, 7, 1]
    joined = ak.concatenate(batches)
    assert joined.event.to_list() == list(range(3, 25))
    np.testing.assert_array_equal(ak.flatten(joined.particles.px), ak.flatten(gen.particles[3:25].px))
    assert {batch.layout.parameters["stream"] for batch in batches} == {gen.layout.parameters["stream"]}


LHE = b'<LesHouchesEvents version="3.0">\n<init>\n</init>\n</LesHouchesEvents>\n'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty; HepMC2 or HepMC3 text"),
        (gzip.compress(b""), "is empty"),
        (b"pt,eta,phi\n1,2,3\n", "of no format that is known here; HepMC2 or HepMC3"),
        (gzip.compress(b"pt,eta,phi\n1,2,3\n"), r"\(gzip\) is of no format that is known here"),
        (b"\x89HDF\r\n\x1a\n1234", "is an HDF5 file"),
        (LHE, "holds partons .* shower it first"),
        (gzip.compress(LHE), "holds partons .* shower it first"),
        (b"root\x00\x00\xf4\x1d" + bytes(100), "has no tree 'Delphes'; found nothing"),
        (b"root" + 200 * b"\xff", "cannot be read as a ROOT file"),
        (b"PAR1" + bytes(100), "cannot be read as a Parquet file"),
        (gzip.compress(b"PAR1" + bytes(100)), "parquet file packed with gzip; unpack it first"),
        (b"\x1f\x8b\x08\x00garbage", "gzip|no format"),
    ],
)
def test_what_is_no_input(tmp_path, content, words):
    path = tmp_path / "input"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"(?s){path}.*({words})"):
        list(hf.read(path))


def test_missing_folder_and_unreadable(tmp_path):
    with pytest.raises(InputError, match=r"input .*nothing\.hepmc does not exist"):
        hf.read(tmp_path / "nothing.hepmc")
    with pytest.raises(InputError, match="is a folder; a file with events is expected"):
        hf.read(tmp_path)


def test_root_from_a_stream_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read from a stream; give its path"):
        hf.read(io.BytesIO(b"root" + bytes(100)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, found 0"),
        ({"entry_start": 5, "entry_stop": 2}, "0 <= start <= stop, found 5 to 2"),
        ({"tree": "x"}, "takes no argument 'tree'"),
    ],
)
def test_wrong_options(tmp_path, options, words):
    (tmp_path / "a").write_text(TEXT)
    with pytest.raises(InputError, match=words):
        hf.read(tmp_path / "a", **options)
