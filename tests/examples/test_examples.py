# SPDX-License-Identifier: MIT
"""The examples, run as a user runs them.

Those with coffea and Dask need a Python that HEPGEN_COFFEA_PYTHON names, with this package; the form `delphes` also
HEPGEN_ROOT_PYTHON (see .ci/long). They are skipped without.
"""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import hepgen_fastsim as hf
import pytest
import samples
import uproot

HERE = Path(__file__).parent
N = 400


def run(python, *command, cwd):
    done = subprocess.run([python, *map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def coffea():
    python = os.environ.get("HEPGEN_COFFEA_PYTHON")
    if not python:
        pytest.skip("HEPGEN_COFFEA_PYTHON names no python with coffea and this package")
    return python


@pytest.fixture(scope="module")
def hepmc(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    for i in range(2):
        text = samples.hepmc([samples.pions(40, 1000 * i + seed) for seed in range(N)])
        (folder / f"part{i}.hepmc").write_text(text)
    return folder


def expected(path):
    tree = uproot.open(path)["Delphes"]
    jets = tree["Jet.Eta"].array()
    return {
        "events": tree.num_entries,
        "jets": int(sum(len(event[abs(event) < 2.5]) for event in jets)),
        "met": pytest.approx(float(tree["MissingET.MET"].array()[:, 0].to_numpy().sum()), rel=1e-4),
    }


def test_les_houches_file_ends_the_run():
    pytest.importorskip("pythia8mc")
    settings = ["Beams:frameType = 4", f"Beams:LHEF = {HERE.parent / 'data' / 'zmm.lhe'}", "PartonLevel:MPI = off"]
    assert sum(len(gen) for gen in hf.read_pythia(settings, n_events=1000, batch_size=30)) == 40


@pytest.mark.parametrize("executor", ["futures", "dask"])
def test_coffea_on_flat_files(coffea, hepmc, tmp_path, test_models, executor):
    gen = next(hf.read(hepmc / "part0.hepmc"))
    reco = hf.simulate(gen, test_models / "smear.pt", device="cpu")
    with hf.open_output(tmp_path / "a.root", objects=True) as out:
        out.write(gen, reco, hf.reconstruct(reco, gen))
    said = run(coffea, HERE / "coffea_analysis.py", "a.root", "--executor", executor, cwd=tmp_path)
    found = ast.literal_eval(said.splitlines()[-1])
    assert found["b_tagged"] <= found["jets"]
    assert {name: found[name] for name in ("events", "jets", "met")} == expected(tmp_path / "a.root")


def test_coffea_with_its_own_schema(coffea, hepmc, tmp_path, test_models):
    python = os.environ.get("HEPGEN_ROOT_PYTHON")
    if not python or subprocess.run([python, "-c", "import ROOT, hepgen_fastsim"], capture_output=True).returncode:
        pytest.skip("HEPGEN_ROOT_PYTHON names no python with ROOT and this package")
    simulate = ["-W", "ignore", "-m", "hepgen_fastsim", "simulate", hepmc / "part0.hepmc", "--device", "cpu"]
    model = test_models / "smear.pt"
    for form in ("delphes", "flat"):
        run(python, *simulate, "-o", f"{form}.root", "--format", form, "--model", model, cwd=tmp_path)
    found = [
        ast.literal_eval(run(coffea, HERE / "coffea_analysis.py", f"{form}.root", cwd=tmp_path).splitlines()[-1])
        for form in ("delphes", "flat")
    ]
    assert found[0] == found[1]
    assert {name: found[0][name] for name in ("events", "jets", "met")} == expected(tmp_path / "flat.root")


def test_many_files_on_a_cluster(coffea, hepmc, tmp_path, test_models):
    files, model = [hepmc / f"part{i}.hepmc" for i in range(2)], test_models / "smear.pt"
    said = run(coffea, HERE / "simulate_on_cluster.py", *files, "-o", "out", "--model", model, cwd=tmp_path)
    assert said.splitlines() == [f"out/part{i}.root: {N} events" for i in range(2)]
    first, second = (uproot.open(tmp_path / "out" / f"part{i}.root")["Delphes"] for i in range(2))
    assert first["EFlowTrack.PT"].array().to_list() != second["EFlowTrack.PT"].array().to_list()
    gen = next(hf.read(files[1]))
    alone = hf.simulate(gen, str(model), 1, device="cpu")
    assert second["EFlowTrack.PT"].array().to_list() == alone.pt[(alone.pdgid != 22) & (alone.pdgid != 130)].to_list()
