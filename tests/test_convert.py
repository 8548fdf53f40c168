# SPDX-License-Identifier: MIT
"""Training pairs from Delphes' files: links, matching, layout, and what is said when something is missing."""

from __future__ import annotations

import hepgen_fastsim as hf
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from hepgen_fastsim.cli import main
from hepgen_fastsim.convert import convert
from hepgen_fastsim.convert_match import match_towers, match_tracks
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.helix import follow


def particle(pdgid, pt, eta, phi, charge, mass=0.0, vertex=(0.0, 0.0, 0.0), status=1):
    """A row of the Particle branch."""
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
    return dict(zip(PARTICLE, (pdgid, status, charge, mass, energy, px, py, pz, *vertex)))


PARTICLE = ("PID", "Status", "Charge", "Mass", "E", "Px", "Py", "Pz", "X", "Y", "Z")
INTEGERS = ("PID", "Status", "Charge")
#: a parent; a soft and a hard pion of opposite charge; a photon; a neutron beyond the acceptance; a neutrino
RECORD = [
    particle(23, 30.0, 0.5, 1.0, 0, 91.0, status=2),
    particle(211, 2.0, 0.30, 0.10, 1, 0.13957),
    particle(-211, 20.0, -1.00, 2.00, -1, 0.13957),
    particle(22, 12.0, 1.20, -2.00, 0, vertex=(0.0, 5e-4, 40.0)),
    particle(2112, 50.0, 5.50, 0.00, 0, 0.93957),
    particle(12, 8.0, 0.00, 3.00, 0),
]


def write(path, drop=()):
    """One event of `RECORD` and one without anything, in a file without references."""
    momentum, (charge,), vertex = _columns("Px", "Py", "Pz"), _columns("Charge"), _columns("X", "Y", "Z")
    arrival = follow(momentum, charge, vertex)
    track = {"PID": [-211, 211], "Charge": [-1, 1], "PT": [20.5, 1.9], "Eta": [-1.0, 0.3], "Phi": [2.0, 0.1]}
    photon = {"ET": [11.5], "Eta": [arrival.eta_out[3] + 0.01], "Phi": [arrival.phi_out[3] - 0.005]}
    neutral = {"ET": [4.0, 1.0], "Eta": [arrival.eta_out[2] + 0.03, 4.0], "Phi": [arrival.phi_out[2] - 0.04, -1.5]}
    branches = {"Particle": {name: [p[name] for p in RECORD] for name in PARTICLE}}
    branches |= {"EFlowTrack": track, "EFlowPhoton": photon, "EFlowNeutralHadron": neutral}
    types, arrays = {}, {}
    for branch, leaves in branches.items():
        for leaf, values in leaves.items():
            name = f"{branch}.{leaf}"
            if name in drop:
                continue
            kind = np.int32 if leaf in INTEGERS else np.float32
            types[name] = f"var * {np.dtype(kind).name}"
            arrays[name] = [np.asarray(values, kind), np.empty(0, kind)]
    with uproot.recreate(path) as file:
        import awkward as ak

        made = {name: ak.Array([list(v) for v in lists]) for name, lists in arrays.items()}
        made = {name: ak.values_astype(v, types[name].split()[-1]) for name, v in made.items()}
        file.mktree("Delphes", types, counter_name=lambda c: c.replace(".", "_") + "_size")
        file["Delphes"].extend(made)
    return path


def _columns(*names):
    return [np.array([p[name] for p in RECORD]) for name in names]


def test_matched_pairs(tmp_path):
    done = convert([write(tmp_path / "a.root")], tmp_path / "pairs.parquet", process=3)
    assert (done.n_events, done.n_constituents, done.n_unlinked) == (2, 5, 1)
    assert set(done.by.values()) == {"matching"}
    rows = pq.read_table(tmp_path / "pairs.parquet").to_pylist()
    first, second = rows
    assert [row["event"] for row in rows] == [300_000, 300_001]
    # stable, within the acceptance, descending in pT
    assert first["gen_pdgid"] == [-211, 22, 12, 211]
    assert first["gen_pt"] == pytest.approx([20.0, 12.0, 8.0, 2.0], rel=1e-6)
    assert first["gen_vy"][1] == 0.0
    assert first["gen_vz"][1] == 40.0
    assert first["reco_type"] == [0, 0, 1, 2, 2]
    assert first["reco_pid"] == [-211, 211, 22, 130, 130]
    assert first["reco_gen_index"] == [0, 3, 1, 0, -1]  # the pion leads its tower, too; nobody is near the last one
    assert second["gen_pdgid"] == second["reco_pt"] == []
    with pytest.raises(InputError, match=r"pairs\.parquet exists"):
        convert([tmp_path / "a.root"], tmp_path / "pairs.parquet")


def test_training_and_engine_read_the_pairs(tmp_path):
    convert([write(tmp_path / "a.root")], tmp_path / "pairs.parquet")
    from training.data import events

    pairs = events.load(tmp_path / "pairs.parquet")
    assert pairs.offsets.tolist() == [0, 4, 4]
    assert pairs.track_pt.tolist() == pytest.approx([20.5, 0.0, 0.0, 1.9])
    assert (pairs.tower[:, :, 0] > 0).tolist() == [[False, True], [True, False], [False, False], [False, False]]
    with hf.read(tmp_path / "pairs.parquet") as reader:
        gen = next(iter(reader))
    assert gen["particles"].pdgid.to_list()[0] == [-211, 22, 12, 211]


def test_errors_say_what_is_missing(tmp_path):
    write(tmp_path / "a.root", drop=("EFlowPhoton.ET", "Particle.Px"))
    with pytest.raises(InputError, match=r"Particle\.Px, EFlowPhoton\.ET are missing, found EFlowNeutralHadron"):
        convert([tmp_path / "a.root"], tmp_path / "out.parquet")
    with pytest.raises(InputError, match=r"has no references: Particle\.fUniqueID"):
        convert([write(tmp_path / "b.root")], tmp_path / "out.parquet", links="references")
    with pytest.raises(InputError, match="no tree 'Events'; found Delphes"):
        convert([tmp_path / "b.root"], tmp_path / "out.parquet", tree="Events")
    (tmp_path / "c.root").write_bytes(b"root" + bytes(500))
    with pytest.raises(InputError, match="no tree 'Delphes'; found nothing"):
        convert([tmp_path / "c.root"], tmp_path / "out.parquet")
    (tmp_path / "d.root").write_bytes((tmp_path / "b.root").read_bytes()[:600])
    with pytest.raises(InputError, match=r"d\.root"):
        convert([tmp_path / "d.root"], tmp_path / "out.parquet")
    with pytest.raises(InputError, match="no events"):
        convert([tmp_path / "b.root"], tmp_path / "out.parquet", entry_start=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.root",
        "b.root",
        "c.root",
        "d.root",
    ]  # nothing left behind


def test_command(tmp_path, capfd):
    write(tmp_path / "a.root")
    out = str(tmp_path / "pairs.parquet")
    assert main(["convert", str(tmp_path / "a.root"), str(tmp_path / "a.root"), "-o", out]) == 0
    assert "4 events, 10 constituents linked by matching (2 without a particle)" in capfd.readouterr().err
    assert pq.read_table(out)["event"].to_pylist() == [100_000, 100_001, 100_002, 100_003]
    assert main(["convert", str(tmp_path / "a.root"), "-o", out]) == 1
    assert main(["convert", str(tmp_path / "a.root"), "-o", out, "--overwrite", "--entry-stop", "1"]) == 0
    assert len(pq.read_table(out)) == 1


def test_nearest_pairs_first_and_each_particle_once():
    gen = {"pt": np.array([10.0, 10.0, 9.0]), "eta": np.array([0.0, 0.01, 0.0]), "charge": np.array([1, 1, -1])}
    gen |= {"pdgid": np.array([211, 211, -211]), "energy": np.array([10.0, 10.0, 9.0])}
    momentum = gen["pt"], np.zeros(3), gen["pt"] * np.sinh(gen["eta"])
    where = follow(momentum, 0 * gen["charge"], np.zeros((3, 3)))
    tracks = match_tracks(np.array([0.004, 0.0]), np.zeros(2), np.array([10.0, 10.0]), np.array([1, 1]), gen, where)
    assert tracks.tolist() == [1, 0]  # the second is the better partner of the first particle
    far = match_tracks(np.array([0.2]), np.zeros(1), np.array([10.0]), np.array([1]), gen, where)
    assert far.tolist() == [-1]
    towers = match_towers(130, np.array([0.0]), np.zeros(1), gen, where, np.array([True, True, False]))
    assert towers.tolist() == [2]  # others are harder, but have a track
    assert match_towers(22, np.array([0.0]), np.zeros(1), gen, where, np.zeros(3, bool)).tolist() == [-1]


@pytest.fixture(scope="module")
def real(data_folder, tmp_path_factory):
    """Delphes' file of 100 events, by references and by matching: columns, with rows of leaders."""
    folder, found = tmp_path_factory.mktemp("pairs"), {}
    for links in ("references", "matching"):
        source = data_folder / "real" / "delphes_ttbar100.root"
        found["done", links] = convert([source], folder / f"{links}.parquet", links=links)
        table = pq.read_table(folder / f"{links}.parquet")
        columns = {
            n: table[n].combine_chunks().flatten().to_numpy() for n in table.column_names if n[:4] in ("gen_", "reco")
        }
        gen, reco = (np.cumsum([0, *map(len, table[n].to_pylist())]) for n in ("gen_pt", "reco_pt"))
        index = columns["reco_gen_index"]
        columns["leader"] = np.where(index >= 0, index + np.repeat(gen[:-1], np.diff(reco)), -1)
        found[links] = columns
    return found


@pytest.mark.data
def test_links_of_a_real_file(real):
    assert real["done", "references"].n_unlinked == 0
    c = real["references"]
    track, photon, neutral = (c["reco_type"] == k for k in range(3))
    leader = c["leader"]
    assert (c["gen_pdgid"][leader[track]] == c["reco_pid"][track]).all()
    for kind in (track, photon, neutral):
        assert len(np.unique(leader[kind])) == kind.sum()  # at most one each
    np.testing.assert_allclose(c["reco_eta"][track], c["gen_eta"][leader[track]], atol=1e-6)
    assert (c["gen_pdgid"][leader[photon]] == 22).mean() > 0.985
    assert (np.abs(c["gen_pdgid"][leader[neutral]]) == 211).mean() == pytest.approx(0.65, abs=0.03)
    assert np.isin(leader[neutral], leader[track]).mean() == pytest.approx(0.07, abs=0.02)


@pytest.mark.data
def test_matching_finds_the_links_of_a_real_file(real):
    by_reference, by_matching = real["references"], real["matching"]
    for kind, agree in ((0, 0.999), (1, 0.96), (2, 0.87)):
        on = by_reference["reco_type"] == kind
        a, b = by_reference["leader"][on], by_matching["leader"][on]
        same = (b >= 0) & (by_reference["gen_pt"][a] == by_matching["gen_pt"][b])
        assert same.mean() > agree
