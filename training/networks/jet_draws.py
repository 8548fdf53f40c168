# SPDX-License-Identifier: MIT
"""What generators of jets share: the drawn multiplicity, and the way from a network's output to constituents."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.networks.segments import segment_sum


def uniform(normal: Tensor) -> Tensor:
    """Numbers in (0, 1) from normal ones."""
    return torch.special.ndtr(normal)


class Multiplicity(nn.Module):
    """Draws the number of constituents from a table: the cumulative distribution of ``lowest``, ``lowest`` + 1, ..."""

    def __init__(self, counts: Tensor, bandwidth: float = 0.0) -> None:
        """Counts i64 [n] seen in training. The table is that of a Gaussian kernel density of ``bandwidth`` (Scott's
        rule: `scott`; 0: the counts themselves), rounded, and clipped to the range seen."""
        super().__init__()
        lowest, highest = int(counts.min()), int(counts.max())
        seen = torch.bincount(counts - lowest, minlength=highest - lowest + 1).double()  # [K]
        if bandwidth > 0:
            above = torch.arange(lowest, highest, dtype=torch.float64) + 0.5  # [K - 1], where rounding changes
            centres = torch.arange(lowest, highest + 1, dtype=torch.float64)  # [K]
            below = torch.special.ndtr((above[:, None] - centres) / bandwidth) @ (seen / seen.sum())  # [K - 1]
            cumulative = torch.cat([below, torch.ones(1, dtype=torch.float64)])
        else:
            cumulative = seen.cumsum(0) / seen.sum()
        self.lowest: int = lowest
        self.highest: int = highest
        self.register_buffer("cumulative", cumulative.float())

    def forward(self, normal: Tensor) -> Tensor:
        """Multiplicities i64 [B] from numbers N(0, 1) [B]."""
        drawn = torch.searchsorted(self.cumulative, uniform(normal.float()).contiguous())  # [B]
        return (self.lowest + drawn).clamp(max=self.highest)


def scott(counts: Tensor) -> float:
    """Scott's bandwidth of a one-dimensional kernel density."""
    return float(counts.double().std()) * len(counts) ** -0.2


class Quantiles(nn.Module):
    """Draws a number as the training data have it: linear between quantiles that are evenly spaced in probability."""

    def __init__(self, values: Tensor, n_knots: int = 401) -> None:
        super().__init__()
        where = torch.linspace(0, 1, n_knots, dtype=torch.float64)
        self.register_buffer("knots", torch.quantile(values.double(), where).float())

    def forward(self, normal: Tensor) -> Tensor:
        """Values [B] from numbers N(0, 1) [B]."""
        place = uniform(normal) * (self.knots.size(0) - 1)  # [B]
        left = place.long().clamp(0, self.knots.size(0) - 2)  # [B]
        return torch.lerp(self.knots[left], self.knots[left + 1], place - left)


class Calibration(nn.Module):
    """Maps the summed pt_rel of generated jets onto that of the training jets, quantile by quantile.

    The calibration of the talk on EPiC-GAN sets the sum to 1, which it is with all constituents; with the leading ones
    alone it has a distribution. The map rises, is the identity until it is fitted, and is linear between its knots.
    """

    def __init__(self, n_knots: int = 101) -> None:
        super().__init__()
        self.register_buffer("generated", torch.zeros(n_knots))
        self.register_buffer("real", torch.zeros(n_knots))
        self.reset()

    def fit(self, generated: Tensor, real: Tensor) -> None:
        """From sums [n] of generated and [m] of real jets."""
        where = torch.linspace(0, 1, self.real.size(0), dtype=torch.float64)
        self.generated.copy_(torch.quantile(generated.double(), where))
        self.real.copy_(torch.quantile(real.double(), where))

    @torch.jit.export
    def reset(self) -> None:
        """Back to the identity."""
        self.generated.copy_(torch.linspace(0.0, 1000.0, self.real.size(0)))
        self.real.copy_(self.generated)

    def forward(self, total: Tensor) -> Tensor:
        """Factors [B] on the pt_rel of jets whose sums are [B]."""
        right = torch.searchsorted(self.generated, total.contiguous()).clamp(1, self.generated.size(0) - 1)  # [B]
        x0, x1 = self.generated[right - 1], self.generated[right]  # [B]
        share = ((total - x0) / (x1 - x0).clamp(min=1e-9)).clamp(0.0, 1.0)  # [B]
        wanted = torch.lerp(self.real[right - 1], self.real[right], share)  # [B]
        return wanted / total.clamp(min=1e-6)


class Radial(nn.Module):
    """A rising map of constituents' distances from the axis, straight between its knots and beyond the last; directions
    stay. The identity until it is fitted.

    Distances reach over three orders of magnitude, and half a per cent of wide jets make most of a flow polynomial. In
    the plane in which training constituents are normal, a network has to make neither the peak nor the tail.
    """

    def __init__(self, n_knots: int = 40, highest: float = 3.9) -> None:
        """The last knot is at ``highest`` standard deviations: 0.05 % of the training constituents are beyond."""
        super().__init__()
        self.highest = highest
        self.register_buffer("given", torch.zeros(n_knots))
        self.register_buffer("mapped", torch.zeros(n_knots))
        self.reset()

    def knots(self) -> Tensor:
        """Distances of the knots [n], evenly spaced, in standard deviations of a normal plane."""
        return torch.linspace(0.0, self.highest, self.given.size(0), dtype=torch.float64)

    def quantiles(self, distances: Tensor) -> Tensor:
        """Those of distances [T] that would be at the knots if the plane were normal, [n], rising."""
        ordered = distances.double().sort().values
        found = ordered[(-torch.expm1(-0.5 * self.knots().square()) * (len(ordered) - 1)).round().long()]
        return found.cummax(0).values + 1e-6 * torch.arange(len(found))

    def fit(self, given: Tensor, mapped: Tensor) -> None:
        """Knots [n] to knots [n], both rising from (nearly) zero."""
        self.given.copy_(given)
        self.mapped.copy_(mapped)

    @torch.jit.export
    def reset(self) -> None:
        """Back to the identity."""
        self.given.copy_(torch.linspace(0.0, 1.0, self.given.size(0)))
        self.mapped.copy_(self.given)

    def _moved(self, items: Tensor, given: Tensor, mapped: Tensor) -> Tensor:
        distance = (items[..., :2].square().sum(-1, keepdim=True) + 1e-12).sqrt()  # [..., 1]
        k = torch.bucketize(distance.detach(), given[1:-1])
        slope = (mapped[k + 1] - mapped[k]) / (given[k + 1] - given[k])
        factor = (mapped[k] + (distance - given[k]) * slope).clamp(min=0.0) / distance
        return torch.cat([items[..., :2] * factor, items[..., 2:]], -1)

    def forward(self, items: Tensor) -> Tensor:
        """Constituents [..., 3] with their first two features, eta_rel and phi_rel, mapped."""
        return self._moved(items, self.given, self.mapped)

    def inverse(self, items: Tensor) -> Tensor:
        """The inverse of ``forward``."""
        return self._moved(items, self.mapped, self.given)


def turned(items: Tensor, normal: Tensor, index: Tensor) -> Tensor:
    """Constituents [T, 3] of the jets i64 [T] turned about the axis by a random angle, and mirrored or not; both follow
    from one number N(0, 1) per jet, [B]."""
    share = 2.0 * uniform(normal)  # [B]
    c, s = (2.0 * math.pi * share).cos()[index], (2.0 * math.pi * share).sin()[index]  # [T]
    eta, phi = items[:, 0], items[:, 1] * torch.where(share < 1.0, -1.0, 1.0)[index]  # [T]
    return torch.stack([c * eta - s * phi, s * eta + c * phi, items[:, 2]], 1)


def by_set_and_pt(pt: Tensor, index: Tensor) -> Tensor:
    """Order i64 [T] of constituents with pt [T] and jet index i64 [T]: jet by jet, each in descending pt."""
    return torch.argsort(2.0 * index.double() - pt.double().clamp(0.0, 1.0))


def centred(items: Tensor, index: Tensor, n_sets: int) -> Tensor:
    """Constituents [T, 3] moved so that the mean of eta_rel and phi_rel, weighted by pt_rel, is zero in every jet."""
    pt = items[:, 2:]  # [T, 1]
    mean = segment_sum(items[:, :2] * pt, index, n_sets) / segment_sum(pt, index, n_sets).clamp(min=1e-9)  # [B, 2]
    return torch.cat([items[:, :2] - mean[index], pt], 1)


def leaky(values: Tensor, slope: float = 0.01) -> Tensor:
    """LeakyReLU in place: half the memory traffic where the network is bound by it."""
    return torch.nn.functional.leaky_relu(values, slope, inplace=True)


class NormedLinear(nn.Module):
    """A linear layer with weight norm (arXiv:1602.07868), w = g v / |v| row by row. Scripted, it is a plain one."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        plain = nn.Linear(n_in, n_out)
        self.direction = nn.Parameter(plain.weight.detach().clone())
        self.size = nn.Parameter(plain.weight.detach().norm(dim=1, keepdim=True))
        self.bias = nn.Parameter(plain.bias.detach().clone())

    @property
    def weight(self) -> Tensor:
        return torch._weight_norm(self.direction, self.size, 0)

    def forward(self, values: Tensor) -> Tensor:
        return nn.functional.linear(values, self.weight, self.bias)

    def __prepare_scriptable__(self) -> nn.Linear:
        plain = nn.Linear(self.direction.size(1), self.direction.size(0), device=self.bias.device)
        with torch.no_grad():
            plain.weight.copy_(self.weight)
            plain.bias.copy_(self.bias)
        return plain


def n_parameters(module: nn.Module) -> int:
    """Trained numbers of a network."""
    return sum(math.prod(value.shape) for value in module.parameters())


def scatter_padded(values: Tensor, index: Tensor, rank: Tensor, n_sets: int, widest: int) -> tuple[Tensor, Tensor]:
    """Flat values [T, K] of sets i64 [T] at places i64 [T] to padded ones [B, N, K] with their mask [B, N]."""
    padded = torch.zeros(n_sets * widest, values.size(1), dtype=values.dtype, device=values.device)
    mask = torch.zeros(n_sets * widest, dtype=values.dtype, device=values.device)
    place = index * widest + rank  # [T]
    padded = padded.index_copy(0, place, values)
    mask = mask.index_fill(0, place, 1.0)
    return padded.view(n_sets, widest, values.size(1)), mask.view(n_sets, widest)
