# SPDX-License-Identifier: MIT
"""The quality of a generator of jets: every figure beside its floor, what real jets of the same number get.

    python -m training.evaluate_jets --model jets-gluon --data jets/gluon.parquet --leading 30 --out results

Reference: the test part of the file; floor: its validation part against the same. As many jets are generated. Models
that need conditions get those of the test jets. ``--amplify`` compares the quantiles of generated jets, and of those
that trained the model, with the truth (arXiv:2008.06545); ``--count`` generates so many jets and counts broken ones.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pyarrow.parquet as pq
from hepgen_fastsim import metrics
from hepgen_fastsim.metrics.result import plain

from training.data import jets as jet_data
from training.data.jets import CONSTITUENT

WHOLE = ("jet_pt", "jet_eta", "jet_phi", "jet_mass")
PT_BINS = (800.0, 900.0, 1000.0, 1100.0, 1250.0, 1600.0)  # GeV
#: a jet is broken with numbers that are not finite, or beyond these: twice the largest of real jets
REACH, LARGEST_SUM, LARGEST_MASS = 6.6, 2.1, 1.5


def real(path: Path, part: str, leading: int | None = None, limit: int | None = None) -> ak.Array:
    """Jets of a file as `hf.Generator` returns them: jet_pt, jet_eta, jet_phi, jet_mass, constituents."""
    table = pq.read_table(path, columns=[*WHOLE, *CONSTITUENT])
    rows = jet_data.part(len(table), part).numpy() if part != "all" else np.arange(len(table))
    jets = ak.from_arrow(table.take(rows[:limit]))
    counts = ak.to_numpy(ak.num(jets.pt_rel)).astype(np.int64)
    flat = {name: np.asarray(ak.to_numpy(ak.flatten(jets[name])).data) for name in CONSTITUENT}
    constituents = ak.unflatten(ak.zip(flat), counts)[:, :leading]
    whole = {name: np.asarray(ak.to_numpy(jets[name]).data) for name in WHOLE}
    return ak.zip({**whole, "constituents": constituents}, depth_limit=1)


def generated(
    generator: hf.Generator, n: int, leading: int | None, like: ak.Array | None = None, **given: Any
) -> ak.Array:
    """``n`` jets; a condition that the model needs, and those in ``given``, are as in the real jets ``like``."""
    conditions = dict(given)
    for column in generator.metadata["condition"]:
        if column["name"] == "leading" and leading is not None:
            conditions["leading"] = leading
        elif "missing" not in column and column["name"] not in conditions:
            conditions[column["name"]] = ak.to_numpy(like[column["name"]])[:n]
    jets = generator(n, **conditions)
    if leading is not None:
        constituents = jets.constituents
        order = ak.argsort(constituents.pt_rel, ascending=False)
        jets = ak.with_field(jets, constituents[order][:, :leading], "constituents")
    return jets


def momentum(jets: ak.Array) -> dict[str, np.ndarray]:
    """Sums over the constituents, in units of the jet's pT: pt (scalar), vector (transverse momentum), mass; and the
    number of constituents."""
    c = jets.constituents
    sums = {
        "px": c.pt_rel * np.cos(c.phi_rel),
        "py": c.pt_rel * np.sin(c.phi_rel),
        "pz": c.pt_rel * np.sinh(c.eta_rel),
        "e": c.pt_rel * np.cosh(c.eta_rel),
        "pt": c.pt_rel,
    }
    s = {name: np.asarray(ak.sum(ak.values_astype(v, np.float64), axis=1)) for name, v in sums.items()}
    square = s["e"] ** 2 - s["px"] ** 2 - s["py"] ** 2 - s["pz"] ** 2
    with np.errstate(invalid="ignore"):
        mass = np.sqrt(np.maximum(square, 0.0))
    return {"pt": s["pt"], "vector": np.hypot(s["px"], s["py"]), "mass": mass, "n": np.asarray(ak.num(c))}


def comparable(candidate: ak.Array, scalars: Sequence[dict[str, str]]) -> ak.Array:
    """Generated jets without the mass [GeV] where the model does not draw it: summed over the constituents that there
    are, it is not that of the whole jet."""
    drawn = any(scalar["name"] == "jet_mass" for scalar in scalars)
    return candidate if drawn or "jet_mass" not in candidate.fields else ak.without_field(candidate, "jet_mass")


def n_broken(jets: ak.Array) -> int:
    """Jets with numbers that are not finite, or far beyond those of real jets."""
    c, found = jets.constituents, momentum(jets)
    far = ak.any((np.abs(c.eta_rel) > REACH) | (np.abs(c.phi_rel) > REACH) | (c.pt_rel < 0), axis=1)
    sums = np.stack([found["pt"] / LARGEST_SUM, found["mass"] / LARGEST_MASS])
    return int((ak.to_numpy(far) | ~(sums < 1.0).all(0) | (found["n"] == 0)).sum())


def judge(
    reference: ak.Array, candidate: ak.Array, rerun: ak.Array, seed: int, whole: bool, fast: bool = False
) -> dict[str, Any]:
    """All metrics of the constituents' jets, or W1 and FPD alone (``fast``: the others take minutes for jets of 150
    constituents); FPD also at the number of jets, where its floor is not zero."""

    def relative(jets: ak.Array) -> ak.Array:
        c = jets.constituents
        return ak.zip({"pt": c.pt_rel, "eta": c.eta_rel, "phi": c.phi_rel})

    samples = [relative(jets) for jets in (reference, candidate, rerun)]
    size = min(len(reference), len(candidate), len(rerun))
    sampling = {name: {"n_samples": size, "n_batches": 5} for name in ("w1m", "w1p", "w1efp")}
    if whole:
        results = metrics.jet_metrics(*samples, seed=seed, settings=sampling)
    else:
        results = {
            "w1m": metrics.w1m(*samples, seed=seed, **sampling["w1m"]),
            "w1p": metrics.w1p(*samples, seed=seed, **sampling["w1p"]),
            "w1efp": metrics.w1efp(*samples, seed=seed, **sampling["w1efp"]),
            "fpd": metrics.fpd(*samples, seed=seed),
        }
        if not fast:
            results |= {"kpd": metrics.kpd(*samples, seed=seed), **metrics.cov_mmd(*samples, seed=seed)}
    return {name: result.to_dict() for name, result in results.items()}


def rows(found: dict[str, Any]) -> list[tuple[str, float, float, float | None]]:
    """(name, value, error, floor) of the table."""
    table = []
    for name, result in found.items():
        details = result["details"]
        if name == "w1p":
            floors, errors = details["floor"]["per_feature"], details["per_feature_error"]
            for feature, value in details["per_feature"].items():
                table.append((f"W1P {feature} (1e-3)", *(1e3 * v for v in (value, errors[feature], floors[feature]))))
            continue
        scale, unit = {"w1m": (1e3, " (1e-3)"), "w1efp": (1e5, " (1e-5)"), "fpd": (1e3, " (1e-3)")}.get(name, (1.0, ""))
        values = (scale * v for v in (result["value"], result["error"], result["floor"]))
        table.append((name.upper() + unit, *values))
        if name == "fpd":
            at_n = (details["at_max_samples"], result["error"], details["floor"]["at_max_samples"])
            table.append(("FPD at this size (1e-3)", *(1e3 * v for v in at_n)))
    return table


def response(reference: ak.Array, candidate: ak.Array) -> list[dict[str, float]]:
    """In bins of the jets' pT: mean pT of the constituents' sum over the jet's pT, generated over real."""
    found = []
    for low, high in pairwise(PT_BINS):
        means = []
        for jets in (candidate, reference):
            pt = ak.to_numpy(jets.jet_pt)
            inside = (pt >= low) & (pt < high)
            vector = momentum(jets[inside])["vector"]
            means.append((len(vector), float(vector.mean()), float(vector.std() / max(len(vector), 1) ** 0.5)))
        (n, mine, error), (n_real, theirs, its_error) = means
        found.append({"low": low, "high": high, "n": n, "n_real": n_real, "response": mine, "real": theirs,
                      "ratio": mine / theirs, "error": float(np.hypot(error, its_error)) / theirs})  # fmt: skip
    return found


def amplification(truth: ak.Array, training: ak.Array, candidate: ak.Array, bins: int = 10) -> dict[str, Any]:
    """Root mean squared error of the shares in ``bins`` quantiles of the truth, times ``bins``: of the training jets,
    and of 1, 2, 5, ... times as many generated ones; for the mass, the number and the leading constituent's pT."""

    def observables(jets: ak.Array) -> dict[str, np.ndarray]:
        sums = momentum(jets)
        lead = np.asarray(ak.fill_none(ak.max(jets.constituents.pt_rel, axis=1), 0.0))
        return {"mass": sums["mass"], "n": sums["n"] + 0.0, "leading": lead}

    true, known, new = (observables(jets) for jets in (truth, training, candidate))
    found: dict[str, Any] = {"n_truth": len(truth), "n_training": len(training)}
    for name in true:
        rng = np.random.default_rng(1)
        jitter = {k: rng.random(len(v[name])) - 0.5 if name == "n" else 0.0 for k, v in enumerate((true, known, new))}
        edges = np.quantile(true[name] + jitter[0], np.linspace(0, 1, bins + 1)[1:-1])

        def error(values: np.ndarray, edges: np.ndarray = edges) -> float:
            share = np.bincount(np.searchsorted(edges, values), minlength=bins) / len(values)
            return float(np.sqrt(((bins * share - 1.0) ** 2).mean()))

        entry = {"training": error(known[name] + jitter[1])}
        for k in (1, 2, 5, 10, 20):
            if k * len(training) <= len(candidate):
                entry[f"x{k}"] = error((new[name] + jitter[2])[: k * len(training)])
        found[name] = entry
    return found


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate_jets", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="name or path of a model")
    parser.add_argument("--data", type=Path, required=True, help="Parquet file of real jets of its class")
    parser.add_argument("--leading", type=int, help="constituents to keep, e.g. 30; default: all that there are")
    parser.add_argument("--jets", type=int, help="jets compared, at most")
    parser.add_argument("--part", default="test", help="reference: test, or val while a model is being chosen")
    parser.add_argument(
        "--conditions", nargs="*", default=(), help="conditions to take from the reference, e.g. jet_pt"
    )
    parser.add_argument("--responses", type=int, help="jets for the response in bins of pT; default: those compared")
    parser.add_argument("--whole", action="store_true", help="also FGD and a classifier's AUC")
    parser.add_argument("--fast", action="store_true", help="W1 and FPD alone")
    parser.add_argument("--amplify", type=Path, metavar="FILE", help="jets that trained the model (their train part)")
    parser.add_argument("--count", type=int, default=0, help="jets to generate for the count of broken ones")
    parser.add_argument("--seed", type=int, default=1, help="of generation and sampling")
    parser.add_argument("--precision", default="float32", help="float32 or bf16")
    parser.add_argument("--out", type=Path, help="folder for the picture and the figures")
    options = parser.parse_args(arguments)

    other = "val" if options.part == "test" else "train"
    reference = real(options.data, options.part, options.leading, options.jets)
    rerun = real(options.data, other, options.leading, options.jets or len(reference))
    generator = hf.Generator(options.model, seed=options.seed, precision=options.precision)
    asked = {name: ak.to_numpy(reference[name]) for name in options.conditions}
    start = time.perf_counter()
    candidate = generated(generator, len(reference), options.leading, reference, **asked)
    seconds = time.perf_counter() - start
    found: dict[str, Any] = {
        "model": generator.file.name,
        "settings": {k: str(v) for k, v in vars(options).items() if v is not None},
        "n": {"reference": len(reference), "candidate": len(candidate), "rerun": len(rerun)},
        "us_per_jet": 1e6 * seconds / len(candidate),
        "broken": n_broken(candidate),
        "metrics": judge(reference, candidate, rerun, options.seed, options.whole, options.fast),
    }
    sizes = ", ".join(f"{n:,} {name}" for name, n in found["n"].items())
    print(f"\n{generator.file.name}, leading {options.leading or 'all'}: {sizes}; {found['broken']} broken\n")
    print("| metric | generated | error | floor | ratio |\n|---|---|---|---|---|")
    for name, value, error, floor in rows(found["metrics"]):
        ratio = "" if floor is None or floor <= 0 else f"{value / floor:.2f}"
        print(f"| {name} | {value:.3g} | {error:.2g} | {floor:.3g} | {ratio} |")

    if "jet_pt" in generator.conditions:
        theirs, like = reference, candidate
        if options.responses is not None:
            theirs = real(options.data, options.part, options.leading, options.responses)
        if options.responses is not None or "jet_pt" not in asked:
            like = generated(generator, len(theirs), options.leading, theirs, jet_pt=ak.to_numpy(theirs.jet_pt))
        found["response"] = response(theirs, like)
        print("\n| pT [GeV] | sum / asked | real | ratio |\n|---|---|---|---|")
        for r in found["response"]:
            print(f"| {r['low']:.0f}–{r['high']:.0f} | {r['response']:.4f} | {r['real']:.4f} | {r['ratio']:.4f} ± "
                  f"{r['error']:.4f} |")  # fmt: skip
    if options.amplify is not None:
        training = real(options.amplify, "train", options.leading)
        held_out = ["all"] if options.amplify.resolve() != options.data.resolve() else ["val", "test"]
        truth = ak.concatenate([real(options.data, part, options.leading) for part in held_out])
        many = generated(generator, 10 * len(training), options.leading, truth)
        found["amplification"] = amplification(truth, training, many)
        print(f"\namplification: {json.dumps(found['amplification'])}")
    if options.count:
        broken = 0
        given = {}
        for column in generator.metadata["condition"]:
            if "missing" not in column:
                values = ak.to_numpy(reference[column["name"]])
                given[column["name"]] = np.resize(values, options.count)
            elif column["name"] == "leading" and options.leading:
                given["leading"] = options.leading
        for chunk in generator.iterate(options.count, stream=1, **given):
            broken += n_broken(chunk)
        found["count"] = {"n": options.count, "broken": broken}
        print(f"\n{broken} broken of {options.count:,}")
    if options.out is not None:
        from training.jet_pictures import draw

        options.out.mkdir(parents=True, exist_ok=True)
        name = f"{generator.file.name}-{options.leading or 'all'}"
        (options.out / f"{name}.json").write_text(json.dumps(plain(found), indent=1) + "\n")
        shown = comparable(candidate, generator.metadata["scalars"])
        draw(reference, shown, options.out / f"{name}.png", generator.file.name)
    return found


if __name__ == "__main__":
    main()
