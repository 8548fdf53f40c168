# SPDX-License-Identifier: MIT
"""Files and generators: GEN batches in, RECO files out."""

from hepgen_fastsim.io.pythia import read_pythia
from hepgen_fastsim.io.reader import GenReader, read
from hepgen_fastsim.io.writer import Writer, open_output

__all__ = ["GenReader", "Writer", "open_output", "read", "read_pythia"]
