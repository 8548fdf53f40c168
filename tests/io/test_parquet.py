# SPDX-License-Identifier: MIT
"""GEN events from Parquet files that are not this package's own."""

from __future__ import annotations

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hepgen_fastsim.errors import InputError

PAIRS = {
    "event": [100003, 100001, 700002],
    "process": [1, 1, 7],
    "weight": [1.0, 0.5, 2.0],
    "gen_pdgid": [[211, 22], [], [-11]],
    "gen_pt": [[1.0, 2.0], [], [3.0]],
    "gen_eta": [[0.5, -1.0], [], [2.0]],
    "gen_phi": [[0.1, 3.0], [], [-3.0]],
}


def write(path, columns, **options):
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_training_pairs(tmp_path):
    gen = next(hf.read(write(tmp_path / "pairs.parquet", PAIRS)))
    np.testing.assert_allclose(ak.flatten(gen.particles.pt), [1, 2, 3])
    np.testing.assert_allclose(ak.flatten(gen.particles.eta), [0.5, -1, 2])
    assert gen.particles.charge.to_list() == [[1, 0], [], [1]]
    assert ak.all(gen.particles.status == 1)
    assert gen.event.to_list() == [0, 1, 2]
    assert gen.number.to_list() == PAIRS["event"]
    assert gen.process_id.to_list() == PAIRS["process"]
    assert gen.weights.to_list() == [[1], [0.5], [2]]


@pytest.mark.parametrize("row_group_size", [2, 1000])
def test_range_over_row_groups(tmp_path, row_group_size):
    columns = {name: values * 7 for name, values in PAIRS.items()}
    path = write(tmp_path / "pairs.parquet", columns, row_group_size=row_group_size)
    part = ak.concatenate(list(hf.read(path, batch_size=4, entry_start=5, entry_stop=16)))
    assert part.event.to_list() == list(range(5, 16))
    assert part.number.to_list() == columns["event"][5:16]
    assert part.particles.pdgid.to_list() == columns["gen_pdgid"][5:16]


def test_columns_missing(tmp_path):
    path = write(tmp_path / "jets.parquet", {"jet_pt": [1.0], "gen_pdgid": [[22]]})
    with pytest.raises(InputError, match=r"holds no GEN particles: .* found jet_pt, gen_pdgid"):
        hf.read(path)


def test_truncated_and_damaged(tmp_path):
    columns = {name: values * 500 for name, values in PAIRS.items()}
    columns["gen_pt"] = list(np.random.default_rng(1).random((1500, 4)))
    columns |= {f"gen_{name}": columns["gen_pt"] for name in ("eta", "phi")} | {"gen_pdgid": [[22] * 4] * 1500}
    data = write(tmp_path / "pairs.parquet", columns, compression="zstd").read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="cut cannot be read as a Parquet file"):
        hf.read(tmp_path / "cut")
    (tmp_path / "bad").write_bytes(data[:4] + b"\x00" * 2000 + data[2004:])
    with pytest.raises(InputError, match="bad is damaged: entries from 0 on cannot be read"):
        list(hf.read(tmp_path / "bad"))
