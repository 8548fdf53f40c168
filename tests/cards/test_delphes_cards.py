# SPDX-License-Identifier: MIT
"""Cards in Delphes' language, written here in its form: what is honoured, what is named, what is refused."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from hepgen_fastsim import InputError
from hepgen_fastsim.cards import load_card
from hepgen_fastsim.cards.detector import fingerprint
from hepgen_fastsim.cards.tcl import items, parse

OBJECTS = """# an analysis of one's own
set RandomSeed 7
set Cone 0.3

set ExecutionPath {
  Bend Smear Flow SoftFilter
  EleEff EleIso  MuEff MuIso
  Finder Scale Assoc Tag TagTight Taus
  Unique HT Met Genes Out
}

module Merger Flow {
  add InputArray HCal/eflowTracks
  add InputArray ECal/eflowPhotons
  set OutputArray eflow
}
module PdgCodeFilter SoftFilter {
  set InputArray Flow/eflow
  set OutputArray eflow
  add PdgCode {11}
  add PdgCode {-11}
}
module Efficiency EleEff {
  set InputArray Smear/electrons
  set OutputArray electrons
  # set EfficiencyFormula {0.1}
  set EfficiencyFormula {  (pt <= 15.0) * (0.00) + \\
                           (pt > 15.0)  * (0.5) }
}
module Isolation EleIso {
  set CandidateInputArray EleEff/electrons
  set IsolationInputArray SoftFilter/eflow
  set OutputArray electrons
  set DeltaRMax $Cone
  set PTMin 1.0
  set PTRatioMax 0.2
}
module Efficiency MuEff {
  set InputArray Smear/muons
  set OutputArray muons
}
module Isolation MuIso {
  set CandidateInputArray MuEff/muons
  set IsolationInputArray Flow/eflow
  set OutputArray muons
  set UsePTSum true
  set PTSumMax 3.0
}
module FastJetFinder Finder {
  set InputArray Flow/eflow
  set OutputArray jets
  set JetAlgorithm 5
  set ParameterR [expr {$Cone + 0.4}]
  set JetPTMin 30.0
}
module EnergyScale Scale {
  set InputArray Finder/jets
  set OutputArray jets
  set ScaleFormula {1.1}
}
module JetFlavorAssociation Assoc {
  set JetInputArray Scale/jets
  set DeltaR 0.4
  set PartonPTMin 5.0
}
module BTagging Tag {
  set JetInputArray Scale/jets
  set BitNumber 0
  add EfficiencyFormula {0} {0.02}
  add EfficiencyFormula {5} {0.7*tanh(pt)}
}
module BTagging TagTight {
  set JetInputArray Scale/jets
  set BitNumber 1
  add EfficiencyFormula {5} {0.4}
}
module TauTagging Taus {
  set JetInputArray Scale/jets
  add EfficiencyFormula {15} {0.55}
}
module UniqueObjectFinder Unique {
  add InputArray EleIso/electrons electrons
  add InputArray Scale/jets jets
}
module Merger HT {
  add InputArray Unique/jets
  add InputArray MuIso/muons
  set EnergyOutputArray energy
}
module Merger Met {
  add InputArray Flow/eflow
  set MomentumOutputArray momentum
}
module Merger Genes {
  add InputArray Invisible/filteredParticles
  set MomentumOutputArray momentum
}
module TreeWriter Out {
  add Branch Unique/jets Jet Jet
  add Branch Unique/electrons Electron Electron
  add Branch MuIso/muons Muon Muon
  add Branch HT/energy ScalarHT ScalarHT
  add Branch Met/momentum MissingET MissingET
  add Branch Flow/eflow EFlowTrack Track
}
"""
DETECTOR = """
module ParticlePropagator Bend {
  set InputArray Delphes/stableParticles
  set Radius 1.29
  set HalfLength 3.00
  set Bz 3.8
}
module MomentumSmearing Smear {
  set InputArray Bend/electrons
  set ResolutionFormula {0.01}
}
"""


@pytest.fixture
def written(tmp_path):
    def write(text=OBJECTS + DETECTOR):
        path = tmp_path / "delphes_card.dat"  # as MadGraph names it
        path.write_text(text)
        return path

    return write


def test_object_definitions_are_honoured(written):
    card = load_card(written())
    assert (card.jets.algorithm, card.jets.pt_min) == ("cambridge", 30.0)
    assert card.jets.radius == pytest.approx(0.7)
    assert float(card.jets.scale(pt=50.0)) == 1.1
    np.testing.assert_allclose(card.electrons.efficiency(pt=np.array([15.0, 16.0])), [0, 0.5])
    assert card.electrons.isolation.delta_r == 0.3
    assert (card.electrons.isolation.ratio_max, card.electrons.isolation.ignore) == (0.2, (11,))
    assert float(card.muons.efficiency(pt=1.0)) == 1.0
    assert (card.muons.isolation.sum_max, card.muons.isolation.ignore) == (3.0, ())
    assert card.photons is card.fatjets is card.genjets is None
    assert (card.flavor.delta_r, card.flavor.pt_min, card.flavor.eta_max) == (0.4, 5.0, 2.5)
    assert [tag.bit for tag in card.btag] == [0, 1]
    assert float(card.btag[0].efficiency[5](pt=50.0)) == pytest.approx(0.7)
    assert float(card.tautag[0].efficiency[15](pt=50.0)) == 0.55
    assert card.overlap == ("electrons", "jets")
    assert card.scalar_ht == ("jets", "muons")
    assert card.settings == {"RandomSeed": 7}


def test_it_reconstructs(written):
    import awkward as ak
    from hepgen_fastsim import reconstruct

    reco = ak.Array(
        [[{"pdgid": 211, "pt": 40.0, "eta": 0.0, "phi": 0.0}, {"pdgid": 13, "pt": 40.0, "eta": 1.0, "phi": 2.0}]]
    )
    events = reconstruct(reco, card=written())
    np.testing.assert_allclose(events.jets.pt[0], [44, 44], rtol=1e-5)  # muons are no part of the overlap removal
    assert len(events.muons[0]) == 1
    assert events.ht[0] == pytest.approx(128.0)


def test_modules_without_a_counterpart_are_named(written):
    differences = load_card(written()).differences
    assert [d for d in differences if "the module Smear (MomentumSmearing) is not imitated" in d]
    assert [d for d in differences if "the module HCal does not run" in d]
    for name in ("EleEff", "MuIso", "Tag", "Scale", "SoftFilter"):
        assert not [d for d in differences if f"the module {name} " in d]


def test_changed_detectors_are_named(written, caplog):
    text = (OBJECTS + DETECTOR).replace(" Bend", " ParticlePropagator").replace("Bend/", "ParticlePropagator/")
    assert not [d for d in load_card(written(text)).differences if "ParticlePropagator" in d]
    path = written(text.replace("set Bz 3.8", "set Bz 2.5"))
    with caplog.at_level(logging.WARNING, "hepgen_fastsim"):
        card = load_card(path)
    (bz,) = [d for d in card.differences if "Bz" in d]
    line = 1 + path.read_text()[: path.read_text().index("set Bz")].count("\n")
    assert bz == f"{path}, line {line}: Bz of ParticlePropagator is 2.5, the model delphes-cms was trained with 3.8."
    assert bz in caplog.text
    with pytest.raises(InputError, match=r"cannot be followed.*Bz of ParticlePropagator is 2\.5"):
        load_card(path, strict=True)


def test_formulas_are_compared_by_value(tmp_path):
    def of(text):
        script = parse("module Efficiency E { set EfficiencyFormula {" + text + "} }", tmp_path / "c.tcl")
        return fingerprint(script.modules.values())

    assert of("(pt > 1.0) * (0.95) + 0.0") == of("0.95*(pt>1)")
    assert of("(pt > 1.0) * (0.95)") != of("(pt > 1.0) * (0.94)")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("set JetAlgorithm 5", "set JetAlgorithm 9", r"line \d+: JetAlgorithm 9 is not made"),
        ("set JetPTMin 30.0", "set JetPTMin thirty", r"line \d+: 'JetPTMin' must be a number, found 'thirty'"),
        ("set ParameterR [", "set ParameterR -1;#[", r"line \d+: 'radius' must be above 0"),
        ("{0.7*tanh(pt)}", "{0.7*sqtr(pt)}", r"line \d+: '5': 'sqtr' is not a function; did you mean 'sqrt'"),
        ("  Bend Smear", "  Bned Smear", r"line 5: ExecutionPath names the module 'Bned'; did you mean 'Bend'"),
        ("set ExecutionPath {", "set ExecutionPathX {", "no ExecutionPath"),
        ("module TreeWriter Out", "module Merger Out", "no TreeWriter"),
        ("add Branch Unique/jets Jet", "add Branch Uniqe/jets Jet", "module 'Uniqe' does not exist"),
        ("set CandidateInputArray EleEff", "foreach x {1 2} {};set CandidateInputArray EleEff", "only 'set', 'add'"),
        ("set Bz 3.8\n}", "set Bz 3.8\n", r"line \d+: the brace '\{' that opens here is not closed"),
        ("set RandomSeed 7", "source none.tcl", r"line 2: .*none.tcl cannot be included"),
    ],
)
def test_errors_name_the_line(written, old, new, message):
    text = OBJECTS + DETECTOR
    assert old in text
    with pytest.raises(InputError, match=message):
        load_card(written(text.replace(old, new, 1)))


def test_files_can_be_included(written, tmp_path):
    (tmp_path / "tag.tcl").write_text("add EfficiencyFormula {5} {0.33}\n")
    card = load_card(written((OBJECTS + DETECTOR).replace("add EfficiencyFormula {5} {0.4}", "source tag.tcl")))
    assert float(card.btag[1].efficiency[5](pt=50.0)) == 0.33
    (tmp_path / "loop.tcl").write_text("source loop.tcl\n")
    with pytest.raises(InputError, match="include"):
        load_card(written("source loop.tcl\n" + OBJECTS + DETECTOR))


def test_lists():
    assert items("a {b c} {{d} e}\n f") == ["a", "b c", "{d} e", "f"]
    assert items(" ") == []


@pytest.mark.skipif("DELPHES_CARDS" not in os.environ, reason="DELPHES_CARDS names a folder of Delphes' own cards")
def test_delphes_own_cards():
    """The genuine CMS and ATLAS cards are what cms.toml and atlas.toml say."""
    folder = Path(os.environ["DELPHES_CARDS"])
    pt, eta = np.geomspace(1, 1000, 40)[:, None], np.linspace(-5, 5, 101)
    for name in ("cms", "atlas"):
        theirs, ours = load_card(folder / f"delphes_card_{name.upper()}.tcl"), load_card(name)
        assert theirs.model == ours.model
        assert all("towers" in difference for difference in theirs.differences)
        assert (theirs.overlap, set(theirs.scalar_ht)) == (ours.overlap, set(ours.scalar_ht))
        assert (theirs.genjets, theirs.fatjets, theirs.flavor) == (ours.genjets, ours.fatjets, ours.flavor)
        pairs = [(theirs.jets.scale, ours.jets.scale)]
        for kind in ("photons", "electrons", "muons"):
            pairs.append((getattr(theirs, kind).efficiency, getattr(ours, kind).efficiency))
            assert getattr(theirs, kind).isolation == getattr(ours, kind).isolation
        for a, b in ((theirs.btag[0], ours.btag[0]), (theirs.tautag[0], ours.tautag[0])):
            assert a.efficiency.keys() == b.efficiency.keys()
            pairs += [(a.efficiency[code], b.efficiency[code]) for code in a.efficiency]
        for a, b in pairs:
            np.testing.assert_allclose(a(pt=pt, eta=eta), b(pt=pt, eta=eta), rtol=1e-12)


def test_semicolons_in_a_list():
    """Found by fuzzing: this did not come to an end."""
    assert items("a;b ;; {c;d}") == ["a", "b", "c d"]


def test_files_that_include_themselves_twice(written, tmp_path):
    """Twenty files deep they would be a million; what is no file is not read."""
    (tmp_path / "twice.tcl").write_text("source twice.tcl\nsource twice.tcl\n" * 6)
    (tmp_path / "wide.tcl").write_text("source leaf.tcl\n" * 300)
    (tmp_path / "leaf.tcl").write_text("set a b\n")
    card = OBJECTS + DETECTOR
    for source, message in (
        ("twice.tcl", "20 deep"),
        ("wide.tcl", "line 200: more than 200 files are included"),
        ("/dev/zero", "it is not a file"),
        ("a\0b", "cannot be included"),
    ):
        with pytest.raises(InputError, match=message):
            load_card(written(f"source {source}\n" + card))
