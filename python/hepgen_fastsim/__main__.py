# SPDX-License-Identifier: MIT
"""`python -m hepgen_fastsim`."""

import sys

from hepgen_fastsim.cli import main

if __name__ == "__main__":
    sys.exit(main())
