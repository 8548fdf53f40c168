# SPDX-License-Identifier: MIT
"""Maximum mean discrepancy: kernels, estimators, the mesh, and the masses of top pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from synthetic import normal

from training.mmd import KERNELS, TOP_PAIR, MeshMmd, invariant_mass, mean_kernel, mmd2
from training.networks.top_pairs import MASSES, TopPairs
from training.parton_observables import observables, quartiles


def test_kernels():
    d = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    breit_wigner, _ = KERNELS["breit-wigner"](d, 2.0)
    assert breit_wigner.tolist() == pytest.approx([1.0, 0.5, 0.2])  # half at half a width
    gaussian, _ = KERNELS["gaussian"](d, 2.0)
    assert gaussian.tolist() == pytest.approx([1.0, math.exp(-1 / 8), math.exp(-1 / 2)])


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_slopes_of_kernels(kernel):
    x, y = normal(5).requires_grad_(), normal(4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: mean_kernel(a, b, kernel, (0.7, 2.0)), (x, y))
    assert torch.autograd.gradcheck(lambda a: mean_kernel(a, a, kernel, (0.7,), same=True), (x,))


def test_mmd_of_two_points():
    x, y = torch.tensor([80.0]), torch.tensor([83.0])
    expected = 2 - 2 / (1 + 4 * 9 / 2.05**2)
    assert float(mmd2(x, y, [2.05], unbiased=False)) == pytest.approx(expected, rel=1e-5)
    x, y = torch.tensor([0.0, 1.0]), torch.tensor([5.0, 7.0])
    k = lambda d: math.exp(-0.5 * d * d)  # noqa: E731
    expected = k(1) + k(2) - 2 * (k(5) + k(7) + k(4) + k(6)) / 4
    assert float(mmd2(x, y, [1.0], "gaussian", unbiased=True)) == pytest.approx(expected, rel=1e-4)


def test_bias_of_the_estimators_on_equal_distributions():
    n, widths, found = 50, (1.0, 4.0), {}
    for unbiased in (False, True):
        values = [
            float(mmd2(normal(n, seed=2 * i), normal(n, seed=2 * i + 1), widths, unbiased=unbiased)) for i in range(300)
        ]
        found[unbiased] = np.mean(values), np.std(values) / math.sqrt(len(values))
    many = float(mean_kernel(normal(3000, seed=7), normal(3000, seed=8), "breit-wigner", widths))
    assert abs(found[True][0]) < 4 * found[True][1]
    bias = 2 * (len(widths) - many) / n  # the diagonals
    assert found[False][0] == pytest.approx(bias, abs=4 * found[False][1])
    assert bias > 20 * found[False][1]


def test_pairs_have_the_width_of_the_w_and_triples_that_of_the_top():
    widths = {resonance.name: (len(resonance.particles), resonance.width) for resonance in TOP_PAIR}
    assert widths == {"m_wp": (2, 2.05), "m_wm": (2, 2.05), "m_t": (3, 1.49), "m_tbar": (3, 1.49)}
    t = normal(4000, 16)
    p = TopPairs().double().decode(t)[:, :, :3]
    truth = observables(p.numpy())
    for resonance in TOP_PAIR:
        found = invariant_mass(p, torch.tensor(MASSES, dtype=torch.float64), resonance.particles).numpy()
        np.testing.assert_allclose(found, truth[resonance.name], rtol=1e-9)
        position, width = quartiles(found)
        assert position == pytest.approx(resonance.mass, abs=0.2)
        assert width == pytest.approx(resonance.width, rel=0.1)  # the kernel's width is the peak's


def test_a_mesh_gives_the_mmd_of_all_pairs_and_its_slope():
    truth, widths = 80.0 + 3.0 * normal(2, 400).float(), [[1.5, 6.0], [2.0, 30.0]]
    found = (82.0 + 5.0 * normal(2, 300, seed=1).float()).requires_grad_()
    mesh = MeshMmd(truth, widths, spacing=0.05)(found)
    direct = torch.stack([mmd2(x, y, w) for x, y, w in zip(truth, found, widths)])
    torch.testing.assert_close(mesh, direct, rtol=2e-3, atol=1e-5)
    slopes = [torch.autograd.grad(loss.sum(), found)[0] for loss in (mesh, direct)]
    torch.testing.assert_close(*slopes, rtol=0.05, atol=2e-2 * float(slopes[1].abs().max()))
    one = MeshMmd(torch.full((1, 2), 80.0), [[2.0]], "gaussian")(torch.full((1, 2), 83.0))
    assert float(one) == pytest.approx(2 - 2 * math.exp(-9 / 8), rel=1e-4)
    assert float(MeshMmd(truth, widths)(torch.full((2, 9), 1e6)).min()) > 0  # held at the end


def test_mmd_pulls_masses_to_the_peak():
    truth = TopPairs().decode(normal(500, 16).float())[:, :, :3]
    momenta = (1.1 * truth).requires_grad_()
    loss = mmd2(*(invariant_mass(q, torch.tensor(MASSES), (0, 1)) for q in (truth, momenta)), (2.05, 8.0, 33.0))
    (slope,) = torch.autograd.grad(loss, momenta)
    assert (slope[:, :2] * momenta.detach()[:, :2]).sum() > 0  # smaller momenta, smaller loss
    assert (slope[:, 2:] == 0).all()
