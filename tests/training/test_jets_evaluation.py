# SPDX-License-Identifier: MIT
"""Judging generators of jets: sums, broken jets, response, amplification, the table, the picture, the command."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hepgen_fastsim import metrics

from training import evaluate_jets
from training.export import export
from training.jets_model import JetsTask, network_of
from training.networks.jets import JetGenerator


def toy(n: int, seed: int, width: float = 0.1, size: int = 6) -> ak.Array:
    """Jets of ``size`` constituents of pt_rel 1/size around the axis."""
    rng = np.random.default_rng(seed)
    eta, phi = rng.normal(0, width, (2, n, size))
    pt = np.sort(rng.dirichlet(np.full(size, 5.0), n), axis=1)[:, ::-1]
    c = ak.zip({"eta_rel": ak.from_regular(eta), "phi_rel": ak.from_regular(phi), "pt_rel": ak.from_regular(pt)})
    whole = {"jet_pt": rng.uniform(800, 1600, n), "jet_eta": rng.uniform(-2, 2, n), "jet_phi": rng.uniform(-3, 3, n)}
    return ak.zip({**whole, "jet_mass": rng.uniform(50, 200, n), "constituents": c}, depth_limit=1)


def stored(jets: ak.Array, path: Path) -> Path:
    lists = {
        name: pa.array(jets.constituents[name].tolist(), pa.list_(pa.float32()))
        for name in ("eta_rel", "phi_rel", "pt_rel")
    }
    whole = {name: ak.to_numpy(jets[name]).astype(np.float32) for name in evaluate_jets.WHOLE}
    counts = {"n_const": ak.num(jets.constituents).to_numpy().astype(np.int16)}
    pq.write_table(pa.table(whole | counts | lists), path)
    return path


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """COV and MMD of few jets: the distances between all pairs take long."""
    monkeypatch.setattr(metrics, "cov_mmd", functools.partial(metrics.cov_mmd, n_samples=20, n_batches=3))


def test_sums_of_two_prongs():
    """Two massless halves at +-a in eta: mass = sqrt(2 (cosh 2a - 1)) / 2 = sinh a."""
    a = 0.3
    jets = ak.Array([{"constituents": [{"eta_rel": a, "phi_rel": 0.0, "pt_rel": 0.5},
                                       {"eta_rel": -a, "phi_rel": 0.0, "pt_rel": 0.5}]}])  # fmt: skip
    found = evaluate_jets.momentum(jets)
    assert found["mass"][0] == pytest.approx(math.sinh(a))
    assert found["pt"][0] == found["vector"][0] == pytest.approx(1.0)
    assert found["n"].tolist() == [2]


def test_broken_jets_are_counted():
    good = {"eta_rel": 0.1, "phi_rel": 0.1, "pt_rel": 0.5}
    jets = [[good], [good | {"pt_rel": math.nan}], [good | {"eta_rel": 9.0}], [good | {"pt_rel": -0.1}],
            [good] * 5, [], [good, good]]  # fmt: skip
    jets = ak.Array([{"constituents": c} for c in jets])
    assert evaluate_jets.n_broken(jets) == 5  # the first and the last are sound
    assert evaluate_jets.n_broken(toy(100, 0)) == 0


def test_only_a_mass_that_is_drawn_is_compared():
    jets = toy(20, 1)
    assert "jet_mass" in evaluate_jets.comparable(jets, [{"name": "jet_pt"}, {"name": "jet_mass"}]).fields
    without = evaluate_jets.comparable(jets, [{"name": "jet_pt"}, {"name": "jet_eta"}])
    assert set(without.fields) == set(jets.fields) - {"jet_mass"}
    assert evaluate_jets.comparable(without, []) is without


def test_response_finds_a_shift_in_one_bin():
    real, new = toy(4000, 1), toy(4000, 2)
    high = ak.to_numpy(new.jet_pt) >= 1250
    scale = np.where(high, 1.05, 1.0)
    new = ak.with_field(new, ak.with_field(new.constituents, new.constituents.pt_rel * scale, "pt_rel"), "constituents")
    found = evaluate_jets.response(real, new)
    assert [entry["ratio"] for entry in found[:-1]] == pytest.approx([1.0] * 4, abs=1e-3)
    assert found[-1]["ratio"] == pytest.approx(1.05, abs=1e-3)


def test_amplification():
    """More jets of the truth itself have a smaller error; jets of another truth do not."""
    truth, training, perfect, wrong = toy(40_000, 1), toy(500, 2), toy(5000, 3), toy(5000, 4, width=0.12)
    good = evaluate_jets.amplification(truth, training, perfect)["mass"]
    assert set(good) == {"training", "x1", "x2", "x5", "x10"}
    assert good["x10"] < 0.6 * good["x1"]
    assert evaluate_jets.amplification(truth, training, wrong)["mass"]["x10"] > 3 * good["x10"]


def test_table_and_picture(tmp_path):
    found = evaluate_jets.judge(toy(400, 1), toy(400, 2, width=0.13), toy(400, 3), seed=1, whole=False)
    table = {name: (value, floor) for name, value, _, floor in evaluate_jets.rows(found)}
    assert {"W1M (1e-3)", "W1P eta (1e-3)", "W1P pt (1e-3)", "W1EFP (1e-5)", "FPD (1e-3)", "COV"} <= set(table)
    for name in ("W1M (1e-3)", "W1P eta (1e-3)", "FPD at this size (1e-3)"):
        value, floor = table[name]
        assert value > 2 * floor > 0
    assert table["W1P pt (1e-3)"][0] < 3 * table["W1P pt (1e-3)"][1]
    from training.jet_pictures import draw, several

    assert draw(toy(500, 1), toy(500, 2), tmp_path / "jets.png", "toy").stat().st_size < 250_000
    few = several(toy(500, 1), {"one": toy(500, 2), "other": toy(500, 3, width=0.2)}, tmp_path / "several.png")
    assert few.stat().st_size < 150_000


def test_command(tmp_path, capsys):
    """The whole command on a small untrained network: figures, response, count, files."""
    torch.manual_seed(0)
    model = JetGenerator(hidden=16, pooled=4, layers=1)
    jets = toy(600, 5)
    whole = [torch.from_numpy(ak.to_numpy(jets[n]).astype(np.float32)) for n in ("jet_pt", "jet_eta", "jet_mass")]
    model.chain.fit(*whole, torch.full([600], 6.0) + torch.arange(600) % 2, torch.zeros(600, dtype=torch.int64))
    task = object.__new__(JetsTask)
    task.config = JetsTask.config_type(data=tmp_path, val=tmp_path, out=tmp_path / "toy.pt", name="toy")
    table = torch.stack([*whole, torch.full([600], 6.0)], 1)
    task.train = type("Sample", (), {"whole": table})()
    metadata = task.metadata() | {"metrics": {}}
    metadata["provenance"] |= {"data": [], "seed": 1, "command": "", "torch": ""}
    path = export(network_of(model.state_dict()), metadata, tmp_path / "toy.pt")
    data = stored(jets, tmp_path / "toy.parquet")
    arguments = ["--model", str(path), "--data", str(data), "--leading", "5", "--jets", "80", "--count", "50"]
    arguments += ["--responses", "85"]
    found = evaluate_jets.main([*arguments, "--amplify", str(data), "--out", str(tmp_path / "out")])
    assert found["n"]["candidate"] == found["n"]["reference"] == 80
    assert found["count"]["n"] == 50
    assert len(found["response"]) == 5
    assert sum(entry["n"] for entry in found["response"]) == 85  # of the test part's 90
    assert json.loads((tmp_path / "out" / "toy-5.json").read_text())["model"] == "toy"
    assert (tmp_path / "out" / "toy-5.png").stat().st_size > 10_000
    said = capsys.readouterr().out
    assert "| W1M (1e-3) |" in said
    assert "amplification" in said
