# SPDX-License-Identifier: MIT
"""Energy flow polynomials of jets (Komiske, Metodiev, Thaler, arXiv:1712.07124)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.enumeration import select_graphs
from hepgen_fastsim.metrics.graphs import Multigraph, multigraph
from hepgen_fastsim.metrics.jets import Jets
from hepgen_fastsim.metrics.parallel import run_in_chunks
from hepgen_fastsim.metrics.plan import compile_plan

__all__ = ["efps", "resolve_graphs"]

MEASURES = ("hadr", "hadrdot", "ee")


def efps(
    jets: Any,
    graphs: str | Iterable[Any] = "d<=5",
    beta: float = 1.0,
    measure: str = "hadr",
    normed: bool = True,
    kappa: float = 1.0,
    *,
    coords: str | None = None,
    mask: Any = None,
    threads: int | None = None,
) -> np.ndarray:
    """Energy flow polynomials of jets.

    EFP_G = sum over particles i_1 ... i_n of z_i1 ... z_in times the product of theta_ij over the edges of G, with

    ``"hadr"``     z = pT^kappa, theta_ij = (dy^2 + dphi^2)^(beta/2), phi periodic
    ``"hadrdot"``  z = pT^kappa, theta_ij = (2 p_i p_j / pT_i pT_j)^(beta/2)
    ``"ee"``       z = E^kappa,  theta_ij = (2 p_i p_j / E_i E_j)^(beta/2)

    Conventions, graphs and their order are those of the ``energyflow`` package. All graphs of a set are computed
    together: d <= 5 takes four products of symmetric matrices per jet, against 102 separate contractions.

    Parameters
    ----------
    jets
        padded array [n_jets, n_particles, 3 or 4], list of arrays [n, 3 or 4], or awkward records (see `Jets`).
        Columns are pT, rapidity, phi, mass for hadronic measures and E, px, py, pz for ``"ee"`` unless `coords`
        says otherwise. Particles without momentum are padding.
    graphs
        a selection (``"d<=5"``: 102 graphs; ``"d<=4"``: 36; ``"n==4, d==4, p==1"``: see `select_graphs`), or graphs
        as lists of edges, ``[[(0, 1)], [(0, 1), (1, 2), (0, 2)]]``; ``[]`` as a graph is the sum of z.
    beta
        angular exponent, > 0
    measure
        ``"hadr"``, ``"hadrdot"`` or ``"ee"``
    normed
        divide energies by the jet's sum: z = pT^kappa / (sum pT)^kappa
    kappa
        energy exponent; collinear safe only for 1
    coords
        ``"ptyphim"``, ``"ptetaphim"`` or ``"epxpypz"``
    mask
        bool [n_jets, n_particles], particles of a padded array to keep
    threads
        threads over jets; default numba's ``NUMBA_NUM_THREADS``, at most the processors given to the process

    Returns
    -------
    float64 [n_jets, n_graphs]
        A jet of one massless particle gives 0 for every graph with an edge. A jet without particles gives 0, and NaN if
        `normed`, since there is nothing to divide by.

    Raises
    ------
    InputError
        for numbers that are not finite, negative pT or energy, unknown measures, coordinates or graphs

    Examples
    --------
    >>> import numpy as np
    >>> from hepgen_fastsim import metrics
    >>> two_prongs = np.array([[[50.0, 0.0, 0.2], [50.0, 0.0, -0.2]]])
    >>> metrics.efps(two_prongs, graphs=[[(0, 1)]], beta=2.0).round(6)  # 2 z_1 z_2 theta^2 = 2 * 0.25 * 0.16
    array([[0.08]])
    """
    from hepgen_fastsim.metrics import efp_kernels

    if measure not in MEASURES:
        raise InputError(f"measure must be one of {', '.join(MEASURES)}, got {measure!r}")
    if not (isinstance(beta, (int, float, np.number)) and 0 < beta < math.inf):
        raise InputError(f"beta must be a positive number, got {beta!r}")
    if not (isinstance(kappa, (int, float, np.number)) and math.isfinite(kappa)):
        raise InputError(f"kappa must be a finite number, got {kappa!r}")
    plan = compile_plan(resolve_graphs(graphs))
    if coords is None and measure == "ee" and not getattr(jets, "fields", None):
        coords = "epxpypz"
    particles = Jets.read(jets, coords, mask).require_usable()
    if measure == "ee":
        energy, slowness, direction = particles.spherical()
        columns = [slowness, *direction]
        kind = efp_kernels.EE
    else:
        energy, y, phi, mass_ratio = particles.hadronic()
        if measure == "hadr":
            wrapped = np.where(np.abs(phi) > math.pi, phi - 2 * math.pi * np.round(phi / (2 * math.pi)), phi)
            columns, kind = [y, wrapped], efp_kernels.HADR
        else:
            # a boost along the beam changes nothing: rapidities relative to the first particle keep exp(y) in range
            first = y[np.minimum(particles.offsets[:-1], max(len(y) - 1, 0))] if len(y) else y
            relative = y - np.repeat(first, particles.counts) if len(y) else y
            columns, kind = [mass_ratio, np.exp(relative), np.cos(phi), np.sin(phi)], efp_kernels.HADRDOT
    weights = energy**kappa
    if normed:
        weights = weights / np.repeat(particles.sum_over(energy), particles.counts) ** kappa
    table = np.ascontiguousarray(np.stack([weights, *columns]))
    out = np.empty((len(particles), len(plan.factor_offsets) - 1))
    sizes = np.array([plan.n_matrices, plan.n_vectors, plan.n_scalars])

    def chunk(which: np.ndarray) -> None:
        efp_kernels.run_plan(
            table, particles.offsets, which, kind, float(beta), plan.code, sizes, plan.factors, plan.factor_offsets, out
        )

    run_in_chunks(chunk, len(particles), threads)
    if normed:
        out[particles.counts == 0] = np.nan
    return out


def resolve_graphs(graphs: str | Iterable[Any]) -> tuple[Multigraph, ...]:
    """Graphs from a selection, from lists of edges, or from `Multigraph` objects."""
    if isinstance(graphs, str):
        return select_graphs(graphs)
    try:
        return tuple(g if isinstance(g, Multigraph) else multigraph(_edges(g)) for g in graphs)
    except TypeError:
        raise InputError(
            f"graphs should be a selection such as 'd<=5' or a list of lists of edges, got {graphs!r}"
        ) from None


def _edges(graph: Any) -> Sequence[Any]:
    if isinstance(graph, str):
        raise InputError(f"a graph in a list is a list of edges; a selection such as {graph!r} stands alone")
    return list(graph)
