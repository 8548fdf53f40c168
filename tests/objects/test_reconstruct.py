# SPDX-License-Identifier: MIT
"""Objects of events small enough to be reconstructed by hand."""

from __future__ import annotations

import dataclasses
import logging
import math

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
from hepgen_fastsim import reconstruct
from hepgen_fastsim.cards import Formula, load_card
from small_events import make_gen, make_reco

CMS = load_card("cms")
CERTAIN = dataclasses.replace(  # every candidate within the acceptance passes
    CMS,
    **{
        k: dataclasses.replace(getattr(CMS, k), efficiency=Formula("pt > 10"))
        for k in ("photons", "electrons", "muons")
    },
)


def test_two_back_to_back_hadrons_are_two_jets_without_missing_energy():
    events = reconstruct(make_reco([(211, 50.0, 0.3, 1.0), (130, 50.0, -0.3, 1.0 - math.pi)]))
    scale = math.sqrt((2.5 - 0.15 * 0.3) ** 2 / 50.0 + 1.0)
    assert ak.to_list(ak.num(events.jets)) == [2]
    np.testing.assert_allclose(events.jets.pt[0], [50 * scale] * 2, rtol=1e-6)
    masses = sorted(events.jets.mass[0])
    np.testing.assert_allclose(masses, [0, 0.13957 * scale], rtol=1e-3, atol=1e-2)  # a pion, and a massless tower
    np.testing.assert_allclose(sorted(events.jets.eta[0]), [-0.3, 0.3], rtol=1e-6)
    assert events.met.pt[0] < 1e-5
    np.testing.assert_allclose(events.ht[0], 100 * scale, rtol=1e-6)
    assert sorted(events.jets.n_charged[0]) == [0, 1]
    assert sorted(ak.flatten(events.jets.constituents[0], axis=None)) == [0, 1]
    neutral = events.jets[0][events.jets.n_neutrals[0] == 1]
    assert neutral.neutral_energy_fraction[0] == pytest.approx(1.0)
    assert neutral.ehad_over_eem[0] == pytest.approx(999.9)  # no electromagnetic energy


def test_close_constituents_make_one_jet_and_their_leaves_follow():
    events = reconstruct(make_reco([(211, 40.0, 0.0, 0.1), (22, 20.0, 0.0, -0.2), (130, 10.0, 0.0, 0.0)]))
    (jet,) = events.jets[0]
    weight = np.array([1600.0, 400.0, 100.0])
    phi = math.atan2(40 * math.sin(0.1) - 20 * math.sin(0.2), 40 * math.cos(0.1) + 20 * math.cos(0.2) + 10)
    distance = np.abs(np.array([0.1, -0.2, 0.0]) - phi)
    assert jet.phi == pytest.approx(phi, abs=1e-6)
    assert jet.ehad_over_eem == pytest.approx(0.5)
    assert jet.ptd == pytest.approx(math.sqrt(2100) / 70)
    assert jet.mean_sq_delta_r == pytest.approx((weight * distance**2).sum() / weight.sum(), rel=1e-5)
    assert jet.delta_phi == pytest.approx(distance.max(), rel=1e-5)
    assert jet.delta_eta == pytest.approx(0, abs=1e-6)


def test_missing_energy_is_minus_the_sum():
    events = reconstruct(make_reco([(211, 3.0, 1.0, 0.0), (22, 4.0, -1.0, math.pi / 2)]))
    assert events.met.pt[0] == pytest.approx(5.0)
    assert events.met.phi[0] == pytest.approx(math.atan2(-4, -3))
    assert len(events.jets[0]) == 0
    assert events.ht[0] == 0


def test_isolation_sums_within_the_cone_but_not_leptons_soft_ones_or_itself():
    reco = make_reco(
        [
            (-13, 40.0, 0.0, 0.0),
            (211, 2.0, 0.3, 0.0),  # inside
            (130, 3.0, 0.0, -0.4),  # inside
            (22, 0.4, 0.1, 0.1),  # too soft
            (11, 5.0, 0.2, 0.0),  # an electron
            (211, 30.0, 0.0, 0.51),  # outside
        ]
    )
    (muon,) = reconstruct(reco, card=CERTAIN).muons[0]
    assert muon.sum_pt_charged == pytest.approx(2.0)
    assert muon.sum_pt_neutral == pytest.approx(3.0)
    assert muon.sum_pt == pytest.approx(5.0)
    assert muon.isolation_var == pytest.approx(5.0 / 40.0)
    assert (muon.charge, muon.constituent) == (1, 0)


@pytest.mark.parametrize(("pt", "kept"), [(4.7, 1), (4.9, 0)])
def test_electrons_pass_below_their_largest_ratio(pt, kept):
    events = reconstruct(make_reco([(11, 40.0, 0.0, 0.0), (211, pt, 0.3, 0.0)]), card=CERTAIN)
    assert len(events.electrons[0]) == kept  # 0.12 * 40 GeV is 4.8 GeV


def test_isolation_wraps_in_phi():
    events = reconstruct(make_reco([(22, 40.0, 0.0, 3.1), (211, 2.0, 0.0, -3.1)]), card=CERTAIN)
    assert events.photons.sum_pt[0, 0] == pytest.approx(2.0)


def test_a_jet_that_contains_a_lepton_is_removed():
    reco = make_reco([(11, 40.0, 0.0, 0.0), (211, 1.0, 0.1, 0.0), (211, 30.0, 0.0, 2.0)])
    events = reconstruct(reco, card=CERTAIN)
    assert len(events.electrons[0]) == 1
    np.testing.assert_allclose(events.jets.phi[0], [2.0], atol=1e-6)
    scale = math.sqrt(2.5**2 / 30 + 1)
    assert events.ht[0] == pytest.approx(40 + 30 * scale, rel=1e-6)


def test_objects_that_share_a_particle_overlap():
    """An electron whose own shower also makes a photon: the photon, which comes first, stays."""
    reco = make_reco([(11, 40.0, 0.0, 0.0, 0), (22, 30.0, 0.0, 0.0, 0)])
    loose = dataclasses.replace(CERTAIN, electrons=dataclasses.replace(CERTAIN.electrons, isolation=None))
    events = reconstruct(reco, card=loose)
    assert (len(events.photons[0]), len(events.electrons[0]), len(events.jets[0])) == (1, 0, 0)
    apart = ak.with_field(reco, ak.Array([[0, 1]]), "origin")
    events = reconstruct(apart, card=loose)
    assert (len(events.photons[0]), len(events.electrons[0]), len(events.jets[0])) == (1, 1, 0)


def test_contributors_count_for_overlaps():
    reco = make_reco([(22, 30.0, 0.0, 0.0, 1), (211, 30.0, 0.0, 2.0, 2)])
    assert len(reconstruct(reco, card=CERTAIN).jets[0]) == 1
    shared = ak.with_field(reco, ak.Array([[[1, 3], [2, 3]]]), "contributors")
    events = reconstruct(shared, card=CERTAIN)
    assert len(events.jets[0]) == 0
    assert ak.to_list(events.photons.particles) == [[[1, 3]]]


def test_gen_jets_leave_out_neutrinos_and_decayed_particles():
    gen = make_gen([(211, 1, 50.0, 0.0, 0.0), (12, 1, 30.0, 0.0, 2.0), (5, 2, 60.0, 0.0, 0.0)])
    events = reconstruct(make_reco([(211, 50.0, 0.0, 0.0, 0)]), gen)
    np.testing.assert_allclose(events.genjets.pt[0], [50.0], rtol=1e-6)
    assert ak.to_list(events.genjets.constituents) == [[[0]]]
    assert events.genmet.pt[0] == pytest.approx(50.0)
    assert events.jets.flavor[0, 0] == 5
    assert ak.to_list(events.jets.particles) == [[[0]]]


@pytest.mark.parametrize(
    ("partons", "flavor"),
    [
        ([], 0),
        ([(21, 2, 30.0, 0.1, 0.0)], 21),
        ([(21, 2, 30.0, 0.1, 0.0), (-1, 2, 5.0, 0.1, 0.1)], 1),
        ([(4, 2, 5.0, 0.1, 0.0), (-5, 2, 2.0, -0.1, 0.1), (21, 2, 50.0, 0.0, 0.0)], 5),
        ([(5, 2, 30.0, 0.51, 0.0)], 0),  # outside
        ([(5, 2, 0.9, 0.0, 0.0)], 0),  # too soft
        ([(5, 1, 30.0, 0.0, 0.0)], 0),  # stable
        ([(6, 2, 30.0, 0.0, 0.0)], 0),
    ],
)
def test_flavor_is_the_highest_quark_code_within_the_cone(partons, flavor):
    gen = make_gen([(211, 1, 50.0, 0.0, 0.0), (1, 2, 5.0, 2.0, 2.0), *partons])
    events = reconstruct(make_reco([(211, 50.0, 0.0, 0.0)]), gen)
    assert events.jets.flavor[0, 0] == flavor


def test_taus_are_found_by_their_visible_products():
    """tau- at phi 0.7 whose pions go to phi 0 and whose neutrino carries the rest away."""
    gen = make_gen(
        [
            (15, 2, 60.0, 0.0, 0.7, -1, 1, 3),
            (-211, 1, 20.0, 0.0, 0.05, 0),
            (111, 1, 20.0, 0.0, -0.05, 0),
            (16, 1, 30.0, 0.0, 1.5, 0),
        ]
    )
    events = reconstruct(make_reco([(-211, 20.0, 0.0, 0.05, 1), (22, 20.0, 0.0, -0.05, 2)]), gen)
    (jet,) = events.jets[0]
    assert (jet.tau_flavor, jet.charge) == (15, -1)
    assert jet.tau_weight == pytest.approx(0.6)


def test_tag_rates_follow_the_formulas():
    n = 10_000
    for code, formula in CMS.btag[0].efficiency.items():
        reco = make_reco(*[[(211, 60.0, 0.0, 0.0)]] * n)
        gen = make_gen(*[[(211, 1, 60.0, 0.0, 0.0), (code or 21, 2, 60.0, 0.0, 0.0)]] * n)
        jets = ak.flatten(reconstruct(reco, gen, seed=5).jets)
        expected = float(formula(pt=jets.pt[0]))
        assert np.mean(jets.btag) == pytest.approx(expected, abs=4 * math.sqrt(expected / n))
        other = float(CMS.btag[0].efficiency[0](pt=jets.pt[0]))  # Delphes: no parton-level record, flavour 0
        assert np.mean(jets.btag_algo) == pytest.approx(other, abs=4 * math.sqrt(other / n))
        assert np.mean(jets.tautag) == pytest.approx(0.01, abs=4 * math.sqrt(0.01 / n))
        assert abs(np.mean(jets.charge)) < 4 / math.sqrt(n)
        both = np.mean((jets.btag == 1) & (jets.btag_algo == 1))  # independent draws
        assert both == pytest.approx(expected * other, abs=5 * math.sqrt(expected * other / n))


def test_efficiencies_agree_within_statistics():
    n = 20_000
    reco = make_reco(*[[(22, 30.0, 0.5, 0.0), (-11, 30.0, 2.0, 2.0), (13, 30.0, 2.45, -2.0), (13, 9.9, 0.0, 1.0)]] * n)
    events = reconstruct(reco, seed=3)
    for kind, expected in (("photons", 0.95), ("electrons", 0.85)):
        assert ak.sum(ak.num(events[kind])) / n == pytest.approx(expected, abs=4 * math.sqrt(0.13 / n))
    assert ak.sum(ak.num(events.muons)) == 0


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(1)
    events = []
    for n in rng.poisson(60, 20):
        code = rng.choice([211, -211, 22, 130, 11, 13], n, p=[0.3, 0.3, 0.2, 0.1, 0.05, 0.05])
        events.append([(211, 60.0, eta, 1.0) for eta in rng.normal(0, 0.2, 5)])  # a fat jet
        events.append(list(zip(code, rng.exponential(8, n) + 0.5, rng.normal(0, 2, n), rng.uniform(-3.1, 3.1, n))))
    gen = [[(c, 1, pt, eta, phi) for c, pt, eta, phi in event] + [(5, 2, 30.0, 0.0, 1.0)] for event in events]
    return make_reco(*events), make_gen(*gen)


def test_batches_do_not_matter(sample):
    from hepgen_fastsim.io.arrays import as_gen

    reco, gen = sample[0], as_gen(sample[1])
    whole = reconstruct(reco, gen, seed=9)
    parts = [reconstruct(reco[i : i + 7], gen[i : i + 7], seed=9) for i in range(0, len(reco), 7)]
    assert ak.to_list(ak.concatenate(parts)) == ak.to_list(whole)
    assert ak.to_list(reconstruct(reco, gen, seed=10).jets.btag) != ak.to_list(whole.jets.btag)
    order = np.random.default_rng(2).permutation(len(reco))
    keys = np.arange(len(reco))
    stream = ak.parameters(gen)["stream"]
    shuffled = reconstruct(reco[order], gen[order], seed=9, event=keys[order], stream=stream)
    assert ak.to_list(shuffled[np.argsort(order)]) == ak.to_list(whole)


def test_constituents_point_at_what_the_jet_is_made_of(sample):
    reco, gen = sample
    events = reconstruct(reco, gen)
    assert ak.sum(ak.num(events.jets)) > 40
    assert ak.any(ak.num(events.fatjets) > 0)
    for jets, scale in ((events.jets, CMS.jets.scale), (events.fatjets, Formula("1"))):
        for i, event in enumerate(jets):
            for jet in event:
                parts = reco[i][jet.constituents]
                px, py = ak.sum(parts.pt * np.cos(parts.phi)), ak.sum(parts.pt * np.sin(parts.phi))
                pt = math.hypot(px, py)
                assert jet.pt == pytest.approx(pt * float(scale(pt=pt, eta=jet.eta)), rel=1e-5)
    assert ak.all(events.jets.pt[:, :-1] >= events.jets.pt[:, 1:])


def test_empty_events_empty_batches_and_missing_gen(caplog):
    empty = make_reco([], [])
    events = reconstruct(empty)
    assert ak.to_list(events.met.pt) == [0, 0]
    assert ak.to_list(events.ht) == [0, 0]
    for kind in ("jets", "genjets", "fatjets", "electrons", "muons", "photons"):
        assert ak.to_list(events[kind]) == [[], []]
    assert ak.to_list(events.genmet) == [None, None]
    full = reconstruct(make_reco([(211, 50.0, 0.0, 0.0)]), make_gen([(211, 1, 50.0, 0.0, 0.0)]))
    assert reconstruct(empty[:0]).type.content == events.type.content
    assert full.type.content == reconstruct(empty, make_gen([], [])).type.content
    with caplog.at_level(logging.WARNING, "hepgen_fastsim"):
        reconstruct(make_reco([(211, 50.0, 0.0, 0.0)]))
    assert "without flavour" in caplog.text
    assert ak.to_list(reconstruct(ak.Array([[], []])).jets) == [[], []]


def test_what_comes_out_is_vectors():
    events = reconstruct(make_reco([(211, 50.0, 0.0, 0.0), (211, 50.0, 0.0, 2.0)]))
    assert (events.jets[:, 0] + events.jets[:, 1]).mass[0] > 0
    assert abs(events.met.deltaphi(events.jets[:, 0])[0]) > 1.9


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: reconstruct(ak.Array([None, [{"pdgid": 22, "pt": 1.0, "eta": 0.0, "phi": 0.0}]])),
            "an event is missing",
        ),
        (lambda: reconstruct([1, 2]), "awkward array, found list"),
        (lambda: reconstruct(ak.Array([1.0])), "one list of records per event"),
        (lambda: reconstruct(ak.Array([[{"pdgid": 22, "pt": 1.0}]])), "eta, phi is missing"),
        (lambda: reconstruct(make_reco([(22, math.nan, 0.0, 0.0)])), "event 0, constituent 0: pt is nan"),
        (lambda: reconstruct(make_reco([], [(22, -1.0, 0.0, 0.0)])), "event 1, constituent 0: pt is -1"),
        (lambda: reconstruct(make_reco([]), make_gen([], [])), "same events, found 2 and 1"),
        (
            lambda: reconstruct(make_reco([(22, 1.0, 0.0, 0.0, 5)]), make_gen([(22, 1, 1.0, 0.0, 0.0)])),
            "origin is particle 5, but the GEN event has only 1",
        ),
        (lambda: reconstruct(make_reco([]), seed=-1), "unsigned 64-bit"),
        (lambda: reconstruct(make_reco([]), stream=2**32), "unsigned 32-bit"),
        (lambda: reconstruct(make_reco([]), event=np.zeros(3)), "one integer for each of the 1 events"),
        (lambda: reconstruct(make_reco([]), card="csm"), "did you mean 'cms'"),
        (lambda: reconstruct(ak.Array([[{"pdgid": 22, "pt": "a", "eta": 0.0, "phi": 0.0}]])), "must hold numbers"),
    ],
)
def test_errors_say_what_was_expected_and_found(call, text):
    with pytest.raises(hf.InputError, match=text):
        call()
