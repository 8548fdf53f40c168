# SPDX-License-Identifier: MIT
"""The tracker of HEPiC: which charged particles leave a track, and how well their momentum is measured."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.networks.flows import SplineFlow, mlp, squash, squash_log_slope, unsquash


class Tracker(nn.Module):
    """Which charged particles leave a track, and how well their momentum is measured."""

    def __init__(self, hidden: int, n_bins: int) -> None:
        super().__init__()
        self.register_buffer("pt_steps", torch.linspace(-1.5, 3.0, 19))  # log10(pt / GeV), quarters of a decade
        self.register_buffer("eta_steps", torch.linspace(0.25, 3.0, 12))
        self.register_buffer("log_pt_range", torch.tensor([-1.0, 1.0]))
        # log a, b of sigma(pt) / pt = sqrt(a^2 + b^2 pt^2), by kind and |eta| in steps of 0.1
        self.resolution = nn.Parameter(torch.tensor([0.05, 1e-3]).log().repeat(3, 31, 1))
        self.exists = mlp(3 + 4 + 19 + 12, hidden // 2, 1)
        self.momentum = SplineFlow(3 + 4 + 12, hidden, n_bins)

    def sigma(self, kind: Tensor, pt: Tensor, arrival_eta: Tensor) -> Tensor:
        """Learned relative error [T] of the momentum."""
        at = 31 * kind + (arrival_eta.abs() * 10.0).long().clamp(max=30)  # [T]
        a2, b2 = (2.0 * self.resolution).exp().view(-1, 2).t().contiguous().unbind(0)  # [93] each
        return torch.sqrt(a2.index_select(0, at) + b2.index_select(0, at) * pt * pt).clamp(max=1.0)

    def describe(self, kind: Tensor, pt: Tensor, energy: Tensor, arrival_eta: Tensor) -> tuple[Tensor, Tensor]:
        """Features of charged particles [N]: those of the momentum [N, F] and steps in pt [N, S]."""
        eta = arrival_eta.abs()
        log_pt = torch.log10(pt.clamp(1e-4, 1e5))  # [N]
        kinds = (kind == torch.arange(3, device=kind.device).unsqueeze(1)).float()  # [3, N]
        smooth = torch.stack([0.5 * log_pt, 0.5 * torch.log10(energy + 1e-4), 0.5 * eta, 0.1 * eta * eta])  # [4, N]
        eta_steps = torch.tanh_(50.0 * eta - (50.0 * self.eta_steps).unsqueeze(1))  # [12, N]
        pt_steps = torch.tanh_(100.0 * log_pt - (100.0 * self.pt_steps).unsqueeze(1))  # [19, N]
        return torch.cat([kinds, smooth, eta_steps]).t(), pt_steps.t()

    def logit(self, features: Tensor, pt_steps: Tensor) -> Tensor:
        """Logit [N] of a track."""
        return self.exists.columns(features, self.exists.first(pt_steps, features.size(1)))[0]

    def logits(self, kind: Tensor, pt: Tensor, energy: Tensor, arrival_eta: Tensor, block: int = 4096) -> Tensor:
        """`logit` [N] of what `describe` takes; on a CPU in blocks of rows that stay in the second-level cache."""
        n = pt.size(0)
        if pt.device.type != "cpu":
            block = n + 1
        out: list[Tensor] = []
        for begin in range(0, n + 1, block):
            some = slice(begin, begin + block)
            features, pt_steps = self.describe(kind[some], pt[some], energy[some], arrival_eta[some])
            out.append(self.logit(features, pt_steps))
        return torch.cat(out)

    def sample_momentum(self, features: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        """log(pt_reco / pt) [N] of tracks without a calorimeter behind them, from normal ``noise`` [N]."""
        value = sigma * (unsquash(self.momentum(noise, features)) - 0.5 * sigma)
        return torch.minimum(torch.maximum(value, self.log_pt_range[0]), self.log_pt_range[1])

    def momentum_log_prob(self, value: Tensor, features: Tensor, sigma: Tensor) -> Tensor:
        """Log density of ``value`` = log(pt_reco / pt) [N]."""
        t = value / sigma + 0.5 * sigma
        return self.momentum.log_prob(squash(t), features) + squash_log_slope(t) - torch.log(sigma)
