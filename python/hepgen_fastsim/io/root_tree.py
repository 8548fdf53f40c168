# SPDX-License-Identifier: MIT
"""ROOT files as Delphes writes them: the tree `Delphes` with TClonesArrays of Delphes' classes. Needs ROOT.

ExRootTreeReader and its macros, MadAnalysis5, coffea's DelphesSchema, PyROOT, RDataFrame and uproot read these files;
hadd merges them. Names, order of the members, versions and checksums of the classes are those of Delphes 3.5.1.

What is filled is the same as in flat files (`hepgen_fastsim.io.flat`), and besides: references (`Particle`,
`Particles`, `Constituents`; of towers and photons to the leading particle alone) and the groomed momenta of fat jets.
All other members are 0. Identifiers (fUniqueID) restart at 1 in every event: particles first, then tracks, photons,
neutral hadrons.

ROOT is imported, and its interpreter told the classes, when the first file is opened.
"""

from __future__ import annotations

import errno
import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from hepgen_fastsim.errors import Error
from hepgen_fastsim.io.columns import CONSTITUENTS, Branch, tree_columns
from hepgen_fastsim.io.delphes import SIDE_OBJECT
from hepgen_fastsim.io.layout import BRANCHES, CLASSES, OBJECT_BRANCHES, Class, class_of
from hepgen_fastsim.io.writer import Writer

__all__ = ["DelphesWriter", "declarations"]

COMPRESSION = 501  # ZSTD, level 1

_CPP = {"f": "Float_t", "d": "Double_t", "i": "Int_t", "u": "UInt_t", "l": "Long64_t"}
_CPP |= {"r": "TRef", "a": "TRefArray", "p": "TLorentzVector"}
_NUMPY = {"f": np.float32, "d": np.float64, "i": np.int32, "u": np.uint32, "l": np.int64}


def declarations() -> str:
    """The classes of the tree as C++, for ROOT's interpreter or for a macro that reads the files."""
    head = "".join(f"#include <{name}.h>\n" for name in ("TObject", "TRef", "TRefArray", "TLorentzVector"))
    return head + "".join(map(_declaration, CLASSES.values()))


def _declaration(declared: Class) -> str:
    lines = [f"class {declared.name} : public {declared.base} {{", " public:"]
    for member in declared.members:
        size = f"[{member.length}]" if member.length else ""
        zero = "" if member.kind in "rap" else "{}"
        # ROOT's checksum of a class covers ranges in comments, and Delphes' comments on HEPEVT's arrays look like ones
        comment = "  // of HEPEVT [number]" if member.name in declared.ranged else ""
        lines.append(f"  {_CPP[member.kind]} {member.name}{size}{zero};{comment}")
    return "\n".join([*lines, f"  ClassDef({declared.name}, {declared.version})", "};\n"])


@cache
def _root() -> Any:
    """ROOT, knowing the classes and `TreeFile`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel says at length that it is young
            import ROOT
    except ImportError as error:
        raise Error(
            f"the format 'delphes' needs ROOT, which cannot be imported ({error}): "
            "`pip install \"hepgen_fastsim[root]\"`, or take the format 'flat'."
        ) from None
    ROOT.gROOT.SetBatch(True)
    ROOT.EnableThreadSafety()  # files are filled in a thread of their own
    if not ROOT.gInterpreter.Declare(declarations()):
        raise Error("ROOT does not take the declarations of Delphes' classes; are Delphes' own libraries loaded?")
    for name in CLASSES:  # bases before those that derive from them
        ROOT.TClass.GetClass(name)
    source = (Path(__file__).parent / "delphes_tree.hpp").read_text(encoding="utf-8")
    if not ROOT.gInterpreter.Declare("#pragma cling optimize(2)\n" + source):
        raise Error("ROOT's interpreter does not take delphes_tree.hpp; its own messages say why.")
    ROOT.hepgen_fastsim.TreeFile.fill.__release_gil__ = True
    return ROOT


class DelphesWriter(Writer):
    """Writes the tree with TClonesArrays."""

    def _start(self) -> None:
        root = _root()
        self._file: Any = root.hepgen_fastsim.TreeFile(str(self._part.part), COMPRESSION)
        self._check(self._file.ok())
        self._part.adopt()
        self._numbers = {
            name: self._file.add(name, kind, name == "Particle" or name in CONSTITUENTS)
            for name, kind in BRANCHES.items()
            if self.objects or name not in OBJECT_BRANCHES
        }
        self._file.link()

    def _append(self, gen: ak.Array, reco: ak.Array, objects: ak.Array | None) -> None:
        columns = tree_columns(gen, reco, objects, references=True)
        keep: list[np.ndarray] = []  # until they are in the tree

        def address(array: Any, kind: Any) -> int:
            keep.append(np.ascontiguousarray(array, dtype=kind))
            return keep[-1].ctypes.data

        for name, number in self._numbers.items():
            self._give(number, name, columns[name], address)
        self._check(self._file.fill(len(gen)))

    def _give(self, number: int, name: str, branch: Branch, address: Any) -> None:
        self._file.begin(number, address(branch.offsets, np.int64))
        for member in class_of(BRANCHES[name]):
            length = max(member.length, 1)
            if member.kind in _NUMPY:
                if member.name in branch.leaves:
                    kind = np.dtype(_NUMPY[member.kind])
                    data = address(branch.leaves[member.name], kind)
                    self._file.numbers(number, member.name, kind.itemsize * length, data)
            elif member.kind == "p":
                if member.name in branch.vectors:
                    self._file.vectors(number, member.name, length, address(branch.vectors[member.name], np.float64))
            elif member.name in branch.references:
                bounds, ids = branch.references[member.name]
                lists = address(bounds, np.int64), address(ids, np.uint32)
                self._file.references(number, member.name, member.kind == "a", *lists)

    def _finish(self) -> None:
        self._check(self._file.close(SIDE_OBJECT, json.dumps(self.metadata())))

    def _drop(self) -> None:
        self._file.drop()

    def _check(self, good: bool) -> None:
        if not good:
            raise OSError(errno.EIO, "ROOT could not write the file (its own messages say why)")
