# SPDX-License-Identifier: MIT
"""Coordinates of the phase space of pp -> t tbar -> (q qbar' b)(q qbar' bbar): sixteen numbers, all nearly normal.

Three-momenta of six particles of fixed masses are eighteen numbers; at leading order the pair has no transverse
momentum, and sixteen are left:

    0 m_t   1 m_tbar   2 m_W+   3 m_W-        through the arctan map of a Breit-Wigner
    4 ln(m_tt / (m_t + m_tbar) - 1)   5 rapidity of the pair over the largest that its mass allows
    6 cos theta, 7 phi of the top in the pair's rest frame
    8 cos theta, 9 phi of the W+ in the top's frame;    10, 11 of its quark in the W's frame
    12, 13, 14, 15 the same of the antitop

Frames follow from each other by a boost along z and a rotation that takes z to the particle's direction (helicity
frames), so that spin correlations are simple functions. Whatever the numbers, masses are on shell, momenta balance,
and all phase-space boundaries are kept.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

N_COORDINATES = 16
ANGLES = (7, 9, 11, 13, 15)  #: the coordinates that are azimuths
E_CM = 13_000.0  #: GeV
M_B = 4.7  #: GeV
#: masses of the six particles, GeV
MASSES = (0.0, 0.0, M_B, 0.0, 0.0, M_B)
#: normal numbers beyond are held: probability 3e-7
FARTHEST = 5.1


def two_body(mass: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Momentum [B] of the products of a decay mass -> first second, in its rest frame; 0 below threshold."""
    return torch.sqrt(
        ((mass - first - second) * (mass - first + second) * (mass + first - second) * (mass + first + second)).clamp(
            min=0.0
        )
    ) / (2.0 * mass)


def rotate(p: Tensor, cosine: Tensor, phi: Tensor) -> Tensor:
    """Four-momenta p [B, K, 4] (px, py, pz, E) turned such that z becomes the direction (cosine [B], phi [B])."""
    sine = torch.sqrt((1.0 - cosine * cosine).clamp(min=0.0))
    c, s = torch.cos(phi)[:, None], torch.sin(phi)[:, None]  # [B, 1]
    u, v = cosine[:, None], sine[:, None]
    x, y, z, e = p.unbind(2)  # [B, K]
    across, along = u * x + v * z, u * z - v * x
    return torch.stack([c * across - s * y, s * across + c * y, along, e], 2)


def unrotate(p: Tensor, cosine: Tensor, phi: Tensor) -> Tensor:
    """Inverse of ``rotate``."""
    sine = torch.sqrt((1.0 - cosine * cosine).clamp(min=0.0))
    c, s = torch.cos(phi)[:, None], torch.sin(phi)[:, None]
    u, v = cosine[:, None], sine[:, None]
    x, y, z, e = p.unbind(2)
    across, side = c * x + s * y, c * y - s * x
    return torch.stack([u * across - v * z, side, v * across + u * z, e], 2)


def boost_z(p: Tensor, sinh: Tensor) -> Tensor:
    """p [B, K, 4] boosted along z by the velocity of momentum over mass ``sinh`` [B]."""
    s = sinh[:, None]
    c = torch.sqrt(1.0 + s * s)
    x, y, z, e = p.unbind(2)
    return torch.stack([x, y, c * z + s * e, c * e + s * z], 2)


def boost_xy(p: Tensor, u: Tensor) -> Tensor:
    """p [B, K, 4] boosted across z by the velocity of momentum over mass u [B, 2]."""
    gamma = torch.sqrt(1.0 + u.square().sum(1, keepdim=True))  # [B, 1]
    e = p[:, :, 3]
    along = (p[:, :, :2] * u[:, None]).sum(2)  # [B, K]
    across = p[:, :, :2] + u[:, None] * (e + along / (1.0 + gamma))[:, :, None]
    return torch.cat([across, p[:, :, 2:3], (gamma * e + along)[:, :, None]], 2)


def direction(p: Tensor) -> tuple[Tensor, Tensor]:
    """cos theta [B] and phi [B] of p [B, 4]."""
    length = torch.sqrt(p[:, :3].square().sum(1)).clamp(min=1e-12)
    return p[:, 2] / length, torch.atan2(p[:, 1], p[:, 0])


def mass_of(p: Tensor) -> Tensor:
    """Invariant mass [B] of p [B, 4]."""
    return torch.sqrt((p[:, 3].square() - p[:, :3].square().sum(1)).clamp(min=1e-9))


def to_unit(t: Tensor) -> Tensor:
    """Standard normal numbers to (0, 1)."""
    return 0.5 + 0.5 * torch.erf(t * math.sqrt(0.5))


def from_unit(u: Tensor) -> Tensor:
    """(0, 1) to standard normal numbers; the ends are held at FARTHEST."""
    far = FARTHEST
    return (math.sqrt(2.0) * torch.erfinv((2.0 * u - 1.0).clamp(-1.0 + 1e-15, 1.0 - 1e-15))).clamp(-far, far)


def arctan_map(u: Tensor, low: Tensor, high: Tensor, mass: Tensor, width: Tensor) -> Tensor:
    """(0, 1) to invariant masses in (low, high): uniform numbers become a Breit-Wigner (seed 002, "remapping").

    z = arctan((s - m^2) / (m Gamma)) is linear in u.
    """
    scale = mass * width
    below = torch.atan((low * low - mass * mass) / scale)
    above = torch.atan((high * high - mass * mass) / scale)
    s = mass * mass + scale * torch.tan(below + u * (above - below))
    return torch.minimum(torch.maximum(torch.sqrt(s.clamp(min=0.0)), low), high)


def arctan_unmap(found: Tensor, low: Tensor, high: Tensor, mass: Tensor, width: Tensor) -> Tensor:
    """Inverse of ``arctan_map``."""
    scale = mass * width
    below = torch.atan((low * low - mass * mass) / scale)
    above = torch.atan((high * high - mass * mass) / scale)
    return (torch.atan((found * found - mass * mass) / scale) - below) / (above - below)


class TopPairs(nn.Module):
    """The map between coordinates t [B, 16] and momenta p [B, 6, 4] (px, py, pz, E in GeV). ``fit`` it to a sample."""

    def __init__(self) -> None:
        super().__init__()
        self.e_cm, self.m_b = E_CM, M_B
        self.register_buffer("peak", torch.tensor([[173.0, 1.49], [80.4, 2.05]]))  # [2, 2] mass, width of t, W
        self.register_buffer("limits", torch.tensor([[90.0, 300.0], [10.0, 200.0]]))  # [2, 2] least, largest of t, W
        self.register_buffer("excess", torch.tensor([-1.0, 1.0]))  # [2] mean, spread of coordinate 4
        self.register_buffer("shell", torch.tensor(MASSES))  # [6]

    def fit(self, p: Tensor) -> None:
        """Peaks (median, and quartiles: those of a Breit-Wigner are a width apart), limits and scale of a sample."""
        t, w = self._tops(p)
        for k, m in enumerate((torch.cat([mass_of(q) for q in t]), torch.cat([mass_of(q) for q in w]))):
            low, middle, high = torch.quantile(m[:1_000_000], m.new_tensor([0.25, 0.5, 0.75])).tolist()
            self.peak[k] = torch.tensor([middle, high - low])
            self.limits[k] = torch.tensor([float(m.min()) - 0.1, float(m.max()) + 0.1])
        pair = p.sum(1)
        raw = torch.log(mass_of(pair) / (mass_of(t[0]) + mass_of(t[1])) - 1.0)
        self.excess.copy_(torch.stack([raw.mean(), raw.std()]))

    def _tops(self, p: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Sums [B, 4] of the top, the antitop, and of the W+, the W-."""
        w = [p[:, 0:2].sum(1), p[:, 3:5].sum(1)]
        return [w[0] + p[:, 2], w[1] + p[:, 5]], w

    def decode(self, t: Tensor) -> Tensor:
        """Coordinates t [B, 16] to momenta p [B, 6, 4]."""
        u = to_unit(t)  # [B, 16]
        one = torch.ones_like(u[:, 0])
        m_t, width_t, m_w, width_w = self.peak[0, 0], self.peak[0, 1], self.peak[1, 0], self.peak[1, 1]
        low_t, high_t = self.limits[0, 0] * one, self.limits[0, 1] * one
        top = [arctan_map(u[:, k], low_t, high_t, m_t, width_t) for k in range(2)]
        low_w = self.limits[1, 0] * one
        high_w = [torch.minimum(self.limits[1, 1] * one, top[k] - self.m_b - 0.01) for k in range(2)]
        boson = [arctan_map(u[:, 2 + k], low_w, high_w[k], m_w, width_w) for k in range(2)]
        return self.build(top, boson, t[:, 4:], torch.zeros_like(t[:, :2]))

    def build(self, top: list[Tensor], boson: list[Tensor], t: Tensor, pt: Tensor) -> Tensor:
        """Momenta p [B, 6, 4] of masses [B] of the tops and of the W bosons (two each, in GeV), of the coordinates from
        4 on t [B, 12], and of the pair's transverse momentum [B, 2] in GeV."""
        u = to_unit(t)  # [B, 12]
        one = torch.ones_like(top[0])
        threshold = top[0] + top[1]
        excess = torch.exp(self.excess[0] + self.excess[1] * t[:, 0])
        m_tt = torch.minimum(threshold * (1.0 + excess), 0.999 * self.e_cm * one)
        rapidity = (2.0 * u[:, 1] - 1.0) * torch.log(self.e_cm / m_tt)
        momentum = two_body(m_tt, top[0], top[1])
        cosine, phi = 2.0 * u[:, 2] - 1.0, math.pi * (2.0 * u[:, 3] - 1.0)
        sides: list[Tensor] = []
        for k in range(2):
            c_w, phi_w = 2.0 * u[:, 4 + 4 * k] - 1.0, math.pi * (2.0 * u[:, 5 + 4 * k] - 1.0)
            c_q, phi_q = 2.0 * u[:, 6 + 4 * k] - 1.0, math.pi * (2.0 * u[:, 7 + 4 * k] - 1.0)
            p_w = two_body(top[k], boson[k], self.m_b * one)
            half = 0.5 * boson[k]
            zero = torch.zeros_like(half)
            quarks = torch.stack(
                [torch.stack([zero, zero, half, half], 1), torch.stack([zero, zero, -half, half], 1)], 1
            )
            quarks = boost_z(rotate(quarks, c_q, phi_q), p_w / boson[k])  # [B, 2, 4] in the top's frame, W along z
            b = torch.stack([zero, zero, -p_w, torch.sqrt(p_w * p_w + self.m_b * self.m_b)], 1)  # [B, 4]
            side = rotate(torch.cat([quarks, b[:, None]], 1), c_w, phi_w)  # [B, 3, 4]
            side = boost_z(side, momentum / top[k])
            sides.append(rotate(side, cosine if k == 0 else -cosine, phi if k == 0 else phi + math.pi))
        p = boost_xy(torch.cat(sides, 1), pt / m_tt[:, None])
        return boost_z(p, torch.sinh(rapidity))

    def encode(self, p: Tensor) -> Tensor:
        """Inverse of ``decode`` for a sample in double precision: p [B, 6, 4] whose transverse momenta balance."""
        tops, bosons = self._tops(p)
        peak, limits = self.peak.to(p.dtype), self.limits.to(p.dtype)
        m_t, m_w = [mass_of(q) for q in tops], [mass_of(q) for q in bosons]
        one = torch.ones_like(m_t[0])
        u = [arctan_unmap(m, limits[0, 0] * one, limits[0, 1] * one, peak[0, 0], peak[0, 1]) for m in m_t]
        for k in range(2):
            high = torch.minimum(limits[1, 1] * one, m_t[k] - self.m_b - 0.01)
            u.append(arctan_unmap(m_w[k], limits[1, 0] * one, high, peak[1, 0], peak[1, 1]))
        pair = p.sum(1)  # [B, 4]
        m_tt = mass_of(pair)
        excess = (torch.log(m_tt / (m_t[0] + m_t[1]) - 1.0) - self.excess[0]) / self.excess[1]
        sinh = pair[:, 2] / m_tt
        rest = boost_z(p, -sinh)
        cosine, phi = direction(rest[:, 0:3].sum(1))
        found = [torch.asinh(sinh) / torch.log(self.e_cm / m_tt), cosine, phi / math.pi]
        momentum = two_body(m_tt, m_t[0], m_t[1])
        for k in range(2):
            side = rest[:, 3 * k : 3 * k + 3]
            side = unrotate(side, cosine if k == 0 else -cosine, phi if k == 0 else phi + math.pi)
            side = boost_z(side, -momentum / m_t[k])
            c_w, phi_w = direction(side[:, 0:2].sum(1))
            quarks = unrotate(side, c_w, phi_w)[:, 0:2]
            quarks = boost_z(quarks, -two_body(m_t[k], m_w[k], self.m_b * one) / m_w[k])
            c_q, phi_q = direction(quarks[:, 0])
            found += [c_w, phi_w / math.pi, c_q, phi_q / math.pi]
        units = torch.stack(u + [0.5 * (1.0 + value) for value in found], 1)  # all but coordinate 4
        t = from_unit(units)
        far = FARTHEST
        return torch.cat([t[:, :4], excess.clamp(-far, far)[:, None], t[:, 4:]], 1)
