# SPDX-License-Identifier: MIT
"""The HepMC reader on hand-made samples: every way in, ranges, weights, odd records."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import zlib

import awkward as ak
import numpy as np
import pytest
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.io.hepmc import read_hepmc
from hepmc_samples import PACK, SAMPLES, same, v2, v3


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


def test_core_reads_descriptors_itself():
    from hepgen_fastsim._core_loader import core

    with open(SAMPLES[0], "rb") as file:
        reader = core().HepMCReader(fd=file.fileno())
        assert reader.bytes_total == SAMPLES[0].stat().st_size
        columns = reader.read(1)
        assert columns["offsets"].tolist() == [0, 8]
        assert columns["weights"].shape == (1, 2)
        assert reader.events_read == 1
        assert len(reader.read(5)["event"]) == 1
        assert len(reader.read(5)["event"]) == 0
        assert reader.bytes_read == reader.bytes_total
        with pytest.raises(
            InputError, match=r"descriptor .*: expected to read at least one event, found max_events = 0"
        ):
            reader.read(0)
    with pytest.raises(InputError, match="expected one of path, descriptor and source"):
        core().HepMCReader()


def test_family_ties_are_exact(tmp_path):
    """As the header of the record says: m1 names the vertex that a particle comes from."""
    text = v3()
    pion = next(line for line in text.splitlines(True) if line.startswith("P 6 -3"))
    muon = next(line for line in text.splitlines(True) if line.startswith("P 7 5"))
    text = text.replace(pion, "").replace(muon, muon.replace("P 7 5", "P 6 5") + pion.replace("P 6", "P 7"))
    (gen,) = read_hepmc(io.BytesIO(text.encode()))
    m1, d1 = (np.asarray(gen.particles[name][0]) for name in ("m1", "d1"))
    daughters = [np.flatnonzero((d1[i] >= 0) & (m1 == m1[d1[i]])).tolist() for i in range(8)]
    assert daughters == [[2, 3], [2, 3], [4, 6], [7], [5], [], [], []]
    mothers = [np.flatnonzero((m1[j] >= 0) & (d1 == d1[m1[j]])).tolist() for j in range(8)]
    assert mothers == [[], [], [0, 1], [0, 1], [2], [4], [2], [3]]


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
