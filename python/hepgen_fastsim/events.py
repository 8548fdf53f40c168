# SPDX-License-Identifier: MIT
"""GEN events as arrays: the full record that readers give, and the columns that the core takes.

A GEN batch is an awkward array with one record per event:

    particles   list of records "Momentum4D": pdgid i64, status i32, px, py, pz, mass f64 [GeV], charge f32 [e],
                vx, vy, vz [mm], vt [mm/c] f64, m1, m2, d1, d2 i32 (first and last mother, daughter; -1: none)
    event       i64, position of the event in its stream: with the stream and the seed, the key of its random numbers
    weights     f64 [n_events, n_weights]
    number, process_id, mpi, scale, …: what the generator says of the event (`INFO`)

and with the parameters weight_names (list of str), stream (int) and source (str).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from vector.backends.awkward import behavior as vector_behavior

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.errors import InputError

__all__ = ["INFO", "PARTICLE", "GenColumns", "columns_of", "gen_batch", "parameter", "stream_of"]

PARTICLE: dict[str, type] = {
    "pdgid": np.int64,
    "status": np.int32,
    **dict.fromkeys(("px", "py", "pz", "mass"), np.float64),
    "charge": np.float32,
    **dict.fromkeys(("vx", "vy", "vz", "vt"), np.float64),
    **dict.fromkeys(("m1", "m2", "d1", "d2"), np.int32),
}
"""Columns of a GEN particle and their types."""

INFO: dict[str, type] = {
    "number": np.int64,
    **dict.fromkeys(("process_id", "mpi"), np.int32),
    **dict.fromkeys(("scale", "alpha_qed", "alpha_qcd", "cross_section", "cross_section_error"), np.float64),
    **dict.fromkeys(("id1", "id2"), np.int32),
    **dict.fromkeys(("x1", "x2", "scale_pdf", "pdf1", "pdf2"), np.float64),
}
"""Columns of a GEN event beside its particles: generator's number, process, scale [GeV], cross section [pb], PDF."""

CARTESIAN, POLAR, VERTEX = ("px", "py", "pz"), ("pt", "eta", "phi"), ("vx", "vy", "vz", "vt")
_INTEGERS = ("pdgid", "status", "m1", "m2", "d1", "d2")


@dataclass
class GenColumns:
    """GEN events as flat columns: `columns[name]` [n_particles], `offsets` int64 [n_events + 1], `event` [n_events]."""

    columns: dict[str, np.ndarray]
    offsets: np.ndarray
    event: np.ndarray | None = None
    stream: int | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def momenta(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """px, py, pz [GeV], float64."""
        c = {name: np.asarray(self.columns[name], np.float64) for name in _momentum_names(self.columns)}
        if "px" in c:
            return c["px"], c["py"], c["pz"]
        return c["pt"] * np.cos(c["phi"]), c["pt"] * np.sin(c["phi"]), c["pt"] * np.sinh(c["eta"])

    def key(self) -> int:
        """The stream: the one that came with the events, else the checksum of the first event."""
        if self.stream is not None:
            return self.stream
        if len(self) == 0:
            return 0
        first = GenColumns({k: v[self.offsets[0] : self.offsets[1]] for k, v in self.columns.items()}, self.offsets[:2])
        return stream_of(first.columns["pdgid"], *first.momenta())

    def check(self, vertices: bool = True) -> None:
        """Raise InputError, naming event and particle, if something of a stable particle is not finite; without
        `vertices` these may be anything."""
        for name, column in self.columns.items():
            if column.dtype.kind != "f" or (name in VERTEX and not vertices):
                continue
            with np.errstate(invalid="ignore", over="ignore"):
                if np.isfinite(column.sum()):  # the usual case, at a third of the time
                    continue
            bad = ~np.isfinite(column)
            if "status" in self.columns:
                bad &= self.columns["status"] == 1
            if bad.any():
                row = int(np.argmax(bad))
                event = int(np.searchsorted(self.offsets, row, side="right")) - 1
                label = event if self.event is None else int(self.event[event])
                error = InputError(
                    f"event {label}, particle {row - int(self.offsets[event])} (pdgid {self.columns['pdgid'][row]}): "
                    f"{name} is {column[row]}, a finite number is expected."
                )
                error.good_events = event  # type: ignore[attr-defined]  # so many events before it are fine
                raise error


def stream_of(pdgid: np.ndarray, px: np.ndarray, py: np.ndarray, pz: np.ndarray) -> int:
    """crc32 over the bytes of an input's first event: the parts of a split differ, a renamed file does not."""
    crc = zlib.crc32(np.asarray(pdgid, dtype="<i8").tobytes())
    for component in (px, py, pz):
        crc = zlib.crc32(np.asarray(component, dtype="<f8").tobytes(), crc)
    return crc


def parameter(array: ak.Array, name: str, default: Any = None) -> Any:
    """A parameter of a GEN batch, also of a slice of one."""
    value = array.layout.purelist_parameter(name)
    return default if value is None else value


def plain(lists: ak.contents.Content) -> ak.contents.Content:
    """Lists of records with offsets from 0 on and nothing behind the last one. Only what is not like that is packed:
    awkward takes long to find nothing to do."""
    if not isinstance(lists, ak.contents.ListOffsetArray) or not isinstance(lists.content, ak.contents.RecordArray):
        lists = ak.to_packed(lists, highlevel=False)
    if lists.is_list:
        lists = lists.to_ListOffsetArray64(True)
        lists = ak.contents.ListOffsetArray(lists.offsets, lists.content[: lists.offsets[-1]])
    return lists


def _momentum_names(columns: Mapping[str, Any]) -> tuple[str, ...]:
    for names in (CARTESIAN, POLAR):
        if all(name in columns for name in names):
            return names
    raise InputError(
        "GEN particles need a momentum, px, py, pz or pt, eta, phi [GeV]; found the columns "
        f"{', '.join(columns) or 'none'}."
    )


def _as_column(name: str, values: Any, length: int) -> np.ndarray:
    column = np.asarray(values)
    if column.dtype == object or column.dtype.kind not in "iufb":
        raise InputError(f"GEN column '{name}' must hold numbers, found the type {column.dtype}.")
    if column.shape != (length,):
        raise InputError(
            f"GEN column '{name}' must have {length} values, as 'offsets' says; found shape {column.shape}."
        )
    if name in _INTEGERS:
        if column.dtype.kind == "f" and not np.array_equal(column, np.rint(column)):
            raise InputError(f"GEN column '{name}' must hold integers, found {column.dtype} with fractions.")
        return np.ascontiguousarray(column, dtype=PARTICLE[name])
    if name == "charge":
        return np.ascontiguousarray(column, dtype=np.float32)
    return np.ascontiguousarray(column, dtype=None if column.dtype in (np.float32, np.float64) else np.float64)


def columns_of(events: ak.Array | Mapping[str, Any]) -> GenColumns:
    """Columns and offsets of GEN events in any of the forms that the package takes; nothing is copied if it can be
    helped.

    Parameters
    ----------
    events
        a GEN batch of `hf.read`; or a ragged awkward array, one list of particle records per event, with `pdgid` and
        px, py, pz or pt, eta, phi [GeV] (mass, charge, status, vx, vy, vz, vt may be there); or a dict of flat numpy
        columns of these names with `offsets` (int64 [n_events + 1]) and perhaps `event`.

    Raises InputError if columns are missing, of a wrong length or not numbers.
    """
    if isinstance(events, Mapping):
        return _columns_of_dict(events)
    if not isinstance(events, ak.Array):
        raise InputError(
            f"GEN events are expected as an awkward array or a dict of numpy columns, found {type(events).__name__}."
        )
    stream = parameter(events, "stream")
    event = None
    if "particles" in events.fields:
        if "event" in events.fields:
            event = np.ascontiguousarray(ak.to_numpy(events["event"]), dtype=np.int64)
        events = events["particles"]
    layout = plain(events.layout)
    if isinstance(layout, ak.contents.EmptyArray):
        return _empty(0, stream)
    if not isinstance(layout, ak.contents.ListOffsetArray):
        raise InputError(
            f"GEN events are expected as one list of particle records per event, found the type {events.type}."
        )
    offsets = np.asarray(layout.offsets.data, dtype=np.int64)
    content = layout.content
    if isinstance(content, ak.contents.EmptyArray):
        return _empty(len(offsets) - 1, stream)
    if not isinstance(content, ak.contents.RecordArray):
        raise InputError(
            f"GEN particles are expected as records with pdgid and a momentum, found the type {events.type}."
        )
    columns = {}
    for name in _relevant(content.fields):
        try:
            columns[name] = _as_column(name, ak.to_numpy(content[name], allow_missing=False), content.length)
        except ValueError as error:
            raise InputError(f"GEN column '{name}' has missing or ragged values: {error}") from error
    return GenColumns(columns, offsets, event, stream)


def _columns_of_dict(events: Mapping[str, Any]) -> GenColumns:
    if "offsets" not in events:
        raise InputError(
            f"numpy columns of GEN particles need 'offsets' (int64 [n_events + 1]); found {', '.join(events)}."
        )
    offsets = np.ascontiguousarray(events["offsets"], dtype=np.int64)
    if offsets.ndim != 1 or len(offsets) < 1 or offsets[0] != 0 or (np.diff(offsets) < 0).any():
        raise InputError("'offsets' of GEN particles must start at 0 and never decrease.")
    columns = {name: _as_column(name, events[name], int(offsets[-1])) for name in _relevant(events)}
    event = events.get("event")
    if event is not None:
        event = np.ascontiguousarray(event, dtype=np.int64)
    return GenColumns(columns, offsets, event, events.get("stream"))


def _relevant(names: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Names of the columns to take, after a check that pdgid and a momentum are among them."""
    if "pdgid" not in names:
        raise InputError(f"GEN particles need the column 'pdgid'; found {', '.join(names) or 'none'}.")
    taken = {*PARTICLE, *POLAR} - {*CARTESIAN, *POLAR} | set(_momentum_names(dict.fromkeys(names)))
    return [name for name in names if name in taken]


def _empty(n_events: int, stream: int | None) -> GenColumns:
    columns: dict[str, np.ndarray] = {"pdgid": np.empty(0, np.int64), **{name: np.empty(0) for name in CARTESIAN}}
    return GenColumns(columns, np.zeros(n_events + 1, np.int64), None, stream)


def gen_batch(
    gen: GenColumns,
    *,
    info: Mapping[str, Any] | None = None,
    weights: np.ndarray | None = None,
    weight_names: Sequence[str] = ("Default",),
    source: str = "",
) -> ak.Array:
    """A full GEN batch from columns; what is not given gets its default (stable, charge and mass from the PDG code,
    vertex at the origin, no mothers, weight 1, events numbered from 0).

    Parameters
    ----------
    gen
        columns of particles
    info
        columns of `INFO`, each [n_events]
    weights
        float64 [n_events, n_weights]
    """
    n_events, c = len(gen), gen.columns
    pdgid = c["pdgid"]
    n = len(pdgid)
    full: dict[str, np.ndarray] = {"pdgid": pdgid, "status": c.get("status", np.broadcast_to(np.int32(1), n))}
    full["px"], full["py"], full["pz"] = gen.momenta()
    full["mass"] = c["mass"] if "mass" in c else np.nan_to_num(core().pdg_mass(pdgid), nan=0.0)
    full["charge"] = c["charge"] if "charge" in c else core().pdg_charge(pdgid)
    for name in VERTEX:
        full[name] = c.get(name, np.broadcast_to(0.0, n))
    for name in ("m1", "m2", "d1", "d2"):
        full[name] = c.get(name, np.broadcast_to(np.int32(-1), n))
    event = np.arange(n_events) if gen.event is None else gen.event
    given = dict(info or {})
    given.setdefault("number", event)
    if weights is None:
        weights = np.ones((n_events, 1))
    elif weights.shape[1:] != (len(weight_names),):
        weight_names = [str(i) for i in range(weights.shape[1])]
    particles = ak.contents.ListOffsetArray(
        ak.index.Index64(gen.offsets),
        ak.contents.RecordArray(
            [ak.contents.NumpyArray(np.ascontiguousarray(full[k], dtype=t)) for k, t in PARTICLE.items()],
            list(PARTICLE),
            parameters={"__record__": "Momentum4D"},
        ),
    )
    numbers = {"event": np.ascontiguousarray(event, dtype=np.int64)}
    numbers |= {k: np.ascontiguousarray(given.get(k, np.zeros(n_events)), dtype=t) for k, t in INFO.items()}
    numbers["weights"] = np.ascontiguousarray(weights, dtype=np.float64)
    layout = ak.contents.RecordArray(
        [particles, *(ak.contents.NumpyArray(column) for column in numbers.values())],
        ["particles", *numbers],
        length=n_events,
        parameters={"weight_names": list(weight_names), "stream": gen.key(), "source": source},
    )
    return ak.Array(layout, behavior=vector_behavior)
