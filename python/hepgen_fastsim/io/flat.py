# SPDX-License-Identifier: MIT
"""Flat ROOT files in Delphes' layout: the tree `Delphes`, one branch per leaf, named and typed as in Delphes' files.

Units are Delphes': GeV, mm, T in seconds, Eta ±999.9 along the beam, ET is the transverse momentum. uproot, RDataFrame,
TTreeReaderArray, TTree::Draw and hadd read these files, and coffea with `hepgen_fastsim.io.coffea_schema`;
ExRootTreeReader needs true TClonesArrays, which the form `delphes` has (`hepgen_fastsim.io.root_tree`).

Event               Number, ProcessID, MPI, Weight, CrossSection, CrossSectionError, Scale, AlphaQED, AlphaQCD,
                    ID1, ID2, X1, X2, ScalePDF, PDF1, PDF2
Weight              Weight, one entry per weight; their names stand in the object `hepgen_fastsim`
Particle            fUniqueID, PID, Status, IsPU, M1, M2, D1, D2, Charge, Mass, E, Px, Py, Pz, P, PT, Eta, Phi,
                    Rapidity, T, X, Y, Z
EFlowTrack          fUniqueID, PID, Charge, IsPU, HardEnergyFraction, P, PT, Eta, Phi, CtgTheta, Mass, EtaOuter,
                    PhiOuter, T, X, Y, Z, TOuter, XOuter, YOuter, ZOuter, Xd, Yd, Zd, L, D0, DZ, VertexIndex, Particle
EFlowPhoton,        fUniqueID, ET, Eta, Phi, E, T, X, Y, Z, Eem, Ehad, Edges1 ... Edges4, IsPU,
EFlowNeutralHadron  HardEnergyFraction, Particle
and with objects (`hf.reconstruct`):
GenJet              PT, Eta, Phi, Mass, DeltaEta, DeltaPhi, Charge, EhadOverEem, NCharged, NNeutrals,
                    NeutralEnergyFraction, ChargedEnergyFraction
Jet                 these; Flavor, FlavorAlgo, FlavorPhys, TauFlavor, BTag, BTagAlgo, BTagPhys, TauTag, TauWeight,
                    MeanSqDeltaR, PTD
FatJet              those of GenJet; MeanSqDeltaR, PTD, Tau1 ... Tau5, NSubJetsTrimmed, NSubJetsPruned,
                    NSubJetsSoftDropped
Electron, Muon      PT, Eta, Phi, T, Charge, IsolationVar, IsolationVarRhoCorr, SumPtCharged, SumPtNeutral,
                    SumPtChargedPU, SumPt, D0, DZ, Particle; Electron: EhadOverEem
Photon              PT, Eta, Phi, E, T, EhadOverEem, the isolation leaves, Status, Particle
MissingET, GenMissingET   MET, Eta, Phi
ScalarHT            HT

X, Y, Z, T of a track are the production vertex of its particle, as in Delphes; the leaves of its path follow from that
particle and the magnet, X, Y, Z of a tower from its direction and the surface, as in Delphes. T of a tower is
the arrival of its leading particle, in Delphes the mean over all of its particles; T of an electron, muon or photon is
that of its constituent. They are 0 for models of a detector whose geometry is not bundled. `Particle` is the index of
the leading particle in the event's `Particle` branch, -1 for none (in Delphes a TRef, for towers and photons a
TRefArray of all particles, which flat trees cannot hold). `fUniqueID` counts from 1 within the event: particles first,
then tracks, photons, neutral hadrons. The elements of Delphes' arrays, Tau[5] and Edges[4] (lower and upper eta, lower
and upper phi), are leaves of their own, counted from 1, since lists of arrays that uproot writes crash ROOT's hadd.

The branches `Track` and `Tower` are absent, since models make energy-flow objects at once. All leaves that Delphes has
and this form has not, with the reasons:

{reasons}

The object `hepgen_fastsim`, a TObjString beside the tree, holds JSON: weight names, model, card, sha256, seed, streams,
command.
"""

from __future__ import annotations

import json
from typing import Any

import awkward as ak
import numpy as np
import uproot
from awkward.contents import ListOffsetArray, NumpyArray
from awkward.index import Index64

from hepgen_fastsim.io.baskets import Baskets
from hepgen_fastsim.io.columns import Branch, tree_columns
from hepgen_fastsim.io.delphes import SIDE_OBJECT
from hepgen_fastsim.io.layout import BRANCHES, NOT_FILLED, OBJECT_BRANCHES, flat_leaves
from hepgen_fastsim.io.writer import Writer

__all__ = ["FlatWriter"]

COMPRESSION = uproot.LZ4(1)  # in half the time of ZSTD, for 13 % more; hadd can compress again

UNCOMPRESSED = tuple(
    f"Particle.{leaf}"
    for leaf in ("M1", "D1", "D2", "Mass", "E", "Px", "Py", "Pz", "P", "PT", "Eta", "Phi", "Rapidity")
)
"""Leaves that are not compressed. The mantissas of momenta are random: a third of the time for 6 % of the file. Of
mothers and daughters half is saved, which is a tenth of the file, in a third of the time that is left; of masses 4 % of
the file in a quarter of what then is left."""


def _reasons() -> str:
    """`NOT_FILLED` as text, leaves of one class and reason together."""
    lines = []
    for name, leaves in NOT_FILLED.items():
        by_reason: dict[str, list[str]] = {}
        for leaf, reason in leaves.items():
            by_reason.setdefault(reason, []).append(leaf)
        lines += [f"{name}: {', '.join(members)}: {reason}." for reason, members in by_reason.items()]
    return "\n".join(lines)


if __doc__:  # python -OO has none
    __doc__ = __doc__.format(reasons=_reasons())


class FlatWriter(Writer):
    """Writes the flat ROOT layout of this module."""

    def _start(self) -> None:
        self._file = uproot.recreate(self._part.file, compression=COMPRESSION)
        branches = [b for b in BRANCHES if self.objects or b not in OBJECT_BRANCHES]
        self._leaves = {branch: flat_leaves(branch) for branch in branches}
        self._tree = self._file.mktree(
            "Delphes",
            {branch: _record_type(leaves) for branch, leaves in self._leaves.items()},
            title="Analysis tree",
            counter_name=lambda branch: branch + "_size",
            field_name=lambda branch, leaf: leaf if branch == "" else branch + "." + leaf,
        )
        for leaf in UNCOMPRESSED:
            self._tree[leaf].compression = None
        self._baskets = Baskets(self._tree) if Baskets.can_write(self._tree) else None

    def _append(self, gen: ak.Array, reco: ak.Array, objects: ak.Array | None) -> None:
        columns = tree_columns(gen, reco, objects)
        data: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
        for name, leaves in self._leaves.items():
            offsets = np.asarray(columns[name].offsets, np.int64)
            data[name + "_size"] = np.diff(offsets), None
            data |= {f"{name}.{leaf}": (values, offsets) for leaf, values in _flat(leaves, columns[name]).items()}
        if self._baskets is not None:
            self._baskets.extend(data)
        else:
            self._tree.extend(_lists(data))

    def _finish(self) -> None:
        if self._baskets is not None:
            self._baskets.finish()
        self._file[SIDE_OBJECT] = json.dumps(self.metadata())
        self._file.close()

    def _drop(self) -> None:
        del self._tree, self._file, self._baskets


def _record_type(leaves: dict[str, tuple[str, str, int | None]]) -> ak.types.Type:
    text = ", ".join(f'"{leaf}": {kind}' for leaf, (kind, _, _) in leaves.items())
    return ak.types.from_datashape("var * {" + text + "}", highlevel=False)


def _flat(leaves: dict[str, tuple[str, str, int | None]], branch: Branch) -> dict[str, np.ndarray]:
    """Numbers of each leaf, in whatever type they come."""
    out = {}
    for leaf, (kind, member, element) in leaves.items():
        column = branch.leaves.get(member)
        if column is None:
            column = np.zeros(branch.offsets[-1], kind)
        elif element is not None:
            column = column[:, element]
        out[leaf] = column
    return out


def _lists(data: dict[str, tuple[np.ndarray, np.ndarray | None]]) -> dict[str, Any]:
    """The same as uproot takes it: records of lists, and their counters."""
    out: dict[str, Any] = {}
    for name, (values, offsets) in data.items():
        if offsets is None:
            out[name] = values
            continue
        branch, leaf = name.split(".")
        layout = ListOffsetArray(Index64(offsets), NumpyArray(np.ascontiguousarray(values)))
        out.setdefault(branch, {})[leaf] = ak.Array(layout)
    return out
