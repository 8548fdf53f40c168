# SPDX-License-Identifier: MIT
"""Chamfer distance: how far every point of one set is from its nearest neighbour in another, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.parallel import run_in_chunks

__all__ = ["chamfer"]

_LARGEST = 1e14  # coordinates; the kernel marks padding by larger ones
_FAR = 1e29


def chamfer(
    a: Any,
    b: Any,
    *,
    periodic: int | None = None,
    weights: tuple[Any, Any] | None = None,
    squared: bool = True,
    reduction: str = "sum",
    masks: tuple[Any, Any] | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """Symmetric nearest-neighbour distance between pairs of point sets.

    D(A, B) = sum_i w_i min_j |a_i - b_j|^2 + sum_j v_j min_i |a_i - b_j|^2

    which is the reconstruction loss of the jet VAE (arXiv:2203.00520, equation 1); the differentiable form of the same
    definition is `training.chamfer.chamfer`.

    Parameters
    ----------
    a, b
        padded arrays [n_sets, n_points, d] (any n_points each), lists of arrays [n, d], or awkward arrays [n_sets,
        var, d] of numbers; the same number of sets and of coordinates
    periodic
        the coordinate that is an angle in radian: its differences are taken on the circle
    weights
        (for a, for b), shaped like the sets without the last axis; default 1. Not negative.
    squared
        squared distances, as in the definition above, or distances
    reduction
        ``"sum"`` as above; ``"mean"`` divides each of the two sums by its sum of weights
    masks
        (for a, for b), bool [n_sets, n_points], points of padded arrays to keep
    threads
        threads over sets; default as in `efps`

    Returns
    -------
    float64 [n_sets]
        Distances are computed in float32 if both sets are, and in float64 otherwise; sums always in float64. 0
        between two empty sets, infinity between an empty set and one that is not.

    Raises
    ------
    InputError
        for numbers that are not finite or above 1e14, negative weights, unequal numbers of sets or coordinates

    Examples
    --------
    >>> import numpy as np
    >>> from hepgen_fastsim import metrics
    >>> a, b = np.array([[[0.0, 3.1]]]), np.array([[[0.0, -3.1], [1.0, 3.1]]])
    >>> metrics.chamfer(a, b, periodic=1).round(4)  # nearest across the seam at pi; then both points of b
    array([1.0138])
    """
    from hepgen_fastsim.metrics import nearest_kernels

    if reduction not in ("sum", "mean"):
        raise InputError(f"reduction must be 'sum' or 'mean', got {reduction!r}")
    masks, weights = masks or (None, None), weights or (None, None)
    points_a, offsets_a = _flatten(a, masks[0], "a")
    points_b, offsets_b = _flatten(b, masks[1], "b")
    if len(offsets_a) != len(offsets_b):
        raise InputError(
            f"a and b should have the same number of sets, got {len(offsets_a) - 1} and {len(offsets_b) - 1}"
        )
    d = max(points_a.shape[1], points_b.shape[1])
    if points_a.shape[1] != points_b.shape[1] and points_a.size and points_b.size:
        widths = f"{points_a.shape[1]} and {points_b.shape[1]}"
        raise InputError(f"points of a and b should have the same coordinates, got {widths}")
    if periodic is not None and not -d <= periodic < d:
        raise InputError(f"the periodic coordinate should be one of 0 ... {d - 1}, got {periodic}")
    real = np.float32 if points_a.dtype == points_b.dtype == np.float32 else np.float64
    points = [
        np.ascontiguousarray(flat if flat.size else np.empty((0, d)), dtype=real) for flat in (points_a, points_b)
    ]
    weights_a = _flatten_weights(weights[0], offsets_a, masks[0], "a")
    weights_b = _flatten_weights(weights[1], offsets_b, masks[1], "b")
    circle = -1 if periodic is None else periodic % d
    out = np.empty(len(offsets_a) - 1)

    def chunk(which: np.ndarray) -> None:
        nearest_kernels.run(
            *points, offsets_a, offsets_b, weights_a, weights_b, which, circle, squared, reduction == "mean", out
        )

    run_in_chunks(chunk, len(out), threads)
    if not (out < _FAR).all():
        for name, flat in zip("ab", points):
            wrong = int((~(np.abs(flat) < _LARGEST)).any(axis=1).sum())
            if wrong:
                raise InputError(f"points of {name} should be finite and below {_LARGEST:g}, but {wrong} are not")
    return out


def _flatten(sets: Any, mask: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Points [n_points, d] and offsets [n_sets + 1]."""
    if hasattr(sets, "layout"):
        import awkward as ak

        if getattr(sets, "fields", None):
            raise InputError(f"{name} should be an array of numbers [n_sets, var, d], got records {sets.fields}")
        sets = [np.asarray(ak.to_numpy(points)) for points in sets]
    if isinstance(sets, (list, tuple)):
        parts = [np.asarray(points) for points in sets]
        widths = {part.shape[1] for part in parts if part.size and part.ndim == 2}
        if any(part.size and part.ndim != 2 for part in parts) or len(widths) > 1:
            shapes = [list(part.shape) for part in parts][:5]
            raise InputError(f"sets of {name} should be arrays [n, d] of one d, got {shapes}")
        counts = np.array([len(part) if part.size else 0 for part in parts], dtype=np.int64)
        flat = np.concatenate([part for part in parts if part.size] or [np.empty((0, 1))])
    else:
        array = np.asarray(sets)
        if array.ndim != 3:
            shape = list(array.shape)
            raise InputError(f"{name} should be a padded array [n_sets, n_points, d], got the shape {shape}")
        counts = np.full(len(array), array.shape[1], dtype=np.int64)
        flat = array.reshape(-1, array.shape[2])
        if mask is not None:
            mask = _mask(mask, array.shape[:2], name)
            flat, counts = flat[mask.ravel()], mask.sum(axis=1)
    if flat.dtype.kind not in "fiub":
        raise InputError(f"points of {name} should be numbers, got {flat.dtype}")
    return flat, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _mask(mask: Any, shape: Sequence[int], name: str) -> np.ndarray:
    mask = np.asarray(mask).astype(bool)
    if mask.shape != tuple(shape):
        raise InputError(f"the mask of {name} should have the shape {list(shape)}, got {list(mask.shape)}")
    return mask


def _flatten_weights(weights: Any, offsets: np.ndarray, mask: Any, name: str) -> np.ndarray:
    if weights is None:
        return np.empty(0)
    if hasattr(weights, "layout"):
        weights = weights.to_list()
    if isinstance(weights, (list, tuple)):
        flat = np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in weights] or [np.empty(0)])
        counts = np.array([len(part) for part in weights])
    else:
        array = np.asarray(weights, dtype=np.float64)
        keep = np.ones(array.shape, bool) if mask is None else _mask(mask, array.shape, f"the weights of {name}")
        flat, counts = array[keep], keep.sum(axis=-1)
    if not np.array_equal(counts, np.diff(offsets)):
        raise InputError(f"weights of {name} should be one number per point: {offsets[-1]} points, {len(flat)} weights")
    if not (np.isfinite(flat).all() and (flat >= 0).all()):
        raise InputError(f"weights of {name} should be finite and not negative")
    return flat
