# SPDX-License-Identifier: MIT
"""MP-GAN: the paper's networks, pairs without pairs, masks, conditions, variants, export and the engine."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gan_jets import call, draws, write
from hepgen_fastsim._core_loader import core
from torch.nn.functional import leaky_relu

from training import train
from training.adversarial import DISCRIMINATOR, GENERATOR
from training.competitive import Competitive
from training.export import read_metadata
from training.mp_gan import Batch, MpGanConfig, MpGanTask
from training.networks.jet_draws import Radial, n_parameters
from training.networks.jet_limits import Limits
from training.networks.mp_gan import Dropout, MessagePassing, MpCore, MpDiscriminator, MpGenerator


def made(n_conditions: int = 0, **options) -> MpGenerator:
    torch.manual_seed(1)
    mean, scale = torch.tensor([1200.0, 0.0])[:n_conditions], torch.tensor([200.0, 1.0])[:n_conditions]
    limits = Limits(*torch.tensor([0.9, 0.7, 9.0])).eval()
    return MpGenerator(*draws(), torch.tensor([0.9, 0.8, 0.7]), limits, Radial(), mean, scale, **options).eval()


def test_networks_have_the_papers_parameters():
    assert n_parameters(made()) == 361_123
    assert n_parameters(MpDiscriminator()) == 355_617
    # a distance adds a column to each f_e; a feature of the jet one to each f_e and each f_n
    assert n_parameters(made(distance=True)) == 361_123 + 2 * 96
    assert n_parameters(MpDiscriminator(n_conditions=2)) == 355_617 + 2 * 2 * (96 + 256)


@pytest.mark.parametrize(("coordinates", "n_conditions"), [(0, 0), (2, 0), (5, 2)])
def test_split_first_layer_equals_the_concatenated_one(coordinates, n_conditions):
    step = MessagePassing(5, 4, n_conditions, coordinates, edge=(8, 6), node=(7,))
    h, conditions = torch.randn(3, 6, 5), torch.randn(3, n_conditions)
    pairs = [h.unsqueeze(2).expand(3, 6, 6, 5), h.unsqueeze(1).expand(3, 6, 6, 5)]
    if coordinates:
        x = h[..., :coordinates]
        pairs.append(torch.linalg.norm(x.unsqueeze(2) - x.unsqueeze(1), dim=3, keepdim=True))
    pairs.append(conditions[:, None, None].expand(3, 6, 6, n_conditions))
    expected = step.edge.layers[0](torch.cat(pairs, 3))
    assert torch.allclose(step.first(h, conditions), expected, atol=1e-5)


def test_a_step_is_the_sum_over_messages():
    step = MessagePassing(3, 2, edge=(4,), node=(5,))
    h, mask = torch.randn(1, 3, 3), torch.tensor([[1.0, 0.0, 1.0]])
    edge, first, last = step.edge.layers[0], *step.node.layers
    for i in (0, 2):
        heard = sum(leaky_relu(edge(torch.cat([h[0, i], h[0, j]])), 0.2) for j in (0, 2))
        expected = last(leaky_relu(first(torch.cat([heard, h[0, i]])), 0.2))
        assert torch.allclose(step(h, mask, torch.zeros(1, 0))[0, i], expected, atol=1e-5)
        step.mean = True
        heard = heard / 2
        expected = last(leaky_relu(first(torch.cat([heard, h[0, i]])), 0.2))
        assert torch.allclose(step(h, mask, torch.zeros(1, 0))[0, i], expected, atol=1e-5)
        step.mean = False


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("distance", [False, True])
def test_permutations_and_masked_constituents(mean, distance):
    generator = made(mean=mean, distance=distance)
    judge = MpDiscriminator(mean=mean, distance=distance).eval()
    noise, none = torch.randn(4, 10, 32), torch.zeros(4, 0)
    mask = (torch.arange(10) < torch.tensor([10, 7, 1, 4])[:, None]).float()
    order = torch.randperm(10)
    with torch.no_grad():
        jets = generator.core(noise, mask, none)
        assert torch.allclose(generator.core(noise[:, order], mask[:, order], none), jets[:, order], atol=1e-5)
        score = judge(jets, mask, none)
        assert torch.allclose(judge(jets[:, order], mask[:, order], none), score, atol=1e-5)
        other = torch.where(mask.unsqueeze(2) > 0, noise, torch.randn_like(noise))
        assert torch.allclose(generator.core(other, mask, none) * mask[..., None], jets * mask[..., None], atol=1e-5)
        moved = torch.where(mask.unsqueeze(2) > 0, jets, torch.randn_like(jets))
        assert torch.allclose(judge(moved, mask, none), score, atol=1e-5)
        short = generator.core(noise[1:2, :7], mask[1:2, :7], none[:1])
    assert torch.allclose(short, jets[1:2, :7], atol=1e-5)


def test_gradients_come_back_from_the_limits():
    """In training a hundredth of them passes where tanh is flat; values are the same."""
    network = MpCore(noise=4, hidden=5, edge=(6,), node=(7,))
    last = network.steps[-1].node.layers[-1]
    with torch.no_grad():
        last.bias.fill_(30.0)
    noise, mask, none = torch.randn(2, 3, 4), torch.ones(2, 3), torch.zeros(2, 0)
    made, used = network(noise, mask, none), network.eval()(noise, mask, none)
    assert torch.equal(made, used)
    assert (made == 1).all()
    (learnt,) = torch.autograd.grad(made.sum(), last.bias)
    (stuck,) = torch.autograd.grad(used.sum(), last.bias)
    torch.testing.assert_close(learnt, torch.full([3], 0.06))  # of two jets of three constituents
    assert (stuck == 0).all()


def test_begins_near_the_mean():
    network = MpCore(noise=4, hidden=5, edge=(6,), node=(7,)).eval()
    last = network.steps[-1].node.layers[-1]
    mean, step = torch.tensor([0.0, 0.1, -0.48]), torch.tensor([0.02, 0.02, 0.01])
    network.begin_near(mean, step)
    noise, mask, none = torch.randn(2, 3, 4), torch.ones(2, 3), torch.zeros(2, 0)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
        torch.testing.assert_close(network(noise, mask, none), mean.expand(2, 3, 3))
        last.bias.fill_(0.1)
        torch.testing.assert_close(network(noise, mask, none), (mean + 0.1 * step).expand(2, 3, 3), atol=2e-6, rtol=0)


def test_present_are_the_candidates_of_smallest_first_number():
    model = made(turn=False)
    noise_set = torch.randn(5, 34)
    counts, noise_slot, (jets, _, offsets, _, _) = call(model, noise_set)
    for b in range(5):
        n = int(counts[b])
        first = noise_set[b, 3:33].sort().values[:n]
        noise = torch.cat([first[:, None], noise_slot[offsets[b] : offsets[b + 1]]], 1)[None]
        with torch.no_grad():
            expected = model.physical(model.core(noise, torch.ones(1, n), torch.zeros(1, 0)))[0]
        expected = torch.cat([expected[:, :2], expected[:, 2:].clamp(min=1.3e-4)], 1)
        expected = expected[expected[:, 2].argsort(descending=True)]
        assert torch.allclose(jets[offsets[b] : offsets[b + 1]], expected, atol=1e-5)


def test_without_a_mask_low_momenta_are_absent():
    model = made(masked=False)
    counts, _, (jets, _, offsets, _, _) = call(model, torch.randn(200, 34))
    assert (offsets.diff() <= counts).all()
    assert float(jets[:, 2].min()) > 1.3e-4


def test_conditions_are_used_or_drawn():
    model = made(n_conditions=2)
    noise = torch.randn(6, 34)
    given = torch.tensor([[900.0, 0.5]]).repeat(6, 1)
    given[3, 0], given[4, 1] = -1e9, float("nan")
    _, slots, (jets, _, offsets, _, scalars) = call(model, noise, conditions=given)
    assert torch.equal(scalars[[0, 1, 2, 5]], given[[0, 1, 2, 5]])
    drawn = torch.stack([model.jet_pt(noise[:, 1]), model.jet_eta(noise[:, 2])], 1)
    assert torch.equal(scalars[3], torch.stack([drawn[3, 0], given[3, 1]]))
    assert torch.equal(scalars[4], torch.stack([given[4, 0], drawn[4, 1]]))
    assert torch.isfinite(jets).all()
    _, _, (other, *_) = call(model, noise, slots, torch.tensor([[1500.0, 0.5]]).repeat(6, 1))
    assert not torch.allclose(jets[: offsets[1]], other[: offsets[1]], atol=1e-4)
    again = torch.where(torch.isnan(given) | (given < -1e8), drawn, given)
    assert torch.allclose(call(model, noise, slots, again)[2][0], jets, atol=1e-6)


def test_dropout_keeps_half_and_the_mean():
    drop = Dropout(length=1 << 18).train()
    values = torch.ones(200, 500)
    dropped = drop(values)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.02)
    assert not torch.equal(drop(values), dropped)
    assert torch.equal(drop.eval()(values), values)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        # a discriminator that gives 0.5 to real and -1 to generated jets, by hand
        ("ls", (0.5 * (0.25 + 1.0), 2.0)),
        ("bce", (math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(-1.0)), math.log(1 + math.e))),
        ("wasserstein", (-1.5, 1.0)),
        ("hinge", (0.5, 1.0)),
    ],
)
def test_objectives_by_hand(objective, expected):
    real, fake = torch.full((4,), 0.5), torch.full((4,), -1.0)
    one, zero = torch.ones(4), torch.zeros(4)
    assert float(DISCRIMINATOR[objective](real, fake, one, zero)) == pytest.approx(expected[0], abs=1e-6)
    assert float(GENERATOR[objective](fake)) == pytest.approx(expected[1], abs=1e-6)
    # signs: judging generated jets higher is worse for the discriminator and better for the generator
    fake = fake + 0.1
    worse = float(DISCRIMINATOR[objective](real, fake + 1.0, one, zero))
    assert worse > float(DISCRIMINATOR[objective](real, fake, one, zero)) or objective == "ls"
    assert float(GENERATOR[objective](fake)) < expected[1]


def test_competitive_step_by_hand():
    # f = x y at x = y = 1: A_x = A_y = 0.1 up to 1e-6; dx = -0.1 (1 + 0.1) / (1 + 0.01), dy = 0.1 (1 + dx)
    x, y = torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1))
    optimiser = Competitive([x], [y], rate=0.1)
    assert optimiser.descend((x * y).sum())
    dx = -0.1 * 1.1 / 1.01
    assert float(x.detach()) == pytest.approx(1 + dx, abs=1e-5)
    assert float(y.detach()) == pytest.approx(1 + 0.1 * (1 + dx), abs=1e-5)
    # simultaneous gradient descent spirals away from the equilibrium of this game, competitive descent comes closer
    for _ in range(300):
        optimiser.descend((x * y).sum())
    assert float(x.detach().square() + y.detach().square()) < 0.2
    before = float(x.detach())
    assert not optimiser.descend((x * float("nan") * y).sum())
    assert float(x.detach()) == before


def arguments(tmp_path, **options) -> list[str]:
    data = str(write(tmp_path / "jets.parquet"))
    given = {"edge": "8,8", "node": "8", "batch": 16, "share": 0.16, "judged": 40, "epochs": 1, "leading": 10} | options
    listed = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    return ["mp-gan", "--data", data, "--val", data, "--out", str(tmp_path / "toy.pt"), "--name", "toy", *listed]


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "bf16", "guide": 1.0, "moments": 1.0},
        {"objective": "bce", "optimiser": "adam", "smoothing": 0.1, "label_noise": 0.05},
        {"objective": "wasserstein", "gradient_penalty": 10.0, "dropout": 0},
        {"objective": "hinge", "spectral_norm": 1, "optimiser": "sgd"},
        {"objective": "acgd", "rate": 1e-3},
        {"optimiser": "adadelta", "batch_norm": 1, "augment": 0.5, "mean": 1, "distance": 1},
        {"mask": 0, "calibrate": 1, "reshape": 0, "turn": 0, "radial": 0, "rate": 1e-4},
        {"judge_edge": "8", "judge_node": "8"},
        {"condition": 2},
    ],
)
def test_two_steps_of_every_variant(tmp_path, options):
    train.main(arguments(tmp_path, **options))
    metadata = read_metadata(tmp_path / "toy.pt")
    assert metadata["cost"] == "quadratic"
    assert 0 < metadata["batch_items"] < 1000  # not as many as of networks whose time is linear
    assert [c["name"] for c in metadata["condition"]] == ["jet_pt", "jet_eta"][: options.get("condition", 0)]
    checkpoint = torch.load(tmp_path / "toy.pt.checkpoint", weights_only=True)
    assert all(math.isfinite(value) for value in checkpoint["history"][0].values())
    start = MpGanTask(train.parse(arguments(tmp_path, **options))[1])
    weights = checkpoint["modules"]["model"]
    moved = [not torch.equal(weights[name], value) for name, value in start.model.state_dict().items()]
    assert any(moved)


def test_engine_gives_the_drawn_number(tmp_path):
    train.main(arguments(tmp_path))
    engine = core().Engine(core().Model(str(tmp_path / "toy.pt")), device="cpu")
    n, empty = 300, np.zeros((0, 0), np.float32)
    found = engine.run(empty, empty.astype(np.int64), np.zeros(n + 1, np.int64), np.zeros((n, 0), np.float32), seed=5)
    counts = np.diff(found["offsets"])
    assert counts.sum() == len(found["items"])
    assert counts.min() >= 3
    assert counts.max() == 10
    # all at once or alone: a jet's multiplicity is its own
    one = engine.run(empty, empty.astype(np.int64), np.zeros(2, np.int64), np.zeros((1, 0), np.float32), seed=5)
    assert len(one["items"]) == counts[0]
    assert np.allclose(one["items"], found["items"][: counts[0]], atol=1e-5)


def test_augmentation_turns_and_keeps_momenta(tmp_path):
    path = write(tmp_path / "jets.parquet")
    small = {"judged": 40, "edge": "8", "node": "8", "leading": 10}
    task = MpGanTask(MpGanConfig(data=path, val=path, out=tmp_path / "m.pt", augment=1.0, **small))
    jets, mask = torch.randn(50, 10, 3), torch.ones(50, 10)
    turned = task.augmented(Batch(jets, mask, torch.zeros(50, 0))).jets
    assert torch.allclose(turned[..., 2], jets[..., 2])
    assert torch.allclose(turned[..., :2].norm(dim=2), jets[..., :2].norm(dim=2), atol=1e-5)
    assert not torch.allclose(turned, jets)
    task.config.augment = 0.0
    assert task.augmented(Batch(jets, mask, torch.zeros(50, 0))).jets is jets


def test_range_of_the_network_is_that_of_the_limits(tmp_path):
    path = write(tmp_path / "jets.parquet")
    given = {"judged": 40, "edge": "8", "node": "8", "leading": 10, "wall": 0.005}
    far = MpGanTask(MpGanConfig(data=path, val=path, out=tmp_path / "m.pt", radial=0, turn=0, **given)).model.largest
    task = MpGanTask(MpGanConfig(data=path, val=path, out=tmp_path / "m.pt", **given))
    assert torch.equal(far, task.train.features.abs().max(0).values)
    assert float(task.jets[task.mask > 0][:, :2].norm(dim=1).median()) > 0.25  # of a normal plane that ends at 3.9
    batch = next(iter(task.batches(torch.Generator().manual_seed(0))))
    with torch.no_grad():
        fake = task.fake(batch)
    items = task.model.physical(fake.jets)
    assert (items[..., :2].norm(dim=2) <= task.model.limits.reach + 1e-5).all()
    assert (fake.jets[fake.mask == 0] == 0).all()
    assert float((items[..., 2] * fake.mask).sum(1).max()) < 1.1
    assert task.excess["excess"] > 0


def test_scaling_is_inverted(tmp_path):
    model = made()
    items = torch.rand(20, 3)
    assert torch.allclose(model.physical(model.scaled(items)), items, atol=1e-6)
    assert torch.allclose(model.scaled(torch.zeros(1, 3)), torch.tensor([[0.0, 0.0, -0.5]]))
