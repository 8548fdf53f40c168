# SPDX-License-Identifier: MIT
"""Coverage-guided fuzzing of the parsers of cards: formulas, our TOML, and Delphes' Tcl.

    python tests/cards/fuzz_cards.py [--target formula|toml|tcl|all] [-runs=N] [-max_total_time=SECONDS] [CORPUS...]

Needs atheris (libFuzzer for Python; `pip install atheris`). Any text gives a card or an InputError that has a text;
anything else, and anything that takes longer than ten seconds, is a finding. Seeds: tests/cards/corpus, words:
tests/cards/fuzz.dict. Cards are parsed from memory; what takes most of an execution and depends on little of the
input (the search for names that are spelt alike, the grid on which formulas are compared) is done in full in one of
sixteen, which the first byte tells.
"""

from __future__ import annotations

import difflib
import logging
import sys
import tempfile
from pathlib import Path
from types import FunctionType

import atheris
import hepgen_fastsim.cards.delphes  # noqa: F401  # all, also what is imported on first use
import numpy as np
from hepgen_fastsim.cards import detector
from hepgen_fastsim.cards.formula import Formula
from hepgen_fastsim.cards.loader import _parse
from hepgen_fastsim.errors import InputError

HERE = Path(__file__).parent
CARD = Path(tempfile.mkdtemp(prefix="fuzz-cards-")) / "card"
TARGETS = ("formula", "toml", "tcl")
VALUES = {"pt": 30.0, "eta": np.array([1.2, 0.1]), "phi": 0.4, "energy": 60.0, "d0": 0.1, "dz": 0.2}
GRID = detector._GRID
SMALL = tuple(axis[:2] for axis in GRID)
CLOSE = difflib.get_close_matches
INCLUDED = b"set Cone 0.3\nadd Branch F/jets Jet Jet\nsource a\nsource a\n"
"""A file beside the card, which a Tcl card can include: it includes itself, twice."""


def first(word: str, possibilities: object, n: int = 3, cutoff: float = 0.6) -> list[str]:
    """In place of difflib's: the first possibility, or none for words of odd length."""
    return [str(next(iter(possibilities)))] if len(word) % 2 == 0 and possibilities else []  # type: ignore[call-overload]


def test_one_input(data: bytes) -> None:
    """The first byte says what the rest is, and whether hints and grids are the whole ones."""
    if not data:
        return
    text, whole = data[1:], data[0] // 3 % 16 == 15
    difflib.get_close_matches = CLOSE if whole else first
    detector._GRID = GRID if whole else SMALL
    try:
        if data[0] % 3 == 0:
            formula = Formula(text.decode("utf-8", "replace"))
            if len(formula.text) < 60 or whole:
                formula(**VALUES)
        else:
            _parse(text, CARD)
    except InputError as error:
        if not str(error):
            raise AssertionError("an error without a text") from error


def only(target: int):
    """The first byte is made to fit one of the parsers."""
    of_target = [bytes([value // 3 * 3 % 255 + target]) for value in range(256)]

    def test_one_input_of_target(data: bytes) -> None:
        if data:
            test_one_input(of_target[data[0]] + data[1:])

    return test_one_input_of_target


def instrument() -> None:
    """Count the branches of the cards' modules; atheris' own import hook does not see editable installations."""
    modules = [module for name, module in sys.modules.items() if name.startswith("hepgen_fastsim.cards.")]
    for module in modules:
        for owner in (module, *(c for c in vars(module).values() if isinstance(c, type))):
            for function in list(vars(owner).values()):
                if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                    atheris.instrument_func(function)


def main() -> None:
    arguments = sys.argv[:]
    target = "all"
    if "--target" in arguments:
        at = arguments.index("--target")
        target = arguments[at + 1]
        del arguments[at : at + 2]
        if target not in (*TARGETS, "all"):
            sys.exit(f"--target must be one of {', '.join((*TARGETS, 'all'))}, found '{target}'.")
    instrument()
    logging.disable(logging.CRITICAL)
    (CARD.parent / "a").write_bytes(INCLUDED)
    if not any(not a.startswith("-") for a in arguments[1:]):
        arguments += [tempfile.mkdtemp(prefix="fuzz-cards-corpus-"), str(HERE / "corpus")]
    defaults = ["-timeout=10", "-max_len=20000", f"-dict={HERE / 'fuzz.dict'}"]
    one = test_one_input if target == "all" else only(TARGETS.index(target))
    atheris.Setup([arguments[0], *defaults, *arguments[1:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
