# SPDX-License-Identifier: MIT
"""`hepgen-fastsim delphes-dir`: a folder that stands in for an installation of Delphes."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Describe the command; nothing heavy is imported."""
    parser = commands.add_parser(
        "delphes-dir",
        help="make a folder that MadGraph takes for Delphes",
        description="Makes DIR with DelphesHepMC2, DelphesHepMC3, DelphesPythia8 and DelphesROOT, which take Delphes' "
        "arguments and cards and run this package, for `set delphes_path DIR` of MadGraph5_aMC@NLO. Its settings "
        "stand in DIR/hepgen_fastsim.toml.",
    )
    parser.add_argument("folder", metavar="DIR", help="new or empty folder, or one that this command made before")
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from hepgen_fastsim.dropin import make_folder
    from hepgen_fastsim.dropin.settings import output_format

    folder = make_folder(options.folder)
    kind, why = output_format("auto")
    print(f"{folder}: output will be in the form '{kind}' ({why}).")
    print(f"MadGraph:  set delphes_path {folder}")
    return 0
