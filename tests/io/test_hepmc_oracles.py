# SPDX-License-Identifier: MIT
"""The HepMC reader beside pyhepmc, Delphes and the `particle` package."""

from __future__ import annotations

import io
import os
from pathlib import Path

import awkward as ak
import numpy as np
import pyhepmc
import pytest
from hepgen_fastsim.io.hepmc import read_hepmc
from hypothesis import given, settings
from hypothesis import strategies as st

REAL = Path(os.environ.get("HEPGEN_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "real"

momentum = st.one_of(st.floats(-1e4, 1e4, allow_subnormal=False), st.integers(-(10**6), 10**6).map(lambda i: i / 997))
mass = st.sampled_from([0.0, 0.13957039, 0.93827209, 91.1876])
code = st.sampled_from([21, -2, 211, -321, 2212, 1000020040, 1000022, 22, 11])
length = st.floats(-1e3, 1e3, allow_subnormal=False)


@st.composite
def events(draw):
    """A pyhepmc event: a tree of one to six vertices, some without a position of their own."""
    event = pyhepmc.GenEvent(
        draw(st.sampled_from([pyhepmc.Units.GEV, pyhepmc.Units.MEV])),
        draw(st.sampled_from([pyhepmc.Units.MM, pyhepmc.Units.CM])),
    )

    def particle(status):
        p, m = [draw(momentum) for _ in range(3)], draw(mass)
        made = pyhepmc.GenParticle((*p, float(np.sqrt(np.dot(p, p) + m * m))), draw(code), status)
        made.generated_mass = m
        return made

    open_ends = [particle(4), particle(4)]
    for i in range(draw(st.integers(1, 6))):
        at = (0.0, 0.0, 0.0, 0.0) if draw(st.booleans()) else tuple(draw(length) for _ in range(4))
        vertex = pyhepmc.GenVertex(at)
        for _ in range(2 if i == 0 else 1):
            vertex.add_particle_in(open_ends.pop(draw(st.integers(0, len(open_ends) - 1))))
        for _ in range(draw(st.integers(1, 4))):
            made = particle(draw(st.sampled_from([1, 2, 62])))
            vertex.add_particle_out(made)
            open_ends.append(made)
        event.add_vertex(vertex)
    event.weights = draw(st.lists(st.floats(-10, 10), min_size=2, max_size=2))
    event.event_number = draw(st.integers(0, 2**31 - 1))
    return event


def expected_particles(event) -> dict[str, np.ndarray]:
    """What the reader must give for an event that pyhepmc has read."""
    event.set_units(pyhepmc.Units.GEV, pyhepmc.Units.MM)
    particles = event.particles
    ends = [(0, 0, 0, 0) if (v := p.production_vertex) is None else tuple(v.position) for p in particles]
    mothers = [[q.id - 1 for q in p.parents] for p in particles]
    daughters = [[q.id - 1 for q in p.children] for p in particles]
    return {
        "pdgid": np.array([p.pid for p in particles]),
        "status": np.array([p.status for p in particles]),
        "p": np.array([tuple(p.momentum) for p in particles]),
        "mass": np.array([p.generated_mass for p in particles]),
        "v": np.array(ends),
        "m1": np.array([min(m, default=-1) for m in mothers]),
        "m2": np.array([max(m) if len(m) > 1 else -1 for m in mothers]),
        "d1": np.array([min(d, default=-1) for d in daughters]),
        "d2": np.array([max(d, default=-1) for d in daughters]),
    }


def four_momenta(particles: ak.Array) -> np.ndarray:
    return np.stack([np.asarray(getattr(particles, name)) for name in ("px", "py", "pz", "energy")], axis=1)


def check_event(particles: ak.Array, expected: dict[str, np.ndarray], order: np.ndarray | None = None) -> None:
    rows = np.arange(len(particles)) if order is None else order
    for name in ("pdgid", "status"):
        assert np.array_equal(np.asarray(particles[name])[rows], expected[name])
    p = four_momenta(particles)[rows]
    scale = np.abs(expected["p"][:, 3:]) + 1e-300
    assert (np.abs(p - expected["p"]) <= 1e-6 * scale).all()
    v = np.stack([np.asarray(particles[name]) for name in ("vx", "vy", "vz", "vt")], axis=1)[rows]
    assert np.allclose(v, expected["v"], rtol=1e-12, atol=0)
    # At most two mothers here: the same two, whatever the order of the record.
    rank = np.append(np.argsort(rows), -1)
    mothers = np.sort([rank[np.asarray(particles[name])[rows]] for name in ("m1", "m2")], axis=0)
    assert np.array_equal(mothers, np.sort([expected["m1"], expected["m2"]], axis=0))
    if order is None:
        assert np.allclose(p[:, :3], expected["p"][:, :3], rtol=1e-15, atol=0)
        assert np.allclose(np.asarray(particles.mass), expected["mass"], rtol=1e-14, atol=0)
        for name in ("m1", "m2", "d1", "d2"):
            assert np.array_equal(np.asarray(particles[name]), expected[name]), name


@settings(max_examples=60, deadline=None)
@given(st.lists(events(), min_size=1, max_size=3), st.sampled_from(["hepmc3", "hepmc2"]))
def test_random_events_as_pyhepmc_reads_them(made, format):
    buffer = io.BytesIO()
    with pyhepmc.open(buffer, "w", format=format) as out:
        for event in made:
            out.write(event)
    text = buffer.getvalue()
    (gen,) = read_hepmc(io.BytesIO(text))
    with pyhepmc.open(io.BytesIO(text), format=format) as theirs:
        read = list(theirs)
    assert gen.number.tolist() == [event.event_number for event in read]
    assert np.allclose(ak.to_numpy(gen.weights), [event.weights for event in read], rtol=1e-15, atol=0)
    for particles, event in zip(gen.particles, read, strict=True):
        expected = expected_particles(event)
        # Reading HepMC2, HepMC3 sorts the particles anew: there they are matched by their momenta.
        order = None
        if format == "hepmc2":
            theirs, mine = expected["p"], four_momenta(particles)
            if len(np.unique(theirs[:, :3], axis=0)) < len(theirs):
                continue  # alike particles cannot be matched
            order = np.empty(len(theirs), int)
            order[np.lexsort(theirs.T[:3])] = np.lexsort(mine.T[:3])
        check_event(particles, expected, order)


# --- against real files -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> ak.Array:
    path = REAL / "ttbar100.hepmc.gz"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return ak.concatenate(list(read_hepmc(path, batch_size=30)))


@pytest.mark.data
def test_real_events_as_pyhepmc_reads_them(real):
    assert len(real) == 100
    with pyhepmc.open(str(REAL / "ttbar100.hepmc.gz")) as file:
        for event, theirs in zip(real, file, strict=True):
            particles, arrays = event.particles, theirs.numpy.particles
            assert len(particles) == len(arrays.pid)
            assert event.number == theirs.event_number
            for name, column in (("pdgid", "pid"), ("status", "status"), ("mass", "generated_mass")):
                assert np.array_equal(ak.to_numpy(particles[name]), getattr(arrays, column))
            for name in ("px", "py", "pz"):
                assert np.array_equal(ak.to_numpy(particles[name]), getattr(arrays, name))
            assert (np.abs(np.asarray(particles.energy) - arrays.e) <= 1e-6 * arrays.e).all()
            v = [
                (0, 0, 0) if p.production_vertex is None else tuple(p.production_vertex.position)[:3]
                for p in theirs.particles
            ]
            mine = np.stack([np.asarray(particles[name]) for name in ("vx", "vy", "vz")], axis=1)
            assert np.allclose(mine, v, rtol=1e-15, atol=1e-9)  # HepMC3 inherits nothing where an event has loops


@pytest.mark.data
def test_real_events_as_delphes_reads_them(real):
    """Delphes lists the particles by production vertex; put into that order, the record is its Particle branch."""
    import uproot

    with uproot.open(REAL / "delphes_ttbar100.root") as file:
        names = ["PID", "Status", "M1", "M2", "D1", "D2", "Charge", "Mass", "Px", "Py", "Pz", "X", "Y", "Z"]
        branch = {name: file["Delphes"][f"Particle.{name}"].array() for name in names}
        process = file["Delphes"]["Event.ProcessID"].array()[:, 0]
    assert real.process_id.tolist() == process.tolist()
    for i, event in enumerate(real.particles):
        m1, d1 = np.asarray(event.m1), np.asarray(event.d1)
        vertex = np.where(m1 >= 0, d1[m1], 0)  # named by its first particle
        order = np.argsort(vertex, kind="stable")
        rank = np.append(np.argsort(order, kind="stable"), -1)
        theirs = {name: np.asarray(branch[name][i]) for name in names}
        mine = {name: np.asarray(event[name])[order] for name in event.fields}
        assert np.array_equal(mine["pdgid"], theirs["PID"])
        assert np.array_equal(mine["status"], theirs["Status"])
        for ours, name in (("px", "Px"), ("py", "Py"), ("pz", "Pz"), ("mass", "Mass")):
            assert np.array_equal(mine[ours].astype(np.float32), theirs[name])
        for ours, name in (("vx", "X"), ("vy", "Y"), ("vz", "Z")):
            assert np.allclose(mine[ours], theirs[name], rtol=1e-6, atol=1e-6)
        known = theirs["Charge"] != -999
        assert np.array_equal(np.trunc(mine["charge"])[known], theirs["Charge"][known])
        assert np.array_equal(rank[mine["d1"]], theirs["D1"])
        assert np.array_equal(rank[mine["d2"]], theirs["D2"])
        # First and last mother are told by their place in the record, by Delphes in its own order.
        mothers = np.sort([rank[mine["m1"]], rank[mine["m2"]]], axis=0)
        differ = (mothers != np.sort([theirs["M1"], theirs["M2"]], axis=0)).any(axis=0)
        assert differ.mean() < 0.01


# --- PDG codes against the `particle` package -------------------------------------------------------------------


def test_charges_and_masses_as_the_particle_package_has_them():
    particle = pytest.importorskip("particle")
    from hepgen_fastsim._core_loader import core

    table = particle.Particle.all()
    codes = np.array([int(p.pdgid) for p in table])
    charges = np.array([float(p.charge) for p in table])
    assert len(codes) > 500
    assert np.allclose(core().pdg_charge(codes), charges)
    masses = core().pdg_mass(codes)
    electrons = np.where(abs(codes) >= 10**9, abs(codes) // 10000 % 1000 * 0.51099895e-3, 0)  # theirs are atoms
    theirs = np.array([np.nan if p.mass is None else p.mass * 1e-3 for p in table]) - electrons
    with np.errstate(invalid="ignore"):
        wrong = np.abs(masses - theirs) > np.where(abs(codes) < 10**9, 1e-4, 2e-2) * theirs
    assert not wrong.any(), codes[wrong]
    stable = [
        11,
        13,
        15,
        22,
        111,
        211,
        321,
        130,
        310,
        2212,
        2112,
        3122,
        3222,
        3212,
        3112,
        3322,
        3312,
        3334,
        411,
        421,
        431,
    ]
    stable += [511, 521, 531, 541, 4122, 4132, 4232, 4332, 5122, 5132, 5232, 5332, 1000010020, 1000010030, 1000020030]
    assert np.isfinite(core().pdg_mass(np.array([*stable, 12, 14, 16, 1000020040]))).all()
    where = np.isin(codes, stable)
    assert np.allclose(masses[where], np.nan_to_num(theirs[where]), rtol=1e-4)
