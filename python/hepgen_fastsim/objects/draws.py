# SPDX-License-Identifier: MIT
"""Uniform random numbers keyed on (seed, stream, event, object), the same in any batch or order.

The noise is the engine's (Philox4x32-10); objects have slots that no simulation reaches: a simulation counts its slots
from 0 and keeps the last one, constituents that become objects count from `CANDIDATES`, jets from `JETS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepgen_fastsim._core_loader import core

__all__ = ["CANDIDATES", "JETS", "Draws"]

CANDIDATES = 0x8000_0000
"""First slot of constituents: photon, electron and muon candidates, by index within the event."""

JETS = 0xC000_0000
"""First slot of jets, by rank in pt before overlaps are removed."""


@dataclass(frozen=True)
class Draws:
    """The random numbers of a batch: `event` int64 [n_events] are the keys of its events."""

    seed: int
    stream: int
    event: np.ndarray

    def uniform(self, first_slot: int, event: np.ndarray, index: np.ndarray, channels: int) -> np.ndarray:
        """float64 [n, channels] in (0, 1) for the objects `index` of the batch's events `event` (both int64 [n])."""
        keys = (self.event[event] & 0xFFFFFFFF).astype(np.uint32)
        slots = (first_slot + index).astype(np.uint32)
        return core().uniform_noise(self.seed, self.stream, keys, slots, channels)
