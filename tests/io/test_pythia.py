# SPDX-License-Identifier: MIT
"""GEN events from Pythia in memory."""

from __future__ import annotations

import sys

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
from hepgen_fastsim.errors import Error, InputError
from hepgen_fastsim.io.pythia import make_pythia, status_hepmc

SETTINGS = [
    "Beams:eCM = 13000",
    "WeakSingleBoson:ffbar2gmZ = on",
    "23:onMode = off",
    "23:onIfAny = 13",
    "PartonLevel:MPI = off",
]


@pytest.fixture(scope="module")
def gen():
    pytest.importorskip("pythia8mc")
    return list(hf.read_pythia(SETTINGS, 25, batch_size=10, seed=7))


def test_batches(gen):
    assert [len(batch) for batch in gen] == [10, 10, 5]
    assert ak.concatenate(gen).event.to_list() == list(range(25))
    assert len({batch.layout.parameters["stream"] for batch in gen}) == 1


def test_same_seed_same_events_in_other_batches(gen):
    again = next(hf.read_pythia(SETTINGS, 25, batch_size=25, seed=7))
    assert again.particles.px.to_list() == ak.concatenate(gen).particles.px.to_list()


def test_stable_particles_carry_the_beams_momentum(gen):
    for batch in gen:
        stable = batch.particles[batch.particles.status == 1]
        np.testing.assert_allclose(ak.sum(stable.energy, axis=1), 13000, rtol=1e-4)
        np.testing.assert_allclose(ak.sum(stable.pz, axis=1), 0, atol=1)
        assert ak.all(ak.sum(batch.particles.status == 4, axis=1) == 2)


def test_mothers_point_at_the_record(gen):
    batch = gen[0]
    muon = batch.particles[abs(batch.particles.pdgid) == 13]
    assert ak.all(batch.particles[muon.m1].pdgid[:, 0] == 23) or ak.any(batch.particles[muon.m1].pdgid == 23)
    assert ak.all(batch.particles.m1 < ak.num(batch.particles))
    assert ak.all(batch.particles.m1 >= -1)


def test_numbers_of_the_event(gen):
    batch = gen[-1]
    assert ak.all(batch.cross_section > 100)
    assert ak.all((batch.x1 > 0) & (batch.x1 < 1))
    assert batch.weights.to_list() == [[1.0]] * 5


def test_status_follows_hepmc():
    pdgid, status = np.array([211, 111, 2212, 21, 15, 321]), np.array([83, -84, -12, -44, -23, -91])
    daughter = np.array([0, 22, 0, 21, 16, 321])
    assert status_hepmc(pdgid, status, daughter).tolist() == [1, 2, 4, 44, 2, 91]


def test_read_takes_a_pythia_object():
    pytest.importorskip("pythia8mc")
    pythia = make_pythia(SETTINGS, seed=7)
    assert len(next(hf.read(pythia, n_events=3))) == 3
    with pytest.raises(InputError, match="needs n_events"):
        hf.read(pythia)


def test_wrong_settings(tmp_path):
    pytest.importorskip("pythia8mc")
    with pytest.raises(InputError, match="does not accept the setting 'Top:gg2ttbaar = on'"):
        hf.read_pythia(["Top:gg2ttbaar = on"], 1)
    with pytest.raises(InputError, match=r"command file .*none\.cmnd does not exist"):
        hf.read_pythia(tmp_path / "none.cmnd", 1)


def test_command_file(tmp_path):
    pytest.importorskip("pythia8mc")
    (tmp_path / "z.cmnd").write_text("\n".join(SETTINGS))
    assert len(next(hf.read_pythia(tmp_path / "z.cmnd", 2))) == 2


def test_without_pythia(monkeypatch):
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    with pytest.raises(Error, match=r"pip install hepgen_fastsim\[pythia\]"):
        hf.read_pythia(SETTINGS, 1)
