# SPDX-License-Identifier: MIT
"""Constituents for the jets of an event, by a model that puts two in each jet."""

from __future__ import annotations

import copy

import awkward as ak
import hepgen_fastsim as hf
import make_test_models
import numpy as np
import pytest
import torch
from hepgen_fastsim.substructure import gen_jets, substructure
from torch import Tensor, nn


class TwoProngs(nn.Module):
    """Two equal constituents on either side of the axis, so far apart that they have the mass that is asked for."""

    def forward(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor,
                slot_offsets: Tensor, noise_slot: Tensor) -> make_test_models.Output:  # fmt: skip
        half = torch.asinh(conditions[:, 1] / conditions[:, 0]).repeat_interleave(2)
        side = 1.0 - 2.0 * (torch.arange(half.size(0)) % 2)
        items = torch.stack([side * half, torch.zeros_like(half), torch.full_like(half, 0.5)], 1)
        none = torch.full([half.size(0)], -1, dtype=torch.long)
        return items, none[:, None][:, :0], slot_offsets, none, conditions


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    column = make_test_models.column
    conditions = [column("jet_pt", "GeV"), column("jet_mass", "GeV")]
    metadata = copy.deepcopy(make_test_models.DRAWN) | {
        "condition": conditions,
        "output": {"features": [column(n) for n in ("eta_rel", "phi_rel", "pt_rel")], "codes": []},
        "scalars": conditions,
        "slots": {"per_item": 0, "per_set": 2},
        "noise": {"set": 0, "slot": 0},
    }
    metadata["domain"] = metadata["domain"] | {"conditions": {"jet_pt": [1, 1000], "jet_mass": [1, 100]}}
    path = tmp_path_factory.mktemp("prongs") / "prongs.pt"
    make_test_models.save(TwoProngs(), metadata, path)
    return hf.Generator(path, device="cpu")


def test_constituents_make_the_jet(generator):
    jets = ak.Array([[{"pt": 1000.0, "eta": 0.5, "phi": 3.1, "mass": 90.0}], [],
                     [{"pt": 900.0, "eta": -1.0, "phi": 0.0, "mass": 40.0},
                      {"pt": 850.0, "eta": 1.0, "phi": -2.0, "mass": 10.0}]])  # fmt: skip
    found = substructure(jets, generator)
    assert ak.num(found).tolist() == [1, 0, 2]
    parts = found.constituents
    assert ak.num(parts, axis=2).tolist() == [[2], [], [2, 2]]
    total = ak.sum(parts.px, axis=2), ak.sum(parts.py, axis=2), ak.sum(parts.pz, axis=2), ak.sum(parts.energy, axis=2)
    px, py, pz, energy = (ak.to_numpy(ak.flatten(t)) for t in total)
    pt = ak.to_numpy(ak.flatten(jets.pt))
    assert np.hypot(px, py) == pytest.approx(pt, rel=1e-5)
    assert np.arctan2(py, px) == pytest.approx(ak.to_numpy(ak.flatten(jets.phi)), abs=1e-6)
    mass = np.sqrt(energy**2 - px**2 - py**2 - pz**2)
    assert mass == pytest.approx(ak.to_numpy(ak.flatten(jets.mass)), rel=1e-3)
    assert np.abs(ak.to_numpy(ak.flatten(parts.phi, axis=None))).max() <= np.pi


def test_jets_of_an_event():
    near = {"pdgid": 211, "status": 1, "px": 600.0, "py": 1.0, "pz": 0.0, "mass": 0.14}
    event = [near, near | {"py": 60.0}, near | {"pdgid": 12}, near | {"px": -700.0}, near | {"status": 2}]
    jets = gen_jets(ak.Array([event, []]))
    assert ak.num(jets).tolist() == [1, 0]  # 700 GeV on the other side; neutrino and decayed particle do not count
    assert jets.pt[0, 0] == pytest.approx(np.hypot(1200.0, 61.0))
    assert jets.mass[0, 0] == pytest.approx(59.0, rel=0.02)  # sqrt(600 * 600) * 59 / 600


def test_what_is_missing_is_said(generator):
    with pytest.raises(hf.InputError, match="mass, phi is missing"):
        substructure(ak.Array([[{"pt": 1.0, "eta": 0.0}]]), generator)
