# SPDX-License-Identifier: MIT
"""The spline flow: an inverse, a slope and a density that integrates to one."""

from __future__ import annotations

import torch

from training.networks.flows import BOUND, SplineFlow, inverse_spline, spline, squash, squash_log_slope, unsquash

BINS = 12


def parameters(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3 * BINS + 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_inverse_undoes_the_spline():
    value = torch.linspace(-0.999 * BOUND, 0.999 * BOUND, 500, dtype=torch.float64)
    given = parameters(500)
    image, _ = spline(value, given, BINS)
    assert torch.allclose(inverse_spline(image, given, BINS), value, atol=1e-9)
    assert (image.abs() <= BOUND).all()


def test_log_slope_is_that_of_autograd():
    value = torch.linspace(-7.9, 7.9, 300, dtype=torch.float64, requires_grad=True)
    image, log_slope = spline(value, parameters(300), BINS)
    (slope,) = torch.autograd.grad(image.sum(), value)
    assert torch.allclose(slope.log(), log_slope, atol=1e-9)
    assert (slope > 0).all()


def test_begins_as_the_standard_normal():
    flow = SplineFlow(4, 16, BINS)
    noise = torch.linspace(-5, 5, 50)
    assert torch.allclose(flow(noise, torch.randn(50, 4)), noise, atol=1e-4)


def test_density_integrates_to_one():
    torch.manual_seed(0)
    flow = SplineFlow(2, 16, BINS)
    torch.nn.init.normal_(flow.net[-1].weight, std=0.5)
    value = torch.linspace(-BOUND, BOUND, 20001)
    with torch.no_grad():
        density = flow.log_prob(value, torch.ones(1, 2).expand(20001, 2)).exp()
    assert abs(torch.trapezoid(density, value).item() - 1.0) < 1e-3


def test_squash_and_its_slope():
    t = torch.linspace(-40, 40, 401, dtype=torch.float64, requires_grad=True)
    w = squash(t)
    (slope,) = torch.autograd.grad(w.sum(), t)
    assert (w.abs() < BOUND).all()
    assert torch.allclose(unsquash(w), t.clamp(-6.0, 6.0), rtol=1e-6)
    assert torch.allclose(slope.log(), squash_log_slope(t), atol=1e-9)


def test_samples_are_bounded():
    flow = SplineFlow(3, 16, BINS)
    torch.nn.init.normal_(flow.net[-1].weight, std=5.0)
    wild = torch.tensor([-1e9, -50.0, 0.0, 50.0, 1e9])
    sample = flow(wild, 100.0 * torch.randn(5, 3))
    assert torch.isfinite(sample).all()
    assert (unsquash(sample).abs() < 6.001).all()
