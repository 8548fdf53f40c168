# SPDX-License-Identifier: MIT
"""Jets beside their GEN jets, and rates: figures in bins, with the band of chance."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from hepgen_fastsim.metrics import response
from hepgen_fastsim.validation.truth import JET_ETA_BINS, JET_PT_BINS, RATES, Rate

__all__ = ["QUANTITIES", "VARIABLES", "JetPairs", "rate_tables", "response_tables"]

QUANTITIES = {"median": "response", "width": "resolution", "tail": "tail, |r − 1| > 0.3"}
VARIABLES = {"pt": ("GEN jet pT [GeV]", JET_PT_BINS), "eta": ("|η| of the GEN jet", JET_ETA_BINS)}
TAIL = 0.3
MIN_JETS = 20


@dataclass
class JetPairs:
    """Matched jets of one file, each [n]: pT of GEN and RECO [GeV], |eta| of GEN, event; features for classifiers."""

    gen_pt: list[np.ndarray] = field(default_factory=list)
    gen_eta: list[np.ndarray] = field(default_factory=list)
    reco_pt: list[np.ndarray] = field(default_factory=list)
    event: list[np.ndarray] = field(default_factory=list)
    features: list[np.ndarray] = field(default_factory=list)
    conditions: list[np.ndarray] = field(default_factory=list)

    def joined(self, name: str) -> np.ndarray:
        """One column of all batches."""
        return np.concatenate(getattr(self, name))


def _figures(ratio: np.ndarray) -> np.ndarray:
    """Median, half the central 68.27 % range, and share of tails: float64 [3]."""
    low, median, high = np.quantile(ratio, (0.158655, 0.5, 0.841345))
    return np.array([median, (high - low) / 2, np.mean(np.abs(ratio - 1) > TAIL)])


def response_tables(
    reference: JetPairs, candidate: JetPairs, rerun: JetPairs | None, flip: np.ndarray
) -> dict[str, list[dict[str, Any]]]:
    """Response, resolution and tails of jet pT in bins of the GEN jet's pT and |eta|.

    Returns {"pt": [...], "eta": [...]}, one dict per bin: low, high, n, and for each of median, width, tail the figures
    {reference, candidate, rerun} with errors, ratio = candidate / reference, and with a rerun rerun_ratio and band, the
    95 % quantile of |ratio - 1| between exchanged samples.
    """
    files = {"reference": reference, "candidate": candidate} | ({} if rerun is None else {"rerun": rerun})
    tables = {}
    for variable, (_, edges) in VARIABLES.items():
        columns = {}
        for name, pairs in files.items():
            value = pairs.joined("gen_pt") if variable == "pt" else np.abs(pairs.joined("gen_eta"))
            columns[name] = (value, pairs.joined("reco_pt") / pairs.joined("gen_pt"), pairs.joined("event"))
        found = {name: response(np.ones(len(r)), r, edges, variable=value) for name, (value, r, _) in columns.items()}
        table = []
        for k, (low, high) in enumerate(pairwise(edges)):
            inside = {n: (v >= low) & (v < high) for n, (v, _, _) in columns.items()}
            own = {n: (columns[n][1][keep], columns[n][2][keep]) for n, keep in inside.items()}
            row: dict[str, Any] = {"low": low, "high": high, "n": {n: len(r) for n, (r, _) in own.items()}}
            if min(row["n"].values()) >= MIN_JETS:
                errors = {n: (f.median_error[k], f.width_error[k]) for n, f in found.items()}
                row |= _row(own, errors, flip)
            table.append(row)
        tables[variable] = table
    return tables


def _row(
    own: dict[str, tuple[np.ndarray, np.ndarray]], errors: dict[str, tuple[float, float]], flip: np.ndarray
) -> dict[str, Any]:
    figures = {name: _figures(ratio) for name, (ratio, _) in own.items()}
    bands = _bands(own["reference"], own["rerun"], flip) if "rerun" in own else None
    row: dict[str, Any] = {}
    for i, quantity in enumerate(QUANTITIES):
        entry: dict[str, Any] = {}
        for name, values in figures.items():
            n = len(own[name][0])
            entry[name] = values[i]
            entry[f"{name}_error"] = errors[name][i] if i < 2 else np.sqrt(values[i] * (1 - values[i]) / n)
        with np.errstate(divide="ignore", invalid="ignore"):
            entry["ratio"] = entry["candidate"] / entry["reference"]
            if bands is not None:
                entry["rerun_ratio"] = entry["rerun"] / entry["reference"]
                entry["band"] = bands[i]
            else:
                relative = [entry[f"{n}_error"] / entry[n] for n in ("reference", "candidate")]
                entry["band"] = 1.96 * np.hypot(*relative)
        off = abs(entry["ratio"] - 1)
        same = entry["candidate"] == entry["reference"]
        entry["verdict"] = (
            "inside" if same or off <= entry["band"] else "outside" if off <= 2 * entry["band"] else "beyond"
        )
        row[quantity] = entry
    return row


def _bands(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], flip: np.ndarray) -> np.ndarray:
    """95 % quantiles of |ratio - 1| between the figures of exchanged samples: float64 [3]."""
    ratio, event = (np.concatenate(columns) for columns in zip(first, second))
    is_second = np.repeat([False, True], [len(first[0]), len(second[0])])
    off = []
    for k in range(flip.shape[1]):
        label = is_second != flip[event, k]
        if label.all() or not label.any():
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            off.append(np.abs(_figures(ratio[label]) / _figures(ratio[~label]) - 1))
    columns = (column[np.isfinite(column)] for column in np.array(off).reshape(-1, len(QUANTITIES)).T)
    return np.array([np.quantile(column, 0.95) if len(column) else np.nan for column in columns])


def rate_tables(
    reference: dict[str, Rate], candidate: dict[str, Rate], rerun: dict[str, Rate] | None
) -> dict[str, dict[str, Any]]:
    """Efficiencies and fakes in bins, with the candidate's deviation in standard deviations of chance.

    The standard deviation of the difference between candidate and reference follows from the rerun: exchanging it with
    the reference event by event changes the sign of each event's contribution u_e to the difference of the two rates,
    so that the variance is sum u_e^2. Without a rerun it is binomial.
    """
    tables = {}
    for name in RATES:
        files = {"reference": reference[name], "candidate": candidate[name]}
        files |= {} if rerun is None else {"rerun": rerun[name]}
        counts = {key: rate.joined() for key, rate in files.items()}
        table: dict[str, Any] = {"edges": list(RATES[name].edges)}
        values = {}
        for key, (passed, everything) in counts.items():
            n, k = everything.sum(axis=0, dtype=np.float64), passed.sum(axis=0, dtype=np.float64)
            with np.errstate(divide="ignore", invalid="ignore"):
                values[key] = k / n
            table[key], table[f"n_{key}"] = values[key], n
            table[f"{key}_low"], table[f"{key}_high"] = _wilson(k, n)
        with np.errstate(divide="ignore", invalid="ignore"):
            if rerun is None:
                p = (counts["reference"][0].sum(axis=0) + counts["candidate"][0].sum(axis=0)) / (
                    table["n_reference"] + table["n_candidate"]
                )
                sigma = np.sqrt(p * (1 - p) * (1 / table["n_reference"] + 1 / table["n_candidate"]))
            else:
                pooled = (counts["reference"][0].sum(axis=0) + counts["rerun"][0].sum(axis=0)) / (
                    table["n_reference"] + table["n_rerun"]
                )
                parts = [
                    (counts[key][0] - pooled * counts[key][1]) / table[f"n_{key}"] for key in ("reference", "rerun")
                ]
                sigma = np.sqrt(((parts[0] - parts[1]) ** 2).sum(axis=0))
            difference = values["candidate"] - values["reference"]
            table["sigma"] = sigma
            table["pull"] = np.where(difference == 0, 0.0, difference / sigma)
        tables[name] = table
    return tables


def _wilson(k: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of one standard deviation for k of n (J. Am. Stat. Assoc. 22 (1927) 209)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (k + 0.5) / (n + 1)
        half = np.sqrt(k * (n - k) / n + 0.25) / (n + 1)
    return centre - half, centre + half
