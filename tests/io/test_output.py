# SPDX-License-Identifier: MIT
"""Output files: what is in them, and that there is never half a one."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
from contextlib import contextmanager

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pyarrow.parquet as pq
import pytest
import samples
import uproot
from hepgen_fastsim.errors import Error, InputError

FORMATS = ["flat", "parquet"]


@pytest.fixture
def sim(test_models):
    return hf.FastSim(test_models / "smear.pt", device="cpu")


def write(path, format, batches, sim, **options):
    with hf.open_output(path, format, **options) as out:
        for gen in batches:
            out.write(gen, sim(gen))
    return path


def side_object(path, format):
    if format == "flat":
        return json.loads(str(uproot.open(path)["hepgen_fastsim"]))
    return json.loads(pq.ParquetFile(path).metadata.metadata[b"hepgen_fastsim"])


@pytest.mark.parametrize("format", FORMATS)
def test_gen_comes_back(tmp_path, sim, format):
    gen = samples.gen(50)
    path = write(tmp_path / "out", format, [gen[:20], gen[20:]], sim)
    back = ak.concatenate(list(hf.read(path, batch_size=30)))
    tolerance = {"rtol": 2e-7, "atol": 1e-6} if format == "flat" else {"rtol": 0}
    for name in gen.particles.fields:
        np.testing.assert_allclose(ak.flatten(back.particles[name]), ak.flatten(gen.particles[name]), **tolerance)
    for name in set(gen.fields) - {"particles"}:
        np.testing.assert_allclose(back[name], gen[name], **tolerance)
    first = next(hf.read(path))
    assert first.layout.parameters["weight_names"] == samples.WEIGHT_NAMES


def test_parquet_holds_reco_and_keeps_the_random_numbers(tmp_path, sim):
    gen = samples.gen(50)[10:]
    path = write(tmp_path / "out.parquet", "parquet", [gen], sim)
    table = ak.from_parquet(path)
    reco = sim(gen)
    for name in reco.fields:
        assert table[f"reco_{name}"].to_list() == reco[name].to_list()
    assert sim(next(hf.read(path))).pt.to_list() == reco.pt.to_list()


def test_flat_tree_has_delphes_names_types_and_values(tmp_path, sim):
    gen = samples.gen(40)
    reco = sim(gen)
    path = write(tmp_path / "out.root", "flat", [gen[:15], gen[15:]], sim)
    tree = uproot.open(path)["Delphes"]
    assert tree.title == "Analysis tree"
    kinds = {"PT": "float[]", "PID": "int32_t[]", "fUniqueID": "uint32_t[]", "D0": "float[]", "Particle": "int32_t[]"}
    for leaf, kind in kinds.items():
        assert tree[f"EFlowTrack.{leaf}"].typename == kind
    assert tree["Event.Number"].typename == "int64_t[]"
    assert tree["Event.Number"].array().to_list() == [[100 + i] for i in range(40)]
    track = (reco.pdgid != 22) & (reco.pdgid != 130)
    assert tree["EFlowTrack_size"].array().to_list() == ak.sum(track, axis=1).to_list()
    assert tree["EFlowTrack.PT"].array().to_list() == reco.pt[track].to_list()
    assert tree["EFlowTrack.Particle"].array().to_list() == reco.origin[track].to_list()
    assert tree["EFlowPhoton.ET"].array().to_list() == reco.pt[reco.pdgid == 22].to_list()
    np.testing.assert_allclose(
        ak.flatten(tree["EFlowPhoton.E"].array()),
        ak.flatten((reco.pt * np.cosh(reco.eta))[reco.pdgid == 22]),
        rtol=1e-5,
    )
    vertex = tree["Particle.X"].array()[tree["EFlowTrack.Particle"].array()]
    assert tree["EFlowTrack.X"].array().to_list() == vertex.to_list()
    np.testing.assert_allclose(ak.flatten(tree["Weight.Weight"].array()), ak.flatten(gen.weights), rtol=1e-6)
    np.testing.assert_allclose(ak.flatten(tree["Particle.E"].array()), ak.flatten(gen.particles.E), rtol=1e-5)
    np.testing.assert_allclose(
        ak.flatten(tree["Particle.Eta"].array()), ak.flatten(gen.particles.eta), rtol=1e-5, atol=1e-6
    )


def test_flat_unique_ids_number_the_objects_of_an_event(tmp_path, sim):
    tree = uproot.open(write(tmp_path / "out.root", "flat", [samples.gen(20)], sim))["Delphes"]
    branches = ("Particle", "EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron")
    ids = ak.concatenate([tree[f"{branch}.fUniqueID"].array() for branch in branches], axis=1)
    assert ids.to_list() == [list(range(1, n + 1)) for n in ak.num(ids)]


def test_flat_beam_particles_have_delphes_eta(tmp_path, sim):
    gen = next(
        hf.read(
            {"pdgid": [2212, 2212, 22], "px": [0, 0, 1], "py": [0, 0, 0], "pz": [6500, -6500, 0], "offsets": [0, 3]}
        )
    )
    tree = uproot.open(write(tmp_path / "out.root", "flat", [gen], sim))["Delphes"]
    np.testing.assert_allclose(tree["Particle.Eta"].array()[0], [999.9, -999.9, 0])
    np.testing.assert_allclose(tree["Particle.Rapidity"].array()[0], [999.9, -999.9, 0])


def test_flat_refuses_codes_beyond_32_bits(tmp_path, sim):
    gen = next(hf.read({"pdgid": [22, 10**12], "px": [1, 1], "py": [0, 0], "pz": [0, 0], "offsets": [0, 1, 2]}))
    with pytest.raises(InputError, match=r"event 1 of the batch, pdgid 1000000000000: .* write Parquet instead"):
        write(tmp_path / "out.root", "flat", [gen], sim)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("format", FORMATS)
def test_provenance_is_stored(tmp_path, sim, format):
    path = write(tmp_path / "out", format, [samples.gen(7)], sim, provenance={"seed": 42, "model": "smear"})
    stored = side_object(path, format)
    assert stored["seed"] == 42
    assert stored["weight_names"] == samples.WEIGHT_NAMES
    assert stored["n_events"] == 7
    assert stored["ended"] == "complete"
    stream = samples.gen(7).layout.parameters["stream"]
    assert stored["inputs"] == [{"source": "sample", "stream": stream, "first_event": 0, "n_events": 7}]


@pytest.mark.parametrize("format", FORMATS)
def test_no_events_make_a_readable_file(tmp_path, sim, format):
    path = write(tmp_path / "out", format, [], sim)
    assert list(hf.read(path)) == []
    path = write(tmp_path / "void", format, [ak.Array([[], []])], sim)
    assert next(hf.read(path)).particles.px.to_list() == [[], []]


@pytest.mark.parametrize("format", FORMATS)
def test_name_appears_when_complete(tmp_path, sim, format):
    gen = samples.gen(5)
    path = tmp_path / "out"
    with hf.open_output(path, format) as out:
        out.write(gen, sim(gen))
        assert os.listdir(tmp_path) == ["out.part"]
        with pytest.raises(InputError, match="being written by another process"):
            hf.open_output(path, format)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("format", FORMATS)
def test_existing_output_is_kept_unless_asked(tmp_path, sim, format):
    path = tmp_path / "out"
    path.write_text("precious")
    with pytest.raises(InputError, match=r"output .*out exists already"):
        write(path, format, [samples.gen(5)], sim)
    with pytest.raises(ZeroDivisionError), hf.open_output(path, format, overwrite=True):
        1 / 0  # noqa: B018
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["out"]
    write(path, format, [samples.gen(5)], sim, overwrite=True)
    assert len(next(hf.read(path))) == 5


def test_stale_part_file_is_no_obstacle(tmp_path, sim):
    (tmp_path / "out.part").write_bytes(b"x" * 100_000)
    assert len(next(hf.read(write(tmp_path / "out", "flat", [samples.gen(5)], sim)))) == 5


@contextmanager
def largest_file(size):
    """Files of this process cannot grow beyond `size` [bytes]; writing more fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("size", [100, 200_000])
@pytest.mark.parametrize("format", FORMATS)
def test_file_that_cannot_grow(tmp_path, sim, format, size):
    gen = samples.gen(500)
    batches = [gen] * 20
    with (
        pytest.raises(Error, match=r"writing .*out failed after \d+ events: File too large; nothing is left"),
        largest_file(size),
    ):
        write(tmp_path / "out", format, batches, sim)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("format", FORMATS)
def test_full_disk(tmp_path, sim, format):
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        with pytest.raises(Error, match=os.strerror(errno.ENOSPC)):
            write(tmp_path / "out", format, [samples.gen(500)] * 20, sim)
        assert os.listdir(tmp_path) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_other_weights_are_refused(tmp_path, sim):
    one, other = samples.gen(5), next(hf.read(samples.columns(5)))
    with hf.open_output(tmp_path / "o") as out:
        out.write(one, sim(one))
        with pytest.raises(InputError, match=r"weights of .* expected 2 \(nominal, .*found 1"):
            out.write(other, sim(other))
    assert len(next(hf.read(tmp_path / "o"))) == 5  # what came before is good


@pytest.mark.parametrize(
    ("path", "format", "words"),
    [
        ("o.csv", "csv", "one of flat, delphes, parquet; found 'csv'"),
        ("no/such/o", "flat", "cannot be created: No such file"),
        (".", "flat", "is a folder"),
    ],
)
def test_impossible_outputs(tmp_path, path, format, words):
    with pytest.raises(Error, match=words):
        hf.open_output(tmp_path / path, format)


def test_gen_and_reco_must_match(tmp_path, sim):
    gen = samples.gen(5)
    with pytest.raises(InputError, match="found 5 and 3"), hf.open_output(tmp_path / "o") as out:
        out.write(gen, sim(gen[:3]))
