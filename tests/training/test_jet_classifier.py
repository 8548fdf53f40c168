# SPDX-License-Identifier: MIT
"""The jet classifier: it learns toy classes, its options, what is in the file, and which constituents it sees."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hepgen_fastsim import metrics

from training import jet_classifier
from training.data import jets as jet_data
from training.export import read_metadata


@pytest.fixture
def folder(tmp_path):
    """Parquet files of 120 jets of each class, which differ in width and in number of constituents."""
    rng = np.random.default_rng(0)
    for name, width, most in (("gluon", 0.2, 60), ("quark", 0.05, 20), ("top", 0.4, 40)):
        counts = rng.integers(most // 2, most, 120)
        pts = [np.sort(rng.dirichlet(np.ones(n)))[::-1].astype(np.float32) for n in counts]
        eta, phi = ([rng.normal(0, width, n).astype(np.float32) for n in counts] for _ in range(2))
        pq.write_table(pa.table({"eta_rel": eta, "phi_rel": phi, "pt_rel": pts}), tmp_path / f"{name}.parquet")
    return tmp_path


def test_command_makes_a_model_that_the_metric_takes(folder, monkeypatch, capsys):
    out = folder / "jet-classifier.pt"
    command = ["jet_classifier", "--data", str(folder), "--out", str(out), "--epochs", "4", "--batch", "16"]
    monkeypatch.setattr("sys.argv", command)
    jet_classifier.main()
    printed = capsys.readouterr().out
    assert printed.count("epoch") == 4
    metadata = read_metadata(out)
    assert metadata["metrics"]["test"]["jets"] == 36
    assert metadata["metrics"]["test"]["150_constituents"]["accuracy"] > 0.8
    assert metadata["provenance"]["command"].endswith("--epochs 4 --batch 16")
    assert str(folder) not in str(metadata)  # no machine's paths
    jets = jet_data.load([folder / "top.parquet"])
    particles = jets.features.numpy()[:, [2, 0, 1]]
    features = metrics.classifier_features(np.split(particles, jets.offsets[1:-1].numpy()), model=out)
    assert features.shape == (120, 64)


def test_turning_keeps_distances_and_momenta():
    generator = torch.Generator().manual_seed(1)
    features, offsets = torch.rand(50, 3), torch.tensor([0, 20, 20, 50])
    turned = jet_classifier.turned(features, offsets, generator)
    torch.testing.assert_close(turned[:, 2], features[:, 2])
    for jet in (slice(0, 20), slice(20, 50)):
        before, after = (torch.cdist(x[jet, :2], x[jet, :2]) for x in (features, turned))
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-3)
    assert (turned[:, :2] - features[:, :2]).abs().max() > 0.1


def test_numbers_of_constituents_in_training():
    generator = torch.Generator().manual_seed(1)
    drawn = np.array([jet_classifier.leading(generator) for _ in range(2000)])
    assert drawn.min() >= 5
    assert drawn.max() == 150
    assert np.mean(drawn == 30) == pytest.approx(0.5, abs=0.05)
    assert 0.02 < np.mean(drawn == 150) < 0.1


def test_leading_constituents_and_split(folder):
    jets = jet_data.load([folder / f"{name}.parquet" for name in jet_classifier.CLASSES])
    some = jets.pick(torch.tensor([200, 3]), leading=15)
    assert some.label.tolist() == [1, 0]
    assert some.offsets.tolist()[0] == 0
    assert (some.offsets.diff() <= 15).all()
    first = jets.features[jets.offsets[200] : jets.offsets[201]][:15]
    torch.testing.assert_close(some.features[: len(first)], first)
    parts = jet_data.split(360, (0.8, 0.1, 0.1), seed=4)
    assert [len(part) for part in parts] == [288, 36, 36]
    assert sorted(torch.cat(parts).tolist()) == list(range(360))
    assert parts[0].tolist() == jet_data.split(360, (0.8, 0.1, 0.1), seed=4)[0].tolist()
