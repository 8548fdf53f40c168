# SPDX-License-Identifier: MIT
"""The judgement: for each observable and process, W1 of candidate and of rerun, and the band of chance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hepgen_fastsim.validation.measure import Values
from hepgen_fastsim.validation.swap import Pair, distances, exchanges, resamplings

__all__ = ["ALL", "Cell", "Judge", "summary"]

ALL = "all"
"""Name of all processes together."""

MIN_ENTRIES = 20
"""Values that each sample must have of an observable."""

N_BOOTSTRAP = 20

_TINY = 1e-12


@dataclass(frozen=True)
class Cell:
    """One observable of one process.

    Attributes
    ----------
    value, error: W1(candidate, reference), averaged over the candidates, in the unit of the observable; error from
        resampled events, or from the spread of several candidates if that is larger
    floor: W1(rerun, reference); without a rerun the median of W1 between halves of the reference, over sqrt(2)
    expected, band: median and 95 % quantile of W1 when reference and rerun are exchanged at random, event by event;
        without a rerun, of the halves
    shift: difference of the means, candidate - reference
    n_reference, n_candidate: values
    counted: whether the cell counts in the summary (all processes together do not, if there are several)
    """

    observable: str
    process: str
    value: float
    error: float
    floor: float
    expected: float
    band: float
    shift: float
    n_reference: int
    n_candidate: int
    counted: bool

    @property
    def ratio(self) -> float:
        """Value over floor; 1 if both are 0."""
        if self.floor > _TINY:
            return self.value / self.floor
        return 1.0 if self.value <= _TINY else float("inf")

    @property
    def of_band(self) -> float:
        """Value over band; up to 1 is inside."""
        if self.band > _TINY:
            return self.value / self.band
        return 0.0 if self.value <= _TINY else float("inf")

    @property
    def verdict(self) -> str:
        """inside, outside, or beyond twice the band."""
        return "inside" if self.of_band <= 1 else "outside" if self.of_band <= 2 else "beyond"

    def to_dict(self) -> dict[str, Any]:
        """All numbers, for JSON."""
        return {**asdict(self), "ratio": self.ratio, "of_band": self.of_band, "verdict": self.verdict}


class Judge:
    """Compares values of the files, process by process.

    Parameters
    ----------
    process: int64 [n_events]
    names: name of each process; empty if there is but one kind of events
    n_swaps: exchanges of events
    seed: of all random numbers
    """

    def __init__(self, process: np.ndarray, names: dict[int, str], n_swaps: int, seed: int) -> None:
        self.names, self.n_swaps = names, n_swaps
        n_events = len(process)
        self._flip, self._times = exchanges(n_events, n_swaps, seed), resamplings(n_events, N_BOOTSTRAP, seed)
        self._rows = {ALL: np.ones(n_events, bool)}
        if len(names) > 1:
            self._rows |= {name: process == number for number, name in names.items()}
        elif names:
            self._rows = {next(iter(names.values())): np.ones(n_events, bool)}

    @property
    def processes(self) -> list[str]:
        """All together first."""
        return list(self._rows)

    def events(self, process: str) -> np.ndarray:
        """Which events are of a process: bool [n_events]."""
        return self._rows[process]

    def cells(self, observable: str, reference: Values, candidates: list[Values], rerun: Values | None) -> list[Cell]:
        """One cell for every process in which all files have enough values."""
        found = []
        samples = [v.joined() for v in (reference, *candidates, *(() if rerun is None else (rerun,)))]
        for process, rows in self._rows.items():
            chosen = [_of(sample, rows) for sample in samples]
            if min(len(values) for values, _ in chosen) < MIN_ENTRIES:
                continue
            own, others = chosen[0], chosen[1 : 1 + len(candidates)]
            pairs = [Pair.of(own, other) for other in others]
            values = np.array([distances(pair)[0] for pair in pairs])
            error = np.mean([np.nanstd(distances(pair, times=self._times), ddof=1) for pair in pairs[:1]])
            if len(values) > 1:
                error = max(error, values.std(ddof=1) / np.sqrt(len(values)))
            floor, by_chance = self._floor(own, chosen[-1] if rerun is not None else None)
            expected, band = np.nanquantile(by_chance, (0.5, 0.95))
            found.append(
                Cell(
                    observable=observable,
                    process=process,
                    value=float(values.mean()),
                    error=float(error),
                    floor=float(expected if floor is None else floor),
                    expected=float(expected),
                    band=float(band),
                    shift=float(np.mean([o[0].mean(dtype=np.float64) for o in others]) - own[0].mean(dtype=np.float64)),
                    n_reference=len(own[0]),
                    n_candidate=int(np.mean([len(o[0]) for o in others])),
                    counted=process != ALL or len(self._rows) == 1,
                )
            )
        return found

    def _floor(
        self, own: tuple[np.ndarray, np.ndarray], again: tuple[np.ndarray, np.ndarray] | None
    ) -> tuple[float | None, np.ndarray]:
        if again is not None:
            pair = Pair.of(own, again)
            return distances(pair)[0], distances(pair, flip=self._flip)
        nothing = own[0][:0], own[1][:0]
        return None, distances(Pair.of(own, nothing), flip=self._flip) / np.sqrt(2)


def _of(sample: tuple[np.ndarray, np.ndarray], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, event = sample
    if rows.all():
        return sample
    keep = rows[event]
    return values[keep], event[keep]


def summary(cells: list[Cell]) -> dict[str, Any]:
    """Counts of verdicts, the median ratio and the worst cell, of the cells that count."""
    counted = [cell for cell in cells if cell.counted]
    verdicts = [cell.verdict for cell in counted]
    finite = [cell.ratio for cell in counted if np.isfinite(cell.ratio)]
    worst = max(counted, key=lambda cell: cell.of_band, default=None)
    return {
        "n_cells": len(counted),
        "n_inside": verdicts.count("inside"),
        "n_outside": verdicts.count("outside"),
        "n_beyond_twice": verdicts.count("beyond"),
        "share_inside": verdicts.count("inside") / max(len(counted), 1),
        "median_ratio": float(np.median(finite)) if finite else None,
        "worst": None if worst is None else worst.to_dict(),
    }
