# SPDX-License-Identifier: MIT
"""W1 of exchanged and resampled events."""

from __future__ import annotations

import numpy as np
import pytest
from hepgen_fastsim import metrics
from hepgen_fastsim.validation.cells import ALL, Judge, summary
from hepgen_fastsim.validation.measure import Values
from hepgen_fastsim.validation.swap import Pair, distances, exchanges, resamplings


def sample(rng, n_events, per_event=5, shift=0.0, common=0.0):
    event = np.repeat(np.arange(n_events), rng.poisson(per_event, n_events))
    return rng.normal(shift, 1, len(event)) + common, event


def test_a_hand_example():
    pair = Pair.of((np.array([0.0, 1.0, 2.0]), np.arange(3)), (np.array([0.5, 1.5, 2.5]), np.arange(3)))
    assert distances(pair) == pytest.approx(0.5)
    # event 0 exchanged: {0.5, 1, 2} against {0, 1.5, 2.5}; |F - G| is 1/3 on [0, .5], [1, 1.5] and [2, 2.5]
    assert distances(pair, flip=np.array([[True], [False], [False]])) == pytest.approx(0.5)
    # event 2 twice, event 0 never
    times = np.array([[0], [1], [2]], np.uint8)
    assert distances(pair, times=times) == pytest.approx(0.5)


def test_it_is_the_w1_of_the_metrics():
    rng = np.random.default_rng(1)
    a, b = sample(rng, 200), sample(rng, 200, per_event=7, shift=0.3)
    assert distances(Pair.of(a, b))[0] == pytest.approx(metrics.w1(a[0], b[0], n_bootstrap=2).value, rel=1e-12)


def test_exchanging_every_event_changes_nothing():
    rng = np.random.default_rng(2)
    pair = Pair.of(sample(rng, 50), sample(rng, 50, shift=1))
    flip = np.stack([np.zeros(50, bool), np.ones(50, bool)], axis=1)
    first, second = distances(pair, flip=flip)
    assert first == pytest.approx(second, rel=1e-12)


def test_exchanged_values_are_those_of_the_exchanged_events():
    rng = np.random.default_rng(3)
    a, b = sample(rng, 30), sample(rng, 30, shift=1)
    flip = exchanges(30, 20, seed=1)
    found = distances(Pair.of(a, b), flip=flip)
    for k in range(20):
        first, second = flip[a[1], k], flip[b[1], k]
        x = np.concatenate([a[0][~first], b[0][second]])
        y = np.concatenate([b[0][~second], a[0][first]])
        assert found[k] == pytest.approx(metrics.w1(x, y, n_bootstrap=2).value, rel=1e-12)


def test_a_sample_without_values_has_no_distance():
    empty = np.empty(0), np.empty(0, int)
    assert np.isnan(distances(Pair.of((np.ones(3), np.arange(3)), empty))).all()


def test_resamplings_keep_the_number_of_events():
    assert (resamplings(40, 10, seed=1).sum(axis=0) == 40).all()


def judged(n_events=400, n_observables=60, shift=0.0, rerun=True):
    """Cells of observables whose events share something between the samples, as GEN does."""
    rng = np.random.default_rng(5)
    judge = Judge(np.zeros(n_events, int), {}, 200, seed=1)
    cells = []
    for k in range(n_observables):
        truth = rng.normal(0, 2, n_events)
        made = []
        for s in (0.0, shift, 0.0):
            values = Values()
            values.append(truth + rng.normal(s, 1, n_events), np.arange(n_events))
            made.append(values)
        cells += judge.cells(f"o{k}", made[0], [made[1]], made[2] if rerun else None)
    return cells


def test_a_perfect_candidate_is_inside_in_95_percent():
    found = summary(judged())
    assert found["n_cells"] == 60
    assert found["n_inside"] >= 53  # 57 expected, four standard deviations below
    assert found["median_ratio"] == pytest.approx(1, abs=0.2)


def test_a_shift_of_a_quarter_of_the_resolution_is_outside():
    found = summary(judged(shift=0.25))
    assert found["n_inside"] <= 10
    assert np.mean([cell.value for cell in judged(shift=0.25)]) == pytest.approx(0.25, abs=0.05)


def test_halves_of_the_reference_are_a_wider_band():
    by_rerun, by_halves = judged(), judged(rerun=False)
    assert np.median([c.band for c in by_halves]) > 1.3 * np.median([c.band for c in by_rerun])
    assert all(c.floor == c.expected for c in by_halves)


def test_all_processes_together_count_only_if_they_are_alone():
    rng = np.random.default_rng(6)
    judge = Judge(np.repeat([1, 2], 100), {1: "one", 2: "two"}, 20, seed=1)
    made = []
    for _ in range(2):
        values = Values()
        values.append(rng.normal(size=200), np.arange(200))
        made.append(values)
    cells = judge.cells("x", made[0], [made[1]], None)
    assert [(c.process, c.counted) for c in cells] == [(ALL, False), ("one", True), ("two", True)]
    assert [c.n_reference for c in cells] == [200, 100, 100]
