# SPDX-License-Identifier: MIT
"""Formulas of cards: the subset of ROOT's TFormula that Delphes' cards use, parsed by ourselves, evaluated by numpy.

Grammar, from loose to tight: ``a ? b : c``, ``||``, ``&&``, ``== !=``, ``< <= > >=``, ``+ -``, ``* / %``, unary
``+ - !``, ``^`` or ``**`` (to the right, as in ``2^3^2 = 512``), numbers, names, calls, parentheses. A comparison is 1
or 0, so that efficiencies are written as sums of ``(condition) * (value)``. Nothing is ever executed as Python.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hepgen_fastsim.errors import InputError

__all__ = ["VARIABLES", "Formula"]

Values = Any  # float or float64 array
Node = Callable[[Mapping[str, Values]], Values]

VARIABLES = ("pt", "eta", "phi", "energy", "d0", "dz", "ctgTheta")
"""Names with a value: pt, energy [GeV]; eta; phi [rad]; d0, dz [mm] (0 for jets, as in Delphes); ctgTheta = pz / pt."""

_ALIASES = {"x": "pt", "y": "eta", "z": "phi", "t": "energy"}  # what Delphes renames the variables to for TFormula
_ABSENT = {"radius": "radius of the exit point", "density": "particle density"}
_CONSTANTS = {"pi": np.pi, "e": np.e}

_FUNCTIONS: dict[str, tuple[int, Callable[..., Values]]] = {
    **{
        name: (1, getattr(np, name))
        for name in [
            "exp",
            "log",
            "log10",
            "log2",
            "sqrt",
            "sin",
            "cos",
            "tan",
            "sinh",
            "cosh",
            "tanh",
            "floor",
            "ceil",
            "sign",
        ]
    },
    **{name: (1, getattr(np, name)) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{"a" + name: (1, getattr(np, "arc" + name)) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "abs": (1, np.abs),
    "fabs": (1, np.abs),
    "int": (1, np.trunc),
    "sq": (1, np.square),
    "pow": (2, np.power),
    "power": (2, np.power),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
    "atan2": (2, np.arctan2),
    "hypot": (2, np.hypot),
    "fmod": (2, np.fmod),
}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*(?:::\w+)?)"
    r"|(?P<operator>\|\||&&|<=|>=|==|!=|\*\*|[-+*/%^<>!?:(),]))"
)
MAX_DEPTH = 40


class Formula:
    """A formula of a card as a function of arrays.

    Parameters
    ----------
    text
        the formula, e.g. ``"(pt <= 10.0) * 0 + (abs(eta) <= 1.5) * (pt > 10.0) * 0.95"``; blanks, line ends and
        backslashes between symbols mean nothing

    Raises InputError, with the place, if it is not one.

    >>> Formula("0.25*tanh(0.018*pt)*(1/(1+ 0.0013*pt))")(pt=100.0)
    array(0.20947036)
    """

    __slots__ = ("_node", "names", "text")

    def __init__(self, text: str) -> None:
        self.text = " ".join(str(text).replace("\\", " ").split())
        parser = _Parser(self.text)
        self._node = parser.parse()
        self.names: frozenset[str] = frozenset(parser.names)

    def __call__(self, **variables: Values) -> np.ndarray:
        """float64 of the variables' common shape; those that the formula needs and that are not given are 0."""
        arrays = {name: np.asarray(value, dtype=np.float64) for name, value in variables.items()}
        shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
        if "ctgTheta" in self.names and "ctgTheta" not in arrays:
            arrays["ctgTheta"] = np.sinh(arrays.get("eta", np.zeros(())))
        zero = np.zeros(())
        with np.errstate(all="ignore"):
            value = self._node({name: arrays.get(name, zero) for name in VARIABLES})
        return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), shape))

    def __reduce__(self) -> tuple[type[Formula], tuple[str]]:
        return Formula, (self.text,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Formula) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Formula({self.text!r})"


class _Parser:
    """Recursive descent; each rule returns a function of the variables."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: set[str] = set()
        self.tokens: list[tuple[str, str, int]] = []
        self.depth = 0
        position = 0
        for match in _TOKEN.finditer(text):
            if match.start() != position:
                break
            kind = str(match.lastgroup)
            self.tokens.append((kind, match.group(kind), match.start(kind)))
            position = match.end()
        if rest := text[position:].lstrip():
            raise self._error(f"'{rest[0]}' is not a symbol of formulas", position)
        self.tokens.append(("end", "the end", len(text)))
        self.at = 0

    def _error(self, problem: str, position: int | None = None) -> InputError:
        place = self.tokens[self.at][2] if position is None else position
        shown = self.text if len(self.text) <= 200 else self.text[:200] + "…"
        return InputError(f"{problem} (character {place + 1} of the formula '{shown}').")

    def parse(self) -> Node:
        if len(self.tokens) == 1:
            raise self._error("an expression is expected, found nothing")
        node = self._choice()
        if self.tokens[self.at][0] != "end":
            raise self._error(f"an operator or the end is expected, found '{self.tokens[self.at][1]}'")
        return node

    def _take(self, symbol: str) -> bool:
        found = self.tokens[self.at][1] == symbol
        self.at += found
        return found

    def _expect(self, symbol: str) -> None:
        if not self._take(symbol):
            raise self._error(f"'{symbol}' is expected, found '{self.tokens[self.at][1]}'")

    def _enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._error(f"at most {MAX_DEPTH} nested parentheses or powers are allowed")

    def _choice(self) -> Node:
        self._enter()
        condition = self._binary(0)
        if self._take("?"):
            first = self._choice()
            self._expect(":")
            second = self._choice()
            node: Node = lambda v: np.where(_true(condition(v)), first(v), second(v))  # noqa: E731
        else:
            node = condition
        self.depth -= 1
        return node

    def _binary(self, lowest: int) -> Node:
        """Operators that bind at least as tightly as `lowest`; those of one level are a chain from left to right."""
        node = self._unary()
        while (level := _LEVELS.get(self.tokens[self.at][1], -1)) >= lowest:
            rest = []
            while _LEVELS.get(symbol := self.tokens[self.at][1]) == level:
                self.at += 1
                rest.append((_OPERATORS[symbol], self._binary(level + 1)))
            node = _chain(node, rest)
        return node

    def _unary(self) -> Node:
        signs = []
        while (symbol := self.tokens[self.at][1]) in _SIGNS:
            self.at += 1
            signs.append(symbol)
        node = self._power()
        for symbol in reversed(signs):
            if symbol == "-":
                node = _apply(lambda a: np.negative(a), node)
            elif symbol == "!":
                node = _apply(lambda a: _number(~_true(a)), node)
        return node

    def _power(self) -> Node:
        base = self._atom()
        if self._take("^") or self._take("**"):
            self._enter()
            base = _apply(np.power, base, self._unary())  # to the right; -x^2 is -(x^2), 2^-1 is 1/2
            self.depth -= 1
        return base

    def _atom(self) -> Node:
        kind, symbol, position = self.tokens[self.at]
        if kind == "number":
            self.at += 1
            value = np.float64(symbol)
            return lambda _: value
        if kind == "name":
            self.at += 1
            return self._name(symbol, position)
        if self._take("("):
            node = self._choice()
            self._expect(")")
            return node
        raise self._error(f"a number, a name or '(' is expected, found '{symbol}'")

    def _name(self, symbol: str, position: int) -> Node:
        plain = symbol.removeprefix("TMath::").removeprefix("std::")
        if plain != symbol:
            plain = plain.lower()
        if self._take("("):
            return self._call(symbol, plain, position)
        name = _ALIASES.get(plain, plain)
        if name in VARIABLES:
            self.names.add(name)
            return lambda v: v[name]
        if name in _CONSTANTS:
            value = np.float64(_CONSTANTS[name])
            return lambda _: value
        if name in _ABSENT:
            raise self._error(f"'{name}' ({_ABSENT[name]}) is not known for reconstructed objects", position)
        raise self._unknown(symbol, (*VARIABLES, *_CONSTANTS), "a variable", position)

    def _call(self, symbol: str, plain: str, position: int) -> Node:
        if plain == "pi" and self._take(")"):  # TMath::Pi()
            return lambda _: np.float64(np.pi)
        if plain not in _FUNCTIONS:
            raise self._unknown(symbol, tuple(_FUNCTIONS), "a function", position)
        arguments = [self._choice()]
        while self._take(","):
            arguments.append(self._choice())
        self._expect(")")
        count, function = _FUNCTIONS[plain]
        if len(arguments) != count:
            raise self._error(f"{plain} takes {count} argument{'s' * (count > 1)}, found {len(arguments)}", position)
        return _apply(function, *arguments)

    def _unknown(self, symbol: str, known: tuple[str, ...], what: str, position: int) -> InputError:
        near = difflib.get_close_matches(symbol, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
        return self._error(f"'{symbol}' is not {what}; {hint}", position)


def _true(value: Values) -> Any:
    return np.not_equal(value, 0)


def _number(value: Values) -> Values:
    return np.asarray(value, dtype=np.float64)


def _comparison(compare: Callable[[Values, Values], Values]) -> Callable[[Values, Values], Values]:
    return lambda a, b: _number(compare(a, b))


_BINARY: tuple[dict[str, Callable[[Values, Values], Values]], ...] = (
    {"||": lambda a, b: _number(_true(a) | _true(b))},
    {"&&": lambda a, b: _number(_true(a) & _true(b))},
    {"==": _comparison(np.equal), "!=": _comparison(np.not_equal)},
    {
        "<": _comparison(np.less),
        "<=": _comparison(np.less_equal),
        ">": _comparison(np.greater),
        ">=": _comparison(np.greater_equal),
    },
    {"+": np.add, "-": np.subtract},
    {"*": np.multiply, "/": np.true_divide, "%": np.fmod},
)
"""Operators between two operands, from loose to tight."""
_LEVELS = {symbol: level for level, table in enumerate(_BINARY) for symbol in table}
_OPERATORS = {symbol: function for table in _BINARY for symbol, function in table.items()}
_SIGNS = ("+", "-", "!")


def _chain(first: Node, rest: list[tuple[Callable[[Values, Values], Values], Node]]) -> Node:
    def evaluate(v: Mapping[str, Values]) -> Values:
        value = first(v)
        for function, node in rest:
            value = function(value, node(v))
        return value

    return evaluate


def _apply(function: Callable[..., Values], *nodes: Node) -> Node:
    if len(nodes) == 1:
        (only,) = nodes
        return lambda v: function(only(v))
    first, second = nodes
    return lambda v: function(first(v), second(v))
