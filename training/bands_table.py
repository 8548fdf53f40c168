# SPDX-License-Identifier: MIT
"""The judgement of `training.bands` as Markdown: a summary, every cell outside its band, and the tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.bands import by_process


def markdown(found: dict[str, Any]) -> str:
    """Tables of the figures of `training.bands.judge`."""
    parts = [_summary(found), _processes(found), _outside(found), _observables(found), _responses(found), _rates(found)]
    parts += [_correlations(found), _balance(found)]
    if "auc" in found:
        parts.append(_areas(found))
    return "\n".join(part for part in parts if part)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _summary(found: dict[str, Any]) -> str:
    s, worst = found["summary"], found["summary"]["worst"]
    return _table(
        ["figure", "value"],
        [
            ["events, seeds", f"{found['events']['matched']} ({found['half']} numbers), {found['seeds']}"],
            ["cells inside their 95 % band", f"{s['n_inside']} of {s['n_cells']} ({s['share_inside']:.1%})"],
            ["the rerun judged in this way", f"{found['rerun_inside']:.1%}"],
            ["cells beyond twice the band", str(s["n_beyond_twice"])],
            ["median W1 ratio", f"{s['median_ratio']:.2f}"],
            ["worst cell", f"{worst['observable']}, {worst['process']}: {worst['of_band']:.2f} of its band"],
            [
                "constituents; not finite, out of range",
                f"{found['counts']['n_constituents']:,}; {found['counts']['n_unusable']}, "
                f"{found['counts']['n_out_of_range']}",
            ],
        ],
    )


def _processes(found: dict[str, Any]) -> str:
    head = ["process", "cells", "inside", "the rerun's inside", "median W1 / rerun's", "worst", "its W1 / band"]
    rows = [
        [name, *(str(p[k]) for k in ("cells", "inside", "rerun_inside")), f"{p['median_w1_ratio']:.2f}"]
        + [p["worst"], f"{p['worst_of_band']:.2f}"]
        for name, p in by_process(found)["processes"].items()
    ]
    return _table(head, rows)


def _outside(found: dict[str, Any]) -> str:
    rows = [c for c in found["cells"] if c["counted"] and c["of_band"] > 1]
    if not rows:
        return "No cell lies outside its band.\n"
    rows.sort(key=lambda c: -c["of_band"])
    head = ["outside", "process", "W1 / band", "W1 / rerun's", "shift of the mean", "values"]
    return _table(
        head,
        [
            [
                c["observable"],
                c["process"],
                f"{c['of_band']:.2f}",
                f"{c['ratio']:.2f}",
                f"{c['shift']:.3g}",
                str(c["n_reference"]),
            ]
            for c in rows
        ],
    )


def _observables(found: dict[str, Any]) -> str:
    by: dict[str, list[dict[str, Any]]] = {}
    for c in found["cells"]:
        if c["counted"]:
            by.setdefault(c["observable"], []).append(c)
    return _table(
        ["observable", "processes", "median W1 / rerun's", "largest W1 / band", "outside"],
        [
            [
                name,
                str(len(cells)),
                f"{np.median([c['ratio'] for c in cells]):.2f}",
                f"{max(c['of_band'] for c in cells):.2f}",
                str(sum(c["of_band"] > 1 for c in cells)),
            ]
            for name, cells in by.items()
        ],
    )


def _responses(found: dict[str, Any]) -> str:
    rows = []
    for r in found["responses"]:
        line = [f"{r['pt'][0]:.0f}–{r['pt'][1]:.0f}", f"{r['eta'][0]}–{r['eta'][1]}", str(r["n"])]
        for name in ("response", "resolution", "tail"):
            if name not in r:
                line += ["too few", ""]
                continue
            v = r[name]
            line += [f"{v['model']:.4f} ({v['reference']:.4f}, {v['rerun']:.4f})"]
            line += [f"{v['deviation']:+.1%} ± {v['chance']:.1%}"]
        rows.append(line)
    head = ["GEN jet pT [GeV]", "abs eta", "jets"]
    for name in ("response", "resolution", "tail"):
        head += [f"{name}: model (reference, rerun)", "deviation ± 95 % chance"]
    return _table(head, rows)


def _rates(found: dict[str, Any]) -> str:
    rows = []
    for name, table in found["rates"].items():
        own, other = (np.asarray(table[key], float) for key in ("candidate", "reference"))
        # rates near 0 and 1 have no Gaussian pull: those that rerun and reference never leave are compared as they are
        pull = np.asarray(table["pull"], float)
        usable = np.isfinite(pull) & (np.asarray(table["n_reference"], float) >= 100)
        worst = int(np.nanargmax(np.where(usable, np.abs(pull), -1.0)))
        edges = table["edges"]
        rows.append(
            [
                name,
                str(int(usable.sum())),
                str(int((np.abs(pull[usable]) > 2).sum())),
                f"{edges[worst]}–{edges[worst + 1]}: {own[worst]:.4f} ({other[worst]:.4f}), {pull[worst]:+.1f} σ",
            ]
        )
    return _table(["rate", "bins", "beyond 2 σ", "largest: model (reference), pull"], rows)


def _correlations(found: dict[str, Any]) -> str:
    return _table(
        ["changes from the reference", "model", "rerun", "error"],
        [
            [" – ".join(r["pair"]), f"{r['model']:+.3f}", f"{r['rerun']:+.3f}", f"{r['error']:.3f}"]
            for r in found["correlations"]
        ],
    )


def _balance(found: dict[str, Any]) -> str:
    words = {
        "ecal": "ECal cell, E(RECO) / E(GEN)",
        "hcal": "HCal cell, E(RECO) / E(GEN)",
        "isolation": "isolation of leptons",
    }
    return _table(
        ["conserved", "values", "W1 / rerun's", "W1 / band", "mean: model (reference, rerun)"],
        [
            [
                words[r["name"].split(",")[0]] + (", with charged particles" if "charged" in r["name"] else ""),
                str(r["n"]),
                f"{r['w1'] / r['floor']:.2f}",
                f"{r['of_band']:.2f}",
                f"{r['mean']['model']:.4f} ({r['mean']['reference']:.4f}, {r['mean']['rerun']:.4f})",
            ]
            for r in found.get("balance", [])
        ],
    )


def _areas(found: dict[str, Any]) -> str:
    rows = []
    for unit, results in found["auc"].items():
        seeds = ", ".join(f"{v['auc']:.3f}" for name, v in results.items() if name.startswith("seed"))
        mean, rerun = results["mean"], results["rerun"]
        rows.append(
            [unit, f"{mean['auc']:.4f} ± {mean['error']:.4f}", seeds, f"{rerun['auc']:.4f} ± {rerun['error']:.4f}"]
        )
    return _table(["classifier, conditional", "AUC, mean of the seeds", "seeds", "AUC of the rerun"], rows)
