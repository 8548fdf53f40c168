# SPDX-License-Identifier: MIT
"""The Fréchet distance in the features of the bundled classifier, on toy jets and, where they are, on real ones."""

import awkward as ak
import numpy as np
import pytest
from hepgen_fastsim import metrics
from hepgen_fastsim.errors import InputError, ModelError
from hepgen_fastsim.registry import find_model

FEW = {"n_points": 4, "n_batches": 3}  # of the extrapolation, for speed


def toy_jets(seed, n_jets=400, prongs=1):
    """Lists of particles [n_i, 3] (pt, eta, phi), relative: so many prongs of 5 to 15 particles each, 0.3 apart."""
    rng = np.random.default_rng(seed)
    jets = []
    for _ in range(n_jets):
        n = rng.integers(5, 16) * prongs
        angle = rng.uniform(0, 2 * np.pi) + 2 * np.pi * (np.arange(n) % prongs) / prongs
        axis = 0.3 * (prongs > 1) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        jets.append(np.column_stack([rng.dirichlet(np.ones(n)), axis + rng.normal(0, 0.05, (n, 2))]))
    return jets


def test_equal_samples_are_at_the_floor():
    result = metrics.fgd(toy_jets(1), toy_jets(2), toy_jets(3), **FEW)
    assert abs(result.value - result.floor) < 4 * np.hypot(result.error, result.floor_error)
    assert abs(result.value) < 4 * result.error
    assert result.details["model"].startswith("jet-classifier 1.")
    assert result.details["n_empty"] == 0


def test_other_jets_are_far_away():
    result = metrics.fgd(toy_jets(1), toy_jets(2, prongs=3), toy_jets(3), **FEW)
    assert result.value > 20 * result.error
    assert result.value > 20 * abs(result.floor)
    wider = [jet * [1, 1.3, 1.3] for jet in toy_jets(2)]
    shifted = metrics.fgd(toy_jets(1), wider, **FEW)
    assert 5 * shifted.error < shifted.value < result.value


def test_it_is_the_frechet_distance_of_the_features():
    samples = toy_jets(1), toy_jets(2, prongs=3)
    features = [metrics.classifier_features(jets) for jets in samples]
    assert features[0].shape == (400, 64)
    result = metrics.fpd(*features, normalise=False, **FEW)
    assert metrics.fgd(*samples, **FEW).value == result.value
    assert metrics.fgd(*features, **FEW).value == result.value
    plain = metrics.frechet_distance(*(m for f in features for m in (f.mean(axis=0), np.cov(f.T))))
    assert result.details["at_max_samples"] == pytest.approx(plain, rel=0.02)


def test_seed_and_order_of_jets():
    a, b = toy_jets(1), toy_jets(2, prongs=3)
    first, again, other = (metrics.fgd(a, b, seed=seed, **FEW) for seed in (1, 1, 2))
    assert first.value == again.value
    assert first.error == again.error
    assert first.value != other.value
    assert first.value == pytest.approx(other.value, abs=3 * first.error)


def test_features_do_not_depend_on_the_order_of_particles_nor_on_the_batch():
    rng = np.random.default_rng(0)
    jets = toy_jets(1, 60, prongs=3)
    expected = metrics.classifier_features(jets)
    shuffled = metrics.classifier_features([jet[rng.permutation(len(jet))] for jet in jets])
    np.testing.assert_allclose(shuffled, expected, rtol=1e-4, atol=1e-4)
    alone = np.concatenate([metrics.classifier_features([jet]) for jet in jets])
    np.testing.assert_allclose(alone, expected, rtol=1e-4, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.5  # what the tolerance is small against


def test_forms_of_jets():
    jets = toy_jets(1, 30)
    expected = metrics.classifier_features(jets)
    padded = np.zeros((30, 16, 3))
    for k, jet in enumerate(jets):
        padded[k, : len(jet)] = jet
    records = ak.zip(
        {name: ak.Array([jet[:, i] for jet in jets]) for i, name in enumerate(("pt_rel", "eta_rel", "phi_rel"))}
    )
    np.testing.assert_array_equal(metrics.classifier_features(padded), expected)
    np.testing.assert_array_equal(metrics.classifier_features(records), expected)


def test_empty_jets_jets_of_one_particle_and_very_long_ones():
    one = np.array([[1.0, 0.0, 0.0]])
    features = metrics.classifier_features([np.empty((0, 3)), one, np.empty((0, 3)), np.empty((0, 3))])
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features[0], features[2])
    assert np.abs(features[1] - features[0]).max() > 0.1
    assert metrics.classifier_features(np.empty((0, 4, 3))).shape == (0, 64)
    long = toy_jets(1, 5, prongs=40)
    leading = [jet[np.argsort(-jet[:, 0])[:150]] for jet in long]
    assert min(map(len, long)) > 150
    expected = metrics.classifier_features(leading)
    np.testing.assert_allclose(metrics.classifier_features(long), expected, rtol=1e-4, atol=1e-4)

    candidate = toy_jets(2)
    candidate[:7] = [np.empty((0, 3))] * 6 + [one]
    result = metrics.fgd(toy_jets(1), candidate, **FEW)
    assert result.details["n_empty"] == 6
    assert result.details["n_candidate"] == 400
    assert np.isfinite(result.value)


def test_bad_jets_are_counted_and_exploding_ones_stay_finite():
    candidate = toy_jets(2)
    candidate[0] = candidate[0] * np.nan
    candidate[1] = candidate[1] * [-1, 1, 1]
    candidate[2] = candidate[2] * [1e38, 1e200, 1]
    result = metrics.fgd(toy_jets(1), candidate, **FEW)
    assert result.details["n_unusable"] == 2
    assert result.details["n_out_of_range"] >= 1
    assert result.value > 10 * abs(metrics.fgd(toy_jets(1), toy_jets(2), **FEW).value)
    assert np.isfinite(result.value)


def test_what_is_refused():
    jets = toy_jets(1, 10)
    with pytest.raises(InputError, match=r"sum to about 1; the median of the reference's jets is 500"):
        metrics.fgd([jet * [500, 1, 1] for jet in jets], jets)
    four_vectors = [np.tile([1.0, 0.6, 0.8, 0.0], (4, 1))] * 10
    with pytest.raises(InputError, match="got E, px, py, pz"):
        metrics.fgd(four_vectors, four_vectors, coords="epxpypz")
    with pytest.raises(InputError, match="64 and 3 columns"):
        metrics.fgd(jets, np.ones((10, 3)))
    with pytest.raises(InputError, match="at least four"):
        metrics.fgd(jets[:3], jets)
    with pytest.raises(InputError, match="at least two points"):
        metrics.fgd(jets, jets, n_points=1)
    with pytest.raises(ModelError, match="'delphes-cms' does not describe jets"):
        metrics.fgd(jets, jets, model="delphes-cms")


@pytest.mark.data
def test_real_jets(data_folder):
    """Classes, and 30 against 150 constituents; accuracies as the model's metadata has them."""
    names, n = ("gluon", "quark", "top"), 2000
    pools = [
        ak.from_parquet(data_folder / "jets" / f"{name}.parquet", columns=["eta_rel", "phi_rel", "pt_rel"])[: 2 * n]
        for name in names
    ]
    told = find_model("jet-classifier").metadata()["metrics"]["test"]
    for cut in (30, 150):
        jets = [ak.zip({field: pool[field][:, :cut] for field in pool.fields}) for pool in pools]
        features = [metrics.classifier_features(sample) for sample in jets]
        first = metrics.fgd(features[0][:n], features[1][:n], features[0][n:], **FEW)
        assert abs(first.floor) < 4 * first.floor_error
        assert first.value > 10 * first.error
        assert told[f"{cut}_constituents"]["accuracy"] > 0.7
        # the features alone tell tops from the rest by their nearest class mean
        means = np.stack([f[:n].mean(axis=0) for f in features])
        right = [np.mean(((f[n:, None] - means) ** 2).sum(axis=2).argmin(axis=1) == k) for k, f in enumerate(features)]
        assert np.mean(right) > 0.65
