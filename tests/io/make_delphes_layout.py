# SPDX-License-Identifier: MIT
"""Writes tests/data/delphes_layout.json: branches, leaves, types and classes of a file that Delphes itself wrote.

    python tests/io/make_delphes_layout.py DELPHES.root

Branches: class, and leaf -> type as uproot names it, in the order of the tree. Classes: version, checksum, and members
(name, type, length) in their order.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import uproot

OUTPUT = Path(__file__).parents[1] / "data" / "delphes_layout.json"


def layout(path: str) -> dict:
    """The layout of the tree `Delphes` in a file, in either form of this package or Delphes' own."""
    with uproot.open(path) as file:
        branches = {}
        for branch in file["Delphes"].branches:
            if branch.branches:
                leaves = {leaf.name.removeprefix(branch.name + "."): leaf.typename for leaf in branch.branches}
                branches[branch.name] = {"class": branch.member("fClonesName"), "leaves": leaves}
        classes = {}
        for name in {b["class"] for b in branches.values()} | {"Event", "SortableObject"}:
            for version, info in file.file.streamers.get(name, {}).items():
                members = [[e.member("fName"), e.member("fTypeName"), e.member("fArrayLength")] for e in info.elements]
                classes[name] = {"version": version, "checksum": info.member("fCheckSum"), "members": members}
    return {"branches": branches, "classes": dict(sorted(classes.items()))}


if __name__ == "__main__":
    OUTPUT.write_text(json.dumps(layout(sys.argv[1]), indent=1) + "\n")
