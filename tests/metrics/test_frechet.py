# SPDX-License-Identifier: MIT
import numpy as np
import pytest
from hepgen_fastsim import metrics
from hepgen_fastsim.errors import InputError
from scipy.linalg import sqrtm

MEANS = np.array([0.0, 0.0, 0.0]), np.array([0.5, -0.2, 0.1])
ROOTS = np.array([[1.0, 0, 0], [0.5, 1, 0], [0, 0.3, 0.7]]), np.array([[1.2, 0, 0], [0.1, 0.8, 0], [0.2, 0, 1.0]])
TRUE = metrics.frechet_distance(MEANS[0], ROOTS[0] @ ROOTS[0].T, MEANS[1], ROOTS[1] @ ROOTS[1].T)


def gaussian(which, n, seed):
    return MEANS[which] + np.random.default_rng(seed).normal(size=(n, 3)) @ ROOTS[which].T


def test_distance_of_gaussians_by_formula():
    c = [root @ root.T for root in ROOTS]
    expected = ((MEANS[1] - MEANS[0]) ** 2).sum() + np.trace(c[0] + c[1] - 2 * sqrtm(c[0] @ c[1]).real)
    assert pytest.approx(expected, rel=1e-10) == TRUE
    # commuting covariances: |dm|^2 + sum (s_a - s_b)^2
    assert metrics.frechet_distance([0, 0], np.diag([1.0, 4.0]), [3, 4], np.diag([9.0, 0.0])) == pytest.approx(33)


def test_fpd_of_gaussians_with_known_moments():
    result = metrics.fpd(gaussian(0, 6000, 1), gaussian(1, 6000, 2), normalise=False)
    assert abs(result.value - TRUE) < 4 * result.error
    assert result.error < 0.1 * TRUE


def test_fpd_has_no_bias_and_its_error_is_right():
    results = [
        metrics.fpd(gaussian(0, 400, 2 * k), gaussian(0, 400, 2 * k + 1), normalise=False, n_points=4, n_batches=4)
        for k in range(24)
    ]
    values = np.array([r.value for r in results])
    spread = values.std(ddof=1)
    mean_error = spread / np.sqrt(len(values))
    assert abs(values.mean()) < 4 * mean_error
    assert np.mean([r.details["at_max_samples"] for r in results]) > 5 * mean_error  # what extrapolation removes
    assert 0.4 * spread < np.mean([r.error for r in results]) < 2.5 * spread


def test_fpd_floor_normalisation_and_scheme():
    a, b, c = gaussian(0, 2000, 1), gaussian(1, 2000, 2), gaussian(0, 2000, 3)
    result = metrics.fpd(a, b, c)
    assert abs(result.floor) < 5 * result.floor_error
    assert result.ratio > 5
    scaled = metrics.fpd(a * [1, 10, 100], b * [1, 10, 100], c * [1, 10, 100])
    assert scaled.value == pytest.approx(result.value, rel=1e-8)
    theirs = metrics.fpd(a, b, scheme="jetnet", min_samples=500, max_samples=2000, n_batches=5)
    assert theirs.value == pytest.approx(result.value, rel=0.1)
    with pytest.raises(InputError, match="unbiased, jetnet"):
        metrics.fpd(a, b, scheme="other")
    with pytest.raises(InputError, match="3 and 2 columns"):
        metrics.fpd(a, b[:, :2])
    with pytest.raises(InputError, match="at least four"):
        metrics.fpd(a[:3], b)


def test_a_few_exploding_rows_are_counted():
    a, b = gaussian(0, 2000, 1), gaussian(0, 2000, 2)
    clean = metrics.fpd(a, b)
    b[:3] = 1e5
    b[3, 0] = np.nan
    ruined = metrics.fpd(a, b)
    assert ruined.details["n_out_of_range"] == 3
    assert ruined.details["n_unusable"] == 1
    assert ruined.value > 1e3 * abs(clean.value)


def test_kpd_is_unbiased_on_equal_samples():
    results = [
        metrics.kpd(gaussian(0, 300, 2 * k), gaussian(0, 300, 2 * k + 1), n_batches=3, batch_size=100)
        for k in range(60)
    ]
    values = np.array([r.value for r in results])
    assert abs(values.mean()) < 4 * values.std(ddof=1) / np.sqrt(len(values))
    assert (values < 0).any()
    # with replacement from a small pool it is not: rows meet themselves
    theirs = [
        metrics.kpd(gaussian(0, 100, 2 * k), gaussian(0, 100, 2 * k + 1), batch_size=100, scheme="jetnet").value
        for k in range(30)
    ]
    assert np.mean(theirs) > 4 * np.std(theirs) / np.sqrt(len(theirs))


def test_kpd_by_definition():
    a, b = gaussian(0, 40, 1), gaussian(1, 60, 2)
    result = metrics.kpd(a, b, n_batches=2, batch_size=20, normalise=False, seed=3)

    def k(x, y):
        return (x @ y.T / 3 + 1) ** 4

    rng = np.random.default_rng(3)
    order_a, order_b = rng.permutation(40).reshape(2, 20), rng.permutation(60)[:40].reshape(2, 20)
    expected = []
    for p, q in zip(order_a, order_b):
        x, y = a[p], b[q]
        within = [(k(s, s).sum() - np.trace(k(s, s))) / (20 * 19) for s in (x, y)]
        expected.append(sum(within) - 2 * k(x, y).mean())
    assert result.value == pytest.approx(np.mean(expected), rel=1e-10)
    assert result.details["median"] == pytest.approx(np.median(expected), rel=1e-10)


def test_kpd_sees_a_difference_and_refuses_what_it_cannot_use():
    result = metrics.kpd(gaussian(0, 2000, 1), gaussian(1, 2000, 2), gaussian(0, 2000, 3))
    assert result.value > 5 * result.error
    assert abs(result.floor) < 5 * result.floor_error
    with pytest.raises(InputError, match="two rows per batch, got 15 for 10 batches"):
        metrics.kpd(gaussian(0, 15, 1), gaussian(1, 2000, 2))
    with pytest.raises(InputError, match="at least two batches"):
        metrics.kpd(gaussian(0, 15, 1), gaussian(1, 15, 2), n_batches=1)


def test_jets_become_their_polynomials():
    rng = np.random.default_rng(0)
    jets = np.abs(rng.normal(0.1, 0.05, (2, 200, 8, 3)))
    features = [metrics.efps(j, "d<=4", normed=False) for j in jets]
    assert metrics.fpd(*jets).value == metrics.fpd(*features).value
    assert metrics.kpd(*jets).value == metrics.kpd(*features).value
