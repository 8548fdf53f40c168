# SPDX-License-Identifier: MIT
"""One pass over the files: everything that a report needs of their events, without keeping these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import awkward as ak
import numpy as np

from hepgen_fastsim.cards import Card
from hepgen_fastsim.validation import classifiers, truth
from hepgen_fastsim.validation.matching import Matched, check_same_gen
from hepgen_fastsim.validation.measure import Measured, Values, clean, measure
from hepgen_fastsim.validation.observables import OBSERVABLES
from hepgen_fastsim.validation.responses import JetPairs
from hepgen_fastsim.validation.sources import BATCH, GenFile, Source
from hepgen_fastsim.validation.truth import RATES, Rate, Truth

__all__ = ["Collected", "Display", "collect"]


@dataclass
class Collected:
    """What was measured of one file."""

    values: dict[str, Values] = field(default_factory=lambda: {name: Values() for name in OBSERVABLES})
    counts: dict[str, int] = field(default_factory=dict)
    pairs: JetPairs = field(default_factory=JetPairs)
    rates: dict[str, Rate] = field(default_factory=lambda: {name: Rate() for name in RATES})
    events: list[np.ndarray] = field(default_factory=list)

    def add(self, m: Measured, counts: dict[str, int], first: int) -> None:
        """Take over what was measured of a batch whose first event is number `first` of the matched ones."""
        for name, (values, event) in m.values.items():
            self.values[name].append(values, event + first)
        for name, n in counts.items():
            self.counts[name] = self.counts.get(name, 0) + n

    def add_truth(self, m: Measured, t: Truth, links: bool, first: int) -> None:
        """Take over what was measured beside GEN."""
        jet, row = truth.jet_matches(m.jets, t.jets)
        pairs = self.pairs
        pairs.gen_pt.append(t.jets["pt"][row])
        pairs.gen_eta.append(t.jets["eta"][row])
        pairs.reco_pt.append(m.jets["pt"][jet])
        pairs.event.append(m.jets["event"][jet] + first)
        pairs.features.append(classifiers.jet_features(m.jets, jet, t.jets["pt"][row]))
        pairs.conditions.append(classifiers.jet_conditions(t.jets, row))
        for name, (passed, everything) in truth.rates(m.columns, t, links).items():
            self.rates[name].passed.append(passed)
            self.rates[name].all.append(everything)
        self.events.append(classifiers.event_features(m))


@dataclass
class Display:
    """An event to be drawn: its number, process, and constituents of reference, candidate and perhaps rerun."""

    number: int
    process: int
    reco: list[ak.Array]


@dataclass
class Everything:
    """Result of the pass: files in the order reference, candidates, rerun."""

    files: list[Collected]
    conditions: list[np.ndarray]
    displays: list[Display]
    links: bool


def collect(
    sources: list[Source],
    gen: GenFile | None,
    second_gen: GenFile | None,
    matched: Matched,
    process: np.ndarray,
    card: Card,
    n_displays: int,
    notify: Callable[[str], None],
) -> Everything:
    """Read the matched events of all files, batch by batch.

    Parameters
    ----------
    sources: files with RECO events; `matched.rows` holds theirs, then those of `gen` and `second_gen`
    gen: GEN events, or None
    second_gen: GEN events of another file, for a look whether they are the same; or None
    process: int64 [n_events]
    notify: told how far it is
    """
    result = Everything([Collected() for _ in sources], [], [], True)
    n_events, size = len(matched), BATCH if matched.ordered else len(matched)
    for first in range(0, n_events, size):
        part = slice(first, min(first + size, n_events))
        number = matched.number[part]
        batches = [clean(s.take(rows[part])) for s, rows in zip(sources, matched.rows)]
        t = None
        if gen is not None:
            record = gen.take(matched.rows[len(sources)][part])
            if first == 0 and second_gen is not None:
                other = second_gen.take(matched.rows[len(sources) + 1][part])
                check_same_gen(number, record, other, (gen.path, second_gen.path))
            t = truth.truth_of(record, card)
        genmet = None if t is None else t.genmet
        found = [measure(reco, card, genmet, number) for reco, _ in batches]
        if first == 0 and t is not None:
            result.links = all(truth.links_agree(m.columns, t.particles) for m in found)
        for collected, m, (_, counts) in zip(result.files, found, batches):
            collected.add(m, counts, first)
            if t is not None:
                collected.add_truth(m, t, result.links, first)
        if t is not None:
            result.conditions.append(classifiers.event_conditions(t))
        if first == 0:
            result.displays = _displays([reco for reco, _ in batches], number, process[part], n_displays)
        notify(f"{part.stop:,} of {n_events:,} events read")
    return result


def _displays(batches: list[ak.Array], number: np.ndarray, process: np.ndarray, n: int) -> list[Display]:
    """Lively events, of as many processes as there are: at the 80 % quantile of the summed pT in the reference."""
    activity = ak.to_numpy(ak.sum(batches[0]["pt"], axis=1))
    kinds, counts = np.unique(process, return_counts=True)
    kinds = kinds[np.argsort(-counts, kind="stable")]
    chosen: list[int] = []
    for round_ in range(n):
        rows = np.flatnonzero(process == kinds[round_ % len(kinds)])
        rows = rows[np.argsort(activity[rows])]
        pick = int(rows[int((0.8 - 0.1 * (round_ // len(kinds))) * (len(rows) - 1))])
        if pick not in chosen:
            chosen.append(pick)
    return [Display(int(number[i]), int(process[i]), [batch[i] for batch in batches]) for i in chosen]
