# SPDX-License-Identifier: MIT
"""The generator ``jets``: constituents one after the other in falling pT, each drawn once, O(N).

After the jet as a whole (``JetChain``), constituent i is drawn from its density given those before: its pT relative to
the last one, then its place. What came before is known to the network as exact sums (pT, momentum and mass that are
still to come, second moments, number left), as the leading and the last constituents, and as running pools of learnt
features, the causal form of an EPiC layer (arXiv:2301.08128). All steps of a training jet are independent given the
true constituents: no recurrence, one pass. Components of the mixture of places sit on the leading constituents, where
radiation is.

Places are (eta_rel, phi_rel) whose distance from the axis is mapped so that constituents are about normal: the edge of
anti-kT jets is far out there. What the network sees has the core drawn out; the mixture lives in a plane that is flat
at the axis, for else soft constituents, which are about uniform, have a hole there that no few normals follow.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from training.networks.jet_chain import N_CLASSES, JetChain, mixture_draw, plane_draw
from training.networks.jet_share import MassShare
from training.networks.segments import lengths_to_index

ANCHORS = 6  #: leading constituents that components of the mixture sit on
FREE = 8  #: further components of places
PT_COMPONENTS = 6
STEP = 2e-3  #: added to log(pt[i-1]/pt[i]) before its logarithm
MOMENTS = 8  #: running sums: pT, px, py, pz, E, and pT times eta^2, phi^2, eta phi
_MASSLESS = 1.15  #: of the jet's squared mass, what constituents may reach while they are drawn: a few per cent do
FLAT = 0.08  #: distance from the axis below which the plane of the mixture is flat
_LEAST = 0.02  # of a constituent's pT, what those after it have together at least
_PT_BINS, _PT_WIDTH = 56, 0.25  # of log pt_rel, from 0 down
LARGEST = 150  #: constituents of a jet, at most
NOISE_SET, NOISE_SLOT = 4, 5
_ABOUT = 4 + N_CLASSES + 16 + 3 * ANCHORS + 6


class CausalExchange(nn.Module):
    """One layer: steps learn from running pools, over the steps before and by pT, of learnt features; residual."""

    def __init__(self, hidden: int, pooled: int) -> None:
        super().__init__()
        self.give = nn.Linear(hidden, pooled)
        self.take = nn.Linear(hidden + 2 * pooled, hidden)
        self.own = nn.Linear(hidden, hidden)

    def features(self, h: Tensor) -> Tensor:
        return leaky_relu(self.give(h), 0.1)

    def update(self, h: Tensor, mean: Tensor, weighted: Tensor) -> Tensor:
        inner = leaky_relu(self.take(torch.cat([h, mean.to(h.dtype), weighted.to(h.dtype)], -1)), 0.1)
        return h + self.own(inner)


class Radius(nn.Module):
    """The map of distances from the axis, r to s, by a table; straight lines between."""

    def __init__(self, knots: int = 200) -> None:
        super().__init__()
        self.register_buffer("r", torch.linspace(0.0, 1.0, knots + 1))
        self.register_buffer("s", torch.linspace(0.0, 1.0, knots + 1))

    def fit(self, distance: Tensor, width: float = 0.35) -> None:
        """Make constituents at these distances [T] a two-dimensional normal of spread ``width``."""
        ordered = distance.sort().values.double()
        share = torch.linspace(0.0, 1.0, self.r.numel(), dtype=torch.float64)
        share = torch.cat([share[:-1], share.new_tensor([1.0 - 1e-6])])
        r = ordered[(share * (len(ordered) - 1)).round().long()]
        s = width * torch.sqrt(-2.0 * torch.log1p(-share))
        r[0], r[-1] = 0.0, ordered[-1]
        r = torch.cummax(r + 1e-6 * torch.arange(len(r)), 0).values
        self.r.copy_(r)
        self.s.copy_(s)

    def flatten(self, other: Radius, flat: float) -> None:
        """Become the map ``other``, but proportional to the distance where that is well below ``flat``."""
        self.r.copy_(other.r)
        self.s.copy_(other.s * torch.sqrt(other.r / (other.r + flat)))

    def _map(self, x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
        k = torch.bucketize(x, knots[1:-1])
        return values[k] + (x - knots[k]) * (values[k + 1] - values[k]) / (knots[k + 1] - knots[k])

    def forward(self, eta: Tensor, phi: Tensor) -> tuple[Tensor, Tensor]:
        """(eta, phi) to the plane of the mixture."""
        r = torch.sqrt(eta * eta + phi * phi + 1e-12)
        factor = self._map(torch.minimum(r, self.r[-1]), self.r, self.s) / r
        return eta * factor, phi * factor

    def inverse(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        s = torch.sqrt(x * x + y * y + 1e-12)
        factor = self._map(torch.minimum(s, self.s[-1]), self.s, self.r) / s
        return x * factor, y * factor


class JetGenerator(nn.Module):
    """Jets of one class (``kind``), of three in training. ``forward`` follows the model contract.

    Conditions: jet_pt [GeV], jet_eta, jet_mass [GeV], and the number of leading constituents that are wanted;
    MISSING where a number is to be drawn, or all constituents (up to 150) are wanted.
    """

    def __init__(self, hidden: int = 128, pooled: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.pooled, self.n_layers = pooled, layers
        self.noise_set, self.noise_slot = NOISE_SET, NOISE_SLOT
        self.n_classes, self.anchors, self.free, self.largest = N_CLASSES, ANCHORS, FREE, LARGEST
        self.step, self.moments = STEP, MOMENTS
        self.pt_bins, self.pt_width, self.massless, self.least = _PT_BINS, _PT_WIDTH, _MASSLESS, _LEAST
        self.chain = JetChain()
        self.radius = Radius()  # of what the network sees
        self.plane = Radius()  # of the mixture of places
        self.share = MassShare(N_CLASSES)
        self.enter = nn.Linear(_ABOUT, hidden)
        self.layers = nn.ModuleList([CausalExchange(hidden, pooled) for _ in range(layers)])
        self.pt_head = nn.Sequential(nn.Linear(hidden, 64), nn.SiLU(), nn.Linear(64, 3 * PT_COMPONENTS))
        self.place_head = nn.Sequential(
            nn.Linear(hidden + 3, hidden), nn.SiLU(), nn.Linear(hidden, 6 * (ANCHORS + 1 + FREE))
        )
        for head in (self.pt_head, self.place_head):
            nn.init.normal_(head[-1].weight, std=0.02)
            nn.init.zeros_(head[-1].bias)
        self.register_buffer("kind", torch.zeros([], dtype=torch.int64))
        self.register_buffer("log_pt_floor", torch.tensor(math.log(1e-6)))
        self.register_buffer("reach", torch.full([_PT_BINS], 3.3))  # largest distance from the axis, by log pt
        self.register_buffer("highest", torch.zeros(N_CLASSES, LARGEST))  # largest log pt by class and place in the jet
        self.register_buffer("phi_reach", torch.tensor(1.2))  # largest |phi_rel|
        self.register_buffer("pt_centre", torch.tensor([-5.5, -4.5, -3.5, -2.5, -1.5, 0.0]))
        self.register_buffer("pt_scale", torch.tensor([0.5, 0.5, 0.5, 0.6, 0.7, 1.0]))
        sizes = [0.05] * (ANCHORS + 1) + [0.05, 0.1, 0.2, 0.3, 0.3, 0.4, 0.5, 0.7]
        self.register_buffer("place_scale", torch.tensor(sizes))

    def about(self, jet: Tensor, label: Tensor, left: Tensor, step: Tensor, sums: Tensor, last: Tensor,
              anchors: Tensor) -> Tensor:  # fmt: skip
        """What is known before a constituent is drawn, [N, _ABOUT].

        jet [N, 4] standardised; label i64 [N]; left [N]: constituents to come, this one included; step [N]: those
        before; sums [N, MOMENTS] over those; last [N, 6]: log pt and place of the last two; anchors [N, 3 ANCHORS]: pt
        and place of the leading ones, zeros where there is none yet.
        """
        kind = torch.nn.functional.one_hot(label, self.n_classes).to(jet.dtype)
        pt, px, py, pz, energy = sums[:, 0], sums[:, 1], sums[:, 2], sums[:, 3], sums[:, 4]
        rest = (1.0 - px).clamp(min=1e-6)  # pT to come, along the axis
        square = (energy * energy - px * px - py * py - pz * pz).clamp(min=0.0)  # (mass / pT)^2 so far
        target = self.target(jet, label)  # [N]
        mean_pt = torch.log(rest / left)
        numbers = [
            torch.log(rest) + 1.0,
            rest,
            pt,
            mean_pt - last[:, 0],
            0.3 * (mean_pt + 4.0),
            torch.log(left) - 3.0,
            left / 50.0,
            torch.log1p(step) - 2.0,
            step / 50.0,
            (-py / rest).clamp(-1.5, 1.5),
            (-pz / rest).clamp(-1.5, 1.5),
            0.3 * torch.log((square + 1e-5) / (target + 1e-5)),
            (5.0 * (target - square) / (rest + 0.02)).clamp(-3.0, 3.0),
            40.0 * sums[:, 5],
            40.0 * sums[:, 6],
            40.0 * sums[:, 7],
        ]
        shown = torch.stack(numbers, 1)
        places = 3.0 * torch.cat([last[:, 1:3], last[:, 4:6]], 1)
        return torch.cat([jet, kind, shown, anchors, 0.4 * last[:, 0:1] + 1.5, 0.4 * last[:, 3:4] + 1.5, places], 1)

    def centres(self, leading: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Where the components of the mixture of places sit, x and y [N, K]: leading ones [N, 2, ANCHORS], the last one
        [N, 2], the axis; all in the plane of the mixture."""
        nothing = torch.zeros(last.size(0), self.free, dtype=last.dtype, device=last.device)
        x = torch.cat([leading[:, 0], last[:, 0:1], nothing], 1)
        y = torch.cat([leading[:, 1], last[:, 1:2], nothing], 1)
        return x, y

    def place_parameters(self, h: Tensor, log_pt: Tensor, step: Tensor) -> Tensor:
        """Parameters of the mixture of places, given the step h [N, H] and the pT drawn in it: [N, 6 K]."""
        shown = torch.stack([0.4 * log_pt + 1.5, torch.exp(log_pt), step], 1)  # [N, 3]
        return self.place_head(torch.cat([h, shown.to(h.dtype)], 1)).float()

    def next_pt(self, log_pt: Tensor, gap: Tensor, rest: Tensor, left: Tensor) -> Tensor:
        """log pT of a constituent from that before and the drawn u = log(log ratio + STEP).

        All constituents add up to the jet's pT: none has so much that too little is left for those to come (it is
        reflected there), nor less than an equal share of the rest.
        """
        drawn = log_pt - (torch.exp(gap.clamp(max=2.5)) - self.step).clamp(min=0.0)
        most = torch.log(rest / (1.0 + self.least * (left - 1.0).clamp(max=1.0)))
        drawn = torch.maximum(torch.minimum(drawn, 2.0 * most - drawn), torch.log(rest / left))
        return torch.maximum(torch.minimum(drawn, log_pt), self.log_pt_floor)

    def pt_bin(self, log_pt: Tensor) -> Tensor:
        return (-log_pt / self.pt_width).to(torch.int64).clamp(0, self.pt_bins - 1)

    def fit_reach(self, log_pt: Tensor, distance: Tensor) -> None:
        """The largest distance from the axis, of constituents [T] at least as hard: slow, heavy particles alone are far
        outside of R, since their pseudorapidity is not their rapidity."""
        farthest = torch.zeros_like(self.reach).scatter_reduce(0, self.pt_bin(log_pt), distance, "amax")
        self.reach.copy_(farthest.cummax(0).values)

    def fit_limits(self, features: Tensor, offsets: Tensor, label: Tensor) -> None:
        """What no training jet exceeds: constituents [T, 3], offsets i64 [B + 1], label i64 [B]."""
        log_pt = torch.log(features[:, 2].clamp(min=1e-7))
        self.fit_reach(log_pt, torch.hypot(features[:, 0], features[:, 1]))
        self.phi_reach.copy_(features[:, 1].abs().max())
        counts = offsets.diff()
        place = torch.arange(len(features)) - torch.repeat_interleave(offsets[:-1], counts)  # [T]
        cell = label.repeat_interleave(counts) * self.largest + place
        found = torch.full([self.highest.numel()], -1e9).scatter_reduce(0, cell, log_pt, "amax").view_as(self.highest)
        self.highest.copy_(torch.where(found > -1e8, found, torch.zeros_like(found)).cummin(1).values)

    def target(self, jet: Tensor, label: Tensor) -> Tensor:
        """(mass / pT)^2 of the whole jet [N]."""
        return torch.exp(2.0 * (jet[:, 2] * self.chain.spread[label, 2] + self.chain.mean[label, 2]))

    def within_mass(self, eta: Tensor, phi: Tensor, pt: Tensor, sums: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The place of a constituent [N], moved towards the sum of those before where it would exceed the jet's mass.

        Constituents along a sum leave its m^2 / p as it is, others let it grow: it ends below that of the jet. To a
        sum at rapidity y_s and phi_s, of transverse momentum
        p and mass m, a massless one adds 2 pt (sqrt(p^2 + m^2) cosh(eta - y_s) - p cos(phi - phi_s)) to m^2, which
        grows about as the square of the distance.
        """
        px, py, pz, energy = sums[:, 1], sums[:, 2], sums[:, 3], sums[:, 4]
        p = torch.sqrt(px * px + py * py)
        square = (energy * energy - px * px - py * py - pz * pz).clamp(min=0.0)
        transverse = torch.sqrt(p * p + square)
        y_sum, phi_sum = torch.asinh(pz / transverse.clamp(min=1e-6)), torch.atan2(py, px)
        d_eta, d_phi = eta - y_sum, phi - phi_sum
        least = transverse - p  # added over 2 pt at no distance
        added = transverse * torch.cosh(d_eta) - p * torch.cos(d_phi)
        allowed = (self.massless * target * (p + pt) - square) / (2.0 * pt)
        factor = torch.sqrt(((allowed - least) / (added - least).clamp(min=1e-9)).clamp(0.0, 1.0))
        factor = torch.where(p > 0, factor, torch.ones_like(p))
        return y_sum + factor * d_eta, phi_sum + factor * d_phi

    @torch.jit.export
    def slots(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor) -> Tensor:
        """Constituents of each jet, i64 [B]."""
        label = self.kind.expand(noise_set.size(0))
        count = self.chain(noise_set, conditions[:, :3], label)[1]
        wanted = conditions[:, 3].clamp(max=float(self.largest))
        wanted = torch.where(wanted > 0.5, wanted, torch.full_like(wanted, float(self.largest)))
        return torch.minimum(count, wanted.to(torch.int64))

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
        """The model contract's forward: items [M, 3] eta_rel, phi_rel, pt_rel; scalars [B, 3] pT, eta, mass."""
        n_sets = noise_set.size(0)
        label = self.kind.expand(n_sets)
        jet, count, standard = self.chain(noise_set, conditions[:, :3], label)
        sizes = slot_offsets[1:] - slot_offsets[:-1]  # [B]
        order = torch.argsort(sizes, descending=True, stable=True)
        items = self.draw(standard[order], count[order], label, sizes[order], slot_offsets[:-1][order], noise_slot)
        # complete jets get the mass of real ones; of others the rest is not known
        owner = lengths_to_index(slot_offsets, items.size(0))  # [K]
        factor = self.share.stretch(items, owner, self.target(standard, label), standard[:, 2].contiguous(), label)
        factor = torch.where(sizes >= count.clamp(max=self.largest), factor, torch.ones_like(factor))
        places = items[:, :2] * factor[owner].unsqueeze(1)
        far = torch.sqrt((places * places).sum(1, keepdim=True) + 1e-12)
        items = torch.cat([places * (self.reach.max() / far).clamp(max=1.0), items[:, 2:]], 1)
        none = torch.full([noise_slot.size(0)], -1, dtype=torch.int64, device=noise_slot.device)
        return items, none.unsqueeze(1)[:, :0], slot_offsets, none, jet

    def draw(self, jet: Tensor, count: Tensor, label: Tensor, sizes: Tensor, start: Tensor, noise: Tensor) -> Tensor:
        """Constituents of jets in falling size: items [K, 3] in the order of the noise [K, Zk]; start i64 [B]: first
        slot of each jet."""
        n_sets, device = jet.size(0), jet.device
        items = torch.zeros(noise.size(0), 3, device=device)
        longest = 0
        if n_sets > 0:
            longest = int(sizes[0])
        active = torch.bincount(sizes, minlength=longest + 1).flip(0).cumsum(0).flip(0)  # [longest + 1], jets so long
        numbers: list[int] = active.tolist()
        sums = torch.zeros(n_sets, self.moments, device=device)
        last = torch.zeros(n_sets, 6, device=device)
        anchors = torch.zeros(n_sets, 3 * self.anchors, device=device)
        leading = torch.zeros(n_sets, 2, self.anchors, device=device)  # in the plane of the mixture, as is before
        before = torch.zeros(n_sets, 2, device=device)
        means = torch.zeros(self.n_layers, n_sets, self.pooled, device=device)
        weighted = torch.zeros(self.n_layers, n_sets, self.pooled, device=device)
        pt = torch.zeros(n_sets, 1, device=device)  # of the last constituent
        total = count.to(jet.dtype)
        for i in range(longest):
            n = numbers[i + 1]
            if n < jet.size(0):  # jets that are complete leave
                jet, label, total, start, pt = jet[:n], label[:n], total[:n], start[:n], pt[:n]
                sums, last, anchors, means, weighted = sums[:n], last[:n], anchors[:n], means[:, :n], weighted[:, :n]
                leading, before = leading[:n], before[:n]
            step = torch.full([n], float(i), device=device)
            left = (total - step).clamp(min=1.0)
            h = leaky_relu(self.enter(self.about(jet, label, left, step, sums, last, anchors)), 0.1)
            new_means: list[Tensor] = []
            new_weighted: list[Tensor] = []
            for k, layer in enumerate(self.layers):
                given = layer.features(h)  # [n, pooled]
                mean = means[k] + given
                heavy = weighted[k] + given * pt
                h = layer.update(h, mean / float(i + 1), heavy)
                new_means.append(mean)
                new_weighted.append(heavy)
            means, weighted = torch.stack(new_means), torch.stack(new_weighted)

            z = noise[start + i].to(jet.dtype)  # [n, Zk]
            gap = mixture_draw(z[:, 0], z[:, 1], self.pt_head(h).float(), self.pt_centre, self.pt_scale)
            rest = (1.0 - sums[:, 1]).clamp(min=1e-6)
            log_pt = self.next_pt(last[:, 0], gap, rest, left)
            log_pt = torch.minimum(log_pt, self.highest[label, min(i, self.largest - 1)])
            x0, y0 = self.centres(leading, before)
            parameters = self.place_parameters(h, log_pt, left / 50.0)
            x, y = plane_draw(z[:, 2:], parameters, x0, y0, self.place_scale)
            eta, phi = self.plane.inverse(x, y)
            far = torch.sqrt(eta * eta + phi * phi + 1e-12)
            near = torch.clamp(self.reach[self.pt_bin(log_pt)] / far, max=1.0)
            eta, phi = eta * near, torch.minimum(torch.maximum(phi * near, -self.phi_reach), self.phi_reach)

            pt = torch.exp(log_pt).unsqueeze(1)
            eta, phi = self.within_mass(eta, phi, pt.squeeze(1), sums, self.target(jet, label))
            x, y = self.plane(eta, phi)
            before = torch.stack([x, y], 1)
            if i < self.anchors:
                leading = leading.clone()
                leading[:, :, i] = before
            x, y = self.radius(eta, phi)
            items[start + i] = torch.cat([eta.unsqueeze(1), phi.unsqueeze(1), pt], 1)
            sums = sums + moments(eta, phi, pt.squeeze(1))
            last = torch.cat([log_pt.unsqueeze(1), x.unsqueeze(1), y.unsqueeze(1), last[:, :3]], 1)
            if i < self.anchors:
                anchors = anchors.clone()
                anchors[:, i], anchors[:, self.anchors + i], anchors[:, 2 * self.anchors + i] = (
                    5.0 * pt[:, 0],
                    3.0 * x,
                    3.0 * y,
                )
        return items


def moments(eta: Tensor, phi: Tensor, pt: Tensor) -> Tensor:
    """What is summed of constituents, [..., MOMENTS], in units of the jet's pT and relative to its axis."""
    momentum = torch.stack(
        [pt, pt * torch.cos(phi), pt * torch.sin(phi), pt * torch.sinh(eta), pt * torch.cosh(eta)], -1
    )
    second = torch.stack([pt * eta * eta, pt * phi * phi, pt * eta * phi], -1)
    return torch.cat([momentum, second], -1)
