# SPDX-License-Identifier: MIT
"""The bundled models `delphes-cms` and `delphes-atlas` from end to end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
import uproot
from hepgen_fastsim.cli import main

KEY = ["event", "origin", "pdgid"]


@pytest.fixture(scope="module")
def sim():
    return hf.FastSim("delphes-cms", device="cpu", seed=3)


@pytest.fixture(scope="module")
def gen():
    return next(hf.read(hf.sample()))


def table(reco, event):
    """Constituents as rows sorted by (event, origin, pdgid): keys [n, 3], and pt, eta, phi [n, 3]."""
    columns = {name: ak.to_numpy(ak.flatten(reco[name])) for name in reco.fields}
    columns["event"] = np.repeat(ak.to_numpy(event), ak.num(reco))
    order = np.lexsort([columns[name] for name in reversed(KEY)])
    keys = np.stack([columns[name][order] for name in KEY], 1)
    return keys, np.stack([columns[name][order] for name in ("pt", "eta", "phi")], 1)


def in_batches(sim, gen, size):
    return ak.concatenate([sim(gen[i : i + size]) for i in range(0, len(gen), size)]), gen.event


def in_another_order(sim, gen):
    order = np.random.default_rng(1).permutation(len(gen))
    return sim(gen[order]), gen.event[order]


def on_two_threads(sim, gen):
    with ThreadPoolExecutor(2) as pool:
        return ak.concatenate(list(pool.map(sim, (gen[i : i + 3] for i in range(0, len(gen), 3))))), gen.event


@pytest.mark.parametrize(
    "way",
    [lambda s, g: in_batches(s, g, 1), lambda s, g: in_batches(s, g, 7), in_another_order, on_two_threads],
    ids=["batches of 1", "batches of 7", "another order", "two threads"],
)
def test_same_events_same_constituents(sim, gen, way):
    keys, values = table(sim(gen), gen.event)
    other_keys, other_values = table(*way(sim, gen))
    here, there = set(map(tuple, keys.tolist())), set(map(tuple, other_keys.tolist()))
    assert len(here) == len(keys)  # a particle leads one constituent of a kind
    differing = here ^ there
    assert len(differing) <= 1e-4 * len(here)
    a = values[[tuple(key) not in differing for key in keys.tolist()]]
    b = other_values[[tuple(key) not in differing for key in other_keys.tolist()]]
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", ["delphes-cms", "delphes-atlas"])
def test_constituents_are_of_the_three_kinds(model, gen):
    sim = hf.FastSim(model, device="cpu", seed=3)
    reco = sim(gen)
    track = reco.charge != 0
    source = gen.particles[reco.origin]
    assert ak.all((reco.pdgid[~track] == 22) | (reco.pdgid[~track] == 130))
    assert ak.all(reco.mass[~track] == 0)
    assert ak.all(reco.pdgid[track] == source.pdgid[track])
    assert ak.all(reco.charge[track] == source.charge[track])
    np.testing.assert_allclose(ak.flatten(reco.eta[track]), ak.flatten(source.eta[track]), atol=1e-5)
    assert ak.all((reco.phi > -np.pi - 1e-6) & (reco.phi <= np.pi + 1e-6))
    assert ak.all(reco.pt > 0)
    assert not sim.outside or sum(sim.outside.values()) < 0.001 * ak.count(gen.particles.pt)


@pytest.mark.parametrize("model", ["delphes-cms", "delphes-atlas"])
def test_models_say_how_good_they_are(model):
    metadata = hf.FastSim(model, device="cpu").metadata
    metrics = metadata["metrics"]
    assert metadata["name"] == model
    assert metrics["not_finite"] == metrics["out_of_range"] == 0
    assert 0.8 < metrics["w1_ratio_mean"] < 1.2  # of a perfect model: 1
    assert {"jet.mass.ttbar", "met.qcd", "track.pt"} <= set(metrics["w1_ratio"])
    assert len(metadata["provenance"]["data"]) == 2


def test_two_detectors_differ(sim, gen):
    # the noise term of the ATLAS card's ECal is smaller: more photons are significant
    atlas = hf.FastSim("delphes-atlas", device="cpu", seed=3)(gen)
    photons = [ak.count(reco.pt[reco.pdgid == 22]) for reco in (sim(gen), atlas)]
    assert photons[1] > 2 * photons[0]


@pytest.mark.data
def test_real_hepmc_file_to_root(data_folder, tmp_path):
    source = data_folder / "real" / "ttbar100.hepmc.gz"
    assert main(["simulate", str(source), "-o", str(tmp_path / "out.root"), "--device", "cpu"]) == 0
    tree = uproot.open(tmp_path / "out.root")["Delphes"]
    (gen,) = hf.read(source)
    assert tree.num_entries == 100
    assert tree["Particle_size"].array().to_list() == ak.num(gen.particles).to_list()
    for branch in ("EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron"):
        origin = tree[f"{branch}.Particle"].array()
        assert ak.all((origin >= -1) & (origin < tree["Particle_size"].array()))
        led = gen.particles[origin[origin >= 0]]
        assert ak.all(led.status == 1)
    delphes = uproot.open(data_folder / "real" / "delphes_ttbar100.root")["Delphes"]
    for branch in ("EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron"):
        ours, theirs = (np.mean(t[f"{branch}_size"].array()) for t in (tree, delphes))
        assert ours == pytest.approx(theirs, rel=0.06)  # the spread between two runs of Delphes is below 2 % here
