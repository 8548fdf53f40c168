# SPDX-License-Identifier: MIT
"""`hepgen-fastsim models`, and the command's front door."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import hepgen_fastsim as hf
import pytest
from hepgen_fastsim.cli import main


def test_list(test_models, monkeypatch, capsys):
    monkeypatch.setenv("HEPGEN_MODEL_PATH", str(test_models))
    assert main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "version", "task", "size", "file"]
    rows = {line.split()[0]: line for line in lines[1:]}
    assert "1.0.0    reconstruct" in rows["smear"]
    assert "generate" in rows["drawn"]
    assert "unusable" in rows["truncated"]


def test_show(test_models, capsys):
    assert main(["models", "show", str(test_models / "smear.pt")]) == 0
    out = capsys.readouterr().out
    assert "smear 1.0.0 (reconstruct, per event)" in out
    assert "input       pt [GeV], eta, phi [rad], charge [e], pdgid" in out
    assert "domain      pt 0 to 1000" in out
    assert main(["models", "show", str(test_models / "smear.pt"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "smear"


def test_verify(test_models, capsys):
    assert main(["models", "verify", str(test_models / "smear.pt")]) == 0
    assert "keeps the contract, format 1; sha256 " in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["unknown-format", "truncated", "damaged", "wrong-signature", "lacks-slots", "not-json"]
)
def test_verify_refuses(test_models, capsys, name):
    assert main(["models", "verify", str(test_models / f"{name}.pt")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("hepgen-fastsim: error: ")
    assert f"{name}.pt" in error


def test_unknown_name_offers_the_nearest(test_models, monkeypatch, capsys):
    monkeypatch.setenv("HEPGEN_MODEL_PATH", str(test_models))
    assert main(["models", "show", "smaer"]) == 1
    assert "no model 'smaer'; did you mean 'smear'?" in capsys.readouterr().err


def test_help_is_fast_and_complete():
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "hepgen_fastsim", "-h"], capture_output=True, text=True)
    assert time.monotonic() - begun < 2  # loading torch alone takes as long
    assert done.returncode == 0
    for command in ("demo", "simulate", "models"):
        assert command in done.stdout


def test_version_and_no_command(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == hf.__version__
    assert main([]) == 2
    assert "usage:" in capsys.readouterr().err
