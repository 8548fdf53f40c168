# SPDX-License-Identifier: MIT
"""Delphes' own cards: objects as the card says, and by name what a trained model cannot follow.

The modules are followed from the branches that the card writes back to the constituents, so that their names do not
matter. Everything on the way that has no counterpart here, and every setting of the detector that differs from the one
that the models were trained with (`detectors.json`), becomes a sentence in `Card.differences`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hepgen_fastsim.cards.build import build
from hepgen_fastsim.cards.card import Card
from hepgen_fastsim.cards.detector import compare
from hepgen_fastsim.cards.tcl import Module, parse
from hepgen_fastsim.cards.wiring import BRANCHES, KINDS, Wiring, number
from hepgen_fastsim.errors import InputError

__all__ = ["card_of_tcl"]

_ALGORITHMS = {4: "kt", 5: "cambridge", 6: "antikt"}
_AXES = {1: "wta_kt", 2: "onepass_wta_kt", 3: "kt", 4: "onepass_kt"}
_PASSED = {
    "Merger",
    "PdgCodeFilter",
    "UniqueObjectFinder",
    "JetFlavorAssociation",
    "BTagging",
    "TauTagging",
    "TrackCountingTauTagging",
}
"""Classes of modules that need no mention on the way from an object to its constituents."""

_INPUTS = ("InputArray", "CandidateInputArray", "JetInputArray", "InputPhotonArray")


def card_of_tcl(text: str, path: Path) -> Card:
    """A `Card` of a Delphes card's text; raises InputError with file and line for what cannot be read."""
    return _Translation(parse(text, path)).card()


class _Translation(Wiring):
    """From modules to the nested tables of a card."""

    def card(self) -> Card:
        tables: dict[str, Any] = {"card": {"name": self.script.path.stem}}
        for branch, array in self.branches.items():
            if branch in BRANCHES:
                tables[BRANCHES[branch]] = self._section(BRANCHES[branch], array)
        self._overlap(tables)
        self._flavor(tables)
        self._missing(tables)
        model, differences = compare([m for m in self.modules.values() if m.name not in self.used])
        tables["card"]["model"] = f"delphes-{model}"
        card = build(tables, self._where, str(self.script.path))
        return dataclasses.replace(card, settings=self._settings(), differences=(*self.notes, *differences))

    def _where(self, keys: tuple[Any, ...]) -> str:
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.places:
                return self.places[keys[:length]]
        return str(self.script.path)

    def _section(self, kind: str, array: str) -> dict[str, Any]:
        """Settings of one kind of objects, collected from the branch back to the constituents."""
        table: dict[str, Any] = {}
        asked = str(self.script.path)
        for _ in range(len(self.modules) + 1):
            if array.startswith("Delphes/"):
                break
            module = self._source(array, asked)
            if self._is_detector(module):
                break
            if module.kind == "FastJetFinder":
                self.used.add(module.name)
                self._finder(module, kind, table)
                break
            self.used.add(module.name)
            if kind == "jets":
                self.jet_arrays.add(array)
            array = self._follow(module, kind, array, table)
            asked = module.where
            if not array:
                break
        self._complete(kind, table, asked)
        return table

    def _follow(self, module: Module, kind: str, array: str, table: dict[str, Any]) -> str:
        """Take what a module does into the table; returns the array that it works on."""
        if module.others:
            raise _unread(module)
        if module.kind == "UniqueObjectFinder":
            words = module.words("InputArray")
            outputs = {f"{module.name}/{out}": source for source, out in zip(words[::2], words[1::2])}
            if array not in outputs:
                raise InputError(f"{module.where}: {module.name} makes no array '{array}'.")
            return outputs[array]
        if module.kind == "Isolation":
            table["isolation"] = self._isolation(module, kind)
            return self._text(module, "CandidateInputArray")
        if module.kind == "Efficiency":
            formula = self._text(module, "EfficiencyFormula", "1.0")
            self.places[(kind, "efficiency")] = module.place("EfficiencyFormula")
            table["efficiency"] = f"({table['efficiency']}) * ({formula})" if "efficiency" in table else formula
            return self._text(module, "InputArray")
        if module.kind == "EnergyScale":
            self.places[(kind, "scale")] = module.place("ScaleFormula")
            if kind in ("jets",):
                table["scale"] = self._text(module, "ScaleFormula", "0.0")
            else:
                self.notes.append(f"the energy scale {module.name} of {kind} is not applied.")
            return self._text(module, "InputArray")
        if module.kind not in _PASSED:
            self.notes.append(f"the module {module.name} ({module.kind}) is not imitated; {kind} are made without it.")
        for key in _INPUTS:
            if module.words(key):
                return module.words(key)[0]
        return ""

    def _complete(self, kind: str, table: dict[str, Any], asked: str) -> None:
        if kind in ("photons", "electrons", "muons"):
            table.setdefault("efficiency", "1.0")
            table.setdefault("isolation", False)
        elif "algorithm" not in table:
            raise InputError(f"{asked}: no FastJetFinder was found behind the branch of {kind}.")

    def _finder(self, module: Module, kind: str, table: dict[str, Any]) -> None:
        algorithm = int(self._float(module, "JetAlgorithm", 6))
        place = module.place("JetAlgorithm")
        if algorithm not in _ALGORITHMS:
            raise InputError(
                f"{place}: JetAlgorithm {algorithm} is not made; 4 (kt), 5 (Cambridge/Aachen) and 6 (anti-kt) are."
            )
        table["algorithm"] = _ALGORITHMS[algorithm]
        table["radius"] = self._float(module, "ParameterR", 0.5)
        table["pt_min"] = self._float(module, "JetPTMin", 10.0)
        self.places |= {(kind, "radius"): module.place("ParameterR"), (kind, "pt_min"): module.place("JetPTMin")}
        if self._flag(module, "ExclusiveClustering") or self._float(module, "AreaAlgorithm", 0):
            self.notes.append(
                f"{module.place('AreaAlgorithm')}: exclusive clustering and jet areas are not made ({kind})."
            )
        if kind == "genjets":
            return
        if not self._from_flow(self._text(module, "InputArray")):
            source = self._text(module, "InputArray")
            self.notes.append(f"{module.place('InputArray')}: {kind} of {source} are made of energy-flow constituents.")
        if kind == "fatjets":
            self._substructure(module, table)

    def _substructure(self, module: Module, table: dict[str, Any]) -> None:
        if self._flag(module, "ComputeNsubjettiness"):
            axes = _AXES.get(int(self._float(module, "AxisMode", 1)), "wta_kt")
            table["nsubjettiness"] = {"beta": self._float(module, "Beta", 1.0), "axes": axes}
        if self._flag(module, "ComputeTrimming"):
            table["trimming"] = {
                "radius": self._float(module, "RTrim", 0.2),
                "pt_fraction": self._float(module, "PtFracTrim", 0.05),
            }
        if self._flag(module, "ComputePruning"):
            table["pruning"] = {
                "z_cut": self._float(module, "ZcutPrun", 0.1),
                "r_cut": self._float(module, "RcutPrun", 0.5),
                "radius": self._float(module, "RPrun", 0.8),
            }
        if self._flag(module, "ComputeSoftDrop"):
            table["softdrop"] = {
                "beta": self._float(module, "BetaSoftDrop", 0.0),
                "z_cut": self._float(module, "SymmetryCutSoftDrop", 0.1),
                "radius": self._float(module, "R0SoftDrop", 0.8),
            }

    def _isolation(self, module: Module, kind: str) -> dict[str, Any]:
        table: dict[str, Any] = {
            "delta_r": self._float(module, "DeltaRMax", 0.5),
            "pt_min": self._float(module, "PTMin", 0.5),
            "ratio_max": self._float(module, "PTRatioMax", 0.1),
            "ignore": self._ignored(self._text(module, "IsolationInputArray", "")),
        }
        if self._flag(module, "UsePTSum"):
            table["sum_max"] = self._float(module, "PTSumMax", 5.0)
        if self._flag(module, "UseMiniCone"):
            table["delta_r_min"] = self._float(module, "DeltaRMin", 0.01)
        if self._text(module, "RhoInputArray", ""):
            self.notes.append(f"{module.place('RhoInputArray')}: {module.name} is not corrected for pile-up.")
        self.places[(kind, "isolation")] = module.where
        return table

    def _ignored(self, array: str) -> list[int]:
        """PDG codes that a filter before the isolation takes away."""
        codes: list[int] = []
        for _ in range(len(self.modules)):
            module = self.modules.get(array.split("/")[0])
            if module is None or module.kind not in ("PdgCodeFilter", "Merger"):
                break
            if module.kind == "Merger":
                break
            self.used.add(module.name)
            codes += [int(number(code, "PdgCode", module.place("PdgCode"))) for code in module.words("PdgCode")]
            array = self._text(module, "InputArray")
        if not self._from_flow(array):
            self.notes.append(f"isolation from {array} is made from all energy-flow constituents.")
        return codes

    def _overlap(self, tables: dict[str, Any]) -> None:
        order: list[str] = []
        for module in self.modules.values():
            if module.kind != "UniqueObjectFinder":
                continue
            self.used.add(module.name)
            for out in module.words("InputArray")[1::2]:
                for branch, array in self.branches.items():
                    if array == f"{module.name}/{out}" and branch in KINDS and KINDS[branch] not in order:
                        order.append(KINDS[branch])
        tables["card"]["overlap"] = order

    def _flavor(self, tables: dict[str, Any]) -> None:
        btag: list[dict[str, Any]] = []
        tautag: list[dict[str, Any]] = []
        for module in self.modules.values():
            if module.kind not in ("JetFlavorAssociation", "BTagging", "TauTagging", "TrackCountingTauTagging"):
                continue
            self.used.add(module.name)
            if self._text(module, "JetInputArray", "FastJetFinder/jets") not in self.jet_arrays:
                self.notes.append(
                    f"{module.where}: {module.name} works on other jets than the branch Jet and is left out."
                )
            elif module.kind == "JetFlavorAssociation":
                tables["flavor"] = {
                    "delta_r": self._float(module, "DeltaR", 0.5),
                    "pt_min": self._float(module, "PartonPTMin", 0.0),
                    "eta_max": self._float(module, "PartonEtaMax", 2.5),
                }
            elif module.kind == "BTagging":
                self.places[("btag", len(btag))] = module.place("EfficiencyFormula")
                btag.append(self._tag(module))
            else:
                self.places[("tautag", len(tautag))] = module.place("EfficiencyFormula")
                tag = self._tag(module) | {
                    "delta_r": self._float(module, "DeltaR", 0.5),
                    "pt_min": self._float(module, "TauPTMin", 1.0),
                    "eta_max": self._float(module, "TauEtaMax", 2.5),
                }
                if module.kind == "TrackCountingTauTagging":
                    tag["method"] = "track_counting"
                    tag["track_delta_r"] = self._float(module, "DeltaRTrack", 0.5)
                    tag["track_pt_min"] = self._float(module, "TrackPTMin", 1.0)
                tautag.append(tag)
        tables |= {"btag": btag, "tautag": tautag}

    def _tag(self, module: Module) -> dict[str, Any]:
        if module.others:
            raise _unread(module)
        words = module.words("EfficiencyFormula")
        place = module.place("EfficiencyFormula")
        codes = [str(int(number(code, "EfficiencyFormula", place))) for code in words[::2]]
        if len(words) % 2:
            raise InputError(
                f"{module.place('EfficiencyFormula')}: each 'add EfficiencyFormula' needs a code and a formula."
            )
        return {"bit": int(self._float(module, "BitNumber", 0)), "efficiency": dict(zip(codes, words[1::2]))}

    def _missing(self, tables: dict[str, Any]) -> None:
        branches = self.branches
        arrays = {array: KINDS[branch] for branch, array in branches.items() if branch in KINDS}
        for branch in ("MissingET", "ScalarHT", "GenMissingET"):
            if branch not in branches:
                continue
            module = self._source(branches[branch], str(self.script.path))
            self.used.add(module.name)
            words = module.words("InputArray")
            if branch == "ScalarHT":
                tables["card"]["scalar_ht"] = [arrays[word] for word in words if word in arrays]
                self.notes += [
                    f"{module.where}: {word} is not part of the scalar HT." for word in words if word not in arrays
                ]
            elif branch == "MissingET" and not (self._from_flow(branches[branch]) or any(map(self._from_flow, words))):
                self.notes.append(
                    f"{module.where}: MissingET of {', '.join(words)} is made of energy-flow constituents."
                )
            elif branch == "GenMissingET":
                codes = [code for word in words for code in self._filtered(word)]
                tables["card"]["invisible"] = codes or [12, 14, 16]


def _unread(module: Module) -> InputError:
    text, place = module.others[0]
    return InputError(
        f"{place}: only 'set', 'add' and 'source' are read in the module {module.name}, found '{text[:40]}'."
    )
