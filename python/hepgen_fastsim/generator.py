# SPDX-License-Identifier: MIT
"""Generator: jets or parton-level events out of noise, under conditions that are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import awkward as ak
import numpy as np
from vector.backends.awkward import behavior as vector_behavior

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.errors import InputError, ModelError
from hepgen_fastsim.lazy_model import DEFAULT_SEED, LazyModel

__all__ = ["Generator"]

CHUNK = 10_000
"""Sets that are generated at a time."""
_ITEMS = {"jet": "constituents", "event": "particles", "hits": "hits"}
_OWN_SLOT = 0xFFFFFFFE
"""Slot of the noise that is drawn here, not by the model; 0xFFFFFFFF is that of a whole set."""
_CARTESIAN = {"px", "py", "pz"}


class Generator(LazyModel):
    """A generative model: calls give jets, or events of a fixed final state.

    Parameters
    ----------
    model
        name of a model (`hf.models()`) or path of a model file, of the task "generate"
    seed
        unsigned 64-bit integer; the same seed gives the same sets, in whatever chunks
    device
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:N", or a list of them, "cuda:0,cuda:1": the batches of a
        call are shared out, each to the next device that is free; results come in order
    precision
        "float32", "bf16" (autocast around the network alone) or "tf32" (see `FastSim`)
    batch_items
        items that are given to the network at once, a matter of speed and memory alone; default: what the model asks
        for (one that goes through its sets step by step is fastest with a thousand sets or more), else the engine's

    The model is loaded at the first use, once: objects can be pickled and sent to workers. Calls from several threads
    are safe.

    >>> jets = hf.Generator("jets-top", seed=1)(n=100_000, jet_pt=1000.0)
    >>> jets.constituents.pt_rel

    As a fast simulation, constituents for the jets of events, which have pt, eta, phi and mass:

    >>> from hepgen_fastsim.substructure import gen_jets, substructure
    >>> jets = substructure(gen_jets(gen), hf.Generator("jets-top"))
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        seed: int = DEFAULT_SEED,
        device: str = "auto",
        precision: str = "float32",
        batch_items: int | None = None,
    ) -> None:
        super().__init__(model, seed=seed, device=device, precision=precision, batch_items=batch_items)
        self.metadata: dict[str, Any] = self.file.metadata()
        """the model's own description (hepgen.json): columns, domain, provenance, metrics, licence"""
        if self.metadata.get("task") != "generate":
            raise ModelError(
                f"model '{self.file.name}' is made for the task '{self.metadata.get('task')}'; a model for the task "
                "'generate' is expected."
            )

    def _open(self) -> Any:
        return core().Engine(core().Model(str(self.file.path)), **self._config)

    @property
    def conditions(self) -> dict[str, str]:
        """Names of the conditions that the model takes, with their units."""
        return {column["name"]: column["unit"] for column in self.metadata["condition"]}

    def __call__(self, n: int | None = None, *, first: int = 0, stream: int = 0, **conditions: Any) -> ak.Array:
        """Generate `n` sets.

        Parameters
        ----------
        n
            number of sets; default: the length of the conditions
        first
            number of the first set, which keys its random numbers: sets 0 … 9 and 10 … 19 are those of 0 … 19
        stream
            32-bit number of the sample, another part of the key
        conditions
            by name (`conditions`): a number for all sets, or an array [n]. A condition that is left out is drawn by the
            model from what it was trained on, if the model can (a column with "missing" in its description); else it
            must be given

        Returns
        -------
        awkward array [n] of records: a field for each scalar of the model, and a list of the items.

        Jets (unit "jet"): jet_pt, jet_mass [GeV], jet_eta, jet_phi, and `constituents` with eta_rel, phi_rel [rad],
        pt_rel. jet_phi is uniform, or what is given as `jet_phi`; jet_mass is that of the massless constituents, if the
        model has no scalar of that name. Events (unit "event"): `particles`, as "Momentum4D" where the model has
        momenta. Calorimeter hits (unit "hits"): `hits`.

        Raises
        ------
        InputError
            an unknown condition, one that is missing, not finite, or of another length than n
        ModelError
            the model file cannot be used
        """
        parts = list(self.iterate(n, first=first, stream=stream, **conditions))
        return ak.concatenate(parts) if len(parts) > 1 else parts[0]

    def iterate(
        self, n: int | None = None, *, chunk: int = CHUNK, first: int = 0, stream: int = 0, **conditions: Any
    ) -> Iterator[ak.Array]:
        """The same in chunks of at most `chunk` sets, in bounded memory; at least one chunk, which may be empty."""
        if chunk < 1:
            raise InputError(f"chunk must be at least 1, found {chunk}.")
        n, table, phi = self._conditions(n, conditions)
        if first < 0 or first + n > 2**32:
            raise InputError(f"sets are numbered 0 … {2**32 - 1}; found {first} … {first + n - 1}.")
        if not (0 <= stream < 2**32):
            raise InputError(f"stream must be an unsigned 32-bit integer, found {stream}.")
        starts = range(0, max(n, 1), chunk)
        return (self._chunk(slice(i, min(i + chunk, n)), first, stream, table, phi) for i in starts)

    def _conditions(
        self, n: int | None, given: Mapping[str, Any]
    ) -> tuple[int, list[np.ndarray | float], np.ndarray | None]:
        """Number of sets, a number or an array [n] for each column, and jet_phi (None: drawn)."""
        columns, known = self.metadata["condition"], dict(given)
        values: dict[str, np.ndarray] = {}
        free = [*(column["name"] for column in columns), *(["jet_phi"] if self.metadata["unit"] == "jet" else [])]
        for name, value in known.items():
            if name not in free:
                raise InputError(
                    f"model '{self.file.name}' has no condition '{name}'; it takes {', '.join(free) or 'none'}."
                )
            try:
                values[name] = np.asarray(ak.to_numpy(value) if isinstance(value, ak.Array) else value, np.float32)
            except (TypeError, ValueError) as error:
                raise InputError(f"condition '{name}' must be a number or an array of them: {error}.") from error
            if values[name].ndim > 1:
                raise InputError(f"condition '{name}' must be a number or an array [n], found {values[name].shape}.")
            if not np.isfinite(values[name]).all():
                where = int(np.argmin(np.isfinite(np.atleast_1d(values[name]))))
                raise InputError(f"condition '{name}' must be finite; that of set {where} is not.")
        lengths = {name: len(value) for name, value in values.items() if value.ndim == 1}
        if n is None:
            if not lengths:
                raise InputError("n, the number of sets, is expected, or a condition that is an array.")
            n = next(iter(lengths.values()))
        if n < 0:
            raise InputError(f"n must be 0 or more, found {n}.")
        for name, length in lengths.items():
            if length != n:
                raise InputError(f"condition '{name}' must have one value for each of the {n} sets, found {length}.")
        table: list[np.ndarray | float] = []
        for column in columns:
            name = column["name"]
            if name not in values and "missing" not in column:
                raise InputError(f"model '{self.file.name}' needs the condition '{name}' [{column['unit'] or '1'}].")
            value = values.get(name)
            table.append(float(column["missing"]) if value is None else value if value.ndim else float(value))
        phi = values.get("jet_phi")
        return n, table, None if phi is None else np.broadcast_to(phi, (n,))

    def _chunk(
        self, rows: slice, first: int, stream: int, table: list[np.ndarray | float], phi: np.ndarray | None
    ) -> ak.Array:
        n = rows.stop - rows.start
        event = np.arange(first + rows.start, first + rows.stop, dtype=np.int64)
        conditions = np.empty((n, len(table)), np.float32)
        for k, value in enumerate(table):
            conditions[:, k] = value if isinstance(value, float) else value[rows]
        shape = [len(self.metadata["input"][kind]) for kind in ("features", "codes")]
        out = self._load().run(
            np.zeros((0, shape[0]), np.float32),
            np.zeros((0, shape[1]), np.int64),
            np.zeros(n + 1, np.int64),
            conditions,
            event,
            self.seed,
            stream,
        )
        sets = {column["name"]: out["scalars"][:, k] for k, column in enumerate(self.metadata["scalars"])}
        columns: dict[str, np.ndarray] = {}
        for kind, source in (("features", "items"), ("codes", "item_codes")):
            columns |= {column["name"]: out[source][:, k] for k, column in enumerate(self.metadata["output"][kind])}
        if self.metadata["unit"] == "jet":
            for k, column in enumerate(self.metadata["condition"]):  # what was asked and is not said again
                if "missing" not in column:
                    sets.setdefault(column["name"], conditions[:, k].copy())
            sets["jet_phi"] = self._phi(event, stream) if phi is None else phi[rows]
            if "jet_mass" not in sets and "jet_pt" in sets and {"eta_rel", "phi_rel", "pt_rel"} <= set(columns):
                sets["jet_mass"] = sets["jet_pt"] * _mass(columns, out["offsets"])
        momenta = set(columns) >= _CARTESIAN and ("E" in columns or "energy" in columns or "mass" in columns)
        parameters = {"__record__": "Momentum4D"} if momenta else None
        record = ak.contents.RecordArray(
            [ak.contents.NumpyArray(np.ascontiguousarray(column)) for column in columns.values()],
            list(columns),
            length=len(out["items"]),
            parameters=parameters,
        )
        items = ak.contents.ListOffsetArray(ak.index.Index64(out["offsets"]), record)
        fields = [ak.contents.NumpyArray(np.ascontiguousarray(column)) for column in sets.values()]
        names = [*sets, _ITEMS.get(self.metadata["unit"], "items")]
        behavior = vector_behavior if momenta else None
        return ak.Array(ak.contents.RecordArray([*fields, items], names, length=n), behavior=behavior)

    def _phi(self, event: np.ndarray, stream: int) -> np.ndarray:
        """Uniform in (-pi, pi], keyed as the model's own noise: the angle of two normal numbers."""
        slot = np.full(len(event), _OWN_SLOT, np.uint32)
        noise = core().normal_noise(self.seed, stream, event.astype(np.uint32), slot, 2)
        return np.arctan2(noise[:, 0], noise[:, 1])


def _mass(columns: Mapping[str, np.ndarray], offsets: np.ndarray) -> np.ndarray:
    """Mass of jets of massless constituents, in units of the jets' pT: float32 [n]."""
    eta, phi, pt = (columns[name].astype(np.float64) for name in ("eta_rel", "phi_rel", "pt_rel"))
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    parts = (pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta))
    energy, px, py, pz = (np.bincount(owner, weights=part, minlength=len(offsets) - 1) for part in parts)
    return np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0.0)).astype(np.float32)
