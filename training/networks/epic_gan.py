# SPDX-License-Identifier: MIT
"""EPiC-GAN (arXiv:2301.08128): equivariant point clouds with a global vector, at a cost linear in the constituents.

Constituents learn of each other through a global vector alone. An EPiC layer first updates the global vector from the
mean and the sum over the constituents, then each constituent from itself and the global vector. In training all jets
of a batch have the same multiplicity (``equal``: reshaping instead of segments, and no padding); the exported network
takes any mixture.

The first linear layer on (constituent, global) is applied to its two parts apart, so that the part of the global
vector is computed once per jet.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from training.networks.jet_draws import (
    Calibration,
    Multiplicity,
    NormedLinear,
    Quantiles,
    Radial,
    by_set_and_pt,
    leaky,
    turned,
)
from training.networks.jet_limits import Limits
from training.networks.segments import lengths_to_index, segment_sum


def total(values: Tensor, index: Tensor, n_sets: int, equal: int) -> Tensor:
    """Sums of values [T, H] over each set, [B, H], in float32 (in training under bf16 rounded once, at the end)."""
    if equal > 0:
        return values.view(n_sets, equal, values.size(1)).sum(1).float()
    return segment_sum(values.float(), index, n_sets)


def added(values: Tensor, shared: Tensor, index: Tensor, equal: int) -> Tensor:
    """Values [T, H] plus those of their set [B, H]."""
    if equal > 0:
        return (values.view(-1, equal, values.size(1)) + shared.unsqueeze(1)).view(-1, values.size(1))
    return values + shared[index]


def pooled(values: Tensor, index: Tensor, counts: Tensor, equal: int) -> Tensor:
    """Mean and sum of values [T, H] over each set, [B, 2 H]; zeros for an empty set. counts f32 [B]."""
    sums = total(values, index, counts.size(0), equal)  # [B, H]
    return torch.cat([sums / counts.clamp(min=1.0).unsqueeze(1), sums], 1)


class EpicLayer(nn.Module):
    """Global vector [B, W] and constituents [T, H] to the same shapes."""

    def __init__(self, hidden: int, wide: int, depth: int = 2) -> None:
        """``depth``: fully connected layers from (constituent, global) to the constituent."""
        super().__init__()
        self.hidden = hidden
        self.global_1 = NormedLinear(2 * hidden + wide, hidden)
        self.global_2 = NormedLinear(hidden, wide)
        self.local_1 = NormedLinear(hidden + wide, hidden)
        self.local_2 = nn.ModuleList([NormedLinear(hidden, hidden) for _ in range(depth - 1)])

    def forward(self, wide: Tensor, local: Tensor, index: Tensor, counts: Tensor, equal: int) -> tuple[Tensor, Tensor]:
        seen = torch.cat([pooled(local, index, counts, equal), wide], 1)  # [B, 2 H + W]
        wide = leaky(self.global_2(leaky(self.global_1(seen))) + wide)  # [B, W]
        weight = self.local_1.weight  # [H, H + W]
        own = linear(local, weight[:, : self.hidden])  # [T, H]
        shared = linear(wide, weight[:, self.hidden :], self.local_1.bias)  # [B, H]
        new = leaky(added(own, shared, index, equal))  # [T, H]
        last = len(self.local_2) - 1
        for i, layer in enumerate(self.local_2):
            new = layer(new)
            if i < last:
                new = leaky(new)
        return wide, leaky(new + local)


class EpicCore(nn.Module):
    """The generator's network: noise to standardised constituents."""

    def __init__(self, hidden: int, layers: int, z_global: int, z_local: int, depth: int = 2, full: int = 0) -> None:
        """``full``: multiplicity at which jets were cut. Jets below it are complete, those at it are not: the network
        is told which it is, and the share of it that is there; 0: it is not."""
        super().__init__()
        self.full = full
        self.local_0 = NormedLinear(z_local, hidden)
        self.global_0 = NormedLinear(z_global + (2 if full > 0 else 0), hidden)
        self.global_1 = NormedLinear(hidden, z_global)
        self.layers = nn.ModuleList([EpicLayer(hidden, z_global, depth) for _ in range(layers)])
        self.leave = NormedLinear(hidden, 3)

    def start(self, noise_set: Tensor, noise_slot: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """First global vector [B, W] and constituents [T, H] from noise [B, W], [T, Zl] and multiplicities f32 [B]."""
        if self.full > 0:
            share = counts.unsqueeze(1).to(noise_set.dtype) / self.full  # [B, 1]
            noise_set = torch.cat([noise_set, (share > 0.999).to(noise_set.dtype), share], 1)
        wide = leaky(self.global_1(leaky(self.global_0(noise_set))))
        return wide, leaky(self.local_0(noise_slot))

    def forward(self, noise_set: Tensor, noise_slot: Tensor, index: Tensor, counts: Tensor, equal: int) -> Tensor:
        """Constituents [T, 3], standardised; noise_set [B, W], noise_slot [T, Zl], index i64 [T], counts f32 [B]."""
        return self.leave(self.features(noise_set, noise_slot, index, counts, equal))

    def features(self, noise_set: Tensor, noise_slot: Tensor, index: Tensor, counts: Tensor, equal: int) -> Tensor:
        """What the last linear layer makes constituents of, [T, H]."""
        first, embedded = self.start(noise_set, noise_slot, counts)
        wide, local = first, embedded
        for layer in self.layers:
            wide, local = layer(wide, local, index, counts, equal)
            wide, local = wide + first, local + embedded  # skip to the first embedding
        return local

    @torch.jit.export
    def globals_by_layer(self, noise_set: Tensor, noise_slot: Tensor, index: Tensor, counts: Tensor) -> list[Tensor]:
        """Global vectors [B, W] after the embedding and after each layer, to see what they stand for."""
        first, embedded = self.start(noise_set, noise_slot, counts)
        wide, local = first, embedded
        seen = [first]
        for layer in self.layers:
            wide, local = layer(wide, local, index, counts, 0)
            wide, local = wide + first, local + embedded
            seen.append(wide)
        return seen


class EpicGenerator(nn.Module):
    """Jets from noise. ``forward`` and ``slots`` follow the model contract.

    Noise per set: z_global numbers for the global vector, then one each for the multiplicity, jet_pt and jet_eta,
    which are drawn as in the training data, independent of the constituents, and one for the jet's turn.
    """

    def __init__(
        self,
        multiplicity: Multiplicity,
        jet_pt: Quantiles,
        jet_eta: Quantiles,
        mean: Tensor,
        scale: Tensor,
        limits: Limits,
        radial: Radial,
        hidden: int = 128,
        layers: int = 6,
        z_global: int = 10,
        z_local: int = 3,
        depth: int = 2,
        full: int = 0,
        turn: bool = True,
    ) -> None:
        """mean, scale [3]: of the constituents' features behind ``radial``, (x - mean) / scale is what the network
        gives. ``turn``: jets are turned about their axis at random."""
        super().__init__()
        self.core = EpicCore(hidden, layers, z_global, z_local, depth, full)
        self.multiplicity, self.jet_pt, self.jet_eta = multiplicity, jet_pt, jet_eta
        self.calibration = Calibration()
        self.z_global, self.noise_set, self.noise_slot = z_global, z_global + 4, z_local
        self.limits, self.radial, self.reshape, self.turn = limits, radial, Radial(), turn
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def __prepare_scriptable__(self) -> EpicGenerator:
        return copy.deepcopy(self)  # scripting replaces the layers with weight norm in place

    @torch.jit.export
    def slots(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor) -> Tensor:
        """Multiplicities i64 [B]."""
        return self.multiplicity(noise_set[:, self.z_global])

    def standardised(self, items: Tensor) -> Tensor:
        """Constituents [..., 3] (eta_rel, phi_rel, pt_rel) as the networks see them."""
        return (self.radial(items) - self.mean) / self.scale

    def physical(self, output: Tensor) -> Tensor:
        """The inverse of ``standardised``."""
        return self.radial.inverse(output.float() * self.scale + self.mean)

    def unbounded(self, output: Tensor, normal: Tensor, index: Tensor) -> Tensor:
        """Constituents [T, 3] from the output [T, 3] of the network, turned as the numbers N(0, 1) [B] say, before the
        limits."""
        items = self.physical(output)
        return turned(items, normal, index) if self.turn else items

    def calibrated(self, items: Tensor, index: Tensor, n_sets: int) -> Tensor:
        """Constituents [T, 3] with their distances and their summed pt_rel mapped onto those of the training jets."""
        items = self.reshape(items)
        factor = self.calibration(segment_sum(items[:, 2:], index, n_sets).squeeze(1))  # [B]
        pt = (items[:, 2] * factor[index]).clamp(min=self.limits.floor)
        return torch.cat([items[:, :2], pt.unsqueeze(1)], 1)

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
        n_sets = noise_set.size(0)
        index = lengths_to_index(slot_offsets, noise_slot.size(0))  # [K]
        counts = slot_offsets.diff().to(noise_slot.dtype)  # [B]
        output = self.core(noise_set[:, : self.z_global], noise_slot, index, counts, 0)  # [K, 3]
        items = self.unbounded(output, noise_set[:, self.z_global + 3], index)
        items = self.limits(items, torch.ones_like(items[:, 0]), index, n_sets)
        items = self.calibrated(items, index, n_sets)
        items = items[by_set_and_pt(items[:, 2], index)]
        nothing = torch.zeros(items.size(0), 0, dtype=torch.int64, device=items.device)
        origin = torch.full([items.size(0)], -1, dtype=torch.int64, device=items.device)
        pt, eta = self.jet_pt(noise_set[:, self.z_global + 1]), self.jet_eta(noise_set[:, self.z_global + 2])
        return items, nothing, slot_offsets, origin, torch.stack([pt, eta], 1)


class EpicDiscriminator(nn.Module):
    """Judges batches of jets of one multiplicity, standardised [B, N, 3] -> [B, 1]."""

    def __init__(self, hidden: int = 128, layers: int = 3, wide: int = 10, depth: int = 2) -> None:
        super().__init__()
        self.local_1 = NormedLinear(3, hidden)
        self.local_2 = NormedLinear(hidden, hidden)
        self.global_1 = NormedLinear(2 * hidden, hidden)
        self.global_2 = NormedLinear(hidden, wide)
        self.layers = nn.ModuleList([EpicLayer(hidden, wide, depth) for _ in range(layers)])
        self.leave_1 = NormedLinear(2 * hidden + wide, hidden)
        self.leave_2 = NormedLinear(hidden, hidden)
        self.leave_3 = NormedLinear(hidden, 1)

    def forward(self, jets: Tensor) -> Tensor:
        n_sets, equal = jets.size(0), jets.size(1)
        counts = torch.full([n_sets], float(equal), device=jets.device)  # [B]
        index = torch.zeros(0, dtype=torch.int64, device=jets.device)  # not used: all sets are equal
        local = leaky(self.local_1(jets.reshape(n_sets * equal, 3)))  # [B N, H]
        local = leaky(self.local_2(local) + local)
        wide = leaky(self.global_2(leaky(self.global_1(pooled(local, index, counts, equal)))))  # [B, W]
        for layer in self.layers:
            wide, local = layer(wide, local, index, counts, equal)
        seen = torch.cat([pooled(local, index, counts, equal), wide], 1)  # [B, 2 H + W]
        seen = leaky(self.leave_1(seen))  # [B, H]
        return self.leave_3(leaky(self.leave_2(seen) + seen))
