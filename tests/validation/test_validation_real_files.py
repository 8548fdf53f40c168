# SPDX-License-Identifier: MIT
"""Delphes' own files: references by identifiers that are no positions."""

from __future__ import annotations

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
from hepgen_fastsim.validation import compare
from hepgen_fastsim.validation.root_source import _Record
from hepgen_fastsim.validation.sources import open_source


def test_references_name_identifiers_not_positions():
    """Two events; the second tower holds a photon of 5 GeV and a pion of 50 GeV, of which the ECal sees the photon."""
    arrays = ak.Array(
        {
            "Particle.fUniqueID": [[3, 1, 2], [2, 1]],
            "Particle.PID": [[211, 22, 13], [22, -211]],
            "Particle.E": [[50.0, 5.0, 9.0], [1.0, 2.0]],
            "EFlowTrack.Particle": [[{"ref": 2}, {"ref": 9}], [{"ref": 1}]],
            "EFlowPhoton.Particles": [[{"refs": [1]}, {"refs": [3, 1]}], [{"refs": []}]],
            "EFlowNeutralHadron.Particles": [[{"refs": [1, 3]}], []],
        }
    )
    record = _Record(arrays)
    assert record.tracks(arrays, np.array([0, 0, 1])).tolist() == [2, -1, 1]
    assert record.towers(arrays, "EFlowPhoton", np.array([0, 0, 1])).tolist() == [1, 1, -1]
    assert record.towers(arrays, "EFlowNeutralHadron", np.array([0])).tolist() == [0]


@pytest.mark.data
def test_links_of_a_delphes_file(data_folder):
    path = data_folder / "real" / "delphes_ttbar100.root"
    source = open_source(path)
    assert (source.n_events, source.format, source.has_links) == (100, "ROOT, Delphes", True)
    assert source.seconds > 0  # Delphes notes its processing time
    reco = source.take(np.arange(100))
    code = next(hf.read(path)).particles.pdgid
    track = (reco.pdgid != 22) & (reco.pdgid != 130)
    assert ak.all(code[reco.origin[track]] == reco.pdgid[track])
    photon = reco.pdgid == 22
    led = ak.to_numpy(ak.flatten(code[reco.origin[photon]]))
    assert np.mean(led == 22) > 0.98


@pytest.mark.data
def test_the_rerun_of_delphes_is_inside_its_band(data_folder):
    """The rerun as candidate, the first half of the events against the band of the same events."""
    val = data_folder / "val"
    reference, rerun = val / "val.parquet", val / "val_rerun.parquet"
    report = compare(reference, rerun, rerun, max_events=400, n_swaps=50, use_classifiers=False)
    assert report.metrics["summary"]["share_inside"] > 0.85
    assert report.metrics["summary"]["median_ratio"] == 1.0
    for row in report.metrics["jets"]["pt"]:
        if "median" in row:
            assert 0.9 < row["median"]["reference"] < 1.1
