# SPDX-License-Identifier: MIT
"""The second loss of generators of jets: distances, moments and observables by hand."""

from __future__ import annotations

import math

import hepgen_fastsim as hf
import numpy as np
import pytest
import torch

from training import epic_latents
from training.jet_guide import Guide, Moments, by_rank, energy_distance, energy_distances, flow_polynomials, observables


def test_guide_is_zero_for_the_same_distribution_and_by_hand():
    # samples {0, 2} and {1}: 2 E|x - y| = 2, E|x - x'| = 2; the second sample has two equal points: 0
    x, y = torch.tensor([[[0.0], [2.0]]]), torch.tensor([[[1.0], [1.0]]])
    assert energy_distance(x, y).item() == pytest.approx(0.0, abs=1e-6)
    assert energy_distance(x, y + 3.0).item() == pytest.approx(2 * 3.0 - 2.0, abs=1e-6)
    generator = torch.Generator().manual_seed(5)
    pairs = torch.randn(400, 2, 64, 3, generator=generator)
    assert energy_distance(pairs[:, 0], pairs[:, 1]).mean().item() == pytest.approx(0.0, abs=0.01)  # unbiased
    single = torch.randn(50, 4, generator=generator), torch.randn(30, 4, generator=generator)
    slow = energy_distance(*(values.t().unsqueeze(2) for values in single))
    assert torch.allclose(energy_distances(*single), slow, atol=1e-5)
    jets = torch.rand(64, 9, 3, generator=generator) * torch.tensor([0.2, 0.2, 0.2])
    mask = torch.ones(64, 9)
    guide = Guide(jets, mask)
    torch.manual_seed(0)
    moved = (jets * torch.tensor([2.0, 1.0, 1.0])).requires_grad_()
    near, far = guide((jets[:32], mask[:32]), (jets[32:], mask[32:])), guide((jets, mask), (moved, mask))
    assert abs(near.item()) < 0.5 < far.item()
    far.backward()
    assert torch.isfinite(moved.grad).all()
    # back towards the real jets: widths fall when one goes against the gradient
    assert (moved.grad[..., 0] * moved[..., 0]).sum() > 0


def test_moments_over_many_steps_weigh_the_gradient_of_a_batch():
    generator = torch.Generator().manual_seed(6)
    moments = Moments(1.0 + torch.rand(20_000, 2, generator=generator), decay=0.9)
    width = torch.tensor([1.5, 1.0], requires_grad=True)  # the first column is too wide
    for _ in range(60):
        batch = (1.0 + torch.rand(64, 2, generator=generator)) * width
        loss = moments(batch)
        assert loss.item() == 0.0
    (gradient,) = torch.autograd.grad(loss, width)
    assert gradient[0] > 0.1  # narrower is better
    assert abs(gradient[1]) < 0.2 * gradient[0]


def test_flow_polynomials_are_those_of_the_metrics():
    generator = torch.Generator().manual_seed(7)
    jets = torch.rand(5, 6, 3, generator=generator, dtype=torch.float64) * 0.4
    mask = (torch.arange(6) < torch.tensor([[6], [4], [2], [5], [3]])).double()
    found = flow_polynomials(jets, mask)
    padded = torch.stack([jets[..., 2] * mask, jets[..., 0], jets[..., 1]], 2).numpy()
    expected = hf.metrics.efps(padded, "d<=4", normed=False)[:, 1:]
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.sort(found.numpy(), 1), np.sort(expected, 1), rtol=1e-4, atol=1e-8)


def test_observables_by_hand():
    # two constituents of pt 0.5, back to back at eta = +-0.3: m^2 = 4 pt^2 sinh^2(0.3), width 0.3
    jet = torch.tensor([[[0.3, 0.0, 0.5], [-0.3, 0.0, 0.5], [5.0, 5.0, 9.0]]])
    found = observables(jet, torch.tensor([[1.0, 1.0, 0.0]]))[0]
    assert found[0].item() == pytest.approx(1.0)
    assert found[1].item() == pytest.approx(math.sinh(0.3), abs=2e-4)
    assert found[2:4].tolist() == pytest.approx([0.0, 0.3], abs=2e-4)  # axis, width
    ranked = by_rank(jet.flip(1), torch.tensor([[0.0, 1.0, 1.0]])).view(4, 3)
    assert torch.allclose(ranked[0, :2], torch.tensor([0.3, 0.3]), atol=1e-6)
    assert float(ranked[0, 2]) < 1e-3  # the absent one last, of no place
    assert torch.allclose(ranked[2], torch.tensor([0.5, 0.5, 0.0]))
    table = epic_latents.observables(jet[0, :2], torch.tensor([0, 2]))[0].tolist()
    assert table == pytest.approx([2, 1.0, math.sinh(0.3), 0.5, 0.3, 0.0, 0.0], abs=1e-6)
