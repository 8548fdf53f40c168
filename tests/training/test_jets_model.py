# SPDX-License-Identifier: MIT
"""The one-pass generator of jets: what it is taught is what it draws; conditions, counts, bounds, export."""

from __future__ import annotations

import copy
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from training import jets_model, train
from training.export import check, draw_inputs, read_metadata, with_slots
from training.jet_gan import generate
from training.jets_model import CLASSES, JetsTask
from training.networks import jets as network
from training.networks.jet_chain import MISSING, choose, mixture_log_prob, plane_draw, plane_log_prob
from training.networks.jet_share import MassShare, massless_square
from training.networks.jet_teaching import teach
from training.networks.jets import LARGEST, JetGenerator, Radius


@pytest.fixture(scope="module")
def model() -> JetGenerator:
    """A small network with random weights, fitted to random jets."""
    torch.manual_seed(0)
    model = JetGenerator(hidden=24, pooled=8, layers=2).eval()
    label = torch.arange(600) % 3
    whole = [
        800 + 800 * torch.rand(600),
        4 * torch.rand(600) - 2,
        100 + 100 * torch.rand(600),
        3 + 60 * torch.rand(600),
    ]
    model.chain.fit(*whole[:3], whole[3].round(), label)
    model.radius.fit(torch.rand(10_000) ** 2)
    model.plane.flatten(model.radius, 0.01)
    model.kind.fill_(1)
    with torch.no_grad():
        for head in (model.pt_head, model.place_head):
            head[-1].weight.mul_(10.0)
    return model


def free(n: int) -> torch.Tensor:
    return torch.full([n, 4], MISSING)


@torch.no_grad()
def test_teaching_sees_what_drawing_saw(model, monkeypatch):
    """Teacher forcing on drawn jets gives the mixtures that they were drawn from."""
    drawn = []
    original = JetGenerator.place_parameters

    def record(self, h, log_pt, step):
        drawn.append(original(self, h, log_pt, step))
        return drawn[-1]

    monkeypatch.setattr(JetGenerator, "place_parameters", record)
    noise_set, conditions = torch.randn(5, 4), free(5)
    conditions[:, 3] = 12.0
    arguments = (torch.zeros(0, 0), torch.zeros(0, 0, dtype=torch.int64), torch.zeros(6, dtype=torch.int64), conditions)
    count = torch.full([5], 12)
    noise = torch.randn(60, 5)
    items = model(*arguments, noise_set, torch.arange(6) * 12, noise)[0]
    from_drawing = torch.cat(drawn)  # step by step
    _jet, total, standard = model.chain(noise_set, conditions[:, :3], torch.ones(5, dtype=torch.int64))
    assert (total >= 12).any()  # of the whole jet; 12 are drawn
    drawn.clear()
    places = items.view(5, 12, 3).clone()
    places[:, :, 2] = places[:, :, 2].log()
    teach(model, places, count, total.float(), standard, torch.ones(5, dtype=torch.int64))
    torch.testing.assert_close(drawn[0], from_drawing, rtol=2e-3, atol=2e-3)


@torch.no_grad()
def test_counts_bounds_and_order(model):
    n = 400
    features, offsets, scalars = generate(model, n, 3, free(n))
    counts = offsets.diff()
    assert counts.min() >= 1
    assert counts.max() <= LARGEST
    assert counts.unique().numel() > 20
    assert torch.isfinite(features).all()
    assert (features[:, :2].norm(dim=1) < 1.5).all()
    same_jet = torch.ones(len(features) - 1, dtype=torch.bool)
    same_jet[offsets[1:-1] - 1] = False
    assert (features[1:, 2] <= features[:-1, 2])[same_jet].all()
    assert (scalars[:, 0] > 799).all()
    assert (scalars[:, 0] < 1601).all()


@torch.no_grad()
def test_conditions_are_used(model):
    n = 50
    conditions = free(n)
    conditions[:, 0], conditions[:, 2], conditions[:, 3] = 1000.0, 150.0, 2.0
    _, offsets, scalars = generate(model, n, 3, conditions)
    assert (offsets.diff() <= 2).all()
    assert (scalars[:, 0] == 1000).all()
    assert (scalars[:, 2] == 150).all()
    other = generate(model, n, 3, free(n))[2]
    assert other[:, 0].std() > 50
    assert other[:, 2].std() > 5


@torch.no_grad()
def test_leading_constituents_are_those_of_the_whole_jet(model):
    """Asking for fewer constituents gives the first of the same jet: noise is keyed on the place in the jet."""
    noise_set, noise = torch.randn(3, 4), torch.randn(3, LARGEST, 5)
    none, codes, offsets = torch.zeros(0, 0), torch.zeros(0, 0, dtype=torch.int64), torch.zeros(4, dtype=torch.int64)

    def jets(leading: float) -> list[torch.Tensor]:
        conditions = free(3)
        conditions[:, 3] = leading
        sizes = model.slots(none, codes, offsets, conditions, noise_set)
        slots = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        given = torch.cat([noise[k, :size] for k, size in enumerate(sizes.tolist())])
        items = model(none, codes, offsets, conditions, noise_set, slots, given)[0]
        return list(items.split(sizes.tolist()))

    for short, whole in zip(jets(4), jets(MISSING)):
        assert len(short) == min(4, len(whole))
        torch.testing.assert_close(short, whole[:4], rtol=1e-4, atol=1e-4)


def test_export(model, tmp_path):
    task = object.__new__(JetsTask)
    task.config = JetsTask.config_type(data=tmp_path, val=tmp_path, out=tmp_path / "m.pt")
    task.train = type("Sample", (), {"whole": torch.tensor([[800.0, -1.9, 30.0, 9.0], [1600.0, 2.0, 400.0, 140.0]])})()
    metadata = task.metadata()
    check(model, torch.jit.script(model), metadata)
    arguments = with_slots(model, metadata, draw_inputs(metadata, [0, 0, 0]))
    assert model(*arguments)[2].diff().equal(arguments[5].diff())


@torch.no_grad()
def test_jets_have_the_momentum_and_at_most_the_mass_that_was_drawn(model):
    """Even with random weights: constituents add up to the jet's pT, and not beyond its mass."""
    n = 300
    features, offsets, scalars = generate(model, n, 3, free(n))
    eta, phi, pt = features.double().unbind(1)
    owner = torch.repeat_interleave(torch.arange(n), offsets.diff())
    parts = torch.stack([pt * phi.cos(), pt * phi.sin(), pt * eta.sinh(), pt * eta.cosh()], 1)
    px, py, pz, energy = torch.zeros(n, 4, dtype=torch.float64).index_add(0, owner, parts).unbind(1)
    off = (px - 1.0).abs()
    assert (off < 0.05).double().mean() > 0.98  # a last one far from the axis gives less along it than its pT
    assert off.max() < 0.2
    ratio = (energy**2 - px**2 - py**2 - pz**2).clamp(min=0).sqrt() * scalars[:, 0] / scalars[:, 2]
    assert (ratio < 1.1).double().mean() > 0.8  # random jets may begin far from the axis
    assert ratio.mean() > 0.3


def test_a_constituent_leaves_something_to_those_after_it(model):
    """Of the rest 1: a first one may take 0.9 of it, one of two at most 0.98 however much is drawn, the last all."""
    gap = torch.log(torch.tensor([-math.log(0.9), 1e-9, 1e-9, 5.0]) + model.step)
    left, rest = torch.tensor([60.0, 2.0, 1.0, 4.0]), torch.ones(4)
    pt = model.next_pt(torch.zeros(4), gap, rest, left).exp()
    torch.testing.assert_close(pt, torch.tensor([0.9, 0.98**2, 1.0, 0.25]), atol=2e-3, rtol=0)  # reflected; equal share


@torch.no_grad()
def test_no_noise_makes_a_jet_explode(model):
    """Noise ten times as wide as it is: all numbers stay finite, within reach of the axis and below the jet's mass."""
    n, source = 300, torch.Generator().manual_seed(1)
    noise_set, given = 10 * torch.randn(n, 4, generator=source), free(n)
    none, codes, offsets = (
        torch.zeros(0, 0),
        torch.zeros(0, 0, dtype=torch.int64),
        torch.zeros(n + 1, dtype=torch.int64),
    )
    sizes = model.slots(none, codes, offsets, given, noise_set)
    slots = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
    noise = 10 * torch.randn(int(slots[-1]), 5, generator=source)
    items = model(none, codes, offsets, given, noise_set, slots, noise)[0]
    owner = torch.repeat_interleave(torch.arange(n), sizes)
    assert torch.isfinite(items).all()
    assert items[:, :2].norm(dim=1).max() <= model.reach.max() + 1e-5
    assert torch.zeros(n).index_add(0, owner, items[:, 2]).max() < 2.0
    assert massless_square(items, owner, n).max() < 1.5**2


@torch.no_grad()
def test_complete_jets_have_the_shares_of_real_ones(model):
    """Told that real shares of the squared mass are 0.9 of the drawn ones, it draws other jets with 0.9 of theirs."""
    mine, n = copy.deepcopy(model), 2000
    mass, share = jets_model._shares(mine, *generate(mine, n, 3, free(n)), 1)
    mine.share.fit(1, (mass, share), (mass, 0.9 * share))
    before = jets_model._shares(model, *generate(model, n, 4, free(n)), 1)[1]
    after = jets_model._shares(mine, *generate(mine, n, 4, free(n)), 1)[1]
    usual = (before > 1e-3) & (before < 1.1)  # beyond, tables are short and factors bounded
    assert usual.double().mean() > 0.3
    torch.testing.assert_close(after[usual], 0.9 * before[usual], rtol=0.02, atol=2e-3)
    conditions = free(500)
    conditions[:, 3] = 3.0  # three leading constituents: as they were drawn, but for jets that have no more
    first, offsets, _ = generate(mine, 500, 4, conditions)
    plain = generate(model, 500, 4, conditions)[0]
    assert (first != plain).any(1).double().mean() < 0.05
    assert first[:, 2].equal(plain[:, 2])
    assert offsets.diff().max() == 3


def test_shares_are_moved_to_the_same_quantile():
    """From uniform in (0.9, 1.3) to uniform in (0.7, 0.9): the straight line between the two, constant beyond."""
    share = MassShare(3)
    mass = torch.randn(200_000)
    share.fit(2, (mass, 0.9 + 0.4 * torch.rand(200_000)), (mass, 0.7 + 0.2 * torch.rand(200_000)))
    label = torch.full([5], 2)
    found = share(torch.tensor([0.5, 0.9, 1.1, 1.3, 2.0]), torch.linspace(-1, 1, 5), label)
    torch.testing.assert_close(found, torch.tensor([0.7, 0.7, 0.8, 0.9, 0.9]), atol=2e-3, rtol=0)
    torch.testing.assert_close(share(torch.tensor([0.83]), torch.zeros(1), label[:1] - 1), torch.tensor([0.83]))


def test_the_square_of_the_mass_of_two_constituents():
    """Back to back in phi, with pT 1/2 each: E = 1, no momentum."""
    items = torch.tensor([[0.0, 0.0, 0.5], [0.0, np.pi, 0.5], [0.0, 0.0, 1.0]])
    found = massless_square(items, torch.tensor([0, 0, 1]), 3)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0, 0.0]))


def test_radius_is_inverted():
    radius = Radius()
    radius.fit(torch.rand(100_000).sqrt())
    eta, phi = torch.randn(2, 1000) * 0.3
    back = radius.inverse(*radius(eta, phi))
    inside = torch.hypot(eta, phi) < 0.99
    torch.testing.assert_close(back[0][inside], eta[inside], atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(back[1][inside], phi[inside], atol=2e-4, rtol=1e-3)


def test_mixtures_integrate_to_one():
    torch.manual_seed(4)
    parameters = torch.randn(1, 6)
    grid = torch.linspace(-12.0, 12.0, 4001)
    density = mixture_log_prob(grid, parameters.expand(4001, 6), torch.tensor([-1.0, 1.0]), torch.tensor([0.5, 1.0]))
    assert float(torch.trapezoid(density.exp(), grid)) == pytest.approx(1.0, abs=1e-3)


def test_drawn_places_have_the_taught_density():
    """Mean of -log p over draws is the entropy: that of one correlated normal is known."""
    torch.manual_seed(1)
    parameters = torch.tensor([[0.0, 0.3, -0.2, 0.4, -0.5, 0.6]]).expand(50_000, 6)
    zero, scale = torch.zeros(50_000, 1), torch.tensor([0.1])
    x, y = plane_draw(torch.randn(50_000, 3), parameters, zero, zero, scale)
    found = -plane_log_prob(x, y, parameters, zero, zero, scale).mean()
    r = 0.97 * math.tanh(0.6)
    expected = math.log(2 * math.pi * math.e) + math.log(0.01) + 0.4 - 0.5 + 0.5 * math.log(1 - r * r)
    assert float(found) == pytest.approx(expected, abs=0.02)


def test_components_are_chosen_by_weight():
    torch.manual_seed(2)
    picked = choose(torch.tensor([[0.0, math.log(3.0)]]).expand(40_000, 2), torch.randn(40_000))
    assert float(picked.float().mean()) == pytest.approx(0.75, abs=0.01)


def test_likelihood_falls_in_training(model, tmp_path):
    """A few steps on jets of one shape: the loss falls by much."""
    torch.manual_seed(3)
    new = JetGenerator(hidden=24, pooled=8, layers=1)
    new.load_state_dict({k: v for k, v in model.state_dict().items() if "layers.1" not in k})
    places = torch.cat([0.05 * torch.randn(64, 10, 2), torch.linspace(-1, -5, 10).expand(64, 10).unsqueeze(2)], 2)
    jet, label = torch.zeros(64, 4), torch.zeros(64, dtype=torch.int64)
    optimiser, losses = torch.optim.Adam(new.parameters(), 3e-3), []
    for _ in range(60):
        pt, place = teach(new, places, torch.full([64], 10), torch.full([64], 10.0), jet, label)
        loss = -(pt.mean() + place.mean())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] - 2.0
    assert network.NOISE_SLOT == 5


def write(folder, n: int = 150) -> None:
    """Files of the three classes: jets of 4 to 8 constituents, whose sums are what the file says of the jet."""
    rng = np.random.default_rng(7)
    for kind in CLASSES:
        columns = {name: [] for name in ("eta_rel", "phi_rel", "pt_rel")}
        whole = {name: [] for name in ("jet_pt", "jet_eta", "jet_mass", "n_const")}
        for _ in range(n):
            size = int(rng.integers(4, 9))
            pt = np.sort(rng.dirichlet(np.full(size, 3.0)))[::-1]
            eta, phi = rng.normal(0, 0.1, (2, size))
            sums = [np.sum(pt * f) for f in (np.cos(phi), np.sin(phi), np.sinh(eta), np.cosh(eta))]
            jet_pt = rng.uniform(800, 1600)
            mass = jet_pt * math.sqrt(sums[3] ** 2 - sums[0] ** 2 - sums[1] ** 2 - sums[2] ** 2)
            for name, values in (("eta_rel", eta), ("phi_rel", phi), ("pt_rel", pt)):
                columns[name].append(values.astype(np.float32))
            found = (jet_pt, rng.uniform(-2, 2), mass * rng.uniform(1.02, 1.3), size)
            for name, value in zip(whole, found):
                whole[name].append(value)
        table = {name: pa.array(values) for name, values in columns.items()}
        table |= {
            name: np.array(values, np.int16 if name == "n_const" else np.float32) for name, values in whole.items()
        }
        pq.write_table(pa.table(table), folder / f"{kind}.parquet")


def test_training_and_separation(tmp_path, monkeypatch):
    """The documented commands on small files: one model of three classes, then three of one."""
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    common = ["jets", "--data", "gluon.parquet", "--val", "gluon.parquet", "--epochs", "1", "--batch", "64"]
    common += ["--hidden", "16", "--pooled", "8", "--layers", "1", "--chain_steps", "3", "--judged", "20"]
    train.main([*common, "--out", "jets.pt"])
    first = torch.jit.load("jets.pt").state_dict()
    train.main([*common, "--out", "jets.pt"])  # goes on from its checkpoint, where nothing is left to do
    again = torch.jit.load("jets.pt").state_dict()
    assert all(value.equal(first[name]) for name, value in again.items())
    train.main([*common, "--out", "more.pt", "--start", "jets.pt", "--rate", "0"])
    more = torch.jit.load("more.pt").state_dict()
    torch.testing.assert_close(more["enter.weight"], first["enter.weight"])
    assert more["radius.s"].equal(first["radius.s"])
    assert (more["plane.s"][1:] < more["radius.s"][1:]).all()
    assert read_metadata(tmp_path / "more.pt")["provenance"]["command"].endswith("--start jets.pt")
    jets_model.main(["jets.pt", "--data", ".", "--out", "one", "--draws", "60"])
    metadata = [read_metadata(tmp_path / "one" / f"jets-{kind}.pt") for kind in CLASSES]
    assert [entry["name"] for entry in metadata] == ["jets-gluon", "jets-quark", "jets-top"]
    assert metadata[0]["noise"] == {"set": network.NOISE_SET, "slot": 5}
    assert metadata[0]["metrics"]["validation"]["broken"] == 0.0
    assert torch.jit.load("one/jets-top.pt").kind == 2

    state = torch.load("jets.pt.checkpoint", weights_only=True)
    state["averaged"]["enter.bias"] += 1.0  # as if another epoch had been preferred
    torch.save(state, "jets.pt.checkpoint")
    jets_model.main(["jets.pt", "--data", ".", "--out", "end", "--draws", "60", "--last"])
    end = torch.jit.load("end/jets-quark.pt").state_dict()
    torch.testing.assert_close(end["enter.bias"], first["enter.bias"] + 1.0)
    stored = read_metadata(tmp_path / "end" / "jets-quark.pt")
    assert stored["provenance"]["separation"].endswith("--last")
    assert stored["metrics"]["validation"]["broken"] == 0.0
