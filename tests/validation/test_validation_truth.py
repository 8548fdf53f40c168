# SPDX-License-Identifier: MIT
"""Efficiencies, fakes and jet responses whose answers are known."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hepgen_fastsim.cards import load_card
from hepgen_fastsim.objects.columns import constituents
from hepgen_fastsim.validation import truth
from hepgen_fastsim.validation.measure import clean, measure, plain_card
from hepgen_fastsim.validation.responses import JetPairs, rate_tables, response_tables
from hepgen_fastsim.validation.sources import ragged
from hepgen_fastsim.validation.swap import exchanges
from hepgen_fastsim.validation.truth import Rate
from validation_events import gen_events, reco_of


@pytest.fixture(scope="module")
def card():
    return plain_card(load_card("cms"))


def test_efficiency_is_the_share_of_particles_that_lead_a_constituent(card):
    gen = gen_events(200)
    t = truth.truth_of(gen, card)
    c = constituents(reco_of(gen, efficiency=0.7), None)
    assert truth.links_agree(c, t.particles)
    found = truth.rates(c, t, links=True)
    for kind in ("track", "photon"):
        passed, everything = found[f"{kind}.efficiency.eta"]
        assert passed.sum() / everything.sum() == pytest.approx(0.7, abs=0.03)
        assert found[f"{kind}.fake.pt"][0].sum() == 0
    passed, everything = truth.rates(c, t, links=False)["track.efficiency.pt"]
    assert passed.sum() / everything.sum() > 0.7  # a neighbour may stand in for a lost particle


def test_a_photon_led_by_a_pion_is_a_fake(card):
    gen = gen_events(1)
    t = truth.truth_of(gen, card)
    codes = ak.to_numpy(gen["particles"]["pdgid"][0])
    pion, photon = int(np.flatnonzero(np.abs(codes) == 211)[0]), int(np.flatnonzero(codes == 22)[0])
    columns = {"pdgid": np.array([22, 22, 22]), "pt": np.array([5.0, 6.0, 7.0]), "eta": np.zeros(3), "phi": np.zeros(3)}
    reco = ragged(columns | {"origin": np.array([pion, photon, -1])}, np.array([0, 3]))
    passed, everything = truth.rates(constituents(reco, None), t, links=True)["photon.fake.eta"]
    assert (passed.sum(), everything.sum()) == (2, 3)


def test_links_to_another_record_are_not_trusted(card):
    t = truth.truth_of(gen_events(20, seed=8), card)
    c = constituents(reco_of(gen_events(20, seed=9)), None)
    assert not truth.links_agree(c, t.particles)


def test_a_jet_takes_the_nearest_gen_jet_across_the_seam_of_phi():
    gen = {"event": np.array([0, 0, 1]), "eta": np.array([0.0, 0.2, 0.0]), "phi": np.array([3.1, 3.1, 0.0])}
    jets = {"event": np.array([0, 1]), "eta": np.array([0.05, 0.0]), "phi": np.array([-3.14, 1.0])}
    gen["pt"], jets["pt"] = np.ones(3), np.ones(2)
    jet, row = truth.jet_matches(jets, gen)
    assert (jet.tolist(), row.tolist()) == ([0], [0])  # the second jet is 1 away from its only candidate
    none = {name: np.empty(0, int if name == "event" else float) for name in gen}
    assert [len(x) for x in truth.jet_matches(none, none)] == [0, 0]


def pairs(rng, scale, width, n=2000):
    p = JetPairs()
    gen_pt = rng.uniform(20, 300, n)
    p.gen_pt.append(gen_pt)
    p.gen_eta.append(rng.uniform(-4, 4, n))
    p.reco_pt.append(gen_pt * rng.normal(scale, width, n))
    p.event.append(np.arange(n))
    return p


def test_response_and_resolution_are_found_back():
    rng = np.random.default_rng(1)
    reference, candidate, rerun = pairs(rng, 1.0, 0.1), pairs(rng, 1.05, 0.2), pairs(rng, 1.0, 0.1)
    tables = response_tables(reference, candidate, rerun, exchanges(2000, 100, 1))
    assert [len(tables[v]) for v in ("pt", "eta")] == [5, 3]
    for row in tables["eta"]:
        assert row["median"]["candidate"] == pytest.approx(1.05, abs=0.04)
        assert row["median"]["verdict"] != "inside"
        assert row["width"]["ratio"] == pytest.approx(2, abs=0.3)
        assert row["width"]["rerun_ratio"] == pytest.approx(1, abs=3 * row["width"]["band"])
        assert row["tail"]["candidate"] > 10 * row["tail"]["reference"]


def rate_of(passed, everything):
    return dict.fromkeys(truth.RATES, Rate([passed.astype(np.float32)], [everything.astype(np.float32)]))


def test_pulls_of_a_perfect_candidate_have_width_one():
    rng = np.random.default_rng(2)
    pulls = []
    for _ in range(300):
        everything = rng.poisson(5, (200, 3))
        made = [rate_of(rng.binomial(everything, 0.6), everything) for _ in range(3)]
        pulls.append(rate_tables(*made)["track.efficiency.pt"]["pull"])
    assert np.std(pulls) == pytest.approx(1, abs=0.1)
    same = rate_tables(made[0], made[0], None)["track.efficiency.pt"]
    assert (same["pull"] == 0).all()


def test_constituents_that_are_no_numbers_are_counted_and_left_out(card):
    columns = {"pdgid": np.array([211, 211, 22, 130]), "pt": np.array([5.0, np.nan, -1.0, 2e5])}
    reco = ragged(columns | {"eta": np.zeros(4), "phi": np.zeros(4)}, np.array([0, 2, 4]))
    kept, counts = clean(reco)
    assert ak.num(kept).tolist() == [1, 1]
    assert counts == {"n_constituents": 4, "n_unusable": 2, "n_out_of_range": 1}
    m = measure(kept, card, None, np.arange(2))
    assert m.values["track.pt"][0].tolist() == [5.0]
    assert "event.met_x" not in m.values  # without GEN there is no residual


def test_events_without_constituents_and_without_jets(card):
    m = measure(ragged({}, np.zeros(4, int)), card, np.zeros((3, 2)), np.arange(3))
    assert m.values["track.n"][0].tolist() == [0, 0, 0]
    assert m.values["event.met"][0].tolist() == [0, 0, 0]
    assert len(m.values["jet.pt"][0]) == len(m.values["event.top"][0]) == 0


def test_masses_of_pairs(card):
    """Two muons of 40 GeV back to back at eta = 0: mass 80 GeV; like signs make no pair."""
    columns = {"pdgid": np.array([13, -13, 13, 13]), "pt": np.full(4, 40.0), "eta": np.zeros(4)}
    columns |= {"phi": np.array([0, np.pi, 0, np.pi]), "charge": np.array([-1, 1, -1, -1])}
    values = measure(ragged(columns, np.array([0, 2, 4])), card, None, np.arange(2)).values
    mass, event = values["event.dilepton"]
    assert (mass.round(3).tolist(), event.tolist()) == ([80.0], [0])
    assert values["event.lepton_pt"][0].tolist() == [40.0, 40.0]
