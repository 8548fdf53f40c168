# SPDX-License-Identifier: MIT
"""Constituents and GEN particles as flat columns, the form that all steps of the reconstruction work on."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.events import GenColumns, columns_of, plain
from hepgen_fastsim.helix import cos_sin

__all__ = ["Constituents", "Momenta", "Particles", "Polar", "constituents", "over", "owners", "particles", "ranges"]

PHOTON, NEUTRAL_HADRON, GLUON = 22, 130, 21
QUARKS = (1, 2, 3, 4, 5)
_NEEDED = ("pdgid", "pt", "eta", "phi")
_DEFAULTS = {"d0": 0.0, "dz": 0.0, "origin": -1}


def owners(offsets: np.ndarray) -> np.ndarray:
    """Event of each row: int64 [offsets[-1]]."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The integers start, start + 1, … of each (start, count), one after the other: int64 [sum of counts]."""
    total = int(counts.sum())
    first = np.cumsum(counts) - counts
    return np.arange(total) + np.repeat(starts - first, counts)


def over(operation: np.ufunc, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """`operation` (np.add, np.maximum) over the values [offsets[-1]] of each list: [n_lists], 0 for empty lists."""
    filled = np.flatnonzero(offsets[1:] > offsets[:-1])
    out = np.zeros(len(offsets) - 1, values.dtype)
    if len(filled):
        out[filled] = operation.reduceat(values, offsets[filled])
    return out


class _Batch:
    """Rows of all events of a batch; `offsets` int64 [n_events + 1]."""

    offsets: np.ndarray

    @cached_property
    def event(self) -> np.ndarray:
        """Event of each row."""
        return owners(self.offsets)


class Polar(_Batch):
    """pt, eta, phi of momenta px, py, pz."""

    px: np.ndarray
    py: np.ndarray
    pz: np.ndarray

    @cached_property
    def pt(self) -> np.ndarray:
        return np.hypot(self.px, self.py)

    @cached_property
    def eta(self) -> np.ndarray:
        return eta_of(self.pt, self.pz)

    @cached_property
    def phi(self) -> np.ndarray:
        return np.arctan2(self.py, self.px)


@dataclass
class Momenta(_Batch):
    """Momenta of all events of a batch: px, py, pz, energy [GeV], float64 [n]."""

    px: np.ndarray
    py: np.ndarray
    pz: np.ndarray
    energy: np.ndarray
    offsets: np.ndarray

    def momenta(self, rows: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """px, py, pz, energy of some rows."""
        return self.px[rows], self.py[rows], self.pz[rows], self.energy[rows]


@dataclass
class Constituents(Momenta):
    """RECO constituents of all events of a batch.

    `contributors` are the GEN particles (rows of the batch) of which a constituent is made and `contributor_of` the
    constituents they belong to; with a model's output that is the leading particle alone. `first_particle`
    [n_events + 1] is the first GEN row of each event (without a record, particles are counted as far as origins go).
    """

    pt: np.ndarray
    eta: np.ndarray
    phi: np.ndarray
    mass: np.ndarray
    pdgid: np.ndarray
    charge: np.ndarray
    d0: np.ndarray
    dz: np.ndarray
    origin: np.ndarray
    contributors: np.ndarray
    contributor_of: np.ndarray
    first_particle: np.ndarray

    def __len__(self) -> int:
        return len(self.pt)

    def polar(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """pt, eta, phi, energy of some constituents."""
        return self.pt[rows], self.eta[rows], self.phi[rows], self.energy[rows]


@dataclass
class Particles(Polar):
    """GEN particles of all events of a batch: px, py, pz, mass [GeV], float64 [n]; `offsets` int64 [n_events + 1];
    `m1`, `m2`, `d1`, `d2` rows within their event, -1 for none. What few particles are asked for is computed for them
    alone."""

    px: np.ndarray
    py: np.ndarray
    pz: np.ndarray
    mass: np.ndarray
    offsets: np.ndarray
    pdgid: np.ndarray
    status: np.ndarray
    charge: np.ndarray
    m1: np.ndarray
    m2: np.ndarray
    d1: np.ndarray
    d2: np.ndarray

    def momenta(self, rows: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """px, py, pz, energy of some particles."""
        if isinstance(rows, slice):
            return self.px[rows], self.py[rows], self.pz[rows], self.energy[rows]
        return core().momenta(self.px, self.py, self.pz, self.mass, rows)

    @cached_property
    def energy(self) -> np.ndarray:
        return np.sqrt(self.px**2 + self.py**2 + self.pz**2 + self.mass**2)

    def select(self, codes: Sequence[int], *, stable: bool, among: bool = True) -> np.ndarray:
        """Rows of particles that are stable or not, and whose PDG code, sign apart, is among `codes` or not."""
        return core().select(self.pdgid, self.status, stable, codes, among)

    def polar(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """pt, eta, phi, energy of some particles."""
        px, py, pz, energy = self.momenta(rows)
        pt = np.sqrt(px**2 + py**2)
        return pt, eta_of(pt, pz), np.arctan2(py, px), energy


def eta_of(pt: np.ndarray, pz: np.ndarray) -> np.ndarray:
    """Pseudorapidity; ±999.9 along the beam, as in Delphes' files, 0 for no momentum at all."""
    with np.errstate(divide="ignore", invalid="ignore"):
        eta = np.arcsinh(pz / pt)
    return np.where(pt > 0, eta, 999.9 * np.sign(pz))


def particles(gen: GenColumns) -> Particles:
    """GEN columns with four-momenta; missing masses and charges follow from the PDG codes, missing status is 1."""
    gen.check(vertices=False)
    c = gen.columns
    pdgid = c["pdgid"]
    n = len(pdgid)
    px, py, pz = gen.momenta()
    mass = np.asarray(c["mass"] if "mass" in c else np.nan_to_num(core().pdg_mass(pdgid), nan=0.0), np.float64)
    none = np.broadcast_to(np.int32(-1), n)
    return Particles(
        px=px,
        py=py,
        pz=pz,
        mass=mass,
        offsets=gen.offsets,
        pdgid=pdgid,
        status=c.get("status", np.broadcast_to(np.int32(1), n)),
        charge=c["charge"] if "charge" in c else core().pdg_charge(pdgid),
        m1=c.get("m1", none),
        m2=c.get("m2", none),
        d1=c.get("d1", none),
        d2=c.get("d2", none),
    )


def constituents(reco: Any, gen: Particles | None) -> Constituents:
    """Columns of RECO constituents: an awkward array, per event a list of records.

    Needed are pdgid, pt, eta, phi. Without them charge and mass follow from the PDG code, towers having no mass; d0 and
    dz are 0, and origin is none. A field `contributors` (lists of GEN indices) may name all particles of a constituent
    where `origin` is only the first.
    """
    if not isinstance(reco, ak.Array):
        raise InputError(f"RECO constituents are expected as an awkward array, found {type(reco).__name__}.")
    layout = _without_option(plain(reco.layout), "an event")
    if isinstance(layout, ak.contents.RegularArray):
        layout = layout.to_ListOffsetArray64(True)
    content = _without_option(getattr(layout, "content", layout), "a constituent")
    if isinstance(layout, ak.contents.EmptyArray) or isinstance(content, ak.contents.EmptyArray):
        columns: dict[str, Any] = {name: np.empty(0) for name in _NEEDED}
        offsets = np.zeros(len(reco) + 1, np.int64)
        content = None
    elif isinstance(layout, ak.contents.ListOffsetArray) and isinstance(content, ak.contents.RecordArray):
        offsets = np.asarray(layout.to_ListOffsetArray64(True).offsets.data, dtype=np.int64)
        missing = [name for name in _NEEDED if name not in content.fields]
        if missing:
            raise InputError(
                f"RECO constituents need {', '.join(_NEEDED)}; {', '.join(missing)} is missing, found "
                f"{', '.join(content.fields) or 'no columns'}."
            )
        wanted = [name for name in (*_NEEDED, *_DEFAULTS, "mass", "charge") if name in content.fields]
        columns = {name: _numbers(name, content[name]) for name in wanted}
    else:
        raise InputError(f"RECO constituents are expected as one list of records per event, found {reco.type}.")
    n = len(columns["pt"])
    for name, value in _DEFAULTS.items():
        columns.setdefault(name, np.full(n, value))
    columns = {name: np.asarray(column, np.float64) for name, column in columns.items()}
    _check_finite(columns, offsets)
    pdgid = columns["pdgid"].astype(np.int64)
    tower = (pdgid == PHOTON) | (pdgid == NEUTRAL_HADRON)
    if "charge" not in columns:
        columns["charge"] = np.where(tower, 0.0, core().pdg_charge(pdgid))
    if "mass" not in columns:
        columns["mass"] = np.where(tower, 0.0, np.nan_to_num(core().pdg_mass(pdgid), nan=0.0))
    origin = columns["origin"].astype(np.int64)
    counts = _particle_counts(reco, content, origin, offsets, gen)
    row, of = _contributors(content, origin, offsets, counts)
    pt, eta, phi, mass = (columns[name] for name in ("pt", "eta", "phi", "mass"))
    cos, sin = cos_sin(phi)
    px, py, pz = pt * cos, pt * sin, pt * np.sinh(eta)
    return Constituents(
        px=px,
        py=py,
        pz=pz,
        energy=np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2),
        offsets=offsets,
        pt=pt,
        eta=eta,
        phi=phi,
        mass=mass,
        pdgid=pdgid,
        charge=columns["charge"],
        d0=columns["d0"],
        dz=columns["dz"],
        origin=origin,
        contributors=row,
        contributor_of=of,
        first_particle=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    )


def _without_option(layout: ak.contents.Content, what: str) -> ak.contents.Content:
    """Parquet files declare events and lists as optional even where nothing is missing."""
    if not layout.is_option:
        return layout
    if np.any(layout.mask_as_bool(valid_when=False)):
        raise InputError(f"RECO constituents are expected as one list of records per event; {what} is missing.")
    return ak.to_packed(layout.project(), highlevel=False)


def _numbers(name: str, content: ak.contents.Content) -> np.ndarray:
    try:
        column = ak.to_numpy(content, allow_missing=False)
    except ValueError as error:
        raise InputError(f"RECO column '{name}' has missing or ragged values: {error}") from error
    if column.dtype.kind not in "iufb" or column.ndim != 1:
        raise InputError(f"RECO column '{name}' must hold numbers, found the type {content.form.type}.")
    return column


def _check_finite(columns: Mapping[str, np.ndarray], offsets: np.ndarray) -> None:
    for name, column in columns.items():
        bad = ~np.isfinite(column)
        if name == "pt":
            bad |= column < 0
        if bad.any():
            row = int(np.argmax(bad))
            event = int(np.searchsorted(offsets, row, side="right")) - 1
            raise InputError(
                f"RECO event {event}, constituent {row - int(offsets[event])}: {name} is {column[row]}, a finite number"
                f"{' of 0 or more' if name == 'pt' else ''} is expected."
            )


def _particle_counts(
    reco: ak.Array, content: Any, origin: np.ndarray, offsets: np.ndarray, gen: Particles | None
) -> np.ndarray:
    """GEN particles per event: the record's, else as many as the origins say."""
    largest = origin
    if content is not None and "contributors" in content.fields:
        deepest = ak.max(ak.Array(content["contributors"]), axis=-1)
        largest = np.maximum(origin, ak.to_numpy(ak.fill_none(deepest, -1)))
    needed = over(np.maximum, largest + 1, offsets)
    if gen is None:
        return needed
    counts = np.diff(gen.offsets)
    if len(counts) != len(needed):
        raise InputError(f"GEN and RECO must have the same events, found {len(counts)} and {len(needed)}.")
    if (needed > counts).any():
        event = int(np.argmax(needed > counts))
        raise InputError(
            f"event {event}: a constituent's origin is particle {needed[event] - 1}, but the GEN event has only "
            f"{counts[event]} particles; do GEN and RECO belong together?"
        )
    return counts


def _contributors(
    content: Any, origin: np.ndarray, offsets: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    first = np.repeat(np.cumsum(counts) - counts, np.diff(offsets))
    if content is not None and "contributors" in content.fields:
        lists = ak.Array(content["contributors"])
        number = ak.to_numpy(ak.num(lists))
        of = np.repeat(np.arange(len(origin)), number)
        return ak.to_numpy(ak.flatten(lists)).astype(np.int64) + first[of], of
    of = np.flatnonzero(origin >= 0)
    return origin[of] + first[of], of


def checksum(c: Constituents) -> int:
    """A stream number for constituents without GEN: crc32 of the first event."""
    stop = int(c.offsets[1]) if len(c.offsets) > 1 else 0
    return zlib.crc32(np.stack([c.px, c.py, c.pz])[:, :stop].astype("<f8").tobytes())


def gen_columns(gen: Any) -> GenColumns:
    """Columns of a GEN batch in any of the forms that the package takes."""
    return columns_of(gen)
