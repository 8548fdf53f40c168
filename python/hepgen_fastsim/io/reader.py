# SPDX-License-Identifier: MIT
"""`read`: one door for every input; what it is, is told by its content."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import awkward as ak

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.io.detect import HEAD, Peeked, detect

__all__ = ["GenReader", "read"]

FORMATS = "HepMC2 or HepMC3 text (plain, gzip, zstd, xz or bzip2), a ROOT file of Delphes, or Parquet"


class GenReader(Iterator[ak.Array]):
    """Iterator of GEN batches.

    Attributes
    ----------
    source : str
        name of the input
    format : str
        "hepmc", "root", "parquet", "pythia" or "array"
    n_events : int | None
        events that will come in all, None where only reading to the end can tell
    """

    def __init__(
        self,
        batches: Iterator[ak.Array],
        *,
        source: str,
        format: str,
        n_events: int | None = None,
        fraction: Callable[[], float | None] | None = None,
        owned: tuple[Any, ...] = (),
    ) -> None:
        self._batches = batches
        self.source = source
        self.format = format
        self.n_events = n_events
        self._fraction = fraction
        self._owned = owned
        self._part: float | None = None  # noted after each batch: a reader in use answers no other thread
        self._given = 0

    def __next__(self) -> ak.Array:
        try:
            batch = next(self._batches)
            self._given += len(batch)
            if self._fraction is not None:
                self._part = self._fraction()
            return batch
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files that were opened for this; also done at the end, and after an error."""
        for file in self._owned:
            if file is not None:
                file.close()
        self._owned = ()

    def __enter__(self) -> GenReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def estimate(self) -> int | None:
        """Events that will come in all: `n_events`, or estimated from the part of the input that was read so far."""
        if self.n_events is not None or not self._part:
            return self.n_events
        return max(self._given, round(self._given / self._part))

    def __repr__(self) -> str:
        events = "" if self.n_events is None else f", {self.n_events} events"
        return f"<GenReader of {self.source or 'memory'} ({self.format}{events})>"


def read(
    source: Any,
    *,
    batch_size: int = 1000,
    entry_start: int = 0,
    entry_stop: int | None = None,
    **options: Any,
) -> GenReader:
    """Read GEN events in batches, in bounded memory.

    Parameters
    ----------
    source
        path of a file, `-` for standard input, a fifo, or an open binary file: HepMC2 and HepMC3 text (plain, gzip,
        zstd, xz, bzip2), Delphes' ROOT files (their `Particle` branch; `file.root:tree` names another tree than
        `Delphes`), Parquet (this package's own and its training pairs); or a ragged awkward array or dict of numpy
        columns with `pdgid` and a momentum; or an initialised `pythia8mc.Pythia` together with `n_events=`
    batch_size
        events per batch
    entry_start, entry_stop
        range of entries to read, as in a slice; the random numbers of an entry do not depend on it

    Yields
    ------
    GEN batches: awkward arrays with, per event, `particles` (vector behaviour), `event`, `weights`, and the generator's
    numbers; see `hepgen_fastsim.events`

    Raises
    ------
    InputError
        no such file, empty, of another format, or broken: the message names file, line or entry. Good events before the
        broken place have come out by then.

    >>> for gen in hf.read("events.hepmc.gz", batch_size=500):
    ...     print(gen.particles.pt)
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, found {batch_size}.")
    if entry_start < 0 or (entry_stop is not None and entry_stop < entry_start):
        raise InputError(f"entries must be a range with 0 <= start <= stop, found {entry_start} to {entry_stop}.")
    window: dict[str, Any] = {"batch_size": batch_size, "entry_start": entry_start, "entry_stop": entry_stop}
    if isinstance(source, (ak.Array, Mapping)):
        from hepgen_fastsim.io.arrays import read_array

        return read_array(source, **window)
    if type(source).__module__.startswith("pythia8"):
        from hepgen_fastsim.io.pythia import read_pythia

        if entry_start:
            raise InputError("events of Pythia are made one after the other: entry_start must be 0.")
        n_events = options.pop("n_events", None) if entry_stop is None else entry_stop
        if n_events is None:
            raise InputError("reading from Pythia needs n_events, the number of events to make.")
        return read_pythia(source, n_events, batch_size=batch_size, **options)
    if options:
        raise InputError(f"read() takes no argument '{next(iter(options))}' for a file.")
    if hasattr(source, "read"):
        return _read_stream(source, str(getattr(source, "name", "stream")), window)
    text = os.fspath(source)
    if text == "-":
        return _read_stream(sys.stdin.buffer, "standard input", window)
    return _read_path(text, window)


def _read_path(text: str, window: dict[str, Any]) -> GenReader:
    path, tree = text, None
    if not os.path.exists(path) and ":" in os.path.basename(path):
        path, tree = text.rsplit(":", 1)
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{path} is a folder; a file with events is expected.")
        if not stat.S_ISREG(mode):  # fifo, /dev/stdin, …: opened once, read once
            file = open(path, "rb", buffering=0)  # noqa: SIM115 (the reader closes it)
            return _read_stream(file, path, window, owned=file)
        with open(path, "rb") as opened:
            head = opened.read(HEAD)
    except FileNotFoundError:
        raise InputError(f"input {path} does not exist.") from None
    except OSError as error:
        raise InputError(f"input {path} cannot be read: {error.strerror or error}.") from error
    kind, compression = detect(head)
    if kind == "hepmc":
        return _hepmc(path, path, window)
    if kind in ("root", "parquet") and compression:
        raise InputError(
            f"{path} is a {kind} file packed with {compression}; unpack it first, {kind} compresses by itself."
        )
    if kind == "root":
        from hepgen_fastsim.io.delphes import read_delphes

        return read_delphes(path, tree=tree or "Delphes", **window)
    if kind == "parquet":
        from hepgen_fastsim.io.parquet import read_parquet

        return read_parquet(path, **window)
    raise _refusal(path, kind, compression)


def _read_stream(file: Any, name: str, window: dict[str, Any], owned: Any = None) -> GenReader:
    try:
        stream = Peeked(file)
        if stream.kind == "hepmc":
            return _hepmc(stream, name, window, owned)
        if stream.kind in ("root", "parquet"):
            raise InputError(f"{name} is a {stream.kind} file, which cannot be read from a stream; give its path.")
        raise _refusal(name, stream.kind, stream.compression)
    except BaseException:
        if owned is not None:
            owned.close()
        raise


def _hepmc(source: Any, name: str, window: dict[str, Any], owned: Any = None) -> GenReader:
    from hepgen_fastsim.io.hepmc import read_hepmc

    batches = read_hepmc(source, **window)
    return GenReader(iter(batches), source=name, format="hepmc", fraction=batches.fraction, owned=(batches, owned))


def _refusal(name: str, kind: str, compression: str) -> InputError:
    if kind == "empty":
        return InputError(f"{name} is empty; {FORMATS} is expected.")
    if kind == "lhe":
        return InputError(
            f"{name} holds partons (Les Houches events), a detector sees hadrons and leptons: shower it first, e.g. "
            "with "
            f"Pythia (`Beams:frameType = 4`, `Beams:LHEF = {Path(name).name}`), and give the HepMC file."
        )
    what = {"hdf5": "an HDF5 file", "zip": "a zip archive"}.get(kind, "of no format that is known here")
    packed = f" ({compression})" if compression else ""
    return InputError(f"{name}{packed} is {what}; {FORMATS} is expected.")
