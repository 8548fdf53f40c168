# SPDX-License-Identifier: MIT
import numpy as np
import pytest
from hepgen_fastsim import metrics
from hepgen_fastsim.errors import InputError


def test_energy_movers_distance_by_hand():
    a = np.array([[[2.0, 0.0, 0.0], [1.0, 1.0, 0.0]]])
    b = np.array([[[2.0, 0.0, 0.5], [0.5, 1.0, 0.0]]])
    # 2 over 0.5, 0.5 over 0, and 0.5 is made
    assert metrics.emd(a, b)[0] == pytest.approx(2 * 0.5 + 0.5)
    assert metrics.emd(a, b, radius=0.5)[0] == pytest.approx(2 * 1.0 + 0.5)
    assert metrics.emd(a, b, beta=2)[0] == pytest.approx(2 * 0.25 + 0.5)
    assert metrics.emd(b, a)[0] == pytest.approx(2 * 0.5 + 0.5)
    same = np.array([[[4.0, 0.0, 0.0], [2.0, 1.0, 0.0]]])
    assert metrics.emd(a, same, norm=True)[0] == pytest.approx(0, abs=1e-12)
    seam = np.array([[[1.0, 0.0, 3.1]]]), np.array([[[1.0, 0.0, -3.1]]])
    assert metrics.emd(*seam)[0] == pytest.approx(2 * np.pi - 6.2)


def test_energy_movers_distance_of_lists_and_pairs():
    rng = np.random.default_rng(1)
    a, b = ([np.abs(rng.normal(1, 0.3, (n, 3))) for n in sizes] for sizes in ((3, 5, 2), (4, 1, 6)))
    pairs = metrics.emd(a, b, pairwise=True)
    np.testing.assert_allclose(np.diag(pairs), metrics.emd(a, b), rtol=1e-12)
    empty = metrics.emd([np.empty((0, 3))], [a[0]])
    assert empty[0] == pytest.approx(a[0][:, 0].sum())
    assert np.isnan(metrics.emd([np.empty((0, 3))], [a[0]], norm=True))[0]
    with pytest.raises(InputError, match="same number of jets, got 3 and 2"):
        metrics.emd(a, b[:2])
    with pytest.raises(InputError, match="should be positive"):
        metrics.emd(a, b, radius=0)
    with pytest.raises(InputError, match="particles of b should have finite"):
        metrics.emd(a, [x * np.nan for x in b])


def test_coverage_and_matching_distance():
    rng = np.random.default_rng(2)
    positions = rng.normal(0, 1, (40, 2))
    jets = np.concatenate([np.ones((40, 1)), positions], axis=1)[:, None, :]
    result = metrics.cov_mmd(jets, jets, n_samples=40, n_batches=2)
    assert result["cov"].value == 1
    assert result["mmd"].value == pytest.approx(0, abs=1e-12)
    collapsed = np.repeat(jets[:1], 40, axis=0)
    result = metrics.cov_mmd(jets, collapsed, jets, n_samples=40, n_batches=2)
    assert result["cov"].value == pytest.approx(1 / 40)
    assert result["cov"].floor == 1
    apart = np.hypot(*(positions - positions[0]).T)
    assert result["mmd"].value == pytest.approx(np.mean(np.minimum(apart, 2)), rel=0.2)
    theirs = metrics.cov_mmd(jets, jets, n_samples=40, n_batches=4, sampling="jetnet")
    assert theirs["cov"].value < 0.9
    with pytest.raises(InputError, match="one jet in two batches"):
        metrics.cov_mmd(jets, jets, n_batches=1)
    with pytest.raises(InputError, match="sampling must be"):
        metrics.cov_mmd(jets, jets, sampling="x")
