# SPDX-License-Identifier: MIT
"""FastSim: GEN events in, RECO constituents out."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, cast

import awkward as ak
import numpy as np
from vector.backends.awkward import behavior as vector_behavior

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.events import GenColumns, columns_of
from hepgen_fastsim.geometry import bundled
from hepgen_fastsim.lazy_model import DEFAULT_SEED, LazyModel
from hepgen_fastsim.registry import find_model

__all__ = ["DEFAULT_MODEL", "FastSim", "simulate"]

DEFAULT_MODEL = "delphes-cms"

RECO = ("pdgid", "pt", "eta", "phi", "mass", "charge", "d0", "dz", "origin")


class FastSim(LazyModel):
    """A detector: calls turn GEN events into RECO constituents.

    Parameters
    ----------
    model
        name of a model (`hf.models()`) or path of a model file
    device
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:N", or a list of them, "cuda:0,cuda:1": the batches of a
        call are shared out, each to the next device that is free; results come in order
    seed
        unsigned 64-bit integer; the same seed and events give the same constituents, in whatever batches, order or
        threads
    precision
        "float32"; "bf16" (autocast around the network alone); or "tf32": float32 numbers whose products of matrices a
        GPU takes in TF32. That is a switch of the whole process in torch, off by default and never touched here:
        `torch.backends.cuda.matmul.allow_tf32 = True` comes first, or loading raises Error. On a CPU the same as
        "float32"
    outside
        particles outside the ranges that the model was trained on: "keep" simulates and counts them, "drop" leaves
        them out and counts them, "refuse" raises InputError
    batch_items
        particles (or slots, if those are more) that are given to the network at once, a matter of speed and memory
        alone; default: on a CPU what the model asks for, else 32768; 2^20 on GPUs
    jets
        name or path of a model of jets (unit "jet"), e.g. "graph-vae": GEN jets are clustered, their constituents come
        from it, and the rest of the event from `model` (`hepgen_fastsim.jet_level`)

    Attributes
    ----------
    outside : Counter
        particles outside the model's domain so far, by reason, e.g. {"pt": 3}

    The model is loaded at the first use, once per process: objects can be pickled and sent to workers. Calls from
    several threads are safe and run at the same time.

    >>> sim = hf.FastSim("delphes-cms", seed=42)
    >>> reco = sim(gen)
    """

    _loaded = ("_engine", "_jets")
    _jets: Any

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str = "auto",
        seed: int = DEFAULT_SEED,
        precision: str = "float32",
        outside: str = "keep",
        batch_items: int | None = None,
        jets: str | os.PathLike[str] | None = None,
    ) -> None:
        if outside not in ("keep", "drop", "refuse"):
            raise InputError(f"outside must be one of keep, drop, refuse; found '{outside}'.")
        super().__init__(model, seed=seed, device=device, precision=precision, batch_items=batch_items)
        self.jets_file = None if jets is None else find_model(jets)
        self.outside: Counter[str] = Counter()
        self._config["outside"] = outside
        self._attrs: dict[str, Any] = {}

    def _open(self) -> Any:
        if self.jets_file is not None:
            from hepgen_fastsim.jet_level import JetLevel

            options = {name: value for name, value in self._config.items() if name != "outside"}
            self._jets = JetLevel(self.jets_file, **options)
        engine = core().FastSim(str(self.file.path), **self._config)
        self._attrs = _attributes(json.loads(engine.metadata))
        return engine

    @property
    def metadata(self) -> dict[str, Any]:
        """The model's own description (hepgen.json): columns, domain, provenance, metrics, licence."""
        return json.loads(self._load().metadata)

    @property
    def jets(self) -> Any:
        """What simulates jets (`hepgen_fastsim.jet_level.JetLevel`); None without a model of jets."""
        self._load()
        return self._jets

    def __call__(
        self,
        gen: ak.Array | Mapping[str, Any],
        event: np.ndarray | None = None,
        stream: int | None = None,
        *,
        n: int | None = None,
    ) -> ak.Array:
        """Simulate a batch of events.

        Parameters
        ----------
        gen
            a GEN batch of `hf.read`; or a ragged awkward array of particle records with `pdgid` and px, py, pz or pt,
            eta, phi [GeV] (mass and charge [e] follow from the PDG code if they are missing, vx, vy, vz [mm] are 0,
            `status` 1); or a dict of such flat numpy columns with `offsets`
        event
            int64 [n_events], ids that key the random numbers; default: those of the batch, else 0, 1, 2, …
        stream
            32-bit number of the sample, another part of the key; default: that of the batch, else a checksum of the
            first event
        n
            independent versions of each event, drawn in one pass: the result has a further axis of this length behind
            that of the events. The first is the one that comes without `n`, and the first k of n + 1 are those of n

        Returns
        -------
        awkward array, per event a list of records "Momentum4D": pdgid int64 (22 photon, 130 neutral hadron, else a
        track), pt, eta, phi, mass float32 [GeV], charge int32 [e], d0, dz float32 [mm], origin int64 (index of the
        leading particle in gen's event, -1: none); attrs["geometry"] names the detector if its geometry is bundled

        Raises
        ------
        InputError
            columns missing or not finite; particles outside the model's domain under outside="refuse"
        ModelError
            the model file cannot be used
        """
        events = columns_of(gen)
        if event is not None:
            events.event = np.ascontiguousarray(event, dtype=np.int64)
        if events.event is not None and events.event.shape != (len(events),):
            raise InputError(
                f"'event' must have one id for each of the {len(events)} events, found {events.event.shape}."
            )
        key = events.key() if stream is None else int(stream)
        if not (0 <= key < 2**32):
            raise InputError(f"stream must be an unsigned 32-bit integer, found {key}.")
        columns, offsets, ids = events.columns, events.offsets, events.event
        if n is not None:
            columns, offsets, ids = _repeated(events, int(n))
        engine = self._load()
        try:
            if self._jets is None:
                out = engine.simulate(columns, offsets, ids, self.seed, key)
            else:
                out = self._jets.simulate(engine, columns, offsets, ids, self.seed, key)
        except InputError:
            events.check()  # says how many events before it are good
            raise
        if out["outside"]:
            with self._lock:
                self.outside.update({reason: count // (n or 1) for reason, count in out["outside"].items()})
        record = ak.contents.RecordArray(
            [ak.contents.NumpyArray(out[name]) for name in RECO], list(RECO), parameters={"__record__": "Momentum4D"}
        )
        reco: Any = ak.contents.ListOffsetArray(ak.index.Index64(out["offsets"]), record)
        if n is not None:
            order = np.arange(n * len(events)).reshape(n, len(events)).T.ravel()  # all versions of an event together
            reco = ak.contents.RegularArray(ak.Array(reco)[order].layout, n, zeros_length=len(events))
        return ak.Array(reco, behavior=vector_behavior, attrs=self._attrs)


def _attributes(metadata: dict[str, Any]) -> dict[str, Any]:
    """What RECO arrays carry in `attrs`: the bundled geometry of the model's detector, if it has one."""
    name = metadata.get("geometry", metadata["name"].removeprefix("delphes-"))
    return {"geometry": name} if name in bundled() else {}


_GOLDEN = 0x9E3779B9  # 2^32 over the golden ratio
"""Distance between the ids, and so the keys, of an event's versions, modulo 2^32: multiples of it up to the n-th are at
least 2^32 / (3 n) from each other, so that no version of one event has the key of another event's."""


def _repeated(events: GenColumns, n: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Columns, offsets and ids of n copies of a batch, one batch after the other."""
    if n < 1:
        raise InputError(f"n must be at least 1, found {n}.")
    ids = np.arange(len(events)) if events.event is None else events.event
    limit = 2**32 // (3 * n) if n > 1 else 2**32
    if len(ids) and not (ids.min() >= 0 and ids.max() < limit):
        raise InputError(
            f"with n = {n}, event ids must lie in 0 … {limit - 1}, so that all versions have random numbers of their "
            f"own; found {ids.min()} … {ids.max()}."
        )
    total = events.offsets[-1]
    starts = (total * np.arange(n))[:, None] + events.offsets[:-1]
    keys = (np.arange(n, dtype=np.int64)[:, None] * _GOLDEN + ids) % 2**32
    columns = {name: np.tile(column, n) for name, column in events.columns.items()}
    return columns, np.append(starts.ravel(), n * total), keys.ravel()


@lru_cache(maxsize=8)
def _shared(model: Any, seed: int, options: tuple[tuple[str, Any], ...]) -> FastSim:
    return FastSim(model, seed=seed, **dict(options))


def simulate(
    events: ak.Array | Mapping[str, Any],
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    seed: int = DEFAULT_SEED,
    *,
    event: np.ndarray | None = None,
    stream: int | None = None,
    n: int | None = None,
    **options: Any,
) -> ak.Array:
    """RECO constituents of GEN events, as a pure function that pickles: for coffea, Dask and other schedulers.

    The model is loaded once per process. Arguments as those of `FastSim` and of its call.

    >>> reco = hf.simulate(gen, model="delphes-cms", seed=42)
    """
    return _shared(cast(Hashable, model), seed, tuple(sorted(options.items())))(events, event, stream, n=n)
