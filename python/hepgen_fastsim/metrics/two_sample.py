# SPDX-License-Identifier: MIT
"""Can a classifier tell candidate from reference? The classifier two-sample test."""

from __future__ import annotations

from typing import Any

import numpy as np

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.result import Result, clean_features, cleaned, counts_of, out_of_range, with_floor

__all__ = ["auc_with_error", "c2st"]


def auc_with_error(negative: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Area under the ROC curve, P(positive > negative) + P(equal) / 2, and its standard error (DeLong et al. 1988).

    Parameters
    ----------
    negative, positive: float [n], [m], scores of the two classes
    """
    both = np.concatenate([negative, positive])
    ranks = _midranks(both)
    n, m = len(negative), len(positive)
    above_negative = (ranks[n:] - _midranks(positive)) / n  # for each positive, the share of negatives below it
    above_positive = 1 - (ranks[:n] - _midranks(negative)) / m
    variance = (above_negative.var(ddof=1) / m if m > 1 else 0) + (above_positive.var(ddof=1) / n if n > 1 else 0)
    return float(above_negative.mean()), float(np.sqrt(variance))


def _midranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


_Rows = tuple[np.ndarray, np.ndarray | None]  # features [n, d], and the group of each row


def c2st(
    reference: Any,
    candidate: Any,
    rerun: Any = None,
    *,
    conditions: tuple[Any, ...] | None = None,
    groups: tuple[Any, ...] | None = None,
    n_folds: int = 5,
    max_rows: int | None = 200_000,
    seed: int = 0,
    **classifier: Any,
) -> Result:
    """Classifier two-sample test: AUC of gradient-boosted trees that separate candidate from reference.

    0.5 says that the classifier found no difference. It is known to miss shifts that other metrics see, so it goes
    beside W1 and FPD, not in their place. Every row is scored by a classifier that has not seen it; AUCs are taken
    within folds, since scores of different classifiers are not comparable, and averaged.

    Parameters
    ----------
    reference, candidate, rerun: features [n, d]; rows that are not finite are left out and counted
    conditions: (of reference, candidate[, rerun]), [n, c] each: what the candidate was conditioned on, given to the
        classifier as well, so that it sees errors in the conditional density
    groups: (of reference, candidate[, rerun]), [n] each: rows of one group (an event) stay in one fold, in both
        samples, and the error is taken between folds if that is larger
    n_folds: folds, at least 2
    max_rows: rows of each sample, at most; drawn without replacement
    seed: of the folds and the classifier
    classifier: settings of scikit-learn's HistGradientBoostingClassifier

    Returns
    -------
    Result; ``details["fold_auc"]``. The error is DeLong's, combined over folds.
    """
    if n_folds < 2:
        raise InputError(f"c2st needs at least two folds, got {n_folds}")
    names = ["reference", "candidate", "rerun"]
    condition_of, group_of = dict(zip(names, conditions or ())), dict(zip(names, groups or ()))

    def prepare(sample: Any, name: str) -> tuple[_Rows, int]:
        rng = np.random.default_rng([seed, names.index(name)])
        return _prepare(sample, condition_of.get(name), group_of.get(name), name, max_rows, rng)

    prepared, bad = cleaned(prepare, reference, candidate, rerun)
    widths = {rows[0].shape[1] for rows in prepared if rows is not None}
    if len(widths) > 1:
        raise InputError(f"samples should have the same features and conditions, got {sorted(widths)} columns")

    def measure(a: _Rows, b: _Rows) -> tuple[float, float, dict[str, Any]]:
        return _cross_validated(a, b, n_folds, seed, classifier)

    (x, _), (y, _) = prepared[:2]
    counts = counts_of(len(x), len(y), *bad)
    counts["n_out_of_range"] = out_of_range(x, y)
    return with_floor("c2st", measure, *prepared, counts)


def _prepare(sample, condition, group, name, max_rows, rng) -> tuple[_Rows, int]:
    table = np.asarray(sample, dtype=np.float64)
    if condition is not None:
        condition = np.asarray(condition, dtype=np.float64)
        condition = condition.reshape(len(condition), -1)
        if len(condition) != len(table):
            raise InputError(f"conditions of {name} should be one row per row, got {len(condition)} and {len(table)}")
        table = np.hstack([table, condition])
    if group is not None:
        group = np.asarray(group)
        if group.shape != (len(table),):
            raise InputError(f"groups of {name} should be one per row, got {list(group.shape)} and {len(table)} rows")
        group = group[np.isfinite(table).all(axis=1)]
    table, bad = clean_features(table, name)
    if max_rows is not None and len(table) > max_rows:
        chosen = np.sort(rng.permutation(len(table))[:max_rows])
        table, group = table[chosen], None if group is None else group[chosen]
    return (table, group), bad


def _cross_validated(a, b, n_folds, seed, settings) -> tuple[float, float, dict[str, Any]]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(seed)
    (x, group_x), (y, group_y) = a, b
    if (group_x is None) != (group_y is None):
        raise InputError("groups should be given for both samples or for neither")
    if group_x is None:
        folds = [rng.permutation(len(s)) % n_folds for s in (x, y)]
    else:
        known = np.unique(np.concatenate([group_x, group_y]))
        if len(known) < n_folds:
            raise InputError(f"there should be at least as many groups as folds, got {len(known)} and {n_folds}")
        fold_of = rng.permutation(len(known)) % n_folds
        folds = [fold_of[np.searchsorted(known, g)] for g in (group_x, group_y)]
    if any(len(np.unique(f)) < n_folds for f in folds):
        raise InputError(f"each sample should have rows in all {n_folds} folds, got {len(x)} and {len(y)} rows")
    settings = {"max_iter": 100, "learning_rate": 0.1, "early_stopping": True, "random_state": seed, **settings}
    scores = []
    for fold in range(n_folds):
        train = [s[f != fold] for s, f in zip((x, y), folds)]
        label = np.repeat([0, 1], [len(t) for t in train])
        model = HistGradientBoostingClassifier(**settings).fit(np.vstack(train), label)
        negative, positive = (model.predict_proba(s[f == fold])[:, 1] for s, f in zip((x, y), folds))
        scores.append(auc_with_error(negative, positive))
    auc, errors = np.array(scores).T
    error = np.sqrt((errors**2).sum()) / n_folds
    if group_x is not None:  # rows of one group are not independent, which DeLong's error does not know
        error = max(error, auc.std(ddof=1) / np.sqrt(n_folds))
    return auc.mean(), error, {"fold_auc": auc.tolist()}
