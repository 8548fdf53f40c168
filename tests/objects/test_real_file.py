# SPDX-License-Identifier: MIT
"""From the energy-flow constituents of Delphes' own file to that file's objects."""

from __future__ import annotations

import math

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
from hepgen_fastsim.cards import load_card
from hepgen_fastsim.objects import leptons, reconstruct, tagging
from hepgen_fastsim.objects.clustering import cluster
from hepgen_fastsim.objects.columns import constituents, gen_columns, particles
from hepgen_fastsim.objects.overlap import Overlap, particles_of

pytestmark = pytest.mark.data
CMS = load_card("cms")
KINDS = {"photons": "Photon", "electrons": "Electron", "muons": "Muon"}
LEAVES = {
    "pt": "PT",
    "eta": "Eta",
    "phi": "Phi",
    "mass": "Mass",
    "charge": "Charge",
    "n_charged": "NCharged",
    "n_neutrals": "NNeutrals",
    "charged_energy_fraction": "ChargedEnergyFraction",
    "neutral_energy_fraction": "NeutralEnergyFraction",
    "delta_eta": "DeltaEta",
    "delta_phi": "DeltaPhi",
    "ehad_over_eem": "EhadOverEem",
}


@pytest.fixture(scope="module")
def events(real):
    return reconstruct(real.reco, real.gen)


def flat(array):
    return ak.to_numpy(ak.flatten(array, axis=None))


def close(ours, theirs, rtol=1e-5, atol=1e-5):
    np.testing.assert_allclose(flat(ours), flat(theirs), rtol=rtol, atol=atol)


def test_missing_energy(real, events):
    for ours, theirs in (("met", "MissingET"), ("genmet", "GenMissingET")):
        size = real.leaf(f"{theirs}.MET")[:, 0]
        close(events[ours].pt, size, atol=1e-3)
        there = size > 1e-2  # without neutrinos only rounding is left, which points anywhere
        assert ak.sum(there) > 80
        close(events[ours].phi[there], real.leaf(f"{theirs}.Phi")[there], atol=1e-4)
        close(events[ours].eta[there], real.leaf(f"{theirs}.Eta")[there], atol=1e-3)


@pytest.mark.parametrize(("ours", "theirs"), [("genjets", "GenJet"), ("fatjets", "FatJet")])
def test_jets_without_overlap_removal_are_the_files(real, events, ours, theirs):
    assert ak.all(ak.num(events[ours]) == ak.num(real.leaf(f"{theirs}.PT")))
    for leaf, name in LEAVES.items():
        close(events[ours][leaf], real.leaf(f"{theirs}.{name}"))


def test_substructure(real, events):
    jets = events.fatjets
    close(jets.nsubjettiness, real.leaf("FatJet.Tau[5]"))
    for ours, theirs in (("trimmed", "Trimmed"), ("pruned", "Pruned"), ("soft_dropped", "SoftDropped")):
        p4 = real.leaf(f"FatJet.{theirs}P4[5]")
        close(jets[ours].px, p4["fP"]["fX"], atol=1e-3)
        close(jets[ours].energy, p4["fE"], atol=1e-3)
        close(jets[f"n_subjets_{ours}"], real.leaf(f"FatJet.NSubJets{theirs}"))


@pytest.fixture(scope="module")
def columns(real):
    gen = particles(gen_columns(real.gen))
    return constituents(real.reco, gen), gen


@pytest.fixture(scope="module")
def files_leptons(real, columns):
    """Row of the constituent that each of the file's own photons, electrons and muons is."""
    c, _ = columns
    rows = {}
    for kind, branch in KINDS.items():
        rows[kind] = []
        candidates = leptons.candidates(c, kind)
        for i, (pts, etas) in enumerate(zip(real.leaf(f"{branch}.PT"), real.leaf(f"{branch}.Eta"))):
            own = candidates[c.event[candidates] == i]
            for pt, eta in zip(pts, etas):
                rows[kind].append(own[np.argmin(np.abs(c.pt[own] / pt - 1) + np.abs(c.eta[own] - eta))])
        rows[kind] = np.array(rows[kind])
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_every_lepton_of_the_file_has_a_candidate_that_passes(real, columns, files_leptons, kind):
    """Muons too: Delphes takes them before the energy flow, which leaves their momenta as they are."""
    c, _ = columns
    row, branch, definition = files_leptons[kind], KINDS[kind], getattr(CMS, kind)
    assert len(row) == ak.count(real.leaf(f"{branch}.PT")) > 0
    np.testing.assert_allclose(c.pt[row], flat(real.leaf(f"{branch}.PT")), rtol=1e-6)
    assert np.all(leptons.efficiency(c, row, definition) > 0)
    found, passed = leptons.isolate(c, row, definition.isolation)
    assert passed.all()
    leaves = found.leaves(c)
    for ours, theirs in (
        ("isolation_var", "IsolationVar"),
        ("sum_pt_charged", "SumPtCharged"),
        ("sum_pt_neutral", "SumPtNeutral"),
        ("sum_pt", "SumPt"),
    ):
        close(leaves[ours], real.leaf(f"{branch}.{theirs}"))


def unique_jets(c, files_leptons):
    raw = cluster(c, CMS.jets)
    jets = raw.scaled(CMS.jets.scale(pt=raw.pt, eta=raw.eta))
    overlap = Overlap(c, particles_of(c))
    for kind in CMS.overlap[:-1]:
        row = files_leptons[kind]
        assert overlap.keep(row, np.arange(len(row)), len(row)).all()
    return jets[overlap.keep(jets.members, jets.member_of, len(jets))]


def test_jets_after_the_files_leptons_were_removed(real, columns, files_leptons):
    c, gen = columns
    jets = unique_jets(c, files_leptons)
    theirs = real.leaf("Jet.PT")
    np.testing.assert_array_equal(np.diff(jets.offsets), ak.num(theirs))
    order = np.lexsort((-jets.pt, jets.event))
    np.testing.assert_allclose(jets.pt[order], flat(theirs), rtol=1e-6)
    np.testing.assert_array_equal(tagging.flavor(jets, gen, CMS.flavor)[order], flat(real.leaf("Jet.Flavor")))
    leaves = tagging.tags(jets, np.zeros(len(jets)), c, gen, CMS, _draws(len(theirs), 1))
    np.testing.assert_array_equal(leaves["tau_flavor"][order], flat(real.leaf("Jet.TauFlavor")))
    close(leaves["tau_weight"][order], real.leaf("Jet.TauWeight"))
    ht = np.bincount(jets.event, weights=jets.pt, minlength=len(theirs))
    for kind, row in files_leptons.items():
        ht += np.bincount(c.event[row], weights=c.pt[row], minlength=len(theirs))
        assert kind in CMS.scalar_ht
    np.testing.assert_allclose(ht, flat(real.leaf("ScalarHT.HT")), rtol=1e-5)


def _draws(n_events, seed):
    from hepgen_fastsim.objects.draws import Draws

    return Draws(seed, 0, np.arange(n_events))


def test_leading_contributors_alone_give_the_same_multiplicities(real, files_leptons):
    """A model knows only the leading particle of a tower; overlaps through lesser ones are rare."""
    leading = ak.without_field(real.reco, "contributors")
    jets = unique_jets(constituents(leading, None), files_leptons)
    assert np.mean(np.diff(jets.offsets) == ak.to_numpy(ak.num(real.leaf("Jet.PT")))) >= 0.99


def test_the_hepmc_record_gives_the_same_flavours(real, data_folder):
    """The record in HepMC's order, not Delphes': flavours and GEN jets are still the file's."""
    gen = next(iter(hf.read(str(data_folder / "real" / "ttbar100.hepmc.gz"))))
    reco = ak.without_field(ak.without_field(real.reco, "contributors"), "origin")
    ours, theirs = reconstruct(reco, gen, seed=2), reconstruct(reco, real.gen, seed=2)
    assert ak.to_list(ours.jets.flavor) == ak.to_list(theirs.jets.flavor)
    assert ak.to_list(ours.jets.tau_flavor) == ak.to_list(theirs.jets.tau_flavor)
    assert ak.all(ak.num(ours.genjets) == ak.num(theirs.genjets))
    close(ours.genjets.pt, theirs.genjets.pt, rtol=1e-4)


def test_random_efficiencies_and_tags_agree_with_the_file(real):
    """Mean over seeds against the one draw of the file, within its statistics, and against the formulas."""
    seeds = range(10)
    runs = [reconstruct(real.reco, real.gen, seed=seed) for seed in seeds]
    for kind, branch in KINDS.items():
        expected, found = np.mean([ak.count(run[kind].pt) for run in runs]), ak.count(real.leaf(f"{branch}.PT"))
        assert abs(found - expected) < 4 * math.sqrt(expected) + 1
    jets = ak.flatten(ak.concatenate([run.jets for run in runs]))
    formulas = CMS.btag[0].efficiency
    code = ak.to_numpy(jets.flavor)
    for low, high in ((20, 40), (40, 70), (70, 120), (120, 1000)):
        for flavor in (5, 4, 0):
            chosen = (code == flavor) if flavor else ~np.isin(code, (4, 5))
            chosen &= ak.to_numpy((jets.pt >= low) & (jets.pt < high))
            chance = formulas[flavor](pt=jets.pt[chosen], eta=jets.eta[chosen])
            error = math.sqrt(np.sum(chance * (1 - chance))) + 1
            assert abs(np.sum(ak.to_numpy(jets.btag[chosen])) - chance.sum()) < 4 * error
    expected = np.mean([ak.sum(run.jets.btag) for run in runs])
    assert abs(ak.sum(real.leaf("Jet.BTag")) - expected) < 4 * math.sqrt(expected)
