# SPDX-License-Identifier: MIT
"""GEN batches from Parquet: the files that this package writes, and training pairs (gen_pdgid, gen_pt, gen_eta, …)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.events import CARTESIAN, INFO, PARTICLE, POLAR, GenColumns, gen_batch
from hepgen_fastsim.io.reader import GenReader

__all__ = ["METADATA_KEY", "read_parquet"]

METADATA_KEY = b"hepgen_fastsim"
"""Key of the schema's metadata under which weight names and provenance stand as JSON."""


def read_parquet(
    path: str, *, batch_size: int = 1000, entry_start: int = 0, entry_stop: int | None = None
) -> GenReader:
    """GEN batches from the columns gen_* of a Parquet file; arguments as those of `hf.read`.

    Training pairs have no status (all are stable), no mass and charge (they follow from the PDG code), and `weight`
    instead of `weights`; their `event` is the generator's number, the position in the file is the noise key.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as a Parquet file: {str(error).splitlines()[0]}") from error
    there = set(file.schema_arrow.names)
    particle = [name for name in (*PARTICLE, *POLAR) if f"gen_{name}" in there]
    if "pdgid" not in particle or not any(set(names) <= set(particle) for names in (CARTESIAN, POLAR)):
        raise InputError(
            f"{path} holds no GEN particles: the columns gen_pdgid and gen_px, gen_py, gen_pz or gen_pt, gen_eta, "
            "gen_phi "
            f"are expected, found {', '.join(file.schema_arrow.names[:8])}."
        )
    if set(CARTESIAN) <= set(particle):
        particle = [name for name in particle if name not in POLAR]
    own = json.loads((file.metadata.metadata or {}).get(METADATA_KEY, b"{}"))
    own["streams"] = sorted({entry["stream"] for entry in own.get("inputs", [])})
    n = file.metadata.num_rows
    stop = min(n, n if entry_stop is None else entry_stop)
    event = [name for name in (*INFO, "weights", "weight", "event", "process") if name in there]
    columns = [f"gen_{name}" for name in particle] + event

    def batches() -> Iterator[ak.Array]:
        done = entry_start
        try:
            if done >= stop:
                return
            stream = own["streams"][0] if len(own["streams"]) == 1 else _stream(file, particle)
            for record in _records(file, columns, batch_size, entry_start, stop):
                yield _batch(record, particle, done, stream, own, path)
                done += record.num_rows
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{path} is damaged: entries from {done} on cannot be read ({str(error).splitlines()[0]})."
            ) from error

    return GenReader(batches(), source=path, format="parquet", n_events=max(0, stop - entry_start), owned=(file,))


def _stream(file: pq.ParquetFile, particle: list[str]) -> int:
    first = next(file.iter_batches(1, columns=[f"gen_{name}" for name in particle]))
    return _columns(first, particle, 0, None).key()


def _records(
    file: pq.ParquetFile, columns: list[str], batch_size: int, start: int, stop: int
) -> Iterator[pa.RecordBatch]:
    """Record batches of the rows start <= row < stop; row groups outside are not touched."""
    groups, first = [], 0
    position = None
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if first + rows > start and first < stop:
            groups.append(group)
            position = first if position is None else position
        first += rows
    position = position or 0
    for record in file.iter_batches(batch_size, row_groups=groups, columns=columns):
        low, high = max(start - position, 0), min(stop - position, record.num_rows)
        position += record.num_rows
        if low < high:
            yield record.slice(low, high - low)


def _columns(record: pa.RecordBatch, particle: list[str], start: int, stream: int | None) -> GenColumns:
    columns: dict[str, np.ndarray] = {}
    offsets = np.zeros(1, np.int64)
    for name in particle:
        lists = record.column(f"gen_{name}")
        bounds = np.asarray(lists.offsets, dtype=np.int64)
        column = lists.values.slice(bounds[0], bounds[-1] - bounds[0]).to_numpy(zero_copy_only=False)
        if name in POLAR:
            column = column.astype(np.float64)
        columns[name] = column if name in POLAR else np.ascontiguousarray(column, dtype=PARTICLE[name])
        offsets = bounds - bounds[0]
    return GenColumns(columns, offsets, np.arange(start, start + record.num_rows), stream)


def _batch(
    record: pa.RecordBatch, particle: list[str], start: int, stream: int, own: dict[str, Any], path: str
) -> ak.Array:
    gen = _columns(record, particle, start, stream)
    names = set(record.schema.names)
    info = {name: record.column(name).to_numpy(zero_copy_only=False) for name in INFO if name in names}
    if "process" in names:
        info.setdefault("process_id", record.column("process").to_numpy())
    weights, weight_names = None, own.get("weight_names") or ["weight"]
    if "weights" in names:
        weights = np.asarray(record.column("weights").flatten(), np.float64).reshape(record.num_rows, -1)
        if len(own["streams"]) == 1:  # events of one sample keep their keys, and so their random numbers
            gen.event = record.column("event").to_numpy()
    elif "weight" in names:
        weights = record.column("weight").to_numpy().astype(np.float64)[:, None]
        if "event" in names:
            info.setdefault("number", record.column("event").to_numpy())
    return gen_batch(gen, info=info, weights=weights, weight_names=weight_names, source=path)
