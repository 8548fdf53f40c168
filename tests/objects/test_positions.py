# SPDX-License-Identifier: MIT
"""Positions and times of constituents in ROOT files: geometry by hand, and leaf by leaf beside a file of Delphes."""

from __future__ import annotations

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
import uproot
from hepgen_fastsim.geometry import load
from hepgen_fastsim.io.columns import tree_columns
from hepgen_fastsim.io.positions import surface

C_LIGHT = 2.99792458e11  # mm/s


def test_where_a_direction_meets_the_calorimeters():
    cms = load("cms")
    barrel, endcap = (surface(np.array([eta]), np.array([0.5 * np.pi]), cms) for eta in (0.0, 3.0))
    assert [barrel[k][0] for k in "XYZ"] == pytest.approx([0, 1290, 0], abs=1e-9)
    assert endcap["Z"][0] == pytest.approx(3000)
    assert np.hypot(endcap["X"], endcap["Y"])[0] == pytest.approx(3000 / np.sinh(3))


def test_a_straight_flight(tmp_path):
    """A photon at right angles arrives after 1290 mm; in the file, too; and without a detector nothing is claimed."""
    gen = next(iter(hf.read(hf.sample())))[:5]
    reco = hf.FastSim(device="cpu", seed=3)(gen)
    assert reco.attrs["geometry"] == "cms"
    columns = tree_columns(gen, reco)
    photons = columns["EFlowPhoton"].leaves
    leader = gen.particles[reco.origin[reco.pdgid == 22]]
    neutral = ak.flatten((leader.charge == 0) & (np.hypot(leader.vx, leader.vy) < 1e-9) & (abs(leader.vz) < 1e-9))
    slope = np.abs(np.sinh(ak.to_numpy(ak.flatten(leader.eta))))
    flight = np.minimum(1290.0, 3000.0 / slope) * np.sqrt(1 + slope**2)
    seen = ak.to_numpy(neutral & (ak.flatten(leader.pdgid) == 22))
    assert seen.sum() > 50
    np.testing.assert_allclose(photons["T"][seen], (flight / C_LIGHT)[seen], rtol=1e-6)
    low_eta, high_eta, low_phi, high_phi = photons["Edges"].T
    assert ((low_eta <= photons["Eta"]) & (photons["Eta"] <= high_eta)).all()
    assert ((low_phi <= photons["Phi"] + 1e-6) & (photons["Phi"] <= high_phi + 1e-6)).all()
    with hf.open_output(tmp_path / "a.root") as out:
        out.write(gen, reco)
    tree = uproot.open(tmp_path / "a.root")["Delphes"]
    np.testing.assert_array_equal(
        ak.to_numpy(ak.flatten(tree["EFlowPhoton.T"].array())), photons["T"].astype(np.float32)
    )
    for k, edge in enumerate(photons["Edges"].T):
        stored = ak.to_numpy(ak.flatten(tree[f"EFlowPhoton.Edges{k + 1}"].array()))
        np.testing.assert_array_equal(stored, edge.astype(np.float32))
    assert "TOuter" not in tree_columns(gen, ak.Array(reco.layout))["EFlowTrack"].leaves


#: leaf -> largest difference of 99 % of the entries [mm, s, rad]
CLOSE = {
    "EFlowTrack": dict.fromkeys(("XOuter", "YOuter", "ZOuter", "L", "Xd", "Yd", "Zd", "X", "Y", "Z"), 2e-3)
    | {"EtaOuter": 5e-6, "PhiOuter": 5e-6, "TOuter": 2e-14, "T": 1e-20},
    "EFlowPhoton": {"X": 1e-3, "Y": 1e-3, "Z": 1e-3, "Edges": 1e-6, "T": 1e-11, "Eem": 1e-3, "Ehad": 0.0},
    "EFlowNeutralHadron": {"X": 1e-3, "Y": 1e-3, "Z": 1e-3, "Edges": 1e-6, "Eem": 0.0, "Ehad": 1e-3},
}


@pytest.mark.data
def test_leaves_are_those_of_a_real_file(data_folder):
    from real_file import RealFile

    real = RealFile(data_folder / "real" / "delphes_ttbar100.root")
    reco = ak.without_field(real.reco, "contributors")
    columns = tree_columns(real.gen, ak.Array(reco, attrs={"geometry": "cms"}))
    for branch, leaves in CLOSE.items():
        for leaf, most in leaves.items():
            theirs = ak.to_numpy(
                ak.flatten(real.leaf(f"{branch}.{leaf}[4]" if leaf == "Edges" else f"{branch}.{leaf}"))
            )
            off = np.abs(columns[branch].leaves[leaf] - theirs.astype(np.float64))
            if leaf == "PhiOuter":
                off = np.minimum(off, 2 * np.pi - off)
            assert np.quantile(off, 0.99) <= most, (branch, leaf)
    # of hadronic towers, which often hold several particles, the mean time is another
    late = columns["EFlowNeutralHadron"].leaves["T"] - ak.to_numpy(ak.flatten(real.leaf("EFlowNeutralHadron.T")))
    assert np.quantile(np.abs(late), 0.8) < 1e-11
