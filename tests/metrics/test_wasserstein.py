# SPDX-License-Identifier: MIT
import json

import numpy as np
import pytest
from hepgen_fastsim import metrics
from hepgen_fastsim.errors import InputError
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance


def toy_jets(seed, n_jets=300, n_particles=12, scale=1.0):
    """[n_jets, n_particles, 3]: pT, eta, phi."""
    rng = np.random.default_rng(seed)
    shape = (n_jets, n_particles)
    pt = rng.exponential(scale / n_particles, shape) * (rng.uniform(size=shape) < 0.8)
    pt[:, 0] += 1e-3
    return np.stack([pt, rng.normal(0, 0.1, shape), rng.normal(0, 0.1, shape)], axis=-1)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(-5, 5))
def test_a_shift_of_s_gives_s(seed, s):
    x = np.random.default_rng(seed).normal(size=50)
    assert metrics.w1(x, x + s, n_bootstrap=2).value == pytest.approx(abs(s), abs=1e-12)


def test_values_are_those_of_scipy():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=500), rng.normal(0.3, 2, size=377)
    assert metrics.w1(a, b).value == pytest.approx(wasserstein_distance(a, b), rel=1e-12)
    u, v = rng.uniform(size=500), rng.uniform(size=377)
    u[::5] = 0
    ours = metrics.w1(a, b, weights=(u, v)).value
    assert ours == pytest.approx(wasserstein_distance(a, b, u, v), rel=1e-12)
    ties = np.round(a), np.round(b)
    assert metrics.w1(*ties).value == pytest.approx(wasserstein_distance(*ties), rel=1e-12)


def test_error_is_that_of_repeated_samples():
    rng = np.random.default_rng(2)
    values = [metrics.w1(rng.normal(size=400), rng.normal(1, 1, size=400), seed=k) for k in range(40)]
    spread = np.std([v.value for v in values])  # of a shift: sqrt(2 / 400) = 0.071
    assert spread == pytest.approx(0.071, rel=0.35)
    assert np.mean([v.error for v in values]) == pytest.approx(spread, rel=0.35)


def test_floor_and_result():
    rng = np.random.default_rng(3)
    a, b, c = rng.normal(size=(3, 1000))
    result = metrics.w1(a, b + 1, c, seed=1)
    assert result.floor < 0.15
    assert result.ratio == pytest.approx(result.value / result.floor)
    assert float(result) == result.value
    assert "floor" in str(result)
    assert json.loads(json.dumps(result.to_dict()))["value"] == result.value
    assert metrics.w1(a, b + 1, c, seed=1) == result
    assert metrics.w1(a, b).ratio is None


def test_bad_values_are_counted_and_bad_input_refused():
    result = metrics.w1([0.0, 1.0, np.nan], [0.0, 1.0, np.inf, 50.0], n_bootstrap=2)
    assert result.details["n_unusable"] == 1
    assert result.details["n_unusable_reference"] == 1
    assert result.details["n_out_of_range"] == 1
    assert "1 out of range" in str(result)
    with pytest.raises(InputError, match="at least one finite number, got none among 2"):
        metrics.w1([0.0], [np.nan, np.nan])
    with pytest.raises(InputError, match=r"shape \[1, 2\]"):
        metrics.w1([[0.0, 1.0]], [0.0])
    with pytest.raises(InputError, match="one per entry"):
        metrics.w1([0.0, 1.0], [0.0], weights=([1.0], None))
    with pytest.raises(InputError, match="not negative"):
        metrics.w1([0.0, 1.0], [0.0], weights=([1.0, -1.0], None))


def test_mass_of_jets_by_hand():
    # two massless particles: m^2 = 2 pT1 pT2 (cosh(d eta) - cos(d phi))
    light = np.array([[[0.5, 0.1, 0.0], [0.5, -0.1, 0.0]]])
    heavy = np.array([[[0.5, 0.2, 0.0], [0.5, -0.2, 0.3]]])
    masses = [np.sqrt(0.5 * (np.cosh(0.2) - 1)), np.sqrt(0.5 * (np.cosh(0.4) - np.cos(0.3)))]
    assert metrics.w1m(light, heavy).value == pytest.approx(masses[1] - masses[0], rel=1e-9)


def test_particle_features_and_their_shift():
    jets = toy_jets(1)
    moved = jets + np.where(jets[..., :1] > 0, [0.0, 0.25, -0.5], 0.0)
    result = metrics.w1p(jets, moved)
    per_feature = result.details["per_feature"]
    assert per_feature["eta"] == pytest.approx(0.25, rel=1e-9)
    assert per_feature["phi"] == pytest.approx(0.5, rel=1e-9)
    assert per_feature["pt"] == pytest.approx(0.0, abs=1e-12)
    assert result.value == pytest.approx(0.25, rel=1e-9)


def test_polynomials_are_those_of_jetnet():
    a, b = toy_jets(1), toy_jets(2, scale=1.3)
    result = metrics.w1efp(a, b, toy_jets(3))
    columns = [metrics.efps(x, "n==4, d==4, p==1", normed=False) for x in (a, b)]
    expected = [wasserstein_distance(*pair) for pair in zip(columns[0].T, columns[1].T)]
    np.testing.assert_allclose(list(result.details["per_feature"].values()), expected, rtol=1e-10)
    assert result.value == pytest.approx(np.mean(expected))
    assert result.floor < result.value


def test_sampling():
    a, b = toy_jets(1), toy_jets(2)
    assert metrics.w1m(a, a).value == 0
    assert metrics.w1m(a, a, sampling="jetnet").value > 0  # drawn with replacement: a sample differs from itself
    subset = metrics.w1m(a, b, n_samples=100)
    assert subset == metrics.w1m(a, b, n_samples=100)
    assert subset != metrics.w1m(a, b, n_samples=100, seed=1)
    with pytest.raises(InputError, match="sampling must be one of subsets, jetnet"):
        metrics.w1m(a, b, sampling="all")


def test_jets_that_explode_are_counted():
    a, b = toy_jets(1), toy_jets(2)
    b[0, 0, 0], b[1, 0, 1], b[2, 0, 0], b[3] = np.nan, np.inf, -1.0, 0.0
    b[4, :, 0] = 1e6
    for metric in (metrics.w1m, metrics.w1p, metrics.w1efp):
        details = metric(a, b).details
        assert details["n_unusable"] == 3
        assert details["n_out_of_range"] == 1
        assert details["n_empty"] == 1
        assert details["n_candidate"] == 297
    with pytest.raises(InputError, match="at least one jet of finite momenta, got none among 1"):
        metrics.w1m(a, b[:1])
