# SPDX-License-Identifier: MIT
"""The form `delphes`: what ROOT, uproot and a compiled program find in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
import samples
import uproot
from hepgen_fastsim.dropin import make_folder
from hepgen_fastsim.dropin.settings import output_format
from hepgen_fastsim.io.layout import BRANCHES, CLASSES

sys.path.insert(0, str(Path(__file__).parents[1] / "io"))
import make_delphes_layout

DELPHES = json.loads(make_delphes_layout.OUTPUT.read_text())

LINKDEF = "#ifdef __CLING__\n{}\n#endif\n"


def test_classes_and_leaves_are_those_of_delphes(written):
    """Names, order, types, versions and checksums: a program with Delphes' own library takes the file for Delphes'."""
    found = make_delphes_layout.layout(written / "a.root")
    assert found["classes"] == DELPHES["classes"]
    assert list(found["branches"]) == list(BRANCHES)
    for name, branch in found["branches"].items():
        assert branch == DELPHES["branches"][name]
        assert list(branch["leaves"]) == list(DELPHES["branches"][name]["leaves"])
    tree = uproot.open(written / "a.root")["Delphes"]
    assert [b.name for b in tree.branches] == [b for name in BRANCHES for b in (name, f"{name}_size")]
    assert tree["Jet_size"].array().to_list() == ak.num(tree["Jet.PT"].array()).to_list()


def test_both_forms_hold_the_same(written, events, tmp_path):
    with hf.open_output(tmp_path / "flat.root", objects=True) as out:
        out.write(*(array[:40] for array in events))
    flat, true = uproot.open(tmp_path / "flat.root")["Delphes"], uproot.open(written / "a.root")["Delphes"]
    checked = 0
    for branch in flat.branches:
        if "." not in branch.name or branch.name.endswith(".Particle"):
            continue
        name = branch.name.replace(".", f"/{branch.name.partition('.')[0]}.", 1).partition("/")[2]
        array = re.fullmatch(r"(.*\.(?:Tau|Edges))(\d)", name)
        if array:
            name, element = array[1] + ("[5]" if array[1].endswith("Tau") else "[4]"), int(array[2]) - 1
            values = true[name].array()[..., element]
        else:
            values = true[name].array()
        assert values.to_list() == branch.array().to_list(), name
        checked += 1
    assert checked > 150


def test_identifiers_restart_in_every_event(written):
    tree = uproot.open(written / "a.root")["Delphes"]
    names = ("Particle", "EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron")
    ids = ak.concatenate([tree[f"{name}.fUniqueID"].array() for name in names], axis=1)
    assert ids.to_list() == [list(range(1, n + 1)) for n in ak.num(ids)]
    particle = tree["EFlowTrack.Particle"].array().ref
    code = tree["Particle.PID"].array()[particle - 1]
    assert code.to_list() == tree["EFlowTrack.PID"].array().to_list()


def test_metadata_and_named_weights(written):
    stored = json.loads(str(uproot.open(written / "a.root")["hepgen_fastsim"]))
    assert stored["seed"] == 3
    assert stored["weight_names"] == ["nominal", "muR=2.0 muF=1.0"]
    assert stored["n_events"] == 40
    tree = uproot.open(written / "a.root")["Delphes"]
    assert tree.title == "Analysis tree"
    assert tree["Weight_size"].array().to_list() == [2] * 40


@pytest.fixture(scope="module")
def reader(tmp_path_factory, root_bin, run_root):
    """The compiled reader, with a dictionary of the classes as Delphes' library has one."""
    from hepgen_fastsim.io.root_tree import declarations

    if shutil.which("g++") is None or not (root_bin / "rootcling").exists():
        pytest.skip("no compiler, or no rootcling")
    folder = tmp_path_factory.mktemp("reader")
    (folder / "DelphesClasses.h").write_text("#pragma once\n" + declarations())
    links = "\n".join(f"#pragma link C++ class {name}+;" for name in CLASSES)
    (folder / "DelphesLinkDef.h").write_text(LINKDEF.format(links))
    shutil.copy(Path(__file__).parent / "read_delphes.cpp", folder)
    run_root(root_bin / "rootcling", "-f", "dict.cxx", "DelphesClasses.h", "DelphesLinkDef.h", cwd=folder)
    flags = ["-std=c++17", "-O1", f"-I{root_bin.parent / 'include'}", "-I."]
    libraries = [f"-L{root_bin.parent / 'lib'}", "-Wl,--no-as-needed", "-lCore", "-lRIO", "-lTree", "-lPhysics"]
    libraries += ["-lMathCore"]
    run_root("g++", *flags, "read_delphes.cpp", "dict.cxx", "-o", "reader", *libraries, cwd=folder)
    return folder / "reader"


def test_compiled_reader_with_clones_arrays(reader, written, events, run_root):
    gen, reco, objects = (array[:40] for array in events)
    found = json.loads(run_root(reader, written / "a.root", cwd=reader.parent).splitlines()[-1])
    track, tower = (reco.pdgid != 22) & (reco.pdgid != 130), (reco.pdgid == 22) | (reco.pdgid == 130)
    jets, fat = objects.jets, objects.fatjets
    in_jets = {}
    for name, mask in (("track", track), ("tower", tower)):
        kept = ak.where(mask, reco.pt, 0.0)
        in_jets[name] = sum(
            float(kept[i][j]) for i, event in enumerate(jets.constituents.to_list()) for jet in event for j in jet
        )
    particle_pt = gen.particles.pt
    expected = {
        "entries": 40,
        "number": ak.sum(gen.number),
        "cross_section": ak.sum(gen.cross_section),
        "weight": ak.sum(gen.weights),
        "unordered": 0,
        "track_pt": ak.sum(reco.pt[track]),
        "track_particle_pt": ak.sum(particle_pt[reco.origin[track]]),
        "other_code": 0,
        "tower_et": ak.sum(reco.pt[tower]),
        "tower_particles": ak.sum(tower),
        "jet_pt": ak.sum(jets.pt),
        "jet_area": 0,
        "jet_track_pt": in_jets["track"],
        "jet_tower_et": in_jets["tower"],
        "jet_particles": ak.sum(ak.num(jets.particles, axis=2)),
        "genjet_particle_pt": sum(
            float(particle_pt[i][j])
            for i, event in enumerate(objects.genjets.constituents.to_list())
            for jet in event
            for j in jet
        ),
        "met": ak.sum(objects.met.pt),
        "electron_pt": ak.sum(objects.electrons.pt),
        "electron_particle_pt": ak.sum(particle_pt[objects.electrons.particle]),
    }
    if ak.sum(ak.num(fat)):
        expected["tau2"] = ak.sum(fat.nsubjettiness[..., 1])
        expected["soft_drop_pt"] = ak.sum(fat.soft_dropped[..., 0].pt)
        expected["soft_drop_same"] = ak.sum(ak.num(fat))
    assert ak.sum(ak.num(objects.electrons)) > 0
    assert ak.sum(ak.num(jets)) > 40
    for name, value in expected.items():
        assert found.get(name, 0) == pytest.approx(float(value), rel=2e-5), name


def test_data_frame_and_draw(root, written, events):
    frame = root.RDataFrame("Delphes", str(written / "a.root"))
    reco, objects = events[1][:40], events[2][:40]
    track = (reco.pdgid != 22) & (reco.pdgid != 130)
    assert frame.Count().GetValue() == 40
    assert frame.Mean("Jet.PT").GetValue() == pytest.approx(ak.mean(objects.jets.pt), rel=1e-5)
    assert frame.Sum("EFlowTrack.PT").GetValue() == pytest.approx(ak.sum(reco.pt[track]), rel=1e-5)
    file = root.TFile.Open(str(written / "a.root"))
    drawn = int(file.Get("Delphes").Draw("Jet.PT", "Jet.PT > 30", "goff"))
    assert drawn == ak.sum(objects.jets.pt > 30)
    file.Close()


@pytest.mark.parametrize("form", ["delphes", "flat"])
def test_hadd(root_bin, run_root, written, events, tmp_path, form):
    if not (root_bin / "hadd").exists():
        pytest.skip("no hadd")
    for name, part in {"a.root": slice(0, 40), "b.root": slice(40, 60)}.items():
        if form == "delphes":
            shutil.copy(written / name, tmp_path / name)
        else:
            with hf.open_output(tmp_path / name, objects=True) as out:
                out.write(*(array[part] for array in events))
    run_root(root_bin / "hadd", "-f", "sum.root", "a.root", "b.root", cwd=tmp_path)
    tree = uproot.open(tmp_path / "sum.root")["Delphes"]
    assert tree.num_entries == 60
    assert tree["Jet.PT"].array().to_list() == events[2].jets.pt.to_list()
    assert sum(len(gen) for gen in hf.read(tmp_path / "sum.root")) == 60


def test_own_output_is_an_input(written, events):
    back = ak.concatenate(list(hf.read(written / "a.root", batch_size=15)))
    np.testing.assert_allclose(ak.flatten(back.particles.px), ak.flatten(events[0].particles.px[:40]), rtol=1e-6)
    assert next(hf.read(written / "a.root")).layout.parameters["weight_names"] == ["nominal", "muR=2.0 muF=1.0"]


def test_nothing_is_left_of_what_is_given_up(tmp_path, events):
    out = hf.open_output(tmp_path / "x.root", "delphes", objects=True)
    out.write(*events)
    with pytest.raises(hf.InputError, match="being written by another process"):
        hf.open_output(tmp_path / "x.root", "delphes")
    out.abort()
    assert os.listdir(tmp_path) == []


def test_events_without_anything(tmp_path):
    gen = next(hf.read({"pdgid": [], "px": [], "py": [], "pz": [], "offsets": [0, 0, 0]}))
    with hf.open_output(tmp_path / "x.root", "delphes") as out:
        out.write(gen, hf.simulate(gen, device="cpu"))
    assert uproot.open(tmp_path / "x.root")["Delphes"].num_entries == 2
    with hf.open_output(tmp_path / "y.root", "delphes"):
        pass
    assert uproot.open(tmp_path / "y.root")["Delphes"].num_entries == 0


def test_the_drop_in_takes_root_where_it_is():
    assert output_format("auto") == ("delphes", "ROOT is installed")


FULL_DISK = """
import resource, signal, sys
sys.path.insert(0, sys.argv[1])
import hepgen_fastsim as hf, samples
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
gen = samples.gen(200, mean=120)
reco = hf.simulate(gen, sys.argv[2], device="cpu")
out = hf.open_output("x.root", "delphes")
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    out.write(gen, reco)
    out.close()
except hf.Error as error:
    print("said:", error)
"""


def test_full_disk(tmp_path, test_models):
    """A limit on the size of files stands for a full disk, which ROOT alone sees."""
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", FULL_DISK, tests, str(test_models / "smear.pt")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "said: writing x.root failed after" in done.stdout, done.stderr
    assert os.listdir(tmp_path) == []


def test_drop_in_with_split_files_and_hadd(root_bin, tmp_path, test_models):
    """What MG5 does on several cores: parts of a file, then `hadd -f`; an environment that is empty but for PATH."""
    folder = make_folder(tmp_path / "Delphes")
    settings = folder / "hepgen_fastsim.toml"
    settings.write_text(settings.read_text().replace('model = "auto"', f'model = "{test_models / "smear.pt"}"'))
    for i in range(2):
        (tmp_path / f"split_{i}").mkdir()
        text = samples.hepmc([samples.pions(6, 100 * i + seed) for seed in range(30)])
        (tmp_path / f"split_{i}" / "events.hepmc").write_text(text)
    commands = [
        f"{folder}/DelphesHepMC2 {folder}/cards/delphes_card_CMS.tcl split_{i}/out.root split_{i}/events.hepmc"
        for i in range(2)
    ]
    hadd = f"LD_LIBRARY_PATH={root_bin.parent}/lib {root_bin}/hadd"
    commands.append(f"{hadd} -f all.root split_0/out.root split_1/out.root")
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    for command in commands:
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    tree = uproot.open(tmp_path / "all.root")["Delphes"]
    assert tree["Jet"].member("fClonesName") == "Jet"
    assert tree["Event.Number"].array()[:, 0].to_list() == [*range(30), *range(30)]
