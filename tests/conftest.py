# SPDX-License-Identifier: MIT
"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def test_models(tmp_path_factory) -> Path:
    """Folder of small models that keep, or break, the contract (make_test_models.py)."""
    import make_test_models

    folder = tmp_path_factory.mktemp("models")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces the successor of TorchScript
        make_test_models.main(folder)
    return folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The training data (HEPGEN_DATA); tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("HEPGEN_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no training data in {folder}; set HEPGEN_DATA")
    return folder
