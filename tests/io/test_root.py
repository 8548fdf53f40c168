# SPDX-License-Identifier: MIT
"""ROOT itself reads the flat files, by RDataFrame, TTreeReader, Draw and hadd.

ROOT lives in an environment of its own: HEPGEN_ROOT_PYTHON names its python. The tests are skipped without it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
import samples
import uproot
from hepgen_fastsim.cards import load_card

SCRIPT = """
import json, ROOT
ROOT.gROOT.SetBatch(True)
frame = ROOT.RDataFrame("Delphes", "a.root")
linked = frame.Define("gen", "ROOT::VecOps::Take(Particle.PT, EFlowTrack.Particle)").Define("sum", "Sum(gen)")
file = ROOT.TFile.Open("a.root")
reader = ROOT.TTreeReader("Delphes", file)
array = ROOT.TTreeReaderArray["float"](reader, "EFlowPhoton.ET")
photons = 0
while reader.Next():
    photons += array.GetSize()
merger = ROOT.TFileMerger(False)
merger.OutputFile("sum.root", "RECREATE")
merger.AddFile("a.root")
merger.AddFile("b.root")
assert merger.Merge()
result = {
    "entries": frame.Count().GetValue(),
    "tracks": frame.Sum("EFlowTrack_size").GetValue(),
    "pt": frame.Mean("EFlowTrack.PT").GetValue(),
    "gen": linked.Sum("sum").GetValue(),
    "photons": photons,
    "drawn": int(file.Get("Delphes").Draw("EFlowTrack.PT", "EFlowTrack.PT > 1", "goff")),
}
print(json.dumps(result))
"""


def test_root_reads_flat_files(tmp_path, test_models):
    python = os.environ.get("HEPGEN_ROOT_PYTHON")
    if not python:
        pytest.skip("HEPGEN_ROOT_PYTHON names no python with ROOT")
    gen = samples.gen(80)
    reco = hf.simulate(gen, test_models / "smear.pt", device="cpu")
    cms = load_card("cms")
    soft = dataclasses.replace(cms, fatjets=dataclasses.replace(cms.fatjets, pt_min=2.0))
    objects = hf.reconstruct(reco, gen, soft)
    assert ak.sum(ak.num(objects.fatjets)) > 50
    for name, part in (("a.root", slice(0, 50)), ("b.root", slice(50, 80))):
        with hf.open_output(tmp_path / name, objects=True) as out:
            out.write(gen[part], reco[part], objects[part])
    done = subprocess.run([python, "-W", "ignore", "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    first = reco[:50]
    track = (first.pdgid != 22) & (first.pdgid != 130)
    assert found["entries"] == 50
    assert found["tracks"] == ak.sum(track)
    assert found["photons"] == ak.sum(first.pdgid == 22)
    assert found["drawn"] == ak.sum(first.pt[track] > 1)
    np.testing.assert_allclose(found["pt"], ak.mean(first.pt[track]), rtol=1e-5)
    np.testing.assert_allclose(found["gen"], ak.sum(gen.particles[:50].pt[first.origin[track]]), rtol=1e-5)
    merged = uproot.open(tmp_path / "sum.root")["Delphes"]
    assert merged.num_entries == 80
    assert merged["FatJet.Tau2"].array().to_list() == objects.fatjets.nsubjettiness[..., 1].to_list()
    assert (
        merged["EFlowTrack.PT"].array()[50:].to_list()
        == reco.pt[(reco.pdgid != 22) & (reco.pdgid != 130)][50:].to_list()
    )
