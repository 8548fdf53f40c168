# SPDX-License-Identifier: MIT
"""Generator and classes of the subtraction GAN (Butter, Plehn, Winterhalder, arXiv:1912.08824).

An event of the generator belongs to one class. Which samples a class is part of, and with which sign it enters base -
subtract + add, is a table:

    class        rate                               in the samples          sign in the result
    remainder    base - all subtract + negative     base                    +
    common k     subtract k (- negative)            base, subtract k        0
    added k      add k                              add k                   +
    negative     negative                           first subtract          -

The last is there only where samples to subtract exceed the base (``Samples.negative`` > 0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from training.data.dipole import Z_MASS
from training.data.subtraction import LEPTON_PT, ROLES, Samples
from training.networks.quantiles import QuantileTables
from training.networks.unfolding import leaky

Output = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]

#: items per event, their codes and columns, by the case of the samples
ITEMS = {"dilepton": (11, -11), "dipole": (23, 21)}


@dataclass(frozen=True)
class Classes:
    """The table above. Data sets are: all base samples together, then each to subtract, then each to add."""

    names: tuple[str, ...]  #: of the K classes
    rates: tuple[float, ...]  #: [K] cross sections
    member: tuple[tuple[float, ...], ...]  #: [n, K] 1 where the class is part of the data set
    signs: tuple[float, ...]  #: [K] sign in the result

    @property
    def sets(self) -> int:
        return len(self.member)


def classes_of(samples: Samples) -> Classes:
    """Classes of a file of samples."""
    subtract = [s for s in samples.samples if s.role == "subtract"]
    add = [s for s in samples.samples if s.role == "add"]
    negative = samples.negative
    names = ["remainder", *(f"common {s.name}" for s in subtract), *(f"added {s.name}" for s in add)]
    rates = [samples.total("base") - samples.total("subtract") + negative]
    rates += [s.sigma - (negative if k == 0 else 0.0) for k, s in enumerate(subtract)] + [s.sigma for s in add]
    signs = [1.0] + [0.0] * len(subtract) + [1.0] * len(add)
    if negative > 0:
        names, rates, signs = [*names, "negative"], [*rates, negative], [*signs, -1.0]
    if min(rates) < 0:
        raise SystemExit(f"classes {names} have rates {rates}: what is subtracted exceeds the base; set 'negative'")
    member = np.zeros((1 + len(subtract) + len(add), len(names)))
    member[0, : 1 + len(subtract)] = 1.0
    for k in range(1, len(member)):
        member[k, k] = 1.0
    if negative > 0:
        member[1, -1] = 1.0
    return Classes(tuple(names), tuple(rates), tuple(map(tuple, member.tolist())), tuple(signs))


def counting(c: Tensor, alpha: float, beta: float = 1.0) -> Tensor:
    """The seed paper's f(c) = exp(-α (max(c)^2 - 1)^{2β}) [N] of class labels c [N, K]: 1 for a clear label."""
    return torch.exp(-alpha * (c.amax(1).square() - 1.0).abs().pow(2.0 * beta))


def class_loss(c: Tensor, alpha: float, beta: float = 1.0) -> Tensor:
    """(1 - <f>)^2: rewards clear labels."""
    return (1.0 - counting(c, alpha, beta).mean()).square()


def normalisation_loss(c: Tensor, member: Tensor, ratios: Tensor, alpha: float, beta: float = 1.0) -> Tensor:
    """Sum over data sets i of (Σ_{c in C_i} f / Σ_{c in C_0} f - σ_i/σ_0)^2; member [n, K], ratios [n] = σ_i/σ_0.

    An event is in C_i if its largest label is a class of data set i.
    """
    belongs = member[:, c.argmax(1)]  # [n, N]
    sums = (belongs * counting(c, alpha, beta)).sum(1)  # [n]
    return (sums / sums[0].clamp(min=1e-6) - ratios).square().sum()


def sliced_energy(fake: Tensor, weight: Tensor, real: Tensor, directions: Tensor) -> Tensor:
    """Energy distance 2<|x - y|> - <|x - x'|> - <|y - y'|> of projections, averaged over directions [P, D].

    fake [N, D] with weights [N] of sum 1, real [M, D]. In one dimension it is 2 ∫ (F - G)^2, by sorting. Pairs of an
    event with itself are left out of <|x - x'|>: the gradient has no bias from the size of the batch.
    """
    z, order = torch.cat([fake @ directions.T, real @ directions.T]).sort(0)  # [N + M, P]
    ours = torch.cat([weight, torch.zeros_like(real[:, 0])])[order].cumsum(0)[:-1]  # F, [N + M - 1, P]
    theirs = torch.cat([torch.zeros_like(weight), torch.full_like(real[:, 0], 1.0 / len(real))])[order].cumsum(0)[:-1]
    gap = z.diff(dim=0)
    squares = weight.square().sum()
    own = (ours * (1.0 - ours) * gap).sum(0)
    return 2.0 * (((ours - theirs).square() * gap).sum(0) - squares / (1.0 - squares) * own).mean()


class Judge(nn.Module):
    """Discriminator: logit of coordinates u [N, D], which it also sees as sines and cosines of several frequencies.

    Narrow structures, a peak or an edge, are out of reach for a small network of u alone (arXiv:2006.10739).
    """

    def __init__(self, dim: int, hidden: int, layers: int, octaves: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2.0 ** torch.arange(octaves))
        self.net = leaky(dim * (1 + 2 * octaves), hidden, 1, layers)

    def forward(self, u: Tensor) -> Tensor:
        waves = (u[:, :, None] * self.frequencies).flatten(1)  # [N, D octaves]
        return self.net(torch.cat([u, torch.sin(waves), torch.cos(waves)], 1))[:, 0]


class SubtractionGan(nn.Module):
    """Normal noise (and a class, where it is drawn) to coordinates of phase space, and to the contract's events.

    ``learnt``: the network also gives the class labels, as in the paper; else the class is drawn with the rates that
    the cross sections say, and given to the network.

    The contract's condition ``sample`` says what is generated: 0 the result, 1 the base, then the samples to subtract
    and to add. Learnt classes that are not part of it leave no items.
    """

    def __init__(self, samples: Samples, hidden: int, layers: int, learnt: bool) -> None:
        super().__init__()
        found = classes_of(samples)
        self.dim, self.n_classes, self.learnt, self.case = len(samples.columns), len(found.names), learnt, samples.case
        self.n_noise = self.dim + 2
        self.items = len(ITEMS.get(samples.case, (0,)))
        self.z_mass, self.lepton_pt = Z_MASS, LEPTON_PT
        #: tables of all samples together, of the base, of each sample to subtract and to add
        self.quantiles = QuantileTables(1 + found.sets, self.dim)
        width = self.n_noise + (0 if learnt else self.n_classes)
        self.net = leaky(width, hidden, self.dim + (self.n_classes if learnt else 0), layers)
        rates, member, signs = (torch.tensor(v, dtype=torch.float64) for v in (found.rates, found.member, found.signs))
        chosen = torch.cat([(signs != 0).double()[None], member])  # [1 + n, K] what each request contains
        share = (chosen * rates).cumsum(1) / (chosen * rates).sum(1, keepdim=True)  # [1 + n, K]
        share[share > 1.0 - 1e-9] = 2.0  # rounding must not reach behind the last
        own = [1, *range(2, found.sets + 1), 2][: self.n_classes]  # what is negative is part of the first to subtract
        self.register_buffer("table", torch.tensor([0] * self.n_classes if learnt else own))
        self.register_buffer("rates", rates.float())
        self.register_buffer("member", member.float())
        self.register_buffer("signs", signs.float())
        self.register_buffer("chosen", chosen > 0)
        self.register_buffer("share", share.float())

    def fit(self, samples: Samples) -> None:
        """Quantiles of all samples together, each with the same weight, and of each data set.

        A class that is drawn has those of a data set that it is most of: two lobes with a gap become a single one,
        which a smooth map of normal noise can fill.
        """
        n = min(len(x) for x in samples.events)
        self.quantiles.fit([np.concatenate([x[:n] for x in samples.events]), *data_sets(samples)])

    def values(self, u: Tensor, which: Tensor) -> Tensor:
        """Normal numbers u [N, D] of classes which i64 [N] to coordinates of phase space [N, D]."""
        return self.quantiles(u, self.table[which])

    def generate(self, noise: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """noise [N, Z], classes which i64 [N] -> normal numbers u [N, D], see ``values``, and class labels [N, K]."""
        label = torch.nn.functional.one_hot(which, self.n_classes).to(noise.dtype)  # [N, K]
        if self.learnt:
            out = self.net(noise)
            return noise[:, : self.dim] + out[:, : self.dim], torch.softmax(out[:, self.dim :], 1)
        return noise[:, : self.dim] + self.net(torch.cat([noise, label], 1)), label

    def decode(self, x: Tensor, angle: Tensor) -> Tensor:
        """Coordinates x [N, D] and azimuth [N] to items [N, I, G]: (x) of a toy, else (pt, eta, phi, mass)."""
        if self.case == "dilepton":
            mass, y = torch.exp(x[:, 0]), x[:, 1]
            largest = torch.sqrt((1.0 - (2.0 * self.lepton_pt / mass) ** 2).clamp(min=1e-12))
            half = torch.atanh((x[:, 2] * largest).clamp(-0.999999, 0.999999))
            pt = 0.5 * mass / torch.cosh(half)
            eta, heavy = torch.stack([y + half, y - half], 1), torch.zeros_like(x[:, :2])  # [N, 2]
            pt = torch.stack([pt, pt], 1)
        elif self.case == "dipole":
            gluon_pt = torch.exp(x[:, 0])
            longitudinal = torch.sqrt(gluon_pt * gluon_pt + self.z_mass**2) * torch.sinh(x[:, 2])
            pt = torch.stack([gluon_pt, gluon_pt], 1)
            eta = torch.stack([torch.asinh(longitudinal / gluon_pt), x[:, 1]], 1)  # Z, gluon
            heavy = torch.stack([torch.full_like(gluon_pt, self.z_mass), torch.zeros_like(gluon_pt)], 1)
        else:
            return x[:, :, None]
        phi = torch.stack([angle, torch.where(angle > 0, angle - math.pi, angle + math.pi)], 1)
        return torch.stack([pt, eta, phi, heavy], 2)

    def forward(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor,
                slot_offsets: Tensor, noise_slot: Tensor) -> Output:  # fmt: skip
        request = conditions[:, 0].round().long().clamp(0, self.share.shape[0] - 1)  # [B]
        uniform = torch.special.ndtr(noise_set[:, self.n_noise :])  # [B, 2]
        which = (uniform[:, :1] > self.share[request]).sum(1).clamp(max=self.n_classes - 1)  # [B]
        u, label = self.generate(noise_set[:, : self.n_noise], which)
        which = label.argmax(1)
        kept = self.chosen[request, which]  # [B], false for learnt classes alone
        items = self.decode(self.values(u, which), math.pi * (2.0 * uniform[:, 1] - 1.0))[kept]  # [B', I, G]
        count = torch.where(kept, self.items, 0)
        code = torch.tensor([0], device=offsets.device)
        if self.case == "dilepton":
            code = torch.tensor([11, -11], device=offsets.device)
        elif self.case == "dipole":
            code = torch.tensor([23, 21], device=offsets.device)
        item_codes = code.repeat(items.shape[0])[:, None]
        sign = torch.where(request == 0, self.signs[which], torch.ones_like(self.signs[which]))
        return (
            items.flatten(0, 1),
            item_codes,
            torch.cat([count.new_zeros(1), count.cumsum(0)]),
            torch.full_like(item_codes[:, 0], -1),
            torch.stack([sign * kept.to(sign.dtype), which.to(sign.dtype)], 1),
        )


def mixture(samples: Samples, roles: tuple[str, ...], n: int, rng: np.random.Generator) -> np.ndarray:
    """``n`` events [n, D] of all samples of these roles together, in proportion to their cross sections."""
    chosen = [(s.sigma, x) for s, x in zip(samples.samples, samples.events) if s.role in roles]
    sigmas = np.array([sigma for sigma, _ in chosen])
    counts = rng.multinomial(n, sigmas / sigmas.sum())
    return np.concatenate([x[rng.integers(len(x), size=count)] for count, (_, x) in zip(counts, chosen)])


def data_sets(samples: Samples) -> list[np.ndarray]:
    """Events of each data set: all base samples in proportion, then each to subtract, then each to add."""
    n = max(len(x) for x in samples.events)
    bases = [x for s, x in zip(samples.samples, samples.events) if s.role == "base"]
    base = bases[0] if len(bases) == 1 else mixture(samples, ("base",), n, np.random.default_rng(2))
    return [base] + [x for role in ROLES[1:] for s, x in zip(samples.samples, samples.events) if s.role == role]
