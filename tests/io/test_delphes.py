# SPDX-License-Identifier: MIT
"""GEN events from Delphes' ROOT files."""

from __future__ import annotations

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
import samples
import uproot
from hepgen_fastsim.errors import InputError


@pytest.fixture
def path(tmp_path, test_models):
    gen = samples.gen(40)
    with hf.open_output(tmp_path / "out.root") as out:
        for i in range(0, 40, 10):
            out.write(gen[i : i + 10], hf.simulate(gen[i : i + 10], test_models / "smear.pt", device="cpu"))
    return tmp_path / "out.root"


def test_range_and_tree(path):
    part = list(hf.read(f"{path}:Delphes", batch_size=8, entry_start=5, entry_stop=25))
    assert [len(batch) for batch in part] == [8, 8, 4]
    assert ak.concatenate(part).event.to_list() == list(range(5, 25))
    assert part[0].layout.parameters["stream"] == next(hf.read(path)).layout.parameters["stream"]


def test_wrong_tree(path):
    with pytest.raises(InputError, match=r"has no tree 'Delfes'; did you mean .*out\.root:Delphes\?"):
        hf.read(f"{path}:Delfes")


def test_missing_branches(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("Delphes", {"Jet.PT": np.float32}).extend({"Jet.PT": np.ones(3, np.float32)})
    with pytest.raises(
        InputError, match=r"branches Particle.PID, .* are missing, found Jet.PT; was `Particle` left out"
    ):
        hf.read(tmp_path / "a.root")


def test_truncated(path, tmp_path):
    data = path.read_bytes()
    (tmp_path / "cut.root").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.root"):
        list(hf.read(tmp_path / "cut.root"))


def test_overwritten_basket(path, tmp_path):
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 30_000] = b"\x00" * 30_000
    (tmp_path / "bad.root").write_bytes(data)
    with pytest.raises(InputError, match=r"bad\.root (is damaged: entries from \d+ on|cannot be read as a ROOT file)"):
        list(hf.read(tmp_path / "bad.root", batch_size=5))


@pytest.mark.data
def test_delphes_own_file_and_its_hepmc_are_the_same_events(data_folder):
    (root,) = hf.read(data_folder / "real" / "delphes_ttbar100.root")
    (text,) = hf.read(data_folder / "real" / "ttbar100.hepmc.gz")
    assert ak.num(root.particles).to_list() == ak.num(text.particles).to_list()
    assert ak.sum(root.particles.status == 1) == ak.sum(text.particles.status == 1)
    for name in ("px", "py", "pz", "vz", "vt"):
        a, b = (np.sort(ak.to_numpy(ak.flatten(gen.particles[name]))) for gen in (root, text))
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(root.cross_section, text.cross_section, rtol=1e-6)
    assert root.process_id.to_list() == text.process_id.to_list()
