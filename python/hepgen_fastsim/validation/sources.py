# SPDX-License-Identifier: MIT
"""What a report reads: RECO constituents of Delphes' ROOT files, of this package's ROOT and Parquet files, of pairs.

Every kind of file gives the same columns: pdgid (22 photon, 130 neutral hadron, else a track), pt, eta, phi, mass,
charge, d0, dz, and origin, the index of the leading GEN particle within its event. Events are read in ascending rows
and in bounded memory.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.io.detect import HEAD, detect

__all__ = ["BATCH", "COLUMNS", "Cursor", "GenFile", "Source", "open_source", "ragged"]

BATCH = 1000
"""Events that are read at a time."""

COLUMNS: dict[str, type] = {
    "pdgid": np.int64,
    **dict.fromkeys(("pt", "eta", "phi", "mass"), np.float32),
    "charge": np.int32,
    **dict.fromkeys(("d0", "dz"), np.float32),
    "origin": np.int64,
}
"""Columns of a constituent and their types."""

SIDE = ("weight_names", "n_events", "streams", "seconds_per_event")
"""What the files say of themselves that is no provenance."""

PHOTON, NEUTRAL_HADRON = 22, 130


def ragged(columns: dict[str, np.ndarray], offsets: np.ndarray) -> ak.Array:
    """One list of constituents per event from flat columns of `COLUMNS`; those that are missing are 0, origins -1."""
    n = int(offsets[-1])
    contents = []
    for name, kind in COLUMNS.items():
        column = columns.get(name, np.full(n, -1 if name == "origin" else 0))
        contents.append(ak.contents.NumpyArray(np.ascontiguousarray(column, dtype=kind)))
    record = ak.contents.RecordArray(contents, list(COLUMNS), length=n)
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(np.asarray(offsets, np.int64)), record))


class Cursor:
    """Rows of an input that comes in batches, one after the other; going back begins anew."""

    def __init__(self, begin: Callable[[], Iterator[ak.Array]]) -> None:
        self._begin = begin
        self._rewind()

    def _rewind(self) -> None:
        self._batches, self._first, self._next = self._begin(), 0, 0
        self._kept: list[ak.Array] = []

    def take(self, rows: np.ndarray) -> ak.Array:
        """These rows (int64 [n], in any order), in their order."""
        low, high = int(rows.min()), int(rows.max())
        if low < self._first:
            self._rewind()
        while self._next <= high:
            batch = next(self._batches)
            self._kept.append(batch)
            self._next += len(batch)
            while self._kept and self._first + len(self._kept[0]) <= low:
                self._first += len(self._kept.pop(0))
        joined = self._kept[0] if len(self._kept) == 1 else ak.concatenate(self._kept)
        return joined[rows - self._first]


class Source(ABC):
    """A file with RECO events.

    Attributes
    ----------
    path, gen_path : str
        the file, and what `hf.read` takes for its GEN events
    format : str
        in words
    n_events : int
    number : int64 [n_events]
        the generator's numbers of the events
    process : int64 [n_events] | None
        processes of training pairs, and of what was simulated from them
    has_gen, has_links : bool
        whether there are GEN particles, and leading particles of constituents
    provenance : dict
        what the file says of its making
    seconds : float | None
        time per event that its maker took, where the file has it
    """

    format = ""

    def __init__(self, path: str) -> None:
        self.path = self.gen_path = path
        self.n_events = 0
        self.number: np.ndarray = np.empty(0, np.int64)
        self.process: np.ndarray | None = None
        self.has_gen = self.has_links = False
        self.provenance: dict[str, Any] = {}
        self.seconds: float | None = None
        self._open()
        if self.n_events == 0:
            raise InputError(f"{path} has no events; a report needs some.")
        self.cursor = Cursor(self._guarded)

    @abstractmethod
    def _open(self) -> None:
        """Fill the attributes, and refuse what cannot be used."""

    @abstractmethod
    def batches(self) -> Iterator[ak.Array]:
        """Constituents, from the first event on (see `ragged`)."""

    def _guarded(self) -> Iterator[ak.Array]:
        done = 0
        try:
            for batch in self.batches():
                yield batch
                done += len(batch)
        except InputError:
            raise
        except Exception as error:  # readers raise whatever they meet in a damaged file
            raise InputError(
                f"{self.path} is damaged: events from {done} on cannot be read ({first_line(error)})."
            ) from error
        raise InputError(f"{self.path} ended after {done} events, {self.n_events} are expected.")

    def take(self, rows: np.ndarray) -> ak.Array:
        """Constituents of these rows."""
        return self.cursor.take(rows)

    def describe(self) -> dict[str, Any]:
        """Name, size, checksum and provenance, for people and for JSON."""
        return {
            "file": Path(self.path).name,
            "format": self.format,
            "events": self.n_events,
            "bytes": os.path.getsize(self.path),
            "sha256": _checksum(self.path),
            **({"ms_per_event": 1e3 * self.seconds} if self.seconds else {}),
            **{("model_sha256" if k == "sha256" else k): v for k, v in self.provenance.items() if k not in SIDE},
        }


class GenFile:
    """GEN events of any file that `hf.read` takes, by rows."""

    def __init__(self, path: str, number: np.ndarray | None = None) -> None:
        self.path = path
        self._number = number
        self.cursor = Cursor(self._batches)

    @property
    def number(self) -> np.ndarray:
        """The generator's numbers of the events: int64 [n_events]."""
        if self._number is None:
            found = [np.asarray(batch["number"]) for batch in self._batches()]
            self._number = np.concatenate(found) if found else np.empty(0, np.int64)
        return self._number

    def _batches(self) -> Iterator[ak.Array]:
        from hepgen_fastsim.io import read

        with read(self.path, batch_size=BATCH) as reader:
            yield from reader

    def take(self, rows: np.ndarray) -> ak.Array:
        """GEN batch of these rows."""
        return self.cursor.take(rows)


def open_source(path: str | os.PathLike[str]) -> Source:
    """Open a file with RECO events; what it is, is told by its content. Raises InputError."""
    text = os.fspath(path)
    name, tree = text, None
    if not os.path.exists(name) and ":" in os.path.basename(name):
        name, tree = text.rsplit(":", 1)
    try:
        if os.path.isdir(name):
            raise InputError(f"{name} is a folder; a file with events is expected.")
        with open(name, "rb") as file:
            kind, compression = detect(file.read(HEAD))
    except FileNotFoundError:
        raise InputError(f"input {name} does not exist.") from None
    except OSError as error:
        raise InputError(f"input {name} cannot be read: {error.strerror or error}.") from error
    if compression and kind in ("root", "parquet"):
        raise InputError(f"{name} is packed with {compression}; unpack it first.")
    if kind == "root":
        from hepgen_fastsim.validation.root_source import RootSource

        source = RootSource(name, tree or "Delphes")
        source.gen_path = text
        return source
    if kind == "parquet":
        from hepgen_fastsim.validation.parquet_source import ParquetSource

        return ParquetSource(name)
    if kind == "empty":
        raise InputError(f"{name} is empty; a ROOT file of Delphes or Parquet is expected.")
    what = {"hepmc": "holds GEN events only", "lhe": "holds partons only"}.get(
        kind, "is of no format that is known here"
    )
    raise InputError(f"{name} {what}; RECO events are expected, as a ROOT file of Delphes or Parquet.")


def first_line(error: Exception) -> str:
    """The error's type and first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _checksum(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
