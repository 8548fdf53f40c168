# SPDX-License-Identifier: MIT
"""What the generator ``jets`` learns from: the densities of true constituents, given those before them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from training.networks.jet_chain import mixture_log_prob, plane_log_prob
from training.networks.jets import ANCHORS, MOMENTS, STEP, JetGenerator, moments


def teach(model: JetGenerator, places: Tensor, counts: Tensor, total: Tensor, jet: Tensor, label: Tensor,
          precision: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Log densities of constituents under teacher forcing, of pT [T'] and of place [T], step by step. The pT of a jet's
    last constituent is the rest, and has no density.

    places [B, N, 3] eta_rel, phi_rel, log pt_rel, in falling pT; counts i64 [B] of them (at most N); total [B] of the
    whole jet; jet [B, 4] standardised; label i64 [B].
    """
    n_sets, longest = places.size(0), places.size(1)
    device = places.device
    steps = torch.arange(longest, device=device)
    real = steps[:, None] < counts[None]  # [N, B]: step by step, for running sums are products with a matrix then
    with torch.no_grad():
        eta, phi, log_pt = (torch.where(real, v, 0.0) for v in places.transpose(0, 1).unbind(2))  # [N, B]
        pt = torch.exp(log_pt) * real
        x, y = model.radius(eta, phi)
        at = torch.stack(model.plane(eta, phi), 2)  # [N, B, 2]
        sums = _before(moments(eta, phi, pt).cumsum(0))
        now = torch.stack([log_pt, x, y], 2)
        last = torch.cat([_before(now), _before(_before(now))], 2)  # [N, B, 6]
        seen = (torch.arange(ANCHORS, device=device)[None] < steps[:, None])[:, None, None]  # [N, 1, 1, ANCHORS]
        anchors = (_first(torch.stack([5.0 * pt, 3.0 * x, 3.0 * y], 2)) * seen).reshape(-1, 3 * ANCHORS)
        leading = (_first(at) * seen).reshape(-1, 2, ANCHORS)
        step = steps.to(places.dtype)[:, None].expand(longest, n_sets)
        left = (total[None] - step).clamp(min=1.0)
        about = model.about(
            jet.repeat(longest, 1), label.repeat(longest), left.reshape(-1), step.reshape(-1),
            sums.reshape(-1, MOMENTS), last.reshape(-1, 6), anchors,
        )  # fmt: skip
        before = _before(pt.unsqueeze(2))  # [N, B, 1]
        gap = torch.log((last[:, :, 0] - log_pt).clamp(min=0.0) + STEP)
        until = torch.ones(longest, longest, device=device).tril()
        average = until / (steps[:, None] + 1.0)

    with torch.autocast(device.type, torch.bfloat16, precision == torch.bfloat16):
        h = leaky_relu(model.enter(about), 0.1).view(longest, n_sets, -1)
        for layer in model.layers:
            given = layer.features(h)
            mean = torch.mm(average, given.reshape(longest, -1)).view_as(given)
            weighted = torch.mm(until, (given * before.to(given.dtype)).view(longest, -1)).view_as(given)
            h = layer.update(h, mean, weighted)
        h = h.reshape(longest * n_sets, -1)
        of_pt = model.pt_head(h).float()
        of_place = model.place_parameters(h, log_pt.reshape(-1), left.reshape(-1) / 50.0)
    x0, y0 = model.centres(leading, _before(at).reshape(-1, 2))
    pt_part = mixture_log_prob(gap.reshape(-1), of_pt, model.pt_centre, model.pt_scale)
    place = plane_log_prob(*at.reshape(-1, 2).unbind(1), of_place, x0, y0, model.place_scale)
    real, open_pt = real.reshape(-1), (real & (left > 1.5)).reshape(-1)
    return pt_part[open_pt], place[real]


def _before(values: Tensor) -> Tensor:
    """Values [N, ...] moved on by one step, zeros first."""
    return torch.cat([torch.zeros_like(values[:1]), values[:-1]])


def _first(values: Tensor) -> Tensor:
    """The first values [1, B, C, ANCHORS] of those of all steps [N, B, C]; zeros where there are fewer steps."""
    first = values[:ANCHORS].permute(1, 2, 0)  # [B, C, <= ANCHORS]
    return torch.nn.functional.pad(first, (0, max(0, ANCHORS - values.size(0))))[None]
