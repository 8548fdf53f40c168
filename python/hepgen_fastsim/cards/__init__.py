# SPDX-License-Identifier: MIT
"""Cards: the definitions by which objects are made from constituents, as TOML or as Delphes' own Tcl cards."""

from hepgen_fastsim.cards.card import Card
from hepgen_fastsim.cards.formula import Formula
from hepgen_fastsim.cards.loader import bundled, load_card

__all__ = ["Card", "Formula", "bundled", "load_card"]
