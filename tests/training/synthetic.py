# SPDX-License-Identifier: MIT
"""Small GEN-RECO events for the tests of the training: no external data, a simple response with known numbers."""

from __future__ import annotations

import numpy as np
import torch

from training.data.events import Events, species
from training.networks.hepic import Hepic

CODES = np.array([22, 22, 22, 211, -211, 211, -211, 321, 2212, 130, 2112, 11, -11, 13, 12])


def gen(sizes: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """GEN events of these sizes: features f32 [T, 8], codes i64 [T, 1], offsets i64 [B + 1]."""
    random = np.random.default_rng(seed)
    n = sum(sizes)
    pdgid = random.choice(CODES, n)
    mass, charge = species(pdgid)
    pt = np.exp(random.normal(0.0, 1.2, n))
    eta, phi = random.uniform(-4.5, 4.5, n), random.uniform(-np.pi, np.pi, n)
    vertex = np.where(random.random((n, 1)) < 0.2, random.normal(0.0, 100.0, (n, 3)), 0.0)
    features = np.column_stack([pt, eta, phi, mass, charge, vertex]).astype(np.float32)
    offsets = torch.tensor([0, *sizes]).cumsum(0)
    return torch.from_numpy(features), torch.from_numpy(pdgid)[:, None], offsets


def noise_for(offsets: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Normal numbers f32 [2 T, 5] for the slots."""
    return torch.randn(2 * int(offsets[-1]), 5, generator=torch.Generator().manual_seed(seed))


def call(model, features, codes, offsets, noise):
    """Run an event network: it has neither conditions nor noise per set."""
    none = torch.zeros(offsets.size(0) - 1, 0)
    return model(features, codes, offsets, none, none, 2 * offsets, noise)


def events(n_events: int = 40, size: int = 120, seed: int = 0) -> Events:
    """Pairs: charged particles leave a track in 80 %, with 5 % resolution; a cell above 3 GeV answers with 10 %."""
    features, codes, offsets = gen([size] * n_events, seed)
    generator = torch.Generator().manual_seed(seed)

    def normal(n: int) -> torch.Tensor:
        return torch.randn(n, generator=generator)

    n = features.size(0)
    model = Hepic()
    p = model.observe(features, codes, offsets)
    track = (p.charge != 0) & p.visible & (torch.rand(n, generator=generator) < 0.8)
    track_pt = torch.where(track, p.pt * torch.exp(0.05 * normal(n)), 0.0)
    tower = torch.zeros(n, 2, 3)
    for layer, calorimeter in enumerate(model.calorimeters):
        deposit = torch.where(p.visible, p.energy * calorimeter.fraction(p.pdgid), 0.0)
        cells = calorimeter.fill(p.arrival_eta, p.arrival_phi, deposit, p.set_index)
        untracked = torch.zeros_like(cells.total).index_add(0, cells.index, cells.energy * ~track[cells.particle])
        energy = untracked * torch.exp(0.1 * normal(len(untracked)))
        eta, phi = calorimeter.place(cells, torch.randn(len(energy), 2, generator=generator))
        lit = energy > 3.0
        tower[cells.owner[lit], layer] = torch.stack([energy, eta, phi], 1)[lit]
    number = torch.arange(n_events) + 100_000
    return Events(features, codes, offsets, number, track_pt, tower)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers in double precision."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
