# SPDX-License-Identifier: MIT
"""GEN batches from arrays in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import awkward as ak
import numpy as np

from hepgen_fastsim.events import GenColumns, columns_of, gen_batch, parameter
from hepgen_fastsim.io.reader import GenReader

__all__ = ["as_gen", "read_array"]


def as_gen(events: ak.Array | Mapping[str, Any]) -> ak.Array:
    """GEN events in any accepted form as a full GEN batch; a batch that is one already is returned as it is."""
    if isinstance(events, ak.Array) and {"particles", "event", "weights", "number"} <= set(events.fields):
        return events
    columns = columns_of(events)
    columns.stream = columns.key()
    return gen_batch(columns)


def read_array(
    events: ak.Array | Mapping[str, Any], *, batch_size: int, entry_start: int, entry_stop: int | None
) -> GenReader:
    """GEN batches of events that are in memory; `event` counts the entries unless it is given."""
    if isinstance(events, ak.Array) and "particles" in events.fields and "event" in events.fields:
        full = as_gen(events)
        stop = min(len(full), len(full) if entry_stop is None else entry_stop)

        def slices() -> Iterator[ak.Array]:
            for i in range(entry_start, stop, batch_size):
                yield full[i : min(i + batch_size, stop)]

        source = parameter(events, "source", "")
        return GenReader(slices(), source=source, format="array", n_events=max(0, stop - entry_start))

    columns = columns_of(events)
    columns.stream = columns.key()
    if columns.event is None:
        columns.event = np.arange(len(columns))
    stop = min(len(columns), len(columns) if entry_stop is None else entry_stop)

    def batches() -> Iterator[ak.Array]:
        for i in range(entry_start, stop, batch_size):
            yield gen_batch(_slice(columns, i, min(i + batch_size, stop)))

    return GenReader(batches(), source="", format="array", n_events=max(0, stop - entry_start))


def _slice(gen: GenColumns, start: int, stop: int) -> GenColumns:
    rows = slice(gen.offsets[start], gen.offsets[stop])
    event = None if gen.event is None else gen.event[start:stop]
    offsets = gen.offsets[start : stop + 1] - gen.offsets[start]
    return GenColumns({k: v[rows] for k, v in gen.columns.items()}, offsets, event, gen.stream)
