# SPDX-License-Identifier: MIT
"""All jet metrics at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.efp import efps
from hepgen_fastsim.metrics.frechet import fpd, kpd
from hepgen_fastsim.metrics.learned import are_relative, fgd
from hepgen_fastsim.metrics.result import Result, clean_features, clean_jets, cleaned
from hepgen_fastsim.metrics.transport import cov_mmd
from hepgen_fastsim.metrics.two_sample import c2st
from hepgen_fastsim.metrics.wasserstein import w1efp, w1m, w1p

__all__ = ["jet_metrics"]


def jet_metrics(
    reference: Any,
    candidate: Any,
    rerun: Any = None,
    *,
    seed: int = 42,
    coords: str | None = None,
    settings: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Result]:
    """W1M, W1P, W1EFP, FPD, KPD, FGD, COV, MMD and the AUC of a classifier on the same 36 polynomials, for jets.

    FGD needs coordinates relative to the jet, and is left out where those of the reference are not.

    Parameters
    ----------
    reference, candidate, rerun: jets, see `Jets`; relative coordinates as in JetNet make figures comparable
    seed: of all sampling
    coords: columns of arrays, default ``"ptyphim"``
    settings: of single metrics, by the name of the function: ``{"cov_mmd": {"n_samples": 50}}``

    Returns
    -------
    {"w1m", "w1p", "w1efp", "fpd", "kpd", "fgd", "cov", "mmd", "c2st": Result}, each with its floor if `rerun` is given
    """
    jets, (_, bad) = cleaned(lambda sample, name: clean_jets(sample, name, coords), reference, candidate, rerun)
    features, (_, more) = cleaned(lambda sample, name: clean_features(efps(sample, "d<=4", normed=False), name), *jets)
    functions: dict[str, Callable[..., Any]] = {
        "w1m": w1m,
        "w1p": w1p,
        "w1efp": w1efp,
        "fpd": fpd,
        "kpd": kpd,
        "fgd": fgd,
        "cov_mmd": cov_mmd,
        "c2st": c2st,
    }
    settings = settings or {}
    if not settings.keys() <= functions.keys():
        raise InputError(
            f"settings are for {', '.join(functions)}; got {', '.join(settings.keys() - functions.keys())}"
        )
    results: dict[str, Result] = {}
    if not are_relative(jets[0]):
        del functions["fgd"]
    for name, function in functions.items():
        samples = features if name in ("fpd", "kpd", "c2st") else jets
        result = function(*samples, **{"seed": seed, **settings.get(name, {})})
        results.update(result if isinstance(result, dict) else {name: result})
    for result in results.values():
        result.details["n_unusable"] = bad + more
    return results
