# SPDX-License-Identifier: MIT
"""Generator and discriminator of arXiv:1907.03764 for top pairs at parton level, with three kinds of output.

    momenta   eighteen momentum components in units of SCALE, as in the paper
    decays    eighteen coordinates of the same phase space that follow the decays: four masses, each as
              2 ln(m / 100 GeV), the coordinates 4 to 15 of ``TopPairs`` and the pair's transverse momentum
    arctan    the sixteen coordinates of ``TopPairs``: masses through the arctan map of a Breit-Wigner whose position
              and width are known, transverse momentum zero

Of ``decays`` and ``momenta`` none knows where a mass peaks, how wide the peak is, or that the pair has no transverse
momentum: that is left to learn. In ``decays`` a mass is a number of its own, in ``momenta`` a small difference of large
ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from training.mmd import invariant_mass
from training.networks.partons import PartonGenerator
from training.networks.top_pairs import ANGLES, N_COORDINATES, TopPairs, mass_of, to_unit

LATENT = 18
SCALE = 450.0  #: GeV, unit of momenta inside the networks
MASS_SCALE = 100.0  #: GeV, unit of masses in the output ``decays``
PT_SCALE = 100.0  #: GeV, unit of the pair's transverse momentum in the output ``decays``
#: GeV, over which a top's mass bends before it falls below those of its decay's products
BEND = 5.0
OUTPUTS = {"momenta": 18, "decays": 18, "arctan": N_COORDINATES}
#: particles of the four masses, in the order of the coordinates: t, tbar, W+, W-
MASSES_OF = ((0, 1, 2), (3, 4, 5), (0, 1), (3, 4))
#: hidden layers and their width: the paper's, what a core trains in well under an hour, and in a minute
SIZES = {"small": (4, 96), "default": (6, 192), "paper": (10, 512)}


def leaky(n_in: int, layers: int, hidden: int, n_out: int) -> nn.Sequential:
    """``layers`` hidden layers with LeakyReLU; variance kept through the layers."""
    found: list[nn.Module] = []
    for _ in range(layers):
        linear = nn.Linear(n_in, hidden)
        nn.init.kaiming_normal_(linear.weight, a=0.2)
        nn.init.zeros_(linear.bias)
        found += [linear, nn.LeakyReLU(0.2)]
        n_in = hidden
    return nn.Sequential(*found, nn.Linear(n_in, n_out))


class EventGan(PartonGenerator):
    """Latent numbers to ``OUTPUTS``: a straight line and what the network adds, each with a shift and a gain.

    Of coordinates, whose distributions are nearly normal, the line begins as the latent numbers themselves.
    """

    def __init__(self, size: str = "default", output: str = "momenta") -> None:
        super().__init__(LATENT)
        layers, hidden = SIZES[size]
        self.output, self.scale = output, SCALE
        self.mass_scale, self.pt_scale, self.bend = MASS_SCALE, PT_SCALE, BEND
        self.coordinates = TopPairs()
        n = OUTPUTS[output]
        self.net = leaky(LATENT, layers, hidden, n)
        self.straight = nn.Linear(LATENT, n, bias=False)
        self.shift, self.log_gain = nn.Parameter(torch.zeros(n)), nn.Parameter(torch.zeros(n))
        nn.init.zeros_(self.straight.weight)
        if output != "momenta":
            nn.init.eye_(self.straight.weight)
            last = self.net[len(self.net) - 1]
            nn.init.normal_(last.weight, std=0.1 / hidden**0.5)
            nn.init.zeros_(last.bias)

    def raw(self, noise: Tensor) -> Tensor:
        """Noise [B, 18] to what the discriminator judges: momenta in units of SCALE, or coordinates."""
        found = self.shift + torch.exp(self.log_gain) * (self.net(noise) + self.straight(noise))
        if self.output == "momenta":
            return found
        found = found.clamp(-5.1, 5.1)
        if self.output == "arctan":
            return found
        masses = self.mass_scale * torch.exp(0.5 * found[:, :4])
        least = masses[:, 2:] + self.coordinates.m_b + 0.01
        tops = least + self.bend * softplus((masses[:, :2] - least) / self.bend)
        return torch.cat([2.0 * torch.log(tops / self.mass_scale), found[:, 2:]], 1)

    @torch.jit.unused
    def masses(self, found: Tensor) -> Tensor:
        """Masses [B, 4] of ``MASSES_OF`` in GeV, of what ``raw`` gives (not for ``arctan``)."""
        if self.output == "decays":
            return self.mass_scale * torch.exp(0.5 * found[:, :4])
        p = self.scale * found.view(-1, 6, 3)
        return torch.stack([invariant_mass(p, self.shell, particles) for particles in MASSES_OF], 1)

    def draw(self, noise: Tensor) -> Tensor:
        found = self.raw(noise)
        if self.output == "momenta":
            return self.scale * found.view(-1, 6, 3)
        if self.output == "arctan":
            return self.coordinates.decode(found)[:, :, :3]
        m = self.mass_scale * torch.exp(0.5 * found[:, :4])
        pt = self.pt_scale * found[:, 16:]
        p = self.coordinates.build([m[:, 0], m[:, 1]], [m[:, 2], m[:, 3]], found[:, 4:16], pt)
        return p[:, :, :3]

    def encode(self, p: Tensor) -> Tensor:
        """What ``raw`` should give for a sample p f64 [B, 6, 4] whose transverse momenta balance."""
        if self.output == "momenta":
            return p[:, :, :3].flatten(1) / self.scale
        t = self.coordinates.encode(p)
        if self.output == "arctan":
            return t
        masses = torch.stack([mass_of(p[:, list(particles)].sum(1)) for particles in MASSES_OF], 1)
        pt = p[:, :, :2].sum(1) / self.pt_scale
        return torch.cat([2.0 * torch.log(masses / self.mass_scale), t[:, 4:], pt], 1)


class EventJudge(nn.Module):
    """The discriminator: what ``EventGan.raw`` gives, azimuths as points on a circle, to a logit."""

    def __init__(self, size: str = "default", output: str = "momenta") -> None:
        super().__init__()
        layers, hidden = SIZES[size]
        n = OUTPUTS[output]
        self.angles = [] if output == "momenta" else list(ANGLES)
        self.others = [k for k in range(n) if k not in self.angles]
        self.net = leaky(n + len(self.angles), layers, hidden, 1)

    def seen(self, x: Tensor) -> Tensor:
        """What the network sees of x: azimuths as sine and cosine."""
        turn = 2.0 * torch.pi * to_unit(x[:, self.angles])
        return torch.cat([x[:, self.others], torch.sin(turn), torch.cos(turn)], 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(self.seen(x))
