# SPDX-License-Identifier: MIT
"""Loads the compiled core, after a look at the torch that it would run with.

TorchScript lies outside torch's stable ABI: with another torch than the one it was built with, the core would fail with
a missing symbol, or worse. The pinned requirement in the package's own metadata says which torch that is.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from hepgen_fastsim.errors import Error

__all__ = ["cmake_prefix", "core"]


def _release(version: str) -> str:
    """Version without its local part: '2.13.0+cpu' -> '2.13.0'."""
    return version.split("+")[0]


def built_with() -> str | None:
    """Torch version that the installed package was built with; None when it is not installed as a package."""
    try:
        requirements = metadata.requires("hepgen_fastsim") or []
    except metadata.PackageNotFoundError:
        return None
    for requirement in requirements:
        if match := re.match(r"torch\s*==\s*([^\s;]+)", requirement):
            return _release(match.group(1))
    return None


def check_torch(built: str | None, found: str | None) -> None:
    """Raise `Error`, with what to do, when the torch that was found is not the one that the core was built with."""
    if found is None:
        raise Error(
            f"hepgen_fastsim needs torch{f' {built}' if built else ''}, but torch is not installed; "
            f"`pip install torch{f'=={built}' if built else ''}`."
        )
    if built is not None and _release(found) != built:
        raise Error(
            f"hepgen_fastsim was built with torch {built}, but torch {found} is installed: TorchScript needs the very "
            f"same one. `pip install torch=={built}`, or build again with the torch that is here: "
            "`pip install --no-build-isolation --force-reinstall --no-deps hepgen_fastsim`."
        )


def cmake_prefix() -> str:
    """Folder for CMAKE_PREFIX_PATH, so that `find_package(hepgen_fastsim)` finds this installation; nothing is loaded.

    >>> hf.cmake_prefix()
    '/…/site-packages/hepgen_fastsim'
    """
    spec = find_spec("hepgen_fastsim._core")
    if spec is None or spec.origin is None:
        raise Error("the compiled part of hepgen_fastsim is not installed; `pip install .` in its source folder.")
    return str(Path(spec.origin).parent)


@cache
def core() -> ModuleType:
    """The extension module `hepgen_fastsim._core`, loaded at the first call."""
    built = built_with()
    try:
        found: str | None = metadata.version("torch")
    except metadata.PackageNotFoundError:
        found = None
    check_torch(built, found)
    try:
        from hepgen_fastsim import _core
    except ImportError as error:
        raise Error(
            f"the compiled part of hepgen_fastsim does not load ({error}); install the package with "
            "`pip install .` from its source folder."
        ) from error
    return _core
