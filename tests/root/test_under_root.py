# SPDX-License-Identifier: MIT
"""The other tests of this folder, in the Python that HEPGEN_ROOT_PYTHON names, where this one has no ROOT.

That Python needs ROOT, this package and pytest: an environment beside this one, with this one's packages on its path
(.ci/long makes it).
"""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest


def test_in_the_environment_with_root():
    python = os.environ.get("HEPGEN_ROOT_PYTHON")
    if find_spec("ROOT") is not None or not python:
        pytest.skip("HEPGEN_ROOT_PYTHON names no python with ROOT, or this is one")
    if subprocess.run([python, "-c", "import hepgen_fastsim, pytest"], capture_output=True).returncode:
        pytest.skip(f"{python} has neither hepgen_fastsim nor pytest")
    command = [python, "-m", "pytest", "-q", str(Path(__file__).parent)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
