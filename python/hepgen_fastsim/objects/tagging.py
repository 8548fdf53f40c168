# SPDX-License-Identifier: MIT
"""Flavour of jets from the partons and taus of the record, and b- and tau-tags by the efficiencies of the card."""

from __future__ import annotations

import numpy as np

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.cards.card import Card, Flavor, TauTag
from hepgen_fastsim.cards.formula import Formula
from hepgen_fastsim.objects.clustering import JetList
from hepgen_fastsim.objects.columns import GLUON, QUARKS, Constituents, Particles, eta_of, ranges
from hepgen_fastsim.objects.draws import JETS, Draws

__all__ = ["flavor", "has_partons", "tags", "taus"]

TAU = 15
_BLOCK = 1 << 12  # particles looked at in one go


def has_partons(gen: Particles) -> bool:
    """Whether the record has quarks (but top) or gluons, without which flavours cannot be known."""
    blocks = (slice(start, start + _BLOCK) for start in range(0, len(gen.pdgid), _BLOCK))  # the first has some, mostly
    return any(len(core().select(gen.pdgid[b], gen.status[b], False, (*QUARKS, GLUON))) for b in blocks)


def flavor(jets: JetList, gen: Particles, definition: Flavor) -> np.ndarray:
    """Highest quark code within the cone, 21 if there are only gluons, 0 if there is nothing: int64 [n_jets]."""
    return core().jet_flavors(
        jets.eta,
        jets.phi,
        jets.event,
        gen.pdgid,
        gen.status,
        gen.px,
        gen.py,
        gen.pz,
        gen.offsets,
        definition.delta_r,
        definition.pt_min,
        definition.eta_max,
    )


def taus(gen: Particles, pt_min: float, eta_max: float) -> tuple[np.ndarray, np.ndarray]:
    """Decayed taus and the momenta of their decay products but the tau neutrino: (rows [n], px, py, pz [n, 3]).

    Taus of more than pt_min within eta_max count, also those that radiate, and those that decay to electrons and
    muons; but not those whose record has a W between that decays so, as in Delphes.
    """
    tau = gen.select((TAU,), stable=False)
    pt, eta, *_ = gen.polar(tau)
    tau = tau[(pt > pt_min) & (np.abs(eta) <= eta_max)]
    tau = tau[(gen.d1[tau] >= 0) & (gen.d2[tau] >= gen.d1[tau])]
    daughter, of = _daughters(gen, tau)
    code = np.abs(gen.pdgid[daughter])
    w = np.flatnonzero(code == 24)
    leptonic = np.zeros(len(tau), bool)
    if len(w):
        own = gen.d1[daughter[w]] >= 0
        leptonic[of[w[~own]]] = True
        second, of_w = _daughters(gen, daughter[w[own]])
        lepton = np.isin(np.abs(gen.pdgid[second]), (11, 13))
        leptonic[of[w[own][of_w[lepton]]]] = True
    visible = code != 16
    sums = [
        np.bincount(of[visible], weights=p[daughter[visible]], minlength=len(tau)) for p in (gen.px, gen.py, gen.pz)
    ]
    return tau[~leptonic], np.stack(sums, axis=1)[~leptonic]


def _daughters(gen: Particles, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    event = np.searchsorted(gen.offsets, rows, side="right") - 1
    first = gen.offsets[event]
    size = gen.offsets[event + 1] - first
    start = np.clip(gen.d1[rows], 0, size)
    stop = np.clip(gen.d2[rows] + 1, start, size)
    return ranges(first + start, stop - start), np.repeat(np.arange(len(rows)), stop - start)


def _chance(formulas: dict[int, Formula], code: np.ndarray, jets: JetList) -> np.ndarray:
    """Efficiency of each jet by its code; the formula 0, and no efficiency without one, for codes that have none."""
    chance = np.zeros(len(jets))
    known = np.isin(code, list(formulas))
    for key, formula in formulas.items():
        chosen = (code == key) | (~known if key == 0 else False)
        if chosen.any():
            chance[chosen] = formula(
                pt=jets.pt[chosen], eta=jets.eta[chosen], phi=jets.phi[chosen], energy=jets.energy[chosen]
            )
    return chance


def tags(
    jets: JetList, charge: np.ndarray, c: Constituents, gen: Particles | None, card: Card, draws: Draws
) -> dict[str, np.ndarray]:
    """Flavours and tags of jets: [n_jets] each.

    flavor                    see `flavor`; 0 without GEN
    flavor_algo, flavor_phys  0: Delphes has them only for events with a parton-level (LHEF) record
    btag, btag_algo, btag_phys, tautag   bits, each drawn with the efficiency of the card for the flavour of that name
    tau_flavor, tau_weight    15 for taus, 0; efficiency of the (last) tau-tag
    charge                    Delphes' tau-tag replaces the jet's charge: the tau's, for others 1 or -1 at random; with
                              track counting the sum of the tracks' charges
    """
    n, channels = len(jets), 3 * len(card.btag) + 2 * len(card.tautag)
    uniform = draws.uniform(JETS, jets.event, jets.rank, max(channels, 1))
    code = np.zeros(n, np.int64)
    if gen is not None and card.flavor is not None:
        code = flavor(jets, gen, card.flavor)
    leaves = {name: np.zeros(n, np.uint32) for name in ("btag", "btag_algo", "btag_phys", "tautag")}
    for i, tag in enumerate(card.btag):
        chance, other = _chance(tag.efficiency, code, jets), _chance(tag.efficiency, np.zeros(n, np.int64), jets)
        for k, (name, eff) in enumerate((("btag", chance), ("btag_algo", other), ("btag_phys", other))):
            leaves[name] |= (uniform[:, 3 * i + k] <= eff).astype(np.uint32) << np.uint32(tag.bit)
    tau_code, weight = np.zeros(n, np.int64), np.zeros(n)
    for i, tau_tag in enumerate(card.tautag):
        draw = uniform[:, 3 * len(card.btag) + 2 * i :]
        if tau_tag.method == "flavor":
            tau_code, charge = _tau_flavor(jets, gen, tau_tag, draw[:, 1])
            weight = _chance(tau_tag.efficiency, tau_code, jets)
            passed = draw[:, 0] <= weight
        else:
            passed, charge = _track_counting(jets, charge, c, gen, tau_tag, draw[:, 0])
        leaves["tautag"] |= passed.astype(np.uint32) << np.uint32(tau_tag.bit)
    none = np.zeros(n, np.uint32)
    return {
        "flavor": code.astype(np.uint32),
        "flavor_algo": none,
        "flavor_phys": none,
        "tau_flavor": tau_code.astype(np.uint32),
        **leaves,
        "tau_weight": weight.astype(np.float32),
        "charge": charge.astype(np.int32),
    }


def _nearest_tau(jets: JetList, gen: Particles | None, tag: TauTag) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tau (row) of each jet, -1 for none; and the events that have any tau [n_events]."""
    if gen is None:
        n_events = len(jets.offsets) - 1
        return np.full(len(jets), -1), np.empty(0, np.int64), np.zeros(n_events, bool)
    rows, p = taus(gen, tag.pt_min, tag.eta_max)
    eta = eta_of(np.hypot(p[:, 0], p[:, 1]), p[:, 2])
    phi = np.arctan2(p[:, 1], p[:, 0])
    offsets = np.searchsorted(rows, gen.offsets)
    found = core().last_within(jets.eta, jets.phi, jets.event, eta, phi, offsets, tag.delta_r)
    return found, rows, np.diff(offsets) > 0


def _tau_flavor(
    jets: JetList, gen: Particles | None, tag: TauTag, uniform: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    found, rows, _ = _nearest_tau(jets, gen, tag)
    charge = np.where(uniform > 0.5, 1, -1)
    if gen is not None and len(rows):
        charge = np.where(found >= 0, np.sign(-gen.pdgid[rows[found]]), charge)
    return np.where(found >= 0, TAU, 0), charge


def _track_counting(
    jets: JetList, charge: np.ndarray, c: Constituents, gen: Particles | None, tag: TauTag, uniform: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As in Delphes, jets of events without any tau are neither tagged nor do they change their charge."""
    found, _, any_tau = _nearest_tau(jets, gen, tag)
    track = np.flatnonzero((c.charge != 0) & (c.pt >= tag.track_pt_min))
    sums = core().count_near(
        jets.eta,
        jets.phi,
        jets.event,
        c.eta[track],
        c.phi[track],
        c.charge[track],
        np.searchsorted(track, c.offsets),
        tag.track_delta_r,
    )
    prongs = np.minimum(sums[:, 0].astype(np.int64), 2) * np.where(found >= 0, 1, -1)
    active = any_tau[jets.event]
    passed = (uniform <= _chance(tag.efficiency, prongs, jets)) & active
    return passed, np.where(active, np.rint(sums[:, 1]), charge)
