# SPDX-License-Identifier: MIT
"""The commands that MadGraph issues, as it issues them: subprocesses in a folder Events with a bare environment."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from shlex import quote

import hepgen_fastsim as hf
import pytest
import uproot
from hepgen_fastsim.dropin import make_folder
from hepgen_fastsim.dropin.folder import EXECUTABLES

CARD = "../Cards/delphes_card.dat"
HEPMC = "run_01/tag_1_pythia8_events.hepmc"
OUTPUT = "run_01/tag_1_delphes_events.root"


def tree(path=OUTPUT):
    return uproot.open(path)["Delphes"]


def stored(path=OUTPUT):
    return json.loads(str(uproot.open(path)["hepgen_fastsim"]))


def test_madgraph_takes_the_folder_for_delphes_3(delphes_path):
    """`check` of MG5's installation, and its test of a card's words."""
    assert (delphes_path / "DelphesSTDHEP").exists()
    assert not (delphes_path / "data").exists()
    for name in EXECUTABLES:
        assert os.access(delphes_path / name, os.X_OK)
    cards = sorted(path.name for path in (delphes_path / "cards").iterdir())
    assert cards == ["delphes_card_ATLAS.tcl", "delphes_card_CMS.tcl"]
    for path in (delphes_path / "cards").iterdir():
        for word in ("ExecutionPath", "ParticlePropagator", "Treewriter"):
            assert word in path.read_text()
        assert hf.cards.load_card(path).jets is not None


def test_file_argument(shell, delphes_path, events_folder):
    done = shell(f"{quote(str(delphes_path))}/DelphesHepMC2 {CARD} {OUTPUT} {HEPMC}")
    assert done.returncode == 0, done.stderr
    assert f"** Reading {HEPMC}\n" in done.stdout
    assert "seed 1\n" in done.stdout
    assert "** Exiting...\n" in done.stdout
    assert tree().num_entries == 600
    assert sum(tree()["Jet_size"].array()) > 0
    assert stored()["card"] == CARD
    assert stored()["command"].startswith(f"DelphesHepMC2 {CARD} ")


def test_two_arguments_and_standard_input(shell, delphes, delphes_path, text):
    with gzip.open(f"{HEPMC}.gz", "wt") as file:
        file.write(text)
    done = shell(f"gunzip --stdout {HEPMC}.gz | {quote(str(delphes_path))}/DelphesHepMC2 {CARD} {OUTPUT}")
    assert done.returncode == 0, done.stderr
    assert "** Reading standard input\n" in done.stdout
    assert tree().num_entries == 600
    assert delphes("DelphesHepMC3", CARD, "whole.root", HEPMC)[0] == 0
    assert tree("whole.root")["EFlowTrack.PT"].array().to_list() == tree()["EFlowTrack.PT"].array().to_list()


def test_split_files_have_seeds_of_their_own(shell, delphes, delphes_path, text):
    """MG5 from 3.7.2 on cuts the file; parts of equal events must not come out equal, and reruns must not differ."""
    head, _, rest = text.partition("\nE 0 ")
    events = ["E 0 " + rest.split("\nE ", 1)[0]] + ["E " + event for event in rest.split("\nE ")[1:]]
    here, commands = quote(str(delphes_path)), []
    for i, part in enumerate((events[:30], events[30:60])):
        os.mkdir(f"split_{i}")
        with open(f"split_{i}/events.hepmc", "w") as file:
            file.write("\n".join([head, *part]) + "\nHepMC::Asciiv3-END_EVENT_LISTING\n")
        commands.append(f"{here}/DelphesHepMC2 {CARD} split_{i}/out.root split_{i}/events.hepmc")
    done = shell(" & ".join(commands) + " && wait")
    assert done.returncode == 0, done.stderr
    streams = [stored(f"split_{i}/out.root")["inputs"][0]["stream"] for i in range(2)]
    assert streams[0] != streams[1]
    assert delphes("DelphesHepMC2", CARD, "again.root", "split_1/events.hepmc")[0] == 0
    first, again = (tree(path)["EFlowTrack.PT"].array().to_list() for path in ("split_1/out.root", "again.root"))
    assert first == again


def test_fifo_as_a_file(shell, delphes_path, events_folder):
    os.mkfifo("pipe")
    done = shell(f"cat {HEPMC} > pipe & {quote(str(delphes_path))}/DelphesHepMC3 {CARD} {OUTPUT} pipe")
    assert done.returncode == 0, done.stderr
    assert tree().num_entries == 600


def test_interrupt_leaves_a_valid_file(events_folder, delphes_path, text):
    command = [str(delphes_path / "DelphesHepMC2"), CARD, OUTPUT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(text[: text.index("\nE 599 ") + 1].encode())
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not (os.path.exists(f"{OUTPUT}.part") and os.stat(f"{OUTPUT}.part").st_size > 300_000):
            assert time.monotonic() < deadline, "no batch was written in a minute"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.stdout.read().decode()
        assert process.wait(timeout=30) == 130, process.stderr.read().decode()
    n = tree().num_entries
    assert 0 < n < 600
    assert f"interrupted; the {n} events so far are in {OUTPUT}, which is readable" in said
    assert stored()["ended"] == "interrupted"
    assert set(os.listdir("run_01")) == {"tag_1_pythia8_events.hepmc", "tag_1_delphes_events.root"}


def test_make_folder_and_its_errors(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "hepgen_fastsim", "delphes-dir", "new"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f"set delphes_path {tmp_path / 'new'}" in done.stdout
    settings = tmp_path / "new" / "hepgen_fastsim.toml"
    settings.write_text("seed = 5\n")
    (tmp_path / "new" / "DelphesHepMC2").unlink()
    make_folder(tmp_path / "new")
    assert settings.read_text() == "seed = 5\n"
    assert (tmp_path / "new" / "DelphesHepMC2").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(hf.InputError, match="holds other files"):
        make_folder(tmp_path / "other")
    with pytest.raises(hf.InputError, match="is a file"):
        make_folder(tmp_path / "other" / "thesis.tex")
    (tmp_path / "new" / "data").mkdir()
    with pytest.raises(hf.InputError, match="takes it for Delphes 2"):
        make_folder(tmp_path / "new")
