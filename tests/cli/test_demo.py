# SPDX-License-Identifier: MIT
"""The demo, its observables and its stored distributions."""

from __future__ import annotations

import importlib.util
import json

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
import uproot
from hepgen_fastsim import demo
from hepgen_fastsim.cli import main
from hepgen_fastsim.demo.observables import LEVELS, OBSERVABLES, measure, quantiles, wasserstein
from hepgen_fastsim.registry import models

REFERENCE = json.loads(demo.REFERENCE.read_text())


def test_demo_runs_to_its_end(tmp_path, test_models, capsys):
    pytest.importorskip("matplotlib")
    code = main(["demo", "-o", str(tmp_path / "d"), "--model", str(test_models / "smear.pt"), "--events", "12"])
    assert code == 0
    out = capsys.readouterr().out
    assert "12 top pairs at 13 TeV" in out
    assert "track pT [GeV]" in out
    assert uproot.open(tmp_path / "d" / "demo.root")["Delphes"].num_entries == 12
    assert (tmp_path / "d" / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_without_pythia_and_matplotlib_the_bundled_sample_serves(tmp_path, test_models, capsys, monkeypatch):
    find = importlib.util.find_spec
    absent = ("pythia8mc", "matplotlib")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in absent else find(name, *a))
    assert main(["demo", "-o", str(tmp_path), "--model", str(test_models / "smear.pt")]) == 0
    out = capsys.readouterr().out
    assert "of the bundled sample (Pythia is not installed)" in out
    assert "no picture: matplotlib is not installed" in out
    assert uproot.open(tmp_path / "demo.root")["Delphes"].num_entries == 40


def test_bundled_sample_is_top_pairs():
    gen = next(hf.read(demo.SAMPLE))
    assert len(gen) == 40
    visible = gen.particles[abs(gen.particles.eta) < 5]
    assert 380 < np.mean(ak.num(visible)) < 540  # 461 in the training data
    assert demo.SAMPLE.stat().st_size < 300_000


def test_observables_of_a_made_event():
    rows = [(211, 30.0, 0.0, 0.0), (22, 40.0, 1.0, np.pi / 2), (130, 10.0, 2.0, np.pi)]
    event = [dict(zip(("pdgid", "pt", "eta", "phi", "mass"), (*row, 0.0))) for row in rows]
    values = measure(ak.Array([event]))
    assert values["track_pt"] == [30]
    assert values["photon_et"] == [40]
    assert values["neutral_et"] == [10]
    assert values["ht"] == [80]
    assert values["met"] == pytest.approx(np.hypot(20, 40))
    assert values["n_jets"] == [2]
    assert values["jet_pt"] == pytest.approx([40])
    assert values["jet_mass"] == pytest.approx([0], abs=1e-5)


def test_a_shift_of_s_has_a_w1_of_s():
    sample = np.random.default_rng(1).normal(size=5000)
    assert wasserstein(sample + 0.3, quantiles(sample)) == pytest.approx(0.3)
    assert wasserstein(sample, quantiles(sample)) == 0


def test_stored_distributions_are_consistent():
    assert set(REFERENCE["observables"]) == set(OBSERVABLES)
    for name, stored in REFERENCE["observables"].items():
        assert len(stored["quantiles"]) == len(LEVELS)
        assert np.all(np.diff(stored["quantiles"]) >= 0)
        assert len(stored["counts"]) == len(OBSERVABLES[name].edges) - 1
        assert sum(stored["counts"]) > 0.97 * stored["n"]
        assert np.mean(stored["quantiles"]) == pytest.approx(stored["mean"], abs=0.05 * stored["std"])


@pytest.mark.data
def test_stored_distributions_are_those_of_the_data(data_folder):
    from training.data.reference_histograms import TTBAR, constituents

    values = measure(constituents(data_folder / "val" / "val.parquet", TTBAR))
    for row in demo.compare(values, REFERENCE, REFERENCE["events"]).values():
        assert row["mean"] == pytest.approx(row["reference_mean"])
        assert row["w1"] <= 1e-4 * row["width"]


def test_bundled_model_agrees_with_delphes_within_statistics():
    if "delphes-cms" not in models():
        pytest.skip("the model is not bundled here")
    gen = next(hf.read(demo.SAMPLE))
    values = measure(hf.FastSim("delphes-cms", device="cpu")(gen))
    for name, row in demo.compare(values, REFERENCE, len(gen)).items():
        assert row["w1"] < 4 * row["expected"], name
