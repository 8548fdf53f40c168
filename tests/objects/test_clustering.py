# SPDX-License-Identifier: MIT
"""Our jets are those of FastJet: the same members, the same momenta."""

from __future__ import annotations

import hepgen_fastsim as hf
import numpy as np
import pytest
from hepgen_fastsim.cards.card import GenJets
from hepgen_fastsim.demo import sample
from hepgen_fastsim.events import columns_of
from hepgen_fastsim.objects.clustering import cluster
from hepgen_fastsim.objects.columns import particles

fastjet = pytest.importorskip("fastjet")

ALGORITHMS = {"antikt": "antikt_algorithm", "cambridge": "cambridge_algorithm", "kt": "kt_algorithm"}


@pytest.fixture(scope="module")
def gen():
    return particles(columns_of(next(iter(hf.read(sample())))))


def oracle(columns, rows, event, definition):
    """Members (rows) and momenta of FastJet's jets of one event, pt descending."""
    rows = rows[(rows >= columns.offsets[event]) & (rows < columns.offsets[event + 1])]
    inputs = []
    for row in rows.tolist():
        p = fastjet.PseudoJet(*(float(getattr(columns, name)[row]) for name in ("px", "py", "pz", "energy")))
        p.set_user_index(row)
        inputs.append(p)
    sequence = fastjet.ClusterSequence(
        inputs, fastjet.JetDefinition(getattr(fastjet, ALGORITHMS[definition.algorithm]), definition.radius)
    )
    jets = fastjet.sorted_by_pt(sequence.inclusive_jets(definition.pt_min))
    members = [sorted(c.user_index() for c in jet.constituents()) for jet in jets]
    return members, [(jet.px(), jet.py(), jet.pz(), jet.e()) for jet in jets]


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
@pytest.mark.parametrize("radius", [0.15, 0.5, 1.5])
def test_the_same_as_fastjet(gen, algorithm, radius):
    definition = GenJets(algorithm=algorithm, radius=radius, pt_min=5.0)
    rows = np.flatnonzero(gen.status == 1)
    jets = cluster(gen, definition, rows)
    n_events = 12
    assert len(gen.offsets) > n_events
    for event in range(n_events):
        members, momenta = oracle(gen, rows, event, definition)
        inside = range(int(jets.offsets[event]), int(jets.offsets[event + 1]))
        assert [jets.members[jets.member_of == jet].tolist() for jet in inside] == members
        ours = np.stack([jets.px, jets.py, jets.pz, jets.energy], 1)[list(inside)]
        assert np.allclose(ours, np.reshape(momenta, (-1, 4)), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
@pytest.mark.parametrize("pt_min", [10.0, 40.0, 120.0])
def test_a_threshold_takes_nothing_else_away(gen, algorithm, pt_min):
    """Clustering stops where no jet above the threshold is possible any more: the jets are those without one."""
    rows = np.flatnonzero(gen.status == 1)
    every = cluster(gen, GenJets(algorithm=algorithm, radius=0.6, pt_min=0.0), rows)
    jets = cluster(gen, GenJets(algorithm=algorithm, radius=0.6, pt_min=pt_min), rows)
    expected = every[every.px**2 + every.py**2 >= pt_min**2]
    assert 0 < len(expected) < len(every)
    for name in ("px", "py", "pz", "energy", "offsets", "members", "member_of"):
        np.testing.assert_array_equal(getattr(jets, name), getattr(expected, name))


def test_what_is_just_enough_for_a_jet_makes_one():
    """In all directions, also between those in which momenta are summed up."""
    phi = np.linspace(-np.pi, np.pi, 161)
    alone = columns_of(
        {
            "pdgid": np.full(322, 22),
            "px": np.repeat(10.0 * np.cos(phi), 2),
            "py": np.repeat(10.0 * np.sin(phi), 2),
            "pz": np.tile([3.0, 3.1], 161),
            "offsets": np.arange(0, 323, 2),
        }
    )
    for pt_min, number in ((20 * (1 - 1e-12), 1), (20 * (1 + 1e-12), 0)):
        jets = cluster(particles(alone), GenJets(algorithm="antikt", radius=0.5, pt_min=pt_min))
        assert np.diff(jets.offsets).tolist() == [number] * len(phi)


def test_soft_events_have_no_jets(gen):
    jets = cluster(gen, GenJets(algorithm="antikt", radius=0.4, pt_min=1e5))
    assert len(jets) == 0
    assert jets.offsets.tolist() == [0] * len(gen.offsets)
