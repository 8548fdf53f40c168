# SPDX-License-Identifier: MIT
"""Subtraction: counting function and losses by hand, samples, the dipole's limits, training, export and engine."""

from __future__ import annotations

import itertools
import json
import math

import hepgen_fastsim as hf
import numpy as np
import pytest
import torch
from hepgen_fastsim._core_loader import core
from hepgen_fastsim.registry import find_model

from training.data import dipole
from training.data import subtraction as data
from training.data.subtraction import Sample, Samples
from training.evaluate_subtraction import Generated, exact
from training.export import export, read_metadata
from training.networks.quantiles import QuantileTables
from training.networks.subtraction import (
    SubtractionGan,
    class_loss,
    classes_of,
    counting,
    data_sets,
    normalisation_loss,
    sliced_energy,
)
from training.subtraction_gan import SubtractionConfig, SubtractionTask

# --- counting and losses --------------------------------------------------------------------------------------------


def test_counting_is_one_for_a_clear_label_and_zero_for_none():
    assert float(counting(torch.eye(3), 5.0).min()) == 1.0
    assert float(counting(torch.full((1, 4), 0.25), 10.0)) < 2e-4
    c = torch.tensor([[0.8, 0.2]])
    assert float(counting(c, 5.0)) == pytest.approx(math.exp(-5.0 * (0.64 - 1.0) ** 2))
    assert float(counting(c, 5.0, 2.0)) == pytest.approx(math.exp(-5.0 * (0.64 - 1.0) ** 4))


def test_class_loss_by_hand():
    c = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    half = math.exp(-5.0 * 0.75**2)
    assert float(class_loss(c, 5.0)) == pytest.approx((1.0 - (1.0 + half) / 2.0) ** 2)
    assert float(class_loss(torch.eye(2), 5.0)) == 0.0


def test_normalisation_loss_by_hand():
    c = torch.eye(2)[[0, 0, 0, 1]]  # three events of the remainder, one of the common class
    member = torch.tensor([[1.0, 1.0], [0.0, 1.0]])  # base, subtract
    assert float(normalisation_loss(c, member, torch.tensor([1.0, 0.25]), 5.0)) == pytest.approx(0.0)
    assert float(normalisation_loss(c, member, torch.tensor([1.0, 0.5]), 5.0)) == pytest.approx(0.25**2)


def test_losses_have_gradients_in_the_labels():
    logits = torch.tensor([[2.0, 0.0], [0.1, 0.2], [0.0, 1.0]], requires_grad=True)
    c = torch.softmax(logits, 1)
    member = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    (class_loss(c, 5.0) + normalisation_loss(c, member, torch.tensor([1.0, 0.9]), 5.0)).backward()
    assert bool((logits.grad.abs().sum(1) > 0).all())


def test_sliced_energy_is_the_distance_of_all_pairs():
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(30, 2, generator=generator), torch.randn(20, 2, generator=generator) + 0.5
    weight = torch.rand(30, generator=generator).softmax(0)
    directions = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    expected = 0.0
    for a, b in ((x @ d, y @ d) for d in directions):
        cross = (weight[:, None] * (a[:, None] - b[None, :]).abs()).sum() / 20
        pairs = weight[:, None] * weight[None, :] * (1.0 - torch.eye(30))  # without those of an event with itself
        own = (pairs * (a[:, None] - a[None, :]).abs()).sum() / pairs.sum()
        expected += (2 * cross - own - (b[:, None] - b[None, :]).abs().mean()) / 2
    assert float(sliced_energy(x, weight, y, directions)) == pytest.approx(float(expected), rel=1e-4)


# --- samples --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", list(data.TOYS))
def test_toys_follow_their_densities_and_integrate_to_their_norm(case):
    found = data.toy(case, 200_000, 3)
    x = np.linspace(data.LOW, data.HIGH, 400_001)
    edges = np.array([1.0, 1.5, 3.0, 10.0, 40.0, 80.0, 90.0, 100.0, 150.0, 200.0])
    for sample, events, (_, _, terms) in zip(found.samples, found.events, data.TOYS[case], strict=True):
        density = sum(data.density(term, x) for term in terms)
        assert np.trapezoid(density, x) == pytest.approx(sample.sigma, rel=1e-6)
        assert (events.min() >= 1.0, events.max() <= 200.0) == (True, True)
        counts = np.histogram(events, edges)[0]
        inside = [(x >= a) & (x <= b) for a, b in itertools.pairwise(edges)]
        expected = len(events) / sample.sigma * np.array([np.trapezoid(density[i], x[i]) for i in inside])
        assert ((counts - expected) ** 2 / expected).sum() < 30  # nine bins
    result = exact(case, np.linspace(1, 200, 100), False).sum()
    assert result == pytest.approx(found.result, rel=1e-5)


def test_the_third_toy_is_negative_about_the_peak():
    found = data.toy("toy3", 10, 1)
    below = exact("toy3", np.linspace(1, 200, 2000), False)
    assert found.negative == pytest.approx(-data.SLACK * below[below < 0].sum(), rel=1e-3)
    assert data.toy("toy1", 10, 1).negative == 0.0


def test_a_file_keeps_samples_and_roles(tmp_path):
    made = data.toy("toy2", 50, 1)
    data.write(made, tmp_path / "toy2.parquet")
    found = data.load(tmp_path / "toy2.parquet")
    assert found.samples == made.samples
    assert all(np.array_equal(a, b) for a, b in zip(found.events, made.events))


def many() -> Samples:
    """Two base samples, two to subtract, one to add."""
    rng = np.random.default_rng(1)
    roles = (
        ("b1", "base", 3.0),
        ("b2", "base", 1.0),
        ("s1", "subtract", 1.0),
        ("s2", "subtract", 0.5),
        ("a", "add", 2.0),
    )
    events = tuple(rng.normal(k, 1.0, (1000, 2)).astype(np.float32) for k in range(5))
    return Samples("other", ("x", "y"), tuple(Sample(*entry) for entry in roles), events)


def test_any_number_of_samples_has_a_table_of_classes():
    found = classes_of(many())
    assert found.names == ("remainder", "common s1", "common s2", "added a")
    assert found.rates == (2.5, 1.0, 0.5, 2.0)
    assert found.member == ((1, 1, 1, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
    assert found.signs == (1.0, 0.0, 0.0, 1.0)
    assert np.dot(found.rates, found.signs) == pytest.approx(many().result)
    base = data_sets(many())[0]
    assert len(data_sets(many())) == 4
    assert base[:, 0].mean() == pytest.approx(0.25, abs=0.15)  # three events of b1 for one of b2


def test_what_is_negative_has_a_class_of_its_own():
    found = classes_of(data.toy("toy3", 10, 1))
    assert found.names[-1] == "negative"
    assert found.signs == (1.0, 0.0, -1.0)
    rates, member = np.array(found.rates), np.array(found.member)
    assert (member @ rates).tolist() == pytest.approx([s.sigma for s in data.toy("toy3", 10, 1).samples])
    too_much = many()
    swapped = tuple(
        Sample(s.name, {"base": "subtract", "subtract": "base"}.get(s.role, s.role), s.sigma) for s in too_much.samples
    )
    with pytest.raises(SystemExit, match="exceeds the base"):
        classes_of(Samples("other", ("x", "y"), swapped, too_much.events))


def test_tables_of_several_samples_agree_in_the_values():
    """A sample of two lobes is one lobe in its own quantiles, and its values are what another's table says of them."""
    rng = np.random.default_rng(1)
    lobes = np.concatenate([rng.normal(-3, 0.3, (5000, 2)), rng.normal(4, 0.3, (500, 2))])
    peak = rng.normal(0, 1, (5000, 2))
    tables = QuantileTables(2, 2)
    tables.fit([lobes, peak])
    u = tables.to_normal(torch.from_numpy(lobes), 0)
    assert float(u.mean()) == pytest.approx(0.0, abs=0.02)
    assert float(u.std()) == pytest.approx(1.0, abs=0.02)
    zero = torch.zeros(len(lobes), dtype=torch.int64)
    np.testing.assert_allclose(tables(u, zero).numpy(), lobes, atol=1e-4)
    x = torch.linspace(-2.5, 2.5, 21, dtype=torch.float64)[:, None].repeat(1, 2).requires_grad_()
    other = tables.to_normal(x, 1)
    np.testing.assert_allclose(tables(other, zero[:21] + 1).detach().numpy(), x.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(other.detach().numpy(), x.detach().numpy(), atol=0.25)  # a normal sample
    (slope,) = torch.autograd.grad(other.sum(), x)
    assert float(slope.min()) > 0.3  # values move, and what is seen of them


def test_classes_have_the_quantiles_of_their_samples(file, tmp_path):
    task = task_of(file, tmp_path)
    assert task.model.table.tolist() == [1, 2, 2]  # remainder: base; common and negative: what is subtracted
    learnt = task_of(file, tmp_path, classes="learnt")
    assert learnt.model.table.tolist() == [0, 0, 0]
    assert [round(float(x.std()), 1) for x in task.sets] == [1.0, 1.0]
    network = SubtractionGan(data.toy("toy2", 500, 1), 4, 1, False)
    assert network.table.tolist() == [1, 2, 3]


# --- the dipole -----------------------------------------------------------------------------------------------------


def point(x: float, v: float) -> tuple[np.ndarray, ...]:
    """s, t, u at M^2 / s = x and v = -t / s."""
    s = dipole.Z_MASS**2 / x
    return np.array([s]), np.array([-v * s]), np.array([dipole.Z_MASS**2 - s + v * s])


@pytest.mark.parametrize("kappa", [0.0, dipole.KAPPA])
def test_real_over_dipoles_goes_to_one_in_the_collinear_and_in_the_soft_limit(kappa):
    for small in (1e-2, 1e-4, 1e-6):
        collinear = point(0.5, small)
        other = point(0.5, 0.5 - small)
        soft = point(1.0 - small, 0.3 * small)
        for s, t, u in (collinear, other, soft):
            ratio = float(dipole.real(s, t, u)[0] / dipole.dipoles(s, t, u, kappa)[0])
            assert ratio == pytest.approx(1.0, abs=20.0 * small)


def test_real_less_the_unmodified_dipoles_is_minus_two():
    s, t, u = point(0.3, np.linspace(0.01, 0.69, 20))
    assert dipole.real(s, t, u) - dipole.dipoles(s, t, u, 0.0) == pytest.approx(-2.0, abs=1e-6)
    assert bool((dipole.real(s, t, u) > dipole.dipoles(s, t, u)).all())


def test_invariants_are_those_of_a_gluon_and_a_z():
    x1, x2, s, t, u = dipole.invariants(np.log([20.0]), np.array([0.7]), np.array([-0.4]))
    assert float((s + t + u)[0]) == pytest.approx(dipole.Z_MASS**2)
    assert float((t * u / s)[0]) == pytest.approx(20.0**2)
    assert float((x1 * x2)[0]) == pytest.approx(float(s[0]) / dipole.BEAM**2)


# --- lepton pairs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lepton_pairs():
    """Balanced pairs inside the cuts, their momenta and coordinates."""
    rng = np.random.default_rng(1)
    n = 4000
    pt, eta = 10.0 + rng.exponential(25.0, n), rng.normal(0, 1.5, (n, 2))
    phi = rng.uniform(-np.pi, np.pi, n)
    em = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta[:, 0])], 1)
    ep = np.stack([-em[:, 0], -em[:, 1], pt * np.sinh(eta[:, 1])], 1)
    return pt, eta, data.pair_coordinates(em, ep)


def samples_of(case: str, events: np.ndarray, columns: tuple[str, ...]) -> Samples:
    samples = (Sample("base", "base", 3.0), Sample("less", "subtract", 1.0))
    return Samples(case, columns, samples, (events.astype(np.float32), events[: len(events) // 2].astype(np.float32)))


def test_pairs_decode_to_their_momenta(lepton_pairs):
    pt, eta, coordinates = lepton_pairs
    assert np.abs(coordinates[:, 2]).max() <= 1.0
    network = SubtractionGan(samples_of("dilepton", coordinates, ("log_m", "y", "angle")), 4, 1, False)
    items = network.decode(torch.from_numpy(coordinates), torch.full((len(pt),), 0.5)).numpy()
    usual = np.abs(coordinates[:, 2]) < 0.99
    assert np.allclose(items[usual, 0, 0], pt[usual], rtol=1e-3)
    assert np.allclose(items[usual][:, :, 1], eta[usual], atol=1e-3)
    balance = [(items[:, :, 0] * f(items[:, :, 2])).sum(1) for f in (np.cos, np.sin)]
    assert np.abs(balance).max() < 1e-3


def test_dipole_events_conserve_momentum_on_the_mass_shell():
    x = torch.tensor([[math.log(30.0), 1.0, -0.5]])
    network = SubtractionGan(
        samples_of("dipole", np.random.default_rng(1).normal(3, 1, (100, 3)), ("log_pt", "y_g", "y_z")), 4, 1, False
    )
    (z, g) = network.decode(x, torch.tensor([2.0]))[0].double()
    assert g.tolist()[:2] == pytest.approx([30.0, 1.0])
    assert float(z[3]) == pytest.approx(dipole.Z_MASS)
    energy = math.sqrt((float(z[0]) * math.cosh(float(z[1]))) ** 2 + dipole.Z_MASS**2)
    assert math.atanh(float(z[0]) * math.sinh(float(z[1])) / energy) == pytest.approx(-0.5, abs=1e-5)
    assert abs(abs(float(z[2] - g[2])) - math.pi) < 1e-6


# --- training, export, engine ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("subtraction") / "toy3.parquet"
    data.write(data.toy("toy3", 5000, 1), path)
    return path


def task_of(file, tmp_path, **values) -> SubtractionTask:
    torch.manual_seed(1)
    return SubtractionTask(SubtractionConfig(data=file, val=file, out=tmp_path / "m.pt", steps=40, batch=256, **values))


def exported(task, path):
    metadata = task.metadata()
    metadata["provenance"] |= {"data": [], "seed": 1, "command": "", "torch": torch.__version__, "code_version": ""}
    return export(task.model, metadata | {"metrics": {}}, path)


def trained(task, epochs: int) -> dict[str, float]:
    """The last losses after some epochs."""
    optimisers = task.optimisers()
    for epoch in range(epochs):
        for batch in task.batches(torch.Generator().manual_seed(epoch)):
            losses = task.update(batch, optimisers)
    return losses


def test_a_short_training_improves_the_closure(file, tmp_path):
    task = task_of(file, tmp_path)
    task.scorer.events = 20_000
    torch.nn.init.constant_(task.model.net[-1].bias, 0.2)  # the quantiles alone make a good beginning
    before = task.validate(task.model)["score"]
    assert set(trained(task, 2)) == {"discriminator", "generator", "energy"}
    assert task.validate(task.model)["score"] < 0.7 * before


def test_learnt_labels_become_clear(file, tmp_path):
    task = task_of(file, tmp_path, classes="learnt", energy=0.0)
    before = float(class_loss(task.draw()[1].detach(), task.config.alpha))
    assert set(trained(task, 2)) == {"discriminator", "generator", "class", "norm"}
    assert float(class_loss(task.draw()[1].detach(), task.config.alpha)) < 0.3 * before


def test_drawn_classes_weigh_as_their_cross_sections(file, tmp_path):
    task = task_of(file, tmp_path)
    _, label = task.draw()
    weights = task.weights(label)  # [2, N]
    assert torch.allclose(weights.sum(1), torch.ones(2))
    rates = np.array(task.classes.rates)
    share = (weights @ label).numpy()
    assert share[0] == pytest.approx([*(rates[:2] / rates[:2].sum()), 0.0], abs=1e-3)
    assert share[1] == pytest.approx([0.0, *(rates[1:] / rates[1:].sum())], abs=1e-3)


@pytest.mark.parametrize("classes", ["drawn", "learnt"])
def test_the_engine_draws_what_is_asked_for(file, tmp_path, classes):
    task = task_of(file, tmp_path, classes=classes)
    generated = Generated(exported(task, tmp_path / "m.pt"), 4000)
    weights, which = generated.scalars.T
    assert generated.metadata["provenance"]["classes"][2]["name"] == "negative"
    assert set(np.unique(weights)) <= {-1.0, 1.0}
    assert np.array_equal(weights < 0, which == 2)
    assert not np.any(which == 1)  # what is common leaves with the subtraction
    assert len(generated.items) == len(weights)
    if classes == "drawn":
        assert len(generated.items) == 4000
        rates = np.array(task.classes.rates)
        expected = rates[2] / (rates[0] + rates[2])
        assert (weights < 0).mean() == pytest.approx(expected, abs=4 * math.sqrt(expected / 4000))
        assert generated.normalisation() == pytest.approx(1.0, abs=0.1)
    assert set(np.unique(generated.base[:, 1])) <= {0.0, 1.0}


@pytest.mark.parametrize(("case", "codes"), [("dilepton", [11, -11]), ("dipole", [23, 21])])
def test_events_of_particles_come_from_the_engine_alone_and_in_batches(tmp_path, lepton_pairs, case, codes):
    columns = ("log_m", "y", "angle") if case == "dilepton" else ("log_pt", "y_g", "y_z")
    data.write(samples_of(case, lepton_pairs[2], columns), tmp_path / "s.parquet")
    path = exported(task_of(tmp_path / "s.parquet", tmp_path), tmp_path / "m.pt")
    loaded = core().Model(str(path))
    engine = core().Engine(loaded, "cpu")

    def run(events):
        n = len(events)
        none, start = np.zeros((0, 0), np.float32), np.zeros(n + 1, np.int64)
        return engine.run(none, none.astype(np.int64), start, np.zeros((n, 1), np.float32), events, 1, 1)

    many, one = run(np.arange(500)), run(np.array([7]))
    assert many["item_codes"].ravel().tolist() == codes * 500
    assert np.allclose(many["items"][14:16], one["items"], rtol=1e-4)
    assert [c["name"] for c in json.loads(loaded.metadata)["output"]["features"]] == ["pt", "eta", "phi", "mass"]
    generated = hf.Generator(path, seed=1)(20)
    assert generated.particles.pdgid.to_list() == [codes] * 20
    assert set(generated.weight.to_list()) == {1.0}  # left out, the condition is the result
    if case == "dilepton":
        assert many["items"][:, 0].min() > 9.9


#: mass range [GeV] -> cross section [pb] of base less subtract in the test samples, error of the training samples' own
LEPTON_PAIRS = {
    (20, 25): (1.118, 1.7),
    (25, 30): (0.9169, 1.6),
    (30, 40): (1.729, 1.7),
    (40, 50): (3.168, 1.2),
    (50, 60): (4.718, 0.85),
    (60, 70): (9.853, 0.72),
    (70, 80): (25.47, 0.78),
    (80, 86): (59.21, 1.0),
    (86, 89): (131.6, 1.5),
    (89, 93): (900.4, 3.8),
    (93, 96): (150.7, 1.6),
    (96, 110): (78.86, 1.2),
    (110, 150): (15.6, 0.6),
    (150, 300): (2.997, 0.33),
}


def test_the_bundled_difference_of_lepton_pairs_is_a_z_without_the_photon():
    """No range of the page is beyond 3 sigma of the samples; chi squared is below twice the number of ranges."""
    path = find_model("subtraction-dilepton").path
    items = Generated(path, 300_000).items
    energy = items[:, :, 0] * np.cosh(items[:, :, 1])
    pz = items[:, :, 0] * np.sinh(items[:, :, 1])
    mass = np.sqrt(energy.sum(1) ** 2 - pz.sum(1) ** 2)  # the pair balances
    weight = read_metadata(path)["provenance"]["result_sigma"] / len(mass)  # pb
    edges = [20, *(high for _, high in LEPTON_PAIRS)]
    truth, error = np.array(list(LEPTON_PAIRS.values())).T
    pull = (np.histogram(mass, edges)[0] * weight - truth) / error
    assert np.abs(pull).max() < 3.0
    assert np.sum(pull**2) < 2.0 * len(pull)
