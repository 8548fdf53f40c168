# SPDX-License-Identifier: MIT
"""One calorimeter of HEPiC: particles fill its cells; each cell answers with a tower, and corrects the tracks in it.

What a cell knows: S, the energy deposited by all its particles; T, the energy of those that left a track; how the two
are made up; where it is. What is learned: the resolution sigma(S) = sqrt(a^2 S^2 + b^2 S + c^2) of each ring, the
probability of a tower, the factor that energy flow applies to the tracks, and the energy of the tower.

The measured energy of a cell is written as log-normal around S with this sigma, truncated where the excess over the
tracks would be insignificant; a spline flow describes what differs from that. The significance that a tower needs
follows from the smallest tower of its ring. A tower is thereby never softer than the softest of the training data, nor
harder than the cell's energy allows.
"""

from __future__ import annotations

import math

import torch
from hepgen_fastsim import geometry
from torch import Tensor, nn

from training.networks.cells import (
    OF_RING,
    OF_TOWER,
    OWN,
    Cells,
    Response,
    Tracked,
    differs,
    group,
    ring_table,
    species_table,
    sum_tracks,
)
from training.networks.flows import SplineFlow, mlp, normal_log_prob, squash, squash_log_slope, unsquash

#: width in |eta| of the bins that share a resolution
ETA_BIN = 0.1


class Calorimeter(nn.Module):
    """Geometry and response of one calorimeter."""

    def __init__(self, layer: geometry.Calorimeter, hidden: int, n_bins: int) -> None:
        super().__init__()
        edges = torch.tensor(layer.eta_edges, dtype=torch.float32)
        cells = torch.tensor(layer.cells)
        codes = torch.tensor(sorted(layer.fractions))
        self.pdgid: int = layer.pdgid
        self.n_cells: int = int(cells.sum())
        self.n_rings: int = len(cells)
        self.default_fraction: float = layer.default_fraction
        self.register_buffer("codes", codes)
        self.register_buffer("fractions", torch.tensor([layer.fractions[int(c)] for c in codes]))
        self.register_buffer("eta_edges", edges)
        self.register_buffer("cells", cells)
        self.register_buffer("first_cell", cells.cumsum(0) - cells)
        low, step, rings = ring_table(edges)
        self.low_edge: float = float(edges[0])
        self.high_edge: float = float(edges[-1])
        self.table_low: float = low
        self.table_step: float = step
        self.register_buffer("ring_table", rings, persistent=False)
        keys, species = species_table(codes)
        self.species_mask: int = len(keys) - 1
        self.register_buffer("species_code", keys, persistent=False)
        fraction = self.fractions[species.clamp(max=len(codes) - 1)]
        self.register_buffer("species_fraction", fraction, persistent=False)
        # what is learned or fitted is the same at +eta and -eta
        ring = torch.arange(self.n_rings)
        self.register_buffer("mirror", torch.minimum(ring, self.n_rings - 1 - ring))
        eta_bin = (0.5 * (edges[1:] + edges[:-1]).abs() / ETA_BIN).long()
        self.register_buffer("eta_bin", eta_bin)
        self.resolution = nn.Parameter(torch.tensor([0.1, 1.0, 0.5]).log().repeat(int(eta_bin.max()) + 1, 1))  # a, b, c
        self.register_buffer("lowest", torch.full([(self.n_rings + 1) // 2], 0.1))  # GeV, smallest tower energy
        self.register_buffer("factor_range", torch.tensor([-1.0, 1.0]))  # of log(p_reco / p_gen)

        n_features = OWN + OF_RING
        self.n_own: int = OWN
        self.register_buffer("eta_steps", torch.linspace(0.25, 3.0, 12))
        eta, width = 0.5 * (edges[:-1] + edges[1:]).abs(), edges[1:] - edges[:-1]
        of_ring = torch.stack([0.5 * eta, 0.5 * torch.log(width * 36.0)], 1)  # [R, 2]
        steps = torch.tanh((eta.unsqueeze(1) - self.eta_steps) * 20.0)  # [R, 12]
        self.register_buffer("of_ring", torch.cat([of_ring, steps], 1), persistent=False)
        self.tower = mlp(n_features, hidden // 2, 1)
        self.factor = SplineFlow(n_features + OF_TOWER, hidden, n_bins)
        self.energy = SplineFlow(n_features, hidden, n_bins)

    # --- filling -------------------------------------------------------------------------------------------------

    def fraction(self, pdgid: Tensor) -> Tensor:
        """Share of the energy that species [T] deposit here -> f32 [T]."""
        code = pdgid.abs()
        at = code & self.species_mask  # [T]
        known = self.species_code.index_select(0, at) == code
        return torch.where(known, self.species_fraction.index_select(0, at), self.default_fraction)

    def ring_of(self, eta: Tensor) -> Tensor:
        """Ring i64 [T] that holds ``eta`` [T], its upper edge included; between the first edge and the last alone."""
        at = ((eta - self.table_low) * (1.0 / self.table_step)).long().clamp(0, self.ring_table.size(0) - 1)
        ring = self.ring_table.index_select(0, at)
        return ring + (eta > self.eta_edges.index_select(0, ring + 1)).long()

    def hit(self, energy: Tensor, eta: Tensor) -> Tensor:
        """Particles i64 [D] whose ``energy`` [T] GeV arrives here, at ``eta`` [T]."""
        return torch.nonzero((energy > 0) & (eta > self.low_edge) & (eta <= self.high_edge))[:, 0]

    def fill(self, eta: Tensor, phi: Tensor, energy: Tensor, set_index: Tensor) -> Cells:
        """Cells of deposits ``energy`` [T] GeV (0: none) that arrive at ``eta``, ``phi`` [T], in sets i64 [T]."""
        particle = self.hit(energy, eta)  # [D]
        ring = self.ring_of(eta.index_select(0, particle))
        column = column_of(phi.index_select(0, particle), self.cells.index_select(0, ring))
        key = set_index.index_select(0, particle) * self.n_cells + self.first_cell.index_select(0, ring) + column
        key, order = torch.sort(key, stable=True)
        new = differs(key)
        first = torch.nonzero(new)[:, 0]
        return group(particle, ring, column, energy.index_select(0, particle), order, new, first)

    def tracked(self, cells: Cells, tracked: Tensor, sigma: Tensor) -> Tracked:
        """Sums over the tracks of each cell: ``tracked`` f32 [T] (1 or 0), relative momentum error ``sigma`` [T]."""
        mine = torch.nonzero(tracked.index_select(0, cells.particle) > 0)[:, 0]  # [M]
        return sum_tracks(cells, mine, sigma)

    # --- response ------------------------------------------------------------------------------------------------

    def rings(self) -> Tensor:
        """What `respond` needs to know of every ring, [6, R]: a^2, b^2, c^2, k^2, 1 - k^2 a^2, smallest tower [GeV]."""
        a2, b2, c2 = (2.0 * self.resolution).exp().index_select(0, self.eta_bin).t().contiguous().unbind(0)  # [R] each
        lowest = self.lowest.index_select(0, self.mirror)  # [R] GeV
        # smallest excess N over tracks of energy T +- sigma_T: N^2 = k^2 (sigma_T^2 + sigma^2(N + T)), with k such that
        # it is the smallest tower where there is no track; the detector may be a tenth less strict
        k2 = lowest**2 / (a2 * lowest**2 + b2 * lowest + c2)
        return torch.stack([a2, b2, c2, k2, (1.0 - k2 * a2).clamp(min=0.05), lowest])

    def respond(self, cells: Cells, tracks: Tracked) -> Response:
        """Resolution, truncation and features of cells, given their tracks."""
        return respond(cells, tracks, self.rings(), self.training)

    def tower_logit(self, cells: Cells, response: Response) -> Tensor:
        """Logit [C] of a tower: the normal tail beyond the cut, corrected by the network."""
        return tail_logit(response.cut) + self.tower_correction(response.features, cells.ring)

    def tower_correction(self, features: Tensor, ring: Tensor) -> Tensor:
        """What the network adds to `tail_logit` of cells of these ``features`` [C, OWN] and rings i64 [C]: [C]."""
        known = self.tower.first(self.of_ring, self.n_own).index_select(0, ring)
        return self.tower.columns(features, known)[0]

    def factor_known(self, ring: Tensor, has_tower: Tensor) -> Tensor:
        """What the factor's first layer makes of a cell's ring [C] and of its tower, bool [C]: [C, hidden]."""
        absent = torch.cat([self.of_ring, torch.zeros_like(self.of_ring[:, :1])], 1)  # [R, 15]
        present = torch.cat([self.of_ring, torch.ones_like(self.of_ring[:, :1])], 1)
        table = self.factor.net.first(torch.cat([absent, present]), self.n_own)  # [2 R, hidden]
        return table.index_select(0, ring + self.n_rings * has_tower.long())

    def factor_frame(self, cells: Cells, tracks: Tracked, spread: Tensor, has_tower: Tensor) -> tuple[Tensor, Tensor]:
        """Expected log(p_reco / p_gen) of a cell's tracks and its spread [C]."""
        return factor_frame(cells, tracks, spread, has_tower)

    def sample_factor(
        self, cells: Cells, tracks: Tracked, spread: Tensor, has_tower: Tensor, features: Tensor, noise: Tensor
    ) -> Tensor:
        """log(p_reco / p_gen) [C] common to the tracks of a cell, from normal ``noise`` [C]."""
        shift, sigma = self.factor_frame(cells, tracks, spread, has_tower)
        return self.draw_factor(shift, sigma, features, self.factor_known(cells.ring, has_tower), noise)

    def draw_factor(self, shift: Tensor, sigma: Tensor, features: Tensor, known: Tensor, noise: Tensor) -> Tensor:
        """log(p_reco / p_gen) [C] from normal ``noise`` [C], ``known`` of `factor_known`."""
        value = shift + sigma * unsquash(self.factor(noise, features, known))
        return torch.minimum(torch.maximum(value, self.factor_range[0]), self.factor_range[1])

    def factor_log_prob(
        self, value: Tensor, cells: Cells, tracks: Tracked, spread: Tensor, has_tower: Tensor, features: Tensor
    ) -> Tensor:
        """Log density of ``value`` = log(p_reco / p_gen) [C]."""
        shift, sigma = self.factor_frame(cells, tracks, spread, has_tower)
        known = self.factor_known(cells.ring, has_tower)
        t = (value - shift) / sigma  # [C]
        return self.factor.log_prob(squash(t), features, known) + squash_log_slope(t) - torch.log(sigma)

    def energy_known(self, ring: Tensor) -> Tensor:
        """What the energy's first layer makes of a cell's ring [C]: [C, hidden]."""
        return self.energy.net.first(self.of_ring, self.n_own).index_select(0, ring)

    def sample_energy(self, cells: Cells, tracked: Tensor, response: Response, noise: Tensor) -> Tensor:
        """Tower energy [C] GeV beyond the ``tracked`` energy [C], from normal ``noise`` [C]."""
        normal = self.energy(noise, response.features, self.energy_known(cells.ring))  # [C]
        return tower_energy(normal, cells, tracked, response)

    def energy_log_prob(
        self, energy: Tensor, cells: Cells, tracked: Tensor, response: Response
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log density of log(tower + tracked energy) [C]; the same without the spline; bool [C]: not an outlier."""
        width, cut = response.width, response.cut
        z = torch.log((energy + tracked) / cells.total.clamp(min=1e-4)) / width + 0.5 * width  # [C]
        log_tail = torch.special.log_ndtr(-cut)
        base = normal_log_prob(z) - log_tail - torch.log(width)  # [C]
        survival = torch.exp(torch.special.log_ndtr(-z) - log_tail).clamp(1e-6, 1.0 - 1e-6)
        t = -torch.special.ndtri(survival)
        full = self.energy.log_prob(t, response.features, self.energy_known(cells.ring)) - normal_log_prob(t) + base
        return full, base, z.detach().abs() < 6.5

    def place(self, cells: Cells, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Position [C], [C] uniform in each cell, from normal ``noise`` [C, 2]."""
        u = 0.5 * torch.erfc(noise.t() * -0.70710678)  # [2, C]
        low, high = (self.eta_edges.index_select(0, cells.ring), self.eta_edges.index_select(0, cells.ring + 1))
        step = (2.0 * math.pi / self.cells).index_select(0, cells.ring)
        return low + (high - low) * u[0], (cells.column + u[1]) * step - math.pi


def column_of(phi: Tensor, cells: Tensor) -> Tensor:
    """Column i64 [D] that holds ``phi`` [D] in rings of so many ``cells`` [D], its upper edge included."""
    column = torch.ceil((phi + math.pi) * cells / (2.0 * math.pi)).long() - 1  # [D]
    return torch.minimum(column.clamp(min=0), cells - 1)


def respond(cells: Cells, tracks: Tracked, rings: Tensor, training: bool) -> Response:
    """Resolution, truncation and features of cells, given their tracks and the table ``Calorimeter.rings`` [6, R]."""
    s, t = cells.total.clamp(min=1e-4), tracks.energy  # [C] GeV
    a2, b2, c2, k2, square, lowest = rings.index_select(1, cells.ring).unbind(0)  # [C] each
    spread = torch.sqrt((a2 * s + b2) * s + c2)  # [C] GeV, sigma(S)
    linear = k2 * (2.0 * a2 * t + b2)
    constant = k2 * (tracks.sigma**2 + (a2 * t + b2) * t + c2)
    excess = 0.5 * (linear + torch.sqrt(linear**2 + 4.0 * square * constant)) / square  # [C] GeV
    if training:  # the smallest tower should not be a reason to change the resolution
        excess = excess.detach()
    least = torch.maximum(lowest, 0.9 * excess * tracks.count.clamp(max=1.0))  # [C] GeV
    width = torch.sqrt(torch.log1p((spread / s) ** 2))  # [C]
    cut = (torch.log((least + t) / s) / width + 0.5 * width).clamp(-8.0, 12.0)  # [C]
    return Response(spread, width, least, cut, describe(cells, tracks, spread, least, cut))


def describe(cells: Cells, tracks: Tracked, spread: Tensor, least: Tensor, cut: Tensor) -> Tensor:
    """Features [C, OWN] of every cell and its tracks; in memory column by column, as they are computed."""
    s, t = cells.total.clamp(min=1e-4), tracks.energy  # [C] GeV
    excess = s - t
    pull = excess * torch.rsqrt(spread**2 + tracks.sigma**2)  # [C]
    size = pull.abs()
    relative = 1.0 / s
    log_s = torch.log(s)
    return torch.stack(
        [
            0.3 * log_s,
            0.1 * log_s * log_s,
            torch.log(spread * relative).clamp(-4.0, 4.0),
            0.3 * torch.log(spread),
            tracks.count.clamp(max=1.0),
            (tracks.count - 1.0).clamp(0.0, 1.0),
            0.5 * torch.log(tracks.count + 1.0),
            0.3 * torch.log(t + 0.01),
            t / (s + 1e-3),
            torch.log(excess.clamp(min=0.0) + 0.1),
            0.3 * torch.log(tracks.sigma * relative + 1e-4),
            torch.log(tracks.sigma / spread + 1e-3) * 0.3,
            torch.copysign(torch.log(size + torch.sqrt(size * size + 1.0)), pull),
            torch.tanh(0.5 * pull - 1.0),
            (torch.log(torch.maximum(excess, 0.01 * s) / least) * 0.5).clamp(-3.0, 3.0),
            0.3 * cut,
            torch.tanh(cut),
            cells.root_squares * relative,
            torch.log(cells.count),
        ]
    ).t()


def tail_logit(cut: Tensor) -> Tensor:
    """Logit [C] of the normal tail beyond ``cut`` [C]."""
    z = cut.clamp(-6.0, 6.0) * 0.70710678
    return torch.log(torch.erfc(z)) - torch.log(torch.erfc(-z))


def factor_frame(cells: Cells, tracks: Tracked, spread: Tensor, has_tower: Tensor) -> tuple[Tensor, Tensor]:
    """Expected log(p_reco / p_gen) of a cell's tracks and its spread [C].

    With a tower the tracks keep their own measurement; without one, the estimate is the mean of track and calorimeter
    energies with inverse variances as weights.
    """
    t = tracks.energy.clamp(min=1e-3)
    w = tracks.sigma**2 / (tracks.sigma**2 + spread**2)  # [C], weight of the calorimeter
    shift = torch.log1p((w * (cells.total - t) / t).clamp(-0.9, 5.0))
    sigma = torch.where(has_tower, tracks.sigma, torch.sqrt(w) * spread) / t
    sigma = sigma.clamp(1e-3, 1.0)
    return torch.where(has_tower, 0.0, shift) - 0.5 * sigma**2, sigma


def tower_energy(normal: Tensor, cells: Cells, tracked: Tensor, response: Response) -> Tensor:
    """Tower energy [C] GeV beyond the ``tracked`` energy [C]: of the log-normal, from ``normal`` numbers [C]."""
    tail = 0.25 * torch.erfc(normal.clamp(-6.0, 6.0) * 0.70710678) * torch.erfc(response.cut * 0.70710678)  # [C]
    z = -torch.special.ndtri(tail.clamp(1e-30, 0.99999994))
    measured = cells.total.clamp(min=1e-4) * torch.exp(response.width * (z - 0.5 * response.width))
    return torch.maximum(measured - tracked, response.least)
