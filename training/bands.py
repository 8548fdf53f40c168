# SPDX-License-Identifier: MIT
"""The judgement of an event model: every observable of every process against the band of chance.

    python -m training.bands --model delphes-cms --data val.parquet --half even --out bands/cms-even

The engine simulates the GEN events of the file with several seeds; `hepgen_fastsim.validation` compares the averages of
W1 with the rerun that lies beside the file (``*_rerun.parquet``). A cell (observable, process) is inside if the mean
W1(model, reference) is at most the 95 % quantile of W1 between reference and rerun after exchanging their events at
random. Besides: response and resolution in bins of pT and eta, rates, classifiers, and how errors are correlated.
Writes OUT.json, OUT.md, and OUT.png with the cells outside. Choose models on the events of even number, report on the
odd ones.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import hepgen_fastsim as hf
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from hepgen_fastsim.cards import load_card
from hepgen_fastsim.metrics import c2st
from hepgen_fastsim.pipeline import simulate_to
from hepgen_fastsim.validation import classifiers, compare, truth
from hepgen_fastsim.validation.collect import Collected
from hepgen_fastsim.validation.measure import plain_card
from hepgen_fastsim.validation.sources import GenFile

from training import balance, bands_pictures, export
from training.evaluate import rerun_of

SWAPS = 400
TAIL = 0.3
#: quantities of an event whose errors are correlated with each other
EVENT_SUMS = ("tracks", "photons", "neutral hadrons", "HT", "leading jet", "MET")


def simulate(model: str, data: Path, seeds: int, folder: Path) -> list[Path]:
    """RECO of the file's events with seeds 1 ... ``seeds``."""
    files = []
    for seed in range(1, seeds + 1):
        files.append(folder / f"seed{seed}.parquet")
        with hf.read(data) as reader, hf.open_output(files[-1], format="parquet", overwrite=True) as writer:
            done = simulate_to(writer, [iter(reader)], hf.FastSim(model, device="cpu", seed=seed))
        if done.error is not None:
            raise done.error
    return files


def of_process(path: Path, process: int, folder: Path) -> Path:
    """The events of one process, as a file of their own."""
    table = pq.read_table(path)
    target = folder / path.name
    pq.write_table(table.filter(pc.equal(table["process"], process)), target)
    return target


# --- response --------------------------------------------------------------------------------------------------------


def figures(ratio: np.ndarray) -> np.ndarray:
    """Median, half the central 68 %, and share of |r - 1| > 0.3, of jet responses: float64 [3]."""
    low, median, high = np.quantile(ratio, (0.158655, 0.5, 0.841345))
    return np.array([median, 0.5 * (high - low), np.mean(np.abs(ratio - 1.0) > TAIL)])


def responses(files: list[Collected], n_models: int, seed: int = 1) -> list[dict[str, Any]]:
    """Jet response in bins of pT, of |eta|, and of both, of the GEN jet: reference, rerun, model (mean of the seeds).

    ``deviation`` is the model's over the mean of reference and rerun, less 1; ``chance`` the 95 % quantile of its size
    for a perfect model, from exchanging reference and rerun event by event, of whose difference it has about
    sqrt(1/2 + 1/seeds) / sqrt(2).
    """
    random = np.random.default_rng(seed)
    columns = [tuple(f.pairs.joined(name) for name in ("gen_pt", "gen_eta", "reco_pt", "event")) for f in files]
    n_events = int(max(c[3].max(initial=0) for c in columns)) + 1
    flips = random.integers(0, 2, (n_events, 200)).astype(bool)
    rows = []
    pt_bins, eta_bins = list(pairwise(truth.JET_PT_BINS)), list(pairwise(truth.JET_ETA_BINS))
    all_pt, all_eta = [(pt_bins[0][0], pt_bins[-1][1])], [(eta_bins[0][0], eta_bins[-1][1])]
    bins = [*product(pt_bins, all_eta), *product(all_pt, eta_bins), *product(pt_bins, eta_bins)]
    for (low, high), (near, far) in bins:
        own = []
        for gen_pt, gen_eta, reco_pt, event in columns:
            on = (gen_pt >= low) & (gen_pt < high) & (np.abs(gen_eta) >= near) & (np.abs(gen_eta) < far)
            own.append((reco_pt[on] / gen_pt[on], event[on]))
        row: dict[str, Any] = {"pt": [low, high], "eta": [near, far], "n": len(own[0][0])}
        if min(len(ratio) for ratio, _ in own) >= 50:
            found = np.stack([figures(ratio) for ratio, _ in own])
            both = 0.5 * (found[0] + found[-1])
            model = found[1 : 1 + n_models].mean(axis=0)
            with np.errstate(divide="ignore", invalid="ignore"):
                deviation = model / both - 1.0
            chance = _exchanged(own[0], own[-1], flips) * np.sqrt((0.5 + 1.0 / n_models) / 2.0)
            row |= {
                name: {
                    "reference": found[0, i],
                    "rerun": found[-1, i],
                    "model": model[i],
                    "deviation": deviation[i],
                    "chance": chance[i],
                }
                for i, name in enumerate(("response", "resolution", "tail"))
            }
        rows.append(row)
    return rows


def _exchanged(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], flips: np.ndarray) -> np.ndarray:
    """95 % quantiles of the relative difference of the figures of two samples whose events are exchanged."""
    ratio, event = np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]])
    second = np.repeat([False, True], [len(a[0]), len(b[0])])
    off = []
    for flip in flips.T:
        label = second != flip[event]
        if 10 < label.sum() < len(label) - 10:
            one, other = figures(ratio[label]), figures(ratio[~label])
            with np.errstate(divide="ignore", invalid="ignore"):
                off.append(np.abs(one - other) / (0.5 * (one + other)))
    return np.nanquantile(np.array(off), 0.95, axis=0)


# --- correlations ----------------------------------------------------------------------------------------------------


def event_sums(found: Collected, n_events: int) -> np.ndarray:
    """Of each event the sums of `EVENT_SUMS` [GeV]: float64 [n_events, 6]."""
    columns = []
    for kind in ("track", "photon", "neutral"):
        pt, event = found.values[f"{kind}.pt"].joined()
        columns.append(np.bincount(event, pt, n_events))
    columns.append(_per_event(found, "event.ht", n_events))
    pt, event = found.values["jet.pt"].joined()
    leading = np.zeros(n_events)
    np.maximum.at(leading, event, pt)
    return np.stack([*columns, leading, _per_event(found, "event.met", n_events)], axis=1)


def _per_event(found: Collected, name: str, n_events: int) -> np.ndarray:
    values, event = found.values[name].joined()
    out = np.zeros(n_events)
    out[event] = values
    return out


def correlations(files: list[Collected], n_models: int, n_events: int) -> list[dict[str, Any]]:
    """Rank correlations between the changes of two quantities from the reference to another sample of the same events.

    What a simulation loses in one place it should keep in another: the change of the tracks goes against that of the
    towers, that of the leading jet along or against MET. The errors are those of rank correlations of this size.
    """
    sums = [event_sums(f, n_events) for f in files]
    changes = [s - sums[0] for s in sums[1:]]
    matrices = [_spearman(change) for change in changes]
    rows = []
    for i in range(len(EVENT_SUMS)):
        for j in range(i):
            model, rerun = np.mean([m[i, j] for m in matrices[:n_models]]), matrices[-1][i, j]
            # samples share the reference: their correlations fluctuate together, in part
            error = (1.0 - rerun**2) / np.sqrt(n_events) * np.sqrt((1.0 + 1.0 / n_models) / 2.0)
            pair = [EVENT_SUMS[j], EVENT_SUMS[i]]
            rows.append({"pair": pair, "model": model, "rerun": rerun, "error": error})
    return rows


def _spearman(values: np.ndarray) -> np.ndarray:
    ranks = values.argsort(axis=0, kind="stable").argsort(axis=0)
    return np.corrcoef(ranks.T)


# --- classifiers -----------------------------------------------------------------------------------------------------


def areas(files: list[Collected], n_models: int, data: Path, numbers: np.ndarray, card: Any) -> dict[str, Any]:
    """AUC of conditional classifiers against the reference, of each seed and of the rerun, with errors."""
    conditions = []
    number = 0
    gen = GenFile(str(data))
    rows = np.flatnonzero(np.isin(gen.number, numbers))
    for number in range(0, len(rows), 1000):
        conditions.append(classifiers.event_conditions(truth.truth_of(gen.take(rows[number : number + 1000]), card)))
    given = np.concatenate(conditions)
    out: dict[str, Any] = {}
    index = np.arange(len(rows))
    names = [*(f"seed{k + 1}" for k in range(n_models)), "rerun"]
    for unit in ("jets", "events"):
        samples = []
        for f in files:
            if unit == "jets":
                columns = (f.pairs.joined(name) for name in ("features", "conditions", "event"))
            else:
                columns = (np.concatenate(f.events), given, index)
            samples.append(tuple(columns))
        results = {}
        for name, (features, condition, group) in zip(names, samples[1:]):
            found = c2st(
                samples[0][0].astype(np.float64),
                features.astype(np.float64),
                conditions=(samples[0][1], condition),
                groups=(samples[0][2], group),
                **classifiers.TREES,
            )
            results[name] = {"auc": float(found.value), "error": float(found.error)}
        models = [results[name] for name in names[:-1]]
        results["mean"] = {
            "auc": float(np.mean([m["auc"] for m in models])),
            "error": float(np.mean([m["error"] for m in models])),  # seeds share the reference: no gain by 1/sqrt(n)
        }
        out[unit] = results
    return out


# --- all -------------------------------------------------------------------------------------------------------------


def judge(
    model: str,
    data: Path,
    half: str,
    seeds: int,
    card: str,
    process: int = 0,
    with_classifiers: bool = True,
    picture: Path | None = None,
) -> dict[str, Any]:
    """All figures of a model; ``process``: of this one alone; ``picture``: PNG of the cells outside their band."""
    with tempfile.TemporaryDirectory(prefix="bands") as name:
        folder = Path(name)
        rerun = rerun_of(data)
        if process:
            data, rerun = (of_process(path, process, folder) for path in (data, rerun))
        candidates = simulate(model, data, seeds, folder)
        report = compare(
            data, candidates, rerun, card=card, half=half, n_swaps=SWAPS, n_displays=0, use_classifiers=False
        )
        found, m = report.files, report.metrics
        numbers = pq.read_table(data, columns=["event"])["event"].to_numpy()
        if half != "all":
            numbers = numbers[numbers % 2 == ("even", "odd").index(half)]
        cells = m["cells"]
        counted = [cell for cell in cells if cell["counted"]]
        if picture is not None and bands_pictures.outside(cells):
            bands_pictures.draw(found, seeds, bands_pictures.outside(cells), numbers, picture)
        out = {
            "model": m["files"][1].get("model", model),
            "data": data.name,
            "half": half,
            "events": m["events"],
            "seeds": seeds,
            "summary": m["summary"],
            "rerun_inside": float(np.mean([cell["floor"] <= cell["band"] for cell in counted])),
            "cells": cells,
            "responses": responses(found, seeds),
            "rates": m.get("rates", {}),
            "correlations": correlations(found, seeds, m["events"]["matched"]),
            "balance": balance.judge([data, *candidates, rerun], data, numbers, card, SWAPS),
            "counts": {
                key: sum(f.counts[key] for f in found[1 : 1 + seeds])
                for key in ("n_constituents", "n_unusable", "n_out_of_range")
            },
        }
        if with_classifiers:
            out["auc"] = areas(found, seeds, data, numbers, plain_card(load_card(card)))
    return out


def by_process(found: dict[str, Any]) -> dict[str, Any]:
    """The judgement in short, per process: for the model's metadata."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for cell in found["cells"]:
        if cell["counted"]:
            groups.setdefault(cell["process"], []).append(cell)
    processes = {}
    for name, cells in groups.items():
        worst = max(cells, key=lambda cell: cell["of_band"])
        processes[name] = {
            "cells": len(cells),
            "inside": sum(cell["of_band"] <= 1.0 for cell in cells),
            "rerun_inside": sum(cell["floor"] <= cell["band"] for cell in cells),
            "median_w1_ratio": round(float(np.median([cell["ratio"] for cell in cells])), 3),
            "worst": worst["observable"],
            "worst_of_band": round(float(worst["of_band"]), 3),
        }
    head = {"data": found["data"], "half": found["half"], "events": found["events"]["matched"], "seeds": found["seeds"]}
    return head | {"processes": processes}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.bands", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="name or file of a model")
    parser.add_argument("--data", required=True, type=Path, help="event file; its rerun lies beside it")
    parser.add_argument("--half", choices=("even", "odd", "all"), default="even", help="events to judge on")
    parser.add_argument("--seeds", type=int, default=5, help="generation seeds to average over")
    parser.add_argument("--card", default="cms", help="definitions of objects")
    parser.add_argument("--process", type=int, default=0, help="judge on this process alone")
    parser.add_argument("--no-classifiers", action="store_true")
    parser.add_argument("--out", required=True, type=Path, help="OUT.json, OUT.md and OUT.png are written")
    parser.add_argument(
        "--into", type=Path, metavar="MODEL", help="file whose metadata is to hold the table by process"
    )
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    found = judge(
        options.model,
        options.data,
        options.half,
        options.seeds,
        options.card,
        options.process,
        not options.no_classifiers,
        options.out.with_name(options.out.name + ".png"),
    )
    from training.bands_table import markdown

    options.out.with_name(options.out.name + ".json").write_text(json.dumps(found, default=_plain) + "\n")
    text = markdown(found)
    options.out.with_name(options.out.name + ".md").write_text(text)
    print(text)
    if options.into:
        export.annotate(options.into, {"bands": by_process(found)})


def _plain(value: Any) -> Any:
    """Arrays and numpy's numbers, for JSON."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


if __name__ == "__main__":
    main()
