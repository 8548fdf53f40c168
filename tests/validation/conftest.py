# SPDX-License-Identifier: MIT
"""Files that several tests of the report read."""

from __future__ import annotations

from pathlib import Path

import pytest
from validation_events import gen_events, reco_of, write


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, Path]:
    """reference, rerun, candidate (the same detector, other seeds), shifted (all pT of `reference` 2 GeV higher)."""
    folder = tmp_path_factory.mktemp("validation")
    gen = gen_events()
    made = {"reference": reco_of(gen, 1), "rerun": reco_of(gen, 2), "candidate": reco_of(gen, 3)}
    made["shifted"] = reco_of(gen, 1, shift=2.0)
    return {name: write(folder / f"{name}.parquet", gen, reco, model="toy", seed=5) for name, reco in made.items()}
