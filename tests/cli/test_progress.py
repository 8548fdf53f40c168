# SPDX-License-Identifier: MIT
from __future__ import annotations

import io
import sys

import pytest
from hepgen_fastsim.cli import progress
from hepgen_fastsim.io import GenReader


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bar_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.Progress(lambda: 500) as bar:
        bar.advance(250)
        bar.advance(250)
    assert "500 events" in terminal.getvalue()
    assert "/s" in terminal.getvalue()


def test_plain_lines_elsewhere(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    with progress.Progress(lambda: 1000) as bar:
        bar.advance(250)
    assert "250 events of about 1,000, " in capsys.readouterr().err
    with progress.Progress(lambda: None) as bar:
        bar.advance(250)
    line = capsys.readouterr().err
    assert line.startswith("250 events, ")
    assert "\x1b" not in line


def test_reader_estimates_from_the_part_that_was_read():
    parts = iter([0.25, 0.5])
    reader = GenReader(iter([range(10), range(10)]), source="", format="hepmc", fraction=lambda: next(parts))
    assert reader.estimate() is None
    next(reader)
    assert reader.estimate() == pytest.approx(40)
    next(reader)
    assert reader.estimate() == pytest.approx(40)
