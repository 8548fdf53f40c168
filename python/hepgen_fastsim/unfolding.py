# SPDX-License-Identifier: MIT
"""Unfolding: events of the detector level in, draws of the parton level out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from vector.backends.awkward import behavior as vector_behavior

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.errors import InputError, ModelError
from hepgen_fastsim.events import stream_of
from hepgen_fastsim.fastsim import _GOLDEN
from hepgen_fastsim.lazy_model import DEFAULT_SEED
from hepgen_fastsim.registry import ModelFile, find_model

__all__ = ["OBJECTS", "unfold"]

OBJECTS = ("lm", "lp", "j1", "j2")
"""Objects of an event, in order: l-, l+ and two jets (either may be the harder one)."""
_POLAR, _CARTESIAN = ("pt", "eta", "phi", "mass"), ("px", "py", "pz", "e")


def unfold(
    reco_objects: ak.Array | Mapping[str, Any],
    model: str | os.PathLike[str] = "fcgan",
    n: int | None = None,
    *,
    seed: int = DEFAULT_SEED,
    event: np.ndarray | None = None,
    stream: int | None = None,
    outside: str = "keep",
    device: str = "auto",
) -> ak.Array:
    """Draw parton-level events of ZW → (l- l+)(j j) for events measured by a detector.

    Parameters
    ----------
    reco_objects
        the four objects of each event, in one of three forms: an array of events that are lists of exactly four records
        in the order l-, l+, jet, jet; an array of records with the fields lm, lp, j1, j2; or a dict of flat columns
        `lm_pt, lm_eta, …, j2_mass`. Momenta are pt, eta, phi, mass or px, py, pz, e [GeV]; leptons need a `pdgid`
        (11 or 13 and -11 or -13; as a flat column `lm_pdgid` and `lp_pdgid`)
    model
        name of a model of the task "unfold" ("fcgan", "unfold-flow"), or path of a model file
    n
        draws per event: the result has a further axis of this length behind that of the events. The first is the one
        that comes without `n`, and the first k of n + 1 are those of n
    seed
        unsigned 64-bit integer; the same seed and events give the same draws, in whatever batches
    event
        int64 [n_events], ids that key the random numbers; default: 0, 1, 2, …
    stream
        32-bit number of the sample, another part of the key; default: a checksum of the first event
    outside
        events with a momentum outside the ranges that the model was trained on: "keep", or "refuse" (InputError)
    device
        "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N"

    Returns
    -------
    awkward array: per event (and draw) four massless records "Momentum4D", partons in the order of the objects that
    they belong to: pdgid int64 (of the lepton; 0 for a quark), pt, eta, phi, mass float32 [GeV]

    Raises
    ------
    InputError
        columns missing or not finite, another number of objects, leptons in another order or of two flavours
    ModelError
        the model file cannot be used, or does not unfold

    >>> partons = hf.unfold(reco, model="unfold-flow", n=10)
    >>> (partons[:, :, 2] + partons[:, :, 3]).mass      # ten values of the W's mass per event
    """
    momenta, pdgid = _objects(reco_objects)  # [N, 4, 4], [N, 4]
    _check(momenta, pdgid)
    file = find_model(model)
    engine, domain = _engine(str(file.path), device, file.expected_sha256)
    if outside not in ("keep", "refuse"):
        raise InputError(f"outside must be one of keep, refuse; found '{outside}'.")
    if outside == "refuse":
        _refuse(momenta, domain)
    if not (0 <= seed < 2**64):
        raise InputError(f"seed must be an unsigned 64-bit integer, found {seed}.")
    n_events, n_draws = len(momenta), 1 if n is None else int(n)
    keys = _keys(n_events, n_draws, event)  # [n_draws * N]
    if stream is None:
        pt, eta, phi = (momenta[:1, :, k].ravel().astype(float) for k in range(3))
        stream = stream_of(pdgid[:1].ravel(), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)) if n_events else 0
    if not (0 <= stream < 2**32):
        raise InputError(f"stream must be an unsigned 32-bit integer, found {stream}.")
    sets = n_draws * n_events
    found = engine.run(
        np.tile(momenta.reshape(-1, 4), (n_draws, 1)).astype(np.float32),
        np.tile(pdgid.reshape(-1, 1), (n_draws, 1)),
        4 * np.arange(sets + 1),
        np.zeros((sets, 0), np.float32),
        keys,
        int(seed),
        int(stream),
    )
    order = np.arange(sets).reshape(n_draws, n_events).T.ravel()  # all draws of an event together
    items = found["items"].reshape(sets, 4, 4)[order].reshape(-1, 4)
    columns = {"pdgid": found["item_codes"].reshape(sets, 4)[order].ravel()}
    columns |= {name: np.ascontiguousarray(items[:, k]) for k, name in enumerate(_POLAR)}
    record: Any = ak.contents.RecordArray(
        [ak.contents.NumpyArray(column) for column in columns.values()],
        list(columns),
        parameters={"__record__": "Momentum4D"},
    )
    record = ak.contents.RegularArray(record, 4, zeros_length=sets)
    if n is not None:
        record = ak.contents.RegularArray(record, n_draws, zeros_length=n_events)
    return ak.Array(record, behavior=vector_behavior)


@lru_cache(maxsize=8)
def _engine(path: str, device: str, expected_sha256: str | None) -> tuple[Any, dict[str, Any]]:
    """The engine of an unfolding model, and its domain. A file that differs from its manifest is refused."""
    ModelFile(path, Path(path), expected_sha256).sha256()
    loaded = core().Model(path)
    metadata = json.loads(loaded.metadata)
    if metadata["task"] != "unfold":
        raise ModelError(f"{path}: a model of the task 'unfold' is expected, this one's is '{metadata['task']}'.")
    return core().Engine(loaded, device), metadata["domain"]


def _objects(reco: ak.Array | Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Momenta float64 [N, 4, 4] (pt, eta, phi, mass) and codes int64 [N, 4] of any of the three forms."""
    if isinstance(reco, Mapping):
        groups = {name: {k: reco[f"{name}_{k}"] for k in _known(reco, f"{name}_")} for name in OBJECTS}
    else:
        fields = set(ak.fields(reco))
        if fields >= set(OBJECTS):
            groups = {name: {k: getattr(reco[name], k) for k in _known(reco[name])} for name in OBJECTS}
        elif reco.ndim == 2 and fields:
            counts = ak.to_numpy(ak.num(reco))
            if (counts != 4).any():
                row = int(np.argmax(counts != 4))
                raise InputError(
                    f"event {row}: four objects are expected, in the order l-, l+, jet, jet; found {counts[row]}."
                )
            groups = {name: {k: getattr(reco[:, i], k) for k in _known(reco)} for i, name in enumerate(OBJECTS)}
        else:
            missing = [name for name in OBJECTS if name not in fields]
            raise InputError(
                "expected lists of four objects per event, or records with the fields lm, lp, j1 and j2; found the "
                f"type {reco.type} (missing: {', '.join(missing)})."
            )
    momenta, codes = [], []
    for name, group in groups.items():
        columns = {k: ak.to_numpy(v) if isinstance(v, ak.Array) else np.asarray(v) for k, v in group.items()}
        momenta.append(_momentum(columns, name))
        if name in ("lm", "lp") and "pdgid" not in columns:
            raise InputError(f"{name} has no pdgid: the lepton's code is expected, 11 or 13 with its sign.")
        codes.append(columns["pdgid"] if name in ("lm", "lp") else np.zeros(len(momenta[-1])))
    if len({len(m) for m in momenta}) != 1:
        raise InputError(f"columns of one length are expected, found {[len(m) for m in momenta]} for {OBJECTS}.")
    return np.stack(momenta, 1), np.stack(codes, 1).astype(np.int64)


def _known(group: Any, prefix: str = "") -> list[str]:
    """The columns of an object that are used: its code, and pt, eta, phi, mass rather than px, py, pz, e."""
    have = set(group) if isinstance(group, Mapping) else set(ak.fields(group))
    for names in (_POLAR, _CARTESIAN):
        if all(prefix + name in have for name in names):
            return [*names, *(["pdgid"] if f"{prefix}pdgid" in have else [])]
    wanted = ", ".join(prefix + name for name in _POLAR)
    other = ", ".join(prefix + name for name in _CARTESIAN)
    raise InputError(f"expected the columns {wanted} or {other}; found {', '.join(sorted(have)) or 'none'}.")


def _momentum(columns: dict[str, np.ndarray], name: str) -> np.ndarray:
    """One object's (pt, eta, phi, mass) [N, 4]."""
    if "pt" in columns:
        return np.stack([columns[k].astype(float) for k in _POLAR], 1)
    px, py, pz, e = (columns[k].astype(float) for k in _CARTESIAN)
    pt = np.hypot(px, py)
    if (pt <= 0).any():
        raise InputError(f"event {int(np.argmax(pt <= 0))}: {name} has no transverse momentum.")
    mass = np.sqrt(np.maximum(e**2 - pt**2 - pz**2, 0.0))
    return np.stack([pt, np.arcsinh(pz / pt), np.arctan2(py, px), mass], 1)


def _check(momenta: np.ndarray, pdgid: np.ndarray) -> None:
    """Raise InputError, naming event and object, for momenta that are none or leptons that are no pair."""
    bad = ~np.isfinite(momenta).all(2) | (momenta[:, :, 0] <= 0)
    if bad.any():
        row, place = (int(i) for i in np.argwhere(bad)[0])
        values = dict(zip(_POLAR, momenta[row, place].tolist()))
        raise InputError(
            f"event {row}, {OBJECTS[place]}: a finite momentum with pt above 0 is expected, found {values}."
        )
    bad_pair = ~np.isin(pdgid[:, 0], (11, 13)) | (pdgid[:, 1] != -pdgid[:, 0])
    if bad_pair.any():
        row = int(np.argmax(bad_pair))
        raise InputError(
            f"event {row}: a lepton pair is expected in the order l-, l+, pdgid (11, -11) or (13, -13); found "
            f"({pdgid[row, 0]}, {pdgid[row, 1]})."
        )


def _refuse(momenta: np.ndarray, domain: dict[str, Any]) -> None:
    """Raise InputError for the first momentum outside of the model's domain."""
    for k, name in enumerate(_POLAR):
        low, high = domain["features"][name]
        bad = (momenta[:, :, k] < low) | (momenta[:, :, k] > high)
        if bad.any():
            row, place = (int(i) for i in np.argwhere(bad)[0])
            raise InputError(
                f"event {row}, {OBJECTS[place]}: {name} is {momenta[row, place, k]:.4g}, the model was trained on "
                f"{low:.4g} … {high:.4g}."
            )


def _keys(n_events: int, n_draws: int, event: np.ndarray | None) -> np.ndarray:
    """Ids that key the noise of all draws [n_draws * n_events], one draw of all events after the other."""
    if n_draws < 1:
        raise InputError(f"n must be at least 1, found {n_draws}.")
    ids = np.arange(n_events) if event is None else np.asarray(event, dtype=np.int64)
    if ids.shape != (n_events,):
        raise InputError(f"'event' must have one id for each of the {n_events} events, found {ids.shape}.")
    limit = 2**32 // (3 * n_draws) if n_draws > 1 else 2**32
    if n_events and not (ids.min() >= 0 and ids.max() < limit):
        raise InputError(
            f"with {n_draws} draws, event ids must lie in 0 … {limit - 1}, so that all draws have random numbers of "
            f"their own; found {ids.min()} … {ids.max()}."
        )
    return ((np.arange(n_draws, dtype=np.int64)[:, None] * _GOLDEN + ids) % 2**32).ravel()
