# SPDX-License-Identifier: MIT
"""The modules of a Delphes card that run, how they feed each other, and their settings as numbers."""

from __future__ import annotations

import difflib
from typing import Any

from hepgen_fastsim.cards.tcl import Module, Script, items
from hepgen_fastsim.errors import InputError

__all__ = ["BRANCHES", "KINDS", "Wiring", "number"]

KINDS = {"Photon": "photons", "Electron": "electrons", "Muon": "muons", "Jet": "jets"}
"""Branches whose objects are compared for overlaps, and their kinds here."""

BRANCHES = {**KINDS, "GenJet": "genjets", "FatJet": "fatjets"}
"""Branches of objects, and their sections in a card."""

_OTHERS = {"Event", "Weight", "Particle", "Track", "Tower", "EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron"}
_OTHERS |= {"MissingET", "GenMissingET", "ScalarHT"}
_DETECTOR = ("Smearing", "Calorimeter", "ParticlePropagator", "TrackCovariance")


class Wiring:
    """The modules of a card's ExecutionPath.

    `modules` by name, in order; `branches` of the output and their arrays; `notes` collects what cannot be followed,
    `used` the modules that were.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.notes: list[str] = []
        self.used: set[str] = set()
        self.jet_arrays: set[str] = set()
        self.places: dict[tuple[Any, ...], str] = {}
        path = items(script.variables.get("ExecutionPath", ""))
        if not path:
            raise InputError(f"{script.path}: the card has no ExecutionPath, which says the modules to run.")
        place = script.places.get("ExecutionPath", str(script.path))
        for name in path:
            if name.startswith("["):
                raise InputError(f"{place}: ExecutionPath must be a list of modules; commands of Tcl are not executed.")
            if name not in script.modules:
                near = difflib.get_close_matches(name, script.modules, n=1)
                hint = f"; did you mean '{near[0]}'?" if near else ", which the card does not define."
                raise InputError(f"{place}: ExecutionPath names the module '{name}'{hint}")
        self.modules = {name: script.modules[name] for name in path}
        self.branches = self._branches()

    def _settings(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for key in ("RandomSeed", "MaxEvents", "SkipEvents"):
            if key in self.script.variables:
                found[key] = int(number(self.script.variables[key], key, self.script.places[key]))
        return found

    def _branches(self) -> dict[str, str]:
        """Branch -> array, of the card's TreeWriter."""
        writers = [m for m in self.modules.values() if m.kind == "TreeWriter"]
        if not writers:
            raise InputError(f"{self.script.path}: the card has no TreeWriter, which says the objects to make.")
        branches: dict[str, str] = {}
        for writer in writers:
            self.used.add(writer.name)
            words = writer.words("Branch")
            for array, branch, kind in zip(words[::3], words[1::3], words[2::3]):
                if branch in BRANCHES or branch in _OTHERS:
                    branches[branch] = array
                else:
                    self.notes.append(f"the branch {branch} ({kind} of {array}) is not made.")
        return branches

    def _source(self, array: str, asked_by: str) -> Module:
        name = array.split("/")[0]
        module = self.modules.get(name)
        if module is None:
            known = "does not run" if name in self.script.modules else "does not exist"
            raise InputError(f"{asked_by}: the array '{array}' is asked for, but the module '{name}' {known}.")
        return module

    def _is_detector(self, module: Module) -> bool:
        if module.kind.endswith(_DETECTOR):
            return True
        if module.kind != "Efficiency":
            return False
        source = self.modules.get(self._text(module, "InputArray").split("/")[0])
        return source is not None and source.kind == "ParticlePropagator"  # a tracking efficiency

    def _from_flow(self, array: str) -> bool:
        """Whether an array is all energy-flow objects: a merger of tracks and towers of a calorimeter's energy flow."""
        for _ in range(len(self.modules)):
            module = self.modules.get(array.split("/")[0])
            if module is None:
                return False
            if module.kind == "Merger":
                self.used.add(module.name)
                return any("eflow" in word.lower() for word in module.words("InputArray"))
            if module.kind != "PdgCodeFilter":
                return False
            array = self._text(module, "InputArray")
        return False

    def _filtered(self, array: str) -> list[int]:
        module = self.modules.get(array.split("/")[0])
        if module is None or module.kind != "PdgCodeFilter":
            return []
        self.used.add(module.name)
        return [int(number(code, "PdgCode", module.place("PdgCode"))) for code in module.words("PdgCode")]

    def _text(self, module: Module, key: str, default: str | None = None) -> str:
        words = module.settings.get(key)
        if words is None and module.lists.get(key):
            words = " ".join(module.lists[key])
        if words is None:
            if default is None:
                raise InputError(f"{module.where}: the module {module.name} needs '{key}'.")
            return default
        return words.strip()

    def _float(self, module: Module, key: str, default: float) -> float:
        text = self._text(module, key, "")
        return number(text, key, module.place(key)) if text else default

    def _flag(self, module: Module, key: str) -> bool:
        return self._text(module, key, "false").lower() in ("1", "true", "yes", "on", "t", "y")


def number(text: str, key: str, place: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{place}: '{key}' must be a number, found '{text}'.") from None
