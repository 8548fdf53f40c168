# SPDX-License-Identifier: MIT
"""Files of generated sets: Parquet, a row per set; or HDF5 in the layout of JetNet's jets (arXiv:2106.11535).

Parquet: a column for each scalar, a list column for each column of the items; for jets those of the training files:
jet_pt, …, n_const, eta_rel, phi_rel, pt_rel. The footer's key `hepgen_fastsim` holds JSON: model, seed, command.

HDF5: particle_features float32 [N, K, 4] (etarel, phirel, ptrel, mask), padded with zeros, and jet_features float32
[N, 4] (pt, eta, mass, num_particles); K is 30, 150, or the largest number of constituents.
"""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hepgen_fastsim.errors import Error, InputError
from hepgen_fastsim.io.parquet import METADATA_KEY
from hepgen_fastsim.io.part_file import Output

if TYPE_CHECKING:
    from hepgen_fastsim.io.lhe import PartonSets

__all__ = ["GeneratedWriter", "JetNetWriter", "ParquetSets", "open_generated"]

JETNET = ("eta_rel", "phi_rel", "pt_rel")
_JETNET_SIZES = (30, 150)


class GeneratedWriter(Output):
    """Writes chunks of `hf.Generator`."""

    unit = "sets"

    def __init__(self, path: str | os.PathLike[str], overwrite: bool, provenance: Mapping[str, Any]) -> None:
        super().__init__(path, overwrite=overwrite)
        self._provenance = dict(provenance)

    def write(self, sets: ak.Array) -> None:
        """Append a chunk."""
        with self._disk():
            self._append(sets)
        self.n_written += len(sets)

    @abstractmethod
    def _append(self, sets: ak.Array) -> None: ...


class ParquetSets(GeneratedWriter):
    """Parquet, one row group per chunk."""

    _writer: Any = None

    def _append(self, sets: ak.Array) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        *scalars, items = sets.fields
        columns = {name: pa.array(ak.to_numpy(sets[name])) for name in scalars}
        layout = ak.to_packed(sets[items], highlevel=False).to_ListOffsetArray64(True)
        offsets = np.asarray(layout.offsets.data)
        if items == "constituents":
            columns["n_const"] = pa.array(np.diff(offsets).astype(np.int16))
        bounds = pa.array(offsets, pa.int32())
        for name in layout.content.fields:
            values = pa.array(np.asarray(layout.content[name].data))
            key = name if name not in columns else f"{items}_{name}"
            columns[key] = pa.ListArray.from_arrays(bounds, values)
        table = pa.table(columns)
        if self._writer is None:
            self._writer = pq.ParquetWriter(pa.PythonFile(self._part.file, mode="w"), table.schema, compression="zstd")
        self._writer.write_table(table)

    def _finish(self) -> None:
        self._writer.add_key_value_metadata({METADATA_KEY.decode(): json.dumps(self._provenance)})
        self._writer.close()


class JetNetWriter(GeneratedWriter):
    """HDF5 in JetNet's layout; jets are kept in memory until the end, when their largest number is known."""

    def __init__(self, path: str | os.PathLike[str], overwrite: bool, provenance: Mapping[str, Any]) -> None:
        _h5py()
        super().__init__(path, overwrite, provenance)
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def _append(self, sets: ak.Array) -> None:
        missing = {"jet_pt", "jet_eta", "jet_mass", "constituents"} - set(sets.fields)
        if missing:
            raise InputError(f"JetNet's layout is for jets; the model gives no {', '.join(sorted(missing))}.")
        constituents = sets.constituents
        flat = np.stack([ak.to_numpy(ak.flatten(constituents[name])) for name in JETNET], 1)
        counts = ak.to_numpy(ak.num(constituents))
        whole = np.stack([ak.to_numpy(sets[name]) for name in ("jet_pt", "jet_eta", "jet_mass")] + [counts], 1)
        self._parts.append((flat, counts, whole.astype(np.float32)))

    def _finish(self) -> None:
        flat, counts, whole = (np.concatenate(columns) for columns in zip(*self._parts))
        largest = int(counts.max(initial=1))
        size = next((k for k in _JETNET_SIZES if largest <= k), largest)
        particles = np.zeros((len(counts), size, 4), np.float32)
        rows = np.repeat(np.arange(len(counts)), counts)
        place = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
        particles[rows, place, :3] = flat
        particles[rows, place, 3] = 1.0
        with _h5py().File(self._part.file, "w") as file:
            file.create_dataset("particle_features", data=particles, compression="gzip", compression_opts=1)
            file.create_dataset("jet_features", data=whole)
            file.attrs["hepgen_fastsim"] = json.dumps(self._provenance)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise Error("HDF5 files need the package h5py; install it with: pip install h5py.") from error
    return h5py


def open_generated(
    path: str | os.PathLike[str], *, overwrite: bool = False, provenance: Mapping[str, Any] | None = None
) -> GeneratedWriter | PartonSets:
    """Open an output for generated sets, by its suffix: .parquet; .h5 or .hdf5 in JetNet's layout; .lhe, .hepmc, also
    with .gz, of parton-level events for a shower (see `hepgen_fastsim.io.lhe`).

    The file has its name when it is complete; until then it is `NAME.part`. Raises InputError if it exists or has
    another suffix, Error if it cannot be written.
    """
    from hepgen_fastsim.io.lhe import PartonSets, parton_format

    suffix = os.path.splitext(os.fspath(path))[1]
    if parton_format(path):
        return PartonSets(path, overwrite, provenance or {})
    if suffix in (".h5", ".hdf5"):
        return JetNetWriter(path, overwrite, provenance or {})
    if suffix not in (".parquet", ".pq"):
        raise InputError(
            f"output {os.fspath(path)} must end in .parquet, .h5 or .hdf5, or, for parton-level events, in .lhe or "
            f".hepmc; found '{suffix}'."
        )
    return ParquetSets(path, overwrite, provenance or {})
