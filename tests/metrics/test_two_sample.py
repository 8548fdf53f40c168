# SPDX-License-Identifier: MIT
import numpy as np
import pytest
from hepgen_fastsim import metrics
from hepgen_fastsim.errors import InputError
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

QUICK = {"max_iter": 12, "max_leaf_nodes": 15}


def test_area_and_its_error():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 300), rng.normal(0.7, 1, 200)
    value, error = metrics.auc_with_error(a, b)
    assert value == pytest.approx(roc_auc_score(np.repeat([0, 1], [300, 200]), np.concatenate([a, b])), rel=1e-12)
    spread = np.std([metrics.auc_with_error(rng.normal(0, 1, 300), rng.normal(0.7, 1, 200))[0] for _ in range(300)])
    assert error == pytest.approx(spread, rel=0.2)
    assert metrics.auc_with_error(np.zeros(3), np.zeros(4))[0] == 0.5
    assert metrics.auc_with_error(np.arange(3), np.arange(3, 5))[0] == 1.0


def test_equal_samples_give_one_half():
    values = []
    for seed in range(6):
        x = np.random.default_rng(seed).normal(size=(2, 400, 2))
        result = metrics.c2st(x[0], x[1], seed=seed, **QUICK)
        values.append((result.value - 0.5) / result.error)
    assert np.abs(values).max() < 4
    assert abs(np.mean(values)) < 4 / np.sqrt(6)
    assert 0.4 < np.std(values) < 2.0


@pytest.mark.parametrize("mu", [0.5, 1.5])
def test_shifted_gaussians_have_the_known_area(mu):
    rng = np.random.default_rng(3)
    a, b, c = rng.normal(size=(3, 4000, 1))
    result = metrics.c2st(a, b + mu, c, **QUICK)
    assert result.value == pytest.approx(norm.cdf(mu / np.sqrt(2)), abs=4 * result.error + 0.003)
    assert result.floor == pytest.approx(0.5, abs=4 * result.floor_error)
    assert result.error < 0.015


def test_conditions_show_what_marginals_hide():
    rng = np.random.default_rng(4)
    condition = rng.normal(size=3000)
    right, wrong = condition + 0.3 * rng.normal(size=3000), rng.permutation(condition) + 0.3 * rng.normal(size=3000)
    blind = metrics.c2st(right[:, None], wrong[:, None], **QUICK)
    seeing = metrics.c2st(right[:, None], wrong[:, None], conditions=(condition, condition), **QUICK)
    assert abs(blind.value - 0.5) < 5 * blind.error
    assert seeing.value > 0.75


def test_groups_stay_together():
    # 40 events of 25 equal rows: a classifier that has seen the event recognises it, one that has not cannot
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(80), 25)
    rows = rng.normal(size=(80, 3))[groups]
    order = rng.permutation(80)
    mine = np.isin(groups, order[:40])
    leaky = metrics.c2st(rows[mine], rows[~mine], min_samples_leaf=5, **QUICK)
    honest = metrics.c2st(rows[mine], rows[~mine], groups=(groups[mine], groups[~mine]), min_samples_leaf=5, **QUICK)
    assert leaky.value > 0.95
    assert abs(honest.value - 0.5) < 4 * honest.error


def test_bad_input():
    x = np.random.default_rng(6).normal(size=(50, 2))
    broken = x.copy()
    broken[:3, 0] = np.nan
    assert metrics.c2st(x, broken, **QUICK).details["n_unusable"] == 3
    with pytest.raises(InputError, match="same features"):
        metrics.c2st(x, x[:, :1])
    with pytest.raises(InputError, match="conditions of candidate should be one row per row, got 3 and 50"):
        metrics.c2st(x, x, conditions=(np.ones(50), np.ones(3)))
    with pytest.raises(InputError, match="groups of reference should be one per row"):
        metrics.c2st(x, x, groups=(np.ones(3), np.ones(50)))
    with pytest.raises(InputError, match="at least as many groups as folds, got 1 and 5"):
        metrics.c2st(x, x, groups=(np.ones(50), np.ones(50)))
    with pytest.raises(InputError, match="for both samples or for neither"):
        metrics.c2st(x, x, groups=(np.ones(50), None))
    with pytest.raises(InputError, match="at least two folds"):
        metrics.c2st(x, x, n_folds=1)
    with pytest.raises(InputError, match="rows in all 5 folds"):
        metrics.c2st(x, x[:3])
