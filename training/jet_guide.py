# SPDX-License-Identifier: MIT
"""A guide for generators of jets: unbiased distances between observables of generated and of real jets in a batch.

A discriminator needs hundreds of thousands of steps to find out what jet mass is. Where the budget is thousands, the
generator gets a second loss: the energy distance (Székely, Rizzo 2013), 2 E|x - y| - E|x - x'| - E|y - y'|, of a list
of jet observables, one by one and all together. Like the MMD of arXiv:1907.03764 it is zero only for equal
distributions of them, and its estimate from a batch is unbiased: small batches do not narrow what is learned.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LEADING = (0, 1, 2, 3, 4, 6, 8, 11, 15, 20)


def observables(jets: Tensor, mask: Tensor) -> Tensor:
    """Observables [B, K] of padded jets [B, N, 3] (eta_rel, phi_rel, pt_rel) with mask [B, N]; differentiable.

    Summed pt, mass, axis, width, moments of the shape, energy flow polynomials up to four vertices (their roots, and
    themselves, which say more on the tails), momenta of constituents by rank, and the multiplicity-free mean of log pt.
    """
    eta, phi = jets[..., 0], jets[..., 1]  # [B, N]
    pt = jets[..., 2].clamp(min=1e-5) * mask  # [B, N]
    total = pt.sum(1)  # [B]
    square = eta * eta + phi * phi  # [B, N]
    distance = (square + 1e-8).sqrt()  # [B, N]
    energy = (pt * eta.cosh()).sum(1)
    momenta = [(pt * phi.cos()).sum(1), (pt * phi.sin()).sum(1), (pt * eta.sinh()).sum(1)]
    mass2 = energy.square() - momenta[0].square() - momenta[1].square() - momenta[2].square()
    apart = torch.sqrt(
        (eta[:, :, None] - eta[:, None]).square() + (phi[:, :, None] - phi[:, None]).square() + 1e-8
    )  # [B, N, N]
    one = torch.bmm(apart, pt[..., None]).squeeze(2)  # [B, N], sum_j theta_ij z_j
    two = torch.bmm(apart, (pt * one)[..., None]).squeeze(2)  # [B, N]
    flow = [
        (pt * one).sum(1),  # one edge
        (pt * one * one).sum(1),  # a path of two
        (pt * one * two).sum(1),  # a path of three
        (pt * one * one * one).sum(1),  # a star of three
        (pt * two * two).sum(1),  # a path of four
        (pt * torch.bmm(apart * apart, pt[..., None]).squeeze(2)).sum(1),  # a double edge
    ]
    roots = [flow[0].clamp(min=1e-9).sqrt(), *[f.clamp(min=1e-12) ** 0.25 for f in flow[1:]]]
    ranked = pt.sort(1, descending=True).values  # [B, N]
    ranked = torch.nn.functional.pad(ranked, (0, max(0, _LEADING[-1] + 1 - pt.size(1))))
    leading = [(ranked[:, k] + 1e-4).log() for k in _LEADING]
    log_mean = ((pt + 1e-4).log() * mask).sum(1) / mask.sum(1).clamp(min=1.0)
    shape = [
        ((pt * eta).sum(1).square() + (pt * phi).sum(1).square() + 1e-8).sqrt(),
        (pt * distance).sum(1),
        (pt * square).sum(1),
        ((pt * (eta * eta - phi * phi)).sum(1).square() + (2.0 * pt * eta * phi).sum(1).square() + 1e-12).sqrt(),
        (pt * pt).sum(1).sqrt(),
        (distance * mask).sum(1) / mask.sum(1).clamp(min=1.0),
        (square * mask).sum(1) / mask.sum(1).clamp(min=1.0),
    ]
    return torch.stack([total, (mass2.clamp(min=0.0) + 1e-6).sqrt(), *shape, *roots, *leading, log_mean, *flow], 1)


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """Unbiased energy distances [C] of samples x [C, n, d] and y [C, m, d], n, m > 1."""
    n, m = x.size(1), y.size(1)

    def inside(a: Tensor) -> Tensor:
        size = a.size(1)
        return _distances(a, a).sum((1, 2)) / (size * (size - 1))

    return 2.0 * _distances(x, y).sum((1, 2)) / (n * m) - inside(x) - inside(y)


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Distances [C, n, m] of points; those of a point from itself are zero, and so is their gradient."""
    if a.size(2) == 1:
        return (a - b.transpose(1, 2)).abs()
    square = (a.square().sum(2)[:, :, None] + b.square().sum(2)[:, None] - 2.0 * torch.bmm(a, b.transpose(1, 2))).clamp(
        min=0.0
    )
    near = square < 1e-6
    return torch.where(near, 0.0, torch.where(near, 1.0, square).sqrt())


def energy_distances(x: Tensor, y: Tensor) -> Tensor:
    """Unbiased energy distances [C] of numbers x [n, C] and y [m, C], one column at a time, n, m > 1; from sorted
    numbers, at a cost of n log n."""
    n, m = x.size(0), y.size(0)
    inside = _apart(x), _apart(y)
    between = _apart(torch.cat([x, y])) - inside[0] - inside[1]
    return 2.0 * (between / (n * m) - inside[0] / (n * (n - 1)) - inside[1] / (m * (m - 1)))


def _apart(x: Tensor) -> Tensor:
    """Sums [C] of the distances of all pairs of numbers [n, C]."""
    n = x.size(0)
    ranks = 2.0 * torch.arange(n, device=x.device, dtype=x.dtype) - (n - 1)  # [n]
    return x.t().contiguous().sort(1).values @ ranks


def by_rank(jets: Tensor, mask: Tensor) -> Tensor:
    """Features [B, 4 N] of the constituents of jets [B, N, 3], mask [B, N], in descending pt: distance from the axis
    and its logarithm, pt and its logarithm."""
    order = (jets[..., 2] * mask).argsort(1, descending=True)  # [B, N]
    there = mask.gather(1, order)  # [B, N]
    eta, phi, pt = (jets[..., k].gather(1, order) * there for k in range(3))  # [B, N]
    distance = (eta * eta + phi * phi + 1e-8).sqrt()
    return torch.cat([distance, (distance + 2e-3).log(), pt, (pt.clamp(min=0.0) + 1e-3).log()], 1)


def flow_polynomials(jets: Tensor, mask: Tensor) -> Tensor:
    """Energy flow polynomials [B, 35] of up to four edges (arXiv:1712.07124; beta = 1, pt not normed) of padded jets
    [B, N, 3] with mask [B, N]; differentiable. All but the constant one, in an order of their own: connected graphs,
    then products of them."""
    z = jets[..., 2].clamp(min=1e-5) * mask  # [B, N]
    square = sum((jets[..., k][:, :, None] - jets[..., k][:, None]).square() for k in (0, 1)) + 1e-12  # [B, N, N]
    angle = square.sqrt()

    def seen(weights: Tensor, values: Tensor) -> Tensor:
        return torch.bmm(weights, values[..., None]).squeeze(2)  # [B, N]

    one, two, three, four = (seen(power, z) for power in (angle, square, angle * square, square * square))
    path = seen(angle, z * one)  # two edges away
    between = torch.bmm(angle * z[:, None], angle)  # [B, N, N]: by way of a third
    corner = seen(angle * between, z)  # in a triangle
    at_vertex = [
        [one],
        [two, one * one],
        [three, one * two, corner, one * path, one**3],
        [four, one * three, two * two, seen(square * between, z), two * path, one * seen(square, z * one)]
        + [one * one * two, one * corner, seen(between.square(), z), path * path, one**4, one * one * path],
    ]
    first, second, third, fourth = ([(z * value).sum(1) for value in values] for values in at_vertex)
    (a,), (b, c) = first, second
    products = [a * a, a * b, a * c, a**3, *(a * g for g in third), a * a * b, a * a * c, b * b, b * c, c * c, a**4]
    return torch.stack([a, b, c, *third, *fourth, *products], 1)


class Moments:
    """First and second moments of values [n, C] of generated against real sets, as they are over many steps.

    A batch says little on the tails, where a hundredth of the sets makes most of a second moment. Its moments enter
    running means, and what these are off by is the weight of the batch's own gradient: that of a comparison of as many
    sets as the running means hold.
    """

    def __init__(self, real: Tensor, decay: float = 0.99) -> None:
        self.decay, self.real = decay, self._of(real)  # [2 C]
        self.running = self.real.clone()

    def _of(self, values: Tensor) -> Tensor:
        return torch.cat([values.mean(0), values.square().mean(0)])

    def __call__(self, values: Tensor) -> Tensor:
        """The loss of generated values [n, C]: its gradient counts, its size does not."""
        found = self._of(values)
        self.running.lerp_(found.detach(), 1.0 - self.decay)
        off = (self.running - self.real) / self.real.clamp(min=1e-9)  # [2 C]
        return (off.clamp(-1.0, 1.0) * (found - found.detach()) / self.real.clamp(min=1e-9)).mean()


class Guide:
    """Compares generated with real jets by their observables, each in units of its spread in ``jets``."""

    def __init__(self, jets: Tensor, mask: Tensor, all_moments: bool = False) -> None:
        """Real jets [B, N, 3] with mask [B, N]: the scale of each observable is taken from them. ``all_moments``:
        `polynomials` are those of `flow_polynomials`, else the six among the observables."""
        found = observables(jets, mask)
        self.mean, self.scale = found.mean(0), found.std(0).clamp(min=1e-6)
        self.flow_scale = flow_polynomials(jets, mask).std(0).clamp(min=1e-12) if all_moments else None  # [35]
        self.moments: Moments | None = None
        ranked = by_rank(jets, mask).unflatten(1, (4, -1))  # [B, 4, N]
        self.rank_scale = ranked.std(0).clamp(min=1e-4)  # [4, N]

    def polynomials(self, jets: Tensor, mask: Tensor) -> Tensor:
        """Flow polynomials [B, 6 or 35] of jets [B, N, 3] with mask [B, N], in units of their spread."""
        if self.flow_scale is None:
            return observables(jets, mask)[:, -6:] / self.scale[-6:]
        return flow_polynomials(jets, mask) / self.flow_scale

    def __call__(self, real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor], points: int = 256) -> Tensor:
        """The loss of (jets [B, N, 3], mask [B, N]) of each kind: the mean over the observables of their distances,
        plus that of all together, plus that of the constituents (``points`` of each kind, at random), plus the mean
        over the constituents' features by rank in pt."""
        x, y = ((observables(*jets) - self.mean) / self.scale for jets in (real, fake))  # [B, K]
        single = energy_distances(x, y).mean()
        joint = energy_distance(x.unsqueeze(0), y.unsqueeze(0)).sum() / x.size(1) ** 0.5
        clouds = [_constituents(jets, mask, points) for jets, mask in (real, fake)]
        size = real[0].size(1)  # jets of a training batch may have fewer constituents than those of the scale
        scale = self.rank_scale[:, :size].flatten()
        ranks = energy_distances(*(by_rank(*jets) / scale for jets in (real, fake))).mean()
        return single + joint + ranks + energy_distance(*(cloud.unsqueeze(0) for cloud in clouds)).sum()


def _constituents(jets: Tensor, mask: Tensor, points: int) -> Tensor:
    """Constituents [points, 3], drawn at random: eta, phi in tenths, log pt."""
    present = torch.nonzero(mask.flatten() > 0).squeeze(1)
    chosen = present[torch.randint(len(present), (points,), device=present.device)]
    flat = jets.reshape(-1, 3)[chosen]
    return torch.cat([10.0 * flat[:, :2], (flat[:, 2:].clamp(min=1e-5) + 1e-4).log()], 1)
