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

from training.networks.calorimeter import Calorimeter, Cells, remeasured, select, select_tracks
from training.networks.flows import SplineFlow, mlp, squash, squash_log_slope, unsquash
from training.networks.helix import propagate
from training.networks.segments import lengths_to_index, segment_argmax, segment_sum

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
    track_phi: Tensor  #: f32 [T]
    d0: Tensor  #: f32 [T] mm
    dz: Tensor  #: f32 [T] mm
    sigma: Tensor  #: f32 [T], expected relative error of a track's momentum


class Tracker(nn.Module):
    """Which charged particles leave a track, and how well their momentum is measured."""

    def __init__(self, hidden: int, n_bins: int) -> None:
        super().__init__()
        self.register_buffer("pt_steps", torch.linspace(-1.5, 3.0, 19))  # log10(pt / GeV), quarters of a decade
        self.register_buffer("eta_steps", torch.linspace(0.25, 3.0, 12))
        self.register_buffer("log_pt_range", torch.tensor([-1.0, 1.0]))
        # log a, b of sigma(pt) / pt = sqrt(a^2 + b^2 pt^2), by kind and |eta| in steps of 0.1
        self.resolution = nn.Parameter(torch.tensor([0.05, 1e-3]).log().repeat(3, 31, 1))
        self.exists = mlp(3 + 4 + 19 + 12, hidden // 2, 1)
        self.momentum = SplineFlow(3 + 4 + 12, hidden, n_bins)

    def sigma(self, kind: Tensor, pt: Tensor, arrival_eta: Tensor) -> Tensor:
        """Learned relative error [T] of the momentum."""
        at = (arrival_eta.abs() * 10.0).long().clamp(max=30)  # [T]
        a, b = self.resolution[kind, at].exp().unbind(1)  # [T] each
        return torch.sqrt(a * a + (b * pt) ** 2).clamp(max=1.0)

    def describe(self, kind: Tensor, pt: Tensor, energy: Tensor, arrival_eta: Tensor) -> tuple[Tensor, Tensor]:
        """Features of charged particles [N]: those of the momentum [N, F] and steps in pt [N, S]."""
        eta = arrival_eta.abs()
        log_pt = torch.log10(pt.clamp(1e-4, 1e5))  # [N]
        kinds = (kind == torch.arange(3, device=kind.device).unsqueeze(1)).float()  # [3, N]
        smooth = torch.stack([0.5 * log_pt, 0.5 * torch.log10(energy + 1e-4), 0.5 * eta, 0.1 * eta**2])  # [4, N]
        eta_steps = torch.tanh((eta - self.eta_steps.unsqueeze(1)) * 50.0)  # [12, N]
        pt_steps = torch.tanh((log_pt - self.pt_steps.unsqueeze(1)) * 100.0)  # [19, N]
        return torch.cat([kinds, smooth, eta_steps]).t(), pt_steps.t()

    def logit(self, features: Tensor, pt_steps: Tensor) -> Tensor:
        """Logit [N] of a track."""
        return self.exists(torch.cat([features, pt_steps], 1))[:, 0]

    def sample_momentum(self, features: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        """log(pt_reco / pt) [N] of tracks without a calorimeter behind them, from normal ``noise`` [N]."""
        value = sigma * (unsquash(self.momentum(noise, features)) - 0.5 * sigma)
        return torch.minimum(torch.maximum(value, self.log_pt_range[0]), self.log_pt_range[1])

    def momentum_log_prob(self, value: Tensor, features: Tensor, sigma: Tensor) -> Tensor:
        """Log density of ``value`` = log(pt_reco / pt) [N]."""
        t = value / sigma + 0.5 * sigma
        return self.momentum.log_prob(squash(t), features) + squash_log_slope(t) - torch.log(sigma)


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

    def observe(self, features: Tensor, codes: Tensor, offsets: Tensor) -> Particles:
        """Kinematics, helix and species of particles: features f32 [T, 8], codes i64 [T, 1], offsets i64 [B + 1]."""
        pt = features[:, 0].clamp(1e-12, 1e6)  # [T]
        eta = features[:, 1].clamp(-9.0, 9.0)  # [T]
        mass = features[:, 3].clamp(0.0, 1e4)  # [T]
        charge, pdgid = features[:, 4], codes[:, 0]  # [T]
        momentum = pt * torch.cosh(eta)  # [T]
        arrival = propagate(
            pt, eta, features[:, 2], charge, features[:, 5:8], self.field, self.radius, self.half_length
        )
        code = pdgid.abs()
        charged = charge != 0
        kind = ((code == 11) & charged).long() + 2 * ((code == 13) & charged).long()  # [T]
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
            visible=arrival.inside,
            arrival_eta=arrival.eta,
            arrival_phi=arrival.phi,
            track_phi=arrival.track_phi,
            d0=arrival.d0,
            dz=arrival.dz,
            sigma=self.tracker.sigma(kind, pt, arrival.eta),
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
        p = self.observe(features, codes, offsets)
        n, n_sets = p.pt.size(0), offsets.size(0) - 1
        noise = noise_slot.view(n, 2, noise_slot.size(1))  # [T, 2, 5]

        # tracks
        charged = torch.nonzero((p.charge != 0) & p.visible)[:, 0]  # [N]
        about, pt_steps = self.tracker.describe(
            p.kind[charged], p.pt[charged], p.energy[charged], p.arrival_eta[charged]
        )
        exists = uniform(noise[charged, 0, 0]) < torch.sigmoid(self.tracker.logit(about, pt_steps))  # [N]
        track = charged[exists]  # [K]
        has_track = torch.zeros_like(p.pt)  # [T]
        has_track[track] = 1.0
        log_ratio = torch.zeros_like(p.pt)  # [T], log(p_reco / p)
        alone = has_track > 0  # [T], a track without a calorimeter behind it

        # cells
        items = [torch.zeros(0, 6, dtype=p.pt.dtype, device=p.pt.device)]
        item_codes = [torch.zeros(0, 2, dtype=torch.int64, device=p.pt.device)]
        slots = [torch.zeros(0, dtype=torch.int64, device=p.pt.device)]
        for calorimeter in self.calorimeters:
            deposit = torch.where(p.visible, p.energy * calorimeter.fraction(p.pdgid), 0.0)  # [T] GeV
            cells = calorimeter.fill(p.arrival_eta, p.arrival_phi, deposit, p.set_index)
            tracks = calorimeter.tracked(cells, has_track, p.sigma)
            own = noise[cells.owner, 1]  # [C, 5]
            response = calorimeter.respond(cells, tracks)
            has_tower = uniform(own[:, 0]) < torch.sigmoid(calorimeter.tower_logit(response.features, response.cut))

            # one factor for all tracks of a cell, and what each adds of its own
            busy = torch.nonzero(tracks.count > 0)[:, 0]  # [Q]
            factor = torch.zeros_like(cells.total)  # [C]
            factor[busy] = calorimeter.sample_factor(
                select(cells, busy),
                select_tracks(tracks, busy),
                response.spread[busy],
                has_tower[busy],
                response.features[busy],
                own[busy, 1],
            )
            mine = torch.nonzero(has_track[cells.particle] > 0)[:, 0]  # [M], deposits of tracks
            i, cell = cells.particle[mine], cells.index[mine]  # [M]
            alone[i] = False
            log_ratio[i] = factor[cell] + share(
                p.momentum[i], p.sigma[i] * noise[i, 0, 1].clamp(-5.5, 5.5), cell, factor.size(0)
            )
            measured = torch.sqrt((p.momentum[i] * torch.exp(log_ratio[i])) ** 2 + p.mass[i] ** 2)  # [M] GeV
            measured = measured * calorimeter.fraction(p.pdgid[i])
            reco = segment_sum(measured.unsqueeze(1), cell, factor.size(0))[:, 0]  # [C] GeV

            # towers
            lit = torch.nonzero(has_tower)[:, 0]  # [L]
            chosen = select(cells, lit)
            response = calorimeter.respond(chosen, remeasured(select_tracks(tracks, lit), reco[lit]))
            energy = calorimeter.sample_energy(chosen, reco[lit], response, own[lit, 2])  # [L]
            eta, phi = calorimeter.place(chosen, own[lit, 3:5])
            leader = leading(cells, has_track)[lit]  # [L]
            zero = torch.zeros_like(energy)
            items.append(torch.stack([energy / torch.cosh(eta), eta, phi, zero, zero, zero], 1))
            code = torch.full_like(leader, calorimeter.pdgid)
            item_codes.append(torch.stack([code, torch.zeros_like(leader)], 1))
            slots.append(2 * leader + 1)

        i = torch.nonzero(alone)[:, 0]  # [A]
        about, _ = self.tracker.describe(p.kind[i], p.pt[i], p.energy[i], p.arrival_eta[i])
        log_ratio[i] = self.tracker.sample_momentum(about, p.sigma[i], noise[i, 0, 1])
        pt = p.pt[track] * torch.exp(log_ratio[track])  # [K]
        items.append(torch.stack([pt, p.eta[track], p.track_phi[track], p.mass[track], p.d0[track], p.dz[track]], 1))
        item_codes.append(torch.stack([p.pdgid[track], p.charge[track].round().long()], 1))
        slots.append(2 * track)

        slot, order = torch.sort(torch.cat(slots), stable=True)  # [M]
        origin = torch.div(slot, 2, rounding_mode="floor")  # [M], in the batch
        per_set = torch.searchsorted(origin, offsets)  # [B + 1]
        scalars = torch.zeros(n_sets, 0, dtype=p.pt.dtype, device=p.pt.device)
        within = origin - offsets[p.set_index[origin]]
        return (torch.cat(items)[order], torch.cat(item_codes)[order], per_set, within, scalars)


def uniform(noise: Tensor) -> Tensor:
    """Normal numbers to uniform ones in [0, 1]."""
    return 0.5 * torch.erfc(-noise * math.sqrt(0.5))


def share(momentum: Tensor, deviation: Tensor, cell: Tensor, n_cells: int) -> Tensor:
    """Own log ratios of the tracks [M] of cells: ``deviation`` [M], shifted so that each cell's momentum sum stays."""
    sums = segment_sum(torch.stack([momentum, momentum * torch.exp(deviation)], 1), cell, n_cells)  # [C, 2]
    mean = torch.log((sums[:, 1] / sums[:, 0].clamp(min=1e-12)).clamp(min=1e-6))  # [C]
    return deviation - mean[cell]


def leading(cells: Cells, has_track: Tensor) -> Tensor:
    """Particle [C] that leads each cell: the highest deposit without a track, or else the highest."""
    # tracked deposits rank below all others, and among themselves by energy
    rank = torch.where(has_track[cells.particle] > 0, -1.0 / cells.energy, cells.energy)  # [D]
    return cells.particle[segment_argmax(rank, cells.index, cells.total.size(0))]
