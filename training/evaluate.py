# SPDX-License-Identifier: MIT
"""The quality of an event model: distances to the reference, in units of the distance of Delphes with another seed.

    python -m training.evaluate --model model.pt --data val.parquet --half even

W1 is the Wasserstein distance of the values. Every figure is W1(model, reference) / W1(rerun, reference), where the
rerun is the same simulation of the same GEN events with another seed: 1 is as good as the simulation itself. Choose
models on the events of even number, report on the odd ones.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from training import observables
from training.data import events as event_data
from training.data.events import Events
from training.export import read_metadata, with_slots
from training.observables import KINDS, Jets, Reco

PROCESSES = {1: "ttbar", 2: "qcd", 3: "wqq", 4: "zee", 5: "zmm", 6: "ztt", 7: "hgg", 8: "wlnu"}
JET_BINS = (20.0, 40.0, 70.0, 130.0, 2000.0)  # GeV


def simulate(path: str | Path, events: Events, seed: int, batch: int = 64) -> tuple[Reco, dict[str, float]]:
    """Run a model file on events: constituents, and counts of bad outputs and the time per event in ms."""
    model, metadata = torch.jit.load(str(path)), read_metadata(path)
    n, parts, lengths, seconds = len(events), [], [], 0.0
    for start in range(0, n, batch):
        part = events.pick(torch.arange(start, min(start + batch, n)))
        empty = torch.zeros(len(part), 0)
        arguments = with_slots(model, metadata, (part.features, part.codes, part.offsets, empty, empty), seed + start)
        begin = time.perf_counter()
        with torch.inference_mode():
            items, codes, offsets, _, _ = model(*arguments)
        seconds += time.perf_counter() - begin
        parts.append(torch.cat([items[:, :4].double(), codes.double()], 1))
        lengths.append(offsets.diff())
    pt, eta, phi, mass, pdgid, charge = torch.cat(parts).numpy().T
    finite = np.isfinite(pt) & np.isfinite(eta) & np.isfinite(phi)
    counts = {
        "not_finite": int((~finite).sum()),
        "out_of_range": int(((pt <= 0) | (pt > 1e4) | (np.abs(eta) > 6) | (np.abs(phi) > np.pi + 1e-6))[finite].sum()),
        "ms_per_event": 1e3 * seconds / max(n, 1),
    }
    kind = np.where(charge != 0, 0, np.where(pdgid == 22, 1, 2))
    return Reco(pt, eta, phi, mass, kind, np.concatenate([[0], torch.cat(lengths).numpy().cumsum()])), counts


def w1(a: np.ndarray, b: np.ndarray) -> float:
    """Wasserstein distance of two samples of values; a shift of s gives s."""
    if not len(a) or not len(b):
        return float("nan")
    a, b = np.sort(a), np.sort(b)
    values = np.sort(np.concatenate([a, b]))
    below_a = np.searchsorted(a, values[:-1], side="right") / len(a)
    below_b = np.searchsorted(b, values[:-1], side="right") / len(b)
    return float(np.sum(np.abs(below_a - below_b) * np.diff(values)))


def distributions(reco: Reco, found: Jets, process: np.ndarray) -> dict[str, np.ndarray]:
    """Values by observable: constituents of each kind, jets by process, event sums by process."""
    out: dict[str, np.ndarray] = {}
    for k, kind in enumerate(KINDS):
        on = reco.kind == k
        out |= {f"{kind}.pt": reco.pt[on], f"{kind}.log_pt": np.log(reco.pt[on])}
        out |= {f"{kind}.eta": reco.eta[on], f"{kind}.phi": reco.phi[on], f"{kind}.n": reco.sums(on.astype(float))}
    met = np.hypot(*observables.missing(reco).T)
    ht = np.bincount(found.event, found.pt, len(process))
    for number, name in PROCESSES.items():
        if not (process == number).any():
            continue
        mine = process[found.event] == number
        for quantity in ("pt", "mass", "n", "width"):
            out[f"jet.{quantity}.{name}"] = getattr(found, quantity)[mine]
        out |= {f"met.{name}": met[process == number], f"ht.{name}": ht[process == number]}
    return out


def by_quantity(ratios: dict[str, float]) -> dict[str, float]:
    """Means over the processes: ``jet.pt.ttbar``, ``jet.pt.qcd``, ... to ``jet.pt``."""
    groups: dict[str, list[float]] = {}
    for name, value in ratios.items():
        words = name.split(".")
        groups.setdefault(".".join(words[:-1] if words[-1] in PROCESSES.values() else words), []).append(value)
    return {name: round(float(np.mean(values)), 3) for name, values in groups.items()}


def responses(found: Jets, gen: Any) -> dict[str, float]:
    """Median and half-width (of 68 %) of jet pT over generator jet pT, in bins of the latter."""
    jet, row = observables.match(found, gen)
    gen_pt = observables.ak.flatten(gen.pt).to_numpy()[row]
    ratio, out = found.pt[jet] / gen_pt, {}
    for low, high in pairwise(JET_BINS):
        inside = ratio[(gen_pt >= low) & (gen_pt < high)]
        if len(inside) > 20:
            q16, q50, q84 = np.quantile(inside, [0.16, 0.5, 0.84])
            out |= {f"median.{low:.0f}-{high:.0f}": q50, f"width.{low:.0f}-{high:.0f}": 0.5 * (q84 - q16)}
    return out


def jet_features(found: Jets, gen: Any) -> tuple[np.ndarray, np.ndarray]:
    """What the classifier sees of matched jets [K, 7], GEN features among them, and the jets' events [K]."""
    jet, row = observables.match(found, gen)
    truth = observables.ak.flatten(gen)
    gen_pt, gen_mass = truth.pt.to_numpy()[row], truth.mass.to_numpy()[row]
    seen = [found.pt[jet] / gen_pt, found.mass[jet] / gen_pt, found.n[jet], found.width[jet]]
    return np.stack([*seen, np.log(gen_pt), truth.eta.to_numpy()[row], gen_mass / gen_pt], 1), found.event[jet]


def event_features(reco: Reco, found: Jets, truth: Events) -> np.ndarray:
    """What the classifier sees of events [B, 12], GEN sums among them."""
    pt, eta, phi = truth.features[:, :3].numpy().T
    pdgid = truth.codes[:, 0].abs().numpy()
    unseen = np.isin(pdgid, [12, 14, 16])
    gen = Reco(pt, eta, phi, pt * 0, np.where(pdgid == 22, 1, 0), truth.offsets.numpy())
    gen_met = np.stack([gen.sums(pt * np.cos(phi) * unseen), gen.sums(pt * np.sin(phi) * unseen)], 1)
    gen_sums = [gen.sums(pt * ~unseen * (np.abs(eta) < limit)) for limit in (2.5, 5.0)]
    met = observables.missing(reco) - gen_met
    kinds = [reco.sums((reco.kind == k).astype(float)) for k in range(3)]
    sums = [reco.sums(reco.pt * (reco.kind == k)) for k in range(3)]
    ht = np.bincount(found.event, found.pt, len(met))
    return np.stack([met[:, 0], met[:, 1], *kinds, *sums, ht, np.diff(gen.offsets), *gen_sums], 1)


def separation(a: np.ndarray, b: np.ndarray, groups_a: np.ndarray, groups_b: np.ndarray) -> float:
    """Area under the ROC curve of a classifier of a against b; folds keep the GEN events that they share together."""
    x, y = np.concatenate([a, b]), np.concatenate([np.zeros(len(a)), np.ones(len(b))])
    groups = np.concatenate([groups_a, groups_b])
    model = HistGradientBoostingClassifier(max_iter=150, learning_rate=0.07, random_state=0)
    score = cross_val_predict(model, x, y, groups=groups, cv=GroupKFold(4), method="predict_proba")[:, 1]
    return float(roc_auc_score(y, score))


def rerun_of(data: str | Path) -> Path:
    """The file with the same GEN events, simulated with another seed, that lies beside an event file."""
    data = Path(data)
    return data.with_name(f"{data.stem}_rerun.parquet")


def summary(
    path: str | Path, data: str | Path, parity: int, seeds: int = 3, classifiers: bool = True
) -> dict[str, Any]:
    """All figures of a model on one parity of ``data``; the rerun lies beside it as ``*_rerun.parquet``."""
    data = Path(data)
    everything = event_data.load(data)
    reference, number = observables.read(data)
    rerun, _ = observables.read(rerun_of(data))
    keep = number % 2 == parity
    truth = everything.where(torch.from_numpy(keep))
    gen = observables.read_gen_jets(data)[keep]
    process = number[keep] // 100_000
    samples = {"reference": reference.where(keep), "rerun": rerun.where(keep)}
    counts = []
    for seed in range(seeds):
        samples[f"model{seed}"], count = simulate(path, truth, 1_000_003 * (seed + 1))
        counts.append(count)
    found = {name: observables.jets(reco) for name, reco in samples.items()}
    values = {name: distributions(samples[name], found[name], process) for name in samples}
    models = [name for name in samples if name.startswith("model")]
    ratios = {}
    for observable, expected in values["reference"].items():
        floor = w1(values["rerun"][observable], expected)
        ratios[observable] = float(np.mean([w1(values[name][observable], expected) for name in models])) / floor
    out: dict[str, Any] = {
        "events": int(keep.sum()),
        "seeds": seeds,
        "w1_ratio": {name: round(value, 3) for name, value in ratios.items()},
        "w1_ratio_by_quantity": by_quantity(ratios),
        "w1_ratio_mean": round(float(np.mean(list(ratios.values()))), 3),
        "jet_response": {
            name: {key: round(float(v), 4) for key, v in responses(found[name], gen).items()}
            for name in ("reference", "rerun", "model0")
        },
        **{key: max(count[key] for count in counts) for key in ("not_finite", "out_of_range")},
        "ms_per_event": round(min(count["ms_per_event"] for count in counts), 3),
    }
    if classifiers:
        jet = {name: jet_features(found[name], gen) for name in samples}
        event = {name: event_features(samples[name], found[name], truth) for name in samples}
        index = np.arange(len(process))
        out["auc"] = {
            name: {
                "jets": round(separation(jet["reference"][0], jet[name][0], jet["reference"][1], jet[name][1]), 4),
                "events": round(separation(event["reference"], event[name], index, index), 4),
            }
            for name in ("rerun", *models)
        }
    return out


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="event file; its rerun lies beside it")
    parser.add_argument("--half", choices=("even", "odd"), default="even", help="events to judge on")
    parser.add_argument("--seeds", type=int, default=3, help="generation seeds to average over")
    parser.add_argument("--no-classifiers", action="store_true")
    options = parser.parse_args()
    parity = ("even", "odd").index(options.half)
    print(json.dumps(summary(options.model, options.data, parity, options.seeds, not options.no_classifiers), indent=1))


if __name__ == "__main__":
    main()
