# SPDX-License-Identifier: MIT
"""From the nested tables of a card file to a `Card`; whatever cannot be used is named with its line."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from typing import Any

from hepgen_fastsim.cards.card import (
    OBJECTS,
    BTag,
    Card,
    FatJets,
    Flavor,
    GenJets,
    Isolation,
    Jets,
    Leptons,
    Nsubjettiness,
    Pruning,
    SoftDrop,
    TauTag,
    Trimming,
)
from hepgen_fastsim.cards.formula import Formula
from hepgen_fastsim.errors import InputError

__all__ = ["build"]

_SECTIONS: dict[str, tuple[type, bool]] = {  # section -> class, is a list of tables
    "jets": (Jets, False),
    "genjets": (GenJets, False),
    "fatjets": (FatJets, False),
    "photons": (Leptons, False),
    "electrons": (Leptons, False),
    "muons": (Leptons, False),
    "flavor": (Flavor, False),
    "btag": (BTag, True),
    "tautag": (TauTag, True),
}
_NESTED = {
    "isolation": Isolation,
    "nsubjettiness": Nsubjettiness,
    "trimming": Trimming,
    "pruning": Pruning,
    "softdrop": SoftDrop,
}
_HEAD = ("name", "model", "overlap", "scalar_ht", "invisible")
_FORMULAS = ("efficiency", "scale")
Where = Callable[[tuple[Any, ...]], str]


def build(tables: Mapping[str, Any], where: Where, source: str = "") -> Card:
    """A card of the nested tables of a file; `where(path of keys)` says the place, e.g. "cms.toml, line 12"."""
    _known(tables, ("card", *_SECTIONS), (), where, "section")
    head = tables.get("card", {})
    if not isinstance(head, Mapping):
        raise InputError(f"{where(('card',))}: 'card' must be a table, found {_shown(head)}.")
    sections: dict[str, Any] = {}
    for name, (kind, many) in _SECTIONS.items():
        if name not in tables:
            continue
        value = tables[name]
        if many:
            if not isinstance(value, list):
                raise InputError(f"{where((name,))}: '{name}' must be a list of tables, written [[{name}]].")
            sections[name] = tuple(_table(kind, entry, (name, i), where) for i, entry in enumerate(value))
        else:
            sections[name] = _table(kind, value, (name,), where)
    fields = {f.name: f for f in dataclasses.fields(Card) if f.name in _HEAD}
    _known(head, tuple(fields), ("card",), where, "key")
    if "name" not in head:
        raise InputError(f'{where(("card",))}: the card needs a name, [card] with name = "…".')
    values = {key: _value(fields[key], value, ("card", key), where) for key, value in head.items()}
    return Card(**values, **sections, source=source)


def _known(table: Mapping[str, Any], known: tuple[str, ...], path: tuple[Any, ...], where: Where, what: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}."
            raise InputError(f"{where((*path, key))}: unknown {what} '{key}'; {hint}")


def _table(kind: type, table: Any, path: tuple[Any, ...], where: Where) -> Any:
    label = ".".join(str(key) for key in path if not isinstance(key, int))
    if not isinstance(table, Mapping):
        raise InputError(f"{where(path)}: '{label}' must be a table, found {_shown(table)}.")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    _known(table, tuple(fields), path, where, f"key of '{label}'")
    values = {key: _value(fields[key], value, (*path, key), where) for key, value in table.items()}
    for name, f in fields.items():
        if name not in values and f.default is dataclasses.MISSING:
            raise InputError(f"{where(path)}: '{label}' needs the key '{name}'.")
    return kind(**values)


def _value(f: dataclasses.Field[Any], value: Any, path: tuple[Any, ...], where: Where) -> Any:
    name, limits = f.name, f.metadata
    if name in _NESTED:
        return None if value is False else _table(_NESTED[name], value, path, where)
    if name == "efficiency" and "dict" in str(f.type):
        return _efficiencies(value, path, where)
    if name in _FORMULAS:
        return _formula(value, path, where)
    if name in ("ignore", "invisible"):
        if not (isinstance(value, (list, tuple)) and all(_is_integer(code) for code in value)):
            raise InputError(f"{where(path)}: '{name}' must be a list of PDG codes, found {_shown(value)}.")
        return tuple(sorted({abs(code) for code in value}))
    if name in ("overlap", "scalar_ht"):
        return _kinds(value, path, where)
    if "choices" in limits:
        if value not in limits["choices"]:
            near = difflib.get_close_matches(str(value), limits["choices"], n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(limits['choices'])} is expected."
            raise InputError(f"{where(path)}: '{name}' cannot be {_shown(value)}; {hint}")
        return value
    if "low" not in limits:
        if not isinstance(value, str) or not value:
            raise InputError(f"{where(path)}: '{name}' must be a text, found {_shown(value)}.")
        return value
    return _number(f, value, path, where)


def _number(f: dataclasses.Field[Any], value: Any, path: tuple[Any, ...], where: Where) -> float | int | None:
    if value is False and "None" in str(f.type):
        return None
    whole = str(f.type) == "int"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (whole and not isinstance(value, int)):
        raise InputError(
            f"{where(path)}: '{f.name}' must be {'an integer' if whole else 'a number'}, found {_shown(value)}."
        )
    low, high = f.metadata["low"], f.metadata["high"]
    if not (low < value <= high if f.metadata["exclusive"] else low <= value <= high):
        bound = f"{'above' if f.metadata['exclusive'] else 'at least'} {low:g}"
        bound += f" and at most {high:g}" if high != float("inf") else ""
        raise InputError(f"{where(path)}: '{f.name}' must be {bound}, found {value:g}.")
    return value if whole else float(value)


def _formula(value: Any, path: tuple[Any, ...], where: Where) -> Formula:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InputError(f"{where(path)}: '{path[-1]}' must be a formula in quotes, found {_shown(value)}.")
    try:
        return Formula(str(value))
    except InputError as error:
        raise InputError(f"{where(path)}: '{path[-1]}': {error}") from None


def _efficiencies(value: Any, path: tuple[Any, ...], where: Where) -> dict[int, Formula]:
    if not isinstance(value, Mapping):
        raise InputError(
            f'{where(path)}: \'efficiency\' must be a table, as {{ 0 = "0.01", 5 = "0.7" }}, found {_shown(value)}.'
        )
    formulas = {}
    for code, formula in value.items():
        try:
            number = int(code)
        except ValueError:
            raise InputError(
                f"{where((*path, code))}: the keys of 'efficiency' are whole numbers, found '{code}'."
            ) from None
        formulas[number] = _formula(formula, (*path, code), where)
    return formulas


def _kinds(value: Any, path: tuple[Any, ...], where: Where) -> tuple[str, ...]:
    name = path[-1]
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{where(path)}: '{name}' must be a list of {', '.join(OBJECTS)}, found {_shown(value)}.")
    for kind in value:
        if kind not in OBJECTS:
            near = difflib.get_close_matches(str(kind), OBJECTS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(OBJECTS)}."
            raise InputError(f"{where(path)}: '{name}' cannot name {_shown(kind)}; {hint}")
    if len(set(value)) != len(value):
        raise InputError(f"{where(path)}: '{name}' must name each kind once, found {_shown(list(value))}.")
    return tuple(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return repr(value) if len(repr(value)) < 60 else repr(value)[:57] + "…"
