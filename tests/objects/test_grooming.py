# SPDX-License-Identifier: MIT
"""Substructure of jets whose answer is known by construction."""

from __future__ import annotations

import math

import awkward as ak
import numpy as np
import pytest
from hepgen_fastsim import reconstruct
from hepgen_fastsim._core_loader import core
from hepgen_fastsim.cards.card import AXES
from hepgen_fastsim.errors import Error, InputError
from small_events import make_reco

TWO_PRONGS = [(130, 150.0, 0.0, 0.2), (130, 150.0, 0.0, -0.2), (22, 2.0, 0.5, 0.0)]


@pytest.fixture(scope="module")
def jet():
    (jet,) = reconstruct(make_reco(TWO_PRONGS)).fatjets[0]
    return jet


@pytest.mark.parametrize("name", ["soft_dropped", "pruned", "trimmed"])
def test_grooming_leaves_out_what_is_soft_and_wide(jet, name):
    groomed, first, second, *rest = jet[name]
    assert groomed.pt == pytest.approx(300 * math.cos(0.2), rel=1e-6)
    assert groomed.mass == pytest.approx(2 * 150 * math.sin(0.2), rel=1e-5)  # massless prongs
    assert sorted([first.phi, second.phi]) == pytest.approx([-0.2, 0.2], abs=1e-6)
    assert [p.pt for p in rest] == [0, 0]
    assert jet[f"n_subjets_{name}"] == 2
    assert jet.mass > groomed.mass


def test_nsubjettiness_by_hand(jet):
    """Two hard axes leave the photon, 0.5 away in eta and 0.2 in phi: tau_2 = pt dR / (sum pt R)."""
    expected = 2.0 * math.hypot(0.5, 0.2) / (302.0 * 0.8)
    assert jet.nsubjettiness[1] == pytest.approx(expected, rel=2e-2)  # the one-pass axes move a little
    assert jet.nsubjettiness[0] > 10 * jet.nsubjettiness[1]
    np.testing.assert_allclose(jet.nsubjettiness[2:], 0, atol=1e-6)


def test_a_single_particle_has_no_subjets():
    (jet,) = reconstruct(make_reco([(211, 300.0, 0.0, 0.0)])).fatjets[0]
    assert jet.soft_dropped[0].pt == pytest.approx(300.0)
    assert (jet.n_subjets_soft_dropped, jet.n_subjets_pruned) == (0, 0)
    np.testing.assert_allclose(jet.nsubjettiness, 0, atol=1e-6)


def test_soft_drop_agrees_with_fastjets_contrib():
    import fastjet

    rng = np.random.default_rng(4)
    n = 40
    event = list(zip([130] * n, rng.exponential(15, n), rng.normal(0, 0.25, n), rng.normal(0, 0.25, n)))
    (jet,) = reconstruct(make_reco(event)).fatjets[0]
    parts = ak.Array([[{"pt": pt, "eta": eta, "phi": phi} for _, pt, eta, phi in event]])[:, jet.constituents]
    p4 = ak.zip(
        {
            "px": parts.pt * np.cos(parts.phi),
            "py": parts.pt * np.sin(parts.phi),
            "pz": parts.pt * np.sinh(parts.eta),
            "E": parts.pt * np.cosh(parts.eta),
        }
    )
    sequence = fastjet.ClusterSequence(p4, fastjet.JetDefinition(fastjet.cambridge_algorithm, 100.0))
    oracle = sequence.exclusive_jets_softdrop_grooming(njets=1, beta=0, symmetry_cut=0.1, R0=0.8)
    assert jet.soft_dropped[0].pt == pytest.approx(ak.flatten(oracle.ptsoftdrop, axis=None)[0], rel=1e-6)
    assert jet.soft_dropped[0].mass == pytest.approx(ak.flatten(oracle.msoftdrop, axis=None)[0], rel=1e-5)


def _fastjets(momenta):
    """Trimmed, pruned and soft-dropped jets as FastJet's tools and a walk through its tree give them."""
    import fastjet as f

    sequence = f.ClusterSequence(
        [f.PseudoJet(*p) for p in momenta.tolist()], f.JetDefinition(f.cambridge_algorithm, 1e3)
    )
    (jet,) = sequence.inclusive_jets()
    for tool in (
        f.Filter(f.JetDefinition(f.kt_algorithm, 0.2), f.SelectorPtFractionMin(0.05)),
        f.Pruner(f.JetDefinition(f.cambridge_algorithm, 0.8), 0.1, 0.5),
    ):
        groomed = tool.result(jet)
        yield groomed, list(groomed.pieces()) if groomed.has_pieces() else []
    first, second = f.PseudoJet(), f.PseudoJet()
    pieces = []
    while not pieces and jet.has_parents(first, second):
        if min(first.pt(), second.pt()) > 0.1 * (first.delta_R(second) / 0.8) ** 0.5 * (first.pt() + second.pt()):
            pieces = [first, second]
        else:
            jet = first if first.pt() >= second.pt() else second
            first, second = f.PseudoJet(), f.PseudoJet()
    yield jet, pieces


def _random_jets():
    """62 jets of 1 to 90 particles, some of them massive: momenta [n, 4] (px, py, pz, energy), offsets [63]."""
    rng = np.random.default_rng(11)
    sizes = np.append(rng.integers(1, 90, 60), [1, 2])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    n, jet = offsets[-1], np.repeat(np.arange(len(sizes)), sizes)
    pt, mass = rng.exponential(10.0, n), rng.choice([0.0, 0.13957], n)
    y = rng.normal(0, 1.5, len(sizes))[jet] + rng.normal(0, 0.3, n)
    phi = rng.uniform(-np.pi, np.pi, len(sizes))[jet] + rng.normal(0, 0.3, n)
    mt = np.hypot(pt, mass)
    momenta = np.stack([pt * np.cos(phi), pt * np.sin(phi), mt * np.sinh(y), mt * np.cosh(y)], axis=1)
    return momenta, offsets


def test_groomed_jets_are_fastjets():
    momenta, offsets = _random_jets()
    inputs = (*momenta.T, offsets)
    found = (
        core().trim(*inputs, 0.2, 0.05),
        core().prune(*inputs, 0.8, 0.1, 0.5),
        core().soft_drop(*inputs, 0.8, 0.1, 0.5),
    )
    seen = np.zeros(3, int)
    for i in range(len(offsets) - 1):
        for k, (groomed, pieces) in enumerate(_fastjets(momenta[offsets[i] : offsets[i + 1]])):
            p, number = found[k][0][i], found[k][1][i]
            assert number == len(pieces)
            hardest = sorted(pieces, key=lambda piece: -piece.pt())[:4]
            expected = [[q.px(), q.py(), q.pz(), q.e()] for q in (groomed, *hardest)]
            np.testing.assert_allclose(p[: len(expected)], expected, rtol=1e-9, atol=1e-9)
            assert not p[len(expected) :].any()
            seen[k] += number > 0 and groomed.pt() < 0.999 * np.hypot(*momenta[offsets[i] : offsets[i + 1], :2].sum(0))
    assert (seen > 20).all()  # something was groomed away
    nothing = *[np.empty(0)] * 4, [0]
    for p, number in (core().trim(*nothing, 0.2, 0.05), core().prune(*nothing, 0.8, 0.1, 0.5)):
        assert p.shape == (0, 5, 4)
        assert number.shape == (0,)
    with pytest.raises(InputError, match="offsets should begin with 0"):
        core().prune(*[np.empty(0)] * 4, [1, 0], 0.8, 0.1, 0.5)
    with pytest.raises(InputError, match="the offsets count 1 particles, but a column has 0"):
        core().prune(*[np.empty(0)] * 4, [0, 1], 0.8, 0.1, 0.5)


FASTJETS_AXES = {
    "kt": "KT_Axes",
    "onepass_kt": "OnePass_KT_Axes",
    "wta_kt": "WTA_KT_Axes",
    "onepass_wta_kt": "OnePass_WTA_KT_Axes",
}


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("axes", AXES)
def test_nsubjettiness_is_fastjets(axes, beta):
    """To rounding, except where the minimum is searched for with beta < 1: steps there do not come to rest at once."""
    import fastjet

    momenta, offsets = _random_jets()
    found = core().nsubjettiness(*momenta.T, offsets, 0.8, beta, axes)
    particles = ak.unflatten(ak.zip(dict(zip(["px", "py", "pz", "E"], momenta.T))), np.diff(offsets))
    sequence = fastjet.ClusterSequence(particles, fastjet.JetDefinition(fastjet.cambridge_algorithm, 1e3))
    expected = sequence.njettiness(
        measure_definition="NormalizedMeasure",
        axes_definition=FASTJETS_AXES[axes],
        njets=[1, 2, 3, 4, 5],
        beta=beta,
        R0=0.8,
    )
    rough = beta < 1 and axes.startswith("onepass")
    expected = ak.to_numpy(expected).reshape(found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-3 if rough else 1e-9, atol=1e-12)
    np.testing.assert_array_equal(found > 0, np.diff(offsets)[:, None] > np.arange(1, 6))  # one per constituent is 0
    assert np.mean(np.isclose(found, expected, rtol=1e-6, atol=1e-12)) > 0.95


def test_the_minimum_is_not_above_where_it_is_searched_from():
    momenta, offsets = _random_jets()
    inputs = (*momenta.T, offsets, 0.8)
    for beta in (1.0, 2.0):
        for axes in ("kt", "wta_kt"):
            start, end = (
                core().nsubjettiness(*inputs, beta, axes),
                core().nsubjettiness(*inputs, beta, f"onepass_{axes}"),
            )
            assert (end <= start * (1 + 1e-3) + 1e-12).all()
            assert np.mean(end < 0.999 * start) > (0.1 if (beta, axes) == (2.0, "kt") else 0.5)


def test_nsubjettiness_refuses_what_makes_no_sense():
    nothing = *[np.empty(0)] * 4, [0]
    assert core().nsubjettiness(*nothing, 0.8, 1.0, "kt").shape == (0, 5)
    with pytest.raises(InputError, match=r"axes should be 'kt', .* but are 'ca'"):
        core().nsubjettiness(*nothing, 0.8, 1.0, "ca")
    with pytest.raises(Error, match="radius and beta should be positive"):
        core().nsubjettiness(*nothing, 0.8, 0.0, "kt")
    with pytest.raises(InputError, match="momentum of particle 1 is not finite"):
        core().nsubjettiness([1.0, np.nan], [0.0] * 2, [0.0] * 2, [1.0] * 2, [0, 2], 0.8, 1.0, "kt")
