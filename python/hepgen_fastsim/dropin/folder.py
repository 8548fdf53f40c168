# SPDX-License-Identifier: MIT
"""Makes the folder that MadGraph5_aMC@NLO accepts as `delphes_path`."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from hepgen_fastsim.cards import bundled
from hepgen_fastsim.errors import InputError

__all__ = ["EXECUTABLES", "SETTINGS", "make_folder"]

EXECUTABLES = ("DelphesHepMC2", "DelphesHepMC3", "DelphesPythia8", "DelphesROOT", "DelphesSTDHEP", "DelphesLHEF")
SETTINGS = "hepgen_fastsim.toml"

_SETTINGS = """# Settings of the executables in this folder. The variable HEPGEN_DELPHES_FORMAT overrides `format`.

model = "auto"     # the card's model; or the name of a model (hepgen-fastsim models list), or the path of one
format = "auto"    # delphes: true TClonesArrays, needs ROOT (pip install "hepgen_fastsim[root]"); flat: one branch per
                   # leaf, for uproot, RDataFrame, coffea; auto: delphes where ROOT can be imported, else flat
objects = true     # jets, leptons, photons, missing energy; false: constituents alone, faster
strict_card = false  # refuse cards that change the detector, which a trained model cannot follow
seed = 1           # where the card has no RandomSeed (or 0)
device = "auto"
threads = 1        # batches simulated at the same time
"""

_LAUNCHER = """#!/bin/sh
# In the place of {name} of Delphes: simulates with hepgen_fastsim.
here=$(dirname "$0")
case $here in /*) ;; *) here=$PWD/$here ;; esac
exec {python} -E -m hepgen_fastsim.dropin "$here" {name} "$@"
"""

_CARD = """# A card for the executables of this folder; Delphes' own cards (Tcl) work as well.
# MadGraph takes a file for a card of Delphes by words such as ExecutionPath, ParticlePropagator, Treewriter.

"""


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder with Delphes' executables, which run this package; returns its absolute path.

    The executables remember the Python that makes them, so that they run from everywhere and in any environment. A
    folder made before is renewed, its settings are kept. Raises InputError if something else is there.
    """
    folder = Path(path).absolute()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; the name of a folder is expected.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SETTINGS).is_file():
        raise InputError(
            f"{folder} holds other files; a new or empty folder is expected, or one that was made by this command."
        )
    if (folder / "data").exists():
        raise InputError(f"{folder} has a folder 'data', by which MadGraph takes it for Delphes 2; remove it first.")
    (folder / "cards").mkdir(parents=True, exist_ok=True)
    for name in EXECUTABLES:
        launcher = folder / name
        launcher.write_text(_LAUNCHER.format(name=name, python=shlex.quote(sys.executable)))
        launcher.chmod(0o755)
    cards = Path(__file__).parents[1] / "cards"
    for name in bundled():
        text = _CARD + (cards / f"{name}.toml").read_text()
        (folder / "cards" / f"delphes_card_{name.upper()}.tcl").write_text(text)
    if not (folder / SETTINGS).exists():
        (folder / SETTINGS).write_text(_SETTINGS)
    return folder
