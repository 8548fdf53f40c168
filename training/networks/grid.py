# SPDX-License-Identifier: MIT
"""The rings and species tables of all calorimeters of a detector, one after the other.

A network that only answers computes whatever is done cell by cell for all calorimeters at once, with half the
operations: their rings, deposits and cells are then numbered from each calorimeter to the next.
"""

from __future__ import annotations

import math

import torch
from hepgen_fastsim import geometry
from torch import Tensor, nn

from training.networks.cells import species_table


class Grid(nn.Module):
    """Tables that follow from the geometry alone; no part of the weights."""

    def __init__(self, layers: tuple[geometry.Calorimeter, ...]) -> None:
        super().__init__()
        codes = torch.tensor(sorted({code for layer in layers for code in layer.fractions}))
        keys, species = species_table(codes)
        self.species_mask: int = len(keys) - 1
        known = [codes[i] for i in species.clamp(max=len(codes) - 1)]
        fractions = [
            [layer.fractions.get(int(code), layer.default_fraction) for code in known]
            + [layer.default_fraction] * len(keys)  # of codes that are not in the table
            for layer in layers
        ]
        cells = [torch.tensor(layer.cells) for layer in layers]
        edges = [torch.tensor(layer.eta_edges, dtype=torch.float32) for layer in layers]
        number = [torch.full_like(count, i) for i, count in enumerate(cells)]
        #: codes i64 [n] by their lowest bits; share of the energy f32 [layers, 2 n]
        self.register_buffer("species_code", keys, persistent=False)
        self.register_buffer("fraction", torch.tensor(fractions), persistent=False)
        #: of every ring [R]: cells; its first cell within its layer; its layer; lower and upper edge; a cell's azimuth
        self.register_buffer("cells", torch.cat(cells), persistent=False)
        self.register_buffer("first_cell", torch.cat([count.cumsum(0) - count for count in cells]), persistent=False)
        self.register_buffer("layer", torch.cat(number), persistent=False)
        low, high = torch.cat([e[:-1] for e in edges]), torch.cat([e[1:] for e in edges])
        step = (2.0 * math.pi / self.cells).float()
        self.register_buffer("bounds", torch.stack([low, high, step]), persistent=False)  # [3, R]
        self.n_layers: int = len(layers)
        self.n_cells: int = max(int(count.sum()) for count in cells)  # of the largest layer

    def fractions(self, pdgid: Tensor) -> Tensor:
        """Shares of the energy of species [T] that the layers see: f32 [layers, T]."""
        code = pdgid.abs()
        at = code & self.species_mask  # [T]
        unknown = self.species_code.index_select(0, at) != code
        return self.fraction.index_select(1, torch.add(at, unknown, alpha=self.species_mask + 1))

    def key(self, set_index: Tensor, ring: Tensor, column: Tensor, n_sets: int) -> Tensor:
        """Numbers [D] of the cells of deposits in sets, rings and columns i64 [D], in ascending order by layer and set.

        Where they fit they are of 32 bits, which are sorted in half the time.
        """
        first = self.first_cell + self.layer * (n_sets * self.n_cells)  # [R]
        key = set_index * self.n_cells + first.index_select(0, ring) + column
        if self.n_layers * n_sets * self.n_cells < 2**31:
            return key.int()
        return key

    def place(self, ring: Tensor, column: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """eta and phi [C], uniform in the cells of rings and columns i64 [C], from normal ``noise`` [2, C]."""
        u = 0.5 * torch.erfc(noise * -0.70710678)  # [2, C]
        low, high, step = self.bounds.index_select(1, ring).unbind(0)  # [C]
        return low + (high - low) * u[0], (column + u[1]) * step - math.pi
