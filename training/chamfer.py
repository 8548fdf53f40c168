# SPDX-License-Identifier: MIT
"""The Chamfer distance as a differentiable loss; `hepgen_fastsim.metrics.chamfer` is the same definition, for
evaluation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["chamfer"]


def chamfer(
    a: Tensor,
    b: Tensor,
    mask_a: Tensor | None = None,
    mask_b: Tensor | None = None,
    *,
    periodic: int | None = None,
    weights_a: Tensor | None = None,
    weights_b: Tensor | None = None,
    squared: bool = True,
    reduction: str = "sum",
) -> Tensor:
    """Symmetric nearest-neighbour distance between padded point sets.

    D(A, B) = sum_i w_i min_j |a_i - b_j|^2 + sum_j v_j min_i |a_i - b_j|^2       (arXiv:2203.00520, equation 1)

    Differences are formed pair by pair, not by expanding the square: |a|^2 - 2ab + |b|^2 loses the small distances
    that the loss is about, and cannot be periodic.

    Parameters
    ----------
    a: float [n_sets, n, d]
    b: float [n_sets, m, d]
    mask_a: bool [n_sets, n], points that exist; default all
    mask_b: bool [n_sets, m]
    periodic: the coordinate that is an angle in radian
    weights_a: float [n_sets, n], default 1
    weights_b: float [n_sets, m]
    squared: squared distances, or distances (whose gradient at 0 is taken as 0)
    reduction: ``"sum"``, or ``"mean"``, which divides each of the two sums by its sum of weights

    Returns
    -------
    float [n_sets]; 0 between two empty sets, infinity between an empty set and one that is not
    """
    if reduction not in ("sum", "mean"):
        raise ValueError(f"reduction must be 'sum' or 'mean', got {reduction!r}")
    difference = a[:, :, None, :] - b[:, None, :, :]  # [n_sets, n, m, d]
    if periodic is not None:
        wrapped = difference[..., periodic]
        wrapped = wrapped - 2 * math.pi * torch.round(wrapped.detach() / (2 * math.pi))
        columns = list(difference.unbind(-1))
        columns[periodic] = wrapped
        difference = torch.stack(columns, dim=-1)
    distance = difference.square().sum(dim=-1)  # [n_sets, n, m]
    if mask_a is None:
        mask_a = torch.ones(a.shape[:2], dtype=torch.bool, device=a.device)
    if mask_b is None:
        mask_b = torch.ones(b.shape[:2], dtype=torch.bool, device=b.device)
    absent = ~(mask_a[:, :, None] & mask_b[:, None, :])
    distance = distance.masked_fill(absent, torch.inf)
    if not squared:
        positive = distance > 0
        distance = torch.where(positive, torch.where(positive, distance, 1.0).sqrt(), 0.0)
    total = torch.zeros(a.shape[0], dtype=distance.dtype, device=a.device)
    for axis, mask, weights in ((2, mask_a, weights_a), (1, mask_b, weights_b)):
        if distance.shape[axis] == 0:
            nearest = torch.full(mask.shape, torch.inf, dtype=distance.dtype, device=a.device)
        else:
            nearest = distance.amin(dim=axis)
        weight = torch.ones_like(nearest) if weights is None else weights
        weight = weight * mask
        term = torch.where(mask & (weight > 0), nearest, 0.0) * weight
        term = term.sum(dim=1)
        if reduction == "mean":
            term = torch.where(weight.sum(dim=1) > 0, term / weight.sum(dim=1).clamp_min(1e-30), 0.0)
        total = total + term
    return total
