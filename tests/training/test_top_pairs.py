# SPDX-License-Identifier: MIT
"""Phase-space coordinates of top pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from synthetic import normal

from training.networks import top_pairs as phase_space
from training.networks.top_pairs import TopPairs, arctan_map, arctan_unmap, boost_xy, to_unit
from training.parton_observables import observables, quartiles


def test_coordinates_are_on_shell_and_balance():
    p = TopPairs().double().decode(2 * normal(2000, 16))
    shell = torch.sqrt((p[:, :, 3].square() - p[:, :, :3].square().sum(2)).clamp(min=0))
    torch.testing.assert_close(shell[:, [2, 5]], torch.full_like(shell[:, [2, 5]], 4.7), rtol=1e-5, atol=0)
    assert float(shell[:, [0, 1, 3, 4]].max()) < 1e-3
    assert float(p.sum(1)[:, :2].abs().max()) < 1e-7
    assert float(p.sum(1)[:, 3].max()) < 13_000
    found = observables(p[:, :, :3].numpy())
    assert (found["m_wp"] < found["m_t"] - 4.7).all()
    assert (found["m_tt"] >= found["m_t"] + found["m_tbar"] - 1e-6).all()


def test_coordinates_have_an_inverse():
    phase = TopPairs().double()
    t = normal(2000, 16)
    torch.testing.assert_close(phase.encode(phase.decode(t)), t, rtol=1e-5, atol=1e-4)


def test_a_pair_may_have_transverse_momentum():
    phase, t, pt = TopPairs().double(), normal(300, 16), 50.0 * normal(300, 2, seed=1)
    masses = [torch.full((300,), m, dtype=torch.float64) for m in (173.0, 180.0, 80.0, 70.0)]
    p = phase.build(masses[:2], masses[2:], t[:, 4:], pt)
    torch.testing.assert_close(p.sum(1)[:, :2], pt)
    found, still = observables(p[:, :, :3].numpy()), phase.build(masses[:2], masses[2:], t[:, 4:], 0.0 * pt)
    for name, mass in zip(("m_t", "m_tbar", "m_wp", "m_wm"), masses):
        np.testing.assert_allclose(found[name], mass.numpy(), rtol=1e-6)
    at_rest = observables(still[:, :, :3].numpy())
    np.testing.assert_allclose(found["m_tt"], at_rest["m_tt"], rtol=1e-9)
    np.testing.assert_allclose(found["y_tt"], at_rest["y_tt"], rtol=1e-6, atol=1e-9)
    u = normal(300, 2)
    torch.testing.assert_close(boost_xy(boost_xy(p, u), -u), p)


def test_uniform_numbers_become_a_breit_wigner():
    u = torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64)
    low, high, mass, width = (torch.tensor(value, dtype=torch.float64) for value in (1.0, 10_000.0, 80.4, 2.05))
    found = arctan_map(u, low, high, mass, width)
    torch.testing.assert_close(arctan_unmap(found, low, high, mass, width), u)
    position, spread = quartiles(found.numpy())
    assert position == pytest.approx(80.4, abs=0.05)
    assert spread == pytest.approx(2.05, rel=0.02)
    density = np.gradient(u.numpy(), found.numpy() ** 2)  # du / ds
    peak = 1 / ((found.numpy() ** 2 - 80.4**2) ** 2 + (80.4 * 2.05) ** 2)
    middle = slice(100, 900)
    np.testing.assert_allclose(density[middle] / density[500], peak[middle] / peak[500], rtol=1e-2)


def test_fit_finds_peaks_and_limits():
    phase = TopPairs().double()
    p = phase.decode(normal(20_000, 16))
    other = TopPairs().double()
    other.fit(p)
    torch.testing.assert_close(other.peak, phase.peak, rtol=0.03, atol=0)
    torch.testing.assert_close(other.excess, phase.excess, rtol=0.03, atol=0)
    again = other.encode(p)
    assert float((other.decode(again) - p).abs().median()) < 1e-6


def test_cosines_are_those_of_the_rest_frame():
    phase = TopPairs().double()
    t = normal(500, 16)
    found = observables(phase.decode(t)[:, :, :3].numpy())["cos_w"]
    t_cosine = 2 * to_unit(t[:, 8]) - 1
    moving = found  # helicity frame: against the top's flight in the pair's frame, which the pair's boost turns
    rest = t.clone()
    rest[:, 5] = 0.0  # a pair at rest
    at_rest = observables(phase.decode(rest)[:, :, :3].numpy())["cos_w"]
    np.testing.assert_allclose(at_rest, t_cosine.numpy(), atol=1e-6)
    assert np.abs(moving - at_rest).max() > 0.01


def test_phase_space_needs_the_pair_to_balance():
    """The sum of transverse momenta is no coordinate: `training.data.top_pairs` refuses samples that have one."""
    assert phase_space.N_COORDINATES == 3 * 6 - 2
