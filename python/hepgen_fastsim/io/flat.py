# SPDX-License-Identifier: MIT
"""Flat ROOT files in Delphes' layout: the tree `Delphes`, one branch per leaf, named and typed as in Delphes' files.

Units are Delphes': GeV, mm, T in seconds, Eta ±999.9 along the beam, ET is the transverse momentum. uproot, RDataFrame,
TTreeReaderArray, TTree::Draw and hadd read these files; ExRootTreeReader needs true TClonesArrays, which they are not.

Event               Number, ProcessID, MPI, Weight, CrossSection, CrossSectionError, Scale, AlphaQED, AlphaQCD,
                    ID1, ID2, X1, X2, ScalePDF, PDF1, PDF2
Weight              Weight, one entry per weight; their names stand in the object `hepgen_fastsim`
Particle            fUniqueID, PID, Status, IsPU, M1, M2, D1, D2, Charge, Mass, E, Px, Py, Pz, P, PT, Eta, Phi,
                    Rapidity, T, X, Y, Z
EFlowTrack          fUniqueID, PID, Charge, IsPU, P, PT, Eta, Phi, CtgTheta, Mass, T, X, Y, Z, D0, DZ, Particle
EFlowPhoton,        fUniqueID, ET, Eta, Phi, E, Eem, Ehad, IsPU, Particle
EFlowNeutralHadron

X, Y, Z, T of a track are the production vertex of its particle, as in Delphes. `Particle` is the index of the leading
particle in the event's `Particle` branch, -1 for none (in Delphes a TRef, for towers a TRefArray of all particles,
which flat trees cannot hold). `fUniqueID` counts from 1 within the event: particles first, then tracks, photons,
neutral hadrons.

Not filled, since no model gives them: read and processing times; exit points, first hits, points of closest approach,
path lengths, errors and covariances of tracks; tower positions, times and edges; vertices; energy fractions of
pile-up.

The object `hepgen_fastsim`, a TObjString beside the tree, holds JSON: weight names, model, sha256, seed, streams,
command.
"""

from __future__ import annotations

import json
from typing import Any

import awkward as ak
import numpy as np
import uproot

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.io.delphes import C_LIGHT, EVENT_LEAVES, PARTICLE_LEAVES, SIDE_OBJECT
from hepgen_fastsim.io.writer import Writer

__all__ = ["FlatWriter"]

_I, _U, _F, _L = "int32", "uint32", "float32", "int64"


def _types(**leaves: str) -> dict[str, str]:
    return {name: kind for kind, names in leaves.items() for name in names.split()}


_TOWER = {"fUniqueID": _U, **dict.fromkeys(("ET", "Eta", "Phi", "E", "Eem", "Ehad"), _F), "IsPU": _I, "Particle": _I}

BRANCHES: dict[str, dict[str, str]] = {
    "Event": _types(int64="Number")
    | _types(int32="ProcessID MPI ID1 ID2")
    | _types(float32="Weight CrossSection CrossSectionError Scale AlphaQED AlphaQCD X1 X2 ScalePDF PDF1 PDF2"),
    "Weight": {"Weight": _F},
    "Particle": _types(uint32="fUniqueID", int32="PID Status IsPU M1 M2 D1 D2 Charge")
    | _types(float32="Mass E Px Py Pz P PT Eta Phi Rapidity T X Y Z"),
    "EFlowTrack": _types(uint32="fUniqueID", int32="PID Charge IsPU")
    | _types(float32="P PT Eta Phi CtgTheta Mass T X Y Z D0 DZ")
    | {"Particle": _I},
    "EFlowPhoton": _TOWER,
    "EFlowNeutralHadron": _TOWER,
}
"""Branch -> {leaf: type}."""

COMPRESSION = uproot.ZSTD(1)  # as small as uproot's default, zlib, in a quarter of its time

PHOTON, NEUTRAL_HADRON = 22, 130
BEAM_ETA = 999.9


class FlatWriter(Writer):
    """Writes the flat ROOT layout of this module."""

    def _start(self) -> None:
        self._file = uproot.recreate(self._part.file, compression=COMPRESSION)
        kinds = {
            branch: ak.types.from_datashape(
                "var * {" + ", ".join(f'"{leaf}": {kind}' for leaf, kind in leaves.items()) + "}", highlevel=False
            )
            for branch, leaves in BRANCHES.items()
        }
        self._tree = self._file.mktree(
            "Delphes",
            kinds,
            title="Analysis tree",
            counter_name=lambda branch: branch + "_size",
            field_name=lambda branch, leaf: leaf if branch == "" else branch + "." + leaf,
        )

    def _append(self, gen: ak.Array, reco: ak.Array) -> None:
        self._tree.extend(flat_branches(gen, reco))

    def _finish(self, metadata: dict[str, Any]) -> None:
        self._file[SIDE_OBJECT] = json.dumps(metadata)
        self._file.close()

    def _drop(self) -> None:
        del self._tree, self._file


def _jagged(branch: str, offsets: np.ndarray, columns: dict[str, Any]) -> ak.Array:
    n = int(offsets[-1])
    contents = []
    for leaf, kind in BRANCHES[branch].items():
        column = np.zeros(n, kind) if leaf not in columns else np.asarray(columns[leaf])
        contents.append(ak.contents.NumpyArray(np.ascontiguousarray(column, dtype=kind)))
    record = ak.contents.RecordArray(contents, list(BRANCHES[branch]), length=n)
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(np.asarray(offsets, np.int64)), record))


def flat_branches(gen: ak.Array, reco: ak.Array) -> dict[str, ak.Array]:
    """The tree's branches for a GEN batch and its RECO constituents."""
    n_events = len(gen)
    ones = np.arange(n_events + 1)
    weights = ak.to_numpy(ak.to_regular(gen["weights"], axis=1)).reshape(n_events, -1)
    event = {leaf: ak.to_numpy(gen[column]) for column, leaf in EVENT_LEAVES.items()}
    event["Weight"] = weights[:, 0] if weights.shape[1] else np.ones(n_events)
    particles = ak.to_packed(gen["particles"], highlevel=False).to_ListOffsetArray64(True)
    offsets = np.asarray(particles.offsets.data)
    truth = {name: np.asarray(particles.content[name].data) for name in particles.content.fields}
    constituents = ak.to_packed(reco, highlevel=False).to_ListOffsetArray64(True)
    return {
        "Event": _jagged("Event", ones, event),
        "Weight": _jagged("Weight", ones * weights.shape[1], {"Weight": weights.ravel()}),
        "Particle": _jagged("Particle", offsets, _particle(truth, offsets)),
        **_constituents(constituents, truth, offsets),
    }


def _within(offsets: np.ndarray) -> np.ndarray:
    """Index of each row within its event."""
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))


def _particle(c: dict[str, np.ndarray], offsets: np.ndarray) -> dict[str, Any]:
    too_long = np.abs(c["pdgid"]) > np.iinfo(np.int32).max
    if too_long.any():
        row = int(np.argmax(too_long))
        event = int(np.searchsorted(offsets, row, side="right")) - 1
        error = InputError(
            f"event {event} of the batch, pdgid {c['pdgid'][row]}: Delphes' layout holds PDG codes of 32 bits; write "
            "Parquet instead."
        )
        error.good_events = event  # type: ignore[attr-defined]
        raise error
    out: dict[str, Any] = {leaf: c[column] for column, leaf in PARTICLE_LEAVES.items()}
    px, py, pz, m = c["px"], c["py"], c["pz"], c["mass"]
    pt = np.hypot(px, py)
    p = np.hypot(pt, pz)
    energy = np.sqrt(np.maximum(p * p + m * np.abs(m), 0))  # mass carries the sign of m^2
    with np.errstate(divide="ignore", invalid="ignore"):
        along = (p == 0) | (np.abs(pz / p) == 1)  # as Delphes decides it, in double precision
        beam = np.where(pz >= 0, BEAM_ETA, -BEAM_ETA)
        eta = np.where(along, beam, np.arcsinh(pz / pt))
        rapidity = np.where(along, beam, np.arctanh(pz / energy))
    out |= {"PT": pt, "P": p, "E": energy, "Eta": eta, "Phi": np.arctan2(py, px)}
    out["Rapidity"] = np.where(np.isfinite(rapidity), rapidity, eta)  # |pz| >= E by rounding, or off shell
    out["Charge"] = np.rint(c["charge"])
    out["T"] = c["vt"] / C_LIGHT
    out["fUniqueID"] = _within(offsets) + 1
    return out


def _constituents(reco: Any, truth: dict[str, np.ndarray], gen_offsets: np.ndarray) -> dict[str, ak.Array]:
    offsets = np.asarray(reco.offsets.data)
    c = {name: np.asarray(reco.content[name].data) for name in reco.content.fields}
    n_events = len(offsets) - 1
    event = np.repeat(np.arange(n_events), np.diff(offsets))
    kind = np.select([c["pdgid"] == PHOTON, c["pdgid"] == NEUTRAL_HADRON], [1, 2], 0)
    uid = np.diff(gen_offsets)  # identifiers given so far, per event
    out = {}
    for number, branch in enumerate(("EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron")):
        chosen = kind == number
        own = {name: column[chosen] for name, column in c.items()}
        counts = np.bincount(event[chosen], minlength=n_events)
        bounds = np.concatenate([[0], np.cumsum(counts)])
        columns = _track(own, truth, gen_offsets[event[chosen]]) if number == 0 else _tower(own, number == 1)
        columns["fUniqueID"] = _within(bounds) + 1 + np.repeat(uid, counts)
        columns["Particle"] = own["origin"]
        out[branch] = _jagged(branch, bounds, columns)
        uid = uid + counts
    return out


def _track(c: dict[str, np.ndarray], truth: dict[str, np.ndarray], first: np.ndarray) -> dict[str, Any]:
    pt, eta = c["pt"].astype(np.float64), c["eta"].astype(np.float64)
    known = c["origin"] >= 0
    row = np.where(known, first + c["origin"], 0)
    out = {"PID": c["pdgid"], "Charge": c["charge"], "PT": pt, "P": pt * np.cosh(eta), "Eta": eta, "Phi": c["phi"]}
    out |= {"CtgTheta": np.sinh(eta), "Mass": c["mass"], "D0": c["d0"], "DZ": c["dz"]}
    for leaf, column, unit in (("X", "vx", 1.0), ("Y", "vy", 1.0), ("Z", "vz", 1.0), ("T", "vt", C_LIGHT)):
        vertex = truth[column][row] if known.any() else np.zeros(len(row))
        out[leaf] = np.where(known, vertex, 0.0) / unit
    return out


def _tower(c: dict[str, np.ndarray], electromagnetic: bool) -> dict[str, Any]:
    energy = c["pt"].astype(np.float64) * np.cosh(c["eta"].astype(np.float64))
    none = np.zeros(len(energy))
    out = {"ET": c["pt"], "Eta": c["eta"], "Phi": c["phi"], "E": energy}
    return out | {"Eem": energy if electromagnetic else none, "Ehad": none if electromagnetic else energy}
