# SPDX-License-Identifier: MIT
"""HEPiC, the hierarchical equivariant point cloud: GEN particles in, RECO energy-flow constituents out, in one pass.

Particles are propagated on their helix to the calorimeters; charged ones leave a track or not; cells collect the energy
of their particles and answer with a tower or not, with a factor on their tracks, and with the tower's energy. Particle
and cell exchange what they know by sums over cells: the cost is linear in the number of particles (but for a sort of
the cell numbers), and their order is free.

Species: electrons, muons, other charged particles (as charged hadrons); neutral ones by the share of energy that each
calorimeter sees, a table of the geometry with a default for unknown codes; what no calorimeter sees is invisible.

Noise: slot 2i (track of particle i): existence, momentum. Slot 2i + 1 (the cell that i leads): existence of the tower,
factor on the cell's tracks, energy, eta, phi. A cell uses the slot of its highest deposit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from hepgen_fastsim import geometry
from torch import Tensor, nn

from training.networks.calorimeter import Calorimeter, column_of, factor_frame, respond, tail_logit, tower_energy
from training.networks.cells import (
    Cells,
    Tracked,
    differs,
    group,
    remeasured,
    rows,
    select,
    select_tracks,
    sum_tracks,
)
from training.networks.grid import Grid
from training.networks.helix import approach, arrive, start
from training.networks.segments import lengths_to_index, nonzero_by_part, sorted_argmax
from training.networks.tracker import Tracker

INPUT = ("pt", "eta", "phi", "mass", "charge", "vx", "vy", "vz")
OUTPUT = ("pt", "eta", "phi", "mass", "d0", "dz")
NOISE_PER_SLOT = 5


class Particles(NamedTuple):
    """What is known of every GEN particle before anything random happens."""

    set_index: Tensor  #: i64 [T]
    pdgid: Tensor  #: i64 [T]
    pt: Tensor  #: f32 [T] GeV
    eta: Tensor  #: f32 [T]
    mass: Tensor  #: f32 [T] GeV
    energy: Tensor  #: f32 [T] GeV
    momentum: Tensor  #: f32 [T] GeV
    charge: Tensor  #: f32 [T] e
    kind: Tensor  #: i64 [T], 0 charged hadron, 1 electron, 2 muon; of neutral particles 0
    visible: Tensor  #: bool [T], starts inside the detector
    arrival_eta: Tensor  #: f32 [T]
    arrival_phi: Tensor  #: f32 [T]
    sigma: Tensor  #: f32 [T], expected relative error of a track's momentum


class Hepic(nn.Module):
    """The event model. See the module's documentation; ``forward`` follows the model contract."""

    def __init__(self, detector: str = "cms", hidden: int = 64, n_bins: int = 12) -> None:
        super().__init__()
        layout = geometry.load(detector)
        self.field: float = layout.field
        self.radius: float = layout.radius
        self.half_length: float = layout.half_length
        self.tracker = Tracker(hidden, n_bins)
        self.calorimeters = nn.ModuleList([Calorimeter(layer, hidden, n_bins) for layer in layout.calorimeters])
        self.grid = Grid(layout.calorimeters)

    def observe(self, features: Tensor, codes: Tensor, offsets: Tensor, kinds: bool = True) -> Particles:
        """Kinematics, helix and species of particles: features f32 [T, 8], codes i64 [T, 1], offsets i64 [B + 1].

        Without ``kinds``, ``kind`` and ``sigma`` stay empty.
        """
        pt = features[:, 0].clamp(1e-12, 1e6)  # [T]
        eta = features[:, 1].clamp(-9.0, 9.0)  # [T]
        mass = features[:, 3].clamp(0.0, 1e4)  # [T]
        charge, pdgid = features[:, 4], codes[:, 0]  # [T]
        helix = start(pt, eta, features[:, 2], charge, features[:, 5:8], self.field, self.radius, self.half_length)
        arrival_eta, arrival_phi = arrive(helix, self.radius, self.half_length)
        momentum = pt * torch.sqrt(1.0 + helix.slope * helix.slope)  # [T]
        kind, sigma = torch.empty(0, dtype=torch.int64, device=pt.device), torch.empty(0, device=pt.device)
        if kinds:
            kind = kind_of(pdgid) * (charge != 0)  # [T]
            sigma = self.tracker.sigma(kind, pt, arrival_eta)
        return Particles(
            set_index=lengths_to_index(offsets, pt.size(0)),
            pdgid=pdgid,
            pt=pt,
            eta=eta,
            mass=mass,
            energy=torch.sqrt(momentum * momentum + mass * mass),
            momentum=momentum,
            charge=charge,
            kind=kind,
            visible=helix.inside,
            arrival_eta=arrival_eta,
            arrival_phi=arrival_phi,
            sigma=sigma,
        )

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
        """The model contract's forward, see docs; slots: two per particle, noise_slot f32 [2T, 5]."""
        p = self.observe(features, codes, offsets, False)
        n, n_sets, dtype = p.pt.size(0), offsets.size(0) - 1, p.pt.dtype
        noise = noise_slot[:, 0].contiguous()  # [2T], of the slots' first channel, which all ask for

        # tracks
        charged = torch.nonzero((p.charge != 0) & p.visible)[:, 0]  # [N]
        kind, pt, energy, eta = (
            kind_of(p.pdgid.index_select(0, charged)),
            p.pt.index_select(0, charged),
            p.energy.index_select(0, charged),
            p.arrival_eta.index_select(0, charged),
        )
        logit = self.tracker.logits(kind, pt, energy, eta)
        drawn = uniform(noise.index_select(0, 2 * charged))  # [N]
        found = torch.nonzero(drawn < torch.sigmoid(logit))[:, 0]  # [K]
        track = charged.index_select(0, found)  # [K]
        kind, pt, eta = kind.index_select(0, found), pt.index_select(0, found), eta.index_select(0, found)
        sigma = torch.zeros_like(p.pt).index_copy(0, track, self.tracker.sigma(kind, pt, eta))  # [T], of tracks
        has_track = torch.zeros_like(p.pt).index_fill(0, track, 1.0)  # [T]

        # deposits and cells of all calorimeters, those of one after those of the other
        fractions = self.grid.fractions(p.pdgid)  # [layers, T]
        deposits = fractions * (p.energy * p.visible.to(dtype))  # [layers, T] GeV
        particles: list[Tensor] = []
        rings: list[Tensor] = []
        energies: list[Tensor] = []
        table: list[Tensor] = []  # of the rings
        first_ring = 0
        for layer, calorimeter in enumerate(self.calorimeters):
            i = calorimeter.hit(deposits[layer], p.arrival_eta)  # [D of this layer]
            particles.append(i)
            rings.append(calorimeter.ring_of(p.arrival_eta.index_select(0, i)) + first_ring)
            energies.append(deposits[layer].index_select(0, i))
            table.append(calorimeter.rings())
            first_ring += calorimeter.n_rings
        sizes = [i.size(0) for i in particles]
        particle, ring = torch.cat(particles), torch.cat(rings)  # [D]
        column = column_of(p.arrival_phi.index_select(0, particle), self.grid.cells.index_select(0, ring))
        key = self.grid.key(p.set_index.index_select(0, particle), ring, column, n_sets)
        key, order = torch.sort(key, stable=True)
        new = differs(key)
        first, n_cells = nonzero_by_part(new, sizes)  # [C]
        cells = group(particle, ring, column, torch.cat(energies), order, new, first)
        mine, n_tracked = nonzero_by_part(has_track.index_select(0, cells.particle) > 0, sizes)  # [M]
        tracks = sum_tracks(cells, mine, sigma)

        # towers
        of_rings = torch.cat(table, 1)
        own = 2 * cells.owner + 1  # [C], slot of the cell
        response = respond(cells, tracks, of_rings, False)
        has_tower = uniform(noise.index_select(0, own)) < torch.sigmoid(
            tail_logit(response.cut) + self.tower_logits(response.features, cells.ring, n_cells)
        )  # [C]

        # one factor for all tracks of a cell, and what each adds of its own
        busy, n_busy = nonzero_by_part(tracks.count > 0, n_cells)  # [Q]
        factor = torch.zeros_like(cells.total).index_copy(
            0,
            busy,
            self.factors(
                select(cells, busy),
                select_tracks(tracks, busy),
                response.spread.index_select(0, busy),
                has_tower.index_select(0, busy),
                rows(response.features, busy),
                noise_slot[:, 1].index_select(0, own.index_select(0, busy)),
                n_busy,
            ),
        )  # [C]
        i = cells.particle.index_select(0, tracks.deposit)  # [M]
        cell = cells.index.index_select(0, tracks.deposit)
        momentum = p.momentum.index_select(0, i)  # [M] GeV
        deviation = sigma.index_select(0, i) * noise_slot[:, 1].index_select(0, 2 * i).clamp(-5.5, 5.5)
        ratio = factor.index_select(0, cell) + share(momentum, deviation, cell, factor.size(0))  # [M]
        log_ratio = torch.zeros_like(p.pt)  # [T], log(p_reco / p)
        shares: list[Tensor] = []
        for layer, (j, value) in enumerate(zip(i.split(n_tracked), ratio.split(n_tracked))):
            log_ratio.index_copy_(0, j, value)
            shares.append(fractions[layer].index_select(0, j))
        measured = torch.sqrt((momentum * torch.exp(ratio)) ** 2 + p.mass.index_select(0, i) ** 2)  # [M] GeV
        reco = torch.zeros_like(factor).index_add(0, cell, measured * torch.cat(shares))  # [C] GeV

        # towers
        lit, n_lit = nonzero_by_part(has_tower, n_cells)  # [L]
        chosen, reco = select(cells, lit), reco.index_select(0, lit)
        response = respond(chosen, remeasured(select_tracks(tracks, lit), reco), of_rings, False)
        drawn = noise_slot.index_select(0, own.index_select(0, lit)).t()  # [5, L]
        normal = self.energies(response.features, chosen.ring, drawn[2], n_lit)
        tower_eta, tower_phi = self.grid.place(chosen.ring, chosen.column, drawn[3:5])
        tower_pt = tower_energy(normal, chosen, reco, response) / torch.cosh(tower_eta)  # [L] GeV
        leaders = leading(cells, tracks).index_select(0, lit).split(n_lit)

        # tracks without a calorimeter behind them
        free = torch.nonzero(has_track.index_fill(0, i, 0.0).index_select(0, track) > 0)[:, 0]  # [A]
        i = track.index_select(0, free)
        about, _ = self.tracker.describe(
            kind.index_select(0, free), pt.index_select(0, free), p.energy.index_select(0, i), eta.index_select(0, free)
        )
        alone = self.tracker.sample_momentum(about, sigma.index_select(0, i), noise_slot[:, 1].index_select(0, 2 * i))
        log_ratio.index_copy_(0, i, alone)
        given = features.index_select(0, track)  # [K, 8]
        eta = p.eta.index_select(0, track)
        phi, d0, dz = approach(
            start(pt, eta, given[:, 2], given[:, 4], given[:, 5:8], self.field, self.radius, self.half_length)
        )
        pt = pt * torch.exp(log_ratio.index_select(0, track))  # [K]

        # by particle: its track, then the towers that it leads, calorimeter by calorimeter
        count = has_track.long()  # [T]
        ranks, tower_codes = [torch.zeros_like(track)], [p.pdgid.index_select(0, track)]
        for layer, calorimeter in enumerate(self.calorimeters):
            leader = leaders[layer]
            ranks.append(count.index_select(0, leader))
            count = count.index_add(0, leader, torch.ones_like(leader))
            tower_codes.append(torch.full_like(leader, calorimeter.pdgid))
        begin = torch.zeros(n + 1, dtype=torch.int64, device=p.pt.device)
        begin[1:] = torch.cumsum(count, 0)
        leader = torch.cat([track, torch.cat(leaders)])  # [M]
        place = begin.index_select(0, leader) + torch.cat(ranks)  # [M]
        of_tracks, of_towers = place[: track.size(0)], place[track.size(0) :]
        items = torch.zeros(place.size(0), 6, dtype=dtype, device=p.pt.device)
        for feature, value in enumerate([pt, eta, phi, p.mass.index_select(0, track), d0, dz]):
            items.select(1, feature).index_copy_(0, of_tracks, value)
        for feature, value in enumerate([tower_pt, tower_eta, tower_phi]):
            items.select(1, feature).index_copy_(0, of_towers, value)
        item_codes = torch.zeros(place.size(0), 2, dtype=torch.int64, device=p.pt.device)
        item_codes.select(1, 0).index_copy_(0, place, torch.cat(tower_codes))
        item_codes.select(1, 1).index_copy_(0, of_tracks, given[:, 4].round().long())
        within = leader - offsets.index_select(0, p.set_index.index_select(0, leader))
        return (
            items,
            item_codes,
            begin.index_select(0, offsets),
            torch.empty_like(within).index_copy_(0, place, within),
            torch.zeros(n_sets, 0, dtype=dtype, device=p.pt.device),
        )

    def tower_logits(self, features: Tensor, ring: Tensor, sizes: list[int]) -> Tensor:
        """What the networks add to the logits of towers, of cells [C] of all layers, ``sizes`` of each."""
        out: list[Tensor] = []
        first_ring, begin = 0, 0
        for layer, calorimeter in enumerate(self.calorimeters):
            end = begin + sizes[layer]
            out.append(calorimeter.tower_correction(features[begin:end], ring[begin:end] - first_ring))
            first_ring, begin = first_ring + calorimeter.n_rings, end
        return torch.cat(out)

    def factors(
        self,
        cells: Cells,
        tracks: Tracked,
        spread: Tensor,
        has_tower: Tensor,
        features: Tensor,
        noise: Tensor,
        sizes: list[int],
    ) -> Tensor:
        """log(p_reco / p_gen) [Q] common to the tracks of a cell, of cells of all layers, ``sizes`` of each."""
        shift, sigma = factor_frame(cells, tracks, spread, has_tower)
        out: list[Tensor] = []
        first_ring, begin = 0, 0
        for layer, calorimeter in enumerate(self.calorimeters):
            end = begin + sizes[layer]
            known = calorimeter.factor_known(cells.ring[begin:end] - first_ring, has_tower[begin:end])
            out.append(
                calorimeter.draw_factor(
                    shift[begin:end], sigma[begin:end], features[begin:end], known, noise[begin:end]
                )
            )
            first_ring, begin = first_ring + calorimeter.n_rings, end
        return torch.cat(out)

    def energies(self, features: Tensor, ring: Tensor, noise: Tensor, sizes: list[int]) -> Tensor:
        """Normal numbers [L] of the energies of towers, of cells of all layers, ``sizes`` of each."""
        out: list[Tensor] = []
        first_ring, begin = 0, 0
        for layer, calorimeter in enumerate(self.calorimeters):
            end = begin + sizes[layer]
            known = calorimeter.energy_known(ring[begin:end] - first_ring)
            out.append(calorimeter.energy(noise[begin:end], features[begin:end], known))
            first_ring, begin = first_ring + calorimeter.n_rings, end
        return torch.cat(out)


def kind_of(pdgid: Tensor) -> Tensor:
    """Kind i64 [N] of charged particles: 0 charged hadron, 1 electron, 2 muon."""
    code = pdgid.abs()
    return (code == 11).long() + 2 * (code == 13).long()


def uniform(noise: Tensor) -> Tensor:
    """Normal numbers to uniform ones in [0, 1]."""
    return 0.5 * torch.erfc(-noise * math.sqrt(0.5))


def share(momentum: Tensor, deviation: Tensor, cell: Tensor, n_cells: int) -> Tensor:
    """Own log ratios of the tracks [M] of cells: ``deviation`` [M], shifted so that each cell's momentum sum stays."""
    zero = torch.zeros(n_cells, dtype=momentum.dtype, device=momentum.device)
    before = zero.index_add(0, cell, momentum).index_select(0, cell)  # [M]
    after = zero.index_add(0, cell, momentum * torch.exp(deviation)).index_select(0, cell)  # [M]
    return deviation - torch.log((after / before.clamp(min=1e-12)).clamp(min=1e-6))


def leading(cells: Cells, tracks: Tracked) -> Tensor:
    """Particle [C] that leads each cell: the highest deposit without a track, or else the highest."""
    # tracked deposits rank below all others, and among themselves by energy
    tracked = -1.0 / cells.energy.index_select(0, tracks.deposit)  # [M]
    rank = cells.energy.index_copy(0, tracks.deposit, tracked)  # [D]
    return cells.particle.index_select(0, sorted_argmax(rank, cells.first, cells.rest, cells.rest_cell))
