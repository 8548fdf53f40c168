# SPDX-License-Identifier: MIT
"""What every jet obeys, built into the generators of jets, in training as in use.

A jet is the vector sum of its constituents, so that their own vector sum ends at the jet's pT: a wall at 1, at which a
tenth of quark jets lie when 30 constituents are kept. And its axis is the jet's: that of the constituents is close to
it. A network whose constituents learn of each other through a short vector meets neither; here its output is moved to
where it does. Further limits hold rare jets to what the training jets have: the distance of a constituent from the
axis, the hardest constituent, and the width of the jet, which no limit on single constituents bounds.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from training.networks.segments import segment_sum


class Limits(nn.Module):
    """Constituents to ones within the limits. Clamps let gradients pass in training: beyond a limit they lead back."""

    def __init__(
        self,
        reach: Tensor,
        hardest: Tensor,
        width: Tensor,
        floor: float = 1.3e-4,
        centre: float = 0.0,
        wall: float = 0.0,
    ) -> None:
        """reach: largest distance from the axis; hardest: largest pt_rel; width: largest mean of the squared distance,
        weighted by pt_rel; floor: lowest pt_rel; centre: share of the axis' offset that is taken away, 1: all; wall:
        how softly the vector sum ends at 1, 0: it does not."""
        super().__init__()
        self.floor, self.centre, self.wall = floor, centre, wall
        self.register_buffer("reach", reach)
        self.register_buffer("hardest", hardest)
        self.register_buffer("width", width)

    def held(self, values: Tensor, limited: Tensor) -> Tensor:
        """``limited``; in training with the gradient of ``values``."""
        return values + (limited - values).detach() if self.training else limited

    def forward(self, items: Tensor, present: Tensor, index: Tensor, n_sets: int) -> Tensor:
        """Constituents [T, 3] (eta_rel, phi_rel, pt_rel) of the jets i64 [T]; present f32 [T]: 1, or 0 for those of a
        padded jet that are absent."""
        pt = self.held(items[:, 2], items[:, 2].clamp(min=self.floor).clamp(max=self.hardest))  # [T]
        place, weight = items[:, :2], (pt * present).unsqueeze(1)  # [T, 2], [T, 1]
        total = segment_sum(weight, index, n_sets).clamp(min=1e-9)  # [B, 1]
        if self.centre > 0:
            axis = segment_sum(place * weight, index, n_sets) / total  # [B, 2]
            place = place - self.centre * axis[index]
        distance = place.square().sum(1, keepdim=True).sqrt().clamp(min=1e-9)  # [T, 1]
        place = self.held(place, place * (self.reach / distance).clamp(max=1.0))
        width = segment_sum(place.square().sum(1, keepdim=True) * weight, index, n_sets) / total  # [B, 1]
        place = place * (self.width / width.clamp(min=1e-9)).clamp(max=1.0).sqrt()[index]
        if self.wall > 0:
            length = self.length(place[:, 1:], weight, index, n_sets)  # [B]
            ended = 1.0 - self.wall * softplus((1.0 - length) / self.wall)  # [B]
            pt = pt * (ended / length)[index]
            pt = self.held(pt, pt.clamp(min=self.floor))
        return torch.cat([place, pt.unsqueeze(1)], 1)

    def length(self, phi: Tensor, weight: Tensor, index: Tensor, n_sets: int) -> Tensor:
        """Length [B] of the vector sums of constituents with phi_rel [T, 1] and pt_rel [T, 1]."""
        along = segment_sum(torch.cat([phi.cos(), phi.sin()], 1) * weight, index, n_sets)  # [B, 2]
        return along.square().sum(1).clamp(min=1e-18).sqrt()

    def excess(self, items: Tensor, present: Tensor, index: Tensor, n_sets: int) -> Tensor:
        """Mean square of how far vector sums are beyond the wall before they are moved, a loss: the wall itself sends
        no gradient back, and a network adrift behind it does not return. Arguments as of ``forward``."""
        weight = (items[:, 2].clamp(min=self.floor) * present).unsqueeze(1)  # [T, 1]
        return (self.length(items[:, 1:2], weight, index, n_sets) - 1.0).clamp(min=0.0).square().mean()


def limits_of(
    features: Tensor,
    offsets: Tensor,
    floor: float = 1.3e-4,
    centre: float = 0.0,
    wall: float = 0.0,
    kept: float = 0.9995,
) -> Limits:
    """The limits that the share ``kept`` of training constituents [T, 3] (reach) and jets (width) keeps; a handful is
    far away from its jet. offsets i64 [B + 1]."""
    squares = features[:, :2].square().sum(1)  # [T]
    index = torch.repeat_interleave(torch.arange(len(offsets) - 1), offsets.diff())
    sums = torch.stack([squares * features[:, 2], features[:, 2]], 1)
    sums = segment_sum(sums.double(), index, len(offsets) - 1)  # [B, 2]
    width = (sums[:, 0] / sums[:, 1].clamp(min=1e-9)).float()

    def highest(values: Tensor) -> Tensor:
        return values.kthvalue(max(1, int(kept * len(values)))).values

    return Limits(highest(squares).sqrt(), features[:, 2].max(), highest(width), floor, centre, wall)
