# SPDX-License-Identifier: MIT
"""A drop-in folder, and the folder in which MadGraph would run it."""

from __future__ import annotations

import os
import subprocess

import pytest
import samples
from hepgen_fastsim.dropin import make_folder
from hepgen_fastsim.dropin.folder import SETTINGS
from hepgen_fastsim.dropin.run import main

N = 600  # more than two batches

CARD = """set ExecutionPath { Flow Finder Out }
set MaxEvents 0
set RandomSeed 0
module Merger Flow {
  add InputArray HCal/eflowTracks
  add InputArray ECal/eflowPhotons
  set OutputArray eflow
}
module FastJetFinder Finder {
  set InputArray Flow/eflow
  set OutputArray jets
  set JetAlgorithm 6
  set ParameterR 0.4
  set JetPTMin 5.0
}
module TreeWriter Out {
  add Branch Finder/jets Jet Jet
}
"""


@pytest.fixture(scope="session")
def delphes_path(tmp_path_factory, test_models):
    """A drop-in folder with a quick model; a space in its name."""
    folder = make_folder(tmp_path_factory.mktemp("drop in") / "Delphes")
    text = (folder / SETTINGS).read_text()
    chosen = {"model": test_models / "smear.pt", "device": "cpu", "format": "flat"}
    for key, value in chosen.items():
        assert f'{key} = "auto"' in text
        text = text.replace(f'{key} = "auto"', f'{key} = "{value}"')
    (folder / SETTINGS).write_text(text)
    return folder


@pytest.fixture(scope="session")
def text():
    return samples.hepmc([samples.pions(12, seed) for seed in range(N)])


@pytest.fixture
def events_folder(tmp_path, text, monkeypatch):
    """MadGraph's folder Events, with run_01/tag_1_pythia8_events.hepmc and ../Cards/delphes_card.dat."""
    (tmp_path / "Cards").mkdir()
    (tmp_path / "Cards" / "delphes_card.dat").write_text(CARD)
    run = tmp_path / "Events" / "run_01"
    run.mkdir(parents=True)
    (run / "tag_1_pythia8_events.hepmc").write_text(text)
    monkeypatch.chdir(tmp_path / "Events")
    return tmp_path / "Events"


@pytest.fixture
def shell(events_folder):
    """Runs a command line as MadGraph's scripts do, with an environment that is empty but for PATH."""

    def call(command):
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        done = subprocess.run(
            command, shell=True, cwd=events_folder, env=environment, capture_output=True, text=True, timeout=120
        )
        assert "Traceback" not in done.stderr
        return done

    return call


@pytest.fixture
def delphes(events_folder, delphes_path, capfd):
    """Runs an executable within this process; returns exit code, what it said, and what it complained of."""

    def call(name, *arguments, folder=delphes_path):
        code = main(os.fspath(folder), name, [os.fspath(a) for a in arguments])
        said = capfd.readouterr()
        return code, said.out, said.err

    return call
