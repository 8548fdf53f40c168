# SPDX-License-Identifier: MIT
"""`hf.Generator` on small models: conditions, chunks, keys, the form of what comes out."""

from __future__ import annotations

import copy
import pickle

import awkward as ak
import hepgen_fastsim as hf
import make_test_models
import numpy as np
import pytest
import torch
from torch import Tensor, nn

N = 50


@pytest.fixture(scope="module")
def drawn(test_models) -> hf.Generator:
    """Its items are the condition jet_pt plus noise, 3 or more of them; the scalar z is the noise of the set."""
    return hf.Generator(test_models / "drawn.pt", seed=5, device="cpu")


class Pair(nn.Module):
    """Two back-to-back particles of energy `energy`, 100 where that is -1; no input, two slots in a set."""

    def forward(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor,
                slot_offsets: Tensor, noise_slot: Tensor) -> make_test_models.Output:  # fmt: skip
        energy = torch.where(conditions[:, 0] < 0.0, torch.full_like(conditions[:, 0], 100.0), conditions[:, 0])
        along = energy.repeat_interleave(2)
        side = 1.0 - 2.0 * (torch.arange(along.size(0)) % 2)
        zero = torch.zeros_like(along)
        items = torch.stack([side * along, zero, zero, along], 1)
        origin = torch.full([along.size(0)], -1, dtype=torch.long)
        return items, (11 * side).long().unsqueeze(1), slot_offsets, origin, energy.unsqueeze(1)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> hf.Generator:
    column = make_test_models.column
    metadata = copy.deepcopy(make_test_models.DRAWN) | {
        "name": "pair",
        "unit": "event",
        "condition": [column("energy", "GeV") | {"missing": -1.0}],
        "output": {"features": [column(n, "GeV") for n in ("px", "py", "pz", "E")], "codes": [column("pdgid")]},
        "scalars": [column("energy", "GeV")],
        "slots": {"per_item": 0, "per_set": 2},
        "noise": {"set": 0, "slot": 0},
        "domain": {"features": {}, "codes": {}, "conditions": {"energy": [1, 100]}, "items": [0, 0]},
    }
    path = tmp_path_factory.mktemp("pair") / "pair.pt"
    make_test_models.save(Pair(), metadata, path)
    return hf.Generator(path, device="cpu")


def test_jets(drawn):
    jets = drawn(N, jet_pt=100.0)
    assert jets.fields == ["z", "jet_pt", "jet_phi", "constituents"]
    assert jets.constituents.fields == ["pt_rel"]
    counts = ak.to_numpy(ak.num(jets.constituents))
    assert (counts == 3 + (10 * np.abs(jets.z.to_numpy())).astype(int)).all()
    values = ak.to_numpy(ak.flatten(jets.constituents.pt_rel))
    assert abs(values.mean() - 100) < 0.3
    assert abs(values.std() - 1) < 0.2


def test_conditions_reach_their_sets(drawn):
    jet_pt = np.linspace(1, 1000, N)
    jets = drawn(jet_pt=jet_pt)  # n is their number
    assert len(jets) == N
    assert ak.to_numpy(ak.mean(jets.constituents.pt_rel, axis=1)) == pytest.approx(jet_pt, abs=4)
    assert ak.to_numpy(jets.jet_pt) == pytest.approx(jet_pt, rel=1e-6)
    by_awkward = drawn(jet_pt=ak.Array(jet_pt))
    assert ak.almost_equal(jets, by_awkward)


def test_chunks_change_nothing(drawn):
    whole = drawn(N, jet_pt=1.0)
    parts = list(drawn.iterate(N, chunk=7, jet_pt=1.0))
    assert [len(part) for part in parts] == [7] * 7 + [1]
    assert ak.almost_equal(ak.concatenate(parts), whole)
    assert ak.almost_equal(drawn(10, first=20, jet_pt=1.0), whole[20:30])


def test_seed_and_stream_are_keys(drawn, test_models):
    first = drawn(N, jet_pt=1.0)
    assert ak.almost_equal(hf.Generator(test_models / "drawn.pt", seed=5)(N, jet_pt=1.0), first)
    assert not np.allclose(hf.Generator(test_models / "drawn.pt", seed=6)(N, jet_pt=1.0).z, first.z)
    assert not np.allclose(drawn(N, stream=1, jet_pt=1.0).z, first.z)
    assert ak.almost_equal(pickle.loads(pickle.dumps(drawn))(N, jet_pt=1.0), first)


def test_phi_is_uniform_or_given(drawn):
    phi = drawn(2000, jet_pt=1.0).jet_phi.to_numpy()
    assert np.abs(phi).max() <= np.pi
    assert np.histogram(phi, 4, (-np.pi, np.pi))[0] == pytest.approx(500, abs=100)
    assert (drawn(3, jet_pt=1.0, jet_phi=0.5).jet_phi.to_numpy() == 0.5).all()


def test_no_sets(drawn):
    jets = drawn(0, jet_pt=1.0)
    assert len(jets) == 0
    assert jets.fields == drawn(1, jet_pt=1.0).fields


def test_events_are_momenta(pair):
    events = pair(4)  # the energy is left to the model
    assert events.fields == ["energy", "particles"]
    assert events.energy.tolist() == [100.0] * 4
    assert events.particles.pdgid.tolist() == [[11, -11]] * 4
    total = ak.sum(events.particles.px, axis=1)
    assert total.tolist() == [0.0] * 4
    assert events.particles.pt.tolist() == [[100.0, 100.0]] * 4  # vector's behaviour
    assert pair(2, energy=[10.0, 20.0]).particles.E.tolist() == [[10.0, 10.0], [20.0, 20.0]]
    assert pair.conditions == {"energy": "GeV"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 3}, "needs the condition 'jet_pt' \\[GeV\\]"),
        ({"n": 3, "jet_mass": 1.0}, "has no condition 'jet_mass'; it takes jet_pt, jet_phi"),
        ({"n": 3, "jet_pt": [1.0, 2.0]}, "one value for each of the 3 sets, found 2"),
        ({"n": 2, "jet_pt": [1.0, np.nan]}, "that of set 1 is not"),
        ({"n": 2, "jet_pt": np.ones((2, 1))}, "found \\(2, 1\\)"),
        ({"n": 2, "jet_pt": "high"}, "must be a number"),
        ({"jet_pt": 1.0}, "n, the number of sets"),
        ({"n": -1, "jet_pt": 1.0}, "0 or more, found -1"),
        ({"n": 2, "first": 2**32, "jet_pt": 1.0}, "sets are numbered"),
        ({"n": 2, "stream": -1, "jet_pt": 1.0}, "stream must be"),
    ],
)
def test_errors(drawn, arguments, message):
    with pytest.raises(hf.InputError, match=message):
        drawn(**arguments)


def test_wrong_models_and_settings(test_models):
    with pytest.raises(hf.ModelError, match="made for the task 'reconstruct'"):
        hf.Generator(test_models / "smear.pt")
    with pytest.raises(hf.InputError, match="seed"):
        hf.Generator(test_models / "drawn.pt", seed=-1)
    with pytest.raises(hf.InputError, match="precision"):
        hf.Generator(test_models / "drawn.pt", precision="half")
    with pytest.raises(hf.InputError, match="chunk"):
        hf.Generator(test_models / "drawn.pt").iterate(1, chunk=0, jet_pt=1.0)


class Together(make_test_models.Drawn):
    """Its scalar is the number of sets that the network was given at once."""

    def forward(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor,
                slot_offsets: Tensor, noise_slot: Tensor) -> make_test_models.Output:  # fmt: skip
        none = torch.full([noise_slot.shape[0]], -1, dtype=torch.long)
        return noise_slot, none[:, None][:, :0], slot_offsets, none, torch.ones_like(noise_set) * noise_set.shape[0]


def test_the_model_says_how_many_items_it_wants_at_once(tmp_path):
    plain, wishes = tmp_path / "plain.pt", tmp_path / "wishes.pt"
    make_test_models.save(Together(), make_test_models.DRAWN, plain)
    make_test_models.save(Together(), copy.deepcopy(make_test_models.DRAWN) | {"batch_items": 1}, wishes)

    def together(path, **settings) -> int:
        return ak.max(hf.Generator(path, seed=5, device="cpu", **settings)(N, jet_pt=1.0).z)

    assert together(plain) == N
    assert together(wishes) == 1
    assert together(wishes, batch_items=1000) == N
    make_test_models.save(Together(), copy.deepcopy(make_test_models.DRAWN) | {"batch_items": 0}, wishes)
    with pytest.raises(hf.ModelError, match="'batch_items' should be at least 1, but is 0"):
        together(wishes)


@pytest.mark.parametrize("name", ["jets-gluon", "jets-quark", "jets-top"])
def test_constituents_add_up_to_the_jet(name):
    """All constituents along the axis, in units of the pT that is asked for."""
    jets = hf.Generator(name, seed=5, device="cpu")(400, jet_pt=1000.0).constituents
    off = np.abs(ak.to_numpy(ak.sum(jets.pt_rel * np.cos(jets.phi_rel), axis=1)) - 1.0)
    assert np.quantile(off, 0.5) < 1e-4
    assert np.quantile(off, 0.9) < 1e-3
    assert off.max() < 0.1


def test_the_bundled_generators_are_a_fast_simulation_of_the_jets_of_an_event():
    """Asked for pT, eta, phi and mass of each jet, constituents have the jet's momentum, and the mass of real ones."""
    from hepgen_fastsim.substructure import substructure

    jets = ak.Array([[{"pt": 1000.0, "eta": 0.5, "phi": 3.1, "mass": 175.0}] * 40, [],
                     [{"pt": 900.0, "eta": -1.0, "phi": 0.0, "mass": 160.0}] * 30])  # fmt: skip
    found = substructure(jets, hf.Generator("jets-top", seed=1, device="cpu"))
    assert ak.num(found).tolist() == [40, 0, 30]
    parts = found.constituents
    px, py, pz, energy = (ak.sum(p, axis=2) for p in (parts.px, parts.py, parts.pz, parts.energy))
    assert ak.to_numpy(ak.flatten(np.hypot(px, py) / jets.pt)) == pytest.approx(1.0, abs=0.02)
    turned = ak.to_numpy(ak.flatten(np.arctan2(py, px) - jets.phi))
    assert np.sin(turned) == pytest.approx(0.0, abs=0.05)
    share = ak.to_numpy(ak.flatten((energy**2 - px**2 - py**2 - pz**2) / jets.mass**2))
    assert share.max() < 1.0
    assert np.median(share) == pytest.approx(0.955, abs=0.02)
    assert len(np.unique(share.round(3))) > 30  # none of them at a limit
