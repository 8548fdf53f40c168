# SPDX-License-Identifier: MIT
"""The event network: symmetric, local to the event, the same when scripted, safe at the edges of its input."""

from __future__ import annotations

import pytest
import torch
from hepgen_fastsim import geometry
from synthetic import call, gen, noise_for

from training.networks.hepic import Hepic


@pytest.fixture(scope="module")
def model() -> Hepic:
    """A network with random last layers, so that every head depends on its features."""
    torch.manual_seed(3)
    network = Hepic()
    for name, parameter in network.named_parameters():
        if parameter.dim() == 2 and "resolution" not in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return network.eval().requires_grad_(False)


def rows(result, event: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Items, codes and origins of one event."""
    items, codes, offsets, origin, _ = result
    inside = slice(int(offsets[event]), int(offsets[event + 1]))
    return items[inside], codes[inside], origin[inside]


def test_permuted_particles_give_permuted_constituents(model):
    features, codes, offsets = gen([200])
    noise = noise_for(offsets)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    shuffled = call(model, features[order], codes[order], offsets, noise.view(200, 2, 5)[order].view(400, 5))
    items, kinds, origin = rows(call(model, features, codes, offsets, noise), 0)
    found, found_kinds, found_origin = rows(shuffled, 0)
    found_origin = order[found_origin]
    # one constituent per (particle, code): sort both lists by it
    a = torch.argsort(origin * 10_000 + kinds[:, 0])
    b = torch.argsort(found_origin * 10_000 + found_kinds[:, 0])
    assert torch.equal(origin[a], found_origin[b])
    assert torch.equal(kinds[a], found_kinds[b])
    assert torch.allclose(items[a], found[b], rtol=1e-4, atol=1e-5)


def test_events_do_not_see_each_other(model):
    sizes = [60, 0, 150, 1, 90]
    features, codes, offsets = gen(sizes)
    noise = noise_for(offsets)
    together = call(model, features, codes, offsets, noise)
    for event, size in enumerate(sizes):
        one = slice(int(offsets[event]), int(offsets[event + 1]))
        two = slice(2 * one.start, 2 * one.stop)
        alone = call(model, features[one], codes[one], torch.tensor([0, size]), noise[two])
        for a, b in zip(rows(together, event), rows(alone, 0)):
            assert a.shape == b.shape
            assert torch.allclose(a.double(), b.double(), rtol=1e-5, atol=1e-5)


def test_scripted_equals_eager(model):
    features, codes, offsets = gen([80, 0, 40])
    noise = noise_for(offsets)
    scripted = torch.jit.script(model)
    for a, b in zip(call(model, features, codes, offsets, noise), call(scripted, features, codes, offsets, noise)):
        assert torch.allclose(a.double(), b.double(), rtol=1e-5, atol=1e-5)


def test_empty_batch_and_empty_sets(model):
    features, codes, _ = gen([0])
    for n in (0, 3):
        offsets = torch.zeros(n + 1, dtype=torch.int64)
        items, kinds, found, origin, scalars = call(model, features, codes, offsets, torch.zeros(0, 5))
        assert items.shape == (0, 6)
        assert kinds.shape == (0, 2)
        assert found.tolist() == [0] * (n + 1)
        assert origin.shape == (0,)
        assert scalars.shape == (n, 0)


def test_constituents_are_physical(model):
    features, codes, offsets = gen([300] * 20)
    items, kinds, found, origin, _ = call(model, features, codes, offsets, noise_for(offsets))
    assert torch.isfinite(items).all()
    assert (items[:, 0] > 0).all()
    assert (items[:, 2].abs() <= torch.pi + 1e-6).all()
    leader = origin + torch.repeat_interleave(offsets[:-1], found.diff())
    track = kinds[:, 1] != 0
    assert torch.equal(kinds[track, 0], codes[leader[track], 0])  # a track keeps its code, eta and mass
    assert torch.equal(items[track, 1], features[leader[track], 1])
    assert torch.equal(items[track, 3], features[leader[track], 3])
    assert set(kinds[~track, 0].tolist()) == {22, 130}
    assert (items[~track, 3:] == 0).all()
    assert track.any()
    assert (~track).any()
    per_particle = torch.bincount(2 * leader + track.long())
    assert per_particle.max() <= 2  # a track, and one tower per calorimeter


def test_species(model):
    """Shares of the energy that ECal and HCal see: known codes by the table, unknown ones as hadrons."""
    pdgid = torch.tensor([22, -11, 13, 12, 1000022, 211, 130, 310, 3122, -3222, 1000010020, 2112])
    ecal, hcal = (calorimeter.fraction(pdgid) for calorimeter in model.calorimeters)
    assert ecal.tolist() == pytest.approx([1, 1, 0, 0, 0, 0, 0, 0.3, 0.3, 0, 0, 0])
    assert hcal.tolist() == pytest.approx([0, 0, 0, 0, 0, 1, 1, 0.7, 0.7, 1, 1, 1])


def test_cells_hold_what_is_put_in(model):
    features, codes, offsets = gen([400] * 5)
    p = model.observe(features, codes, offsets)
    for calorimeter in model.calorimeters:
        deposit = torch.where(p.visible, p.energy * calorimeter.fraction(p.pdgid), 0.0)
        cells = calorimeter.fill(p.arrival_eta, p.arrival_phi, deposit, p.set_index)
        assert cells.total.sum().item() == pytest.approx(deposit[cells.particle].sum().item(), rel=1e-5)
        low, high = calorimeter.eta_edges[cells.ring], calorimeter.eta_edges[cells.ring + 1]
        eta = p.arrival_eta[cells.particle]
        assert (eta > low[cells.index]).all()
        assert (eta <= high[cells.index]).all()
        step = 2 * torch.pi / calorimeter.cells[cells.ring][cells.index]
        beside = (p.arrival_phi[cells.particle] + torch.pi) / step - cells.column[cells.index]
        assert (beside > -1e-3).all()
        assert (beside < 1 + 1e-3).all()
        assert (p.set_index[cells.particle] == p.set_index[cells.owner][cells.index]).all()


def test_extreme_particles(model):
    features, codes, offsets = gen([8])
    features[:, 0] = torch.tensor([1e-14, 1e-8, 1e-3, 1e4, 1e6, 1.0, 1.0, 1.0])
    features[:, 1] = torch.tensor([8.0, -8.3, 5.19, 0.0, 5.2, 1e-12, -5.0, 5.0])
    features[5:, 5] = torch.tensor([2e3, 1e6, 1289.9])
    for seed in range(20):
        result = call(model, features, codes, offsets, 3.0 * noise_for(offsets, seed))
        assert torch.isfinite(result[0]).all()


def test_gradients_are_finite(model):
    from synthetic import events

    from training import losses

    network = Hepic()
    batch = events(8)
    losses.fit_bounds(network, batch)
    terms = losses.hepic_terms(network, batch)
    torch.cat(list(terms.values())).sum().backward()
    gradients = {name: value.grad for name, value in network.named_parameters()}
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients.values())
    assert gradients["calorimeters.0.resolution"].abs().sum() > 0


def test_geometry_of_the_cms_card():
    layout = geometry.load("cms")
    ecal, hcal = layout.calorimeters
    assert (layout.field, layout.radius, layout.half_length) == (3.8, 1.29, 3.0)
    assert len(ecal.cells) == 11 + 340 + 11
    assert ecal.eta_edges[11 + 170] == pytest.approx(0.0, abs=1e-9)
    assert hcal.cells.sum() == 2 * (2 * 18 + 19 * 36) + 38 * 72
    assert hcal.cells[hcal.eta_edges.searchsorted(1.6) - 1] == 72
    assert hcal.cells[hcal.eta_edges.searchsorted(1.7) - 1] == 36


def test_a_second_detector_is_a_file():
    layout = geometry.load("atlas")
    assert (layout.field, layout.radius, layout.half_length) == (2.0, 1.15, 3.51)
    model = Hepic("atlas", hidden=8).eval()
    features, codes, offsets = gen([100, 50])
    result = call(torch.jit.script(model), features, codes, offsets, noise_for(offsets))
    assert torch.isfinite(result[0]).all()
    assert result[0].size(0) > 10


@pytest.mark.data
def test_cells_of_the_atlas_card(data_folder):
    """The towers of ATLAS events lie in the cells where our helix and rings put their leaders."""
    from training import losses
    from training.data import events as event_data

    pairs = event_data.load(data_folder / "atlas" / "val.parquet")
    batch = pairs.pick(torch.arange(200))
    model = Hepic("atlas")
    p = model.observe(batch.features, batch.codes, batch.offsets)
    for layer, calorimeter in enumerate(model.calorimeters):
        deposit = torch.where(p.visible, p.energy * calorimeter.fraction(p.pdgid), 0.0)
        cells = calorimeter.fill(p.arrival_eta, p.arrival_phi, deposit, p.set_index)
        energy, trusted = losses.cell_towers(calorimeter, cells, batch.tower[:, layer])
        assert ((energy > 0) & trusted).sum() > 0.98 * (batch.tower[:, layer, 0] > 0).sum()
