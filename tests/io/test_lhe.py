# SPDX-License-Identifier: MIT
"""Parton-level events written for a shower: records, colours, Les Houches and HepMC files that others read."""

from __future__ import annotations

import gzip
from types import SimpleNamespace

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
import torch
from hepgen_fastsim.cli import main
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.io.generated import open_generated
from hepgen_fastsim.io.hard_process import generated_process, hard_process
from hepgen_fastsim.io.lhe import PartonWriter, parton_format

from training.event_gan import describe
from training.export import export
from training.networks.partons import EventFlow
from training.networks.top_pairs import MASSES, TopPairs

CODES = [2, -1, 5, 3, -4, -5]


def tops(n: int, kick: float = 0.0, initial=None, seed: int = 1):
    """Records of top pairs whose transverse momenta are off by ``kick`` GeV per component and quark."""
    generator = torch.Generator().manual_seed(seed)
    p = TopPairs().double().decode(torch.randn(n, 16, dtype=torch.float64, generator=generator))[:, :, :3]
    p = p + kick * torch.randn(p.shape, dtype=torch.float64, generator=generator)
    p[:, 0, :2] += 3 * kick
    return p.numpy(), process(p.numpy(), initial)


def process(p: np.ndarray, initial=None):
    """Records of top pairs of momenta p [n, 6, 3]."""
    return hard_process(np.tile(CODES, (len(p), 1)), p, np.tile(MASSES, (len(p), 1)), initial)


def mass2(p: np.ndarray) -> np.ndarray:
    return p[..., 3] ** 2 - (p[..., :3] ** 2).sum(-1)


def test_a_boost_balances_and_changes_no_mass():
    momenta, found = tops(200, kick=5.0)
    final = found.momenta[:, found.status == 1]
    assert np.abs(momenta[:, :, :2].sum(1)).max() > 10
    np.testing.assert_allclose(final[:, :, :2].sum(1), 0, atol=1e-9)
    np.testing.assert_allclose(mass2(final), found.mass[:, found.status == 1] ** 2, atol=1e-5)
    quarks = np.concatenate([momenta, np.sqrt((momenta**2).sum(2) + np.square(MASSES))[:, :, None]], 2)
    before, after = mass2(quarks[:, :3].sum(1)), found.mass[:, 2] ** 2
    np.testing.assert_allclose(before, after, rtol=1e-9)
    np.testing.assert_allclose(quarks[:, :, 2].sum(1), final[:, :, 2].sum(1), rtol=1e-12, atol=1e-9)


def test_records_are_whole():
    _, found = tops(50)
    assert found.pdgid[0].tolist() == [21, 21, 6, -6, 24, 5, 2, -1, -24, -5, 3, -4]
    for mother in range(1, 13):
        children = (found.mothers[:, 0] <= mother) & (mother <= found.mothers[:, 1]) & (found.mothers[:, 0] > 0)
        if mother > 2 and children.any():
            np.testing.assert_allclose(
                found.momenta[:, children].sum(1), found.momenta[:, mother - 1], rtol=1e-9, atol=1e-6
            )
    np.testing.assert_allclose(found.momenta[:, :2].sum(1), found.momenta[:, 2:4].sum(1), rtol=1e-9, atol=1e-6)
    assert (found.momenta[:, 0, 2] > 0).all()
    assert (found.momenta[:, 1, 2] < 0).all()
    assert ((found.x > 0) & (found.x < 1)).all()


@pytest.mark.parametrize("initial", [(21, 21), (2, -2), (-3, 3)])
def test_colour_is_conserved_at_every_vertex(initial):
    n = 200
    _, found = tops(n, initial=np.tile(initial, (n, 1)))
    for event in range(n):
        colours = found.colours[event]
        for kind, at in (("incoming", [0, 1]), ("t", [2]), ("tbar", [3]), ("W", [4])):
            position = [1, 2] if kind == "incoming" else [i + 1 for i in at]
            children = [i for i in range(12) if found.mothers[i, 0] == position[0]]
            into = sorted(colours[at, 0]), sorted(colours[at, 1])
            out = sorted(colours[children, 0]), sorted(colours[children, 1])
            # lines that go through, less those that end within a side
            free = [sorted(set(side[0]) - set(side[1]) - {0}) for side in (into, out)]
            anti = [sorted(set(side[1]) - set(side[0]) - {0}) for side in (into, out)]
            assert (free[0], anti[0]) == (free[1], anti[1]), kind
    gluon = found.colours[:, :2] > 0
    assert (gluon.sum((1, 2)) == (4 if initial == (21, 21) else 2)).all()


def test_both_flows_of_gluons_occur_and_the_near_one_most():
    _, found = tops(4000)
    first = found.colours[:, 0, 0] == 501
    velocity = found.momenta[:, 2:4, 2] / found.momenta[:, 2:4, 3]
    along = velocity[:, 0] - velocity[:, 1]  # the top goes where the first gluon went
    assert 0.3 < first.mean() < 0.7
    assert first[along > 0].mean() > 0.55 > 0.45 > first[along < 0].mean()


def test_les_houches_file_is_what_pylhe_reads(tmp_path):
    pylhe = pytest.importorskip("pylhe")
    _, found = tops(7)
    path = tmp_path / "tops.lhe.gz"
    with PartonWriter(path, cross_section=(471.0, 0.5), provenance={"model": "a--b"}) as out:
        out.write(found)
    with gzip.open(path, "rt") as file:
        assert '"model": "a- -b"' in file.read()
    read = pylhe.LHEFile.fromfile(str(path))
    assert read.init.procInfo[0].xSection == 471.0
    events = list(read.events)
    assert len(events) == out.n_written == 7
    for i, event in enumerate(events):
        assert [int(p.id) for p in event.particles] == found.pdgid[i].tolist()
        assert [[int(p.mother1), int(p.mother2)] for p in event.particles] == found.mothers.tolist()
        assert [[int(p.color1), int(p.color2)] for p in event.particles] == found.colours[i].tolist()
        momenta = [[p.px, p.py, p.pz, p.e] for p in event.particles]
        np.testing.assert_allclose(momenta, found.momenta[i], rtol=1e-9, atol=1e-9)
        assert event.eventinfo.scale == pytest.approx(found.scale[i], rel=1e-7)


@pytest.mark.parametrize("name", ["tops.hepmc", "tops.hepmc.gz"])
def test_hepmc_file_is_what_pyhepmc_and_we_read(tmp_path, name):
    pyhepmc = pytest.importorskip("pyhepmc")
    _, found = tops(5)
    with PartonWriter(tmp_path / name) as out:
        out.write(found)
    ours = next(hf.read(tmp_path / name)).particles
    with pyhepmc.open(tmp_path / name) as file:
        theirs = list(file)
    assert len(ours) == len(theirs) == 5
    for i, event in enumerate(theirs):
        assert [p.pid for p in event.particles][2:] == found.pdgid[i].tolist() == ours.pdgid[i].to_list()[2:]
        momenta = [[p.momentum.px, p.momentum.py, p.momentum.pz, p.momentum.e] for p in event.particles][2:]
        np.testing.assert_allclose(momenta, found.momenta[i], rtol=1e-9, atol=1e-9)
        parents = [sorted(p.id for p in particle.parents) for particle in event.particles]
        expected = [sorted({int(m) + 2 for m in pair if m > 0}) or [k + 1] for k, pair in enumerate(found.mothers)]
        assert parents == [[], [], *expected]
    assert ours.status[0].to_list() == [4, 4, 21, 21, 2, 2, 2, 1, 1, 1, 2, 1, 1, 1]


def shower(path, n: int) -> int:
    """Events of a Les Houches file that Pythia showers, momentum conserved."""
    pythia8mc = pytest.importorskip("pythia8mc")
    pythia = pythia8mc.Pythia("", False)
    for line in ("Print:quiet = on", "Beams:frameType = 4", f"Beams:LHEF = {path}", "PartonLevel:MPI = off"):
        assert pythia.readString(line)
    assert pythia.init()
    good = sum(pythia.next() for _ in range(n))
    assert not pythia.next()  # the file ends here
    assert pythia.infoPython().sigmaGen() == pytest.approx(471e-9, rel=0.05)  # mb
    return good


def test_pythia_showers_the_file(tmp_path):
    n = 15
    initial = np.array([[21, 21], [1, -1], [-2, 2]] * 5)
    _, found = tops(n, kick=3.0, initial=initial)
    with PartonWriter(tmp_path / "tops.lhe", cross_section=(471.0, 0.5)) as out:
        out.write(found)
    assert shower(tmp_path / "tops.lhe", n) == n


@pytest.mark.slow
def test_pythia_showers_many_events(tmp_path):
    # seeds whose pairs the beams can make
    p = np.concatenate([tops(300, kick=3.0, seed=seed)[0] for seed in range(10)])
    n, found = len(p), process(p)
    with PartonWriter(tmp_path / "tops.lhe.gz", cross_section=(471.0, 0.5)) as out:
        out.write(found)
    assert shower(tmp_path / "tops.lhe.gz", n) >= 0.999 * n


def test_leptons_have_a_quark_line():
    p = np.array([[[30.0, 0, 200], [-30.0, 0, 100]], [[0, 25.0, -200], [0, -25.0, -100]]])
    found = hard_process([[11, -11], [-13, 13]], p, np.zeros((2, 2)))
    assert found.pdgid.tolist() == [[2, -2, 23, 11, -11], [-2, 2, 23, 13, -13]]
    assert found.colours[:, :2].tolist() == [[[501, 0], [0, 501]], [[0, 501], [501, 0]]]
    assert found.momenta[1, 3, 2] == -100  # the lepton was the second
    with pytest.raises(InputError, match="found gluons"):
        hard_process([[11, -11]], p[:1], np.zeros((1, 2)), [[21, 21]])


def test_generated_events_become_records():
    initial = np.array([[21, 21], [2, -2], [-1, 1]])
    momenta, expected = tops(3, initial=initial)
    columns = {axis: momenta[:, :, k].tolist() for k, axis in enumerate(("px", "py", "pz"))}
    particles = ak.zip(columns | {"pdgid": [CODES] * 3, "mass": [list(MASSES)] * 3})
    events = ak.zip({"id1": initial[:, 0].astype(float), "id2": initial[:, 1], "particles": particles}, depth_limit=1)
    found = generated_process(events)
    np.testing.assert_array_equal(found.pdgid, expected.pdgid)
    np.testing.assert_allclose(found.momenta, expected.momenta, rtol=1e-9, atol=1e-9)
    assert generated_process(ak.without_field(events, "id1")).pdgid[:, :2].tolist() == [[21, 21]] * 3
    assert len(generated_process(events[:0])) == 0
    with pytest.raises(InputError, match="of the same number of particles with pdgid, px, py, pz, mass; found no mass"):
        generated_process(ak.without_field(events, ("particles", "mass")))


@pytest.mark.parametrize("suffix", ["lhe.gz", "hepmc"])
def test_the_command_generate_writes_events_for_a_shower(tmp_path, suffix):
    torch.manual_seed(1)
    metadata = describe(SimpleNamespace(name="tops", version="1.0.0", generator="")) | {
        "noise": {"set": 19, "slot": 0},
        "metrics": {},
    }
    metadata["provenance"] |= {"data": [], "seed": 1, "command": "", "torch": "", "cross_section_pb": 471.0}
    model = export(EventFlow(hidden=8), metadata, tmp_path / "tops.pt")
    out = tmp_path / f"tops.{suffix}"
    assert main(["generate", str(model), "-n", "12", "-o", str(out), "--seed", "7"]) == 0
    events = hf.Generator(model, seed=7)(12)
    if suffix == "hepmc":
        p = next(hf.read(out)).particles
        p = p[p.status == 1]
        assert ak.num(p).to_list() == [6] * 12
        np.testing.assert_allclose(ak.sum(p.pz, 1), ak.sum(events.particles.pz, 1), rtol=1e-5, atol=1e-3)
    else:
        assert shower(out, 12) == 12
    with pytest.raises(InputError, match="files are for parton-level events; found jet_pt"):  # noqa: SIM117
        with open_generated(tmp_path / "jets.lhe") as file:
            file.write(ak.Array({"jet_pt": [1.0]}))
    assert not (tmp_path / "jets.lhe").exists()


def test_what_is_no_event_is_refused(tmp_path):
    p = np.ones((1, 6, 3))
    with pytest.raises(InputError, match=r"quarks of t tbar .* found \[2, -1, 5, 1, -3, -5\] in event 0"):
        hard_process([[2, -1, 5, 1, -3, -5]], p, np.zeros((1, 6)))
    with pytest.raises(InputError, match=r"colours of this process are not known.*found \[22, 22, 22\]"):
        hard_process([[22, 22, 22]], p[:, :3], np.zeros((1, 3)))
    with pytest.raises(InputError, match=r"event 0 needs partons of .* each beam has 6500 GeV"):
        hard_process([CODES], 5000 * np.random.default_rng(1).normal(size=(1, 6, 3)), np.zeros((1, 6)))
    with pytest.raises(InputError, match=r"two gluons or a quark and its antiquark .* found \[2, 21\] in event 0"):
        tops(1, initial=[[2, 21]])
    with pytest.raises(InputError, match=r"ends in \.lhe, \.lhe\.gz, .*found events\.root"):
        PartonWriter("events.root")


def test_a_failed_run_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), PartonWriter(tmp_path / "a.lhe.gz") as out:  # noqa: PT012
        out.write(tops(3)[1])
        raise KeyboardInterrupt
    with pytest.raises(InputError, match=r"beams of 14000\.0 GeV together, found events of 13000\.0 GeV"):
        PartonWriter(tmp_path / "b.lhe", e_cm=14_000.0).write(tops(1)[1])
    assert list(tmp_path.iterdir()) == []


def test_suffixes():
    names = ["a.lhe", "a.LHE.GZ", "a.hepmc", "a.hepmc3", "a.hepmc.gz", "a.parquet", "lhe"]
    assert [parton_format(name) for name in names] == ["lhe", "lhe", "hepmc", "hepmc", "hepmc", None, None]
