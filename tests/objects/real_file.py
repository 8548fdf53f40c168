# SPDX-License-Identifier: MIT
"""A file of Delphes itself as constituents, GEN events and objects; what it holds of links is made indices."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import uproot

EFLOW = ("EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron")


class RealFile:
    """reco: constituents with all their `contributors`; gen: the Particle branch; `leaf("Jet.PT")`: anything else."""

    def __init__(self, path: Path) -> None:
        self.tree = uproot.open(path)["Delphes"]
        self.gen = next(iter(hf.read(str(path), batch_size=self.tree.num_entries)))
        ids = self.leaf("Particle.fUniqueID")
        self.index = [dict(zip(event.tolist(), range(len(event)))) for event in ids]
        self.reco, self.unique_id = self._constituents()

    def leaf(self, name: str) -> ak.Array:
        return self.tree[name].array()

    def _particles(self, branch: str) -> ak.Array:
        """Lists of GEN indices by object of a branch."""
        if branch in ("EFlowTrack", "Electron", "Muon"):
            refs = self.tree[f"{branch}/{branch}.Particle"].array()["ref"][..., np.newaxis]
        else:
            refs = self.tree[f"{branch}/{branch}.Particles"].array()["refs"]
        return ak.Array(
            [
                [[self.index[i][ref] for ref in object_ if ref in self.index[i]] for object_ in event]
                for i, event in enumerate(refs.tolist())
            ]
        )

    def _constituents(self) -> tuple[ak.Array, ak.Array]:
        parts, ids = [], []
        for branch in EFLOW:
            track = branch == "EFlowTrack"
            eta = self.leaf(f"{branch}.Eta")
            zero = ak.zeros_like(eta)
            contributors = self._particles(branch)
            columns = {
                "pt": self.leaf(f"{branch}.PT" if track else f"{branch}.ET"),
                "eta": eta,
                "phi": self.leaf(f"{branch}.Phi"),
                "mass": self.leaf(f"{branch}.Mass") if track else zero,
                "charge": self.leaf(f"{branch}.Charge") if track else ak.values_astype(zero, np.int32),
                "d0": self.leaf(f"{branch}.D0") if track else zero,
                "dz": self.leaf(f"{branch}.DZ") if track else zero,
                "pdgid": self.leaf(f"{branch}.PID")
                if track
                else ak.values_astype(zero, np.int64) + (22 if branch == "EFlowPhoton" else 130),
                "contributors": contributors,
                "origin": ak.values_astype(ak.fill_none(ak.firsts(contributors, axis=2), -1), np.int64),
            }
            parts.append(ak.zip(columns, depth_limit=2, with_name="Momentum4D"))
            ids.append(self.leaf(f"{branch}.fUniqueID"))
        return ak.concatenate(parts, axis=1), ak.concatenate(ids, axis=1)
