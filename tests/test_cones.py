# SPDX-License-Identifier: MIT
"""Cones of the C++ core against all pairs in numpy."""

import numpy as np
import pytest
from hepgen_fastsim._core_loader import core
from hepgen_fastsim.errors import InputError


@pytest.fixture
def event_of_others():
    """Objects of four events, one of them empty: eta, phi, weight, code, offsets, and the event of each."""
    rng = np.random.default_rng(5)
    offsets = np.array([0, 30, 30, 75, 100])
    n = offsets[-1]
    eta, phi = rng.uniform(-2, 2, n), rng.uniform(-np.pi, np.pi, n)
    return eta, phi, rng.normal(size=n), rng.integers(0, 6, n), offsets, np.repeat(np.arange(4), np.diff(offsets))


def near(eta, phi, event, others, delta_r):
    """bool [n, n_others]."""
    other_eta, other_phi, *_, other_event = others
    dphi = np.abs(phi[:, None] - other_phi)
    dphi = np.where(dphi > np.pi, 2 * np.pi - dphi, dphi)
    return ((eta[:, None] - other_eta) ** 2 + dphi**2 <= delta_r**2) & (event[:, None] == other_event)


def test_neighbours_are_those_of_all_pairs(event_of_others):
    eta, phi, weight, _, offsets, _ = event_of_others
    rng = np.random.default_rng(6)
    own = rng.uniform(-2, 2, 40), rng.uniform(-np.pi, np.pi, 40), rng.integers(0, 4, 40)
    found = near(*own, event_of_others, 1.1)
    assert 40 < found.sum() < found.size / 4
    assert found.any(1).sum() < 40  # -1 occurs
    index = np.arange(len(eta))
    assert np.array_equal(core().last_within(*own, eta, phi, offsets, 1.1), np.where(found, index, -1).max(axis=1))
    sums = core().count_near(*own, eta, phi, weight, offsets, 1.1)
    np.testing.assert_allclose(sums, np.stack([found.sum(1), (found * weight).sum(1)], 1), atol=1e-12)


@pytest.mark.parametrize("inner", [-1.0, 0.3])
def test_sums_in_cones_are_those_of_all_pairs(event_of_others, inner):
    eta, phi, pt, code, offsets, event = event_of_others
    pt, charge, counts = np.abs(pt), code - 2.0, code != 1
    rows = np.array([0, 7, 40, 99])
    mine = eta[rows], phi[rows], event[rows], event_of_others
    inside = np.eye(len(eta), dtype=bool)[rows] if inner < 0 else near(*mine, inner)
    found = near(*mine, 0.9) & counts & ~inside
    sums = core().cone_sums(rows, event[rows], eta, phi, pt, charge, counts, offsets, 0.9, inner)
    expected = np.stack([(found * (charge != 0) * pt).sum(1), (found * (charge == 0) * pt).sum(1)], 1)
    assert (expected > 0).any(0).all()
    np.testing.assert_allclose(sums, expected, rtol=1e-12)


def test_columns_that_do_not_fit_are_errors(event_of_others):
    eta, phi, weight, code, offsets, _ = event_of_others
    own = np.zeros(1), np.zeros(1), np.zeros(1, int)
    with pytest.raises(InputError, match="'weight' should have 100 values, but has 99"):
        core().count_near(*own, eta, phi, weight[1:], offsets, 0.4)
    with pytest.raises(InputError, match="event 4 is not among the 4"):
        core().last_within(*own[:2], np.array([4]), eta, phi, offsets, 0.4)
    with pytest.raises(InputError, match="offsets should begin with 0"):
        core().last_within(*own, eta[:50], phi[:50], offsets, 0.4)
    with pytest.raises(InputError, match="not among the constituents"):
        core().cone_sums(np.array([100]), np.array([0]), eta, phi, weight, weight, code > 0, offsets, 0.4, -1.0)
