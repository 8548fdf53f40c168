# SPDX-License-Identifier: MIT
"""Which events of several files belong together."""

from __future__ import annotations

from dataclasses import dataclass

import awkward as ak
import numpy as np

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.validation.sources import GenFile, Source

__all__ = ["PROCESSES", "Matched", "check_same_gen", "match", "process_names"]

PROCESSES = {1: "ttbar", 2: "qcd", 3: "wqq", 4: "zee", 5: "zmm", 6: "ztt", 7: "hgg", 8: "wlnu"}
"""Processes of training pairs; their events are numbered process * 100,000 + running number."""

PER_PROCESS = 100_000


@dataclass
class Matched:
    """Events that all files have.

    number: int64 [n_events], the generator's. rows: int64 [n_events] for each file. by: "number" or "order".
    """

    number: np.ndarray
    rows: list[np.ndarray]
    by: str

    def __len__(self) -> int:
        return len(self.number)

    @property
    def ordered(self) -> bool:
        """Whether rows ascend in every file, so that it can be read in batches."""
        return all(bool(np.all(np.diff(rows) > 0)) for rows in self.rows)

    def __getitem__(self, keep: np.ndarray) -> Matched:
        return Matched(self.number[keep], [rows[keep] for rows in self.rows], self.by)


def match(files: list[Source | GenFile]) -> Matched:
    """Common events by their numbers, in the order of the first file; by order where numbers do not tell events apart.

    Raises InputError if there are none.
    """
    numbers = [file.number for file in files]
    sizes = [len(n) for n in numbers]
    unique = all(len(np.unique(n)) == len(n) for n in numbers)
    if unique:
        common = numbers[0]
        for other in numbers[1:]:
            common = common[np.isin(common, other)]
        if len(common):
            sorters = [np.argsort(n) for n in numbers]
            rows = [s[np.searchsorted(n, common, sorter=s)] for n, s in zip(numbers, sorters)]
            return Matched(common, rows, "number")
    if len(set(sizes)) == 1:
        order = np.arange(sizes[0])
        return Matched(order if not unique else numbers[0], [order] * len(files), "order")
    listed = "; ".join(
        f"{path}: {len(n)} events, numbers {n.min()} to {n.max()}"
        for path, n in {file.path: n for file, n in zip(files, numbers) if len(n)}.items()
    )
    reason = "no event number occurs in all of them" if unique else "event numbers occur more than once"
    raise InputError(
        f"the files have no common events: {reason}, and they are not of the same length ({listed}). The candidate "
        "must be simulated from the GEN events of the reference."
    )


def check_same_gen(number: np.ndarray, first: ak.Array, second: ak.Array, names: tuple[str, str]) -> None:
    """Raise InputError unless events of the same number have the same hardest stable particle (|eta| < 5)."""
    hardest = []
    for gen in (first, second):
        p = gen["particles"]
        pt = p.pt
        seen = pt[(p.status == 1) & (abs(p.pz) < 74.2 * pt)]  # sinh(5)
        hardest.append(ak.to_numpy(ak.fill_none(ak.max(seen, axis=1), 0.0)))
    a, b = hardest
    differs = np.abs(a - b) > 0.01 * np.maximum(a, b)
    if np.mean(differs) > 0.1:
        k = int(np.argmax(differs))
        raise InputError(
            f"{names[0]} and {names[1]} are not simulations of the same GEN events: the hardest particle of event "
            f"{number[k]} has a pT of {a[k]:.4g} GeV in the one and {b[k]:.4g} GeV in the other; "
            f"{np.mean(differs):.0%} of the first {len(a)} events differ."
        )


def process_names(number: np.ndarray, process: np.ndarray | None) -> tuple[np.ndarray, dict[int, str]]:
    """Process of each event, int64 [n_events], and the names; all 0, and no names, where events are not of pairs."""
    if process is not None and np.all(process > 0) and np.array_equal(process, number // PER_PROCESS):
        return process, {int(p): PROCESSES.get(int(p), f"process {p}") for p in np.unique(process)}
    return np.zeros(len(number), np.int64), {}
