# SPDX-License-Identifier: MIT
"""Observables of jets and of pairs of objects: momentum flow, and response and resolution in bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.jets import Jets

__all__ = ["Response", "momentum_flow", "response"]


def momentum_flow(
    jets: Any,
    radius: float = 0.8,
    n_rings: int = 4,
    *,
    axes: Any = None,
    coords: str | None = None,
    mask: Any = None,
) -> np.ndarray:
    """Share of a jet's pT in rings around its axis (arXiv:2203.00520, section 4).

    Flow_n = sum of pT over particles with (n - 1) R / N <= dR < n R / N, divided by the pT of the jet, for n = 1 ... N.

    Parameters
    ----------
    jets: see `Jets`
    radius: R, of the jet; particles beyond it count only in the jet's pT
    n_rings: N
    axes: float [n_jets, 2], (y, phi) of each jet, or one such pair for all; default: of the summed four-momentum
    coords, mask: as in `efps`

    Returns
    -------
    float64 [n_jets, n_rings]; NaN for jets without particles
    """
    if n_rings < 1 or not radius > 0:
        raise InputError(f"momentum flow needs a positive radius and at least one ring, got {radius} and {n_rings}")
    particles = Jets.read(jets, coords, mask).require_usable()
    pt, y, phi, ratio = particles.hadronic()
    total_pt, _, axis_phi = particles.summed()
    if axes is None:
        transverse = pt * np.sqrt(1 + ratio)
        energy, pz = (particles.sum_over(transverse * f(y)) for f in (np.cosh, np.sinh))
        with np.errstate(divide="ignore", invalid="ignore"):
            axis_y = np.arctanh(pz / energy)
    else:
        axes = np.asarray(axes, dtype=np.float64)
        if axes.shape not in ((2,), (len(particles), 2)):
            raise InputError(f"axes should have the shape [2] or [{len(particles)}, 2], got {list(axes.shape)}")
        axis_y, axis_phi = np.broadcast_to(axes, (len(particles), 2)).T
    owner = np.repeat(np.arange(len(particles)), particles.counts)
    dphi = (phi - axis_phi[owner] + np.pi) % (2 * np.pi) - np.pi
    ring = np.floor(np.hypot(y - axis_y[owner], dphi) * n_rings / radius).astype(np.int64)
    inside = ring < n_rings
    flow = np.bincount(owner[inside] * n_rings + ring[inside], pt[inside], len(particles) * n_rings)
    with np.errstate(divide="ignore", invalid="ignore"):
        flow = flow.reshape(-1, n_rings) / total_pt[:, None]
    flow[particles.counts == 0] = np.nan
    return flow


@dataclass(frozen=True)
class Response:
    """Response (the centre of measured / true, or of measured - true) and resolution (its width) in bins of a variable.

    Attributes, each float64 [n_bins] but the edges
    ----------
    edges: float64 [n_bins + 1]
    centre: median of the variable in the bin
    count: entries
    median, median_error: of the response
    width, width_error: half the central 68.27 % range, which tails do not move; of a Gaussian, its sigma
    mean, rms: moments, tails included
    n_unusable: pairs that were left out, not finite or (for ratios) with a true value of 0
    """

    edges: np.ndarray
    centre: np.ndarray
    count: np.ndarray
    median: np.ndarray
    median_error: np.ndarray
    width: np.ndarray
    width_error: np.ndarray
    mean: np.ndarray
    rms: np.ndarray
    n_unusable: int

    @property
    def resolution(self) -> np.ndarray:
        """Width relative to the median: what is left after a calibration."""
        return self.width / self.median


def response(
    true: Any,
    measured: Any,
    bins: Any,
    *,
    variable: Any = None,
    difference: bool = False,
    n_bootstrap: int = 100,
    seed: int = 0,
) -> Response:
    """Response and resolution of a measured quantity in bins.

    Parameters
    ----------
    true, measured: float [n], pairs that belong together
    bins: increasing edges [n_bins + 1] of `variable`
    variable: float [n], what is binned; default the true value (never the measured one, which biases)
    difference: measured - true instead of measured / true
    n_bootstrap: resamplings of each bin for the errors
    seed: of the bootstrap

    Returns
    -------
    Response; NaN in empty bins, and errors NaN in bins of fewer than two
    """
    true, measured = (np.asarray(x, dtype=np.float64) for x in (true, measured))
    variable = true if variable is None else np.asarray(variable, dtype=np.float64)
    if not (true.ndim == 1 and true.shape == measured.shape == variable.shape):
        shapes = ", ".join(str(list(x.shape)) for x in (true, measured, variable))
        raise InputError(f"true, measured and variable should be lists of the same length, got {shapes}")
    edges = np.asarray(bins, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise InputError("bins should be increasing edges, at least two of them")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = measured - true if difference else measured / true
    usable = np.isfinite(ratio) & np.isfinite(variable)
    where = np.digitize(variable, edges) - 1
    where[variable == edges[-1]] = len(edges) - 2
    rng = np.random.default_rng(seed)
    rows: list[list[float]] = []
    for k in range(len(edges) - 1):
        inside = usable & (where == k)
        x = np.sort(ratio[inside])
        if len(x) == 0:
            rows.append([np.nan, 0] + [np.nan] * 6)
            continue
        errors = np.nan, np.nan
        if len(x) > 1:
            drawn = [_location(rng.choice(x, size=len(x))) for _ in range(n_bootstrap)]
            errors = np.std(drawn, axis=0, ddof=1)
        location = _location(x)
        rows.append(
            [np.median(variable[inside]), len(x), location[0], errors[0], location[1], errors[1], x.mean(), x.std()]
        )
    centre, count, median, median_error, width, width_error, mean, rms = np.array(rows).T
    n_unusable = int((~usable).sum())
    return Response(edges, centre, count, median, median_error, width, width_error, mean, rms, n_unusable)


def _location(x: np.ndarray) -> tuple[float, float]:
    low, median, high = np.quantile(x, (0.158655, 0.5, 0.841345))
    return median, (high - low) / 2
