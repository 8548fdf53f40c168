# SPDX-License-Identifier: MIT
"""A folder in Delphes' place: executables with Delphes' names, arguments and manners.

`make_folder` writes the folder; its launchers start `python -m hepgen_fastsim.dropin`, which is `run.main`.
"""

from hepgen_fastsim.dropin.folder import make_folder

__all__ = ["make_folder"]
