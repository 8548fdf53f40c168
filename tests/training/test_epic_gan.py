# SPDX-License-Identifier: MIT
"""EPiC-GAN: the paper's networks, sets of any mixture, drawn multiplicities, training, export and the engine."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from gan_jets import call, draws, limits, write
from hepgen_fastsim._core_loader import core

from training import epic_latents, train
from training.data.jets import Jets
from training.epic_gan import EpicGanConfig, EpicGanTask
from training.export import read_metadata
from training.jet_gan import as_metric, generate, harder, summed_pt
from training.networks.epic_gan import EpicDiscriminator, EpicGenerator
from training.networks.jet_draws import (
    NormedLinear,
    Radial,
    by_set_and_pt,
    centred,
    n_parameters,
)

TALK = {"hidden": 64, "layers": 4, "z_global": 5, "z_local": 10, "depth": 3}


def made(**options) -> EpicGenerator:
    torch.manual_seed(1)
    scale = torch.tensor([0.02, 0.02, 0.01])
    return EpicGenerator(*draws(), torch.zeros(3), scale, limits(), Radial(), **options).eval()


def test_networks_have_the_papers_parameters():
    generator = made()
    assert n_parameters(generator) == 424_850
    assert n_parameters(EpicDiscriminator()) == 313_170
    assert n_parameters(torch.jit.script(generator)) == 422_217  # weight norm is folded
    assert n_parameters(generator) == 424_850  # and the network that is trained keeps it
    assert n_parameters(made(**TALK)) == 89_592  # "90 k"
    assert n_parameters(EpicDiscriminator(64, 0, 5)) == 26_124  # "25 k": a deep set


@pytest.mark.parametrize("layers", range(7))
def test_any_number_of_layers(layers):
    model = made(hidden=16, layers=layers)
    noise = torch.randn(9, 14)
    assert len(model.core.layers) == layers
    counts, slots, found = call(model, noise)
    assert found[0].shape == (int(counts.sum()), 3)
    wide, index = noise[:, :10], torch.arange(9).repeat_interleave(counts)
    with torch.no_grad():
        seen = model.core.globals_by_layer(wide, slots, index, counts.float())
    assert [tuple(vector.shape) for vector in seen] == [(9, 10)] * (layers + 1)


def test_without_layers_constituents_do_not_learn_of_each_other():
    for layers, expected in ((0, True), (1, False)):
        model = made(hidden=16, layers=layers)
        wide, local = torch.randn(1, 10), torch.randn(5, 3)
        index, counts = torch.zeros(5, dtype=torch.int64), torch.tensor([5.0])
        with torch.no_grad():
            before = model.core(wide, local, index, counts, 0)
            local[3] += 1.0
            after = model.core(wide, local, index, counts, 0)
        assert torch.equal(before[0], after[0]) == expected


def test_a_network_can_be_told_the_multiplicity():
    plain, told = (made(hidden=16, layers=0, full=full) for full in (0, 30))
    assert n_parameters(told) == n_parameters(plain) + 2 * 16
    wide, local = torch.randn(1, 10), torch.randn(1, 3)
    index = torch.zeros(1, dtype=torch.int64)
    with torch.no_grad():
        seen = [told.core.globals_by_layer(wide, local, index, torch.tensor([n]))[0] for n in (30.0, 29.0, 28.0)]
        same = [plain.core.globals_by_layer(wide, local, index, torch.tensor([n]))[0] for n in (30.0, 29.0)]
    assert torch.equal(*same)
    steps = [(b - a).norm() for a, b in pairwise(seen)]
    assert steps[0] > 3 * steps[1] > 0  # at 30 a jet was cut


def test_equal_sets_are_as_ragged_ones():
    core_ = made().core
    wide, local = torch.randn(6, 10), torch.randn(60, 3)
    index, counts = torch.arange(6).repeat_interleave(10), torch.full((6,), 10.0)
    with torch.no_grad():
        ragged, equal = core_(wide, local, index, counts, 0), core_(wide, local, index, counts, 10)
    assert torch.allclose(ragged, equal, atol=1e-5)


def test_constituents_are_equivariant_and_jets_independent():
    core_ = made().core
    counts = torch.tensor([4, 0, 9, 1])
    index = torch.arange(4).repeat_interleave(counts)
    wide, local = torch.randn(4, 10), torch.randn(14, 3)
    with torch.no_grad():
        out = core_(wide, local, index, counts.float(), 0)
        order = torch.cat([torch.randperm(4), 4 + torch.randperm(9), torch.tensor([13])])
        assert torch.allclose(core_(wide, local[order], index, counts.float(), 0), out[order], atol=1e-5)
        alone = core_(wide[2:3], local[4:13], torch.zeros(9, dtype=torch.int64), torch.tensor([9.0]), 0)
    assert torch.allclose(alone, out[4:13], atol=1e-5)
    judge = EpicDiscriminator()
    jets = torch.randn(3, 8, 3)
    assert torch.allclose(judge(jets), judge(jets[:, torch.randperm(8)]), atol=1e-5)


def test_weight_norm_and_its_fold():
    layer = NormedLinear(5, 3)
    with torch.no_grad():
        layer.size.copy_(torch.tensor([[1.0], [2.0], [3.0]]))
    assert torch.allclose(layer.weight.norm(dim=1), torch.tensor([1.0, 2.0, 3.0]))
    x = torch.randn(7, 5)
    assert torch.allclose(layer(x), layer.__prepare_scriptable__()(x), atol=1e-6)


def test_jets_are_sorted_and_above_the_floor():
    index = torch.tensor([0, 0, 1, 1, 1])
    pt = torch.tensor([0.1, 0.4, 0.2, 0.3, 0.1])
    assert by_set_and_pt(pt, index).tolist() == [1, 0, 3, 2, 4]
    items = torch.tensor([[0.1, 0.2, 0.5], [0.3, 0.0, 0.5], [1.0, 1.0, 0.2]])
    moved = centred(items, torch.tensor([0, 0, 1]), 2)
    assert torch.allclose(moved[:, :2], torch.tensor([[-0.1, 0.1], [0.1, -0.1], [0.0, 0.0]]), atol=1e-6)
    counts, _, (jets, _, offsets, origin, scalars) = call(made(), torch.randn(200, 14))
    assert torch.equal(offsets.diff(), counts)
    assert (origin == -1).all()
    assert float(jets[:, 2].min()) >= 1.3e-4 - 1e-9
    steps = jets[:, 2].diff()
    steps[offsets[1:-1] - 1] = -1.0  # from jet to jet
    assert (steps <= 0).all()
    assert (jets[:, :2].norm(dim=1) <= 0.5 + 1e-6).all()
    assert float(jets[:, 2].max()) <= 0.9
    model, index = made(turn=False), torch.tensor([0, 1])
    far = model.unbounded(torch.tensor([[300.0, 400.0, 1.0], [3.0, 4.0, 1000.0]]), torch.zeros(2), index)
    far = model.limits(far, torch.ones(2), index, 2)
    assert torch.allclose(far[:, :2], torch.tensor([[0.3, 0.4], [0.06, 0.08]]))
    assert torch.allclose(far[:, 2], torch.tensor([0.01, 0.9]))
    assert ((scalars[:, 0] >= 800) & (scalars[:, 0] <= 1600)).all()


def test_jets_are_turned_and_mirrored():
    """One number per jet turns it: a plain network's jets, by an angle that is the jet's own."""
    model, plain = (made(hidden=16, layers=1, turn=turn) for turn in (True, False))
    noise = torch.randn(400, 14)
    _, slots, (jets, _, offsets, _, _) = call(model, noise)
    before = call(plain, noise, slots)[2][0]
    assert torch.allclose(jets[:, 2], before[:, 2], atol=1e-5)
    z, w = (torch.complex(*x[:, :2].unbind(1)) for x in (jets, before))
    leading = torch.stack([z, w], 1)[offsets[:-1]]  # [B, 2]
    turns = [(z * w.conj()).angle(), (z * w).angle()]  # one of them is the same for the whole jet
    index = torch.arange(400).repeat_interleave(offsets.diff())
    off = [(torch.polar(torch.ones_like(t), t - t[offsets[:-1]][index]).angle().abs() > 1e-2) for t in turns]
    alike = [torch.bincount(index[bad], minlength=400) == 0 for bad in off]
    assert (alike[0] | alike[1]).all()
    assert 150 < int(alike[1].sum()) < 250  # mirrored
    assert abs(torch.polar(torch.ones(400), leading[:, 0].angle()).mean()) < 0.15
    moved = noise.clone()
    moved[:, 13] += 1.0
    other = call(model, moved, slots)[2][0]
    assert torch.allclose(other[:, :2].norm(dim=1), jets[:, :2].norm(dim=1), atol=1e-4)


def test_two_steps_export_and_engine(tmp_path):
    data = str(write(tmp_path / "jets.parquet"))
    out = tmp_path / "toy.pt"
    arguments = ["epic-gan", "--data", data, "--val", data, "--out", str(out), "--name", "toy", "--epochs", "1"]
    arguments += ["--batch", "16", "--share", "0.16", "--hidden", "8", "--layers", "2", "--judge_layers", "1"]
    train.main([*arguments, "--judged", "40", "--precision", "bf16"])
    metadata = read_metadata(out)
    assert metadata["slots"] == "drawn"
    assert metadata["task"] == "generate"
    assert metadata["cost"] == "linear"
    figures = metadata["metrics"]["validation"]
    assert all(math.isfinite(value) for value in figures.values())
    assert {"w1m", "w1p", "w1efp", "fpd"} <= set(metadata["metrics"]["validation_report"]["floors"])
    engine = core().Engine(core().Model(str(out)), device="cpu")
    n = 500
    empty = np.zeros((0, 0), np.float32)
    found = engine.run(empty, empty.astype(np.int64), np.zeros(n + 1, np.int64), np.zeros((n, 0), np.float32), seed=3)
    counts = np.diff(found["offsets"])
    assert len(found["items"]) == counts.sum()
    assert counts.min() >= 3
    assert counts.max() <= 12
    scripted = torch.jit.load(str(out))
    noise = torch.from_numpy(core().normal_noise(3, 0, np.zeros(n), np.zeros(n), 14))
    assert scripted.slots(*[torch.zeros(0)] * 4, noise).shape == (n,)
    again = engine.run(empty, empty.astype(np.int64), np.zeros(n + 1, np.int64), np.zeros((n, 0), np.float32), seed=3)
    assert np.array_equal(found["items"], again["items"])


def test_every_jet_weighs_the_same(tmp_path):
    path = write(tmp_path / "jets.parquet", 400)
    config = EpicGanConfig(data=path, val=path, out=tmp_path / "m.pt", batch=16, hidden=8, judged=40, layers=1)
    task = EpicGanTask(config)
    sizes = task.train.offsets.diff()
    seen = torch.zeros(13)
    for epoch in range(40):
        for batch in task.batches(torch.Generator().manual_seed(epoch)):
            assert batch.shape[1:] == (batch.shape[1], 3)
            seen[batch.shape[1]] += len(batch)
    expected = torch.bincount(sizes, minlength=13).float()
    share = (seen / seen.sum())[3:] / (expected / expected.sum())[3:]
    assert (share - 1).abs().max() < 0.25


def test_balance_holds_the_discriminator_to_a_share_of_the_guide(tmp_path):
    """The gradient in the generated jets: the guide's, and of the discriminator's a vector of that share of its length,
    however steep the discriminator is."""
    path = write(tmp_path / "jets.parquet", 400)
    options = {"batch": 16, "hidden": 8, "judged": 40, "layers": 1, "guide": 1.0, "balance": 0.5, "wall": 0.005}
    task = EpicGanTask(EpicGanConfig(data=path, val=path, out=tmp_path / "m.pt", **options))
    batch = next(iter(task.batches(torch.Generator().manual_seed(0))))
    jets = torch.randn_like(batch).requires_grad_()
    sent = []
    task.fake, task.excess = lambda batch: jets * 1.0, {}
    task.descend = lambda loss, optimiser: sent.append(torch.autograd.grad(loss, jets)[0])
    torch.manual_seed(5)
    for steepness in (1.0, 1000.0):
        task.judge = lambda sample, batch, k=steepness: k * sample.flatten(1).sum(1)
        losses = task.update_generator(batch, None)
        assert {"generator", "guide"} <= set(losses)
    torch.manual_seed(5)
    (guide,) = torch.autograd.grad(task.extra(jets, batch)["guide"], jets)
    pulls = [gradient - guide for gradient in sent[:1]]
    assert float(pulls[0].norm() / guide.norm()) == pytest.approx(0.5, rel=1e-3)
    assert float(sent[1].norm() / sent[0].norm()) == pytest.approx(1.0, rel=0.5)


def test_both_players_learn_from_the_same_jets(tmp_path):
    path = write(tmp_path / "jets.parquet", 400)
    options = {"batch": 16, "hidden": 8, "judged": 40, "layers": 1}
    task = EpicGanTask(EpicGanConfig(data=path, val=path, out=tmp_path / "m.pt", **options))
    batch = next(iter(task.batches(torch.Generator().manual_seed(0))))
    seen, judge = [], task.judge
    task.judge = lambda sample, batch: seen.append(sample) or judge(sample, batch)
    before = [value.clone() for value in task.model.core.parameters()]
    task.update(batch, task.optimisers())
    real, shown, made = seen
    assert torch.allclose(real[..., 2], batch[..., 2])  # turned
    assert torch.allclose(real[..., :2].norm(dim=2), batch[..., :2].norm(dim=2), atol=1e-4)
    assert not torch.allclose(real, batch)
    assert torch.equal(shown, made)
    assert made.requires_grad
    assert not shown.requires_grad
    assert not all(torch.equal(a, b) for a, b in zip(before, task.model.core.parameters()))
    task.update(batch, task.optimisers())
    assert not torch.equal(seen[-1], made)  # and from new ones at the next step


def test_a_training_begins_with_the_networks_of_another(tmp_path):
    data, out = str(write(tmp_path / "jets.parquet")), tmp_path / "first.pt"
    given = ["epic-gan", "--data", data, "--val", data, "--hidden", "8", "--layers", "1", "--batch", "16"]
    given += ["--share", "0.16", "--judged", "40"]
    train.main([*given, "--epochs", "1", "--out", str(out)])
    state = torch.load(tmp_path / "first.pt.checkpoint", weights_only=True)
    kept = state["modules"] | {"model": state["best"]["weights"]}
    _, config, changed = train.parse([*given, "--out", str(tmp_path / "m.pt"), "--start", f"{out}.checkpoint"])
    assert "--start first.pt.checkpoint" in changed  # a name, wherever it lies
    for name, module in EpicGanTask(config).modules().items():
        assert all(torch.equal(value, kept[name][key]) for key, value in module.named_parameters())
    config.start = type(config.start)()
    fresh = EpicGanTask(config).modules()["model"].state_dict()
    assert not all(torch.equal(value, kept["model"][key]) for key, value in fresh.items())


def test_soft_constituents_can_be_left_out():
    features = torch.tensor([[0.0, 0.0, 0.5], [0.1, 0.0, 0.004], [0.0, 0.2, 0.3], [0.0, 0.0, 0.02]])
    jets = Jets(features, torch.tensor([0, 2, 2, 4]), torch.tensor([0, 0, 0]))
    kept = harder(jets, 0.01)
    assert kept.offsets.tolist() == [0, 1, 1, 3]
    assert torch.equal(kept.features, features[[0, 2, 3]])


def test_score_of_the_training_jets_is_that_of_the_floor(tmp_path):
    path = write(tmp_path / "jets.parquet", 1500)
    task = EpicGanTask(EpicGanConfig(data=path, val=path, out=tmp_path / "m.pt", hidden=8, judged=200, layers=1))
    jets = task.train.pick(torch.arange(200))
    assert task.judge_jets(jets.features, jets.offsets)["score"] == pytest.approx(1.0)
    moved = jets.features + torch.tensor([0.3, 0.0, 0.0])
    assert task.judge_jets(moved, jets.offsets)["score"] > 1.5
    broken = jets.features.clone()
    broken[0] = float("nan")
    assert task.judge_jets(broken, jets.offsets)["broken"] == 1.0
    assert len(as_metric(jets.features, jets.offsets)) == 200
    assert torch.allclose(summed_pt(jets.features, jets.offsets), torch.ones(200), atol=1e-5)
    features, offsets, scalars = generate(task.model.eval(), 25, seed=1, chunk=10)
    assert len(features) == int(offsets[-1])
    assert scalars.shape == (25, 2)


def test_latents_and_the_guide_in_training(tmp_path, capsys):
    data, out = str(write(tmp_path / "jets.parquet")), tmp_path / "toy.pt"
    given = ["epic-gan", "--data", data, "--val", data, "--out", str(out), "--name", "toy", "--epochs", "1"]
    given += ["--batch", "16", "--share", "0.16", "--hidden", "8", "--layers", "2", "--judge_layers", "0"]
    train.main([*given, "--judged", "40", "--guide", "1", "--calibrate", "1", "--moments", "1", "--all_moments", "1"])
    assert {"calibrated", "uncalibrated"} <= set(read_metadata(out)["metrics"]["validation_report"])
    history = torch.load(tmp_path / "toy.pt.checkpoint", weights_only=True)["history"]
    assert math.isfinite(history[0]["guide"])
    epic_latents.main(["--model", str(out), "--jets", "50", "--picture", str(tmp_path / "l.png")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[-3:]] == ["before", "layer 1", "layer 2"]
    assert (tmp_path / "l.png").stat().st_size > 1000
