# SPDX-License-Identifier: MIT
"""The graph VAE of jets: symmetric, periodic, the same when scripted; its losses, its latents, what it draws."""

from __future__ import annotations

import copy
import math

import jet_samples
import numpy as np
import pytest
import torch
from hepgen_fastsim import metrics
from hepgen_fastsim._core_loader import core

from training.data.jet_pairs import Constituents
from training.evaluate_jet_pairs import by_jet, led, spread_ratio
from training.export import export, with_slots
from training.graph_vae import GraphVaeConfig, GraphVaeTask, draw
from training.graph_vae_losses import Points, as_events, graph_terms, shape_terms
from training.networks.graph_vae import EXTRAS, NOISE_PER_SET, NOISE_PER_SLOT, GraphVae
from training.networks.graph_vae_nodes import CELL_LATENT, WIDEST
from training.task import provenance


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> GraphVaeTask:
    folder = tmp_path_factory.mktemp("pairs")
    jet_samples.write(folder / "train.parquet", 150)
    jet_samples.write(folder / "val.parquet", 80, seed=1, rerun=True)
    torch.manual_seed(2)
    return GraphVaeTask(
        GraphVaeConfig(
            data=folder / "train.parquet",
            val=folder / "val.parquet",
            out=folder / "graph-vae.pt",
            hidden=16,
            batch=50,
            threshold=1e3,
        )
    )


@pytest.fixture(scope="module")
def model(task) -> GraphVae:
    """A network with random last layers, so that every head depends on its features."""
    network = copy.deepcopy(task.model)
    torch.manual_seed(3)
    for name, parameter in network.named_parameters():
        if parameter.dim() == 2 and "resolution" not in name:
            torch.nn.init.normal_(parameter, std=0.15)
    return network.eval().requires_grad_(False)


def call(model, features, codes, offsets, noise_set, noise_slot):
    slots = 2 * offsets + EXTRAS * torch.arange(len(offsets))
    return model(features, codes, offsets, torch.zeros(len(offsets) - 1, 0), noise_set, slots, noise_slot)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_permuted_particles_give_the_same_jet(task, model):
    jet = task.val.pick(torch.tensor([3]))
    n = len(jet.features)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(order, torch.arange(n))
    noise_set, noise = normal(1, NOISE_PER_SET, seed=4), normal(2 * n + EXTRAS, NOISE_PER_SLOT)
    moved = torch.cat([noise[: 2 * n].view(n, 2, -1)[order].flatten(0, 1), noise[2 * n :]])
    items, kinds, _, origin, _ = call(model, jet.features, jet.codes, jet.offsets, noise_set, noise)
    found, found_kinds, _, found_origin, _ = call(
        model, jet.features[order], jet.codes[order], jet.offsets, noise_set, moved
    )
    assert len(items) > 3
    found_origin = torch.where(found_origin >= 0, order[found_origin], -1)
    a = np.lexsort([items[:, 0].numpy(), kinds[:, 0].numpy(), origin.numpy()])
    b = np.lexsort([found[:, 0].numpy(), found_kinds[:, 0].numpy(), found_origin.numpy()])
    assert torch.equal(origin[a], found_origin[b])
    assert torch.equal(kinds[a], found_kinds[b])
    assert torch.allclose(items[a], found[b], rtol=1e-4, atol=1e-4)


def test_encoder_does_not_see_the_order(task, model):
    """The likelihood of a jet whose GEN particles are permuted is the same."""
    jets = task.val.pick(torch.arange(8))
    order = torch.cat(
        [
            int(low) + torch.randperm(int(high - low), generator=torch.Generator().manual_seed(int(low)))
            for low, high in zip(jets.offsets[:-1], jets.offsets[1:])
        ]
    )
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order))
    other = copy.deepcopy(jets)
    other.features.copy_(jets.features[order])
    other.codes.copy_(jets.codes[order])
    reco = other.reco
    first = jets.offsets[:-1].repeat_interleave(reco.offsets.diff())
    reco.origin.copy_(torch.where(reco.origin >= 0, back[(first + reco.origin).clamp(min=0)] - first, -1))
    with torch.no_grad():
        a, b = (_mean_terms(model, sample) for sample in (jets, other))
    for name in a:
        assert float(a[name]) == pytest.approx(float(b[name]), rel=1e-3, abs=1e-3), name


def _mean_terms(model, sample):
    """Terms with every latent at the mean of its posterior: nothing random."""
    from training import graph_vae_losses

    kept = graph_vae_losses.draw_normal
    graph_vae_losses.draw_normal = lambda mean, _: mean
    try:
        return graph_terms(model, sample)
    finally:
        graph_vae_losses.draw_normal = kept


def test_a_jet_turned_by_two_pi_has_the_same_loss(task, model):
    jets = task.val.pick(torch.arange(12))
    with torch.no_grad():
        a, b = (_mean_terms(model, sample) for sample in (jets, jet_samples.turned(jets, 2 * math.pi)))
    # resolution of float32 at the edges of cells
    for name in ("chamfer", "mass", "pt", "track", "extra", "extra_count"):
        assert float(a[name]) == pytest.approx(float(b[name]), rel=2e-3, abs=2e-3), name


def test_jets_do_not_see_each_other(task, model):
    jets = task.val.pick(torch.arange(5))
    n, total = len(jets), len(jets.features)
    noise_set, noise = normal(n, NOISE_PER_SET), normal(2 * total + EXTRAS * n, NOISE_PER_SLOT)
    together = call(model, jets.features, jets.codes, jets.offsets, noise_set, noise)
    for k in range(n):
        one = jets.pick(torch.tensor([k]))
        begin = 2 * int(jets.offsets[k]) + EXTRAS * k
        mine = noise[begin : begin + 2 * len(one.features) + EXTRAS]
        alone = call(model, one.features, one.codes, one.offsets, noise_set[k : k + 1], mine)
        inside = slice(int(together[2][k]), int(together[2][k + 1]))
        assert torch.allclose(together[0][inside], alone[0], rtol=1e-4, atol=1e-4)
        assert torch.equal(together[1][inside], alone[1])


def test_shape_terms_by_hand(task):
    """Mean jets that are the RECO jets but for one constituent: what the seed's loss says of it."""
    jets = task.val.pick(torch.tensor([0, 1]))
    events = as_events(jets)
    p = task.model.observe(events.features, events.codes, events.offsets)
    frame = task.model.frame(p, events.features[:, 2], 2)
    jet = torch.repeat_interleave(torch.arange(2), jets.reco.offsets.diff())
    linked = jets.reco.origin >= 0

    def terms(pt_factor: float, turn: float, rate: float = 1.0):
        points = Points()
        pt, eta, phi, mass = jets.reco.momenta[linked].clone().unbind(1)
        pt[0], phi[0] = pt[0] * pt_factor, phi[0] + turn
        points.add(pt, eta, phi, mass, torch.full_like(pt, rate), jet[linked])
        return shape_terms(points, jets, frame)

    exact = terms(1.0, 2 * math.pi)
    for name in ("chamfer", "mass", "pt"):
        assert exact[name].tolist() == pytest.approx([0.0, 0.0], abs=1e-4), name
    moved = terms(1.02, 0.0)
    assert float(moved["chamfer"][0]) == pytest.approx(2 * math.log(1.02) ** 2, rel=1e-2)
    assert float(moved["chamfer"][1]) == pytest.approx(0.0, abs=1e-6)
    momenta = jets.reco.momenta[jet == 0].double()
    px, py = (momenta[:, 0] * f(momenta[:, 2]) for f in (torch.cos, torch.sin))
    first = torch.nonzero(linked[jet == 0])[0, 0]
    shift = torch.hypot(px.sum() + 0.02 * px[first], py.sum() + 0.02 * py[first]) - torch.hypot(px.sum(), py.sum())
    gen_pt = jets.jet[0, 0].double()
    assert float(moved["pt"][0]) == pytest.approx(0.1 * float((shift / (0.1 * gen_pt)) ** 2), rel=2e-2)
    # half the probability, half the jet (less what comes from outside)
    half = terms(1.0, 0.0, 0.5)
    assert (half["pt"] > 0.1).all()


def test_chamfer_is_that_of_the_kernel(task):
    jets = task.val.pick(torch.arange(6))
    events = as_events(jets)
    p = task.model.observe(events.features, events.codes, events.offsets)
    frame = task.model.frame(p, events.features[:, 2], 6)
    points = Points()
    jet = torch.repeat_interleave(torch.arange(6), jets.offsets.diff())
    pt, eta, phi = jets.features[:, :3].unbind(1)
    points.add(pt, eta, phi, torch.zeros_like(pt), torch.ones_like(pt), jet)
    found = shape_terms(points, jets, frame)["chamfer"]

    def split(momenta, offsets):
        place = torch.cat([torch.log(momenta[:, :1]), momenta[:, 1:3]], 1).numpy().astype(np.float64)
        return np.split(place, offsets.numpy()[1:-1])

    linked = jets.reco.origin >= 0
    of = torch.repeat_interleave(torch.arange(6), jets.reco.offsets.diff())[linked]
    bounds = torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(of, minlength=6).cumsum(0)])
    expected = metrics.chamfer(
        split(jets.features[:, :3], jets.offsets), split(jets.reco.momenta[linked], bounds), periodic=2
    )
    assert found.numpy() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_links_become_targets(task):
    jets = task.val.pick(torch.arange(20))
    events = as_events(jets)
    linked = jets.reco.origin >= 0
    pt, charge = jets.reco.momenta[:, 0], jets.reco.codes[:, 1]
    assert float(events.track_pt.sum()) == pytest.approx(float(pt[linked & (charge != 0)].sum()), rel=1e-5)
    energy = pt * torch.cosh(jets.reco.momenta[:, 1])
    for layer, code in enumerate((22, 130)):
        on = linked & (jets.reco.codes[:, 0] == code)
        assert float(events.tower[:, layer, 0].sum()) == pytest.approx(float(energy[on].sum()), rel=1e-5)


def test_posteriors_see_the_reco_jet(task):
    """At the start z_jet has its prior, and the latents of cells already differ with what was measured in them."""
    jets = task.val.pick(torch.arange(10))
    blank = copy.deepcopy(task.model)
    for layer in blank.calorimeters:
        torch.nn.init.zeros_(layer.latent.look.weight)
    with torch.no_grad():
        start, without = _mean_terms(task.model, jets), _mean_terms(blank, jets)
    assert float(start["kl_jet"]) == pytest.approx(0.0, abs=1e-6)
    assert float(start["kl_cell"]) > 0.1
    assert float(without["kl_cell"]) == pytest.approx(0.0, abs=1e-6)


def test_decoder_is_narrow(model):
    """The decoder's width is below `WIDEST` whatever its network says: the latents carry the spread."""
    head = model.calorimeters[0].energy
    features = 5.0 * normal(200, head.net[0].in_features)
    mean, log_sigma = head.moments(features)
    assert (log_sigma <= math.log(WIDEST)).all()
    assert torch.allclose(head(torch.zeros(200), features), mean)
    moved = features.clone()
    moved[:, -CELL_LATENT:] += 1.0
    assert not torch.allclose(head.moments(moved)[0], mean)


def test_draws_differ_and_are_physical(task, model):
    jets = task.val
    items, codes, offsets, origin = draw(model, jets, seed=1)
    again = draw(model, jets, seed=1)
    assert torch.equal(items, again[0])
    assert not torch.equal(items[:50], draw(model, jets, seed=2)[0][:50])
    assert torch.isfinite(items).all()
    assert (items[:, 0] > 0).all()
    assert (items[:, 2].abs() <= torch.pi + 1e-5).all()
    counts = offsets.diff()
    assert (origin < jets.offsets.diff().repeat_interleave(counts)).all()
    track = (origin >= 0) & (codes[:, 1] != 0)
    row = (jets.offsets[:-1].repeat_interleave(counts) + origin)[track]
    assert torch.equal(codes[track, 0], jets.codes[row, 0])
    assert (origin < 0).any()  # constituents from outside
    assert set(codes[codes[:, 1] == 0, 0].tolist()) <= {22, 130}


def test_empty_sets_and_batches(model):
    for n in (0, 2):
        offsets = torch.zeros(n + 1, dtype=torch.int64)
        items, codes, found, _origin, scalars = call(
            model,
            torch.zeros(0, 8),
            torch.zeros(0, 1, dtype=torch.int64),
            offsets,
            normal(n, NOISE_PER_SET),
            normal(EXTRAS * n, NOISE_PER_SLOT),
        )
        assert items.shape == (0, 6)
        assert codes.shape == (0, 2)
        assert found.tolist() == [0] * (n + 1)
        assert scalars.shape == (n, 0)


def test_training_lowers_the_bound_and_the_export_is_the_network(task, tmp_path):
    trained = copy.deepcopy(task.model)
    kept, task.model = task.model, trained
    try:
        optimisers = task.optimisers()
        before = task.validate(copy.deepcopy(trained))["score"]
        for epoch in range(3):
            for batch in task.batches(torch.Generator().manual_seed(epoch)):
                task.update(batch, optimisers)
        after = copy.deepcopy(trained)
        assert task.validate(after)["score"] < before - 2.0
        assert trained.training  # the validation is of a copy
    finally:
        task.model = kept
    metadata = task.metadata()
    metadata["provenance"] |= provenance(task.config, "graph-vae", [])
    path = export(after, metadata | {"metrics": {}}, tmp_path / "graph-vae.pt")  # eager and scripted agree within 1e-5
    part = task.val
    none = torch.zeros(len(part), 0)
    scripted = torch.jit.load(str(path))
    noise = normal(len(part), NOISE_PER_SET)
    arguments = with_slots(scripted, metadata, (part.features, part.codes, part.offsets, none, noise))
    with torch.no_grad():
        for a, b in zip(after(*arguments), scripted(*arguments)):
            assert torch.allclose(a.double(), b.double(), rtol=1e-5, atol=1e-5)
    engine = core().Engine(core().Model(str(path)), device="cpu")
    made = engine.run(part.features.numpy(), part.codes.numpy(), part.offsets.numpy(), none.numpy(), seed=1)
    assert np.diff(made["offsets"]).mean() == pytest.approx(float(part.reco.offsets.diff().float().mean()), rel=0.25)


def test_spread_of_two_draws_is_compared_to_that_of_two_runs(task):
    pairs = task.val
    assert pairs.rerun is not None
    gen_pt = np.full(len(pairs), 50.0)
    same = spread_ratio([pairs.reco], [pairs.rerun], pairs.reco, pairs.rerun, gen_pt)
    assert same["pt"]["30-2000"] == same["mass"]["30-2000"] == same["n"]["30-2000"] == 1.0
    assert same["mass, led"]["30-2000"] == 1.0
    none = spread_ratio([pairs.reco], [pairs.reco], pairs.reco, pairs.rerun, gen_pt)
    assert none["pt"]["30-2000"] == 0.0


def test_what_is_led_leaves_out_the_rest_of_the_event():
    momenta = torch.tensor([[10.0, 0.0, 0.0, 0.0], [10.0, 0.0, 1.0, 0.0], [5.0, 1.0, 0.0, 0.0]])
    jets = Constituents(
        momenta, torch.zeros(3, 2, dtype=torch.int64), torch.tensor([0, -1, -1]), torch.tensor([0, 2, 3])
    )
    assert led(jets).offsets.tolist() == [0, 1, 1]
    found = by_jet(jets)
    assert found["n"].tolist() == [2.0, 1.0]
    assert found["mass"][0] == pytest.approx(20.0 * np.sin(0.5), rel=1e-6)
    assert found["mass, led"][0] == pytest.approx(0.0, abs=1e-3)
    assert np.isnan(found["mass, led"][1])
