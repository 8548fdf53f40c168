# SPDX-License-Identifier: MIT
import numpy as np
import pytest
from hepgen_fastsim import metrics
from hepgen_fastsim.errors import InputError
from scipy.stats import entropy


def test_momentum_flow_by_hand():
    # an axis at (0, 0), R = 0.8 in four rings of 0.2
    jet = np.array([[1.0, 0.0, 0.1], [2.0, 0.0, -0.3], [3.0, 0.5, 0.0], [4.0, 0.0, 0.7], [5.0, 2.0, 0.0]])
    jet[:, 0] = [10, 1, 2, 3, 4]
    total = metrics.Jets.read([jet]).summed()[0][0]
    flow = metrics.momentum_flow([jet], 0.8, axes=(0.0, 0.0))
    np.testing.assert_allclose(flow, [np.array([10, 1, 2, 3]) / total], rtol=1e-12)


def test_momentum_flow_follows_the_axis_across_the_seam():
    rng = np.random.default_rng(0)
    jet = np.stack([rng.exponential(1, 20), rng.normal(0, 0.2, 20), rng.normal(0, 0.2, 20)], axis=1)
    moved = jet + [0, 1.0, np.pi]
    moved[:, 2] = (moved[:, 2] + np.pi) % (2 * np.pi) - np.pi
    a, b = metrics.momentum_flow([jet, moved])
    np.testing.assert_allclose(a, b, rtol=1e-9)
    assert 0.95 < a.sum() < 1.1
    empty = metrics.momentum_flow([np.empty((0, 3)), jet])
    assert np.isnan(empty[0]).all()
    np.testing.assert_array_equal(empty[1], a)
    with pytest.raises(InputError, match="positive radius"):
        metrics.momentum_flow([jet], 0.0)
    with pytest.raises(InputError, match=r"axes should have the shape \[2\] or \[1, 2\]"):
        metrics.momentum_flow([jet], axes=np.zeros((3, 2)))


def test_response_of_a_known_smearing():
    rng = np.random.default_rng(1)
    true = rng.uniform(20, 100, 40_000)
    result = metrics.response(true, true * rng.normal(0.9, 0.1, len(true)), [20, 50, 100], seed=2)
    assert np.abs((result.median - 0.9) / result.median_error).max() < 4
    assert np.abs((result.width - 0.1) / result.width_error).max() < 4
    np.testing.assert_allclose(result.resolution, 0.1 / 0.9, rtol=0.05)
    # errors of a median and of a half range of quantiles of a Gaussian: 1.2533 and 1.05 sigma / sqrt(n)
    np.testing.assert_allclose(result.median_error, 1.2533 * 0.1 / np.sqrt(result.count), rtol=0.35)
    np.testing.assert_allclose(result.mean, 0.9, atol=0.005)
    np.testing.assert_allclose(result.rms, 0.1, rtol=0.05)
    assert result.count.sum() == 40_000


def test_response_edges_cases():
    result = metrics.response(
        [1.0, 2.0, 3.0, 0.0, np.nan], [1.5, 2.5, 3.5, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0], difference=True
    )
    assert result.count.tolist() == [1, 1, 1]
    assert result.median.tolist() == [0.5, 0.5, 0.5]
    assert np.isnan(result.median_error).all()
    result = metrics.response([1.0, 0.0], [1.0, 1.0], [0.0, 1.0, 2.0])
    assert result.n_unusable == 1
    assert np.isnan(result.median[0])
    assert result.median[1] == 1.0
    assert metrics.response([2.0], [2.0], [1.0, 2.0]).count.tolist() == [1]  # the last edge belongs to the last bin
    with pytest.raises(InputError, match=r"same length, got \[2\], \[1\], \[2\]"):
        metrics.response([1.0, 2.0], [1.0], [0, 1])
    with pytest.raises(InputError, match="increasing edges"):
        metrics.response([1.0], [1.0], [1, 0])


def test_divergence_of_histograms():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=2000), rng.normal(0.5, 1, size=3000)
    edges = np.linspace(-3, 4, 21)
    p, q = (np.histogram(np.clip(x, -3, 4), edges)[0] + 0.5 for x in (a, b))
    result = metrics.kld(a, b, rng.normal(size=2000), bins=edges)
    assert result.value == pytest.approx(entropy(p, q), rel=1e-12)
    assert result.value == pytest.approx((b.mean() - a.mean()) ** 2 / 2, rel=0.2)  # of unit Gaussians: shift^2 / 2
    assert result.floor < 0.3 * result.value
    assert metrics.kld(a, a).value == 0
    assert metrics.kld([0.0, 0.4, 1.0], [0.0, 0.0], bins=[0, 0.2, 0.5, 1], pseudo_count=0).value == np.inf
    assert metrics.kld([1.0, 1.0], [1.0, 2.0]).value > 0
    with pytest.raises(InputError, match="edges of bins should increase"):
        metrics.kld(a, b, bins=[0, 1, 1])
    with pytest.raises(InputError, match="at least 2"):
        metrics.kld(a, b, bins=1)
    with pytest.raises(InputError, match="not be negative"):
        metrics.kld(a, b, pseudo_count=-1)


def test_distance_correlation():
    rng = np.random.default_rng(3)
    x = rng.normal(size=600)
    assert metrics.distance_correlation(x, 3 * x - 1).value == pytest.approx(1)
    rotation, _ = np.linalg.qr(rng.normal(size=(2, 2)))
    plane = rng.normal(size=(300, 2))
    assert metrics.distance_correlation(plane, plane @ rotation).value == pytest.approx(1)
    ring = metrics.distance_correlation(x, x**2)  # no linear correlation
    assert ring.value > 0.4
    assert ring.value > ring.floor + 5 * ring.error
    # a Gaussian with correlation r (Szekely, Rizzo, Bakirov 2007, theorem 7)
    r = 0.6
    y = r * x + np.sqrt(1 - r**2) * rng.normal(size=600)
    expected = (r * np.arcsin(r) + np.sqrt(1 - r**2) - r * np.arcsin(r / 2) - np.sqrt(4 - r**2) + 1) / (
        1 + np.pi / 3 - np.sqrt(3)
    )
    result = metrics.distance_correlation(x, y)
    assert result.value**2 == pytest.approx(expected, abs=4 * 2 * result.value * result.error + 0.01)
    assert result.details["squared_unbiased"] == pytest.approx(expected, abs=0.1)
    free = [
        metrics.distance_correlation(*rng.normal(size=(2, 100)), n_jackknife=2).details["squared_unbiased"]
        for _ in range(60)
    ]
    assert abs(np.mean(free)) < 4 * np.std(free) / np.sqrt(60)
    assert metrics.distance_correlation(x, np.ones(600)).value == 0
    assert metrics.distance_correlation(np.append(x, np.nan), np.append(x, 1)).details["n_unusable"] == 1
    with pytest.raises(InputError, match="should be paired, got 3 and 4 rows"):
        metrics.distance_correlation(np.ones(3), np.ones(4))
    with pytest.raises(InputError, match="four finite rows"):
        metrics.distance_correlation(np.ones(3), np.ones(3))


def test_memorisation():
    rng = np.random.default_rng(4)
    train, holdout, fresh, second = rng.normal(size=(4, 1500, 3))
    honest = metrics.memorisation(train, holdout, fresh, second)
    assert abs(honest.value - 0.5) < 4 * honest.error
    assert abs(honest.floor - 0.5) < 4 * honest.floor_error
    assert honest.details["n_copies"] == 0
    copies = metrics.memorisation(train, holdout, train[:500])
    assert copies.value == 1
    assert copies.details["n_copies"] == 500
    half = metrics.memorisation(train, holdout, np.vstack([train[:700], fresh[:700]]))
    assert half.value == pytest.approx(0.75, abs=0.05)
    near = metrics.memorisation(train, holdout, train + 0.05 * rng.normal(size=train.shape))
    assert near.value > 0.8
    wide = metrics.memorisation(train, holdout, 3 * fresh)
    assert wide.value < 0.4
    with pytest.raises(InputError, match="same features"):
        metrics.memorisation(train, holdout, fresh[:, :2])


def test_all_jet_metrics():
    rng = np.random.default_rng(5)
    jets = np.stack(
        [rng.exponential(0.1, (3, 120, 6)), rng.normal(0, 0.1, (3, 120, 6)), rng.normal(0, 0.1, (3, 120, 6))], axis=-1
    )
    jets[1, 0, 0, 0] = np.nan
    results = metrics.jet_metrics(
        *jets, settings={"cov_mmd": {"n_samples": 20, "n_batches": 2}, "fgd": {"n_points": 4, "n_batches": 3}}
    )
    assert list(results) == ["w1m", "w1p", "w1efp", "fpd", "kpd", "fgd", "cov", "mmd", "c2st"]
    for result in results.values():
        assert np.isfinite([result.value, result.error, result.floor, result.floor_error]).all()
        assert result.details["n_unusable"] == 1
    absolute = jets[0] * [1000.0, 1, 1]
    assert "fgd" not in metrics.jet_metrics(
        absolute[1:], absolute[1:], settings={"cov_mmd": {"n_samples": 2, "n_batches": 2}, "c2st": {"n_folds": 2}}
    )
    with pytest.raises(InputError, match=r"settings are for w1m, .* got emd"):
        metrics.jet_metrics(*jets, settings={"emd": {}})
    assert set(metrics.__all__) <= set(dir(metrics))
    with pytest.raises(AttributeError, match="no attribute 'fpnd'"):
        _ = metrics.fpnd
