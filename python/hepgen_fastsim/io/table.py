# SPDX-License-Identifier: MIT
"""Tables in Parquet, row group by row group: written aside, renamed when complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from hepgen_fastsim.errors import Error
from hepgen_fastsim.io.part_file import PartFile

__all__ = ["TableFile"]


class TableFile:
    """A Parquet file whose columns are those of the first table; a context manager, completed when it is left.

    Nothing stays if an exception leaves it. `n_rows` have been written so far.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self._part = PartFile(path, overwrite=overwrite)
        self._writer: pq.ParquetWriter | None = None
        self.n_rows = 0

    def write(self, table: pa.Table) -> None:
        """Append the rows; Error if the disk refuses."""
        with self._disk():
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._part.file, table.schema, compression="zstd")
            self._writer.write_table(table.select(self._writer.schema.names))
        self.n_rows += len(table)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Error(
                f"writing {self._part.path} failed after {self.n_rows} rows: {error.strerror or error}; "
                "nothing is left of it."
            ) from error

    def __enter__(self) -> TableFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        complete = False
        try:
            with self._disk() if kind is None else suppress(Exception):
                if self._writer is not None:
                    self._writer.close()
                if kind is None:
                    self._part.commit()
                    complete = True
        finally:
            if not complete:
                self._part.discard()
