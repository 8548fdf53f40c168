# SPDX-License-Identifier: MIT
"""Writers of GEN and RECO events, whatever the form of the file; `open_output` chooses."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import awkward as ak

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.events import parameter
from hepgen_fastsim.io.part_file import Output

__all__ = ["FORMATS", "Writer", "open_output"]

FORMATS = ("flat", "delphes", "parquet")


class Writer(Output):
    """Writes batches of GEN and RECO events.

    Attributes
    ----------
    n_written : int
        events written so far
    """

    def __init__(
        self, path: str | os.PathLike[str], *, overwrite: bool, provenance: Mapping[str, Any], objects: bool = False
    ) -> None:
        self.provenance = dict(provenance)
        self.objects = objects
        self.weight_names: list[str] | None = None
        self.inputs: list[dict[str, Any]] = []
        self.ended = "complete"
        """why the file ends; it is stored beside the provenance"""
        super().__init__(path, overwrite=overwrite)
        try:
            with self._disk():
                self._start()
        except BaseException:
            self.abort()
            raise

    @abstractmethod
    def _start(self) -> None: ...

    @abstractmethod
    def _append(self, gen: ak.Array, reco: ak.Array, objects: ak.Array | None) -> None: ...

    def write(self, gen: ak.Array, reco: ak.Array, objects: ak.Array | None = None) -> None:
        """Append events: a GEN batch (or what `FastSim` takes as one), its RECO constituents and, in a file that was
        opened with `objects=True`, the objects that `hf.reconstruct` makes of them."""
        from hepgen_fastsim.io.arrays import as_gen

        gen = as_gen(gen)
        if len(gen) != len(reco):
            raise InputError(f"GEN and RECO must have the same events, found {len(gen)} and {len(reco)}.")
        if (objects is not None) != self.objects or (objects is not None and len(objects) != len(gen)):
            expected = f"{len(gen)} events" if self.objects else "no events (objects=False)"
            found = "none" if objects is None else f"those of {len(objects)}"
            raise InputError(f"objects of {expected} are expected, found {found}.")
        self._note(gen)
        if len(gen):
            with self._disk():
                self._append(gen, reco, objects)
        self.n_written += len(gen)
        self.inputs[-1]["n_events"] += len(gen)

    def _note(self, gen: ak.Array) -> None:
        names = list(parameter(gen, "weight_names", ["Default"]))
        source, stream = parameter(gen, "source", ""), parameter(gen, "stream", 0)
        if self.weight_names is None:
            self.weight_names = names
        elif names != self.weight_names:
            differing = [name for name in names if name not in self.weight_names] or names
            raise InputError(
                f"the weights of {source or 'these events'} are not those of the events before: expected "
                f"{len(self.weight_names)} ({', '.join(self.weight_names[:3])}, …), found {len(names)} "
                f"({', '.join(differing[:3])}, …); write them to an output of their own."
            )
        first = int(gen["event"][0]) if len(gen) else 0
        last = self.inputs[-1] if self.inputs else {}
        same = (last.get("source"), last.get("stream")) == (source, stream)
        if not same or (last["n_events"] > 0 and first == last["first_event"]):  # another input, or the same once more
            self.inputs.append({"source": source, "stream": stream, "first_event": first, "n_events": 0})

    def metadata(self) -> dict[str, Any]:
        """What is kept in the file beside the events."""
        return {
            **self.provenance,
            "weight_names": self.weight_names or [],
            "inputs": self.inputs,
            "n_events": self.n_written,
            "ended": self.ended,
        }


def open_output(
    path: str | os.PathLike[str],
    format: str = "flat",
    *,
    overwrite: bool = False,
    provenance: Mapping[str, Any] | None = None,
    objects: bool = False,
) -> Writer:
    """Open an output file for GEN and RECO events.

    Parameters
    ----------
    path
        name that the file has when it is complete; until then it is `NAME.part` in the same folder
    format
        "flat": ROOT tree `Delphes` with branches named as Delphes' (see `hepgen_fastsim.io.flat`); "delphes": the same
        tree with TClonesArrays of Delphes' classes, which needs ROOT (see `hepgen_fastsim.io.root_tree`); "parquet":
        columns gen_* and reco_*
    overwrite
        replace a file of that name, at the very end
    provenance
        numbers and strings to keep in the file: model, sha256, seed, command, …
    objects
        in ROOT files: also write jets, leptons, photons and missing energy, which `write` is given then

    Raises InputError if the file exists, Error if it cannot be written.

    >>> with hf.open_output("out.root") as out:
    ...     for gen in hf.read("events.hepmc.gz"):
    ...         out.write(gen, sim(gen))
    """
    if format not in FORMATS:
        raise InputError(f"format must be one of {', '.join(FORMATS)}; found '{format}'.")
    options: dict[str, Any] = {"overwrite": overwrite, "provenance": provenance or {}, "objects": objects}
    if format == "flat":
        from hepgen_fastsim.io.flat import FlatWriter

        return FlatWriter(path, **options)
    if format == "delphes":
        from hepgen_fastsim.io.root_tree import DelphesWriter

        return DelphesWriter(path, **options)
    if objects:
        raise InputError(
            "Parquet files hold constituents, not objects; format 'flat' or 'delphes' is expected for them."
        )
    from hepgen_fastsim.io.parquet_writer import ParquetWriter

    return ParquetWriter(path, **options)
