# SPDX-License-Identifier: MIT
"""Conditional densities that the generator ``jets`` is made of: the jet as a whole, and one constituent after another.

The jet: pT, eta, mass and number of constituents by one-dimensional splines in a chain, each given what is asked for or
was drawn before. A constituent: mixtures of normals, for its pT and for its place. Mixtures are bounded when drawn, so
that no jet can explode.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.networks.flows import SplineFlow

N_CLASSES = 3
MISSING = -1e9  #: stands for a condition that is to be drawn
_EDGE = 7.5  # splines live in (-8, 8)
_MOST = 4.0  # largest noise of a component: probability 6e-5 beyond
_SCALE = (0.004, 20.0)  # smallest and largest spread of a component


def normal_to_uniform(noise: Tensor) -> Tensor:
    """Standard normal to uniform in [0, 1]."""
    return 0.5 * (1.0 + torch.erf(noise * math.sqrt(0.5)))


class JetChain(nn.Module):
    """pT [GeV], eta, mass [GeV] and number of constituents of jets of a class.

    Each of the first three may be given or is drawn (MISSING) from its density given the others that are known.
    Inside, they are standardised numbers (a, b, c, d): logit of pT in its window, atanh of eta in its window,
    log(m/pT), log n.
    """

    def __init__(self, hidden: int = 48, bins: int = 12) -> None:
        super().__init__()
        self.n_classes, self.edge, self.missing = N_CLASSES, _EDGE, MISSING
        self.pt = SplineFlow(N_CLASSES + 4, hidden, bins)
        self.eta = SplineFlow(N_CLASSES + 4, hidden, bins)
        self.mass = SplineFlow(N_CLASSES + 2, hidden, bins)
        self.count = SplineFlow(N_CLASSES + 3, hidden, bins)
        self.register_buffer("pt_range", torch.tensor([800.0, 1600.0]))  # GeV
        self.register_buffer("eta_reach", torch.tensor(2.0))
        self.register_buffer("mass_limits", torch.tensor([[-5.0, 0.0]] * N_CLASSES))  # of log(m/pT)
        self.register_buffer("count_limits", torch.tensor([[1.0, 150.0]] * N_CLASSES))
        self.register_buffer("mean", torch.zeros(N_CLASSES, 4))  # of a, b, c, d
        self.register_buffer("spread", torch.ones(N_CLASSES, 4))

    def fit(self, pt: Tensor, eta: Tensor, mass: Tensor, count: Tensor, label: Tensor) -> None:
        """Set limits and scales from the training jets, all [B]."""
        self.pt_range.copy_(torch.stack([pt.min() - 0.05, pt.max() + 0.05]))
        self.eta_reach.copy_(eta.abs().max() + 0.001)
        for k in label.unique().tolist():
            mine = label == k
            ratio, n = torch.log(mass[mine] / pt[mine]), count[mine].float()
            self.mass_limits[k] = torch.stack([ratio.min(), ratio.max()])
            self.count_limits[k] = torch.stack([n.min(), n.max()])
        raw = self._raw(pt, eta, mass, count)  # [B, 4]
        for k in label.unique().tolist():
            self.mean[k], self.spread[k] = raw[label == k].mean(0), raw[label == k].std(0)
        self.mean[:, 1] = 0.0  # eta is symmetric

    def _raw(self, pt: Tensor, eta: Tensor, mass: Tensor, count: Tensor) -> Tensor:
        low, high = self.pt_range[0], self.pt_range[1]
        a = torch.logit(((pt - low) / (high - low)).clamp(1e-4, 1.0 - 1e-4))
        b = torch.atanh((eta / self.eta_reach).clamp(-0.9995, 0.9995))
        return torch.stack([a, b, torch.log(mass / pt), torch.log(count)], 1)

    def standardise(self, pt: Tensor, eta: Tensor, mass: Tensor, count: Tensor, label: Tensor) -> Tensor:
        """(a, b, c, d) [B, 4] of jets."""
        raw = self._raw(pt, eta, mass, count)
        return ((raw - self.mean[label]) / self.spread[label]).clamp(-_EDGE, _EDGE)

    def log_prob(self, jets: Tensor, given: Tensor, label: Tensor) -> Tensor:
        """Log densities [B, 4] of (a, b, c, d) [B, 4], of which those ``given`` [B, 3] (1, else 0) were asked for."""
        kind = torch.nn.functional.one_hot(label, self.n_classes).to(jets.dtype)
        known = jets[:, :3] * given  # [B, 3]
        about_pt = torch.cat([kind, known[:, 1:2].abs(), known[:, 2:3], given[:, 1:3]], 1)
        about_eta = torch.cat([kind, jets[:, :1], known[:, 2:3], given[:, 2:3], torch.zeros_like(known[:, :1])], 1)
        about_mass = torch.cat([kind, jets[:, :1], jets[:, 1:2].abs()], 1)
        about_count = torch.cat([kind, jets[:, :1], jets[:, 1:2].abs(), jets[:, 2:3]], 1)
        found = [
            self.pt.log_prob(jets[:, 0], about_pt),
            self.eta.log_prob(jets[:, 1], about_eta),
            self.mass.log_prob(jets[:, 2], about_mass),
            self.count.log_prob(jets[:, 3], about_count),
        ]
        return torch.stack(found, 1)

    def forward(self, noise: Tensor, asked: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw jets: noise [B, 4], asked [B, 3] pT, eta, mass or MISSING, label i64 [B].

        Returns (jet [B, 3] pT, eta, mass; count i64 [B]; standardised [B, 4]).
        """
        given = (asked > 0.1 * self.missing).to(noise.dtype)  # [B, 3]
        pt, eta, mass = asked[:, 0], asked[:, 1], asked[:, 2]
        low, high = self.pt_range[0], self.pt_range[1]
        kind = torch.nn.functional.one_hot(label, self.n_classes).to(noise.dtype)
        mean, spread = self.mean[label], self.spread[label]  # [B, 4]

        # what is asked, standardised; the mass needs the pT: if that is free, the middle of the window stands for it
        mass_ratio = torch.log(mass.clamp(min=1e-3) / torch.where(given[:, 0] > 0, pt, torch.full_like(pt, 1050.0)))
        c_known = torch.where(given[:, 2] > 0, (mass_ratio - mean[:, 2]) / spread[:, 2], torch.zeros_like(mass))
        c_known = c_known.clamp(-self.edge, self.edge)
        b_asked = (torch.atanh((eta / self.eta_reach).clamp(-0.9995, 0.9995)) - mean[:, 1]) / spread[:, 1]
        b_known = torch.where(given[:, 1] > 0, b_asked, torch.zeros_like(eta)).clamp(-self.edge, self.edge)

        a = self.pt(noise[:, 0], torch.cat([kind, b_known.abs().unsqueeze(1), c_known.unsqueeze(1), given[:, 1:3]], 1))
        drawn = low + (high - low) * torch.sigmoid(a * spread[:, 0] + mean[:, 0])
        pt = torch.where(given[:, 0] > 0, pt, drawn)
        a_asked = torch.logit(((pt - low) / (high - low)).clamp(1e-4, 1.0 - 1e-4))
        a = torch.where(given[:, 0] > 0, (a_asked - mean[:, 0]) / spread[:, 0], a).clamp(-self.edge, self.edge)

        mass_ratio = torch.log(mass.clamp(min=1e-3) / pt)  # of what is asked
        c_known = torch.where(given[:, 2] > 0, (mass_ratio - mean[:, 2]) / spread[:, 2], torch.zeros_like(mass))
        c_known = c_known.clamp(-self.edge, self.edge)
        about = torch.cat(
            [kind, a.unsqueeze(1), c_known.unsqueeze(1), given[:, 2:3], torch.zeros_like(given[:, :1])], 1
        )
        b = self.eta(noise[:, 1], about)
        drawn = self.eta_reach * torch.tanh(b * spread[:, 1] + mean[:, 1])
        eta = torch.where(given[:, 1] > 0, eta, drawn)
        b = torch.where(given[:, 1] > 0, b_known, b)

        c = self.mass(noise[:, 2], torch.cat([kind, a.unsqueeze(1), b.abs().unsqueeze(1)], 1))
        limits = self.mass_limits[label]  # [B, 2]
        ratio = torch.minimum(torch.maximum(c * spread[:, 2] + mean[:, 2], limits[:, 0]), limits[:, 1])
        mass = torch.where(given[:, 2] > 0, mass, pt * torch.exp(ratio))
        c = torch.where(given[:, 2] > 0, c_known, (ratio - mean[:, 2]) / spread[:, 2])

        d = self.count(noise[:, 3], torch.cat([kind, a.unsqueeze(1), b.abs().unsqueeze(1), c.unsqueeze(1)], 1))
        allowed = self.count_limits[label]
        count = torch.exp(d * spread[:, 3] + mean[:, 3]).round()
        count = torch.minimum(torch.maximum(count, allowed[:, 0]), allowed[:, 1])
        d = (torch.log(count) - mean[:, 3]) / spread[:, 3]
        return torch.stack([pt, eta, mass], 1), count.to(torch.int64), torch.stack([a, b, c, d], 1)


def choose(logits: Tensor, noise: Tensor) -> Tensor:
    """Component i64 [N] by its weight: logits [N, K], normal noise [N]."""
    cumulative = torch.softmax(logits, 1).cumsum(1)  # [N, K]
    u = normal_to_uniform(noise) * cumulative[:, -1]
    return (u.unsqueeze(1) > cumulative[:, :-1]).sum(1)


def _spread(raw: Tensor, low: float = _SCALE[0], high: float = _SCALE[1]) -> Tensor:
    return torch.exp(raw.clamp(-12.0, 12.0)).clamp(low, high)


def mixture_log_prob(value: Tensor, parameters: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    """Log density of value [N] under K normals: parameters [N, 3 K] (logits, shifts, log spreads), which begin as
    components at ``centre`` [K] of width ``scale`` [K]."""
    logits, shift, raw = parameters.chunk(3, 1)  # [N, K]
    spread = _spread(raw) * scale
    z = (value.unsqueeze(1) - centre - shift * scale) / spread
    return torch.logsumexp(torch.log_softmax(logits, 1) - torch.log(spread) - 0.5 * z * z, 1) - _HALF_LOG_2PI


def mixture_draw(
    pick: Tensor, noise: Tensor, parameters: Tensor, centre: Tensor, scale: Tensor, most: float = _MOST
) -> Tensor:
    """A draw [N] from that mixture; pick, noise: standard normal [N]."""
    logits, shift, raw = parameters.chunk(3, 1)
    k = choose(logits, pick).unsqueeze(1)  # [N, 1]
    spread = _spread(raw.gather(1, k)) * scale[k]
    return (centre[k] + shift.gather(1, k) * scale[k] + spread * noise.clamp(-most, most).unsqueeze(1)).squeeze(1)


def plane_log_prob(x: Tensor, y: Tensor, parameters: Tensor, x0: Tensor, y0: Tensor, scale: Tensor) -> Tensor:
    """Log density of points (x, y) [N] under K correlated normals around (x0, y0) [N, K] of size ``scale`` [K];
    parameters [N, 6 K]: logits, shifts in x and y, log spreads, correlation."""
    logits, dx, dy, sx, sy, r = parameters.chunk(6, 1)  # [N, K]
    sx, sy, r = _spread(sx) * scale, _spread(sy) * scale, 0.97 * torch.tanh(r)
    u = (x.unsqueeze(1) - x0 - dx * scale) / sx
    v = (y.unsqueeze(1) - y0 - dy * scale) / sy
    rest = 1.0 - r * r
    square = (u * u - 2.0 * r * u * v + v * v) / rest
    log_norm = torch.log(sx * sy) + 0.5 * torch.log(rest)
    return torch.logsumexp(torch.log_softmax(logits, 1) - log_norm - 0.5 * square, 1) - 2.0 * _HALF_LOG_2PI


def plane_draw(
    noise: Tensor, parameters: Tensor, x0: Tensor, y0: Tensor, scale: Tensor, most: float = _MOST
) -> tuple[Tensor, Tensor]:
    """A point (x, y) [N] from that mixture; noise: standard normal [N, 3]."""
    logits, dx, dy, sx, sy, r = parameters.chunk(6, 1)
    k = choose(logits, noise[:, 0]).unsqueeze(1)  # [N, 1]
    unit = scale[k]
    e1, e2 = noise[:, 1:2].clamp(-most, most), noise[:, 2:3].clamp(-most, most)
    r = 0.97 * torch.tanh(r.gather(1, k))
    x = x0.gather(1, k) + dx.gather(1, k) * unit + _spread(sx.gather(1, k)) * unit * e1
    v = r * e1 + torch.sqrt(1.0 - r * r) * e2
    y = y0.gather(1, k) + dy.gather(1, k) * unit + _spread(sy.gather(1, k)) * unit * v
    return x.squeeze(1), y.squeeze(1)


_HALF_LOG_2PI: float = 0.5 * math.log(2.0 * math.pi)
