# SPDX-License-Identifier: MIT
"""FastSim with the model `smear`: charged particles become tracks, others photons, a fixed part of them is lost."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
import samples
from hepgen_fastsim.errors import InputError, ModelError


@pytest.fixture
def sim(test_models):
    return hf.FastSim(test_models / "smear.pt", device="cpu", seed=5)


def pairs(reco, gen):
    """GEN particles that constituents come from, flat."""
    return ak.flatten(gen.particles[reco.origin])


def test_reco_is_as_documented(sim):
    reco = sim(samples.gen(3))
    assert str(reco.type) == (
        "3 * var * Momentum4D[pdgid: int64, pt: float32, eta: float32, phi: float32, mass: float32, charge: int32, "
        "d0: float32, dz: float32, origin: int64]"
    )
    assert ak.all(reco.energy >= reco.pt)  # vector's behaviour


def test_origin_points_to_the_stable_particle(sim):
    gen = samples.gen(50)
    reco = sim(gen)
    source = pairs(reco, gen)
    assert ak.all(source.status == 1)
    np.testing.assert_allclose(ak.flatten(reco.eta), source.eta, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ak.flatten(reco.phi), source.phi, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ak.flatten(reco.pdgid), np.where(source.charge != 0, source.pdgid, 22))


def test_no_smearing_returns_the_truth(test_models):
    gen = samples.gen(50)
    reco = hf.FastSim(test_models / "no-smearing.pt", device="cpu")(gen)
    np.testing.assert_allclose(ak.flatten(reco.pt), pairs(reco, gen).pt, rtol=1e-6)


def test_smearing_has_the_width_of_the_model(sim):
    gen = samples.gen(2000)
    reco = sim(gen)
    ratio = ak.to_numpy(ak.flatten(reco.pt) / pairs(reco, gen).pt)
    assert np.std(ratio) == pytest.approx(0.1, rel=0.05)


def same(a, b):
    assert ak.all(ak.num(a) == ak.num(b))
    for name in a.fields:
        np.testing.assert_allclose(ak.flatten(a[name]), ak.flatten(b[name]), rtol=1e-5)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_batches_do_not_matter(sim, size):
    gen = samples.gen(300)
    same(ak.concatenate([sim(gen[i : i + size]) for i in range(0, len(gen), size)]), sim(gen))


def test_order_does_not_matter(sim):
    gen = samples.gen(300)
    order = np.random.default_rng(1).permutation(len(gen))
    same(sim(gen[order]), sim(gen)[order])


def test_threads_do_not_matter(sim):
    gen = samples.gen(300)
    with ThreadPoolExecutor(2) as pool:
        parts = pool.map(lambda i: sim(gen[i : i + 10]), range(0, len(gen), 10))
        same(ak.concatenate(list(parts)), sim(gen))


def test_several_devices_give_what_one_gives(sim, test_models):
    gen = samples.gen(200)
    several = hf.FastSim(test_models / "smear.pt", device="cpu,cpu", seed=5, batch_items=50)
    assert several.device == "cpu,cpu"
    same(several(gen), sim(gen))


def test_seed_event_and_stream_are_the_key(sim, test_models):
    gen = samples.gen(20)
    reco = sim(gen)
    same(sim(gen), reco)
    same(hf.simulate(gen, model=test_models / "smear.pt", seed=5, device="cpu"), reco)
    other = [
        hf.FastSim(test_models / "smear.pt", device="cpu", seed=6)(gen),
        sim(gen, event=gen.event + 1),
        sim(gen, stream=1),
    ]
    for changed in other:
        assert ak.flatten(changed.pt).to_list() != ak.flatten(reco.pt).to_list()
    same(sim(gen, event=gen.event, stream=hf.read(gen).__next__().layout.parameters["stream"]), reco)


def test_plain_arrays_and_numpy_give_the_same(sim):
    flat = samples.columns(30)
    gen = hf.read(flat, batch_size=30).__next__()
    reco = sim(gen)
    same(sim(flat), reco)
    same(sim(gen.particles), reco)
    single = {
        name: column.astype(np.float32) if column.dtype == np.float64 else column for name, column in flat.items()
    }
    same(sim(single, stream=gen.layout.parameters["stream"]), reco)


def test_pickle_loads_the_model_again(sim):
    gen = samples.gen(20)
    reco = sim(gen)
    same(pickle.loads(pickle.dumps(sim))(gen), reco)


def test_model_is_loaded_at_the_first_call(test_models):
    sim = hf.FastSim(test_models / "wrong-signature.pt")
    assert repr(sim) == "FastSim('wrong-signature', device='auto', seed=1)"
    with pytest.raises(ModelError):
        sim(samples.gen(1))


def test_empty(sim):
    assert len(sim(ak.Array([]))) == 0
    assert sim(ak.Array([[], []])).to_list() == [[], []]
    event = samples.gen(5)
    event = event[:0]
    assert len(sim(event)) == 0


STRANGE = {
    "an unknown code": 9900999,
    "a nucleus": 1000822080,
    "a neutralino": 1000022,
    "a stable K0S": 310,
    "a stable Lambda": 3122,
}


@pytest.mark.parametrize("pdgid", STRANGE.values(), ids=STRANGE)
def test_strange_particles_are_simulated_and_counted(sim, pdgid):
    gen = ak.Array(
        [[{"pdgid": 211, "pt": 5.0, "eta": 0.1, "phi": 0.2}, {"pdgid": pdgid, "pt": 4.0, "eta": 1.0, "phi": 2.0}]] * 40
    )
    reco = sim(gen)
    assert sim.outside[f"pdgid {pdgid}"] == 40
    assert ak.any(reco.origin == 1)
    assert ak.all(np.isfinite(reco.pt))


def test_outside_drop_and_refuse(test_models):
    gen = ak.Array(
        [[{"pdgid": 211, "pt": 5.0, "eta": 0.1, "phi": 0.2}, {"pdgid": 1000022, "pt": 4.0, "eta": 1.0, "phi": 2.0}]]
        * 40
    )
    drop = hf.FastSim(test_models / "smear.pt", device="cpu", outside="drop")
    assert not ak.any(drop(gen).origin == 1)
    assert drop.outside["pdgid 1000022"] == 40
    with pytest.raises(InputError, match="1000022"):
        hf.FastSim(test_models / "smear.pt", device="cpu", outside="refuse")(gen)


def test_herwig_like_status_codes_are_not_stable(sim):
    particles = [{"pdgid": 211, "status": s, "pt": 5.0, "eta": 0.1, "phi": 0.2} for s in (1, 2, 4, 11, 20, 125, 1)]
    reco = sim(ak.Array([particles] * 30))
    assert set(ak.flatten(reco.origin).to_list()) == {0, 6}


def test_nan_is_refused_with_its_place(sim):
    flat = samples.columns()
    row = int(np.flatnonzero(flat["status"] == 1)[-1])
    flat["pz"][row] = np.nan
    with pytest.raises(InputError, match="pz is nan, a finite number is expected"):
        sim(flat)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"outside": "ignore"}, "outside must be one of keep, drop, refuse; found 'ignore'"),
        ({"precision": "fp16"}, "precision must be one of float32, bf16, tf32; found 'fp16'"),
        ({"seed": -1}, "unsigned 64-bit integer, found -1"),
    ],
)
def test_wrong_options(test_models, options, words):
    with pytest.raises(InputError, match=words):
        hf.FastSim(test_models / "smear.pt", **options)


def test_wrong_event_and_stream(sim):
    with pytest.raises(InputError, match="one id for each of the 20 events"):
        sim(samples.gen(20), event=np.arange(3))
    with pytest.raises(InputError, match="unsigned 32-bit integer, found -1"):
        sim(samples.gen(20), stream=-1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unknown-format", "format"),
        ("truncated", "zip|readable|archive"),
        ("damaged", ""),
        ("empty", ""),
        ("text", ""),
        ("no-metadata", "hepgen.json"),
        ("not-json", "JSON|json"),
        ("wrong-signature", "forward"),
        ("lacks-slots", "slots"),
    ],
)
def test_unusable_models(test_models, name, words):
    with pytest.raises(ModelError, match=rf"(?s){name}.*({words})"):
        hf.FastSim(test_models / f"{name}.pt", device="cpu")(samples.gen(1))


def test_metadata_and_identity(sim, test_models):
    assert sim.metadata["name"] == "smear"
    assert sim.device == "cpu"
    assert len(sim.sha256) == 64


def test_versions_of_each_event_are_independent(sim):
    gen = samples.gen(40)
    one, three, four = sim(gen), sim(gen, n=3), sim(gen, n=4)
    assert str(three.type).startswith("40 * 3 * var * Momentum4D[")
    same(three[:, 0], one)
    same(four[:, :3][:, 2], three[:, 2])
    same(sim(gen[10:20], n=3)[:, 1], three[10:20, 1])
    same(hf.simulate(gen, model=sim.file.path, seed=5, device="cpu", n=3)[:, 1], three[:, 1])
    # the same particles with noise of their own: uncorrelated, where a version with itself is not
    every = sim(gen, n=50)
    ratio = [ak.flatten(every[:, k].pt / gen.particles[every[:, k].origin].pt).to_numpy() for k in range(50)]
    spread = np.std([np.mean(r) for r in ratio])
    assert spread == pytest.approx(0.1 / np.sqrt(len(ratio[0])), rel=0.3)
    assert ak.all(every.energy >= every.pt)  # vector's behaviour


def test_versions_have_keys_of_their_own():
    from hepgen_fastsim.events import columns_of
    from hepgen_fastsim.fastsim import _repeated

    events = columns_of(samples.gen(3))
    for n in (2, 7, 100, 1000):
        top = 2**32 // (3 * n) - 1
        events.event = np.array([0, 1, top])
        columns, offsets, ids = _repeated(events, n)
        assert len(np.unique(ids)) == 3 * n
        assert offsets[-1] == len(columns["pdgid"]) == n * events.offsets[-1]
        multiples = np.sort(np.arange(n) * 0x9E3779B9 % 2**32)
        assert min(np.diff(multiples).min(), multiples[0] + 2**32 - multiples[-1]) > top  # nor any between 0 and top


def test_versions_must_fit(sim):
    gen = samples.gen(3)
    with pytest.raises(InputError, match="n must be at least 1, found 0"):
        sim(gen, n=0)
    with pytest.raises(InputError, match=r"with n = 10, event ids must lie in 0 … 143165575"):
        sim(gen, event=np.array([0, 1, 2**31]), n=10)
    assert len(sim(gen[:0], n=2)) == 0


def test_particles_outside_are_counted_once(test_models):
    gen = samples.gen(20)
    once, thrice = (hf.FastSim(test_models / "smear.pt", device="cpu") for _ in range(2))
    once(gen)
    thrice(gen, n=3)
    assert once.outside == thrice.outside
