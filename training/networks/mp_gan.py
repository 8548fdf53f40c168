# SPDX-License-Identifier: MIT
"""MP-GAN (arXiv:2012.00173, arXiv:2106.11535): message passing on the fully connected graph of a jet's constituents.

Every constituent sends a message f_e(h_i, h_j[, distance][, h_G]) to every other one and to itself; messages are summed
(or averaged) and f_n makes the new h_i of h_i, the message [and h_G, features of the jet as a whole]. Sets are padded
inside, [B, N], with a mask: absent constituents send no messages. The cost is quadratic in N.

The first linear layer of f_e on (h_i, h_j, ...) is the sum of one on h_i and one on h_j: both are computed per
constituent, and the tensor of concatenated pairs is never built.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from training.networks.jet_chain import MISSING
from training.networks.jet_draws import (
    Calibration,
    Multiplicity,
    Quantiles,
    Radial,
    by_set_and_pt,
    leaky,
    scatter_padded,
    turned,
)
from training.networks.jet_limits import Limits
from training.networks.segments import lengths_to_index, segment_sum

EDGE = (96, 160, 192)
NODE = (256, 256)


class Dropout(nn.Module):
    """Dropout with a half of the values kept, as masks that are random stretches of one long vector of zeros and twos.

    The vector is drawn anew every ``every`` calls. A number per value and call would cost more than the network.
    """

    def __init__(self, length: int = 1 << 22, every: int = 200) -> None:
        super().__init__()
        self.length, self.every, self.calls = length, every, 0
        self.pool = torch.zeros(0)

    def forward(self, values: Tensor) -> Tensor:
        if not self.training:
            return values
        n = values.numel()
        if self.calls % self.every == 0 or self.pool.numel() < n or self.pool.dtype != values.dtype:
            length = max(self.length, 2 * n)
            self.pool = 2 * torch.randint(0, 2, (length,), dtype=torch.int8, device=values.device).to(values.dtype)
        self.calls += 1
        start = int(torch.randint(0, self.pool.numel() - n + 1, ()))
        return values * self.pool[start : start + n].view(values.shape)


class Layers(nn.Module):
    """Linear layers, each but a ``linear_end`` followed by LeakyReLU, batch norm and dropout as asked for."""

    def __init__(
        self,
        widths: list[int],
        linear_end: bool,
        dropout: bool = False,
        batch_norm: bool = False,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        self.linear_end = linear_end
        made = [nn.Linear(a, b) for a, b in pairwise(widths)]
        if spectral:  # arXiv:1802.05957; not on the last layer of a network's part, as in the reference
            hidden = len(made) - int(linear_end)
            made = [nn.utils.parametrizations.spectral_norm(x) if i < hidden else x for i, x in enumerate(made)]
        self.layers = nn.ModuleList(made)
        self.norms = nn.ModuleList([nn.BatchNorm1d(b) if batch_norm else nn.Identity() for b in widths[1:]])
        self.drops = nn.ModuleList([Dropout() if dropout else nn.Identity() for _ in widths[1:]])

    def after(self, i: int, values: Tensor) -> Tensor:
        """What follows linear layer ``i``; values [T, H]."""
        for k, (norm, drop) in enumerate(zip(self.norms, self.drops)):
            if k == i:
                if not (self.linear_end and i == len(self.layers) - 1):
                    values = norm(leaky(values, 0.2))
                values = drop(values)
        return values

    def forward(self, values: Tensor, first: int = 0) -> Tensor:
        """From layer ``first`` on."""
        for i, layer in enumerate(self.layers):
            if i >= first:
                values = self.after(i, layer(values))
        return values


class MessagePassing(nn.Module):
    """One step: features [B, N, n_in] to [B, N, n_out]."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        n_conditions: int = 0,
        coordinates: int = 0,
        mean: bool = False,
        edge: tuple[int, ...] = EDGE,
        node: tuple[int, ...] = NODE,
        dropout: bool = False,
        batch_norm: bool = False,
        spectral: bool = False,
    ) -> None:
        """``coordinates``: of the first so many features, the distance between two constituents is a feature of the
        edge; 0: none. ``mean``: average messages over those who send, and do not sum them."""
        super().__init__()
        self.n_in, self.n_conditions, self.coordinates, self.mean = n_in, n_conditions, coordinates, mean
        n_edge = 2 * n_in + int(coordinates > 0) + n_conditions
        self.edge = Layers([n_edge, *edge], False, dropout, batch_norm, spectral)
        self.node = Layers([edge[-1] + n_in + n_conditions, *node, n_out], True, dropout, batch_norm, spectral)

    def first(self, h: Tensor, conditions: Tensor) -> Tensor:
        """Output [B, N, N, H] of the first linear layer of f_e; [b, i, j] is the message from j to i."""
        weight, bias, n = self.edge.layers[0].weight, self.edge.layers[0].bias, self.n_in  # [H, 2 n + 1 + D]
        receive = linear(h, weight[:, :n], bias)  # [B, N, H]
        send = linear(h, weight[:, n : 2 * n])  # [B, N, H]
        if self.n_conditions > 0:
            receive = receive + linear(conditions, weight[:, -self.n_conditions :]).unsqueeze(1)
        pairs = receive.unsqueeze(2) + send.unsqueeze(1)  # [B, N, N, H]
        if self.coordinates > 0:
            x = h[:, :, : self.coordinates].float()
            difference = x.unsqueeze(2) - x.unsqueeze(1)  # [B, N, N, C]
            distance = (difference.square().sum(3, keepdim=True) + 1e-12).sqrt()  # [B, N, N, 1]
            pairs = pairs + distance.to(pairs.dtype) * weight[:, 2 * n].to(pairs.dtype)
        return pairs

    def forward(self, h: Tensor, mask: Tensor, conditions: Tensor) -> Tensor:
        """h [B, N, n_in], mask [B, N] (1 present, 0 absent), conditions [B, D]."""
        n_sets, n = h.size(0), h.size(1)
        pairs = self.first(h, conditions)
        messages = self.edge(self.edge.after(0, pairs.view(n_sets * n * n, pairs.size(3))), 1)  # [B N N, M]
        messages = messages.view(n_sets * n, n, messages.size(1))
        weight = mask.to(messages.dtype).unsqueeze(1).expand(n_sets, n, n).reshape(n_sets * n, 1, n)
        heard = torch.bmm(weight, messages).view(n_sets, n, messages.size(2))  # [B, N, M], the sum over senders
        if self.mean:
            heard = heard / mask.sum(1).clamp(min=1.0).view(n_sets, 1, 1).to(heard.dtype)
        seen = [heard, h.to(heard.dtype)]
        if self.n_conditions > 0:
            seen.append(conditions.to(heard.dtype).unsqueeze(1).expand(n_sets, n, self.n_conditions))
        nodes = torch.cat(seen, 2)
        made = self.node(nodes.view(n_sets * n, nodes.size(2)))  # [B N, n_out]
        return made.view(n_sets, n, made.size(1))


class MpCore(nn.Module):
    """The generator's network: noise [B, N, 32] to constituents [B, N, 3] in (-1, 1)."""

    def __init__(
        self,
        noise: int = 32,
        hidden: int = 32,
        steps: int = 2,
        n_conditions: int = 0,
        distance: bool = False,
        mean: bool = False,
        n_out: int = 3,
        edge: tuple[int, ...] = EDGE,
        node: tuple[int, ...] = NODE,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        widths = [noise, *[hidden] * (steps - 1), n_out]
        self.steps = nn.ModuleList(
            [
                MessagePassing(a, b, n_conditions, a if distance else 0, mean, edge, node, False, batch_norm)
                for a, b in pairwise(widths)
            ]
        )
        self.register_buffer("centre", torch.zeros(n_out))
        self.register_buffer("spread", torch.ones(n_out))

    def begin_near(self, mean: Tensor, step: Tensor) -> None:
        """Let what the last layer makes of nothing be the mean [3] of constituents, and one of its numbers a ``step``
        [3] from there: as a number in tanh it is fifty times a typical pt_rel, since the range is the hardest's."""
        self.centre.copy_(mean.atanh())
        self.spread.copy_(step / (1 - mean.square()))

    def forward(self, noise: Tensor, mask: Tensor, conditions: Tensor) -> Tensor:
        """noise N(0, 1) [B, N, Z]: scaled to a standard deviation of 0.2 here."""
        h = 0.2 * noise
        for step in self.steps:
            h = step(h, mask, conditions)
        h = self.centre + self.spread * h.float()
        made = torch.tanh(h)
        if self.training:  # else no gradient comes back from a network whose constituents have all come to the limits
            made = made + 0.01 * (h - h.detach())
        return made


class MpGenerator(nn.Module):
    """Jets from noise. ``forward`` and ``slots`` follow the model contract.

    Of ``leading`` candidates the N with the smallest first noise number are present. These first numbers are noise of
    the set, so that a jet has N slots and no more. Noise per set: one each for the multiplicity, jet_pt and jet_eta,
    then the first numbers of the candidates, and one for the jet's turn; per slot: the other numbers.
    """

    def __init__(
        self,
        multiplicity: Multiplicity,
        jet_pt: Quantiles,
        jet_eta: Quantiles,
        largest: Tensor,
        limits: Limits,
        radial: Radial,
        condition_mean: Tensor,
        condition_scale: Tensor,
        leading: int = 30,
        noise: int = 32,
        hidden: int = 32,
        steps: int = 2,
        distance: bool = False,
        mean: bool = False,
        masked: bool = True,
        batch_norm: bool = False,
        edge: tuple[int, ...] = EDGE,
        node: tuple[int, ...] = NODE,
        turn: bool = True,
    ) -> None:
        """largest [3]: size of each feature, behind ``radial``, that the network's +-1 stands for (pt_rel: -0.5 to 0.5
        for 0 to largest); ``turn``: jets are turned about their axis at random; condition_mean, condition_scale [D]: of
        (jet_pt, jet_eta)[:D] in training. Without a mask, constituents at the lowest pt_rel that the limits allow are
        those that are absent."""
        super().__init__()
        n_conditions = condition_mean.size(0)
        self.core = MpCore(noise, hidden, steps, n_conditions, distance, mean, 3, edge, node, batch_norm)
        self.multiplicity, self.jet_pt, self.jet_eta = multiplicity, jet_pt, jet_eta
        self.calibration = Calibration()
        self.leading, self.n_conditions, self.masked, self.limits = leading, n_conditions, masked, limits
        self.noise_set, self.noise_slot, self.missing = 4 + leading, noise - 1, MISSING
        self.radial, self.reshape, self.turn = radial, Radial(), turn
        self.register_buffer("largest", largest)
        self.register_buffer("condition_mean", condition_mean)
        self.register_buffer("condition_scale", condition_scale)

    @torch.jit.export
    def slots(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor) -> Tensor:
        """Multiplicities i64 [B]."""
        return self.multiplicity(noise_set[:, 0]).clamp(max=self.leading)

    def scaled(self, items: Tensor) -> Tensor:
        """Constituents [..., 3] (eta_rel, phi_rel, pt_rel) as the networks see them."""
        shift = torch.tensor([0.0, 0.0, 0.5], device=items.device)
        return self.radial(items) / self.largest - shift

    def physical(self, output: Tensor) -> Tensor:
        """The inverse of ``scaled``."""
        shift = torch.tensor([0.0, 0.0, 0.5], device=output.device)
        return self.radial.inverse((output + shift) * self.largest)

    def unbounded(self, output: Tensor, normal: Tensor, index: Tensor) -> Tensor:
        """Constituents [T, 3] from the output [T, 3] of the network, turned as the numbers N(0, 1) [B] say, before the
        limits."""
        items = self.physical(output)
        return turned(items, normal, index) if self.turn else items

    def known(self, conditions: Tensor, noise_set: Tensor) -> Tensor:
        """jet_pt and jet_eta [B, 2]: given, or, where they are not (MISSING, NaN, or no such condition), drawn."""
        drawn = torch.stack([self.jet_pt(noise_set[:, 1]), self.jet_eta(noise_set[:, 2])], 1)  # [B, 2]
        if self.n_conditions == 0:
            return drawn
        given = torch.cat([conditions, drawn[:, self.n_conditions :]], 1)
        return torch.where(torch.isnan(given) | (given < 0.1 * self.missing), drawn, given)

    def standardised(self, conditions: Tensor) -> Tensor:
        return (conditions - self.condition_mean) / self.condition_scale

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
        """The model contract's forward; scalars [B, 2] are jet_pt [GeV] and jet_eta."""
        n_sets, counts = noise_set.size(0), slot_offsets.diff()  # [B]
        widest = int(counts.max()) if n_sets > 0 else 0
        index = lengths_to_index(slot_offsets, noise_slot.size(0))  # [K]
        rank = torch.arange(noise_slot.size(0), device=index.device) - slot_offsets[index]  # [K]
        first = noise_set[:, 3 : 3 + self.leading].sort(1).values  # [B, leading]
        own = torch.cat([first[index, rank].unsqueeze(1), noise_slot], 1)  # [K, Z]
        noise, mask = scatter_padded(own, index, rank, n_sets, widest)  # [B, N, Z], [B, N]
        known = self.known(conditions, noise_set)  # [B, 2]
        output = self.core(noise, mask, self.standardised(known[:, : self.n_conditions]))  # [B, N, 3]
        output = output.reshape(n_sets * widest, 3)[index * widest + rank]  # [K, 3]
        items = self.unbounded(output, noise_set[:, 3 + self.leading], index)
        items = self.reshape(self.limits(items, torch.ones_like(items[:, 0]), index, n_sets))
        factor = self.calibration(segment_sum(items[:, 2:], index, n_sets).squeeze(1))  # [B]
        pt = (items[:, 2] * factor[index]).clamp(min=self.limits.floor)  # [K]
        items = torch.cat([items[:, :2], pt.unsqueeze(1)], 1)
        order = by_set_and_pt(items[:, 2], index)
        ends = slot_offsets
        if not self.masked:
            order = order[items[order, 2] > 1.001 * self.limits.floor]
            counts = torch.bincount(index[order], minlength=n_sets)
            ends = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        items = items[order]
        nothing = torch.zeros(items.size(0), 0, dtype=torch.int64, device=items.device)
        origin = torch.full([items.size(0)], -1, dtype=torch.int64, device=items.device)
        return items, nothing, ends, origin, known


class MpDiscriminator(nn.Module):
    """Judges padded jets [B, N, 3] with mask [B, N] and conditions [B, D] -> [B, 1]."""

    def __init__(
        self,
        hidden: int = 32,
        steps: int = 2,
        n_conditions: int = 0,
        distance: bool = False,
        mean: bool = False,
        dropout: bool = True,
        batch_norm: bool = False,
        spectral: bool = False,
        edge: tuple[int, ...] = EDGE,
        node: tuple[int, ...] = NODE,
    ) -> None:
        """``mean``: constituents are averaged in the end (the paper), and not summed (its code), as messages are."""
        super().__init__()
        self.mean = mean
        options = (edge, node, dropout, batch_norm, spectral)
        near = [2 * distance, *[hidden * distance] * (steps - 1)]  # first in eta and phi, then in all features
        widths = [3, *[hidden] * (steps - 1)]
        self.steps = nn.ModuleList(
            [MessagePassing(n_in, hidden, n_conditions, c, mean, *options) for n_in, c in zip(widths, near)]
        )
        self.leave = nn.Linear(hidden, 1)

    def forward(self, jets: Tensor, mask: Tensor, conditions: Tensor) -> Tensor:
        h = jets
        for step in self.steps:
            h = step(h, mask, conditions)
        seen = (h.float() * mask.unsqueeze(2)).sum(1)  # [B, H]
        if self.mean:
            seen = seen / mask.sum(1, keepdim=True).clamp(min=1.0)
        return self.leave(seen)
