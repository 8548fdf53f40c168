# SPDX-License-Identifier: MIT
"""The `Delphes` tree: which branches it has, of which classes, and which of their leaves are filled.

Names, order, types and class versions are those of Delphes 3.5.1. A member is written "name" or "name[length]"; the
letters are f float, d double, i int, u unsigned int, l 64-bit integer, r TRef, a TRefArray, p TLorentzVector.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BRANCHES",
    "CLASSES",
    "FILLED",
    "NOT_FILLED",
    "OBJECT_BRANCHES",
    "Class",
    "Member",
    "class_of",
    "flat_leaves",
]


@dataclass(frozen=True)
class Member:
    """A data member: `kind` is one of the letters above, `length` 0 for a single value."""

    name: str
    kind: str
    length: int = 0


@dataclass(frozen=True)
class Class:
    """A class of the tree's entries, with its ROOT class version and the class that it derives from."""

    name: str
    version: int
    base: str
    members: tuple[Member, ...]
    ranged: tuple[str, ...] = ()
    """Members with a range in their comment, which ROOT's checksum of the class covers."""


def _members(text: str) -> tuple[Member, ...]:
    out = []
    for part in text.split(";"):
        kind, names = part.split(":")
        for name in names.split():
            name, _, length = name.rstrip("]").partition("[")
            out.append(Member(name, kind.strip(), int(length or 0)))
    return tuple(out)


_ISOLATION = "IsolationVar IsolationVarRhoCorr SumPtCharged SumPtNeutral SumPtChargedPU SumPt"

_DECLARED = {
    "Event(1):TObject": "l: Number; f: ReadTime ProcTime",
    "HepMCEvent(3):Event": "i: ProcessID MPI; f: Weight CrossSection CrossSectionError Scale AlphaQED AlphaQCD; "
    "i: ID1 ID2; f: X1 X2 ScalePDF PDF1 PDF2",
    "Weight(1):TObject": "f: Weight",
    "SortableObject(1):TObject": "",
    "GenParticle(2):SortableObject": "i: PID Status IsPU M1 M2 D1 D2 Charge; "
    "f: Mass E Px Py Pz P PT Eta Phi Rapidity T X Y Z",
    "Track(4):SortableObject": "i: PID Charge IsPU IsRecoPU; f: HardEnergyFraction P PT Eta Phi CtgTheta C Mass "
    "EtaOuter PhiOuter T X Y Z TOuter XOuter YOuter ZOuter Xd Yd Zd XFirstHit YFirstHit ZFirstHit L D0 DZ "
    "Nclusters dNdx ErrorP ErrorPT ErrorPhi ErrorCtgTheta ErrorT ErrorD0 ErrorDZ ErrorC ErrorD0Phi ErrorD0C "
    "ErrorD0DZ ErrorD0CtgTheta ErrorPhiC ErrorPhiDZ ErrorPhiCtgTheta ErrorCDZ ErrorCCtgTheta ErrorDZCtgTheta; "
    "r: Particle; i: VertexIndex",
    "Tower(5):SortableObject": "f: ET Eta Phi E T X Y Z; i: NTimeHits; f: Eem Ehad Etrk Edges[4]; "
    "i: IsPU IsRecoPU; f: HardEnergyFraction; a: Particles",
    "Jet(5):SortableObject": "f: PT Eta Phi T Mass DeltaEta DeltaPhi; "
    "u: Flavor FlavorAlgo FlavorPhys TauFlavor BTag BTagAlgo BTagPhys TauTag; f: TauWeight; i: Charge; "
    "f: EhadOverEem; i: NCharged NNeutrals; f: NeutralEnergyFraction ChargedEnergyFraction Beta BetaStar "
    "MeanSqDeltaR PTD FracPt[5] Tau[5]; p: SoftDroppedJet SoftDroppedSubJet1 SoftDroppedSubJet2 TrimmedP4[5] "
    "PrunedP4[5] SoftDroppedP4[5]; i: NSubJetsTrimmed NSubJetsPruned NSubJetsSoftDropped; "
    "d: ExclYmerge12 ExclYmerge23 ExclYmerge34 ExclYmerge45 ExclYmerge56; a: Constituents Particles; p: Area",
    "Electron(4):SortableObject": f"f: PT Eta Phi T; i: Charge; f: EhadOverEem; r: Particle; f: {_ISOLATION} "
    "D0 DZ ErrorD0 ErrorDZ",
    "Muon(4):SortableObject": f"f: PT Eta Phi T; i: Charge; r: Particle; f: {_ISOLATION} D0 DZ ErrorD0 ErrorDZ",
    "Photon(4):SortableObject": f"f: PT Eta Phi E T EhadOverEem; a: Particles; f: {_ISOLATION}; i: Status",
    "MissingET(1):TObject": "f: MET Eta Phi",
    "ScalarHT(1):TObject": "f: HT",
}


_RANGED = {"GenParticle": ("PID", "Status", "M1", "M2", "D1", "D2", "E", "Px", "Py", "Pz", "T", "X", "Y", "Z")}


def _class(head: str, members: str) -> Class:
    name, _, rest = head.partition("(")
    version, _, base = rest.partition("):")
    return Class(name, int(version), base, _members(members) if members else (), _RANGED.get(name, ()))


CLASSES: dict[str, Class] = {c.name: c for c in (_class(*item) for item in _DECLARED.items())}
"""Classes by name, each after its base."""

OBJECT_BRANCHES: dict[str, str] = {
    "GenJet": "Jet",
    "GenMissingET": "MissingET",
    "Jet": "Jet",
    "Electron": "Electron",
    "Photon": "Photon",
    "Muon": "Muon",
    "FatJet": "Jet",
    "MissingET": "MissingET",
    "ScalarHT": "ScalarHT",
}
"""Branches of reconstructed objects and their classes, in the order of the tree."""

BRANCHES: dict[str, str] = {
    "Event": "HepMCEvent",
    "Weight": "Weight",
    "Particle": "GenParticle",
    "EFlowTrack": "Track",
    "EFlowPhoton": "Tower",
    "EFlowNeutralHadron": "Tower",
    **OBJECT_BRANCHES,
}
"""All branches and their classes, in the order of the tree. Delphes' own `Track` and `Tower` are absent."""

_TOWER = "fUniqueID ET Eta Phi E T X Y Z Eem Ehad Edges[4] IsPU HardEnergyFraction"
_JET = (
    "PT Eta Phi Mass DeltaEta DeltaPhi Charge EhadOverEem NCharged NNeutrals NeutralEnergyFraction "
    "ChargedEnergyFraction"
)
_TAGS = "Flavor FlavorAlgo FlavorPhys TauFlavor BTag BTagAlgo BTagPhys TauTag TauWeight"
_SHAPE = "MeanSqDeltaR PTD"
_LEPTON = f"PT Eta Phi T Charge {_ISOLATION} D0 DZ"

FILLED: dict[str, tuple[str, ...]] = {
    branch: tuple(names.split())
    for branch, names in {
        "Event": "Number ProcessID MPI Weight CrossSection CrossSectionError Scale AlphaQED AlphaQCD ID1 ID2 X1 X2 "
        "ScalePDF PDF1 PDF2",
        "Weight": "Weight",
        "Particle": "fUniqueID PID Status IsPU M1 M2 D1 D2 Charge Mass E Px Py Pz P PT Eta Phi Rapidity T X Y Z",
        "EFlowTrack": "fUniqueID PID Charge IsPU HardEnergyFraction P PT Eta Phi CtgTheta Mass EtaOuter PhiOuter "
        "T X Y Z TOuter XOuter YOuter ZOuter Xd Yd Zd L D0 DZ VertexIndex",
        "EFlowPhoton": _TOWER,
        "EFlowNeutralHadron": _TOWER,
        "GenJet": _JET,
        "GenMissingET": "MET Eta Phi",
        "Jet": f"{_JET} {_TAGS} {_SHAPE}",
        "Electron": f"{_LEPTON} EhadOverEem",
        "Photon": f"PT Eta Phi E T EhadOverEem {_ISOLATION} Status",
        "Muon": _LEPTON,
        "FatJet": f"{_JET} {_SHAPE} Tau[5] NSubJetsTrimmed NSubJetsPruned NSubJetsSoftDropped",
        "MissingET": "MET Eta Phi",
        "ScalarHT": "HT",
    }.items()
}
"""Leaves of numbers that are filled, in both forms of the tree."""

_NO_TIME = "models name the leading particle of a tower alone, so that there is no mean over all"
_NO_POSITION = "models give no hits"
_ALWAYS_ZERO = "0 in Delphes' CMS card, too"
_NO_ERRORS = "models give no errors of tracks; 0 in Delphes' CMS card, too, but for those of D0 and DZ"
_LISTS = "lists within lists: in the form `delphes` alone"
_VECTORS = "objects: in the form `delphes` alone (those of fat jets; for others empty in Delphes' CMS card, too)"

NOT_FILLED: dict[str, dict[str, str]] = {
    "TObject": {
        "fUniqueID": "only particles and constituents are referred to and have one",
        "fBits": "ROOT's own bookkeeping, for references",
    },
    "HepMCEvent": dict.fromkeys(("ReadTime", "ProcTime"), "batches are read and simulated as a whole"),
    "Track": dict.fromkeys((m.name for m in CLASSES["Track"].members if m.name.endswith("FirstHit")), _NO_POSITION)
    | dict.fromkeys(("IsRecoPU", "C", "Nclusters", "dNdx"), _ALWAYS_ZERO)
    | dict.fromkeys((m.name for m in CLASSES["Track"].members if m.name.startswith("Error")), _NO_ERRORS),
    "Tower": {
        "NTimeHits": _ALWAYS_ZERO,
        "IsRecoPU": _ALWAYS_ZERO,
        "Etrk": "models give no energy of tracks in towers",
        "Particles": _LISTS,
    },
    "Jet": {"T": _NO_TIME, "Constituents": _LISTS, "Particles": _LISTS, "Area": _ALWAYS_ZERO}
    | dict.fromkeys(("Beta", "BetaStar", "FracPt[5]"), _ALWAYS_ZERO)
    | dict.fromkeys((m.name for m in CLASSES["Jet"].members if m.name.startswith("Excl")), _ALWAYS_ZERO)
    | dict.fromkeys(
        f"{_TAGS} {_SHAPE} Tau[5]".split(),
        "for jets of detector objects of that radius; 0 for the others in Delphes' CMS card, too",
    )
    | dict.fromkeys(
        ("NSubJetsTrimmed", "NSubJetsPruned", "NSubJetsSoftDropped"), "for fat jets; 0 in Delphes' CMS card, too"
    )
    | dict.fromkeys(
        (m.name + (f"[{m.length}]" if m.length else "") for m in CLASSES["Jet"].members if m.kind == "p"), _VECTORS
    ),
    "Electron": {"ErrorD0": _NO_ERRORS, "ErrorDZ": _NO_ERRORS},
    "Muon": {"ErrorD0": _NO_ERRORS, "ErrorDZ": _NO_ERRORS},
    "Photon": {"Particles": _LISTS},
}
"""Class -> {leaf: why it is not filled}; a leaf of this list may be filled in one of the branches of its class."""

_NUMPY = {"f": "float32", "d": "float64", "i": "int32", "u": "uint32", "l": "int64"}


def class_of(name: str) -> tuple[Member, ...]:
    """All members of a class, those of its bases first (without ROOT's own fUniqueID and fBits)."""
    members: tuple[Member, ...] = ()
    while name in CLASSES:
        members = CLASSES[name].members + members
        name = CLASSES[name].base
    return members


def flat_leaves(branch: str) -> dict[str, tuple[str, str, int | None]]:
    """Leaves of a branch of the flat form -> (numpy type, member, element of an array or None).

    An array is as many leaves, counted from 1: Tau[5] is Tau1 ... Tau5, since lists of arrays that uproot has written
    crash ROOT's hadd. `Particle`, in Delphes a reference, is here the index of the particle within the event.
    """
    members = {m.name: m for m in class_of(BRANCHES[branch])}
    out: dict[str, tuple[str, str, int | None]] = {}
    for leaf in FILLED[branch]:
        if leaf == "fUniqueID":
            out[leaf] = ("uint32", leaf, None)
            continue
        member = members[leaf.partition("[")[0]]
        kind = _NUMPY[member.kind]
        if member.length:
            out |= {f"{member.name}{k + 1}": (kind, member.name, k) for k in range(member.length)}
        else:
            out[leaf] = (kind, leaf, None)
    if branch in ("EFlowTrack", "EFlowPhoton", "EFlowNeutralHadron", "Electron", "Muon", "Photon"):
        out["Particle"] = ("int32", "Particle", None)
    return out
