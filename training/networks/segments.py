# SPDX-License-Identifier: MIT
"""Operations on ragged sets that are kept flat: values [N, ...] and, per value, the index of its segment."""

from __future__ import annotations

import torch
from torch import Tensor


def lengths_to_index(offsets: Tensor, total: int) -> Tensor:
    """Index of the set of every item: offsets i64 [B + 1] -> i64 [total]."""
    sets = torch.arange(offsets.size(0) - 1, device=offsets.device)  # [B]
    return torch.repeat_interleave(sets, offsets[1:] - offsets[:-1], output_size=total)


def segment_sum(values: Tensor, segment: Tensor, n_segments: int) -> Tensor:
    """Sums of values [N, K] by segment i64 [N] -> [n_segments, K]."""
    out = torch.zeros(n_segments, values.size(1), dtype=values.dtype, device=values.device)
    return out.index_add(0, segment, values)


def segment_max(values: Tensor, segment: Tensor, n_segments: int) -> Tensor:
    """Maxima of values [N] by segment i64 [N] -> [n_segments]; 0 for an empty segment."""
    out = torch.zeros(n_segments, dtype=values.dtype, device=values.device)
    return out.scatter_reduce(0, segment, values, "amax", include_self=False)


def segment_argmax(values: Tensor, segment: Tensor, n_segments: int) -> Tensor:
    """Position of the (first) maximum of values [N] by segment i64 [N] -> i64 [n_segments]; no segment may be empty."""
    n = values.size(0)
    highest = values == segment_max(values, segment, n_segments)[segment]  # [N]
    position = torch.where(highest, torch.arange(n, device=values.device), n)  # [N]
    out = torch.full([n_segments], n, dtype=torch.int64, device=values.device)
    return out.scatter_reduce(0, segment, position, "amin")


def sorted_sum(values: Tensor, first: Tensor, rest: Tensor, segment: Tensor) -> Tensor:
    """Sums of values [N] by segment -> [n_segments], where few segments have more than one value.

    The values lie segment by segment: ``first`` i64 [n_segments] are the positions of each segment's first, ``rest``
    [R] those of all others, ``segment`` [R] the segments of these.
    """
    return values.index_select(0, first).index_add(0, segment, values.index_select(0, rest))


def sorted_argmax(values: Tensor, first: Tensor, rest: Tensor, segment: Tensor) -> Tensor:
    """Position of the (first) maximum of values [N] by segment -> i64 [n_segments]; arguments as for ``sorted_sum``.

    Only the segments of more than one value are looked at.
    """
    values = values.detach()
    begin, others = values.index_select(0, first.index_select(0, segment)), values.index_select(0, rest)  # [R]
    new = torch.ones_like(rest, dtype=torch.bool)  # [R]
    new[1:] = segment[1:] != segment[:-1]
    mine = torch.cumsum(new, 0) - 1  # [R], segments that have any in ``rest``, counted
    highest = torch.zeros_like(others).scatter_reduce(0, mine, torch.maximum(others, begin), "amax", include_self=False)
    highest = highest.index_select(0, mine)  # [R]
    candidate = torch.where(others == highest, rest, values.size(0))  # [R]
    candidate = torch.where(begin == highest, first.index_select(0, segment), candidate)
    position = torch.full_like(rest, values.size(0)).scatter_reduce(0, mine, candidate, "amin")
    return first.index_copy(0, segment, position.index_select(0, mine))


def nonzero_by_part(mask: Tensor, sizes: list[int]) -> tuple[Tensor, list[int]]:
    """Positions of the true ones of mask [N] in ascending order, and how many of them are in each of the parts.

    ``sizes``: lengths of the parts that follow each other in ``mask``.
    """
    found, begin = [torch.nonzero(part)[:, 0] for part in mask.split(sizes)], 0
    for part in range(len(sizes)):
        if part > 0:
            found[part] = found[part].add_(begin)
        begin += sizes[part]
    return torch.cat(found), [i.size(0) for i in found]
