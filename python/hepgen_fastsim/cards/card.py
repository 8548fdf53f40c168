# SPDX-License-Identifier: MIT
"""What a card says: the definitions by which objects are made from constituents. GeV, mm, radian.

Each section of a card file is one of the classes below and each key one of their fields; the metadata of a field are
its limits, which `hepgen_fastsim.cards.build` checks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hepgen_fastsim.cards.formula import Formula

__all__ = [
    "AXES",
    "OBJECTS",
    "BTag",
    "Card",
    "FatJets",
    "Flavor",
    "GenJets",
    "Isolation",
    "Jets",
    "Leptons",
    "Nsubjettiness",
    "Pruning",
    "SoftDrop",
    "TauTag",
    "Trimming",
]

ALGORITHMS = ("antikt", "cambridge", "kt")
AXES = ("kt", "onepass_kt", "wta_kt", "onepass_wta_kt")
OBJECTS = ("photons", "electrons", "muons", "jets")
METHODS = ("flavor", "track_counting")


def _limits(low: float, high: float = float("inf"), exclusive: bool = False) -> dict[str, Any]:
    return {"low": low, "high": high, "exclusive": exclusive}


@dataclass(frozen=True)
class Isolation:
    """Cone isolation: the sum of pt around a candidate, over constituents that are not `ignore`d nor itself."""

    delta_r: float = field(default=0.5, metadata=_limits(0, 10, True))
    """Radius of the cone."""
    pt_min: float = field(default=0.5, metadata=_limits(0))
    """Constituents of at least this pt count [GeV] (more exactly: pt >= pt_min, as in Delphes)."""
    ratio_max: float | None = field(default=0.1, metadata=_limits(0))
    """Largest sum / pt of the candidate; none: no requirement."""
    sum_max: float | None = field(default=None, metadata=_limits(0))
    """Largest sum [GeV], instead of `ratio_max`; none: no requirement."""
    delta_r_min: float | None = field(default=None, metadata=_limits(0))
    """Inner radius, below or at which constituents do not count (whether or not they are the candidate itself)."""
    ignore: tuple[int, ...] = field(default=(11, 13), metadata={})
    """|PDG codes| of constituents that never count."""


@dataclass(frozen=True)
class Leptons:
    """Electrons, muons or photons: constituents of that kind that pass an efficiency, then the isolation."""

    efficiency: Formula
    isolation: Isolation | None = None


@dataclass(frozen=True)
class GenJets:
    """Jets of a sequential recombination (E scheme)."""

    algorithm: str = field(default="antikt", metadata={"choices": ALGORITHMS})
    radius: float = field(default=0.5, metadata=_limits(0, 10, True))
    pt_min: float = field(default=20.0, metadata=_limits(0))
    """[GeV]"""


@dataclass(frozen=True)
class Jets(GenJets):
    """Jets of constituents; pt_min holds before the energy scale."""

    scale: Formula = field(default=Formula("1.0"))
    """Factor on the four-momentum; factors of 0 or less are not applied."""


@dataclass(frozen=True)
class Nsubjettiness:
    """tau_1 … tau_5 (arXiv:1011.2268), normalised by the radius of the jets."""

    beta: float = field(default=1.0, metadata=_limits(0, 10, True))
    axes: str = field(default="onepass_kt", metadata={"choices": AXES})


@dataclass(frozen=True)
class Trimming:
    """Trimming (arXiv:0912.1342): kt subjets of `radius` with less than `pt_fraction` of the jet's pt are left out."""

    radius: float = field(default=0.2, metadata=_limits(0, 10, True))
    pt_fraction: float = field(default=0.05, metadata=_limits(0, 1))


@dataclass(frozen=True)
class Pruning:
    """Pruning (arXiv:0912.0033) with Cambridge/Aachen clustering of `radius`."""

    z_cut: float = field(default=0.1, metadata=_limits(0, 1))
    r_cut: float = field(default=0.5, metadata=_limits(0))
    radius: float = field(default=0.8, metadata=_limits(0, 10, True))


@dataclass(frozen=True)
class SoftDrop:
    """Soft drop (arXiv:1402.2657)."""

    beta: float = field(default=0.0, metadata=_limits(-10, 10))
    z_cut: float = field(default=0.1, metadata=_limits(0, 1))
    radius: float = field(default=0.8, metadata=_limits(0, 10, True))


@dataclass(frozen=True)
class FatJets(GenJets):
    """Large jets with substructure; a part that is none is not computed."""

    nsubjettiness: Nsubjettiness | None = None
    trimming: Trimming | None = None
    pruning: Pruning | None = None
    softdrop: SoftDrop | None = None


@dataclass(frozen=True)
class Flavor:
    """Jet flavour: the highest quark code, else 21 for gluons, among the partons within `delta_r` of the jet."""

    delta_r: float = field(default=0.5, metadata=_limits(0, 10, True))
    pt_min: float = field(default=0.0, metadata=_limits(0))
    """Partons of more than this pt [GeV]."""
    eta_max: float = field(default=2.5, metadata=_limits(0))


@dataclass(frozen=True)
class BTag:
    """One bit of the b-tag: efficiency by flavour, 0 for all others."""

    efficiency: dict[int, Formula]
    bit: int = field(default=0, metadata=_limits(0, 31))


@dataclass(frozen=True)
class TauTag:
    """One bit of the tau-tag.

    method "flavor": efficiency by |PDG code|, 15 for jets within delta_r of a tau's visible products, 0 for others.
    method "track_counting": by the number of tracks (pt >= track_pt_min, within track_delta_r), 1 and 2 for taus with
    one, with two or more, -1 and -2 for other jets likewise, 0 otherwise.
    """

    efficiency: dict[int, Formula]
    bit: int = field(default=0, metadata=_limits(0, 31))
    method: str = field(default="flavor", metadata={"choices": METHODS})
    delta_r: float = field(default=0.5, metadata=_limits(0, 10, True))
    pt_min: float = field(default=1.0, metadata=_limits(0))
    eta_max: float = field(default=2.5, metadata=_limits(0))
    track_delta_r: float = field(default=0.2, metadata=_limits(0, 10, True))
    track_pt_min: float = field(default=1.0, metadata=_limits(0))


@dataclass(frozen=True)
class Card:
    """Everything that `hf.reconstruct` needs; a section that is none yields empty lists of these objects."""

    name: str
    model: str = "delphes-cms"
    """Name of the model whose constituents the card is meant for."""
    overlap: tuple[str, ...] = field(default=OBJECTS, metadata={"choices": OBJECTS})
    """Kinds of objects by precedence: one that shares a constituent or a particle with one of an earlier kind is
    removed. Kinds that are not named are neither removed nor do they remove others."""
    scalar_ht: tuple[str, ...] = field(default=OBJECTS, metadata={"choices": OBJECTS})
    """Kinds of objects whose pt make up the scalar HT."""
    invisible: tuple[int, ...] = field(default=(12, 14, 16), metadata={})
    """|PDG codes| of stable particles that neither GEN jets nor GEN missing energy count."""
    jets: Jets | None = None
    genjets: GenJets | None = None
    fatjets: FatJets | None = None
    photons: Leptons | None = None
    electrons: Leptons | None = None
    muons: Leptons | None = None
    flavor: Flavor | None = None
    btag: tuple[BTag, ...] = ()
    tautag: tuple[TauTag, ...] = ()
    source: str = field(default="", metadata={"internal": True})
    """File that the card was read from."""
    settings: dict[str, int] = field(default_factory=dict, metadata={"internal": True})
    """Of Delphes' cards: RandomSeed, MaxEvents, SkipEvents where they are set."""
    differences: tuple[str, ...] = field(default=(), metadata={"internal": True})
    """For Delphes' cards: settings that a trained model cannot follow, one sentence each."""
