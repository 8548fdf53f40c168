# SPDX-License-Identifier: MIT
"""Paths in a solenoid, by hand and against Delphes' own file; the cells of its calorimeters."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot
from hepgen_fastsim import geometry
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.helix import CMS, LEAVES, Magnet, arrival, cos_sin, follow
from hepgen_fastsim.io.delphes import C_LIGHT

ONE, AT_ORIGIN = np.ones(1), np.zeros((3, 1))


def cartesian(pt, eta, phi):
    return pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)


def test_cosine_and_sine_are_numpys():
    phi = np.append(np.linspace(-8.0, 8.0, 10_001), [np.pi, -np.pi, np.pi / 2, 1e4])
    np.testing.assert_allclose(cos_sin(phi), (np.cos(phi), np.sin(phi)), atol=4e-16)


def test_neutral_particles_go_straight():
    out = follow(cartesian(5 * ONE, 0.7, 0.4), 0 * ONE, AT_ORIGIN)
    assert (out.eta_out[0], out.phi_out[0], out.track_phi[0]) == pytest.approx((0.7, 0.4, 0.4), abs=1e-6)
    assert out.length[0] == pytest.approx(1290 * np.cosh(0.7), rel=1e-6)
    assert (out.d0[0], out.z_d[0]) == pytest.approx((0.0, 0.0), abs=1e-6)
    # from (0, 300, 50) mm along x: passes the beam at 300 mm, to the left of it
    out = follow(cartesian(5 * ONE, 0, 0), 0 * ONE, np.array([[0.0], [300.0], [50.0]]))
    assert (out.x_out[0], out.y_out[0]) == pytest.approx((np.sqrt(1290**2 - 300**2), 300.0), rel=1e-5)
    assert (out.x_d[0], out.y_d[0], out.z_d[0]) == pytest.approx((0.0, 300.0, 50.0), abs=1e-3)
    assert out.d0[0] == pytest.approx(-300.0, abs=1e-3)


def test_charged_particles_turn():
    # sin(dphi) = R / 2 r with r = pT / (0.3 B), against the positive sense for a positive charge
    radius = 20 / (0.299792458 * 3.8)
    for charge in (1, -1):
        out = follow(cartesian(20 * ONE, 0, 0), charge * ONE, AT_ORIGIN)
        assert np.sin(-charge * out.phi_out[0]) == pytest.approx(1.29 / 2 / radius, rel=1e-6)
    # pT 0.3 GeV turns within 0.53 m: leaves through the endcap, after 3 m / tanh(eta)
    soft = cartesian(0.3 * ONE, 0.1, 0)
    out = follow(soft, ONE, AT_ORIGIN)
    assert out.z_out[0] == pytest.approx(3000.0)
    assert out.length[0] == pytest.approx(3000 / np.tanh(0.1), rel=1e-6)
    assert follow(soft, ONE, AT_ORIGIN, Magnet(0.3, 1.29, 3.0)).z_out[0] < 1000


def test_what_starts_outside_stays():
    out = follow(cartesian(ONE, 0.5, 0.2), ONE, np.array([[2000.0], [0.0], [0.0]]))
    assert (out.x_out[0], out.length[0], out.eta_out[0], out.phi_out[0]) == pytest.approx((2000.0, 0.0, 0.5, 0.2))


def test_chosen_particles_and_their_arrival():
    random = np.random.default_rng(5)
    n = 3000  # more than are worked on at a time
    momentum = cartesian(np.exp(random.normal(0, 1, n)), random.uniform(-4, 4, n), random.uniform(-3, 3, n))
    charge, vertex = random.choice([-1, 0, 1], n), random.normal(0, 50, (3, n))
    own = {"mass": random.choice([0.0, 0.14, 5.0], n), "time": random.uniform(0, 100, n)}
    every = follow(momentum, charge, vertex, **own)
    p = np.sqrt(sum(component**2 for component in momentum))
    speed = C_LIGHT * p / np.sqrt(p**2 + own["mass"] ** 2)
    np.testing.assert_allclose(every.time_out, own["time"] / C_LIGHT + every.length / speed, rtol=1e-12)
    rows = np.array([17, -1, 2999, 17, 0])
    for name, values in follow(momentum, charge, vertex, rows=rows, **own)._asdict().items():
        expected = np.where(rows < 0, 0, getattr(every, name)[rows])
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-10, err_msg=name)
    found = arrival(momentum, charge, vertex, rows=rows, **own)
    np.testing.assert_allclose(found, np.where(rows < 0, 0, every.time_out[rows]), rtol=1e-12)
    assert follow(momentum, charge, vertex, rows=[]).length.shape == (0,)
    with pytest.raises(InputError, match="a row is not among those of the particles"):
        follow(momentum, charge, vertex, rows=[3000])
    with pytest.raises(InputError, match="should have the same length"):
        follow(momentum, charge, vertex[:, 1:])


def test_the_network_follows_the_same_paths():
    import torch

    from training.networks.helix import propagate

    random = np.random.default_rng(3)
    n = 500
    pt, eta, phi = np.exp(random.normal(0, 1, n)), random.uniform(-4, 4, n), random.uniform(-3, 3, n)
    charge, vertex = random.choice([-1, 0, 1], n), random.normal(0, 50, (n, 3))
    mine = follow(cartesian(pt, eta, phi), charge, vertex.T)
    other = propagate(*(torch.from_numpy(np.asarray(a, np.float64)) for a in (pt, eta, phi, charge, vertex)), *CMS)
    for name, theirs in (("eta_out", other.eta), ("d0", other.d0), ("z_d", other.dz)):
        np.testing.assert_allclose(getattr(mine, name), theirs, atol=1e-6)
    for name, theirs in (("phi_out", other.phi), ("track_phi", other.track_phi)):
        np.testing.assert_allclose(np.cos(getattr(mine, name) - theirs.numpy()), 1, atol=1e-9)


def test_edges_hold_their_positions():
    random = np.random.default_rng(1)
    for name in ("cms", "atlas"):
        for layer in geometry.load(name).calorimeters:
            eta, phi = random.uniform(-4.8, 4.8, 2000), random.uniform(-np.pi, np.pi, 2000)
            low_eta, high_eta, low_phi, high_phi = layer.edges(eta, phi).T
            assert ((low_eta < eta) & (eta <= high_eta) & (low_phi < phi) & (phi <= high_phi)).all()
            columns = 2 * np.pi / (high_phi - low_phi)
            np.testing.assert_allclose(columns, np.rint(columns), rtol=1e-9)
    ecal = geometry.load("cms").calorimeters[0]
    assert ecal.edges(np.array([0.01]), np.array([0.0]))[0] == pytest.approx([0.0, 0.0174, -np.pi / 180, 0.0])


def test_unknown_geometry():
    with pytest.raises(InputError, match=r"no geometry 'alice'; .* one of atlas, cms"):
        geometry.load("alice")


@pytest.mark.data
def test_leaves_of_a_real_file(data_folder):
    """Everything that Delphes derives without randomness comes out of the GEN record to the precision of float32."""
    tree = uproot.open(data_folder / "real" / "delphes_ttbar100.root")["Delphes"]

    def leaf(name):
        return ak.flatten(tree[name].array()).to_numpy()

    uid = tree["Particle.fUniqueID"].array()
    key = np.repeat(np.arange(100), ak.num(uid)) << 32 | ak.flatten(uid).to_numpy().astype(np.int64)
    event = np.repeat(np.arange(100), ak.num(tree["EFlowTrack.PT"].array()))
    wanted = event << 32 | ak.flatten(tree["EFlowTrack.Particle"].array().ref).to_numpy().astype(np.int64)
    order = np.argsort(key)
    row = order[np.searchsorted(key[order], wanted)]
    px, py, pz, mass, charge, x, y, z, t = (
        leaf(f"Particle.{n}")[row].astype(np.float64) for n in ("Px", "Py", "Pz", "Mass", "Charge", "X", "Y", "Z", "T")
    )
    path = follow((px, py, pz), charge, (x, y, z), mass=mass, time=t * C_LIGHT)
    for name, values in ((leaf, getattr(path, column)) for leaf, column in LEAVES.items()):
        theirs = leaf(f"EFlowTrack.{name}").astype(np.float64)
        off = np.abs(values - theirs)
        if name == "PhiOuter":
            off = np.abs((values - theirs + np.pi) % (2 * np.pi) - np.pi)
        scale = {"EtaOuter": 1.0, "PhiOuter": 1.0, "TOuter": 1e-8}.get(name, 1e3)
        assert np.quantile(off, 0.99) < 2e-6 * scale, name
        assert off.max() < 2e-4 * scale, name  # a curler of three turns
    for branch, layer in zip(("EFlowPhoton", "EFlowNeutralHadron"), geometry.load("cms").calorimeters):
        edges = ak.flatten(tree[f"{branch}.Edges[4]"].array()).to_numpy()
        np.testing.assert_allclose(layer.edges(leaf(f"{branch}.Eta"), leaf(f"{branch}.Phi")), edges, atol=1e-6)
