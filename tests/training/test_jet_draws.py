# SPDX-License-Identifier: MIT
"""Multiplicities, quantiles and the calibration that generators of jets draw with."""

from __future__ import annotations

import math

import pytest
import torch

from training.networks.jet_draws import Calibration, Multiplicity, Quantiles, Radial, scott, turned


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


def test_radial_map_makes_distances_those_of_a_normal_plane():
    generator = torch.Generator().manual_seed(8)
    distance = 0.05 * torch.randn(200_000, 3, generator=generator).exp().prod(1)  # a heavy tail
    angle = 6.3 * torch.rand(200_000, generator=generator)
    items = torch.stack([distance * angle.cos(), distance * angle.sin(), distance], 1)
    radial = Radial()
    assert torch.allclose(radial(items), items, rtol=1e-4)  # the identity, beyond the last knot too
    radial.fit(radial.quantiles(distance), radial.knots())
    mapped = radial(items)
    assert torch.allclose(radial.inverse(mapped), items, rtol=2e-3, atol=1e-5)
    assert torch.equal(mapped[:, 2], items[:, 2])
    inside = distance < distance.quantile(0.999)
    assert torch.allclose(mapped[inside, :2].std(0), torch.ones(2), atol=0.02)
    share = (mapped[:, :2].norm(dim=1) < 2.0).float().mean()
    assert float(share) == pytest.approx(1 - math.exp(-2.0), abs=2e-3)
    assert torch.allclose(mapped[:, 0] * items[:, 1], mapped[:, 1] * items[:, 0], rtol=1e-3, atol=1e-6)


def test_map_of_equal_distances_is_finite():
    radial = Radial()
    radial.fit(radial.quantiles(torch.full((1000,), 0.7)), radial.quantiles(torch.rand(1000)))
    items = torch.tensor([[0.7, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 5.0, 1.0]])
    assert torch.isfinite(radial(items)).all()


def test_turns_are_even():
    items = torch.tensor([[1.0, 0.0, 0.5], [0.0, 2.0, 0.5]]).repeat(5000, 1)
    index = torch.arange(5000).repeat_interleave(2)
    found = turned(items, torch.randn(5000, generator=torch.Generator().manual_seed(4)), index)
    assert torch.allclose(found[:, :2].norm(dim=1), items[:, :2].norm(dim=1))
    first, second = found.view(5000, 2, 3).unbind(1)
    assert first[:, :2].mean(0).abs().max() < 0.03
    cross = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    assert torch.allclose(cross.abs(), torch.tensor(2.0), atol=1e-5)
    assert abs(float((cross > 0).float().mean()) - 0.5) < 0.03
