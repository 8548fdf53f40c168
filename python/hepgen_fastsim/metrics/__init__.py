# SPDX-License-Identifier: MIT
"""Kernels and metrics that say how close a fast simulation comes to its reference.

>>> import hepgen_fastsim as hf
>>> hf.metrics.efps(jets, graphs="d<=5")  # doctest: +SKIP
>>> print(hf.metrics.fpd(reference, candidate, rerun))  # doctest: +SKIP
fpd = 0.00031 ± 4e-05 (floor 1.2e-05 ± 3e-05)

Every metric takes (reference, candidate[, rerun]) in this order, is seeded, and returns a `Result`: value, error
and, if a second reference `rerun` is given, the floor, which is the same metric between the two references. A value
means little without its floor. Metrics that compare jets count unusable and out-of-range candidates in ``details``.

Names are loaded when they are first used: numba, scikit-learn and POT only with the metrics that need them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hepgen_fastsim.metrics.dependence import distance_correlation
    from hepgen_fastsim.metrics.divergence import kld
    from hepgen_fastsim.metrics.efp import efps
    from hepgen_fastsim.metrics.enumeration import select_graphs
    from hepgen_fastsim.metrics.frechet import fpd, frechet_distance, kpd
    from hepgen_fastsim.metrics.graphs import Multigraph
    from hepgen_fastsim.metrics.jets import Jets
    from hepgen_fastsim.metrics.learned import classifier_features, fgd
    from hepgen_fastsim.metrics.nearest import chamfer
    from hepgen_fastsim.metrics.neighbours import memorisation
    from hepgen_fastsim.metrics.observables import Response, momentum_flow, response
    from hepgen_fastsim.metrics.result import Result
    from hepgen_fastsim.metrics.suite import jet_metrics
    from hepgen_fastsim.metrics.transport import cov_mmd, emd
    from hepgen_fastsim.metrics.two_sample import auc_with_error, c2st
    from hepgen_fastsim.metrics.wasserstein import w1, w1efp, w1m, w1p

_HOME = {
    "Jets": "jets",
    "Multigraph": "graphs",
    "Response": "observables",
    "Result": "result",
    "auc_with_error": "two_sample",
    "c2st": "two_sample",
    "chamfer": "nearest",
    "classifier_features": "learned",
    "cov_mmd": "transport",
    "distance_correlation": "dependence",
    "efps": "efp",
    "emd": "transport",
    "fgd": "learned",
    "fpd": "frechet",
    "frechet_distance": "frechet",
    "jet_metrics": "suite",
    "kld": "divergence",
    "kpd": "frechet",
    "memorisation": "neighbours",
    "momentum_flow": "observables",
    "response": "observables",
    "select_graphs": "enumeration",
    "w1": "wasserstein",
    "w1efp": "wasserstein",
    "w1m": "wasserstein",
    "w1p": "wasserstein",
}

__all__ = [
    "Jets",
    "Multigraph",
    "Response",
    "Result",
    "auc_with_error",
    "c2st",
    "chamfer",
    "classifier_features",
    "cov_mmd",
    "distance_correlation",
    "efps",
    "emd",
    "fgd",
    "fpd",
    "frechet_distance",
    "jet_metrics",
    "kld",
    "kpd",
    "memorisation",
    "momentum_flow",
    "response",
    "select_graphs",
    "w1",
    "w1efp",
    "w1m",
    "w1p",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
