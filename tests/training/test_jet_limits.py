# SPDX-License-Identifier: MIT
"""What every jet obeys, by hand."""

from __future__ import annotations

import pytest
import torch
from gan_jets import limits

from training.networks.jet_limits import limits_of


def test_limits_hold_jets_and_let_gradients_pass():
    index, one = torch.tensor([0, 0, 1, 1, 1]), torch.ones(5)
    items = torch.tensor([[0.1, 0.2, 0.9], [0.3, 0.0, 0.6], [3.0, 4.0, 0.1], [0.0, 0.1, 0.05], [0.0, 0.0, -1.0]])
    ended = limits(wall=0.005)(items, one, index, 2)
    vector = torch.stack([ended[:, 2] * ended[:, 1].cos(), ended[:, 2] * ended[:, 1].sin()], 1)  # [T, 2]
    length = torch.stack([vector[:2].sum(0).norm(), vector[2:].sum(0).norm()])
    assert length[0].item() == pytest.approx(1.0, abs=1e-3)  # was 1.49
    assert torch.allclose(ended[2:, 2], torch.tensor([0.1, 0.05, 1.3e-4]), atol=1e-4)  # far from the wall
    assert ended[2, :2].norm().item() == pytest.approx(0.5)
    half = limits(centre=0.5)(items[:2], one[:2], index[:2], 1)
    axis = lambda jet: (jet[:, :2] * jet[:, 2:]).sum(0) / jet[:, 2].sum()  # noqa: E731
    assert torch.allclose(axis(half), 0.5 * axis(items[:2]), atol=1e-6)
    narrow = limits(0.01)(items, one, index, 2)
    square = narrow[:, :2].square().sum(1) * narrow[:, 2]
    assert float(square[:2].sum() / narrow[:2, 2].sum()) == pytest.approx(0.01, rel=1e-4)
    # absent constituents count for nothing, and order is of no matter
    padded = limits(wall=0.005, centre=0.8)(torch.cat([items, items[:1]]), torch.cat([one, torch.zeros(1)]),
                                            torch.cat([index, index[:1]]), 2)  # fmt: skip
    assert torch.allclose(padded[:5], limits(wall=0.005, centre=0.8)(items, one, index, 2))
    away = limits(wall=0.005).excess(items, one, index, 2)
    phi, pt = items[:2, 1], items[:2, 2]
    beyond = torch.hypot((pt * phi.cos()).sum(), (pt * phi.sin()).sum()) - 1.0
    assert away.item() == pytest.approx(0.5 * beyond.item() ** 2)
    trained = limits().train()
    given = items.clone().requires_grad_()
    trained(given, one, index, 2)[:, 2].sum().backward()
    assert torch.equal(given.grad[:, 2], one)  # also below the floor


def test_limits_are_those_of_the_training_jets():
    features = torch.tensor([[0.3, 0.4, 0.5], [0.0, 0.0, 0.5], [0.0, 0.1, 0.2]])
    found = limits_of(features, torch.tensor([0, 2, 3]), kept=1.0)
    assert found.reach.item() == pytest.approx(0.5)
    assert found.hardest.item() == 0.5
    assert found.width.item() == pytest.approx(0.125)
    assert torch.allclose(found.eval()(features, torch.ones(3), torch.tensor([0, 0, 1]), 2), features)
