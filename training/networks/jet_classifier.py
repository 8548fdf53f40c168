# SPDX-License-Identifier: MIT
"""A small classifier of jets, a deep set whose last hidden layer is the feature space of the Fréchet distance.

Constituents exchange what they know by mean and sum alone, as in EPiC (arXiv:2301.08128), so that the cost is linear,
their order is free, and their number may vary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from training.networks.segments import lengths_to_index, segment_sum


def pool(values: Tensor, index: Tensor, counts: Tensor, typical: float = 50.0) -> Tensor:
    """Mean, and sum over a ``typical`` number, of values [T, K] over each set, [B, 2 K]; zeros for an empty set."""
    total = segment_sum(values, index, counts.size(0))  # [B, K]
    return torch.cat([total / counts.clamp(min=1.0).unsqueeze(1), total / typical], 1)


class Exchange(nn.Module):
    """One EPiC layer: sets learn from their constituents, then constituents from their set; both residual."""

    def __init__(self, local: int, wide: int) -> None:
        super().__init__()
        self.gather = nn.Linear(2 * local + wide, local)
        self.digest = nn.Linear(local, wide)
        self.own = nn.Linear(local, local)
        self.shared = nn.Linear(wide, local, bias=False)

    def forward(self, local: Tensor, wide: Tensor, index: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Constituents [T, L] and sets [B, W] to the same shapes; index i64 [T], counts f32 [B]."""
        seen = torch.cat([pool(local, index, counts), wide], 1)  # [B, 2 L + W]
        wide = leaky_relu(wide + self.digest(leaky_relu(self.gather(seen), 0.1)), 0.1)  # [B, W]
        local = leaky_relu(local + self.own(local) + self.shared(wide)[index], 0.1)  # [T, L]
        return local, wide


class JetClassifier(nn.Module):
    """Gluon, quark or top, from constituents relative to the jet. ``forward`` follows the model contract."""

    def __init__(self, n_classes: int = 3, hidden: int = 64, wide: int = 32, n_features: int = 64) -> None:
        super().__init__()
        self.wide = wide
        self.enter = nn.Sequential(nn.Linear(6, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, hidden))
        self.layers = nn.ModuleList([Exchange(hidden, wide) for _ in range(2)])
        self.leave = nn.Sequential(
            nn.Linear(2 * hidden + hidden + wide, 2 * n_features),
            nn.LeakyReLU(0.1),
            nn.Linear(2 * n_features, n_features),
            nn.LeakyReLU(0.1),
        )
        self.classify = nn.Linear(n_features, n_classes)

    def describe(self, features: Tensor, offsets: Tensor) -> Tensor:
        """Features [B, 64] of jets: features f32 [T, 3] (eta_rel, phi_rel, pt_rel), offsets i64 [B + 1]."""
        eta, phi = features[:, 0].clamp(-10.0, 10.0), features[:, 1].clamp(-10.0, 10.0)  # [T]
        pt = features[:, 2].clamp(1e-8, 1e3)  # [T]
        distance = torch.sqrt(eta * eta + phi * phi + 1e-8)  # [T]
        log_pt = torch.log(pt)  # [T]
        given = [0.4 * log_pt + 2.0, 4.0 * pt, 4.0 * eta, 4.0 * phi, 4.0 * distance, 0.5 * torch.log(distance) + 1.0]
        index = lengths_to_index(offsets, pt.size(0))  # [T]
        counts = offsets.diff().to(pt.dtype)  # [B]
        local = leaky_relu(self.enter(torch.stack(given, 1)), 0.1)  # [T, L]
        wide = torch.zeros(counts.size(0), self.wide, dtype=pt.dtype, device=pt.device)  # [B, W]
        for layer in self.layers:
            local, wide = layer(local, wide, index, counts)
        weighted = segment_sum(local * pt.unsqueeze(1), index, counts.size(0))  # [B, L], by pt
        return self.leave(torch.cat([pool(local, index, counts), weighted, wide], 1))

    def forward(
        self,
        features: Tensor,
        codes: Tensor,
        offsets: Tensor,
        conditions: Tensor,
        noise_set: Tensor,
        slot_offsets: Tensor,
        noise_slot: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The model contract's forward: no items come out; scalars [B, 64 + 3] are the features and the logits."""
        found = self.describe(features, offsets)
        scalars = torch.cat([found, self.classify(found)], 1)
        nothing = torch.zeros(0, 0, dtype=features.dtype, device=features.device)
        none = torch.zeros(0, dtype=torch.int64, device=features.device)
        return nothing, none.view(0, 0), torch.zeros_like(offsets), none, scalars
