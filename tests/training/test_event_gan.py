# SPDX-License-Identifier: MIT
"""Generators of top pairs: GAN and flow, in training and under the engine."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hepgen_fastsim._core_loader import core
from hepgen_fastsim.registry import find_model
from synthetic import normal
from torch import nn

from training.data.partons import PROCESSES, Rows, _write
from training.event_gan import EventFlowConfig, EventFlowTask, EventGanConfig, EventGanTask
from training.export import export
from training.mmd import invariant_mass
from training.networks.event_gan import MASSES_OF, SCALE, EventGan, EventJudge
from training.networks.flows import spline
from training.networks.partons import DECAYS, INCOMING, EventFlow, with_energy
from training.networks.top_pairs import MASSES, TopPairs
from training.parton_observables import DISTRIBUTIONS, RESONANCES, distance, observables, quartiles
from training.train import train


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A file of 3000 events, normal in the coordinates; those of the decay t -> W -> q (8 and 10) are correlated."""
    t = normal(3000, 16)
    t[:, 10] = 0.8 * t[:, 8] + 0.6 * t[:, 10]
    p = TopPairs().double().decode(t).numpy()
    rows = Rows(PROCESSES["ttbar"].particles, len(p))
    rows.n, rows.momenta[:] = len(p), p
    rows.codes[:] = [2, -1, 5, 3, -4, -5]
    rows.event[:, :2] = 21
    path = tmp_path_factory.mktemp("tops") / "ttbar.parquet"
    _write(rows.table(), {}, path)
    return path


# --- the two players ------------------------------------------------------------------------------------------------


def config(sample, tmp_path, **changes):
    settings = {"epochs": 1, "precision": "float32", "batch": 500} | changes
    return EventGanConfig(data=sample, val=sample, out=tmp_path / "model.pt", **settings)


def test_discriminators_loss_is_equation_2(sample, tmp_path):
    task = EventGanTask(config(sample, tmp_path, regulariser=0.3))
    weight, bias = torch.linspace(-1, 1, 18)[None], torch.tensor([0.2])
    linear = nn.Linear(18, 1)
    linear.weight.data, linear.bias.data = weight.clone(), bias
    task.discriminator = linear
    batch = next(task.batches(torch.Generator().manual_seed(1)))
    torch.manual_seed(5)
    found = task.update_discriminator(batch, task.optimisers()[0])
    torch.manual_seed(5)
    with torch.no_grad():
        real, fake = task.real(batch) @ weight[0] + 0.2, task.fake(batch) @ weight[0] + 0.2
    d_real, d_fake = torch.sigmoid(real), torch.sigmoid(fake)
    expected = -(d_real.log().mean() + (1 - d_fake).log().mean())
    slope = weight.square().sum()  # phi = log D / (1 - D) = w x + b
    expected += 0.3 * (((1 - d_real).square() * slope).mean() + (d_fake.square() * slope).mean())
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_paper_size():
    network, judge = EventGan("paper"), EventJudge("paper")
    for part, n_in, n_out in ((network.net, 18, 18), (judge.net, 18, 1)):
        shapes = [tuple(layer.weight.shape) for layer in part if isinstance(layer, nn.Linear)]
        assert shapes == [(512, n_in), *[(512, 512)] * 9, (n_out, 512)]


def test_the_scale_of_momenta():
    network = EventGan().eval()
    noise = torch.randn(5, 18)
    torch.testing.assert_close(network.draw(noise).flatten(1), SCALE * network.net(noise))


@pytest.mark.parametrize("masses", ["mmd", "none", "arctan"])
@pytest.mark.parametrize("output", ["decays", "momenta"])
def test_a_step_of_both_players(sample, tmp_path, masses, output):
    task = EventGanTask(config(sample, tmp_path, masses=masses, output=output, precision="bf16", mmd_events=100))
    losses = task.update(next(task.batches(torch.Generator().manual_seed(1))), task.optimisers())
    assert ("mmd" in losses) == (masses == "mmd")
    assert losses["energy"] > 0
    assert all(math.isfinite(value) for value in losses.values())


def test_estimators_and_roots(sample, tmp_path):
    fake, found = 60.0 + 80.0 * torch.rand(200, 4), {}
    for estimator in ("biased", "unbiased", "mesh"):
        for root in (0, 1):
            task = EventGanTask(config(sample, tmp_path, estimator=estimator, root=root, widths="2"))
            torch.manual_seed(1)  # the same events of the truth
            found[estimator, root] = task.mmd(fake)
    torch.testing.assert_close(found["biased", 1].square(), found["biased", 0])
    assert (found["biased", 0] > found["unbiased", 0]).all()
    torch.testing.assert_close(found["mesh", 0], found["unbiased", 0], rtol=0.15, atol=0)  # 3000 and 200 of the truth
    with pytest.raises(SystemExit, match="expected --masses"):
        EventGanTask(config(sample, tmp_path, masses="bw"))
    with pytest.raises(SystemExit, match=r"--output momenta or decays; found .* energies"):
        EventGanTask(config(sample, tmp_path, output="energies"))


def test_masses_are_those_of_the_momenta(sample, tmp_path):
    task = EventGanTask(config(sample, tmp_path))
    for network in (task.model, EventGan()):
        noise = torch.randn(50, 18)
        raw, momenta = network.raw(noise), network.draw(noise).double()
        shell = torch.tensor(MASSES, dtype=torch.float64)
        for k, particles in enumerate(MASSES_OF):
            expected = invariant_mass(momenta, shell, particles).float()
            torch.testing.assert_close(network.masses(raw)[:, k], expected, rtol=1e-3, atol=0.01)
    again = task.model.encode(task.train.on_shell())
    torch.testing.assert_close(task.model.masses(again).T.float(), task.true_masses, rtol=1e-5, atol=0)
    assert float(again[:, 16:].abs().max()) < 1e-3  # the truth balances
    momenta = EventGan().encode(task.train.on_shell())
    torch.testing.assert_close(SCALE * momenta.view(-1, 6, 3).float(), task.train.momenta)


def test_the_output_decays_has_all_of_the_phase_space():
    """Eighteen momenta change in eighteen directions: masses and balance are free."""
    torch.manual_seed(2)
    network = EventGan("small", "decays").double()
    noise = 0.5 * torch.randn(1, 18, dtype=torch.float64)
    slope = torch.autograd.functional.jacobian(lambda z: network.draw(z).flatten(), noise)[:, 0]  # [18, 18]
    singular = torch.linalg.svdvals(slope)
    assert float(singular[-1]) > 1e-3 * float(singular[0]) > 0
    momenta = network.draw(torch.randn(500, 18, dtype=torch.float64))
    found = observables(momenta.detach().numpy())
    assert (found["m_wp"] < found["m_t"] - 4.7).all()  # whatever the network says
    assert np.hypot(found["balance_x"], found["balance_y"]).mean() > 10.0
    raw = network.raw(torch.randn(500, 18, dtype=torch.float64))
    assert float(network.masses(raw).detach()[:, 2].std()) > 10.0  # begins far from any peak


# --- the flow -------------------------------------------------------------------------------------------------------


@pytest.fixture
def flow():
    torch.manual_seed(3)
    network = EventFlow(hidden=16, n_bins=6).double().eval()
    nn.init.normal_(network.last, std=0.3)
    return network


def test_sampling_inverts_the_likelihood(flow):
    noise = normal(200, 16).clamp(-5, 5)
    with torch.no_grad():
        t = flow.sample(noise)
        given = flow.seen(t).flatten(1)
        h = nn.functional.hardswish(given @ (flow.first * flow.known) + flow.first_bias)
        h = nn.functional.hardswish(torch.baddbmm(flow.second_bias, h, flow.second))
        parameters = torch.baddbmm(flow.last_bias, h, flow.last)
        z, _ = spline(t.T.reshape(-1), parameters.flatten(0, 1), flow.n_bins)
    torch.testing.assert_close(z.view(16, -1).T, noise, rtol=1e-6, atol=1e-6)


def test_likelihood_is_a_chain(flow):
    t = normal(20, 16).requires_grad_()
    for k in (0, 5, 15):
        (slope,) = torch.autograd.grad(flow.log_prob(t)[:, k].sum(), t)
        assert (slope[:, k + 1 :] == 0).all()
        assert (slope[:, : k + 1] != 0).any(0).all()


def test_azimuths_have_no_seam(flow):
    t = normal(10, 16)
    ends = [t.clone() for _ in range(2)]
    ends[0][:, 7], ends[1][:, 7] = -5.0, 5.0  # the same direction
    a, b = (flow.seen(end)[:, 7] for end in ends)
    torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


# --- the models -----------------------------------------------------------------------------------------------------


def finish(task) -> dict:
    return task.metadata() | {
        "provenance": {"data": [], "seed": 1, "command": "", "torch": "", "generator": ""},
        "metrics": {},
    }


def run(path, n: int, seed: int = 1, first: int = 0):
    """n events of a model: items [n, 6, 4], codes [n, 6], scalars [n, 2]."""
    engine = core().Engine(core().Model(str(path)), device="cpu")
    none = np.zeros((0, 0), np.float32)
    offsets, events = np.zeros(n + 1, np.int64), np.arange(first, first + n)
    out = engine.run(none, none.astype(np.int64), offsets, np.zeros((n, 0), np.float32), event=events, seed=seed)
    assert out["offsets"].tolist() == (6 * np.arange(n + 1)).tolist()
    return out["items"].reshape(n, 6, 4), out["item_codes"].reshape(n, 6), out["scalars"]


@pytest.mark.parametrize("kind", ["mmd", "arctan", "flow"])
def test_exported_model_under_the_engine(sample, tmp_path, kind):
    if kind == "flow":
        settings = EventFlowConfig(data=sample, val=sample, out=tmp_path / "model.pt", hidden=16)
        task = EventFlowTask(settings)
    else:
        task = EventGanTask(config(sample, tmp_path, masses=kind))
    task.model.decays.copy_(torch.tensor([0.5, 0.0, 0.25, 0.25]))
    path = export(task.model, finish(task), tmp_path / "model.pt")  # compares scripted with eager
    items, codes, scalars = run(path, 2000)
    assert np.isfinite(items).all()
    assert (items[:, :, 3] == np.array(MASSES, np.float32)).all()  # on shell exactly
    found = [tuple(code) for code in codes[:, 0:2].tolist()]
    shares = [found.count(decay) / len(found) for decay in DECAYS]
    assert shares == pytest.approx([0.5, 0.0, 0.25, 0.25], abs=0.05)
    assert {tuple(code) for code in codes[:, [2, 5]].tolist()} == {(5, -5)}
    assert {tuple(-c for c in code[::-1]) for code in codes[:, 3:5].tolist()} == {DECAYS[k] for k in (0, 2, 3)}
    assert {tuple(ids) for ids in scalars.astype(int).tolist()} <= set(INCOMING)
    balance = np.abs(items[:, :, :2].sum(1)).max()
    assert (balance < 1e-2) == (kind != "mmd")  # float32; the plain GAN has to learn it
    later = run(path, 10, first=1990)  # an event does not depend on its batch
    np.testing.assert_allclose(later[0], items[1990:], rtol=1e-4, atol=1e-2)
    assert not np.allclose(run(path, 10, seed=2)[0], items[:10])


def test_training_the_flow_finds_the_density(sample, tmp_path):
    settings = EventFlowConfig(
        data=sample, val=sample, out=tmp_path / "flow.pt", epochs=12, batch=250, hidden=16, rate=2e-2, average=0.9
    )
    path = train("event-flow", settings)
    task = EventFlowTask(settings)
    before = task.validate(task.model)
    assert before["initial"] == pytest.approx(math.log(len(INCOMING)), rel=1e-4)  # the last layer begins at zero
    items, _, _ = run(path, 3000)
    p = torch.from_numpy(items[:, :, :3]).double()
    task.model.coordinates.double()
    t = task.model.coordinates.encode(with_energy(p, torch.tensor(MASSES, dtype=torch.float64)))
    assert float(torch.corrcoef(t[:, [8, 10]].T)[0, 1]) == pytest.approx(0.8, abs=0.06)
    assert float(torch.corrcoef(t[:, [8, 14]].T)[0, 1]) == pytest.approx(0.0, abs=0.1)
    truth, found = observables(task.train.momenta.numpy()), observables(items[:, :, :3])
    for name in DISTRIBUTIONS:
        assert distance(truth[name], found[name]) < 0.12, name
    for name in RESONANCES:
        assert quartiles(found[name]) == pytest.approx(quartiles(truth[name]), rel=0.1), name


def test_the_bundled_gan_has_learned_both_peaks():
    """Positions within 0.5 % and widths within 5 % of the truth (80.49, 2.02 and 172.99, 1.47 GeV), and the balance."""
    path = find_model("event-gan").path
    items, _, _ = run(path, 40_000, seed=7)
    found = observables(items[:, :, :3])
    for keys, (mass, width) in ((RESONANCES[:2], (80.490, 2.021)), (RESONANCES[2:], (172.991, 1.468))):
        position, spread = quartiles(np.concatenate([found[key] for key in keys]))
        assert position == pytest.approx(mass, rel=0.005)
        assert spread == pytest.approx(width, rel=0.05)
    total = np.hypot(found["balance_x"], found["balance_y"])
    assert (total / np.hypot(items[:, :, 0], items[:, :, 1]).sum(1)).mean() < 0.01
