# SPDX-License-Identifier: MIT
"""`hepgen-fastsim validate`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hepgen_fastsim.cli import main
from validation.validation_events import gen_events, reco_of, write


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("validate")
    gen = gen_events(30)
    return [str(write(folder / f"{k}.root", gen, reco_of(gen, k), "flat")) for k in range(3)]


def arguments(reference, candidate, folder, *more):
    return ["validate", "--reference", str(reference), "--candidate", str(candidate), "-o", str(folder), *more]


def test_the_command_leaves_a_page_and_numbers(files, tmp_path):
    out = tmp_path / "report"
    command = arguments(*files[:2], out, "--rerun", files[2], "--swaps", "20", "--no-classifiers", "--title", "Toy")
    done = subprocess.run([sys.executable, "-m", "hepgen_fastsim", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out / "index.html")
    assert "30 events: " in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "metrics.json"]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["title"] == "Toy"
    assert metrics["settings"]["floor"] == "rerun"
    assert f"{metrics['summary']['n_inside']} of {metrics['summary']['n_cells']} distributions" in done.stderr


def test_a_report_that_exists_is_refused_before_anything_is_read(tmp_path, capsys):
    (tmp_path / "metrics.json").write_text("mine")
    assert main(arguments("absent", "absent", tmp_path)) == 1
    assert "holds metrics.json already" in capsys.readouterr().err
    assert (tmp_path / "metrics.json").read_text() == "mine"


def broken(tmp_path, kind, good):
    path = tmp_path / kind
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("no events")
    elif kind == "folder":
        path.mkdir()
    elif kind == "hepmc":
        path.write_text("HepMC::Version 3.02.06\nHepMC::Asciiv3-START_EVENT_LISTING\n")
    elif kind == "cut":
        path.write_bytes(Path(good).read_bytes()[:2000])
    elif kind == "no branches":
        import uproot

        with uproot.recreate(path) as file:
            file.mktree("Delphes", {"x": "int32"}).extend({"x": [1, 2]})
    elif kind == "no columns":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"jet_pt": [1.0]}), path)
    elif kind == "no events":
        import pyarrow as pa
        import pyarrow.parquet as pq

        nothing = pa.array([], pa.list_(pa.float32()))
        columns = {f"reco_{name}": nothing for name in ("pdgid", "pt", "eta", "phi")}
        pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("absent", "absent does not exist"),
        ("empty", "empty is empty"),
        ("folder", "is a folder"),
        ("text", "is of no format that is known here"),
        ("hepmc", "holds GEN events only"),
        ("cut", "cannot be read as a ROOT file"),
        ("no branches", "the branches EFlowTrack.PID, .* are missing, found none of Delphes"),
        ("no columns", "the columns reco_pdgid, .* are missing, found jet_pt"),
        ("no events", "has no events"),
    ],
)
def test_files_that_cannot_be_used(files, tmp_path, capsys, kind, words):
    import re

    path = broken(tmp_path, kind, files[0])
    assert main(arguments(files[0], path, tmp_path / "out")) == 1
    error = capsys.readouterr().err
    assert re.search(words, error), error
    assert error.startswith("hepgen-fastsim: error: ")
    assert not (tmp_path / "out").exists()


def test_a_file_that_breaks_off_leaves_nothing(files, tmp_path, capsys, monkeypatch):
    from hepgen_fastsim.validation.root_source import RootSource

    def breaks(self, arrays):
        raise ValueError("bytes are missing")

    monkeypatch.setattr(RootSource, "_batch", breaks)
    assert main(arguments(*files[:2], tmp_path / "out")) == 1
    assert "is damaged: events from 0 on cannot be read (ValueError: bytes are missing)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
