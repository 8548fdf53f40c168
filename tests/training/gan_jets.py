# SPDX-License-Identifier: MIT
"""Toy jets in a file, and calls of generators, for the tests of the GANs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from training.networks.jet_draws import Multiplicity, Quantiles
from training.networks.jet_limits import Limits


def write(path: Path, n: int = 300, seed: int = 0, largest: int = 12) -> Path:
    """Jets of 3 to ``largest`` constituents with falling pt_rel that sum to one; jet_pt within 800 and 1600 GeV."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(3, largest + 1, n)
    pt = [np.sort(p / p.sum())[::-1] for p in (rng.exponential(1.0, c) + 0.05 for c in counts)]
    lists = {"pt_rel": pt} | {name: [rng.normal(0, 0.1, c) for c in counts] for name in ("eta_rel", "phi_rel")}
    table = {name: pa.array([v.astype(np.float32) for v in values]) for name, values in lists.items()}
    table |= {"jet_pt": pa.array(rng.uniform(800, 1600, n)), "jet_eta": pa.array(rng.uniform(-2, 2, n))}
    pq.write_table(pa.table(table), path)
    return path


def draws() -> tuple[Multiplicity, Quantiles, Quantiles]:
    """Tables of multiplicity (3 to 30), jet_pt and jet_eta."""
    generator = torch.Generator().manual_seed(3)
    counts = torch.randint(3, 31, (500,), generator=generator)
    pt, eta = torch.rand(500, generator=generator), torch.rand(500, generator=generator)
    return Multiplicity(counts), Quantiles(800 + 800 * pt), Quantiles(4 * eta - 2)


def limits(width: float = 9.0, **options: float) -> Limits:
    """Of 0.5 from the axis and a pt_rel of 0.9."""
    return Limits(torch.tensor(0.5), torch.tensor(0.9), torch.tensor(width), **options).eval()


def call(model, noise_set: Tensor, noise_slot: Tensor | None = None, conditions: Tensor | None = None):
    """A generator's ``forward`` with the slots that it draws; noise of the slots is drawn if it is not given."""
    none, codes = torch.zeros(0, 0), torch.zeros(0, 0, dtype=torch.int64)
    offsets = torch.zeros(len(noise_set) + 1, dtype=torch.int64)
    given = torch.zeros(len(noise_set), 0) if conditions is None else conditions
    counts = model.slots(none, codes, offsets, given, noise_set)
    slot_offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    if noise_slot is None:
        generator = torch.Generator().manual_seed(9)
        noise_slot = torch.randn(int(slot_offsets[-1]), model.noise_slot, generator=generator)
    with torch.no_grad():
        return counts, noise_slot, model(none, codes, offsets, given, noise_set, slot_offsets, noise_slot)
