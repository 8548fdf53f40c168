# SPDX-License-Identifier: MIT
"""Jet models against the simulation that they stand in for, on the same GEN jets.

    python -m training.evaluate_jet_pairs --pairs val_jets.parquet --events val.parquet --models jet-vae graph-vae

Reference: RECO jets of the file of pairs. Floor: its rerun, the same simulation with another seed. Beside the models of
jets the event model is judged: it simulates the events, and its jets are clustered and matched as the reference's are.
Choose models on events of even number, report on the odd ones.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from hepgen_fastsim import metrics
from hepgen_fastsim._core_loader import core
from hepgen_fastsim.convert_jets import JetDefinition, convert_jets
from hepgen_fastsim.fastsim import FastSim
from hepgen_fastsim.registry import find_model
from torch import Tensor

from training.data import jet_pairs
from training.data.jet_pairs import INPUT, Constituents, JetPairs
from training.jet_vae import features_of

W_MASS = (60.0, 110.0)  # GeV, of GEN jets of the boosted W sample
CUT = 200.0  # GeV, the seed's, on the RECO jet
SPREADS = ("pt", "mass", "mass, led", "n")
PT_BINS = (30.0, 60.0, 120.0, 250.0, 500.0, 2000.0)  # GeV, GEN
OBSERVABLES = ("constituent.pt", "constituent.eta", "constituent.phi", "jet.pt", "jet.mass", "jet.energy", "jet.eta")
OBSERVABLES += ("jet.n", "flow.1", "flow.2", "flow.3", "flow.4")


def engine_of(model: str) -> Any:
    return core().Engine(core().Model(str(find_model(model).path)), device="cpu")


def run(engine: Any, pairs: JetPairs, seed: int) -> tuple[Constituents, float]:
    """RECO jets that a model draws for GEN jets, and the seconds per jet."""
    m = json.loads(engine.metadata)
    places = [INPUT.index(column["name"]) for column in m["input"]["features"]]
    features = np.ascontiguousarray(pairs.features.numpy()[:, places])
    codes = np.ascontiguousarray(pairs.codes.numpy()[:, : len(m["input"]["codes"])])
    none = np.zeros((len(pairs), 0), np.float32)
    begin = time.process_time()
    made = engine.run(features, codes, pairs.offsets.numpy(), none, np.arange(len(pairs)), seed)
    seconds = (time.process_time() - begin) / len(pairs)
    columns = [column["name"] for column in m["output"]["features"]]
    momenta = np.zeros((len(made["items"]), 4), np.float32)
    for k, name in enumerate(("pt", "eta", "phi", "mass")):
        if name in columns:
            momenta[:, k] = made["items"][:, columns.index(name)]
    return _constituents(momenta, made["origin"], made["offsets"]), seconds


def _constituents(momenta: np.ndarray, origin: np.ndarray, offsets: np.ndarray) -> Constituents:
    none = torch.zeros(len(momenta), 2, dtype=torch.int64)
    bounds = torch.from_numpy(np.asarray(offsets, np.int64))
    return Constituents(torch.from_numpy(momenta), none, torch.from_numpy(np.asarray(origin, np.int64)), bounds)


def jets_of_events(
    name: str, events: Path, pairs: JetPairs, seeds: int, definition: JetDefinition, jets: str | None = None
) -> Iterator[Constituents]:
    """The event model's jets that match the GEN jets of ``pairs``, in the same order, once per seed.

    ``events``: the event pairs that these were made from, others may be among them; ``jets``: a model of jets that
    simulates the particles of GEN jets.
    """
    table = pq.read_table(events)
    table = table.filter(np.isin(table["event"].to_numpy(), pairs.event.numpy())).combine_chunks()
    columns = {n: table[f"gen_{n}"].combine_chunks() for n in ("pdgid", "pt", "eta", "phi", "vx", "vy", "vz")}
    gen: dict[str, Any] = {n: c.flatten().to_numpy() for n, c in columns.items()}
    bounds = columns["pt"].offsets.to_numpy()
    gen |= {"offsets": bounds - bounds[0], "event": np.arange(len(table))}
    for seed in range(seeds):
        reco = FastSim(name, device="cpu", seed=seed + 1, jets=jets)(gen)
        with TemporaryDirectory() as folder:
            pq.write_table(table, f"{folder}/events.parquet", compression="none")
            rerun = _as_pairs(reco, table, folder)
            convert_jets([f"{folder}/events.parquet"], f"{folder}/jets.parquet", rerun=rerun, jets=definition)
            again = jet_pairs.load(f"{folder}/jets.parquet")
        if again.rerun is None or not torch.equal(again.jet, pairs.jet):
            raise SystemExit(f"the pairs have other GEN jets than {events} gives; were they made with other options?")
        yield again.rerun


def _as_pairs(reco: Any, table: pa.Table, folder: str) -> str:
    """RECO columns of simulated events as a file of the layout that ``convert`` writes."""
    import awkward as ak

    offsets = pa.array(np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(reco)))]).astype(np.int32))
    flat = {n: ak.to_numpy(ak.flatten(reco[n])) for n in ("pdgid", "pt", "eta", "phi", "charge", "origin")}
    track = flat["charge"] != 0
    kind = np.where(track, 0, np.where(flat["pdgid"] == 22, 1, 2)).astype(np.int8)
    columns = {"type": kind, "pid": flat["pdgid"].astype(np.int32), "charge": flat["charge"].astype(np.int8)}
    columns |= {n: flat[n] for n in ("pt", "eta", "phi")} | {"gen_index": flat["origin"].astype(np.int32)}
    lists = {f"reco_{n}": pa.ListArray.from_arrays(offsets, pa.array(c)) for n, c in columns.items()}
    path = f"{folder}/simulated.parquet"
    pq.write_table(pa.table({"event": table["event"], **lists}), path, row_group_size=1000)
    return path


def values(sample: Constituents, least_pt: float = 0.0, radius: float = 0.8) -> dict[str, np.ndarray]:
    """Every observable of the jets with constituents and a pT above ``least_pt``."""
    sample = sample.pick(torch.nonzero(sample.offsets.diff() > 0)[:, 0])
    jets = features_of(sample.momenta, sample.offsets)
    keep = np.flatnonzero(jets["pt"] > least_pt)
    chosen = sample.pick(torch.from_numpy(keep))
    momenta = chosen.momenta.double().numpy()
    as_jets = metrics.Jets.read(np.split(momenta, chosen.offsets.numpy()[1:-1]), "ptetaphim")
    flow = metrics.momentum_flow(as_jets, radius)
    out = {f"constituent.{n}": momenta[:, k] for k, n in enumerate(("pt", "eta", "phi"))}
    out |= {f"jet.{n}": jets[n][keep] for n in ("pt", "mass", "energy", "eta")}
    out["jet.n"] = chosen.offsets.diff().numpy().astype(float)
    return out | {f"flow.{k + 1}": flow[:, k] for k in range(4)}


def distances(
    reference: dict[str, np.ndarray], rerun: dict[str, np.ndarray], models: dict[str, list[dict[str, np.ndarray]]]
) -> dict[str, dict[str, dict[str, float]]]:
    """KLD and W1 to the reference by observable and model, means over seeds; ``rerun``: the floor."""
    out: dict[str, dict[str, dict[str, float]]] = {"kld": {}, "w1": {}}
    for name in OBSERVABLES:
        settings: dict[str, Any] = {}
        if name == "jet.n":
            settings = {"bins": np.arange(-0.5, np.quantile(reference[name], 0.999) + 1.5, 2.0)}
        for kind, measure in (("kld", lambda a, b, s=settings: metrics.kld(a, b, **s)), ("w1", metrics.w1)):
            floor = measure(reference[name], rerun[name])
            row = {"rerun": floor.value, "rerun_error": floor.error}
            for model, samples in models.items():
                row[model] = float(np.mean([measure(reference[name], sample[name]).value for sample in samples]))
            out[kind][name] = {model: float(f"{value:.4g}") for model, value in row.items()}
    return out


def led(sample: Constituents) -> Constituents:
    """Without constituents from the rest of the event: those that a particle of the GEN jet leads."""
    keep = sample.origin >= 0
    rows = torch.cat([torch.zeros(1, dtype=torch.int64), keep.long().cumsum(0)])
    return Constituents(sample.momenta[keep], sample.codes[keep], sample.origin[keep], rows[sample.offsets])


def by_jet(sample: Constituents) -> dict[str, np.ndarray]:
    """pt, mass, n [J] of all jets, and of what their particles lead; not a number without constituents."""
    out = {}
    for suffix, part in (("", sample), (", led", led(sample))):
        n = part.offsets.diff().numpy().astype(float)
        found = features_of(part.momenta, part.offsets)
        for name in ("pt", "mass", "n"):
            out[name + suffix] = np.full(len(n), np.nan)
            out[name + suffix][n > 0] = n[n > 0] if name == "n" else found[name]
    return out


def half_width(x: np.ndarray) -> float:
    """Half the central 68 % range; not a number of nothing."""
    x = x[np.isfinite(x)]
    if not len(x):
        return np.nan
    low, high = np.quantile(x, [0.1587, 0.8413])
    return float(high - low) / 2


def spread_ratio(
    first: list[Constituents],
    second: list[Constituents],
    reference: Constituents,
    rerun: Constituents,
    gen_pt: np.ndarray,
) -> dict[str, dict[str, float]]:
    """Width of the difference of two draws for one GEN jet over that of reference and rerun, in bins of GEN pT.

    "mass, led" is the mass without constituents from the rest of the event, which reference and rerun share but a model
    of jets does not know. Half the central 68 % range for pT and mass; the standard deviation for the number of
    constituents, an integer. The error is that of the simulation's width, from 50 bootstraps of the jets.
    """
    random = np.random.default_rng(0)
    a, b = by_jet(reference), by_jet(rerun)
    drawn = [(by_jet(one), by_jet(two)) for one, two in zip(first, second)]
    out: dict[str, dict[str, float]] = {}
    for quantity in SPREADS:
        rows = {}
        for low, high in (*pairwise(PT_BINS), (PT_BINS[0], PT_BINS[-1])):
            inside = (gen_pt >= low) & (gen_pt < high)
            scale = gen_pt[inside] if quantity != "n" else 1.0
            expected = (a[quantity] - b[quantity])[inside] / scale
            if inside.sum() < 30:
                continue
            measure = np.nanstd if quantity == "n" else half_width
            width = measure(expected)
            resampled = [measure(random.choice(expected, len(expected))) for _ in range(50)]
            found = np.mean([measure((x[quantity] - y[quantity])[inside] / scale) for x, y in drawn])
            rows[f"{low:.0f}-{high:.0f}"] = round(float(found / width), 3)
            rows[f"{low:.0f}-{high:.0f} error"] = round(float(np.std(resampled) / width), 3)
        out[quantity] = rows
    return out


def responses(sample: Constituents, gen_pt: np.ndarray) -> dict[str, list[float]]:
    """Median and half-width of RECO over GEN pT, in bins of the latter."""
    pt = by_jet(sample)["pt"]
    there = np.isfinite(pt)
    found = metrics.response(gen_pt[there], pt[there], PT_BINS)
    columns = {"count": found.count, "median": found.median, "width": found.width, "width_error": found.width_error}
    return {name: [float(f"{value:.4g}") for value in column] for name, column in columns.items()}


def broken(sample: Constituents) -> dict[str, int]:
    """Counts of what no jet should have."""
    pt, eta, phi, _ = sample.momenta.numpy().T
    finite = np.isfinite(sample.momenta.numpy()).all(1)
    wild = (pt <= 0) | (pt > 5e3) | (np.abs(eta) > 6) | (np.abs(phi) > np.pi + 1e-5)
    return {
        "not_finite": int((~finite).sum()),
        "out_of_range": int(wild[finite].sum()),
        "empty": int((sample.offsets.diff() == 0).sum()),
    }


def selections(pairs: JetPairs) -> dict[str, Tensor]:
    """Masks bool [J] of the kinds of jets that are reported on."""
    mass = pairs.jet[:, 3]
    return {
        "W": (pairs.process == 3) & (mass > W_MASS[0]) & (mass < W_MASS[1]),
        "QCD": pairs.process == 2,
    }


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    pairs = jet_pairs.load(options.pairs)
    if pairs.rerun is None:
        raise SystemExit(f"{options.pairs} has no rerun; make it with hepgen-fastsim convert --jets --rerun FILE")
    definition = JetDefinition(options.radius, options.pt_min, options.eta_max)
    samples: dict[str, list[Constituents]] = {}
    seconds: dict[str, float] = {}
    pairs = pairs.where(pairs.event % 2 == ("even", "odd").index(options.half))
    assert pairs.rerun is not None
    keep = (pairs.rerun.offsets.diff() > 0) & torch.isin(pairs.process, torch.tensor([2, 3]))
    event_models: dict[str, str | None] = {options.event_model: None} if options.event_model else {}
    if options.event_model and options.together:
        event_models[f"{options.event_model} + {Path(options.together).stem}"] = options.together
    for name, jets in event_models.items():
        model = options.event_model
        found = jets_of_events(model, options.events, pairs, 2 * options.seeds, definition, jets)
        samples[name] = [sample.pick(torch.nonzero(keep)[:, 0]) for sample in found]
    pairs = pairs.where(keep)
    for name in options.models:
        engine = engine_of(name)
        run(engine, pairs.pick(torch.arange(min(len(pairs), 100))), 0)  # warm
        drawn = [run(engine, pairs, seed + 1) for seed in range(2 * options.seeds)]
        samples[Path(name).stem] = [sample for sample, _ in drawn]
        seconds[Path(name).stem] = min(s for _, s in drawn)
    for name, jets in event_models.items():
        seconds[name] = _event_model_seconds(options.event_model, pairs, jets)

    out: dict[str, Any] = {"jets": len(pairs), "seeds": options.seeds, "half": options.half}
    out["microseconds_per_jet"] = {name: round(1e6 * s, 1) for name, s in seconds.items()}
    out["broken"] = {name: broken(found[0]) for name, found in samples.items()}
    gen_pt = pairs.jet[:, 0].double().numpy()
    assert pairs.rerun is not None
    for kind, mask in selections(pairs).items():
        rows = torch.nonzero(mask)[:, 0]
        reference, rerun = pairs.reco.pick(rows), pairs.rerun.pick(rows)
        mine = {name: [sample.pick(rows) for sample in found] for name, found in samples.items()}
        out[kind] = {"jets": len(rows), "distances": {}}
        for least in (0.0, CUT):
            models = {n: [values(s, least) for s in found[: options.seeds]] for n, found in mine.items()}
            out[kind]["distances"][f"pt > {least:.0f}"] = distances(
                values(reference, least), values(rerun, least), models
            )
        pt = gen_pt[rows.numpy()]
        out[kind]["spread"] = {
            name: spread_ratio(found[: options.seeds], found[options.seeds :], reference, rerun, pt)
            for name, found in mine.items()
        }
        out[kind]["response"] = {
            name: responses(sample, pt)
            for name, sample in {"reference": reference, "rerun": rerun, **{n: f[0] for n, f in mine.items()}}.items()
        }
    return out


def _event_model_seconds(name: str, pairs: JetPairs, jets: str | None) -> float:
    """Seconds per jet of the event model when it is given the particles of one jet as an event."""
    sim = FastSim(name, device="cpu", jets=jets)
    columns: dict[str, Any] = {n: pairs.features.numpy()[:, k].astype(np.float64) for k, n in enumerate(INPUT)}
    columns |= {"pdgid": pairs.codes.numpy()[:, 0], "offsets": pairs.offsets.numpy()}
    sim(columns)
    begin = time.process_time()
    sim(columns)
    return (time.process_time() - begin) / len(pairs)


def tables(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    models = list(found["microseconds_per_jet"])
    lines = [f"{found['jets']} jets of {found['half']} events, {found['seeds']} seeds", ""]
    lines += _table(["", *models], [["microseconds per jet", *(found["microseconds_per_jet"][m] for m in models)]])
    counts = found["broken"]
    lines += _table(
        ["", *models], [[name, *(counts[m][name] for m in models)] for name in next(iter(counts.values()), {})]
    )
    for kind in ("W", "QCD"):
        part = found[kind]
        for cut, measured in part["distances"].items():
            for what, rows in measured.items():
                lines += [f"### {kind} jets ({part['jets']}), {what}, {cut} GeV", ""]
                head = ["observable", "rerun (floor)", *models]
                body = [
                    [name, f"{row['rerun']:.3g} ± {row['rerun_error']:.2g}", *(f"{row[m]:.3g}" for m in models)]
                    for name, row in rows.items()
                ]
                lines += _table(head, body)
        lines += [f"### {kind} jets: width of two draws over width of two runs of the simulation", ""]
        bins = [b for b in part["spread"][models[0]]["pt"] if not b.endswith("error")]
        body = []
        for quantity in SPREADS:
            for m in models:
                row = part["spread"][m][quantity]
                body.append([quantity, m, *(f"{row[b]} ± {row[f'{b} error']}" for b in bins)])
        lines += _table(["", "model", *(f"GEN pT {b}" for b in bins)], body)
        lines += [f"### {kind} jets: response and resolution", ""]
        body = []
        for m in ("reference", "rerun", *models):
            r = part["response"][m]
            body.append([m, *(f"{a} / {b} ± {c}" for a, b, c in zip(r["median"], r["width"], r["width_error"]))])
        lines += _table(["median / width", *(f"{a:.0f}-{b:.0f}" for a, b in pairwise(PT_BINS))], body)
    return "\n".join(lines)


def _table(head: list[str], rows: list[list[Any]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return [*lines, *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows), ""]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate_jet_pairs", description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True, help="pairs of jets with a rerun")
    parser.add_argument("--events", type=Path, help="the event pairs that they were made from, for the event model")
    parser.add_argument("--models", nargs="*", default=["jet-vae", "graph-vae"], help="names or paths of jet models")
    parser.add_argument("--event-model", default="delphes-cms", help="name; empty: none")
    parser.add_argument("--together", help="model of jets with which the event model is judged too, FastSim(jets=...)")
    parser.add_argument("--half", choices=("even", "odd"), default="even", help="events to judge on")
    parser.add_argument("--seeds", type=int, default=3, help="draws to average over")
    parser.add_argument("--radius", type=float, default=0.8)
    parser.add_argument("--pt-min", type=float, default=30.0)
    parser.add_argument("--eta-max", type=float, default=2.5)
    parser.add_argument("--out", type=Path, help="folder for metrics.json and tables.md; default: print the tables")
    options = parser.parse_args()
    if options.event_model and options.events is None:
        parser.error("the event model needs --events; or give --event-model ''")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    found = evaluate(options)
    if options.out is None:
        print(tables(found))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "metrics.json").write_text(json.dumps(found, indent=1) + "\n")
    (options.out / "tables.md").write_text(tables(found) + "\n")


if __name__ == "__main__":
    main()
