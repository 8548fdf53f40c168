# SPDX-License-Identifier: MIT
"""A table of quantiles per column: standard normal numbers to numbers with the marginal distributions of a sample.

Networks then work on numbers of one scale without tails, edges or peaks; no position or width is put in by hand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

#: the table spans normal numbers within ±EDGE; beyond it values stay at the ends of the sample
EDGE = 4.0


class Quantiles(nn.Module):
    """Monotone piecewise-linear map of each of D columns; ``fit`` to a sample before use."""

    def __init__(self, columns: int, knots: int = 257) -> None:
        super().__init__()
        self.knots = knots
        self.edge = EDGE
        self.register_buffer("values", torch.linspace(-EDGE, EDGE, knots)[:, None].repeat(1, columns))  # [K, D]

    def fit(self, sample: np.ndarray) -> None:
        """Take the quantiles of ``sample`` [N, D]."""
        grid = torch.linspace(-EDGE, EDGE, self.knots, dtype=torch.float64)
        table = np.quantile(sample.astype(np.float64), torch.special.ndtr(grid).numpy(), axis=0)  # [K, D]
        table[0], table[-1] = sample.min(0), sample.max(0)
        self.values.copy_(torch.from_numpy(table))

    def to_normal(self, x: np.ndarray) -> np.ndarray:
        """The inverse map of x [N, D], float64 (training alone needs it)."""
        grid, table = np.linspace(-EDGE, EDGE, self.knots), self.values.double().numpy()
        return np.stack([np.interp(x[:, k], table[:, k], grid) for k in range(x.shape[1])], 1)

    def forward(self, u: Tensor) -> Tensor:
        """Normal numbers u [N, D] to values [N, D]."""
        place = (u.clamp(-self.edge, self.edge) + self.edge) * ((self.knots - 1) / (2.0 * self.edge))  # [N, D]
        below = place.detach().long().clamp(0, self.knots - 2)  # [N, D]
        low, high = self.values.gather(0, below), self.values.gather(0, below + 1)  # [N, D]
        return low + (place - below) * (high - low)


class QuantileTables(nn.Module):
    """Several such tables [S, K, D] of the same columns, one per sample: of each number it is said which one holds.

    Between two of them a number goes by its value: what is normal in one sample's table shows in the other's as its
    share there.
    """

    def __init__(self, tables: int, columns: int, knots: int = 257) -> None:
        super().__init__()
        self.knots = knots
        self.edge = EDGE
        self.register_buffer("values", torch.linspace(-EDGE, EDGE, knots)[None, :, None].repeat(tables, 1, columns))

    def fit(self, samples: Sequence[np.ndarray]) -> None:
        """Take the quantiles of each of the samples [N_s, D]."""
        for table, sample in zip(self.values, samples, strict=True):
            one = Quantiles(sample.shape[1], self.knots)
            one.fit(sample)
            table.copy_(one.values)

    def to_normal(self, x: Tensor, table: int) -> Tensor:
        """Values x [N, D] to the normal numbers [N, D] of one table, held at its edges (training alone needs it)."""
        values = self.values[table].to(x.dtype)  # [K, D]
        place = torch.searchsorted(values.T.contiguous(), x.detach().T.contiguous()).T  # [N, D]
        below = (place - 1).clamp(0, self.knots - 2)
        low, high = values.gather(0, below), values.gather(0, below + 1)
        inside = ((x - low) / (high - low).clamp(min=1e-9)).clamp(0.0, 1.0)
        return (below + inside) * (2.0 * self.edge / (self.knots - 1)) - self.edge

    def forward(self, u: Tensor, table: Tensor) -> Tensor:
        """Normal numbers u [N, D] of the tables i64 [N] to values [N, D]."""
        place = (u.clamp(-self.edge, self.edge) + self.edge) * ((self.knots - 1) / (2.0 * self.edge))  # [N, D]
        below = place.detach().long().clamp(0, self.knots - 2)  # [N, D]
        row = below + table[:, None] * self.knots
        values = self.values.flatten(0, 1)  # [S K, D]
        low, high = values.gather(0, row), values.gather(0, row + 1)  # [N, D]
        return low + (place - below) * (high - low)
