# SPDX-License-Identifier: MIT
"""Formulas against Python's own arithmetic, and what they refuse."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hepgen_fastsim import InputError
from hepgen_fastsim.cards import Formula
from hypothesis import given, settings
from hypothesis import strategies as st

FUNCTIONS = ("abs", "exp", "tanh", "sqrt", "cos")
PYTHON = {"abs": abs, "exp": math.exp, "tanh": math.tanh, "sqrt": math.sqrt, "cos": math.cos}


def expressions():
    """Pairs of the same expression, as cards and as Python write it."""
    numbers = st.floats(0, 50).map(lambda x: (repr(round(x, 3)),) * 2)
    names = st.sampled_from(["pt", "eta", "phi", "energy"]).map(lambda n: (n, n))

    def larger(inner):
        binary = st.tuples(inner, st.sampled_from("+-*/"), inner).map(
            lambda t: (f"{t[0][0]} {t[1]} {t[2][0]}", f"({t[0][1]} {t[1]} {t[2][1]})")
        )
        compare = st.tuples(inner, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), inner).map(
            lambda t: (f"(({t[0][0]}) {t[1]} ({t[2][0]}))", f"float({t[0][1]} {t[1]} {t[2][1]})")
        )
        logic = st.tuples(inner, st.sampled_from([("&&", "and"), ("||", "or")]), inner).map(
            lambda t: (
                f"(({t[0][0]}) {t[1][0]} ({t[2][0]}))",
                f"float(bool({t[0][1]}) {t[1][1]} bool({t[2][1]}))",
            )
        )
        negative = inner.map(lambda t: (f"-({t[0]})", f"(-{t[1]})"))
        power = st.tuples(inner, st.sampled_from(["2", "3", "0.5"])).map(
            lambda t: (f"abs({t[0][0]})^{t[1]}", f"(abs({t[0][1]}) ** {t[1]})")
        )
        call = st.tuples(st.sampled_from(FUNCTIONS), inner).map(lambda t: (f"{t[0]}({t[1][0]})", f"{t[0]}({t[1][1]})"))
        bracket = inner.map(lambda t: (f"({t[0]})", t[1]))
        return binary.map(lambda t: (f"({t[0]})", t[1])) | compare | logic | negative | power | call | bracket

    return st.recursive(numbers | names, larger, max_leaves=12)


@settings(deadline=None, max_examples=200)
@given(expressions(), st.floats(0.1, 100), st.floats(-5, 5))
def test_random_expressions_agree_with_python(pair, pt, eta):
    text, python = pair
    values = {"pt": pt, "eta": eta, "phi": 0.3, "energy": 2.0 * pt}
    try:
        expected = float(eval(python, {**PYTHON, "float": float, "bool": bool}, values))
    except (ValueError, OverflowError, ZeroDivisionError):
        return
    if isinstance(expected, complex) or not math.isfinite(expected):
        return
    assert float(Formula(text)(**values)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("8 / 4 / 2", 1),
        ("7 - 4 - 2", 1),
        ("2^3^2", 512),
        ("2**-1", 0.5),
        ("-2^2", -4),
        ("!0 + !3", 1),
        ("1 + 2 > 2 && 1 || 0", 1),
        ("1 || 0 && 0", 1),
        ("pt > 10 ? 5 : 6", 5),
        (".5e1 + 1.", 6),
        ("pow(2, 3) + sq(3) + max(1, 2) + min(1, 2)", 20),
        ("TMath::Power(2, 2) + TMath::Abs(-1) + TMath::Pi()", 5 + math.pi),
        ("x + y + z + t", 20 + 1.5 + 0.3 + 30),
        ("pi", math.pi),
        ("ctgTheta", math.sinh(1.5)),
        ("d0 + dz", 0),
        ("(pt <= 10.0) * (0.00) + \\\n (abs(eta) <= 1.5) * (pt > 10.0) * (0.95)", 0.95),
        ("1 / 0", math.inf),
    ],
)
def test_grammar(text, expected):
    assert float(Formula(text)(pt=20.0, eta=1.5, phi=0.3, energy=30.0)) == pytest.approx(expected)


def test_arrays_broadcast():
    value = Formula("pt * (abs(eta) < 1)")(pt=np.array([[1.0], [2.0]]), eta=np.array([0.0, -2.0]))
    np.testing.assert_array_equal(value, [[1, 0], [2, 0]])
    assert Formula("0.5")(pt=np.ones(3)).tolist() == [0.5] * 3


def test_long_sums_and_pickles():
    formula = Formula(" + ".join(["(pt > 1) * 0.001"] * 1000))
    assert float(formula(pt=2.0)) == pytest.approx(1.0)
    assert pickle.loads(pickle.dumps(formula)) == formula


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expression is expected, found nothing"),
        ("1 +", r"found 'the end' \(character 4"),
        ("(1 + 2", r"'\)' is expected"),
        ("1 2", "operator or the end is expected, found '2'"),
        ("prt + 1", "did you mean 'pt'"),
        ("sqtr(pt)", "did you mean 'sqrt'"),
        ("pow(1)", "takes 2 arguments, found 1"),
        ("radius", "radius of the exit point"),
        ("pt; 1", "';' is not a symbol"),
        ("__import__('os')", "is not a symbol"),
        ("pt.real", "'.' is not a symbol"),
        ("open(1)", "'open' is not a function"),
        ("(" * 60 + "1" + ")" * 60, "nested"),
        ("2" + "^2" * 60, "nested"),
    ],
)
def test_errors_name_the_place(text, message):
    with pytest.raises(InputError, match=message):
        Formula(text)
