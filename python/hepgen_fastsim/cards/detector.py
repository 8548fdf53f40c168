# SPDX-License-Identifier: MIT
"""The detector of a Delphes card against those that the models were trained with.

`detectors.json` holds, for each of these, its modules with plain numbers as they are and everything longer as a
checksum: of formulas by their values on a grid in (pt, eta), so that a formula written otherwise is still the same; of
the cells of calorimeters by their text. `fingerprint` makes it from a card.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hepgen_fastsim.cards.formula import Formula
from hepgen_fastsim.cards.tcl import Module
from hepgen_fastsim.errors import InputError

__all__ = ["compare", "fingerprint"]

_HARMLESS = {"PdgCodeFilter", "Merger", "TreeWriter", "ConstituentFilter"}
"""Classes of modules that change no measurement; what they feed was followed from the objects."""

_WIRING = ("Array", "Branch")
_CELLS = "cells"


def fingerprint(modules: Iterable[Module]) -> dict[str, dict[str, Any]]:
    """Module -> {"class": …, setting: number or checksum}, of the modules that make up a detector."""
    found: dict[str, dict[str, Any]] = {}
    for module in modules:
        if module.kind in _HARMLESS:
            continue
        entry: dict[str, Any] = {"class": module.kind}
        cells = [text for text, _ in module.others]
        for key in sorted({*module.settings, *module.lists}):
            if key.endswith(_WIRING):
                continue
            if key in ("EtaPhiBins", "PhiBins", "pi", "eta", "i"):
                cells += [key, *module.words(key)]
            else:
                entry[key] = _value(key, module)
        if cells:
            entry[_CELLS] = _checksum(" ".join(" ".join(cells).split()))
        found[module.name] = entry
    return found


def _value(key: str, module: Module) -> Any:
    if key in module.lists:
        return _checksum(" ".join(_plain(word) for word in module.lists[key]))
    text = module.settings[key].strip()
    number = _plain(text)
    if number != text or text.lower() in ("true", "false") or len(text) < 8:
        return number
    if "Formula" in key:
        try:
            return _of_formula(Formula(text))
        except InputError:
            pass
    return _checksum("".join(text.split()))


def _plain(text: str) -> str:
    try:
        return f"{float(text):g}"
    except ValueError:
        return text.strip().lower()


_GRID = (np.geomspace(0.03, 3000.0, 41), np.linspace(-5.05, 5.05, 203))
"""Values of pt and eta at which formulas are compared."""


@lru_cache(maxsize=256)
def _of_formula(formula: Formula) -> str:
    pt, eta = _GRID[0][:, np.newaxis], _GRID[1]
    values = formula(pt=pt, eta=eta, phi=0.0, energy=pt * np.cosh(eta))
    return _checksum(" ".join(f"{value:.5g}" for value in values.ravel().tolist()))


def _checksum(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def _references() -> dict[str, dict[str, dict[str, Any]]]:
    return json.loads((Path(__file__).parent / "detectors.json").read_text())


def compare(modules: Iterable[Module]) -> tuple[str, list[str]]:
    """The detector that is nearest to that of a card, by name, and what differs, one sentence each."""
    modules = list(modules)
    there = fingerprint(modules)
    where = {module.name: module for module in modules}
    found = {name: _sentences(there, where, reference, name) for name, reference in _references().items()}
    nearest = min(found, key=lambda name: len(found[name]))
    return nearest, found[nearest]


def _sentences(
    there: dict[str, dict[str, Any]], where: dict[str, Module], reference: dict[str, dict[str, Any]], name: str
) -> list[str]:
    model = f"the model delphes-{name}"
    sentences = []
    for module, entry in there.items():
        if module not in reference:
            sentences.append(f"{where[module].where}: the module {module} ({entry['class']}) is not imitated.")
            continue
        for key in sorted({*entry, *reference[module]}):
            old, new = reference[module].get(key), entry.get(key)
            if old == new:
                continue
            place = where[module].place(key)
            if key == _CELLS:
                sentences.append(f"{place}: the cells of {module} are not those that {model} was trained with.")
            elif (isinstance(old, str) and old.startswith("sha256:")) or (
                isinstance(new, str) and new.startswith("sha256:")
            ):
                sentences.append(f"{place}: {key} of {module} is not the one that {model} was trained with.")
            else:
                sentences.append(
                    f"{place}: {key} of {module} is {_shown(new)}, {model} was trained with {_shown(old)}."
                )
    sentences += [f"the module {m} does not run, {model} was trained with it." for m in reference if m not in there]
    return sentences


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)
