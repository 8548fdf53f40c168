# SPDX-License-Identifier: MIT
"""What the README shows is what a user gets."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

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


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#]+)\)", README.read_text()))
def test_links_lead_somewhere(path):
    if not path.startswith("http"):
        assert (README.parent / path).exists()
