# SPDX-License-Identifier: MIT
"""`python -m hepgen_fastsim.dropin FOLDER EXECUTABLE ARGUMENTS…`, what the launchers of a drop-in folder start."""

import sys

from hepgen_fastsim.cli import leave
from hepgen_fastsim.dropin.run import main

sys.exit(leave(main(sys.argv[1], sys.argv[2], sys.argv[3:])))
