# SPDX-License-Identifier: MIT
"""What Delphes does badly (interface table "How Delphes behaves"), and must not happen here."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
import samples
import uproot
from hepgen_fastsim.dropin import make_folder
from hepgen_fastsim.dropin.progress import Progress
from hepgen_fastsim.dropin.settings import FORMAT_VARIABLE, Settings, output_format, read_settings

CARD = "../Cards/delphes_card.dat"
HEPMC = "run_01/tag_1_pythia8_events.hepmc"
FILES = {"run_01"}


def n_events(path="out.root"):
    return uproot.open(path)["Delphes"].num_entries


def stored(path="out.root"):
    return json.loads(str(uproot.open(path)["hepgen_fastsim"]))


def test_output_exists(delphes):
    Path("out.root").write_text("precious")
    code, _, errors = delphes("DelphesHepMC2", CARD, "out.root", HEPMC)
    assert code == 1
    assert re.search(r"\*\* ERROR: can't create output file out\.root: it exists already", errors)
    assert Path("out.root").read_text() == "precious"
    assert delphes("DelphesHepMC2", CARD, "out.root", HEPMC, "--overwrite")[0] == 0
    assert n_events() == 600


@pytest.mark.parametrize(
    ("card", "source", "words"),
    [
        ("nothing.tcl", HEPMC, "there is no card 'nothing.tcl'"),
        (CARD, "nothing.hepmc", "input nothing.hepmc does not exist"),
        (HEPMC, HEPMC, "not a card"),
        (CARD, "/dev/null", "is empty"),
    ],
)
def test_nothing_is_left_behind(delphes, card, source, words):
    code, _, errors = delphes("DelphesHepMC3", card, "out.root", source)
    assert code == 1
    assert words in errors
    assert set(os.listdir()) == FILES


def test_truncated_input(delphes, text):
    Path("cut.hepmc").write_text(text[: text.index("\nE 555 ") + 60])
    code, said, errors = delphes("DelphesHepMC2", CARD, "out.root", "cut.hepmc")
    assert code == 3
    assert re.search(r"\*\* ERROR: cut\.hepmc.*event 555", errors)
    assert "the 555 good events before it are in out.root, which is readable" in errors
    assert "Exiting" not in said
    assert n_events() == 555


def test_content_tells_the_format(delphes):
    """HepMC2 text for the HepMC3 reader and the other way round."""
    data = Path(__file__).parents[1] / "data"
    for name, file in (("DelphesHepMC3", "io_genevent.hepmc"), ("DelphesHepMC2", "asciiv3.hepmc")):
        assert delphes(name, CARD, f"{name}.root", data / file)[0] == 0
        assert n_events(f"{name}.root") > 0


def test_several_inputs(delphes, text):
    Path("more.hepmc").write_text(samples.hepmc([samples.pions(3, 9000 + i) for i in range(20)]))
    code, said, _ = delphes("DelphesHepMC2", CARD, "out.root", HEPMC, "more.hepmc")
    assert code == 0
    assert said.count("** Reading ") == 2
    assert [entry["n_events"] for entry in stored()["inputs"]] == [600, 20]


def test_settings_of_delphes_cards(delphes, text):
    card = Path(CARD).read_text().replace("RandomSeed 0", "RandomSeed 77").replace("MaxEvents 0", "MaxEvents 50")
    Path("card.tcl").write_text("set SkipEvents 10\n" + card)
    code, said, _ = delphes("DelphesHepMC2", "card.tcl", "out.root", HEPMC)
    assert code == 0
    assert "seed 77" in said
    assert (stored()["seed"], stored()["n_events"], stored()["inputs"][0]["first_event"]) == (77, 50, 10)
    jets = uproot.open("out.root")["Delphes"]["Jet.PT"].array()
    assert min(min(event, default=6) for event in jets.to_list()) > 5.0


def test_weights_have_names(delphes):
    delphes("DelphesHepMC2", CARD, "out.root", HEPMC)
    assert stored()["weight_names"] == ["Weight", "muR"]
    assert uproot.open("out.root")["Delphes"]["Weight.Weight"].array()[0].to_list() == [1.0, 0.5]


@pytest.mark.parametrize("name", ["DelphesSTDHEP", "DelphesLHEF"])
def test_what_cannot_be_read_is_said(delphes, name):
    Path("events.hep").write_bytes(b"\0\0\0\1stdhep")
    Path("events.lhe").write_text('<LesHouchesEvents version="3.0">\n')
    for arguments in ([CARD, "out.root", "events.hep"], [CARD, "out.root", "events.lhe"], [CARD, "out.root"]):
        code, _, errors = delphes(name, *arguments)
        assert code == 1
        assert ("STDHEP" if name == "DelphesSTDHEP" else "partons") in errors
    assert set(os.listdir()) == FILES | {"events.hep", "events.lhe"}
    assert delphes(name, CARD, "out.root", HEPMC)[0] == 0  # HepMC, whatever the executable is called


def test_delphes_root_simulates_the_particle_branch(delphes):
    delphes("DelphesHepMC2", CARD, "first.root", HEPMC)
    code, said, _ = delphes("DelphesROOT", CARD, "again.root", "first.root")
    assert code == 0, said
    first, again = (ak.flatten(uproot.open(p)["Delphes"]["Particle.PT"].array()) for p in ("first.root", "again.root"))
    np.testing.assert_allclose(again, first, rtol=1e-6)


def test_pythia(delphes):
    settings = ["Beams:eCM = 13000.", "WeakSingleBoson:ffbar2gmZ = on", "PartonLevel:MPI = off", "Random:setSeed = on"]
    Path("z.cmnd").write_text("\n".join([*settings, "Main:numberOfEvents = 12"]) + "\n")
    pytest.importorskip("pythia8mc")
    code, said, errors = delphes("DelphesPythia8", CARD, "z.cmnd", "out.root")
    assert code == 0, errors
    assert "** Reading z.cmnd" in said
    assert n_events() == 12
    code, _, errors = delphes("DelphesPythia8", CARD, "nothing.cmnd", "x.root")
    assert (code, os.path.exists("x.root")) == (1, False)
    assert "nothing.cmnd does not exist" in errors


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("DelphesHepMC2", [CARD]), ("DelphesPythia8", [CARD, "a"]), ("DelphesROOT", [CARD, "out.root"])],
)
def test_usage(delphes, name, arguments):
    code, said, errors = delphes(name, *arguments)
    assert (code, said) == (1, "")
    assert errors.startswith(f" Usage: {name} config_file ")
    assert delphes(name, "--help")[:2] == (0, errors)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sed = 3", "there is no setting 'sed'; did you mean 'seed'"),
        ("seed = '3'", "seed must be a int, found '3'"),
        ("seed = -3", "unsigned 64-bit"),
        ("threads = 0", "1 or more"),
        ("format = 'parquet'", "one of auto, delphes, flat"),
        ("format", "not TOML"),
    ],
)
def test_wrong_settings(tmp_path, text, words):
    (tmp_path / "hepgen_fastsim.toml").write_text(text)
    with pytest.raises(hf.InputError, match=words):
        read_settings(tmp_path)


def test_default_settings_are_those_of_the_file(tmp_path):
    assert read_settings(make_folder(tmp_path / "new")) == read_settings(tmp_path / "none") == Settings()


def test_format_by_variable(monkeypatch):
    monkeypatch.setenv(FORMAT_VARIABLE, "flat")
    assert output_format("delphes") == ("flat", FORMAT_VARIABLE)
    monkeypatch.setenv(FORMAT_VARIABLE, "csv")
    with pytest.raises(hf.InputError, match="HEPGEN_DELPHES_FORMAT must be one of auto, delphes, flat, found 'csv'"):
        output_format("auto")


def test_model_of_a_card_that_is_not_installed(delphes, delphes_path, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(delphes_path, folder)
    settings = folder / "hepgen_fastsim.toml"
    settings.write_text("device = 'cpu'\nformat = 'flat'\nobjects = false\n")
    card = (folder / "cards" / "delphes_card_CMS.tcl").read_text().replace('"delphes-cms"', '"delphes-lhcb"')
    Path("lhcb.toml").write_text(card)
    code, said, _ = delphes("DelphesHepMC2", "lhcb.toml", "out.root", HEPMC, folder=folder)
    assert code == 0
    assert "model delphes-lhcb, which is not installed; delphes-cms is taken" in said
    assert stored()["model"] == "delphes-cms"
    assert "Jet.PT" not in uproot.open("out.root")["Delphes"]


def test_progress_is_rare_and_on_one_line(capfd, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    for total, last in (
        (lambda: 100, "** [##############################] (100.00%)"),
        (lambda: None, "** 100 events"),
    ):
        with Progress(total) as progress:
            for _ in range(100):
                now[0] += 0.25
                progress.advance(1)
        shown = capfd.readouterr().err
        assert shown.count("\r") == 50
        assert shown.count("\n") == 1
        assert shown.split("\r")[-2].startswith(last)
