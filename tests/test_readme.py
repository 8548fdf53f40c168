# SPDX-License-Identifier: MIT
"""What the README shows is what a user gets."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

README = Path(__file__).parents[1] / "README.md"


def example() -> tuple[str, str]:
    """The Python example and the output printed below it."""
    found = re.search(r"```python\n(.*?)```\s+```\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    return found.group(1), found.group(2)


def test_python_example_prints_what_it_says():
    code, expected = example()
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "README.md", "exec"), {})
    assert output.getvalue() == expected


def test_partons_to_a_plot(tmp_path, monkeypatch):
    """The cell of the README, on forty Z bosons."""
    pytest.importorskip("pythia8mc")
    pytest.importorskip("matplotlib").use("Agg")
    cells = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (cell,) = [cell for cell in cells if "unweighted_events" in cell]
    monkeypatch.chdir(tmp_path)
    with gzip.open("unweighted_events.lhe.gz", "wb") as file:
        file.write((Path(__file__).parent / "data" / "zmm.lhe").read_bytes())
    names: dict[str, Any] = {}
    exec(compile(cell, "README.md", "exec"), names)
    found = {name: np.concatenate([np.asarray(part) for part in parts]) for name, parts in names["masses"].items()}
    assert 20 < len(found["generated"]) <= 40
    assert 10 < len(found["reconstructed"]) <= len(found["generated"])
    assert abs(np.median(found["reconstructed"]) - np.median(found["generated"])) < 1.5
    assert (tmp_path / "mass.png").stat().st_size > 5000


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#]+)\)", README.read_text()))
def test_links_lead_somewhere(path):
    if not path.startswith("http"):
        assert (README.parent / path).exists()
