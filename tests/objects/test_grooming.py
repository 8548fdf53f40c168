# SPDX-License-Identifier: MIT
"""Substructure of jets whose answer is known by construction."""

from __future__ import annotations

import math

import awkward as ak
import numpy as np
import pytest
from hepgen_fastsim import reconstruct
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
