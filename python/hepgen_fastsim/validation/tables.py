# SPDX-License-Identifier: MIT
"""Tables of the report, as HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from hepgen_fastsim.validation.cells import Cell
from hepgen_fastsim.validation.observables import GROUPS, OBSERVABLES
from hepgen_fastsim.validation.responses import QUANTITIES, VARIABLES

__all__ = [
    "cell_table",
    "figures_of_tests",
    "files_table",
    "mark",
    "matrix",
    "number",
    "ratio_of",
    "response_table",
    "table",
]

MARKS = {
    "inside": ("●", "inside the band"),
    "outside": ("▲", "outside the band"),
    "beyond": ("✖", "beyond twice the band"),
}


def number(value: float | None, digits: int = 3) -> str:
    """A number for people: three digits, − for minus, · 10^n for small ones."""
    if value is None or not math.isfinite(value):
        return "∞" if value is not None and math.isinf(value) else "–"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}·10<sup>{int(exponent)}</sup>".replace("-", "−")
    text = f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"
    return text.replace("-", "−")


def with_error(value: float | None, error: float | None) -> str:
    """A value and its error, both to two digits of the error."""
    if value is None or error is None or not (math.isfinite(value) and math.isfinite(error) and error > 0):
        return f"{number(value)} ± {number(error, 2)}"
    decimals = 1 - math.floor(math.log10(error))
    if decimals > 6 or abs(value) >= 1e6:
        return f"{number(value)} ± {number(error, 2)}"
    decimals = max(decimals, 0)
    return f"{value:.{decimals}f} ± {error:.{decimals}f}".replace("-", "−")


def mark(verdict: str) -> str:
    """The symbol of a verdict, with words for those who do not see it."""
    symbol, words = MARKS[verdict]
    return f'<span class="mark" role="img" aria-label="{words}">{symbol}</span>'


def ratio_of(cell: Cell) -> str:
    """W1 over its floor."""
    return "∞" if math.isinf(cell.ratio) else f"{cell.ratio:.2f}" if cell.ratio < 100 else number(cell.ratio)


def table(head: Sequence[str], body: Iterable[str], caption: str, css: str = "") -> str:
    """A table that scrolls in its own container; `body` are rows of HTML."""
    columns = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table class="{css}">'
        f"<thead><tr>{columns}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _row(first: str, cells: Iterable[str]) -> str:
    return f'<tr><th scope="row">{first}</th>{"".join(cells)}</tr>'


def matrix(cells: list[Cell], processes: list[str]) -> str:
    """Ratio of W1 to its floor, with its verdict: observables down, processes across."""
    by = {(cell.observable, cell.process): cell for cell in cells}
    rows = []
    for group, title in GROUPS.items():
        names = [n for n, o in OBSERVABLES.items() if o.group == group and any((n, p) in by for p in processes)]
        if names:
            rows.append(f'<tr><th class="group" scope="rowgroup" colspan="{len(processes) + 1}">{title}</th></tr>')
        for name in names:
            found = (by.get((name, process)) for process in processes)
            rows.append(_row(escape(OBSERVABLES[name].words), (_verdict(cell) for cell in found)))
    return table(["W₁ / floor", *map(escape, processes)], rows, "Ratio of W1 to its floor by observable and process")


def _verdict(cell: Cell | None) -> str:
    if cell is None:
        return '<td class="few"><span role="img" aria-label="too few entries">–</span></td>'
    return f'<td class="{cell.verdict}">{mark(cell.verdict)} {ratio_of(cell)}</td>'


def cell_table(cells: list[Cell], with_process: bool = False) -> str:
    """W1, floor, band and ratio of some cells."""
    rows = []
    for c in cells:
        columns = [f"<td>{escape(c.process)}</td>"] if with_process else []
        columns += [f"<td>{with_error(c.value, c.error)}</td>"]
        columns += [f"<td>{number(v)}</td>" for v in (c.floor, c.expected, c.band)]
        columns += [
            f'<td class="{c.verdict}">{mark(c.verdict)} {ratio_of(c)}</td>',
            f"<td>{number(c.shift, 2)}</td>",
        ]
        columns += [f"<td>{c.n_reference:,}</td>", f"<td>{c.n_candidate:,}</td>"]
        rows.append(_row(escape(OBSERVABLES[c.observable].title), columns))
    head = ["observable", *(["process"] if with_process else []), "W₁", "floor", "by chance", "95 % band", "W₁ / floor"]
    return table(
        [*head, "shift of mean", "n ref.", "n cand."], rows, "W1 of candidate and rerun, with the band of chance"
    )


def bin_words(row: dict[str, Any], last: bool) -> str:
    """Limits of a bin; `last`: without an upper one."""
    return f"> {row['low']:g}" if last else f"{row['low']:g}–{row['high']:g}"


def response_table(rows: list[dict[str, Any]], variable: str) -> str:
    """Figures of jet response in bins."""
    again = any("rerun" in row.get("median", {}) for row in rows)
    head = [VARIABLES[variable][0], "figure", "reference", "candidate", *(["rerun"] if again else []), "cand. / ref."]
    head += [*(["rerun / ref."] if again else []), "95 % band", "jets"]
    body = []
    for row in rows:
        for quantity, words in QUANTITIES.items():
            if quantity not in row:
                continue
            f = row[quantity]
            columns = [f'<td class="left">{words}</td>']
            for name in ("reference", "candidate", *(("rerun",) if again else ())):
                columns.append(f"<td>{with_error(f[name], f[name + '_error'])}</td>")
            off = 100 * (f["ratio"] - 1)
            shown = f"{off:+.1f} %".replace("-", "−") if math.isfinite(off) else "–"
            columns.append(f'<td class="{f["verdict"]}">{mark(f["verdict"])} {shown}</td>')
            if again:
                other = 100 * (f["rerun_ratio"] - 1)
                columns.append(f"<td>{f'{other:+.1f} %'.replace('-', '−') if math.isfinite(other) else '–'}</td>")
            columns += [f"<td>± {number(100 * f['band'], 2)} %</td>", f"<td>{row['n']['reference']:,}</td>"]
            body.append(_row(bin_words(row, rows[-1] is row and variable == "pt"), columns))
    return table(head, body, f"Jet response in bins of {VARIABLES[variable][0]}")


def figures_of_tests(tests: dict[str, dict[str, Any]]) -> str:
    """AUC, FPD, KPD with errors and floors."""
    rows = []
    for name, r in tests.items():
        digits = ".3f" if name.startswith("c2st") else None

        def shown(value: float | None, error: float | None, digits: str | None = digits) -> str:
            if value is None or error is None:
                return "–"
            if digits:
                return f"{value:{digits}} ± {error:{digits}}"
            return f"{number(value, 2)} ± {number(error, 2)}"

        words = {"c2st, jets": "classifier on jets, AUC", "c2st, events": "classifier on events, AUC"}.get(name, name)
        best = "0.5" if digits else "0"
        columns = [shown(r["value"], r["error"]), shown(r["floor"], r["floor_error"]), best]
        columns += [f"{r['details']['n_reference']:,}", f"{r['details']['n_candidate']:,}"]
        rows.append(_row(words, (f"<td>{c}</td>" for c in columns)))
    return table(
        ["test", "candidate", "rerun", "no difference", "n ref.", "n cand."], rows, "Classifier tests and distances"
    )


def files_table(files: list[dict[str, Any]]) -> str:
    """Everything known of the files: one column for each."""
    words = {
        "file": "file",
        "format": "format",
        "events": "events",
        "n_constituents": "constituents read",
        "n_unusable": "not finite, left out",
        "n_out_of_range": "out of range",
        "bytes": "size",
        "sha256": "SHA-256 of the file",
        "model": "model",
        "model_version": "version of the model",
        "model_sha256": "SHA-256 of the model",
        "seed": "seed",
        "package": "made by",
        "torch": "torch",
        "device": "device",
        "ms_per_event": "time per event",
        "command": "command",
        "inputs": "inputs",
        "ended": "ended",
    }
    rows = []
    for key, title in words.items():
        values = [_shown(key, f.get(key)) for f in files]
        if any(values):
            rows.append(_row(title, (f"<td>{value or '–'}</td>" for value in values)))
    for key in sorted({k for f in files for k in f} - set(words) - {"role", "n_events", "streams"}):
        values = [escape(str(f[key])) if key in f else "" for f in files]
        rows.append(_row(escape(key), (f"<td>{value or '–'}</td>" for value in values)))
    return table(["", *(escape(f["role"]) for f in files)], rows, "Files and their provenance", "words")


def _shown(key: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if key in ("events", "n_constituents", "n_unusable", "n_out_of_range"):
        return f"{value:,}"
    if key == "bytes":
        return f"{value / 1e6:.1f} MB" if value >= 1e5 else f"{value / 1e3:.1f} kB"
    if key == "ms_per_event":
        return f"{value:.2f} ms"
    if key in ("sha256", "model_sha256", "command"):
        return f"<code>{escape(str(value))}</code>"
    if key == "inputs":
        return "<br>".join(escape(f"{i.get('source', '')}, {i.get('n_events', '?')} events") for i in value)
    return escape(str(value))
