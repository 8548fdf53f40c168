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
from typing import NamedTuple

import torch
from hepgen_fastsim import geometry
from torch import Tensor, nn

from training.networks.flows import SplineFlow, mlp, normal_log_prob, squash, squash_log_slope, unsquash
from training.networks.segments import segment_argmax, segment_sum

#: width in |eta| of the bins that share a resolution
ETA_BIN = 0.1


class Cells(NamedTuple):
    """The occupied cells of a batch, and their deposits grouped by cell."""

    particle: Tensor  #: i64 [D], particle of each deposit
    index: Tensor  #: i64 [D], cell of each deposit
    energy: Tensor  #: f32 [D] GeV
    owner: Tensor  #: i64 [C], particle of the highest deposit
    ring: Tensor  #: i64 [C]
    column: Tensor  #: i64 [C], position in phi
    total: Tensor  #: f32 [C] GeV, S
    root_squares: Tensor  #: f32 [C] GeV, sqrt(sum E^2)
    count: Tensor  #: f32 [C]


class Tracked(NamedTuple):
    """The tracks of each cell."""

    energy: Tensor  #: f32 [C] GeV, T
    sigma: Tensor  #: f32 [C] GeV, expected error of T
    count: Tensor  #: f32 [C]


class Response(NamedTuple):
    """What is known of a cell's answer before the draw."""

    spread: Tensor  #: f32 [C] GeV, resolution at S
    width: Tensor  #: f32 [C], width of the log-normal
    least: Tensor  #: f32 [C] GeV, smallest tower energy
    cut: Tensor  #: f32 [C], where the log-normal is truncated, in units of its width
    features: Tensor  #: f32 [C, F]


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
        # what is learned or fitted is the same at +eta and -eta
        ring = torch.arange(self.n_rings)
        self.register_buffer("mirror", torch.minimum(ring, self.n_rings - 1 - ring))
        eta_bin = (0.5 * (edges[1:] + edges[:-1]).abs() / ETA_BIN).long()
        self.register_buffer("eta_bin", eta_bin)
        self.resolution = nn.Parameter(torch.tensor([0.1, 1.0, 0.5]).log().repeat(int(eta_bin.max()) + 1, 1))  # a, b, c
        self.register_buffer("lowest", torch.full([(self.n_rings + 1) // 2], 0.1))  # GeV, smallest tower energy
        self.register_buffer("factor_range", torch.tensor([-1.0, 1.0]))  # of log(p_reco / p_gen)

        n_features = 21 + 12
        self.register_buffer("eta_steps", torch.linspace(0.25, 3.0, 12))
        self.tower = mlp(n_features, hidden // 2, 1)
        self.factor = SplineFlow(n_features + 1, hidden, n_bins)
        self.energy = SplineFlow(n_features, hidden, n_bins)

    # --- filling -------------------------------------------------------------------------------------------------

    def fraction(self, pdgid: Tensor) -> Tensor:
        """Share of the energy that species [T] deposit here -> f32 [T]."""
        code = pdgid.abs()
        at = torch.searchsorted(self.codes, code).clamp(max=self.codes.size(0) - 1)  # [T]
        return torch.where(self.codes[at] == code, self.fractions[at], self.default_fraction)

    def fill(self, eta: Tensor, phi: Tensor, energy: Tensor, set_index: Tensor) -> Cells:
        """Cells of deposits ``energy`` [T] GeV (0: none) that arrive at ``eta``, ``phi`` [T], in sets i64 [T]."""
        ring = torch.bucketize(eta, self.eta_edges) - 1  # [T]; -1 and n_rings lie outside
        particle = torch.nonzero((energy > 0) & (ring >= 0) & (ring < self.n_rings))[:, 0]  # [D]
        ring = ring[particle]
        cells = self.cells[ring]  # [D]
        column = torch.ceil((phi[particle] + math.pi) * cells / (2.0 * math.pi)).long() - 1  # [D]
        column = torch.minimum(column.clamp(min=0), cells - 1)
        key = set_index[particle] * self.n_cells + self.first_cell[ring] + column  # i64 [D]

        key, order = torch.sort(key, stable=True)  # [D]
        particle = particle[order]
        new = torch.ones_like(key, dtype=torch.bool)  # [D]
        new[1:] = key[1:] != key[:-1]
        first = torch.nonzero(new)[:, 0]  # [C]
        index = torch.cumsum(new, 0) - 1  # [D]

        deposit = energy[particle]  # [D] GeV
        sums = segment_sum(torch.stack([deposit, deposit**2, torch.ones_like(deposit)], 1), index, first.size(0))
        return Cells(
            particle=particle,
            index=index,
            energy=deposit,
            owner=particle[segment_argmax(deposit, index, first.size(0))],
            ring=ring[order[first]],
            column=column[order[first]],
            total=sums[:, 0],
            root_squares=sums[:, 1].sqrt(),
            count=sums[:, 2],
        )

    def tracked(self, cells: Cells, tracked: Tensor, sigma: Tensor) -> Tracked:
        """Sums over the tracks of each cell: ``tracked`` f32 [T] (1 or 0), relative momentum error ``sigma`` [T]."""
        energy = cells.energy * tracked[cells.particle]  # [D]
        error = energy * sigma[cells.particle]  # [D]
        sums = segment_sum(
            torch.stack([energy, error**2, tracked[cells.particle]], 1), cells.index, cells.total.size(0)
        )  # [C, 3]
        return Tracked(sums[:, 0], (sums[:, 1] + 1e-12).sqrt(), sums[:, 2])

    # --- response ------------------------------------------------------------------------------------------------

    def respond(self, cells: Cells, tracks: Tracked) -> Response:
        """Resolution, truncation and features of cells, given their tracks."""
        s, t = cells.total.clamp(min=1e-4), tracks.energy  # [C] GeV
        a2, b2, c2 = (2.0 * self.resolution[self.eta_bin[cells.ring]]).exp().unbind(1)  # [C] each
        spread = torch.sqrt(a2 * s**2 + b2 * s + c2)  # [C] GeV, sigma(S)
        lowest = self.lowest[self.mirror[cells.ring]]  # [C] GeV
        # smallest excess N over tracks of energy T +- sigma_T: N^2 = k^2 (sigma_T^2 + sigma^2(N + T)), with k such that
        # it is the smallest tower where there is no track; the detector may be a tenth less strict
        k2 = lowest**2 / (a2 * lowest**2 + b2 * lowest + c2)
        square = (1.0 - k2 * a2).clamp(min=0.05)
        linear = k2 * (2.0 * a2 * t + b2)
        constant = k2 * (tracks.sigma**2 + a2 * t**2 + b2 * t + c2)
        excess = 0.5 * (linear + torch.sqrt(linear**2 + 4.0 * square * constant)) / square  # [C] GeV
        if self.training:  # the smallest tower should not be a reason to change the resolution
            excess = excess.detach()
        least = torch.where(tracks.count > 0, torch.maximum(lowest, 0.9 * excess), lowest)  # [C] GeV
        width = torch.sqrt(torch.log1p((spread / s) ** 2))  # [C]
        cut = ((torch.log((least + t) / s) + 0.5 * width**2) / width).clamp(-8.0, 12.0)  # [C]
        return Response(spread, width, least, cut, self.describe(cells, tracks, spread, least, cut))

    def describe(self, cells: Cells, tracks: Tracked, spread: Tensor, least: Tensor, cut: Tensor) -> Tensor:
        """Features [C, F] of every cell; in memory column by column, as they are computed."""
        s, t = cells.total.clamp(min=1e-4), tracks.energy  # [C] GeV
        pull = (s - t) / torch.sqrt(spread**2 + tracks.sigma**2)  # [C]
        low, high = self.eta_edges[cells.ring], self.eta_edges[cells.ring + 1]  # [C]
        eta = 0.5 * (low + high).abs()
        log_s, log_t = torch.log(s), torch.log(t + 0.01)
        features = torch.stack(
            [
                0.3 * log_s,
                0.1 * log_s**2,
                torch.log(spread / s).clamp(-4.0, 4.0),
                0.3 * torch.log(spread),
                (tracks.count > 0).float(),
                (tracks.count > 1).float(),
                0.5 * torch.log1p(tracks.count),
                0.3 * log_t,
                t / (s + 1e-3),
                torch.log((s - t).clamp(min=0.0) + 0.1),
                torch.log(tracks.sigma / s + 1e-4) * 0.3,
                torch.log(tracks.sigma / spread + 1e-3) * 0.3,
                torch.asinh(pull),
                torch.tanh(0.5 * (pull - 2.0)),
                (torch.log((s - t).clamp(min=0.01 * s) / least) * 0.5).clamp(-3.0, 3.0),
                0.3 * cut,
                torch.tanh(cut),
                cells.root_squares / s,
                torch.log(cells.count),
                0.5 * eta,
                torch.log((high - low) * 36.0) * 0.5,
            ]
        )  # [21, C]
        steps = torch.tanh((eta - self.eta_steps.unsqueeze(1)) * 20.0)  # [12, C]
        return torch.cat([features, steps]).t()

    def tower_logit(self, features: Tensor, cut: Tensor) -> Tensor:
        """Logit [C] of a tower: the normal tail beyond the cut, corrected by the network."""
        z = cut.clamp(-6.0, 6.0)
        tail = torch.log(torch.erfc(z * 0.70710678)) - torch.log(torch.erfc(-z * 0.70710678))
        return tail + self.tower(features)[:, 0]

    def factor_frame(self, cells: Cells, tracks: Tracked, spread: Tensor, has_tower: Tensor) -> tuple[Tensor, Tensor]:
        """Expected log(p_reco / p_gen) of a cell's tracks and its spread [C].

        With a tower the tracks keep their own measurement; without one, the estimate is the mean of track and
        calorimeter energies with inverse variances as weights.
        """
        t = tracks.energy.clamp(min=1e-3)
        w = tracks.sigma**2 / (tracks.sigma**2 + spread**2)  # [C], weight of the calorimeter
        shift = torch.log1p((w * (cells.total - t) / t).clamp(-0.9, 5.0))
        sigma = torch.where(has_tower, tracks.sigma, torch.sqrt(w) * spread) / t
        sigma = sigma.clamp(1e-3, 1.0)
        return torch.where(has_tower, 0.0, shift) - 0.5 * sigma**2, sigma

    def sample_factor(
        self, cells: Cells, tracks: Tracked, spread: Tensor, has_tower: Tensor, features: Tensor, noise: Tensor
    ) -> Tensor:
        """log(p_reco / p_gen) [C] common to the tracks of a cell, from normal ``noise`` [C]."""
        shift, sigma = self.factor_frame(cells, tracks, spread, has_tower)
        features = torch.cat([features, has_tower.float().unsqueeze(1)], 1)
        value = shift + sigma * unsquash(self.factor(noise, features))
        return torch.minimum(torch.maximum(value, self.factor_range[0]), self.factor_range[1])

    def factor_log_prob(
        self, value: Tensor, cells: Cells, tracks: Tracked, spread: Tensor, has_tower: Tensor, features: Tensor
    ) -> Tensor:
        """Log density of ``value`` = log(p_reco / p_gen) [C]."""
        shift, sigma = self.factor_frame(cells, tracks, spread, has_tower)
        features = torch.cat([features, has_tower.float().unsqueeze(1)], 1)
        t = (value - shift) / sigma  # [C]
        return self.factor.log_prob(squash(t), features) + squash_log_slope(t) - torch.log(sigma)

    def sample_energy(self, cells: Cells, tracked: Tensor, response: Response, noise: Tensor) -> Tensor:
        """Tower energy [C] GeV beyond the ``tracked`` energy [C], from normal ``noise`` [C]."""
        t = self.energy(noise, response.features).clamp(-6.0, 6.0)  # [C]
        tail = 0.25 * torch.erfc(t * 0.70710678) * torch.erfc(response.cut * 0.70710678)  # [C], of the log-normal
        z = -torch.special.ndtri(tail.clamp(1e-30, 0.99999994))
        measured = cells.total.clamp(min=1e-4) * torch.exp(response.width * (z - 0.5 * response.width))
        return torch.maximum(measured - tracked, response.least)

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
        full = self.energy.log_prob(t, response.features) - normal_log_prob(t) + base
        return full, base, z.detach().abs() < 6.5

    def place(self, cells: Cells, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Position [C], [C] uniform in each cell, from normal ``noise`` [C, 2]."""
        u = 0.5 * torch.erfc(-noise * 0.70710678)  # [C, 2]
        low, high = self.eta_edges[cells.ring], self.eta_edges[cells.ring + 1]
        step = 2.0 * math.pi / self.cells[cells.ring]
        return low + (high - low) * u[:, 0], (cells.column + u[:, 1]) * step - math.pi


def select(cells: Cells, keep: Tensor) -> Cells:
    """The cells ``keep`` i64 [K], without their deposits."""
    return Cells(
        particle=cells.particle,
        index=cells.index,
        energy=cells.energy,
        owner=cells.owner[keep],
        ring=cells.ring[keep],
        column=cells.column[keep],
        total=cells.total[keep],
        root_squares=cells.root_squares[keep],
        count=cells.count[keep],
    )


def select_tracks(tracks: Tracked, keep: Tensor) -> Tracked:
    """The tracks of the cells ``keep`` i64 [K]."""
    return Tracked(tracks.energy[keep], tracks.sigma[keep], tracks.count[keep])


def remeasured(tracks: Tracked, energy: Tensor) -> Tracked:
    """The same tracks with their measured energy [C] GeV, the error in proportion."""
    return Tracked(energy, tracks.sigma * energy / tracks.energy.clamp(min=1e-3), tracks.count)
