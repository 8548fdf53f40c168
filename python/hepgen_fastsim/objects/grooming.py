# SPDX-License-Identifier: MIT
"""Substructure of large jets: N-subjettiness, soft drop, pruning, trimming, by FastJet's own tools.

These jets are rare, so that the tools are called jet by jet. Soft drop itself is not among what FastJet's Python
package offers jet by jet; it is a walk through the Cambridge/Aachen tree, done here.
"""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from hepgen_fastsim.cards.card import AXES, FatJets, SoftDrop
from hepgen_fastsim.objects.clustering import JetList, fastjet
from hepgen_fastsim.objects.columns import Constituents

__all__ = ["N_AXES", "groom", "nsubjettiness"]

N_AXES = 5
"""tau_1 … tau_5; and the groomed jet with up to four subjets."""

_WHOLE = 1000.0
"""Radius that takes all of a jet's constituents into one jet."""


def nsubjettiness(jets: JetList, c: Constituents, definition: FatJets) -> np.ndarray:
    """tau_1 … tau_5 of each jet, float64 [n_jets, 5]; NaN if the card does not ask for them."""
    if definition.nsubjettiness is None:
        return np.full((len(jets), N_AXES), np.nan)
    if len(jets) == 0:
        return np.empty((0, N_AXES))
    counts = np.bincount(jets.member_of, minlength=len(jets))
    record = ak.contents.RecordArray(
        [ak.contents.NumpyArray(column) for column in c.momenta(jets.members)],
        ["px", "py", "pz", "E"],
    )
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    f = fastjet()
    sequence = f.ClusterSequence(
        ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), record)),
        f.JetDefinition(f.cambridge_algorithm, _WHOLE),
    )
    values = sequence.njettiness(
        measure_definition="NormalizedMeasure",
        axes_definition=AXES[definition.nsubjettiness.axes],
        njets=list(range(1, N_AXES + 1)),
        beta=definition.nsubjettiness.beta,
        R0=definition.radius,
    )
    return ak.to_numpy(values).reshape(len(jets), N_AXES)


def groom(jets: JetList, c: Constituents, definition: FatJets) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Groomed jets: for each of trimmed, pruned, soft_dropped that the card asks for, (float64 [n_jets, 5, 4]: pt, eta,
    phi, mass of the groomed jet and its four hardest subjets, zeros for none; number of subjets int32 [n_jets])."""
    tools = _tools(definition)
    result = {name: (np.zeros((len(jets), N_AXES, 4)), np.zeros(len(jets), np.int32)) for name in tools}
    if not tools:
        return result
    f = fastjet()
    whole = f.JetDefinition(f.cambridge_algorithm, _WHOLE)
    momenta = np.stack(c.momenta(jets.members), axis=1).tolist()
    stops = np.cumsum(np.bincount(jets.member_of, minlength=len(jets)))
    start = 0
    for i, stop in enumerate(stops.tolist()):
        inputs = [f.PseudoJet(*p) for p in momenta[start:stop]]
        start = stop
        sequence = f.ClusterSequence(inputs, whole)
        (jet,) = sequence.inclusive_jets()
        for name, tool in tools.items():
            groomed, pieces = tool(jet)
            momentum, number = result[name]
            number[i] = len(pieces)
            hardest = sorted(pieces, key=lambda piece: -piece.pt())[: N_AXES - 1]
            for k, p in enumerate((groomed, *hardest)):
                momentum[i, k] = _polar(p)
    return result


def _polar(p: Any) -> tuple[float, float, float, float]:
    pt = p.pt()
    return (pt, p.eta(), p.phi_std(), p.m()) if pt > 0 else (0.0, 0.0, 0.0, 0.0)


def _tools(definition: FatJets) -> dict[str, Any]:
    """Name -> function of a jet that returns the groomed jet and its subjets."""
    f = fastjet()
    tools: dict[str, Any] = {}
    if definition.trimming is not None:
        t = definition.trimming
        trimmer = f.Filter(f.JetDefinition(f.kt_algorithm, t.radius), f.SelectorPtFractionMin(t.pt_fraction))
        tools["trimmed"] = lambda jet: _with_pieces(trimmer, jet)
    if definition.pruning is not None:
        p = definition.pruning
        pruner = f.Pruner(f.JetDefinition(f.cambridge_algorithm, p.radius), p.z_cut, p.r_cut)
        tools["pruned"] = lambda jet: _with_pieces(pruner, jet)
    if definition.softdrop is not None:
        softdrop = definition.softdrop
        tools["soft_dropped"] = lambda jet: _soft_drop(jet, softdrop)
    return tools


def _with_pieces(tool: Any, jet: Any) -> tuple[Any, list[Any]]:
    groomed = tool.result(jet)
    return groomed, list(groomed.pieces()) if groomed.has_pieces() else []


def _soft_drop(jet: Any, definition: SoftDrop) -> tuple[Any, list[Any]]:
    """Decluster until the softer of two branches carries min(pt1, pt2) / (pt1 + pt2) > z_cut (dR / R0)^beta."""
    f = fastjet()
    while True:
        first, second = f.PseudoJet(), f.PseudoJet()
        if not jet.has_parents(first, second):
            return jet, []
        z = min(first.pt(), second.pt()) / (first.pt() + second.pt())
        if z > definition.z_cut * (first.delta_R(second) / definition.radius) ** definition.beta:
            return jet, [first, second]
        jet = first if first.pt() >= second.pt() else second
