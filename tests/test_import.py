# SPDX-License-Identifier: MIT
"""What `import hepgen_fastsim` does, and how the compiled core is found."""

from __future__ import annotations

import subprocess
import sys

import hepgen_fastsim as hf
import pytest
from hepgen_fastsim import _core_loader
from hepgen_fastsim.errors import Error

LIGHT = """
import sys, hepgen_fastsim as hf
hf.Error, hf.__doc__, dir(hf)
import hepgen_fastsim.cli
heavy = {"torch", "awkward", "numpy", "uproot", "hepgen_fastsim._core"} & set(sys.modules)
assert not heavy, heavy
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light():
    run(LIGHT)


@pytest.mark.parametrize("order", ["", "import torch; ", "import hepgen_fastsim._core, torch; "])
def test_core_loads_with_torch_before_after_and_without(order):
    code = f"{order}import hepgen_fastsim._core_loader as l; print(l.core().pdg_charge([211, -11, 22]).tolist())"
    assert run(code).strip() == "[1.0, 1.0, 0.0]"


def test_every_public_name_resolves():
    for name in hf.__all__:
        assert getattr(hf, name) is not None
    assert set(hf.__all__) <= set(dir(hf))


def test_unknown_name():
    with pytest.raises(AttributeError, match="has no attribute 'FastSlim'"):
        hf.FastSlim  # noqa: B018


@pytest.mark.parametrize(
    ("built", "found", "words"),
    [
        ("2.13.0", None, "torch is not installed; `pip install torch==2.13.0`"),
        ("2.13.0", "2.11.0+cu130", r"built with torch 2.13.0, but torch 2.11.0\+cu130 is installed"),
    ],
)
def test_another_torch_is_refused_with_advice(built, found, words):
    with pytest.raises(Error, match=words):
        _core_loader.check_torch(built, found)


@pytest.mark.parametrize(("built", "found"), [("2.13.0", "2.13.0+cpu"), ("2.13.0", "2.13.0"), (None, "2.13.0")])
def test_same_torch_is_accepted(built, found):
    _core_loader.check_torch(built, found)


def test_built_with_is_the_torch_of_the_core():
    assert _core_loader.built_with() == _core_loader.core().torch_version.split("+")[0]


def test_cmake_prefix_holds_the_package_config():
    from pathlib import Path

    assert (Path(hf.cmake_prefix()) / "lib/cmake/hepgen_fastsim/hepgen_fastsim-config.cmake").is_file()
