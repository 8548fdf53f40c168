# SPDX-License-Identifier: MIT
"""Gradients of expected outputs with respect to GEN momenta: finite everywhere, equal to finite differences."""

from __future__ import annotations

import pytest
import torch
from synthetic import events, gen

from training import losses
from training.networks.expectations import expectations
from training.networks.hepic import Hepic


@pytest.fixture(scope="module")
def trained():
    """A network after a few steps, in double precision, with a batch and its tracks."""
    torch.manual_seed(1)
    batch, network = events(6), Hepic(hidden=16)
    losses.fit_bounds(network, batch)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(15):
        loss = torch.stack([t.mean() for t in losses.hepic_terms(network, batch).values() if t.numel()]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.double().eval(), batch, (batch.track_pt > 0).double()


def outputs(network, features, batch, has_track):
    """Sums of the expectations, each weighed so that no two cancel."""
    found = expectations(network, features, batch.codes, batch.offsets, has_track)
    weights = [torch.linspace(0.5, 1.5, len(v), dtype=v.dtype) for v in found[:1] + found[2:]]
    return torch.stack([(w * v).sum() for w, v in zip(weights, (found.track, found.tower, found.energy))])


def test_gradients_agree_with_finite_differences(trained):
    network, batch, has_track = trained
    features = batch.features.double().requires_grad_()
    out = outputs(network, features, batch, has_track)
    gradients = torch.stack([torch.autograd.grad(value, features, retain_graph=True)[0] for value in out])  # [3, T, 8]
    features = features.detach()
    assert torch.isfinite(gradients).all()
    step, compared = 1e-6, 0
    random = torch.Generator().manual_seed(2)
    for row in torch.randperm(len(features), generator=random)[:20].tolist():
        for column, scale in ((0, float(features[row, 0])), (1, 1.0), (2, 1.0)):
            moved = []
            for sign in (1, -1):
                shifted = features.clone()
                shifted[row, column] += sign * step * scale
                moved.append(outputs(network, shifted, batch, has_track).detach())
            difference = (moved[0] - moved[1]) / (2 * step * scale)
            own = gradients[:, row, column]
            for value, expected in zip(own, difference):
                assert float(value) == pytest.approx(float(expected), rel=2e-4, abs=2e-6 / scale)
            compared += int((own.abs() > 1e-6).any())
    assert compared > 30  # most of the 60 say something


def test_mean_response_follows_the_energy(trained):
    network, batch, has_track = trained
    features = batch.features.double().requires_grad_()
    found = expectations(network, features, batch.codes, batch.offsets, has_track)
    (slope,) = torch.autograd.grad(found.energy.sum(), features)
    photons = (batch.codes[:, 0] == 22) & (features[:, 0] > 5.0)
    assert (slope[photons, 0] > 0).double().mean() > 0.9  # more energy in, more out
    assert ((found.track >= 0) & (found.track <= 1) & ((found.track > 0) <= (features[:, 4] != 0))).all()


def test_gradients_of_extreme_particles_are_finite(trained):
    network, _, _ = trained
    features, codes, offsets = gen([8])
    features[:, 0] = torch.tensor([1e-14, 1e-8, 1e-3, 1e4, 1e6, 1.0, 1.0, 1.0])
    features[:, 1] = torch.tensor([8.0, -8.3, 5.19, 0.0, 5.2, 1e-12, -5.0, 5.0])
    features[5:, 5] = torch.tensor([2e3, 1e6, 1289.9])
    for precision, model in ((torch.float64, network), (torch.float32, Hepic(hidden=16).eval())):
        given = features.to(precision).requires_grad_()
        found = expectations(model, given, codes, offsets, torch.zeros(8, dtype=precision))
        (gradient,) = torch.autograd.grad(sum(v.sum() for v in (found.track, found.tower, found.energy)), given)
        assert torch.isfinite(gradient).all()


def test_training_mode_is_refused(trained):
    _, batch, has_track = trained
    with pytest.raises(ValueError, match="eval mode"):
        expectations(Hepic(hidden=16), batch.features, batch.codes, batch.offsets, has_track)
