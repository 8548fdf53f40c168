# SPDX-License-Identifier: MIT
"""Columns of the `Delphes` tree from GEN events, RECO constituents and reconstructed objects.

Units are Delphes': GeV, mm, T in seconds, Eta ±999.9 along the beam, ET is the transverse momentum.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np
from awkward.contents import Content, NumpyArray, RecordArray

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.events import plain
from hepgen_fastsim.geometry import Geometry
from hepgen_fastsim.io import positions
from hepgen_fastsim.io.delphes import C_LIGHT, EVENT_LEAVES, PARTICLE_LEAVES

__all__ = ["Branch", "tree_columns"]

PHOTON, NEUTRAL_HADRON = 22, 130

CONSTITUENTS = ("EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron")
_OF_TOWERS = ("pt", "eta", "phi", "origin")

_MOMENTUM = {"PT": "pt", "Eta": "eta", "Phi": "phi"}
_ISOLATION = {
    "IsolationVar": "isolation_var",
    "IsolationVarRhoCorr": "isolation_var_rho_corr",
    "SumPtCharged": "sum_pt_charged",
    "SumPtNeutral": "sum_pt_neutral",
    "SumPtChargedPU": "sum_pt_charged_pu",
    "SumPt": "sum_pt",
}
_TRACK = {"Charge": "charge", "D0": "d0", "DZ": "dz"}
_JET = _MOMENTUM | {
    "Mass": "mass",
    "DeltaEta": "delta_eta",
    "DeltaPhi": "delta_phi",
    "Charge": "charge",
    "EhadOverEem": "ehad_over_eem",
    "NCharged": "n_charged",
    "NNeutrals": "n_neutrals",
    "NeutralEnergyFraction": "neutral_energy_fraction",
    "ChargedEnergyFraction": "charged_energy_fraction",
}
_SHAPE = {"MeanSqDeltaR": "mean_sq_delta_r", "PTD": "ptd"}
_TAGS = {
    "Flavor": "flavor",
    "FlavorAlgo": "flavor_algo",
    "FlavorPhys": "flavor_phys",
    "TauFlavor": "tau_flavor",
    "BTag": "btag",
    "BTagAlgo": "btag_algo",
    "BTagPhys": "btag_phys",
    "TauTag": "tautag",
    "TauWeight": "tau_weight",
}
_GROOMED = {"Trimmed": "trimmed", "Pruned": "pruned", "SoftDropped": "soft_dropped"}

OBJECTS: dict[str, tuple[str, dict[str, str]]] = {
    "GenJet": ("genjets", _JET),
    "Jet": ("jets", _JET | _TAGS | _SHAPE),
    "Electron": ("electrons", _MOMENTUM | _TRACK | _ISOLATION | {"EhadOverEem": "ehad_over_eem"}),
    "Photon": ("photons", _MOMENTUM | _ISOLATION | {"EhadOverEem": "ehad_over_eem", "Status": "status"}),
    "Muon": ("muons", _MOMENTUM | _TRACK | _ISOLATION),
    "FatJet": (
        "fatjets",
        _JET | _SHAPE | {"Tau": "nsubjettiness"} | {f"NSubJets{k}": f"n_subjets_{v}" for k, v in _GROOMED.items()},
    ),
}
"""Branch -> (field of `hf.reconstruct`'s records, {leaf: column of the field's records})."""


@dataclass
class Branch:
    """Entries of one branch.

    offsets     int64 [n_events + 1]
    leaves      leaf -> numbers, [n_entries] or [n_entries, length]
    references  leaf -> (offsets int64 [n_entries + 1], fUniqueIDs uint32): what each entry refers to
    vectors     leaf -> float64 [n_entries, length, 4], (px, py, pz, E)
    """

    offsets: np.ndarray
    leaves: dict[str, Any]
    references: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    vectors: dict[str, np.ndarray] = field(default_factory=dict)


def tree_columns(
    gen: ak.Array, reco: ak.Array, objects: ak.Array | None = None, references: bool = False
) -> dict[str, Branch]:
    """The tree's branches for a GEN batch, its RECO constituents and the objects of `hf.reconstruct`.

    `fUniqueID` counts from 1 within the event: particles, tracks, photons, neutral hadrons. With `references` lists of
    them, and groomed momenta, come too. Positions and times of constituents are there if the model's detector is known,
    reco.attrs["geometry"]. Raises InputError, with `good_events`, for PDG codes beyond 32 bits.
    """
    name = reco.attrs.get("geometry")
    detector = None if name is None else positions.known_geometry(name)
    n_events = len(gen)
    ones = np.arange(n_events + 1)
    weights = ak.to_numpy(ak.to_regular(gen["weights"], axis=1)).reshape(n_events, -1)
    event = {leaf: ak.to_numpy(gen[column]) for column, leaf in EVENT_LEAVES.items()}
    event["Weight"] = weights[:, 0] if weights.shape[1] else np.ones(n_events)
    offsets, particles = _entries(gen["particles"].layout)
    truth = {name: _numbers(particles[name]) for name in particles.fields}
    constituents, uids, times = _constituents(reco, truth, offsets, references, detector)
    out = {
        "Event": Branch(ones, event),
        "Weight": Branch(ones * weights.shape[1], {"Weight": weights.ravel()}),
        "Particle": Branch(offsets, _particle(truth, offsets)),
        **constituents,
    }
    if objects is not None:
        if len(objects) != n_events:
            raise InputError(f"GEN events and objects must be as many, found {n_events} and {len(objects)}.")
        out |= _objects(objects, uids if references else None, uids[0], times)
    return out


def _entries(lists: Content) -> tuple[np.ndarray, Content]:
    """Offsets and records of lists."""
    lists = plain(lists)
    return np.asarray(lists.offsets.data), lists.content


def _numbers(column: Content) -> np.ndarray:
    return np.asarray(column.data) if isinstance(column, NumpyArray) else ak.to_numpy(column)


def _within(offsets: np.ndarray) -> np.ndarray:
    """Index of each row within its event, int32."""
    index = np.arange(offsets[-1], dtype=np.int32)
    index -= np.repeat(offsets[:-1].astype(np.int32), np.diff(offsets))
    return index


def _particle(c: dict[str, np.ndarray], offsets: np.ndarray) -> dict[str, Any]:
    limit = np.iinfo(np.int32).max
    if len(c["pdgid"]) and max(c["pdgid"].max(), -c["pdgid"].min()) > limit:
        row = int(np.argmax(np.abs(c["pdgid"]) > limit))
        event = int(np.searchsorted(offsets, row, side="right")) - 1
        error = InputError(
            f"event {event} of the batch, pdgid {c['pdgid'][row]}: Delphes' layout holds PDG codes of 32 bits; write "
            "Parquet instead."
        )
        error.good_events = event  # type: ignore[attr-defined]
        raise error
    out: dict[str, Any] = {leaf: c[column] for column, leaf in PARTICLE_LEAVES.items()}
    out |= core().momentum_leaves(c["px"], c["py"], c["pz"], c["mass"])
    out["Charge"] = np.rint(c["charge"])
    out["T"] = np.divide(c["vt"], C_LIGHT, out=np.empty(len(c["vt"]), np.float32), casting="same_kind")
    out["fUniqueID"] = _within(offsets) + 1
    return out


def _single(uid: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """References of entries to at most one object."""
    return np.concatenate([[0], np.cumsum(known)]).astype(np.int64), uid[known].astype(np.uint32)


def _constituents(
    reco: ak.Array, truth: dict[str, np.ndarray], gen_offsets: np.ndarray, references: bool, detector: Geometry | None
) -> tuple[dict[str, Branch], tuple[np.ndarray, np.ndarray], np.ndarray | None]:
    """Branches of constituents; offsets and fUniqueIDs of `reco` in its own order, and times [s] if they are known."""
    offsets, content = _entries(reco.layout)
    c = {name: _numbers(content[name]) for name in content.fields}
    n_events = len(offsets) - 1
    event = np.repeat(np.arange(n_events), np.diff(offsets))
    photon, hadron = c["pdgid"] == PHOTON, c["pdgid"] == NEUTRAL_HADRON
    uid = np.diff(gen_offsets)  # identifiers given so far, per event
    uids = np.zeros(len(event), np.int64)
    leading = np.where(c["origin"] < 0, -1, gen_offsets[event] + c["origin"])
    times = None if detector is None else np.zeros(len(event), np.float32)
    out = {}
    for number, (branch, chosen) in enumerate(zip(CONSTITUENTS, (~(photon | hadron), photon, hadron))):
        row = np.flatnonzero(chosen)
        own = {name: c[name][row] for name in (_OF_TOWERS if number else c)}
        leader = leading[row]
        bounds = np.searchsorted(row, offsets)
        counts = np.diff(bounds)
        leaves = _tower(own, number == 1) if number else _track(own, _vertices(truth, leader))
        if detector is not None and times is not None:
            if number == 0:
                leaves |= positions.track_leaves(truth, leader, detector)
                times[row] = leaves["TOuter"]
            else:
                leaves |= positions.tower_leaves(own["eta"], own["phi"], number - 1, detector)
                times[row] = leaves["T"] = positions.arrival(truth, leader, detector)
        uids[row] = leaves["fUniqueID"] = _within(bounds) + 1 + np.repeat(uid, counts)
        leaves["Particle"] = own["origin"]
        leaves["HardEnergyFraction"] = np.ones(len(row), np.float32)
        out[branch] = Branch(bounds, leaves)
        if references:
            leaf = "Particle" if number == 0 else "Particles"
            out[branch].references[leaf] = _single(own["origin"] + 1, own["origin"] >= 0)
        uid = uid + counts
    return out, (offsets, uids), times


def _vertices(truth: dict[str, np.ndarray], row: np.ndarray) -> dict[str, np.ndarray]:
    """X, Y, Z, T of the particles `row` [n] of `truth`, zeros where that is -1."""
    none = np.flatnonzero(row < 0)
    out = {}
    for leaf, name in (("X", "vx"), ("Y", "vy"), ("Z", "vz"), ("T", "vt")):
        out[leaf] = truth[name][row] if len(none) < len(row) else np.zeros(len(row))
        out[leaf][none] = 0.0
    out["T"] /= C_LIGHT
    return out


def _track(c: dict[str, np.ndarray], vertex: dict[str, np.ndarray]) -> dict[str, Any]:
    pt, eta = c["pt"].astype(np.float64), c["eta"].astype(np.float64)
    out = {"PID": c["pdgid"], "Charge": c["charge"], "PT": pt, "P": pt * np.cosh(eta), "Eta": eta, "Phi": c["phi"]}
    out |= {"CtgTheta": np.sinh(eta), "Mass": c["mass"], "D0": c["d0"], "DZ": c["dz"]}
    out["VertexIndex"] = np.full(len(pt), -1, np.int32)  # none, as without pile-up in Delphes
    return out | vertex


def _tower(c: dict[str, np.ndarray], electromagnetic: bool) -> dict[str, Any]:
    energy = c["pt"].astype(np.float64) * np.cosh(c["eta"].astype(np.float64))
    none = np.zeros(len(energy), np.float32)
    out = {"ET": c["pt"], "Eta": c["eta"], "Phi": c["phi"], "E": energy}
    return out | {"Eem": energy if electromagnetic else none, "Ehad": none if electromagnetic else energy}


def _objects(
    objects: ak.Array,
    uids: tuple[np.ndarray, np.ndarray] | None,
    reco_offsets: np.ndarray,
    times: np.ndarray | None,
) -> dict[str, Branch]:
    top = objects.layout if isinstance(objects.layout, RecordArray) else ak.to_packed(objects, highlevel=False)
    n_events = top.length
    ones = np.arange(n_events + 1)
    out = {}
    for branch, (name, columns) in OBJECTS.items():
        offsets, content = _entries(top[name])
        leaves = {leaf: _numbers(content[column]) for leaf, column in columns.items()}
        if branch == "Photon":
            leaves["E"] = leaves["PT"].astype(np.float64) * np.cosh(leaves["Eta"].astype(np.float64))
        if branch in ("Electron", "Photon", "Muon"):
            leaves["Particle"] = _numbers(content["particle"])
            if times is not None:
                leaves["T"] = times[np.repeat(reco_offsets[:-1], np.diff(offsets)) + _numbers(content["constituent"])]
        out[branch] = Branch(offsets, leaves)
        if uids is not None:
            out[branch].references = _object_references(branch, offsets, content, *uids)
            if branch == "FatJet":
                out[branch].vectors = _groomed(content)
    for branch, name in (("GenMissingET", "genmet"), ("MissingET", "met")):
        met, there = top[name], np.ones(n_events, bool)
        if met.is_option:  # no GEN events were given
            there = met.mask_as_bool(valid_when=True)
            met = met.project()
        leaves = {leaf: _numbers(met[column]) for leaf, column in (("MET", "pt"), ("Eta", "eta"), ("Phi", "phi"))}
        out[branch] = Branch(np.concatenate([[0], np.cumsum(there)]), leaves)
    out["ScalarHT"] = Branch(ones, {"HT": _numbers(top["ht"])})
    return out


def _object_references(
    branch: str, offsets: np.ndarray, content: Any, reco_offsets: np.ndarray, reco_uids: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if branch in ("Electron", "Muon"):
        particle = ak.to_numpy(content["particle"])
        return {"Particle": _single(particle + 1, particle >= 0)}
    out = {}
    if branch == "GenJet":
        bounds, particle = _lists(content["constituents"])
        return dict.fromkeys(("Constituents", "Particles"), (bounds, (particle + 1).astype(np.uint32)))
    if branch != "Photon":
        bounds, index = _lists(content["constituents"])
        event = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        first = np.repeat(reco_offsets[event], np.diff(bounds))
        out["Constituents"] = (bounds, reco_uids[first + index].astype(np.uint32))
    bounds, particle = _lists(content["particles"])
    out["Particles"] = (bounds, (particle + 1).astype(np.uint32))
    return out


def _lists(content: Any) -> tuple[np.ndarray, np.ndarray]:
    layout = ak.to_packed(content, highlevel=False).to_ListOffsetArray64(True)
    return np.asarray(layout.offsets.data), np.asarray(layout.content.data)


def _groomed(content: Any) -> dict[str, np.ndarray]:
    """Momenta of groomed jets: the whole one, then its hardest subjets."""
    out = {}
    for name, column in _GROOMED.items():
        pt, eta, phi, mass = (
            ak.to_numpy(ak.Array(content[column])[c]).astype(np.float64) for c in ("pt", "eta", "phi", "mass")
        )
        p4 = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), np.zeros_like(pt)], axis=-1)
        p4[..., 3] = np.sqrt((p4[..., :3] ** 2).sum(axis=-1) + mass**2)
        out[f"{name}P4"] = p4
    soft = out["SoftDroppedP4"]
    return out | {
        leaf: soft[:, i : i + 1]
        for i, leaf in enumerate(("SoftDroppedJet", "SoftDroppedSubJet1", "SoftDroppedSubJet2"))
    }
