# SPDX-License-Identifier: MIT
"""Multiplicities, quantiles and the calibration that generators of jets draw with."""

from __future__ import annotations

import math

import pytest
import torch

from training.networks.jet_draws import Calibration, Multiplicity, Quantiles, scott


def test_multiplicity_follows_its_table():
    counts = torch.tensor([5] * 30 + [6] * 50 + [9] * 20)
    drawn = Multiplicity(counts)(torch.randn(40_000, generator=torch.Generator().manual_seed(0)))
    shares = torch.bincount(drawn, minlength=10)[5:] / 40_000
    assert torch.allclose(shares, torch.tensor([0.3, 0.5, 0.0, 0.0, 0.2]), atol=0.01)
    smooth = Multiplicity(counts, bandwidth=1.0)
    # rounding 9 + N(0, 1) gives 8 with the probability of (-1.5, -0.5); 5 and below are clipped to 5
    phi = lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2)))  # noqa: E731
    eight = sum(w * (phi(8.5 - n) - phi(7.5 - n)) for n, w in ((5, 0.3), (6, 0.5), (9, 0.2)))
    five = sum(w * phi(5.5 - n) for n, w in ((5, 0.3), (6, 0.5), (9, 0.2)))
    table = smooth.cumulative.diff(prepend=torch.zeros(1))
    assert float(table[3]) == pytest.approx(eight, abs=1e-6)
    assert float(table[0]) == pytest.approx(five, abs=1e-6)
    extremes = smooth(torch.tensor([-9.0, 9.0]))
    assert extremes.tolist() == [5, 9]
    assert scott(torch.arange(100)) == pytest.approx(float(torch.arange(100.0).std()) * 100**-0.2)


def test_quantiles_give_the_training_distribution():
    values = torch.rand(5000, generator=torch.Generator().manual_seed(1)) ** 2
    drawn = Quantiles(values)(torch.randn(20_000, generator=torch.Generator().manual_seed(2)))
    for q in (0.1, 0.5, 0.9):
        assert float(drawn.quantile(q)) == pytest.approx(float(values.quantile(q)), abs=0.02)


def test_calibration_maps_sums():
    calibration = Calibration()
    assert torch.allclose(calibration(torch.tensor([0.3, 0.9, 1.7])), torch.ones(3))
    generator = torch.Generator().manual_seed(4)
    generated = 0.8 + 0.2 * torch.rand(9000, generator=generator)
    real = 0.5 + 0.5 * torch.rand(9000, generator=generator)
    calibration.fit(generated, real)
    mapped = generated * calibration(generated)
    assert float(mapped.mean()) == pytest.approx(float(real.mean()), abs=2e-3)
    assert float(mapped.std()) == pytest.approx(float(real.std()), rel=0.02)
    assert float(0.9 * calibration(torch.tensor([0.9]))[0]) == pytest.approx(0.75, abs=0.01)
    calibration.reset()
    assert torch.allclose(calibration(torch.tensor([0.3, 0.9])), torch.ones(2))
