# SPDX-License-Identifier: MIT
"""Parquet files: one row per event, GEN columns as `hf.read` has them (gen_*), RECO columns (reco_*), nothing rounded.

The footer's key `hepgen_fastsim` holds JSON: weight names, model, sha256, seed, streams, command.
"""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hepgen_fastsim.events import INFO, PARTICLE
from hepgen_fastsim.fastsim import RECO
from hepgen_fastsim.io.parquet import METADATA_KEY
from hepgen_fastsim.io.writer import Writer

__all__ = ["ParquetWriter"]

_RECO_TYPES = dict.fromkeys(RECO, np.float32) | {"pdgid": np.int64, "charge": np.int32, "origin": np.int64}

SCHEMA = pa.schema(
    [("event", pa.int64())]
    + [(name, pa.from_numpy_dtype(kind)) for name, kind in INFO.items()]
    + [("weights", pa.list_(pa.float64()))]
    + [(f"gen_{name}", pa.list_(pa.from_numpy_dtype(kind))) for name, kind in PARTICLE.items()]
    + [(f"reco_{name}", pa.list_(pa.from_numpy_dtype(_RECO_TYPES[name]))) for name in RECO]
)


class ParquetWriter(Writer):
    """Writes Parquet, one row group per batch."""

    def _start(self) -> None:
        self._file = pq.ParquetWriter(pa.PythonFile(self._part.file, mode="w"), SCHEMA, compression="zstd")

    def _append(self, gen: ak.Array, reco: ak.Array, objects: ak.Array | None) -> None:
        n_events = len(gen)
        weights = ak.to_numpy(ak.to_regular(gen["weights"], axis=1)).reshape(n_events, -1)
        bounds = np.arange(n_events + 1) * weights.shape[1]
        columns = {name: pa.array(ak.to_numpy(gen[name])) for name in ("event", *INFO)}
        columns["weights"] = pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), pa.array(weights.ravel()))
        columns |= _lists("gen_", gen["particles"]) | _lists("reco_", reco)
        self._file.write_table(pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA))

    def _finish(self) -> None:
        self._file.add_key_value_metadata({METADATA_KEY.decode(): json.dumps(self.metadata())})
        self._file.close()

    def _drop(self) -> None:
        self._file.close()  # otherwise it tries that when it is collected


def _lists(prefix: str, array: ak.Array) -> dict[str, pa.Array]:
    layout = ak.to_packed(array, highlevel=False).to_ListOffsetArray64(True)
    offsets = pa.array(np.asarray(layout.offsets.data), pa.int32())
    return {
        prefix + name: pa.ListArray.from_arrays(offsets, pa.array(np.asarray(layout.content[name].data)))
        for name in layout.content.fields
        if prefix + name in SCHEMA.names
    }
