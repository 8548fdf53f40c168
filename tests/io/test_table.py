# SPDX-License-Identifier: MIT
"""Tables are written aside; what is not complete leaves nothing."""

from __future__ import annotations

import hepgen_fastsim as hf
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hepgen_fastsim.io import part_file
from hepgen_fastsim.io.table import TableFile


def test_rows_in_the_columns_of_the_first_table(tmp_path):
    path = tmp_path / "a.parquet"
    with TableFile(path) as out:
        out.write(pa.table({"x": [1, 2], "y": [0.5, 1.5]}))
        assert not path.exists()
        out.write(pa.table({"y": [2.5], "z": ["-"], "x": [3]}))
        assert out.n_written == 3
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]
    assert pq.read_table(path).to_pydict() == {"x": [1, 2, 3], "y": [0.5, 1.5, 2.5]}
    with pytest.raises(hf.InputError, match="exists already"):
        TableFile(path)


def test_an_exception_leaves_nothing_but_what_was_there(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_text("before")

    def broken():
        with TableFile(path, overwrite=True) as out:
            out.write(pa.table({"x": [1]}))
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]
    assert path.read_text() == "before"


class FullDisk:
    """In the place of a part file, a device that takes nothing."""

    def __init__(self, path, *, overwrite):
        self.path = path
        self.file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115

    def discard(self):
        self.file.close()


def test_a_full_disk_is_an_error(monkeypatch):
    monkeypatch.setattr(part_file, "PartFile", FullDisk)
    with (
        pytest.raises(hf.Error, match=r"writing a.parquet failed after 0 rows: No space left"),
        TableFile("a.parquet") as out,
    ):
        out.write(pa.table({"x": list(range(100_000))}))
