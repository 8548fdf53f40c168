# SPDX-License-Identifier: MIT
"""The subset of Tcl that Delphes' cards are written in: `module` blocks with `set` and `add`, `source`, comments.

Nothing is executed but these. Variables (`$name`) and arithmetic (`[expr …]`) are substituted where their values are
known; loops and other commands, which cards use to list the edges of calorimeter cells, are kept as text.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hepgen_fastsim.cards.formula import Formula
from hepgen_fastsim.errors import InputError

__all__ = ["Module", "Script", "items", "parse"]

_MAX_NESTING = 20
_MAX_FILES = 200


@dataclass
class Module:
    """A module of a card: its settings as text (`set`) or as lists of words (`add`), with their lines."""

    kind: str
    name: str
    where: str
    settings: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    others: list[tuple[str, str]] = field(default_factory=list)
    """Commands that were not understood: (text, place)."""

    def words(self, key: str) -> list[str]:
        """A setting as a list of words, whether it was set or added to."""
        if key in self.lists:
            return self.lists[key]
        return items(self.settings[key]) if key in self.settings else []

    def place(self, key: str) -> str:
        return self.places.get(key, self.where)


@dataclass
class Script:
    """A card: its modules by name, in order, and the variables at its top level."""

    path: Path
    modules: dict[str, Module] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    included: int = 0
    """Files that were included so far."""

    def include(self, name: str, place: str) -> tuple[str, Path]:
        """Content and path of a file beside the card."""
        path = self.path.parent / name
        self.included += 1
        if self.included > _MAX_FILES:
            raise InputError(f"{place}: more than {_MAX_FILES} files are included; do some include each other?")
        try:
            if path.exists() and not path.is_file():
                raise InputError(f"{place}: {path} cannot be included: it is not a file.")
            return path.read_text(encoding="utf-8", errors="replace"), path
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            raise InputError(f"{place}: {path} cannot be included: {reason}.") from None


def parse(text: str, path: Path) -> Script:
    """Read a card; raises InputError with file and line for braces that do not close and files that are not there."""
    script = Script(path)
    _top(text, path, 1, script, 0)
    return script


def _top(text: str, path: Path, line: int, script: Script, depth: int) -> None:
    if depth > _MAX_NESTING:
        raise InputError(f"{path}: files that include each other {_MAX_NESTING} deep; does one include itself?")
    for words, at in _commands(text, path, line):
        place = f"{path}, line {at}"
        command = words[0][1]
        if command == "module":
            _module(words, path, at, script)
        elif command == "set" and len(words) == 3:
            script.variables[words[1][1]] = _substitute(words[2], script.variables)
            script.places[words[1][1]] = place
        elif command == "add" and len(words) >= 3:
            added = " ".join(_braced(_substitute(word, script.variables)) for word in words[2:])
            before = script.variables.get(words[1][1], "")
            script.variables[words[1][1]] = f"{before} {added}".strip()
        elif command == "source" and len(words) == 2:
            content, included = script.include(_substitute(words[1], script.variables), place)
            _top(content, included, 1, script, depth + 1)


def _module(words: list[_Word], path: Path, at: int, script: Script) -> None:
    place = f"{path}, line {at}"
    if len(words) != 4:
        raise InputError(f"{place}: 'module' needs a class, a name and a block {{ … }}; found {len(words) - 1} words.")
    kind, name = words[1][1], words[2][1]
    if name in script.modules:  # Delphes warns and uses the class of the first; settings of both are executed
        module = script.modules[name]
    else:
        module = script.modules[name] = Module(kind, name, place)
    _body(words[3][1], path, words[3][2], script, module, 0)


def _body(text: str, path: Path, line: int, script: Script, module: Module, depth: int) -> None:
    if depth > _MAX_NESTING:
        raise InputError(f"{path}: files that include each other {_MAX_NESTING} deep; does one include itself?")
    variables = ChainMap(module.settings, script.variables)
    for words, at in _commands(text, path, line):
        place = f"{path}, line {at}"
        command, arguments = words[0][1], words[1:]
        if command == "set" and len(arguments) == 2:
            key = arguments[0][1]
            module.settings[key] = _substitute(arguments[1], variables)
            module.lists.pop(key, None)
            module.places[key] = place
        elif command == "add" and len(arguments) >= 2:
            key = arguments[0][1]
            values = [_substitute(word, variables) for word in arguments[1:]]
            if key in module.settings:
                module.lists[key] = items(module.settings.pop(key))
            module.lists.setdefault(key, []).extend(values)
            module.places.setdefault(key, place)
        elif command == "source" and len(arguments) == 1:
            content, included = script.include(_substitute(arguments[0], variables), place)
            _body(content, included, 1, script, module, depth + 1)
        else:
            module.others.append((" ".join(" ".join(word[1].split()) for word in words), place))


_Word = tuple[str, str, int]  # quoting ("{", '"' or ""), text, line


_SPACE = re.compile(r"(?:[ \t\r;\n]+|\\\n)+")  # between commands
_BLANK = re.compile(r"(?:[ \t\r]+|\\\n)+")  # between words
_COMMENT = re.compile(r"#[^\\\n]*(?:\\[\s\S][^\\\n]*)*\\?")
_BRACE = re.compile(r"\\[\s\S]|[{}]")
_QUOTED = re.compile(r'"[^"\\]*(?:\\[\s\S][^"\\]*)*"')
_EASY = re.compile(r"[^ \t\r\n;\\\[\]{}\"]+(?=[ \t\r\n;]|\Z)")  # a word without anything special in it
_SPECIAL = re.compile(r"[ \t\r\n;\\\[\]]|\Z")


def _commands(text: str, path: Path, line: int) -> Iterator[tuple[list[_Word], int]]:
    """Commands of a script as words, with the line that each starts on."""
    at, end = 0, len(text)
    while at < end:
        if skipped := _SPACE.match(text, at) or _COMMENT.match(text, at):
            line += text.count("\n", at, skipped.end())
            at = skipped.end()
            continue
        start, words = line, []
        while at < end and text[at] not in ";\n":
            if easy := _EASY.match(text, at):
                at = easy.end()
                words.append(("", easy.group(), line))
                continue
            before = at
            if skipped := _BLANK.match(text, at):
                at = skipped.end()
            else:
                word, at = _word(text, at, path, line)
                words.append(word)
            line += text.count("\n", before, at)
        yield words, start


def _word(text: str, at: int, path: Path, line: int) -> tuple[_Word, int]:
    start, quote = at, text[at]
    if quote == "{":
        depth = 0
        for match in _BRACE.finditer(text, start):
            depth += {"{": 1, "}": -1}.get(match.group(), 0)
            if depth == 0 and match.group() == "}":
                return ("{", text[start + 1 : match.start()], line), match.end()
        raise InputError(f"{path}, line {line}: the brace '{{' that opens here is not closed.")
    if quote == '"':
        if (quoted := _QUOTED.match(text, start)) is None:
            raise InputError(f"{path}, line {line}: the quote that opens here is not closed.")
        return ('"', quoted.group()[1:-1], line), quoted.end()
    depth = 0
    for match in _SPECIAL.finditer(text, start):
        if match.start() < at:
            continue  # escaped
        at, character = match.start(), match.group()
        if not character or not (depth or character not in " \t\r\n;"):
            break
        depth += {"[": 1, "]": -1}.get(character, 0)
        at += 2 if character == "\\" and not text.startswith("\\\n", at) else 1
    return ("", text[start:at], line), at


_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_EXPRESSION = re.compile(r"\[\s*expr\s+\{?([^\[\]{}]*)\}?\s*\]")


def _substitute(word: _Word, variables: Mapping[str, str]) -> str:
    """Text of a word with the variables and the arithmetic in it replaced as far as they are known."""
    quote, text, _ = word
    if quote == "{" or ("$" not in text and "[" not in text):
        return text
    text = _VARIABLE.sub(lambda match: variables.get(match.group(1), match.group(0)), text)

    def arithmetic(match: re.Match[str]) -> str:
        try:
            return repr(float(Formula(match.group(1))()))
        except InputError:
            return match.group(0)

    return _EXPRESSION.sub(arithmetic, text)


def _braced(text: str) -> str:
    return "{" + text + "}" if re.search(r"\s", text) or not text else text


def items(text: str) -> list[str]:
    """A Tcl list as words; a semicolon, which ends a command elsewhere, only separates."""
    path, text = Path(), text.replace(";", " ")
    found, at = [], 0
    while at < len(text):
        if text[at].isspace() or text.startswith("\\\n", at):
            at += 2 if text[at] == "\\" else 1
        else:
            word, at = _word(text, at, path, 1)
            found.append(word[1])
    return found
