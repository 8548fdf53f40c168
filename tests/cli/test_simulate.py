# SPDX-License-Identifier: MIT
"""`hepgen-fastsim simulate`, from the outside: exit codes, sentences, files."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time

import awkward as ak
import hepgen_fastsim as hf
import pyarrow.parquet as pq
import pytest
import samples
import uproot
from hepgen_fastsim.cli import main
from hepgen_fastsim.cli.simulate import BATCH_SIZE

N = 1200  # more than two batches


@pytest.fixture(scope="module")
def text():
    return samples.hepmc([samples.pions(4, seed) for seed in range(N)])


@pytest.fixture
def run(tmp_path, test_models, monkeypatch, capfd, text):
    """Runs the command in a folder with events.hepmc; returns exit code and stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.hepmc").write_text(text)

    def call(*arguments, model="smear.pt"):
        code = main(["simulate", *map(str, arguments), "--model", str(test_models / model), "--device", "cpu"])
        return code, capfd.readouterr().err

    return call


def stored(path):
    return json.loads(str(uproot.open(path)["hepgen_fastsim"]))


def test_file_to_root(run):
    code, text = run("events.hepmc", "-o", "out.root")
    assert code == 0
    assert re.search(r"model smear 1\.0\.0 on cpu, seed 1, card cms\n", text)
    assert re.search(r"\n1,200 events, [\d,]+ constituents in .* -> out\.root", text)
    assert uproot.open("out.root")["Delphes"].num_entries == N
    about = stored("out.root")
    assert about["seed"] == 1
    assert about["weight_names"] == ["Weight", "muR"]
    assert about["model"] == "smear"
    assert len(about["sha256"]) == 64
    assert about["package"] == f"hepgen_fastsim {hf.__version__}"
    assert about["command"].startswith("hepgen-fastsim simulate events.hepmc -o out.root --model ")
    assert set(os.listdir()) == {"events.hepmc", "out.root"}


def test_objects_follow_the_card(run, tmp_path):
    pt = {}
    for name, arguments in {"cms": [], "atlas": ["--card", "atlas"], "none": ["--no-objects"]}.items():
        assert run("events.hepmc", "-o", f"{name}.root", "--max-events", 300, *arguments)[0] == 0
        tree = uproot.open(f"{name}.root")["Delphes"]
        if name == "none":
            assert not any(leaf.startswith("Jet") for leaf in tree.keys())  # noqa: SIM118 (a tree, not a dict)
        else:
            pt[name] = tree["ScalarHT.HT"].array().to_list()
            assert stored(f"{name}.root")["card"].endswith(f"{name}.toml")
            assert tree["MissingET_size"].array().to_list() == [1] * 300
    code, said = run("events.hepmc", "-o", "x.root", "--card", "csm")
    assert (code, os.path.exists("x.root")) == (1, False)
    assert "did you mean 'cms'?" in said


def test_strict_card(run, tmp_path):
    (tmp_path / "card.tcl").write_text(
        "set ExecutionPath {P W}\nmodule ParticlePropagator P { set Bz 2.5 }\nmodule TreeWriter W { }\n"
    )
    code, said = run("events.hepmc", "-o", "out.root", "--card", "card.tcl", "--max-events", 10)
    assert code == 0, said
    assert said.count("warning: card card.tcl: ") >= 1
    code, said = run("events.hepmc", "-o", "strict.root", "--card", "card.tcl", "--strict-card")
    assert (code, os.path.exists("strict.root")) == (1, False)
    assert "cannot be followed" in said


def test_format_follows_the_suffix_or_the_option(run):
    assert run("events.hepmc", "-o", "a.parquet")[0] == 0
    assert pq.ParquetFile("a.parquet").metadata.num_rows == N
    assert run("events.hepmc", "-o", "b.dat", "--format", "parquet")[0] == 0
    assert pq.ParquetFile("b.dat").metadata.num_rows == N


def reco(path):
    return pq.read_table(path, columns=["event", "reco_pt"]).to_pylist()


def test_threads_parts_and_stdin_give_the_same(run, monkeypatch, text):
    run("events.hepmc", "-o", "a.parquet")
    whole = reco("a.parquet")
    run("events.hepmc", "-o", "b.parquet", "--threads", 3)
    assert reco("b.parquet") == whole
    run("events.hepmc", "-o", "c.parquet", "--entry-start", 100, "--entry-stop", 420)
    assert reco("c.parquet") == whole[100:420]
    run("events.hepmc", "-o", "d.parquet", "--max-events", 300)
    assert reco("d.parquet") == whole[:300]
    with gzip.open("e.gz", "wt") as file:
        file.write(text)
    with open("e.gz", "rb") as file:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": file}))
        run("-", "-o", "e.parquet")
    assert reco("e.parquet") == whole
    run("events.hepmc", "-o", "f.parquet", "--seed", 2)
    assert reco("f.parquet") != whole


def test_several_inputs_have_streams_of_their_own(run, tmp_path):
    (tmp_path / "more.hepmc").write_text(samples.hepmc([samples.pions(4, 10_000 + seed) for seed in range(50)]))
    assert run("events.hepmc", "more.hepmc", "-o", "out.root")[0] == 0
    inputs = stored("out.root")["inputs"]
    assert [entry["n_events"] for entry in inputs] == [N, 50]
    assert [entry["first_event"] for entry in inputs] == [0, 0]
    assert inputs[0]["stream"] != inputs[1]["stream"]
    assert run("events.hepmc", "more.hepmc", "-o", "few.root", "--max-events", N + 20)[0] == 0
    assert [entry["n_events"] for entry in stored("few.root")["inputs"]] == [N, 20]


def test_copies_of_an_input_are_noticed(run, tmp_path, text):
    (tmp_path / "copy.hepmc").write_text(text)
    code, said = run("events.hepmc", "copy.hepmc", "-o", "out.root")
    assert code == 0
    assert "warning: events.hepmc and copy.hepmc begin with the same event" in said
    said = run("events.hepmc", "events.hepmc", "-o", "twice.root")[1]
    assert "warning: events.hepmc and events.hepmc begin with the same event" in said
    assert [entry["n_events"] for entry in stored("twice.root")["inputs"]] == [N, N]


def test_own_output_is_an_input(run):
    run("events.hepmc", "-o", "a.parquet")
    assert run("a.parquet", "-o", "b.parquet")[0] == 0
    assert reco("b.parquet") == reco("a.parquet")


def test_existing_output(run):
    assert run("events.hepmc", "-o", "out.root")[0] == 0
    before = os.stat("out.root").st_mtime_ns
    assert run("events.hepmc", "-o", "out.root") == (
        1,
        "hepgen-fastsim: error: output out.root exists already; give another name, or --overwrite.\n",
    )
    assert os.stat("out.root").st_mtime_ns == before
    assert run("events.hepmc", "-o", "out.root", "--overwrite", "--max-events", 10)[0] == 0
    assert uproot.open("out.root")["Delphes"].num_entries == 10
    assert "is both input and output" in run("events.hepmc", "-o", "events.hepmc", "--overwrite")[1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "input bad does not exist"),
        ("", "bad is empty"),
        ("some text\n", "bad is of no format that is known here"),
        (
            "HepMC::Version 3.0\nHepMC::Asciiv3-START_EVENT_LISTING\nE 0 1 2\nU GEV MM\nP 1 0 spam 0 0 1 1 0 1\n",
            "bad.*line 5",
        ),
        ("HepMC::Version 3.0\nHepMC::Asciiv3-START_EVENT_LISTING\nHepMC::Asciiv3-END_EVENT_LISTING\n", "no events"),
    ],
    ids=["missing", "empty", "wrong format", "garbled", "no events"],
)
def test_nothing_is_left_behind_by_bad_input(run, tmp_path, content, words):
    if content is not None:
        (tmp_path / "bad").write_text(content)
    code, text = run("bad", "-o", "out.root")
    assert code == 1
    assert re.search(rf"hepgen-fastsim: error: .*{words}", text)
    assert "Traceback" not in text
    assert set(os.listdir()) <= {"events.hepmc", "bad"}


def truncated(text):
    return text[: text.index("\nE 555 ") + 60]


def garbled(text):
    return text.replace("\nE 555 1 5\n", "\nE 555 one 5\n")


def nan(text):
    head, tail = text.split("\nE 555 ")
    return head + "\nE 555 " + re.sub(r"(P 2 -1 211) \S+", r"\1 nan", tail, count=1)


@pytest.mark.parametrize("spoil", [truncated, garbled, nan])
@pytest.mark.parametrize("threads", [1, 2])
def test_good_events_before_a_bad_one_are_kept(run, tmp_path, text, spoil, threads):
    (tmp_path / "bad").write_text(spoil(text))
    code, said = run("bad", "-o", "out.root", "--threads", threads)
    assert code == 3
    assert re.search(r"error: bad\b.*event 555", said)
    assert "the 555 good events before it are in out.root, which is readable" in said
    assert uproot.open("out.root")["Delphes"].num_entries == 555
    assert stored("out.root")["ended"].startswith("input error: bad")
    run("events.hepmc", "-o", "whole.root", "--entry-stop", 555)
    pt = [uproot.open(path)["Delphes"]["EFlowTrack.PT"].array().to_list() for path in ("out.root", "whole.root")]
    assert pt[0] == pt[1]


def test_nan_within_an_array_file_keeps_the_events_before(run, test_models):
    flat = samples.columns(N)
    row = int(flat["offsets"][500]) + int((flat["status"][flat["offsets"][500] :] == 1).argmax())
    gen = next(hf.read(flat, batch_size=N))
    gen.layout["particles"].content["px"].data[row] = float("nan")
    with hf.open_output("nan.parquet", "parquet") as out:
        out.write(gen, hf.simulate(samples.gen(N), test_models / "smear.pt", device="cpu"))
    event = int((flat["offsets"] > row).argmax()) - 1
    code, said = run("nan.parquet", "-o", "out.root")
    assert code == 3
    assert re.search(rf"nan\.parquet: event {event}, particle \d+ .*px is nan, a finite number is expected", said)
    assert uproot.open("out.root")["Delphes"].num_entries == event


def test_second_input_missing_keeps_the_first(run):
    code, said = run("events.hepmc", "nothing.hepmc", "-o", "out.root")
    assert code == 3
    assert "input nothing.hepmc does not exist" in said
    assert uproot.open("out.root")["Delphes"].num_entries == N


def test_outside_of_the_domain_is_said_once(run, tmp_path):
    strange = [
        (1000022, 1.0, 2.0, 3.0, 100.0, 99.9),
        (310, 1.0, 1.0, 1.0, 1.8, 0.4976),
        (1000822080, 1.0, 1.0, 1.0, 193.7, 193.7),
    ]
    (tmp_path / "strange").write_text(samples.hepmc([samples.pions(3) + strange] * 10 + [[]]))
    code, said = run("strange", "-o", "out.root")
    assert code == 0
    assert said.count("outside the model's domain: 30 of 60 stable particles") == 1
    for pdgid in (1000022, 310, 1000822080):
        assert f"pdgid {pdgid} 10" in said
    assert uproot.open("out.root")["Delphes"]["Particle.PID"].array()[0].to_list()[-1] == 1000822080


def test_herwig_like_status_codes(run, tmp_path):
    event = [(*particle, status) for particle, status in zip(samples.pions(6), (1, 2, 11, 20, 125, 1))]
    (tmp_path / "herwig").write_text(samples.hepmc([event] * 30))
    assert run("herwig", "-o", "out.root")[0] == 0
    assert set(ak.flatten(uproot.open("out.root")["Delphes"]["EFlowTrack.Particle"].array())) == {1, 6}


@pytest.mark.parametrize("model", ["unknown-format.pt", "truncated.pt", "damaged.pt", "wrong-signature.pt", "none.pt"])
def test_unusable_model_leaves_nothing(run, model):
    code, said = run("events.hepmc", "-o", "out.root", model=model)
    assert code == 1
    assert said.startswith("hepgen-fastsim: error: ")
    assert model in said
    assert os.listdir() == ["events.hepmc"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["events.hepmc"], "required: -o/--output"),
        (["a", "b", "-o", "c", "--entry-start", "3"], "are for one INPUT"),
        (["a", "-o", "c", "--entry-start", "3", "--entry-stop", "1"], "--entry-stop 1 lies before --entry-start 3"),
        (["-", "-", "-o", "c"], "standard input can be read once"),
        (["a", "-o", "c", "--max-events", "-1"], "0 or more is expected, found -1"),
        (["a", "-o", "c", "--threads", "0"], "1 or more is expected, found 0"),
        (["a", "-o", "c", "--seed", str(2**64)], "unsigned 64-bit number is expected"),
        (["a", "-o", "c", "--format", "csv"], "invalid choice"),
        (["a", "-o", "c", "--format", "parquet", "--card", "cms"], "--card is for ROOT files"),
        (["a", "-o", "c", "--no-objects", "--card", "cms"], "--no-objects makes none"),
    ],
)
def test_usage(capsys, arguments, words):
    with pytest.raises(SystemExit) as stop:
        main(["simulate", *arguments])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def test_debug_shows_the_traceback(run):
    with pytest.raises(hf.InputError):
        run("nothing", "-o", "out.root", "--debug")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_closes_a_valid_file(tmp_path, test_models, text, number, code):
    """Input arrives through a pipe that stays open, so that the run is surely under way when the signal comes."""
    command = [sys.executable, "-m", "hepgen_fastsim", "simulate", "-", "-o", "out.root", "--device", "cpu"]
    command += ["--no-objects", "--model", str(test_models / "smear.pt")]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(text[: text.index(f"\nE {N - 1} ") + 1].encode())
        process.stdin.flush()
        part = tmp_path / "out.root.part"
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size > 120_000):  # an empty tree has 68 kB, a batch 200
            assert time.monotonic() < deadline, "no batch was written in a minute"
            time.sleep(0.05)
        process.send_signal(number)
        said = process.stderr.read().decode()
        assert process.wait(timeout=30) == code, said
    n = uproot.open(tmp_path / "out.root")["Delphes"].num_entries
    assert n in (BATCH_SIZE, 2 * BATCH_SIZE)
    assert f"interrupted; the {n:,} events so far are in out.root, which is readable" in said
    assert stored(tmp_path / "out.root")["ended"] == "interrupted"
    assert not part.exists()
