# SPDX-License-Identifier: MIT
"""Sets of jets: the maker, the split, JetNet's files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.objects.clustering import JetList

from training.data import jetnet, make_jets
from training.data import jets as jet_data
from training.data.jets import CONSTITUENT
from training.data.make_jets import Settings, rounded

needs_pythia = pytest.mark.skipif(importlib.util.find_spec("pythia8mc") is None, reason="needs pythia8mc")


def test_parts_are_a_split_that_stays():
    parts = {name: jet_data.part(10_000, name) for name in jet_data.PARTS}
    assert torch.cat(list(parts.values())).sort().values.equal(torch.arange(10_000))
    for name, share in jet_data.PARTS.items():
        assert len(parts[name]) / 10_000 == pytest.approx(share, abs=0.015)
        shorter = jet_data.part(4_000, name)
        assert shorter.equal(parts[name][parts[name] < 4_000])  # a file that grows keeps its parts


def small_file(path: Path) -> Path:
    lists = {name: pa.array([[0.1, 0.2, 0.3]] * 10, pa.list_(pa.float32())) for name in CONSTITUENT}
    pq.write_table(pa.table(lists), path)
    return path


def test_part_of_a_file(tmp_path):
    path = small_file(tmp_path / "jets.parquet")
    jets = jet_data.load_part(path, "train", leading=2, limit=3)
    assert jets.offsets.tolist() == [0, 2, 4, 6]
    assert len(jet_data.load_part(path, "train")) == len(jet_data.part(10, "train"))


@needs_pythia
def test_top_jets_of_pythia(tmp_path, monkeypatch):
    monkeypatch.setattr(make_jets, "_EVENTS", 12)
    out = make_jets.make(Settings("top", seed=4), 12, tmp_path / "top.parquet")
    jets = ak.from_parquet(out)
    assert jets.fields[:6] == ["label", "jet_pt", "jet_eta", "jet_phi", "jet_mass", "n_const"]
    assert len(jets) == 12
    assert ak.all(jets.label == 2)
    assert ak.all((jets.jet_pt > 800) & (jets.jet_pt < 1600) & (abs(jets.jet_eta) < 2))
    pt = jets.pt_rel
    assert ak.all(pt[:, 1:] <= pt[:, :-1])
    assert ak.all(ak.num(pt) == np.minimum(jets.n_const, 150))
    whole = jets[jets.n_const <= 150]  # constituents add up to the jet: its transverse momentum, and about its mass
    px, py = (ak.sum(whole.pt_rel * f(whole.phi_rel), axis=1) for f in (np.cos, np.sin))
    assert np.asarray(px) == pytest.approx(1.0, abs=2e-3)
    assert np.asarray(py) == pytest.approx(0.0, abs=2e-3)
    assert ak.mean(jets.jet_mass) > 140
    assert [path.name for path in tmp_path.iterdir()] == ["top.parquet"]


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    calls, breaks = [], False

    def fake(settings, seed):  # two numbers at a time that depend on the seed
        calls.append(seed)
        if breaks and len(calls) == 2:
            raise KeyboardInterrupt
        while True:
            yield pa.table({"x": [seed, seed + 1]})

    monkeypatch.setattr(make_jets, "generate", fake)
    whole = pq.read_table(make_jets.make(Settings("gluon", seed=4), 5, tmp_path / "a.parquet", part_size=3))
    first, second = calls
    assert first != second  # parts have seeds of their own
    assert whole["x"].to_pylist() == [first, first + 1, first, second, second + 1]
    calls.clear()
    breaks = True
    with pytest.raises(KeyboardInterrupt):
        make_jets.make(Settings("gluon", seed=4), 5, tmp_path / "b.parquet", part_size=3)
    assert not (tmp_path / "b.parquet").exists()
    with pytest.raises(SystemExit, match="other settings"):
        make_jets.make(Settings("gluon", seed=5), 5, tmp_path / "b.parquet", part_size=3)
    assert pq.read_table(make_jets.make(Settings("gluon", seed=4), 5, tmp_path / "b.parquet", part_size=3)) == whole
    assert calls == [first, second, second]  # the first was not made again
    assert {path.name for path in tmp_path.iterdir()} == {"a.parquet", "b.parquet"}


def test_tops_need_all_three_quarks():
    """Two jets, two tops; the second top's b is outside of its jet."""
    record = make_jets._Record
    eta = np.array([0.1, -0.1, 0.2, 1.0, 3.0, 1.2])
    energy = np.cosh(eta)
    partons = record(
        np.array([5, 1, -2, -5, 3, -4]),
        np.full(6, 23),
        np.array([6, 24, 24, -6, -24, -24]),
        np.ones(6), np.zeros(6), np.sinh(eta), energy, np.array([0, 6]),
    )  # fmt: skip
    at = np.array([0.0, 1.1])
    jets = JetList(np.full(2, 1000.0), np.zeros(2), 1000 * np.sinh(at), 1000 * np.cosh(at), np.array([0, 2]),
                   np.zeros(0, int), np.zeros(0, int))  # fmt: skip
    assert make_jets._chosen(jets, partons, Settings("top")).tolist() == [True, False]
    assert make_jets._chosen(jets, partons, Settings("top", pt=(1100, 1600))).tolist() == [False, False]
    assert make_jets._chosen(jets, partons, Settings("quark")).tolist() == [True, False]  # 1, 2, 3; not 4, 5


def test_rounding():
    assert rounded(np.array([1.0, 1.0 + 2.0**-13, 0.0]), 12).tolist() == [1.0, 1.0, 0.0]


def test_jetnet_files(tmp_path):
    h5py = pytest.importorskip("h5py")
    particles = np.zeros((2, 30, 4), np.float32)
    particles[0, :3] = [[0.1, 0.2, 0.3, 1], [0.4, 0.5, 0.6, 1], [9, 9, 9, 0]]
    particles[1, 5] = [-0.1, 0.0, 0.9, 1]
    with h5py.File(tmp_path / "g.hdf5", "w") as file:
        file["particle_features"] = particles
        file["jet_features"] = np.array([[1000.0, 0.5, 100.0, 2], [900.0, -0.5, 50.0, 1]])
    jetnet.main([str(tmp_path / "g.hdf5"), "-o", str(tmp_path / "g.parquet"), "--label", "1"])
    jets = jet_data.load([tmp_path / "g.parquet"])
    assert jets.offsets.tolist() == [0, 2, 3]
    assert jets.features[:, 2].tolist() == pytest.approx([0.6, 0.3, 0.9])
    table = pq.read_table(tmp_path / "g.parquet")
    assert table["jet_pt"].to_pylist() == [1000.0, 900.0]
    assert table["n_const"].to_pylist() == [2, 1]
    assert table["label"].to_pylist() == [1, 1]
    with h5py.File(tmp_path / "bad.hdf5", "w") as file:
        file["particle_features"] = particles
    with pytest.raises(InputError, match="jet_features"):
        jetnet.read(tmp_path / "bad.hdf5")
