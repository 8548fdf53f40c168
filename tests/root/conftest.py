# SPDX-License-Identifier: MIT
"""Files in the form `delphes`, and ROOT's own programs. Skipped without ROOT (see test_under_root.py)."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import hepgen_fastsim as hf
import pytest
import samples

HAVE_ROOT = find_spec("ROOT") is not None


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents and not HAVE_ROOT and item.path.name != "test_under_root.py":
            item.add_marker(pytest.mark.skip(reason="ROOT is not installed in this Python"))


@pytest.fixture(scope="session")
def root_bin():
    """Folder of rootcling and hadd; in the wheel they are inside the package."""
    return Path(find_spec("ROOT").origin).parent / "bin"


@pytest.fixture(scope="session")
def root():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ROOT
    return ROOT


@pytest.fixture(scope="session")
def events(test_models):
    gen = samples.gen(60, mean=120)
    reco = hf.simulate(gen, test_models / "smear.pt", device="cpu")
    return gen, reco, hf.reconstruct(reco, gen)


@pytest.fixture(scope="session")
def written(events, tmp_path_factory):
    """a.root (40 events) and b.root (20) in the form `delphes`."""
    folder = tmp_path_factory.mktemp("trees")
    for name, parts in {"a.root": (slice(0, 25), slice(25, 40)), "b.root": (slice(40, 60),)}.items():
        with hf.open_output(folder / name, "delphes", objects=True, provenance={"seed": 3}) as out:
            for part in parts:
                out.write(*(array[part] for array in events))
    return folder


@pytest.fixture(scope="session")
def run_root(root_bin):
    """Runs a program with ROOT's libraries and programs at hand."""

    def call(*command, cwd):
        lib = root_bin.parent / "lib"
        environment = os.environ | {
            "PATH": f"{root_bin}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": f"{lib}:{cwd}",
            "ROOTSYS": str(root_bin.parent),
        }
        done = subprocess.run([str(c) for c in command], cwd=cwd, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call
