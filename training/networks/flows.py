# SPDX-License-Identifier: MIT
"""One-dimensional conditional densities: a monotone rational-quadratic spline on a bounded interval.

Durkan et al., Neural Spline Flows, arXiv:1906.04032, equations (4)-(8).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

#: the spline maps (-BOUND, BOUND) onto itself; beyond it a standard normal has no weight in float32
BOUND = 8.0
#: largest noise that is used: probability 4e-8 beyond
NOISE = 5.5
#: farthest outlier that is generated, in units of the expected spread
OUTLIER = 6.0
#: smallest width and height of a bin, as a part of the interval, and smallest slope at a knot
MIN_BIN, MIN_SLOPE = 1e-3, 1e-3


class Perceptron(nn.Sequential):
    """Two hidden layers with SiLU; features of which there are few versions can go through the first one beforehand."""

    def __init__(self, n_in: int, hidden: int, n_out: int) -> None:
        super().__init__(
            nn.Linear(n_in, hidden),
            nn.SiLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.SiLU(inplace=True),
            nn.Linear(hidden, n_out),
        )

    def forward(self, features: Tensor, known: Tensor | None = None) -> Tensor:
        """Outputs [N, n_out] of ``features`` [N, F]; ``known`` [N, hidden]: rows of ``first``, of those beyond F."""
        if known is None:
            x = nn.functional.linear(features, self[0].weight, self[0].bias)
        else:
            x = torch.addmm(known, features, self[0].weight[:, : features.size(1)].t())
        return self[4](self[3](self[2](self[1](x))))

    @torch.jit.export
    def columns(self, features: Tensor, known: Tensor | None = None) -> Tensor:
        """``forward`` with its outputs column by column in memory, for what takes them one by one: [n_out, N].

        ``known`` is overwritten.
        """
        if known is None:
            x = nn.functional.linear(features, self[0].weight, self[0].bias)
        elif known.dtype == features.dtype:
            x = known.addmm_(features, self[0].weight[:, : features.size(1)].t())
        else:  # autocast, which knows nothing of operations in place
            x = torch.addmm(known, features, self[0].weight[:, : features.size(1)].t())
        x = self[3](self[2](self[1](x)))
        return torch.addmm(self[4].bias.unsqueeze(1), self[4].weight, x.t())

    @torch.jit.export
    def first(self, features: Tensor, start: int) -> Tensor:
        """What the first layer makes of ``features`` [R, F], inputs from ``start`` on, bias included: [R, hidden]."""
        return torch.addmm(self[0].bias, features, self[0].weight[:, start : start + features.size(1)].t())


def mlp(n_in: int, hidden: int, n_out: int) -> Perceptron:
    """Two hidden layers with SiLU; the last layer begins at zero."""
    net = Perceptron(n_in, hidden, n_out)
    nn.init.zeros_(net[4].weight)
    nn.init.zeros_(net[4].bias)
    return net


def normal_log_prob(z: Tensor) -> Tensor:
    """Logarithm of the standard normal density."""
    return -0.5 * z * z - 0.5 * math.log(2.0 * math.pi)


def squash(t: Tensor, bound: float = BOUND) -> Tensor:
    """The real line to (-BOUND, BOUND), the identity near 0: outliers stay inside the spline."""
    return t * torch.rsqrt(1.0 + (t / bound) ** 2)


def unsquash(w: Tensor, bound: float = BOUND, outlier: float = OUTLIER) -> Tensor:
    """Inverse of ``squash``, held within |t| <= OUTLIER: no draw runs away where training data are rare."""
    edge = outlier / math.sqrt(1.0 + (outlier / bound) ** 2)
    w = w.clamp(-edge, edge)
    return w * torch.rsqrt(1.0 - (w / bound) ** 2)


def squash_log_slope(t: Tensor, bound: float = BOUND) -> Tensor:
    """log d squash / dt."""
    return -1.5 * torch.log1p((t / bound) ** 2)


def _knots(parameters: Tensor, n_bins: int, bound: float = BOUND, least: float = MIN_BIN) -> tuple[Tensor, Tensor]:
    """Parameters [N, 3 n_bins + 1] -> knots x [N, n_bins + 1], y [N, n_bins + 1].

    A softmax and a running sum of few columns, as one exponential and one product with a triangular matrix.
    """
    raw = torch.exp(parameters[:, : 2 * n_bins].clamp(-20.0, 20.0)).view(-1, 2, n_bins)  # [N, 2, n_bins]
    sums = torch.ones([n_bins, n_bins + 1], dtype=raw.dtype, device=raw.device).triu(1)  # [n_bins, n_bins + 1]
    running = torch.matmul(raw, sums)  # [N, 2, n_bins + 1]
    even = torch.arange(n_bins + 1, dtype=raw.dtype, device=raw.device) * least  # [n_bins + 1]
    part = even + (1.0 - least * n_bins) * running / running[:, :, -1:]  # [N, 2, n_bins + 1] in [0, 1]
    return (2.0 * part[:, 0] - 1.0) * bound, (2.0 * part[:, 1] - 1.0) * bound


def _slopes(parameters: Tensor, k: Tensor, n_bins: int, flattest: float = MIN_SLOPE) -> tuple[Tensor, Tensor]:
    """Slopes [N], [N] at the two ends of bin k [N, 1]."""
    raw = parameters.gather(1, torch.cat([k, k + 1], 1) + 2 * n_bins)  # [N, 2]
    slope = flattest + torch.nn.functional.softplus(raw + math.log(math.expm1(1.0 - flattest)))
    return slope[:, 0], slope[:, 1]


def _bin(value: Tensor, knots: Tensor, n_bins: int) -> Tensor:
    """Index [N, 1] of the bin that holds value [N]."""
    return (value.unsqueeze(1) >= knots[:, 1:-1]).sum(1, keepdim=True).clamp(max=n_bins - 1)


def spline(value: Tensor, parameters: Tensor, n_bins: int) -> tuple[Tensor, Tensor]:
    """Spline of value [N] in (-BOUND, BOUND): (image [N], log of the slope [N])."""
    x, y = _knots(parameters, n_bins)
    k = _bin(value, x, n_bins)  # [N, 1]
    x0, y0 = x.gather(1, k)[:, 0], y.gather(1, k)[:, 0]  # [N]
    d0, d1 = _slopes(parameters, k, n_bins)
    width, height = x.gather(1, k + 1)[:, 0] - x0, y.gather(1, k + 1)[:, 0] - y0  # [N]
    mean = height / width
    xi = ((value - x0) / width).clamp(0.0, 1.0)  # [N]
    cross = xi * (1.0 - xi)
    below = mean + (d1 + d0 - 2.0 * mean) * cross
    image = y0 + height * (mean * xi * xi + d0 * cross) / below
    rise = mean * mean * (d1 * xi * xi + 2.0 * mean * cross + d0 * (1.0 - xi) ** 2)
    return image, torch.log(rise) - 2.0 * torch.log(below)


def inverse_spline(
    value: Tensor,
    parameters: Tensor,
    n_bins: int,
    bound: float = BOUND,
    least: float = MIN_BIN,
    flattest: float = MIN_SLOPE,
) -> Tensor:
    """Inverse of ``spline``: value [N] in (-BOUND, BOUND) -> [N].

    ``parameters`` [N, 3 n_bins + 1]. Only the knots around the value are made: which these are is asked of the running
    sums themselves.
    """
    p = parameters.t()  # [3 n_bins + 1, N]
    n, free = value.size(0), 1.0 - least * n_bins
    raw = p[: 2 * n_bins].clamp(-20.0, 20.0).exp_().reshape(2, n_bins, n)  # widths, heights
    running = torch.matmul(torch.ones([n_bins + 1, n_bins], dtype=raw.dtype, device=raw.device).tril(-1), raw)
    total = running[:, n_bins]  # [2, N]; running [2, n_bins + 1, N] begins with 0
    even = torch.arange(1, n_bins, dtype=raw.dtype, device=raw.device).unsqueeze(1) * (least / free)  # [n_bins - 1, 1]
    u = (value + bound) * (0.5 / (bound * free))  # [N]
    reached = (u.detach() - even).mul_(total[1].detach())  # [n_bins - 1, N]
    k = reached.ge_(running[1, 1:n_bins].detach()).sum(0).long()  # [N]; numbers, for they are summed faster than bools
    ends = torch.stack([k, k + 1])  # [2, N]
    part = running.gather(1, ends.unsqueeze(0).expand(2, 2, n)) * (free / total).unsqueeze(1) + ends * least
    knots = part * (2.0 * bound) - bound  # [2 (x, y), 2 (ends), N]
    raw = p[2 * n_bins :].gather(0, ends)  # [2, N]
    slope = flattest + torch.nn.functional.softplus(raw + math.log(math.expm1(1.0 - flattest)))
    x0, y0, d0, d1 = knots[0, 0], knots[1, 0], slope[0], slope[1]  # [N]
    width, height = knots[0, 1] - x0, knots[1, 1] - y0  # [N]
    mean = height / width
    up = (value - y0).clamp(min=0.0)
    bend = up * (d1 + d0 - 2.0 * mean)
    a = height * (mean - d0) + bend
    b = height * d0 - bend
    c = -mean * up
    root = torch.sqrt((b * b - 4.0 * a * c).clamp(min=0.0))
    xi = (2.0 * c / (-b - root)).clamp(0.0, 1.0)  # [N], the root that does not cancel
    return x0 + xi * width


class SplineFlow(nn.Module):
    """Density of one number given features: a spline takes the number to a standard normal.

    At the start it is the standard normal itself: give it numbers in units of their own spread.
    """

    def __init__(self, n_features: int, hidden: int, n_bins: int) -> None:
        super().__init__()
        self.n_bins = n_bins
        self.noise_bound = NOISE
        self.net = mlp(n_features, hidden, 3 * n_bins + 1)

    def log_prob(self, value: Tensor, features: Tensor, known: Tensor | None = None) -> Tensor:
        """Log density of value [N] in (-BOUND, BOUND) given features [N, F]; ``known`` as for `Perceptron`."""
        z, log_slope = spline(value, self.net(features, known), self.n_bins)
        return normal_log_prob(z) + log_slope

    def forward(self, noise: Tensor, features: Tensor, known: Tensor | None = None) -> Tensor:
        """Sample [N] in (-BOUND, BOUND) from normal noise [N], given features [N, F]; ``known`` as for `Perceptron`."""
        noise = noise.clamp(-self.noise_bound, self.noise_bound)
        return inverse_spline(noise, self.net.columns(features, known).t(), self.n_bins)
