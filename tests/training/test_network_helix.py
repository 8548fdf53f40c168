# SPDX-License-Identifier: MIT
"""The helix against straight lines, circles, a float64 integration of the motion, and Delphes' own tracks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from training.networks.helix import propagate, wrap

FIELD, RADIUS, HALF_LENGTH = 3.8, 1.29, 3.0


def follow(pt, eta, phi, charge, vertex=(0.0, 0.0, 0.0)):
    columns = [torch.tensor([float(v)]) for v in (pt, eta, phi, charge)]
    return propagate(*columns, torch.tensor([[float(v) for v in vertex]]), FIELD, RADIUS, HALF_LENGTH)


def integrate(pt, eta, phi, charge, vertex_mm, step=2e-4):
    """Position where a particle leaves the cylinder, by small exact rotations in float64 [m]."""
    x, y, z = (v * 1e-3 for v in vertex_mm)
    slope, turn = math.sinh(eta), -charge * 0.299792458 * FIELD / pt * step
    for _ in range(400_000):
        middle = phi + 0.5 * turn
        before = (x, y, z)
        x, y, z, phi = x + step * math.cos(middle), y + step * math.sin(middle), z + slope * step, phi + turn
        if math.hypot(x, y) > RADIUS or abs(z) > HALF_LENGTH:
            return before
    raise AssertionError("the particle did not leave the cylinder")


def test_neutral_particles_fly_straight():
    arrival = follow(5.0, 0.7, 2.0, 0.0)
    assert arrival.eta.item() == pytest.approx(0.7, abs=1e-6)
    assert arrival.phi.item() == pytest.approx(2.0, abs=1e-6)


@pytest.mark.parametrize("charge", [1, -1, 2])
def test_radius_of_curvature(charge):
    """From the origin a chord of length R makes an angle asin(R / 2r) with the start, against the charge's sign."""
    arrival = follow(2.0, 0.1, 0.5, charge)
    r = 2.0 / (0.299792458 * abs(charge) * FIELD)
    expected = 0.5 - np.sign(charge) * math.asin(RADIUS / (2 * r))
    assert arrival.phi.item() == pytest.approx(expected, abs=1e-6)
    path = 2 * r * math.asin(RADIUS / (2 * r))
    assert arrival.eta.item() == pytest.approx(math.asinh(math.sinh(0.1) * path / RADIUS), abs=1e-6)


def test_curler_ends_in_the_endcap():
    """Below pt = 0.3 B R / 2 = 0.735 GeV nothing from the origin reaches the barrel."""
    assert abs(follow(0.70, 0.3, 0.0, 1).eta.item()) > math.asinh(HALF_LENGTH / RADIUS)
    assert abs(follow(0.77, 0.3, 0.0, 1).eta.item()) < math.asinh(HALF_LENGTH / RADIUS)


def test_against_integration():
    random = np.random.default_rng(1)
    for _ in range(25):
        pt, eta, phi = math.exp(random.normal(0.3, 0.8)), random.uniform(-2.5, 2.5), random.uniform(-3.1, 3.1)
        charge, vertex = random.choice([-1, 1]), random.normal(0.0, 200.0, 3)
        x, y, z = integrate(pt, eta, phi, charge, vertex)
        arrival = follow(pt, eta, phi, charge, vertex)
        assert math.remainder(arrival.phi.item() - math.atan2(y, x), 2 * math.pi) == pytest.approx(0, abs=4e-3)
        assert arrival.eta.item() == pytest.approx(math.asinh(z / math.hypot(x, y)), abs=4e-3)


def test_closest_approach_of_a_straight_line():
    arrival = follow(10.0, 1.0, 0.0, 0.0, (30.0, 40.0, 5.0))
    assert arrival.d0.item() == pytest.approx(-40.0, rel=1e-5)
    assert arrival.dz.item() == pytest.approx(5.0 - 30.0 * math.sinh(1.0), rel=1e-5)
    assert arrival.track_phi.item() == pytest.approx(0.0, abs=1e-6)


def test_extreme_inputs_stay_finite():
    pt = torch.tensor([1e-14, 1e-9, 1e-3, 0.1, 1e3, 1e5, 1.0, 1.0])
    eta = torch.tensor([8.0, -8.0, 0.0, 0.0, 1e-9, -2.0, 0.5, 0.5])
    charge = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0, 1.0, 0.0, 1.0])
    vertex = torch.zeros(8, 3)
    vertex[6] = torch.tensor([5e4, 0.0, 0.0])  # outside
    vertex[7] = torch.tensor([1290.0, 0.0, 3000.0])  # on the edge
    arrival = propagate(pt, eta, torch.zeros(8), charge, vertex, FIELD, RADIUS, HALF_LENGTH)
    for value in arrival:
        assert torch.isfinite(value.float()).all()
    assert not arrival.inside[6]
    assert not arrival.inside[0]  # Delphes drops pt^2 < 1e-9


def test_wrap_is_half_open():
    angles = torch.tensor([math.pi, -math.pi, 3.5, -3.5, 0.0])
    wrapped = wrap(angles)
    assert (wrapped.abs() <= math.pi + 1e-6).all()
    assert wrapped[2].item() == pytest.approx(3.5 - 2 * math.pi, abs=1e-6)


@pytest.mark.data
def test_against_tracks_of_delphes(data_folder):
    """d0, dz and phi of EFlowTrack follow from vertex and momentum of the particle that it refers to."""
    uproot = pytest.importorskip("uproot")
    tree = uproot.open(data_folder / "real" / "delphes_ttbar100.root")["Delphes"]

    def column(branch, name):
        return tree[f"{branch}/{branch}.{name}"].array()

    ids, references = column("Particle", "fUniqueID"), column("EFlowTrack", "Particle").ref
    rows = []
    for number, reference in zip(ids, references):
        position = {int(value): row for row, value in enumerate(number)}
        rows.append(np.array([position[int(value)] for value in reference], dtype=int))
    names = ("PT", "Eta", "Phi", "X", "Y", "Z")
    particle = {
        name: np.concatenate([np.asarray(values)[row] for values, row in zip(column("Particle", name), rows)])
        for name in names
    }
    track = {n: np.concatenate([np.asarray(v) for v in column("EFlowTrack", n)]) for n in ("D0", "DZ", "Phi", "Charge")}
    arrival = propagate(
        *(torch.from_numpy(particle[name]).float() for name in ("PT", "Eta", "Phi")),
        torch.from_numpy(track["Charge"]).float(),
        torch.from_numpy(np.stack([particle[n] for n in "XYZ"], 1)).float(),
        FIELD,
        RADIUS,
        HALF_LENGTH,
    )
    turn = np.angle(np.exp(1j * (arrival.track_phi.numpy() - track["Phi"])))
    assert np.abs(turn).max() < 1e-4
    assert np.abs(arrival.d0.numpy() - track["D0"]).max() < 0.02  # mm
    assert np.abs(arrival.dz.numpy() - track["DZ"]).max() < 0.02
