# SPDX-License-Identifier: MIT
"""scikit-build-core metadata provider: the run-time dependencies, with torch pinned to the build's own.

TorchScript lies outside torch's stable ABI, so the library must run with the very torch that it was built with.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

BUILD_TORCH = "2.13.0"  # what an isolated build installs; keep equal to build-system.requires
DEPENDENCIES = [
    "numpy>=1.26",
    "awkward>=2.6",
    "vector>=1.4",
    "uproot>=5.5",
    "pyarrow>=16",
    "numba>=0.60",
    "rich>=13",
    "scipy>=1.11",
    'tomli>=2; python_version < "3.11"',
]


def dynamic_metadata(field: str, settings: dict[str, Any] | None = None) -> list[str]:
    """Return the dependency list; `settings` is unused."""
    if field != "dependencies":
        raise ValueError(f"torch_pin provides 'dependencies', not '{field}'")
    try:
        torch = version("torch").split("+")[0]
    except PackageNotFoundError:
        torch = BUILD_TORCH
    return [f"torch=={torch}", *DEPENDENCIES]


def get_requires_for_dynamic_metadata(_settings: dict[str, Any] | None = None) -> list[str]:
    """Nothing beyond build-system.requires."""
    return []
