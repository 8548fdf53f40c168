# SPDX-License-Identifier: MIT
"""`compare`: a candidate beside its reference, from files to figures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hepgen_fastsim.cards import Card, load_card
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.validation import classifiers
from hepgen_fastsim.validation.cells import Cell, Judge, summary
from hepgen_fastsim.validation.collect import Collected, Display, collect
from hepgen_fastsim.validation.matching import match, process_names
from hepgen_fastsim.validation.measure import plain_card
from hepgen_fastsim.validation.observables import OBSERVABLES
from hepgen_fastsim.validation.output import check_output, write_files
from hepgen_fastsim.validation.responses import rate_tables, response_tables
from hepgen_fastsim.validation.sources import GenFile, Source, open_source
from hepgen_fastsim.validation.swap import exchanges

__all__ = ["Report", "compare"]

PathLike = str | os.PathLike[str]
HALVES = ("all", "even", "odd")
FORMAT = 1


@dataclass
class Report:
    """A comparison: figures, and what pictures are drawn from.

    Attributes
    ----------
    metrics : dict
        everything as numbers and strings, as in metrics.json
    cells : list of Cell
        W1 of every observable and process
    """

    metrics: dict[str, Any]
    cells: list[Cell]
    judge: Judge = field(repr=False)
    files: list[Collected] = field(repr=False)
    displays: list[Display] = field(repr=False)
    n_candidates: int = 1

    @property
    def reference(self) -> Collected:
        return self.files[0]

    @property
    def candidates(self) -> list[Collected]:
        return self.files[1 : 1 + self.n_candidates]

    @property
    def rerun(self) -> Collected | None:
        return self.files[-1] if len(self.files) > 1 + self.n_candidates else None

    def write(self, folder: PathLike, *, overwrite: bool = False) -> Path:
        """Write index.html, which needs nothing beside it, and metrics.json into a folder; returns the page's path.

        Both are written aside and renamed at the end. Raises InputError if they exist and `overwrite` is off.
        """
        from hepgen_fastsim.validation.page import page

        check_output(folder, overwrite)
        return write_files(folder, page(self), self.metrics, overwrite)


def compare(
    reference: PathLike,
    candidate: PathLike | Sequence[PathLike],
    rerun: PathLike | None = None,
    *,
    gen: PathLike | None = None,
    card: PathLike | Card = "cms",
    half: str = "all",
    max_events: int | None = None,
    n_swaps: int = 200,
    n_displays: int = 3,
    use_classifiers: bool = True,
    seed: int = 1,
    title: str = "",
    notify: Callable[[str], None] = lambda text: None,
) -> Report:
    """Compare a fast simulation with its reference, event by event.

    Parameters
    ----------
    reference, candidate, rerun
        ROOT files of Delphes (with EFlowTrack, EFlowPhoton, EFlowNeutralHadron), ROOT or Parquet files of this package,
        or Parquet pairs, of the same GEN events. The rerun is the reference's own simulation with another seed; it
        shows how well one can do. Several candidates are simulations with several seeds, over which W1 is averaged.
    gen
        GEN events, if neither reference nor candidate holds them: any file that `hf.read` takes
    card
        definitions of jets, leptons and photons, for all files alike (see `hf.reconstruct`); without tags and without
        random losses of leptons
    half
        "even", "odd" or "all": events by their number, to choose a model on the one half and report on the other
    max_events
        at most so many
    n_swaps
        exchanges of reference and rerun for the band
    n_displays
        events that are drawn
    use_classifiers
        classifier tests, FPD and KPD
    seed
        of exchanges, bootstraps and classifiers
    title
        of the page
    notify
        told, in words, how far it is

    Raises InputError if a file cannot be read or has no energy flow, and if there are no common events.

    >>> report = hf.validation.compare("delphes.root", "ours.root", rerun="delphes_again.root")
    >>> print(report.metrics["summary"]["median_ratio"])
    >>> report.write("report")
    """
    begun = time.perf_counter()
    if half not in HALVES:
        raise InputError(f"half must be one of {', '.join(HALVES)}; found '{half}'.")
    if n_swaps < 20 or (max_events is not None and max_events < 1):
        raise InputError(f"at least 20 exchanges and 1 event are needed; found {n_swaps} and {max_events}.")
    paths = [candidate] if isinstance(candidate, (str, os.PathLike)) else list(candidate)
    if not paths:
        raise InputError("at least one candidate is needed.")
    files = [open_source(path) for path in (reference, *paths, *(() if rerun is None else (rerun,)))]
    truth, second = _gen_files(files[: 1 + len(paths)], gen)
    matched = match([*files, *(g for g in (truth, second) if g is not None)])
    matched = _selected(matched, half, max_events)
    known = next((f.process[rows] for f, rows in zip(files, matched.rows) if f.process is not None), None)
    process, names = process_names(matched.number, known)
    definitions = plain_card(load_card(card))
    found = collect(files, truth, second, matched, process, definitions, n_displays, notify)
    judge = Judge(process, names, n_swaps, seed)
    notify("distances and bands")
    first, again = found.files[1], found.files[-1] if rerun is not None else None
    cells = [
        cell
        for name in OBSERVABLES
        for cell in judge.cells(
            name,
            found.files[0].values[name],
            [f.values[name] for f in found.files[1 : 1 + len(paths)]],
            None if again is None else again.values[name],
        )
    ]
    if not cells:
        raise InputError(f"{len(matched)} common events are too few: no observable has enough values to compare.")
    metrics: dict[str, Any] = {
        "format": FORMAT,
        "title": title or f"{Path(paths[0]).stem} beside {Path(reference).stem}",
        "settings": {
            "card": definitions.name,
            "half": half,
            "n_swaps": n_swaps,
            "seed": seed,
            "matched_by": matched.by,
            "floor": "rerun" if rerun is not None else "halves of the reference",
            "matching_to_gen": None if truth is None else "links" if found.links else "distance",
            "code_version": _version(),
        },
        "events": {"matched": len(matched), **{n: int((process == k).sum()) for k, n in names.items()}},
        "files": _describe(files, found.files, len(paths), rerun is not None),
        "summary": summary(cells),
        "cells": [cell.to_dict() for cell in cells],
    }
    if truth is not None:
        flip = exchanges(len(matched), n_swaps, seed)
        metrics["gen"] = Path(truth.path).name
        metrics["jets"] = response_tables(
            found.files[0].pairs, first.pairs, None if again is None else again.pairs, flip
        )
        metrics["rates"] = rate_tables(found.files[0].rates, first.rates, None if again is None else again.rates)
        if use_classifiers:
            notify("classifier tests")
            chosen = [found.files[0], first, *(() if again is None else (again,))]
            conditions = np.concatenate(found.conditions)
            events = [np.concatenate(f.events) for f in chosen]
            metrics["tests"] = classifiers.tests([f.pairs for f in chosen], events, conditions, seed)
    metrics["seconds"] = time.perf_counter() - begun
    return Report(metrics, cells, judge, found.files, found.displays, len(paths))


def _gen_files(files: list[Source], gen: PathLike | None) -> tuple[GenFile | None, GenFile | None]:
    """GEN events to use (given, else of the reference, else of the candidate), and those of another file to check."""
    own = [GenFile(f.gen_path, f.number) for f in files if f.has_gen]
    if gen is not None:
        return GenFile(os.fspath(gen)), own[0] if own else None
    return (own[0] if own else None), (own[1] if len(own) > 1 else None)


def _selected(matched: Any, half: str, max_events: int | None) -> Any:
    if half != "all":
        matched = matched[matched.number % 2 == HALVES.index(half) - 1]
    if max_events is not None:
        matched = matched[np.arange(min(max_events, len(matched)))]
    if len(matched) == 0:
        raise InputError(f"no common event has an {half} number.")
    return matched


def _describe(files: list[Source], found: list[Collected], n_candidates: int, has_rerun: bool) -> list[dict[str, Any]]:
    roles = ["reference", *(["candidate"] * n_candidates), *(["rerun"] if has_rerun else [])]
    return [{"role": role, **file.describe(), **c.counts} for role, file, c in zip(roles, files, found)]


def _version() -> str:
    import hepgen_fastsim

    return f"hepgen_fastsim {hepgen_fastsim.__version__}"
