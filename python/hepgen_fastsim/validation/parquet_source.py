# SPDX-License-Identifier: MIT
"""RECO constituents of Parquet files: this package's output, and training pairs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.io.parquet import METADATA_KEY
from hepgen_fastsim.validation.sources import BATCH, COLUMNS, NEUTRAL_HADRON, PHOTON, Source, first_line, ragged

__all__ = ["ParquetSource"]

PAIRS = ("reco_type", "reco_pid", "reco_pt", "reco_eta", "reco_phi")
OWN = ("reco_pdgid", "reco_pt", "reco_eta", "reco_phi")


class ParquetSource(Source):
    """Columns reco_* of a Parquet file, one row per event."""

    def _open(self) -> None:
        try:
            self._file = pq.ParquetFile(self.path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.path} cannot be read as a Parquet file: {first_line(error)}.") from error
        there = self._file.schema_arrow.names
        self._pairs = "reco_type" in there
        missing = [name for name in (PAIRS if self._pairs else OWN) if name not in there]
        if missing:
            raise InputError(
                f"{self.path} holds no RECO constituents: the columns {', '.join(missing)} are missing, found "
                f"{', '.join(there[:8]) or 'none'}{', …' if len(there) > 8 else ''}."
            )
        self.format = "Parquet pairs" if self._pairs else "Parquet"
        self.n_events = self._file.metadata.num_rows
        self.has_gen = "gen_pdgid" in there
        self.has_links = ("reco_gen_index" if self._pairs else "reco_origin") in there
        self.number = self._numbers(there)
        self.process = self._processes(there)
        own = json.loads((self._file.metadata.metadata or {}).get(METADATA_KEY, b"{}"))
        self.provenance = own
        self.seconds = own.get("seconds_per_event")
        if self._pairs:
            wanted = ["reco_type", "reco_pid", "reco_charge", "reco_pt", "reco_eta", "reco_phi", "reco_gen_index"]
        else:
            wanted = [f"reco_{name}" for name in COLUMNS]
        self._columns = [name for name in wanted if name in there]

    def _integers(self, name: str) -> np.ndarray:
        column = self._file.read(columns=[name])[name]
        return column.to_numpy().astype(np.int64)

    def _numbers(self, there: list[str]) -> np.ndarray:
        name = next((n for n in (("event",) if self._pairs else ("number", "event")) if n in there), None)
        return np.arange(self.n_events) if name is None else self._integers(name)

    def _processes(self, there: list[str]) -> np.ndarray | None:
        if "process" in there:
            return self._integers("process")
        return self._integers("process_id") if "process_id" in there else None

    def batches(self) -> Iterator[ak.Array]:
        for record in self._file.iter_batches(BATCH, columns=self._columns):
            c: dict[str, Any] = {}
            offsets = np.zeros(1, np.int64)
            for name in self._columns:
                lists = record.column(name)
                bounds = np.asarray(lists.offsets, dtype=np.int64)
                values = lists.values.slice(bounds[0], bounds[-1] - bounds[0])
                c[name.removeprefix("reco_")] = values.to_numpy(zero_copy_only=False)
                offsets = bounds - bounds[0]
            if self._pairs:
                track, photon = c["type"] == 0, c["type"] == 1
                code = c["pid"].astype(np.int64)
                c["pdgid"] = np.where(track, code, np.where(photon, PHOTON, NEUTRAL_HADRON))
                c["mass"] = np.where(track, np.nan_to_num(core().pdg_mass(np.where(track, code, PHOTON))), 0.0)
                c["origin"] = c.pop("gen_index", np.full(len(code), -1))
            if "charge" not in c:
                neutral = (c["pdgid"] == PHOTON) | (c["pdgid"] == NEUTRAL_HADRON)
                c["charge"] = np.where(neutral, 0, np.rint(np.nan_to_num(core().pdg_charge(c["pdgid"]))))
            yield ragged(c, offsets)
