# SPDX-License-Identifier: MIT
"""The share of a jet's squared mass that its constituents have when they are taken as massless."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.networks.segments import segment_sum

SHARE_BINS, SHARE_KNOTS = 6, 129  #: bins of the mass, knots of the quantiles in each
_STRETCH = (0.5, 1.1)  # distances from the axis are multiplied by a number in this range


def massless_square(items: Tensor, owner: Tensor, n_sets: int) -> Tensor:
    """Squared mass [B] over the jet's squared pT of the sums of massless constituents [T, 3] of jets i64 [T]."""
    eta, phi, pt = items[:, 0].double(), items[:, 1].double(), items[:, 2].double()
    parts = torch.stack([pt * torch.cos(phi), pt * torch.sin(phi), pt * torch.sinh(eta), pt * torch.cosh(eta)], 1)
    sums = segment_sum(parts, owner, n_sets)  # [B, 4]
    square = sums[:, 3] * sums[:, 3] - sums[:, 0] * sums[:, 0] - sums[:, 1] * sums[:, 1] - sums[:, 2] * sums[:, 2]
    return square.clamp(min=0.0).to(items.dtype)


class MassShare(nn.Module):
    """The map of the share of a jet's squared mass that its constituents have, from what is drawn to what is real.

    Files give constituents without a mass: what they reach together is below the jet's squared mass, by a share that
    depends on class and mass. The network draws it somewhat too large and too wide. The share of a complete jet is
    moved to the same quantile of real ones, in bins of the mass; all distances from the axis change by one factor,
    about 0.99. The identity until it is fitted.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        knots = torch.linspace(0.0, 2.0, SHARE_KNOTS).expand(n_classes, SHARE_BINS, SHARE_KNOTS)
        self.register_buffer("edges", torch.linspace(-1.0, 1.0, SHARE_BINS - 1).repeat(n_classes, 1))
        self.register_buffer("drawn", knots.clone())
        self.register_buffer("real", knots.clone())
        self.low, self.high = _STRETCH

    def cell(self, mass: Tensor, label: Tensor) -> Tensor:
        """Bin i64 [B] of the standardised masses [B]."""
        return (mass.unsqueeze(1) > self.edges[label]).sum(1)

    def fit(self, label: int, drawn: tuple[Tensor, Tensor], real: tuple[Tensor, Tensor]) -> None:
        """From drawn and real jets of a class: their standardised masses and their shares [n]."""
        at = torch.linspace(0.0, 1.0, SHARE_KNOTS, dtype=torch.float64)
        self.edges[label] = torch.quantile(real[0].double(), torch.linspace(0, 1, SHARE_BINS + 1).double()[1:-1])
        for table, (mass, share) in ((self.drawn, drawn), (self.real, real)):
            cell = self.cell(mass, torch.full([len(mass)], label))
            for k in range(SHARE_BINS):
                table[label, k] = torch.quantile(share[cell == k].double(), at)

    def forward(self, share: Tensor, mass: Tensor, label: Tensor) -> Tensor:
        """Real shares [B] for drawn ones [B], straight between the knots, constant beyond."""
        cell = self.cell(mass, label)
        x, y = self.drawn[label, cell], self.real[label, cell]  # [B, K]
        right = (share.unsqueeze(1) > x[:, 1:-1]).sum(1, keepdim=True) + 1  # [B, 1]
        x0, x1 = x.gather(1, right - 1), x.gather(1, right)
        part = ((share.unsqueeze(1) - x0) / (x1 - x0).clamp(min=1e-9)).clamp(0.0, 1.0)
        return torch.lerp(y.gather(1, right - 1), y.gather(1, right), part)[:, 0]

    def stretch(self, items: Tensor, owner: Tensor, target: Tensor, mass: Tensor, label: Tensor) -> Tensor:
        """Factors [B] on the distances of constituents [T, 3] of jets i64 [T], so that their share is the real one.

        target [B]: (mass / pT)^2. The squared mass grows about as the square of the factor: two steps are enough.
        """
        square = massless_square(items, owner, target.size(0))
        wanted = self(square / target, mass, label) * target
        factor = torch.sqrt(wanted / square.clamp(min=1e-12)).clamp(self.low, self.high)
        moved = torch.cat([items[:, :2] * factor[owner].unsqueeze(1), items[:, 2:]], 1)
        square = massless_square(moved, owner, target.size(0))
        return (factor * torch.sqrt(wanted / square.clamp(min=1e-12))).clamp(self.low, self.high)
