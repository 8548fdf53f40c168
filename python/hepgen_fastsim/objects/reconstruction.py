# SPDX-License-Identifier: MIT
"""`hf.reconstruct`: jets, leptons, photons, missing energy and scalar HT from RECO constituents."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np

from hepgen_fastsim.cards import Card, load_card
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.objects import leptons, records
from hepgen_fastsim.objects.clustering import JetList, cluster
from hepgen_fastsim.objects.columns import Constituents, Particles, checksum, constituents, gen_columns, particles
from hepgen_fastsim.objects.draws import Draws
from hepgen_fastsim.objects.jets import contents
from hepgen_fastsim.objects.overlap import Overlap, particles_of
from hepgen_fastsim.objects.tagging import has_partons, tags

__all__ = ["reconstruct"]

_LOG = logging.getLogger("hepgen_fastsim.objects")
_KINDS = ("photons", "electrons", "muons")


def reconstruct(
    reco: ak.Array,
    gen: ak.Array | Mapping[str, Any] | None = None,
    card: str | os.PathLike[str] | Card = "cms",
    *,
    seed: int = 1,
    event: np.ndarray | None = None,
    stream: int | None = None,
    strict: bool = False,
) -> ak.Array:
    """Objects of events, by the definitions of a card.

    Parameters
    ----------
    reco
        per event a list of constituents, as `FastSim` gives them: pdgid (22 photon, 130 neutral hadron, else a track),
        pt, eta, phi [GeV, rad]; mass and charge follow from pdgid if they are missing; d0, dz [mm], origin may be there
    gen
        the GEN events that they were simulated from, in any form that `FastSim` takes. Its stable particles make GEN
        jets and GEN missing energy, its partons and taus the flavours of jets. Without it there are no GEN objects and
        all flavours are 0, with tags at the rates of misidentification.
    card
        name ("cms", "atlas"), path (TOML, or one of Delphes' Tcl cards), or a `Card`
    seed
        unsigned 64-bit integer for efficiencies and tags
    event
        int64 [n_events], ids that key the random numbers; default: those of the batch `gen`, else 0, 1, 2, …
    stream
        32-bit number of the sample; default: that of `gen`, else a checksum of the first event. With the same seed,
        stream and events the result is the same, in whatever batches.
    strict
        refuse a Delphes card that changes the detector (see `hepgen_fastsim.cards.load_card`)

    Returns
    -------
    awkward array of records, one per event (GeV, mm, rad; see `hepgen_fastsim.objects` for all fields):

    jets, fatjets, genjets     lists of "Momentum4D", pt descending
    electrons, muons, photons  lists of "Momentum4D", pt descending
    met, genmet                "Momentum3D": pt, eta, phi of minus the sum of momenta; genmet is None without `gen`
    ht                         float32, scalar sum of the pt of jets, electrons, muons and photons

    Raises InputError if columns are missing or not finite, if GEN and RECO do not belong together, or if the card
    cannot be used.

    >>> events = hf.reconstruct(sim(gen), gen, card="cms", seed=42)
    >>> leading = ak.firsts(events.jets).pt
    """
    definitions = load_card(card, strict=strict)
    truth_columns = None if gen is None else gen_columns(gen)
    truth = None if truth_columns is None else particles(truth_columns)
    c = constituents(reco, truth)
    draws = _draws(c, truth_columns, seed, event, stream)
    if definitions.btag and definitions.jets is not None and len(c) and not (truth is not None and has_partons(truth)):
        _LOG.warning(
            "jets are tagged without flavour, all at the rates of misidentification: %s.",
            "no GEN events were given" if truth is None else "the GEN events have no quarks and gluons",
        )
    return _run(c, truth, definitions, draws)


def _draws(c: Constituents, gen: Any, seed: int, event: np.ndarray | None, stream: int | None) -> Draws:
    if not (0 <= seed < 2**64):
        raise InputError(f"seed must be an unsigned 64-bit integer, found {seed}.")
    n_events = len(c.offsets) - 1
    if event is None:
        event = np.arange(n_events) if gen is None or gen.event is None else gen.event
    keys = np.asarray(event)
    if keys.shape != (n_events,) or keys.dtype.kind not in "iu":
        raise InputError(
            f"'event' must have one integer for each of the {n_events} events, found {keys.dtype} {keys.shape}."
        )
    if stream is None:
        stream = checksum(c) if gen is None else gen.key()
    if not (0 <= stream < 2**32):
        raise InputError(f"stream must be an unsigned 32-bit integer, found {stream}.")
    return Draws(int(seed), int(stream), keys.astype(np.int64))


def _run(c: Constituents, gen: Particles | None, card: Card, draws: Draws) -> ak.Array:
    """The steps, in the order of Delphes' card."""
    by_constituent = particles_of(c)
    found: dict[str, Any] = {}
    for kind in _KINDS:
        definition = getattr(card, kind)
        found[kind] = None if definition is None else leptons.select(c, kind, definition, draws)
    found["jets"] = None if card.jets is None else _jets(c, gen, card, draws)
    overlap = Overlap(c, by_constituent)
    for kind in card.overlap:
        if kind == "jets" and found[kind] is not None:
            jets, leaves = found[kind]
            keep = overlap.keep(jets.members, jets.member_of, len(jets))
            found[kind] = jets[keep], {name: leaf[keep] for name, leaf in leaves.items()}
        elif found[kind] is not None:
            row = found[kind].row
            found[kind] = found[kind][overlap.keep(row, np.arange(len(row)), len(row))]
    build = records.Builder(c, gen, card, by_constituent)
    return build.events(
        jets=build.jets(*(found["jets"] or _jets(c, None, card, draws))),
        genjets=build.genjets(),
        fatjets=build.fatjets(),
        electrons=build.leptons(found["electrons"], "electrons"),
        muons=build.leptons(found["muons"], "muons"),
        photons=build.leptons(found["photons"], "photons"),
        met=build.met(),
        genmet=build.genmet(),
        ht=_scalar_ht(c, found, card),
    )


def _jets(c: Constituents, gen: Particles | None, card: Card, draws: Draws) -> tuple[JetList, dict[str, np.ndarray]]:
    """Jets after the energy scale and all their leaves, none if the card has no jets."""
    raw = cluster(c, card.jets)
    leaves = contents(raw, c)
    jets = raw
    if card.jets is not None:
        factor = card.jets.scale(pt=raw.pt, eta=raw.eta, phi=raw.phi, energy=raw.energy)
        jets = raw.scaled(np.where(factor > 0, factor, 1.0))
    return jets, leaves | tags(jets, leaves["charge"], c, gen, card, draws)


def _scalar_ht(c: Constituents, found: dict[str, Any], card: Card) -> np.ndarray:
    """Sum of pt by event: float32 [n_events]."""
    n_events = len(c.offsets) - 1
    total = np.zeros(n_events)
    for kind in card.scalar_ht:
        if found[kind] is None:
            continue
        if kind == "jets":
            event, pt = found[kind][0].event, found[kind][0].pt
        else:
            event, pt = c.event[found[kind].row], c.pt[found[kind].row]
        total += np.bincount(event, weights=pt, minlength=n_events)
    return total.astype(np.float32)
