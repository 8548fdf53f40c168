# SPDX-License-Identifier: MIT
"""The occupied cells of a calorimeter: what is known of them, how to pick some, and tables to find them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from training.networks.segments import sorted_argmax, sorted_sum

#: features of a cell and its tracks; those of its ring; and one that only the factor has, of the tower
OWN, OF_RING, OF_TOWER = 19, 14, 1


class Cells(NamedTuple):
    """The occupied cells of a batch, and their deposits grouped by cell. Most cells have a single one."""

    particle: Tensor  #: i64 [D], particle of each deposit
    index: Tensor  #: i64 [D], cell of each deposit
    energy: Tensor  #: f32 [D] GeV
    first: Tensor  #: i64 [C], first deposit of each cell
    rest: Tensor  #: i64 [R], the other deposits
    rest_cell: Tensor  #: i64 [R], their cells
    owner: Tensor  #: i64 [C], particle of the highest deposit
    ring: Tensor  #: i64 [C]
    column: Tensor  #: i64 [C], position in phi
    total: Tensor  #: f32 [C] GeV, S
    root_squares: Tensor  #: f32 [C] GeV, sqrt(sum E^2)
    count: Tensor  #: f32 [C]


class Tracked(NamedTuple):
    """The tracks of each cell."""

    deposit: Tensor  #: i64 [M], their deposits
    energy: Tensor  #: f32 [C] GeV, T
    sigma: Tensor  #: f32 [C] GeV, expected error of T
    count: Tensor  #: f32 [C]


class Response(NamedTuple):
    """What is known of a cell's answer before the draw."""

    spread: Tensor  #: f32 [C] GeV, resolution at S
    width: Tensor  #: f32 [C], width of the log-normal
    least: Tensor  #: f32 [C] GeV, smallest tower energy
    cut: Tensor  #: f32 [C], where the log-normal is truncated, in units of its width
    features: Tensor  #: f32 [C, OWN], in memory column by column


def ring_table(edges: Tensor) -> tuple[float, float, Tensor]:
    """Table for ``Calorimeter.ring_of``: its beginning, its step, and the ring i64 [n] at the beginning of each step.

    No step holds more than one edge, and rounding of the position may move a value to the step beside its own.
    """
    edges = edges.double()
    step = 0.45 * float((edges[1:] - edges[:-1]).min())
    low = float(edges[0]) - step
    begin = low + step * (torch.arange(int((float(edges[-1]) - low) / step) + 2, dtype=torch.float64) - 0.5)
    return low, step, (torch.bucketize(begin, edges) - 1).clamp(0, len(edges) - 2)


def species_table(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Codes i64 [n] (-1: none) and positions in ``codes`` [n] by a code's lowest bits; n is as small as can be."""
    n = 1
    while len(torch.unique(codes & (n - 1))) < len(codes):
        n *= 2
    keys, positions = torch.full([n], -1), torch.zeros(n, dtype=torch.int64)
    keys[codes & (n - 1)] = codes
    positions[codes & (n - 1)] = torch.arange(len(codes))
    return keys, positions


def differs(key: Tensor) -> Tensor:
    """Which of the keys [D] differ from the one before: bool [D], the first one included."""
    new = torch.ones_like(key, dtype=torch.bool)
    new[1:] = key[1:] != key[:-1]
    return new


def group(
    particle: Tensor, ring: Tensor, column: Tensor, energy: Tensor, order: Tensor, new: Tensor, first: Tensor
) -> Cells:
    """Cells of the deposits [D] of particles i64 [D] with ``energy`` [D] GeV in cells of rings and columns i64 [D].

    ``order`` i64 [D] sorts them by cell; ``new`` bool [D] says where, in this order, cells begin, and ``first`` i64 [C]
    lists these places.
    """
    particle, deposit = particle.index_select(0, order), energy.index_select(0, order)
    rest = torch.nonzero(~new)[:, 0]  # [R]
    index = torch.cumsum(new, 0) - 1  # [D]
    rest_cell = index.index_select(0, rest)
    at = order.index_select(0, first)  # [C]
    one = torch.ones_like(at, dtype=deposit.dtype)
    return Cells(
        particle=particle,
        index=index,
        energy=deposit,
        first=first,
        rest=rest,
        rest_cell=rest_cell,
        owner=particle.index_select(0, sorted_argmax(deposit, first, rest, rest_cell)),
        ring=ring.index_select(0, at),
        column=column.index_select(0, at),
        total=sorted_sum(deposit, first, rest, rest_cell),
        root_squares=sorted_sum(deposit**2, first, rest, rest_cell).sqrt(),
        count=one.index_add(0, rest_cell, one[: rest.size(0)]),
    )


def sum_tracks(cells: Cells, mine: Tensor, sigma: Tensor) -> Tracked:
    """Sums over the tracks of each cell: those of the deposits ``mine`` i64 [M], of relative errors ``sigma`` [T]."""
    i, cell = (cells.particle.index_select(0, mine), cells.index.index_select(0, mine))
    energy = cells.energy.index_select(0, mine)
    error = energy * sigma.index_select(0, i)
    zero = torch.zeros_like(cells.total)  # [C]
    return Tracked(
        mine,
        zero.index_add(0, cell, energy),
        (zero.index_add(0, cell, error**2) + 1e-12).sqrt(),
        zero.index_add(0, cell, torch.ones_like(energy)),
    )


def rows(features: Tensor, keep: Tensor) -> Tensor:
    """Rows ``keep`` i64 [K] of features [C, F] that lie column by column in memory, in the same order: [K, F]."""
    return features.t().index_select(1, keep).t()


def select(cells: Cells, keep: Tensor) -> Cells:
    """The cells ``keep`` i64 [K], without their deposits."""
    return Cells(
        particle=cells.particle,
        index=cells.index,
        energy=cells.energy,
        first=cells.first,
        rest=cells.rest,
        rest_cell=cells.rest_cell,
        owner=cells.owner.index_select(0, keep),
        ring=cells.ring.index_select(0, keep),
        column=cells.column.index_select(0, keep),
        total=cells.total.index_select(0, keep),
        root_squares=cells.root_squares.index_select(0, keep),
        count=cells.count.index_select(0, keep),
    )


def select_tracks(tracks: Tracked, keep: Tensor) -> Tracked:
    """The tracks of the cells ``keep`` i64 [K]."""
    return Tracked(
        tracks.deposit,
        tracks.energy.index_select(0, keep),
        tracks.sigma.index_select(0, keep),
        tracks.count.index_select(0, keep),
    )


def remeasured(tracks: Tracked, energy: Tensor) -> Tracked:
    """The same tracks with their measured energy [C] GeV, the error in proportion."""
    return Tracked(tracks.deposit, energy, tracks.sigma * energy / tracks.energy.clamp(min=1e-3), tracks.count)
