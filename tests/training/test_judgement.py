# SPDX-License-Identifier: MIT
"""The guard counts, and the judgement's tables say, what a file with known faults holds."""

from __future__ import annotations

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
import samples
from hepgen_fastsim import geometry

from training import balance, bands, guard
from training.bands_table import markdown


class Faulty:
    """A detector that returns GEN, with known faults in every batch."""

    def __init__(self, *_, **__):
        self.sim = None

    def __call__(self, gen):
        p = gen["particles"][gen["particles"].status == 1]
        names = ("pt", "eta", "phi", "mass")
        columns = {name: np.array(ak.to_numpy(ak.flatten(getattr(p, name)))) for name in names}
        columns |= {"d0": np.zeros(len(columns["pt"])), "dz": np.zeros(len(columns["pt"]))}
        columns["pt"][0] = np.nan
        columns["dz"][1] = np.inf
        columns["pt"][2] = 0.0
        columns["eta"][3] = 7.0
        columns["pt"][4] = 20_000.0
        columns["eta"][4] = 0.0
        return ak.unflatten(ak.zip(columns), ak.num(p.pt))


def test_guard_counts_faults(monkeypatch, tmp_path):
    gen = samples.gen(30)
    monkeypatch.setattr(hf, "read", lambda path, batch_size: [gen])
    monkeypatch.setattr(hf, "FastSim", Faulty)
    found = guard.count("any", "any", 60)
    assert found["events"] == 60
    assert found["not_finite"] == 2 * 2
    assert found["out_of_range"] == 2 * 3
    assert found["energy_gained"] == 2  # the event of the 20 TeV constituent
    assert found["largest_pt"] == pytest.approx(20_000.0)


def cell(name, of_band, counted=True):
    """A cell as `hepgen_fastsim.validation` gives it."""
    return {
        "observable": name,
        "process": "qcd",
        "of_band": of_band,
        "floor": 1.0,
        "band": 1.1,
        "ratio": 1.5 * of_band,
        "shift": 0.1,
        "n_reference": 100,
        "counted": counted,
    }


def test_tables_list_every_cell_outside():
    cells = [cell("jet.pt", 0.5), cell("jet.mass", 1.25), cell("met", 2.5), cell("ht", 3.0, counted=False)]
    summary = {"n_inside": 1, "n_cells": 3, "share_inside": 1 / 3, "n_beyond_twice": 1, "median_ratio": 1.2}
    rate = {"edges": [0, 1, 2], "candidate": [0.5, 0.7], "reference": [0.5, 0.6], "pull": [0.0, 3.5]}
    text = markdown(
        {
            "events": {"matched": 800},
            "data": "val.parquet",
            "half": "even",
            "seeds": 5,
            "summary": summary | {"worst": cells[2]},
            "rerun_inside": 0.95,
            "counts": {"n_constituents": 1000, "n_unusable": 0, "n_out_of_range": 0},
            "cells": cells,
            "responses": [{"pt": [20.0, 40.0], "eta": [0.0, 1.3], "n": 3}],
            "rates": {"track.efficiency.pt": rate | {"n_reference": [200, 200]}},
            "correlations": [{"pair": ["tracks", "HT"], "model": 0.1, "rerun": 0.2, "error": 0.03}],
        }
    )
    assert "| 1 of 3 (33.3%) |" in text
    assert "| qcd | 3 | 1 | 3 | 1.88 | met | 2.50 |" in text
    assert "| met | qcd | 2.50 | 3.75 |" in text
    assert "| jet.mass | qcd | 1.25 |" in text
    assert text.index("| met | qcd") < text.index("| jet.mass | qcd")
    assert "| ht |" not in text
    assert "| track.efficiency.pt | 2 | 1 | 1–2: 0.7000 (0.6000), +3.5 σ |" in text
    assert "| 20–40 | 0.0–1.3 | 3 | too few |" in text


def test_response_figures():
    # a flat response between 0.5 and 1.5: median 1, half of the central 68.27 %, two fifths beyond 0.3
    found = bands.figures(np.linspace(0.5, 1.5, 100_001))
    assert found == pytest.approx([1.0, 0.34134, 0.4], abs=1e-4)


def test_exchanged_samples_differ_by_chance_alone():
    random = np.random.default_rng(1)
    n = 4000
    a, b = ((random.normal(1.0, 0.1, n), np.arange(n)) for _ in range(2))
    flips = random.integers(0, 2, (n, 200)).astype(bool)
    chance = bands._exchanged(a, b, flips)
    # 1.96 times the error of a difference of medians, sqrt(pi / 2) sigma sqrt(2 / n)
    assert chance[0] == pytest.approx(1.96 * np.sqrt(np.pi / 2) * 0.1 * np.sqrt(2 / n), rel=0.25)


class Pairs:
    """Pairs of jets as the collector has them."""

    def __init__(self, **columns):
        self.columns = columns

    def joined(self, name):
        return self.columns[name]


def test_responses_in_bins_of_pt_of_eta_and_of_both():
    random = np.random.default_rng(2)
    n = 6000
    columns = {
        "gen_pt": random.uniform(20, 240, n),
        "gen_eta": random.uniform(-4.9, 4.9, n),
        "event": np.arange(n) // 3,
    }

    class File:
        def __init__(self, scale):
            self.pairs = Pairs(reco_pt=columns["gen_pt"] * random.normal(scale, 0.2, n), **columns)

    rows = bands.responses([File(1.0), File(1.05), File(1.0)], n_models=1)
    assert len(rows) == 5 + 3 + 15
    assert sum(r["n"] for r in rows[:5]) == sum(r["n"] for r in rows[5:8]) == sum(r["n"] for r in rows[8:]) == n
    assert rows[5]["pt"] == [20.0, 5000.0]
    assert rows[5]["eta"] == [0.0, 1.3]
    for row in rows[:3]:
        assert row["response"]["deviation"] == pytest.approx(0.05, abs=0.03)
        assert row["response"]["chance"] < 0.04
        assert abs(row["resolution"]["deviation"]) < 0.1
    assert "response" not in rows[4]  # no jet beyond 240 GeV


def perfect(gen):
    """RECO of a detector that sees everything: charged particles as tracks, the others as towers."""
    p = gen["particles"]
    columns = {name: ak.to_numpy(ak.flatten(getattr(p, name))) for name in ("pt", "eta", "phi", "mass", "charge")}
    pdgid = ak.to_numpy(ak.flatten(p.pdgid))
    columns["pdgid"] = np.where((columns["charge"] != 0) | (pdgid == 22), pdgid, 130)
    columns["origin"] = ak.to_numpy(ak.flatten(ak.local_index(p.pt)))
    return ak.unflatten(ak.zip(columns), ak.num(p.pt))


def test_a_perfect_detector_keeps_the_energy_of_every_cell():
    random = np.random.default_rng(5)
    n, events = 600, 20
    code = random.choice([22, 211, -211, 130, 11], n)
    eta, phi = random.uniform(-2.4, 2.4, n), random.uniform(-3.1, 3.1, n)
    pt = np.exp(random.normal(2.0, 0.5, n))
    flat = {"pdgid": code, "pt": pt, "eta": eta, "phi": phi, "offsets": np.arange(0, n + 1, n // events)}
    gen = next(iter(hf.read(flat, batch_size=events)))
    found = balance.observables(gen, perfect(gen), geometry.load("cms"))
    for name in ("ecal", "hcal", "ecal, charged", "hcal, charged"):
        values, event = found[name]
        assert len(values) > 20, name
        np.testing.assert_allclose(values, 1.0, rtol=1e-5)
        assert event.max() < events
    # half of the tracks lost, nothing in return: cells of single pions lose all
    reco = perfect(gen)
    lost = balance.observables(gen, reco[(reco.charge == 0) | (reco.origin % 2 == 0)], geometry.load("cms"))
    assert np.mean(lost["hcal, charged"][0] == 0) == pytest.approx(0.5, abs=0.15)
    np.testing.assert_allclose(lost["hcal"][0], 1.0, rtol=1e-5)


def test_isolation_is_the_share_around_a_lepton():
    flat = {"pdgid": np.array([13, 22, 22, 211]), "pt": np.array([20.0, 5.0, 3.0, 2.0]), "phi": np.zeros(4)}
    flat |= {"eta": np.array([0.0, 0.1, 1.0, -0.29]), "offsets": np.array([0, 4])}
    gen = next(iter(hf.read(flat, batch_size=1)))
    values, event = balance.observables(gen, perfect(gen), geometry.load("cms"))["isolation"]
    assert values.tolist() == pytest.approx([7.0 / 20.0])
    assert event.tolist() == [0]
