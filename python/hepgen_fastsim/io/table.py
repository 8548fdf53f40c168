# SPDX-License-Identifier: MIT
"""Tables in Parquet, row group by row group: written aside, renamed when complete."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from hepgen_fastsim.io.part_file import Output

__all__ = ["TableFile"]


class TableFile(Output):
    """A Parquet file whose columns are those of the first table."""

    unit = "rows"
    _writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        """Append the rows; Error if the disk refuses."""
        with self._disk():
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._part.file, table.schema, compression="zstd")
            self._writer.write_table(table.select(self._writer.schema.names))
        self.n_written += len(table)

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()

    _drop = _finish  # otherwise it tries that when it is collected
