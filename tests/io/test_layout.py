# SPDX-License-Identifier: MIT
"""The tree's branches, leaves, types and classes beside those of a file that Delphes wrote (delphes_layout.json)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
import samples
import uproot
from hepgen_fastsim.io import flat, layout

sys.path.insert(0, str(Path(__file__).parent))
import make_delphes_layout

DELPHES = json.loads(make_delphes_layout.OUTPUT.read_text())
TYPES = {"f": "float", "d": "double", "i": "int", "u": "unsigned int", "l": "long long"}
TYPES |= {"r": "TRef", "a": "TRefArray", "p": "TLorentzVector"}


@pytest.fixture(scope="module")
def events(test_models):
    gen = samples.gen(60, mean=60)
    reco = hf.simulate(gen, test_models / "smear.pt", device="cpu")
    return gen, reco, hf.reconstruct(reco, gen)


@pytest.fixture(scope="module")
def tree(events, tmp_path_factory):
    path = tmp_path_factory.mktemp("flat") / "out.root"
    with hf.open_output(path, objects=True) as out:
        out.write(*(part[:25] for part in events))
        out.write(*(part[25:] for part in events))
    return uproot.open(path)["Delphes"]


@pytest.mark.data
def test_the_list_is_that_of_the_real_file(data_folder):
    assert make_delphes_layout.layout(data_folder / "real" / "delphes_ttbar100.root") == DELPHES


def test_branches_and_classes_are_delphes():
    expected = {name: b["class"] for name, b in DELPHES["branches"].items() if name not in ("Track", "Tower")}
    assert list(layout.BRANCHES.items()) == list(expected.items())
    for name, entry in DELPHES["classes"].items():
        declared = layout.CLASSES[name]
        assert declared.version == entry["version"]
        members = [[declared.base, "BASE", 0], *([m.name, TYPES[m.kind], m.length] for m in declared.members)]
        assert members == entry["members"], name


@pytest.mark.parametrize("branch", layout.BRANCHES)
def test_every_leaf_has_its_type_or_a_reason(tree, branch):
    names = [b.name.removeprefix(f"{branch}.") for b in tree.branches if b.name.startswith(f"{branch}.")]
    wanted = DELPHES["branches"][branch]
    reasons = layout.NOT_FILLED["TObject"] | layout.NOT_FILLED.get(wanted["class"], {})
    for leaf, kind in wanted["leaves"].items():
        name, _, length = leaf.rstrip("]").partition("[")
        elements = {f"{name}{k + 1}" for k in range(int(length or 0))} & set(names)
        if elements:
            assert len(elements) == int(length)
            assert {tree[f"{branch}.{e}"].typename + f"[{length}]" for e in elements} == {kind}
            names = [n for n in names if n not in elements]
        elif name not in names:
            assert leaf in reasons, f"{branch}.{leaf} is neither there nor explained"
            assert name in flat.__doc__
        elif kind in ("TRef[]", "TRefArray[]"):
            assert tree[f"{branch}.{name}"].typename == "int32_t[]"
        else:
            assert tree[f"{branch}.{name}"].typename == kind, f"{branch}.{leaf}"
    extra = {"Particle"} if {"Particle", "Particles"} & set(wanted["leaves"]) else set()
    assert set(names) - {leaf.partition("[")[0] for leaf in wanted["leaves"]} <= extra
    assert tree[f"{branch}_size"].typename == "int32_t"


def test_no_reason_for_what_does_not_exist():
    for name, leaves in layout.NOT_FILLED.items():
        there = {m.name + (f"[{m.length}]" if m.length else "") for m in layout.class_of(name)}
        assert set(leaves) <= (there or {"fUniqueID", "fBits"}), name


def test_object_leaves_hold_the_objects(tree, events):
    objects = events[2]
    assert ak.sum(ak.num(objects.jets)) > 20
    for branch, field, columns in (
        ("Jet", "jets", {"PT": "pt", "Mass": "mass", "BTag": "btag", "Flavor": "flavor", "NCharged": "n_charged"}),
        ("GenJet", "genjets", {"PT": "pt", "Eta": "eta"}),
        ("Electron", "electrons", {"PT": "pt", "Charge": "charge", "Particle": "particle", "SumPt": "sum_pt"}),
        ("Muon", "muons", {"PT": "pt", "D0": "d0"}),
        ("Photon", "photons", {"PT": "pt", "IsolationVar": "isolation_var"}),
        ("FatJet", "fatjets", {"PT": "pt", "NSubJetsPruned": "n_subjets_pruned"}),
    ):
        for leaf, column in columns.items():
            assert tree[f"{branch}.{leaf}"].array().to_list() == objects[field][column].to_list(), (branch, leaf)
    for n in range(5):
        tau = objects.fatjets.nsubjettiness[..., n]
        assert tree[f"FatJet.Tau{n + 1}"].array().to_list() == tau.to_list()
    assert tree["MissingET.MET"].array().to_list() == [[x] for x in objects.met.pt.to_list()]
    assert tree["GenMissingET.Phi"].array().to_list() == [[x] for x in objects.genmet.phi.to_list()]
    assert tree["ScalarHT.HT"].array().to_list() == [[x] for x in objects.ht.to_list()]
    photon = tree["Photon.E"].array()
    np.testing.assert_allclose(ak.flatten(photon), ak.flatten(objects.photons.energy), rtol=1e-6)


def test_objects_and_writer_must_agree(tmp_path, events):
    gen, reco, objects = events
    with hf.open_output(tmp_path / "a.root", objects=True) as out:
        with pytest.raises(hf.InputError, match="objects of 60 events are expected, found none"):
            out.write(gen, reco)
        with pytest.raises(hf.InputError, match="objects of 60 events are expected, found those of 5"):
            out.write(gen, reco, objects[:5])
        out.write(gen, reco, objects)
    with (
        hf.open_output(tmp_path / "b.root") as out,
        pytest.raises(hf.InputError, match=r"no events \(objects=False\) are expected, found those of 60"),
    ):
        out.write(gen, reco, objects)
    with pytest.raises(hf.InputError, match="Parquet files hold constituents"):
        hf.open_output(tmp_path / "c.parquet", "parquet", objects=True)


def test_objects_without_gen_leave_genmet_empty(tmp_path, events):
    gen, reco, _ = events
    with hf.open_output(tmp_path / "a.root", objects=True) as out:
        out.write(gen, reco, hf.reconstruct(reco))
    tree = uproot.open(tmp_path / "a.root")["Delphes"]
    assert tree["GenMissingET_size"].array().to_list() == [0] * 60
    assert tree["MissingET_size"].array().to_list() == [1] * 60
