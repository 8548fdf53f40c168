# SPDX-License-Identifier: MIT
"""The figures of merit on cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluate import by_quantity, separation, w1
from training.observables import Reco, angle, jets, missing


def test_a_shift_of_s_gives_a_distance_of_s():
    values = np.random.default_rng(0).normal(size=5000)
    assert w1(values, values + 0.3) == pytest.approx(0.3)
    assert w1(values, values) == 0
    assert w1(np.array([0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])) == 0
    assert w1(np.array([0.0]), np.array([1.0, 3.0])) == pytest.approx(2.0)


def two_jets() -> Reco:
    """Two back-to-back pairs of collinear particles in the first event, a soft particle in the second."""
    pt = np.array([30.0, 10.0, 25.0, 5.0, 3.0])
    eta, phi = np.array([0.0, 0.1, 1.0, 1.0, 0.0]), np.array([3.1, -3.1, 0.0, 0.1, 1.0])
    return Reco(pt, eta, phi, np.zeros(5), np.array([0, 1, 2, 0, 0]), np.array([0, 4, 5]))


def test_jets_of_known_momenta():
    found = jets(two_jets())
    assert found.event.tolist() == [0, 0]
    assert found.n.tolist() == [2, 2]
    assert found.pt == pytest.approx([40.0, 30.0], rel=1e-2)
    # massless pairs: m^2 = 2 pt1 pt2 (cosh deta - cos dphi)
    separation_phi = 2 * np.pi - 6.2
    expected = [np.sqrt(2 * 300 * (np.cosh(0.1) - np.cos(separation_phi))), np.sqrt(2 * 125 * (1 - np.cos(0.1)))]
    assert found.mass == pytest.approx(expected, rel=1e-4)
    assert (found.width < 0.1).all()


def test_missing_momentum_balances_the_sum():
    reco = two_jets()
    vector = missing(reco)
    assert vector[1] == pytest.approx([-3 * np.cos(1.0), -3 * np.sin(1.0)])
    assert reco.sums(np.ones(5)).tolist() == [4, 1]
    assert reco.where(np.array([False, True])).pt.tolist() == [3.0]


def test_ratios_are_averaged_over_processes():
    assert by_quantity({"met.qcd": 1.0, "met.zee": 3.0, "track.pt": 0.5}) == {"met": 2.0, "track.pt": 0.5}


def test_angles_wrap():
    assert angle(np.array([3.1 + 3.1])) == pytest.approx(6.2 - 2 * np.pi)


def test_classifier_sees_a_shift_and_nothing_else():
    random = np.random.default_rng(1)
    groups = np.arange(1500)
    a, b, c = (random.normal(size=(1500, 3)) for _ in range(3))
    c[:, 1] += 1.0
    assert separation(a, b, groups, groups) == pytest.approx(0.5, abs=0.04)
    assert 0.66 < separation(a, c, groups, groups) < 0.80  # the best there is: Phi(1 / sqrt 2) = 0.76
