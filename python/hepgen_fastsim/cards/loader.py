# SPDX-License-Identifier: MIT
"""Finding and reading cards: the bundled ones by name, TOML files and Delphes' Tcl cards by path."""

from __future__ import annotations

import difflib
import logging
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from hepgen_fastsim.cards.build import build
from hepgen_fastsim.cards.card import Card
from hepgen_fastsim.errors import InputError

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # type: ignore[no-redef]

__all__ = ["bundled", "load_card"]

_LOG = logging.getLogger("hepgen_fastsim.cards")
_FOLDER = Path(__file__).parent
_TCL = re.compile(r"^\s*(module\s+\w+\s+\w+\s*\{|set\s+ExecutionPath\b)", re.MULTILINE)


def bundled() -> list[str]:
    """Names of the cards that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_card(card: str | os.PathLike[str] | Card, *, strict: bool = False) -> Card:
    """A card by name or path.

    Parameters
    ----------
    card
        name of a bundled card ("cms", "atlas"), path of a TOML file of that form, or path of a genuine Delphes card
        (Tcl; the content tells). A `Card` is returned as it is.
    strict
        for Delphes' cards: raise InputError if the card changes what a trained model cannot follow (tracking,
        resolutions, field, calorimeter; modules that are not imitated). Otherwise each such setting is logged as a
        warning (logger "hepgen_fastsim.cards") and listed in `Card.differences`.

    Raises InputError, naming file and line, if there is no such card or something in it cannot be used.

    >>> load_card("cms").jets.radius
    0.5
    """
    if isinstance(card, Card):
        loaded = card
    else:
        path = _find(card)
        loaded, fresh = _cached(str(path), path.stat().st_mtime_ns, path.stat().st_size)
        if fresh.pop("new", False) and not strict:
            for difference in loaded.differences:
                _LOG.warning("card %s: %s", path.name, difference)
    if strict and loaded.differences:
        raise InputError(
            f"{loaded.source}: {len(loaded.differences)} settings of this card cannot be followed: "
            + " ".join(loaded.differences)
        )
    return loaded


def _find(card: str | os.PathLike[str]) -> Path:
    name = os.fspath(card)
    names = bundled()
    if name in names:
        return _FOLDER / f"{name}.toml"
    path = Path(name)
    if path.is_file():
        return path
    if path.exists():
        raise InputError(f"{name} is a folder; a card file or one of {', '.join(names)} is expected.")
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"bundled are {', '.join(names)}."
    raise InputError(f"there is no card '{name}', neither a bundled one nor a file; {hint}")


@lru_cache(maxsize=32)
def _cached(path: str, _mtime: int, _size: int) -> tuple[Card, dict[str, bool]]:
    return _read(Path(path)), {"new": True}


def _read(path: Path) -> Card:
    try:
        return _parse(path.read_bytes(), path)
    except OSError as error:
        raise InputError(f"card {path} cannot be read: {error.strerror or error}.") from error


def _parse(content: bytes, path: Path) -> Card:
    """A card of a file's content; `path` is named in errors, and files that a Tcl card includes lie beside it."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # old Delphes cards have names of authors
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _TCL.search(text):
        from hepgen_fastsim.cards.delphes import card_of_tcl

        return card_of_tcl(text, path)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            f"{path}: not a card: {error}. TOML or one of Delphes' Tcl cards (with `set ExecutionPath`) is expected."
        ) from None
    lines = _lines(text)

    def where(keys: tuple[Any, ...]) -> str:
        for length in range(len(keys), 0, -1):
            if keys[:length] in lines:
                return f"{path}, line {lines[keys[:length]]}"
        return str(path)

    return build(tables, where, str(path))


_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_.-]+|"[^"]*"|'[^']*'))\s*=""")


def _lines(text: str) -> dict[tuple[Any, ...], int]:
    """Line of each key and section of a TOML text, which the parser itself does not tell."""
    lines: dict[tuple[Any, ...], int] = {}
    section: tuple[Any, ...] = ()
    counts: dict[str, int] = {}
    inside = ""  # the quotes of a text of several lines
    for number, line in enumerate(text.splitlines(), 1):
        quotes = re.findall(r'"""|\'\'\'', line)
        if inside:
            if inside in quotes:
                inside = ""
            continue
        if header := _HEADER.match(line):
            section = tuple(part.strip("\"' ") for part in header.group(2).split("."))
            if header.group(1) == "[[":
                index = counts.get(header.group(2), 0)
                counts[header.group(2)] = index + 1
                lines.setdefault(section, number)
                section = (*section, index)
            elif section[0] in counts:  # a table below the last entry of a list
                section = (section[0], counts[section[0]] - 1, *section[1:])
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            name = key.group(1)
            parts = (name[1:-1],) if name[0] in "\"'" else tuple(name.split("."))
            lines.setdefault((*section, *parts), number)
        if len(quotes) % 2:
            inside = quotes[-1]
    return lines
