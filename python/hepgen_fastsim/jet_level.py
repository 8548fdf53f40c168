# SPDX-License-Identifier: MIT
"""Jet-level simulation: a model of jets stands in for the detector inside jets, the event model does the rest.

GEN jets are clustered as the jet model's metadata say ("jets": radius, pt_min, eta_max); their particles are given to
it, one jet at a time, and all others to the event model. Left to the event model are also jets outside the jet model's
domain (numbers of particles, their momenta and codes) and those in which one electron, muon or photon has more than
half of the pT: isolated leptons and photons are no jets.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.convert_jets import JetDefinition
from hepgen_fastsim.errors import ModelError
from hepgen_fastsim.events import GenColumns
from hepgen_fastsim.objects.clustering import JetList
from hepgen_fastsim.objects.columns import NEUTRAL_HADRON, Momenta, owners, ranges
from hepgen_fastsim.registry import ModelFile

__all__ = ["JetLevel"]

ACCEPTANCE = 5.2
"""Largest |eta| of the particles that are clustered, as in the pairs that jet models are trained on."""

ISOLATED = (11, 13, 22)
SHARE = 0.5
"""A jet in which a particle of `ISOLATED` has more than this share of the pT is not one."""

_SLACK = 1e-5  # relative: the ends of a domain went through decimal text
_FLOATS = ("pt", "eta", "phi", "mass", "d0", "dz")


class JetLevel:
    """A jet model beside an event model.

    Parameters
    ----------
    file
        model of unit "jet" and task "reconstruct"
    options
        of the engine: device, precision, batch_items

    Raises ModelError if the model is no simulation of jets or asks for columns that GEN particles do not have.
    """

    def __init__(self, file: ModelFile, **options: Any) -> None:
        self.file, self.sha256 = file, file.sha256()
        self._engine = core().Engine(core().Model(str(file.path)), **options)
        self.metadata = json.loads(self._engine.metadata)
        m = self.metadata
        if m["unit"] != "jet" or m["task"] != "reconstruct" or m["condition"] or "jets" not in m:
            raise ModelError(
                f"jets need a model of unit 'jet' and task 'reconstruct' that says in 'jets' how they are clustered; "
                f"'{m['name']}' has unit '{m['unit']}' and task '{m['task']}'."
            )
        self.features = [column["name"] for column in m["input"]["features"]]
        unknown = set(self.features) - {"pt", "eta", "phi", "mass", "charge", "vx", "vy", "vz", "vt"}
        codes = [column["name"] for column in m["input"]["codes"]]
        if unknown or codes not in ([], ["pdgid"]):
            raise ModelError(f"model '{m['name']}' asks for {', '.join(sorted(unknown) or codes)}, which jets lack.")
        self.columns = [column["name"] for column in m["output"]["features"]]
        self.codes = [column["name"] for column in m["output"]["codes"]]
        d = m["jets"]
        self.definition = JetDefinition(d["radius"], d["pt_min"], d["eta_max"])

    def simulate(
        self,
        events: Any,
        columns: Mapping[str, np.ndarray],
        offsets: np.ndarray,
        ids: np.ndarray | None,
        seed: int,
        stream: int,
    ) -> dict[str, Any]:
        """RECO columns of GEN events, as the core's FastSim gives them.

        Parameters
        ----------
        events
            the core's FastSim for what is not in jets
        columns, offsets, ids, seed, stream
            as for that one

        The noise of the k-th jet of an event has the event's id and a stream of its own, a checksum of `stream` and k:
        a jet comes out the same in any batch.
        """
        particles = self._particles(columns, offsets)
        jets = self._jets(particles, columns, offsets)
        status = columns.get("status", np.ones(len(columns["pdgid"]), np.int32)).copy()
        status[jets.members] = 0  # the event model passes them over, and positions in the event stay
        parts = [events.simulate({**columns, "status": status}, offsets, ids, seed, stream)]
        outside = parts[0]["outside"]
        event = [owners(parts[0]["offsets"])]
        keys = np.arange(len(offsets) - 1) if ids is None else ids
        for rank in range(int(jets.rank.max()) + 1 if len(jets) else 0):
            which = np.flatnonzero(jets.rank == rank)
            made = self._run(particles, columns, jets, which, keys, seed, zlib.crc32(b"jet %d" % rank, stream))
            event.append(jets.event[which][owners(made["offsets"])])
            of = which[owners(made["offsets"])]
            first = np.searchsorted(jets.member_of, of)  # member rows of a jet ascend
            led = made["origin"] >= 0
            row = jets.members[np.where(led, first + made["origin"], 0)] if len(of) else first
            made["origin"] = np.where(led, row - offsets[jets.event[of]], -1)
            parts.append(made)
        place = np.concatenate(event)
        order = np.argsort(place, kind="stable")
        names = ("pdgid", *_FLOATS[:4], "charge", *_FLOATS[4:], "origin")
        out: dict[str, Any] = {n: np.concatenate([part[n] for part in parts])[order] for n in names}
        counts = np.bincount(place, minlength=len(offsets) - 1)
        out["offsets"] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return out | {"outside": outside}

    def _particles(self, columns: Mapping[str, np.ndarray], offsets: np.ndarray) -> dict[str, np.ndarray]:
        """Everything that a jet model may ask of GEN particles, and px, py, pz, energy: float64 [n] each."""
        px, py, pz = GenColumns(dict(columns), offsets).momenta()
        pdgid = columns["pdgid"]
        pt = np.hypot(px, py)
        with np.errstate(divide="ignore", invalid="ignore"):
            eta = np.where(pt > 0, np.arcsinh(pz / pt), np.copysign(np.inf, pz))
        mass = columns["mass"] if "mass" in columns else np.nan_to_num(core().pdg_mass(pdgid))
        c = {"pt": pt, "eta": eta, "phi": np.arctan2(py, px), "mass": np.asarray(mass, np.float64)}
        c |= {"charge": columns["charge"] if "charge" in columns else core().pdg_charge(pdgid)}
        c |= {name: columns.get(name, np.zeros(len(pdgid))) for name in ("vx", "vy", "vz", "vt")}
        return c | {"px": px, "py": py, "pz": pz, "energy": np.sqrt(px**2 + py**2 + pz**2 + c["mass"] ** 2)}

    def _jets(self, c: dict[str, np.ndarray], columns: Mapping[str, np.ndarray], offsets: np.ndarray) -> JetList:
        """The GEN jets that this model simulates."""
        pdgid = columns["pdgid"]
        stable = np.abs(c["eta"]) <= ACCEPTANCE
        if "status" in columns:
            stable &= columns["status"] == 1
        momenta = Momenta(c["px"], c["py"], c["pz"], c["energy"], offsets)
        jets = self.definition.cluster(momenta, pdgid, np.flatnonzero(stable))
        if len(jets) == 0:
            return jets
        domain = self.metadata["domain"]
        fine = np.ones(len(jets.members), bool)
        if "pdgid" in domain["codes"]:
            fine &= np.isin(pdgid[jets.members], domain["codes"]["pdgid"])
        for name, (low, high) in domain["features"].items():
            slack, value = _SLACK * max(abs(low), abs(high)), c[name][jets.members]
            fine &= (value >= low - slack) & (value <= high + slack)
        alone = np.isin(np.abs(pdgid[jets.members]), ISOLATED)
        fine &= ~(alone & (c["pt"][jets.members] > SHARE * jets.pt[jets.member_of]))
        least, most = domain["items"]
        n = jets.sums(np.ones(len(jets.members)))
        return jets[(jets.sums(~fine) == 0) & (n >= least) & (n <= most)]

    def _run(
        self,
        c: dict[str, np.ndarray],
        columns: Mapping[str, np.ndarray],
        jets: JetList,
        which: np.ndarray,
        keys: np.ndarray,
        seed: int,
        stream: int,
    ) -> dict[str, Any]:
        """Constituents of the jets `which`."""
        starts = np.searchsorted(jets.member_of, np.arange(len(jets) + 1))
        counts = np.diff(starts)[which]
        rows = jets.members[ranges(starts[which], counts)]
        features = np.stack([np.asarray(c[name], np.float32)[rows] for name in self.features], 1)
        n_codes = len(self.metadata["input"]["codes"])
        codes = np.asarray(columns["pdgid"], np.int64)[rows][:, None][:, :n_codes]
        bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        none = np.zeros((len(which), 0), np.float32)
        event = np.ascontiguousarray(keys[jets.event[which]], np.int64)
        made = self._engine.run(features, np.ascontiguousarray(codes), bounds, none, event, seed, stream)
        n = len(made["items"])
        out: dict[str, Any] = {"offsets": made["offsets"], "origin": made["origin"]}
        for name in _FLOATS:
            on = name in self.columns
            out[name] = made["items"][:, self.columns.index(name)] if on else np.zeros(n, np.float32)
        for name, default, kind in (("pdgid", NEUTRAL_HADRON, np.int64), ("charge", 0, np.int32)):
            on = name in self.codes
            column = made["item_codes"][:, self.codes.index(name)] if on else np.full(n, default)
            out[name] = column.astype(kind)
        return out
