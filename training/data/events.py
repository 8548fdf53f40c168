# SPDX-License-Identifier: MIT
"""GEN-RECO event pairs: parquet files to flat tensors, every RECO constituent at the GEN particle that leads it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from hepgen_fastsim._core_loader import core
from torch import Tensor

TRACK, PHOTON, NEUTRAL_HADRON = 0, 1, 2


@dataclass(frozen=True)
class Events:
    """Events of GEN particles, flat, with what each of them leads in RECO."""

    features: Tensor  #: f32 [T, 8] pt, eta, phi, mass, charge, vx, vy, vz
    codes: Tensor  #: i64 [T, 1] pdgid
    offsets: Tensor  #: i64 [B + 1]
    event: Tensor  #: i64 [B], process * 100000 + number
    track_pt: Tensor  #: f32 [T] GeV, 0 without a track
    tower: Tensor  #: f32 [T, 2, 3] energy (0 without a tower), eta, phi of the photon and the neutral-hadron tower

    def __len__(self) -> int:
        return self.offsets.size(0) - 1

    def pick(self, events: Tensor) -> Events:
        """The events at positions i64 [K], in this order."""
        start, length = self.offsets[events], self.offsets[events + 1] - self.offsets[events]  # [K]
        offsets = torch.cat([length.new_zeros(1), length.cumsum(0)])  # [K + 1]
        rows = torch.arange(int(offsets[-1])) + torch.repeat_interleave(start - offsets[:-1], length)  # [T']
        flat = {name: getattr(self, name)[rows] for name in ("features", "codes", "track_pt", "tower")}
        return Events(**flat, offsets=offsets, event=self.event[events])

    def where(self, keep: Tensor) -> Events:
        """The events of a mask bool [B]."""
        return self.pick(torch.nonzero(keep)[:, 0])


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def load(path: str | Path, cache: str | Path | None = None) -> Events:
    """Read an event file; with ``cache``, keep the tensors in that folder under the file's sha256."""
    if cache is None:
        return _read(Path(path))
    kept = Path(cache).expanduser() / f"{sha256(path)}.events-2.pt"
    if kept.exists():
        return Events(**torch.load(kept, weights_only=True))
    events = _read(Path(path))
    kept.parent.mkdir(parents=True, exist_ok=True)
    torch.save({field.name: getattr(events, field.name) for field in fields(events)}, kept)
    return events


def _read(path: Path) -> Events:
    names = [f"gen_{n}" for n in ("pdgid", "pt", "eta", "phi", "vx", "vy", "vz")]
    names += [f"reco_{n}" for n in ("type", "pt", "eta", "phi", "gen_index")]
    table = pq.read_table(path, columns=["event", *names])

    def flat(name: str) -> np.ndarray:
        return table[name].combine_chunks().flatten().to_numpy()

    def offsets(name: str) -> np.ndarray:
        lengths = np.concatenate([np.diff(chunk.offsets.to_numpy()) for chunk in table[name].chunks])
        return np.concatenate([[0], lengths.cumsum()]).astype(np.int64)

    gen, reco = offsets("gen_pt"), offsets("reco_pt")
    pdgid = flat("gen_pdgid").astype(np.int64)
    mass, charge = species(pdgid)
    features = np.stack(
        [flat("gen_pt"), flat("gen_eta"), flat("gen_phi"), mass, charge, *(flat(f"gen_v{axis}") for axis in "xyz")], 1
    )
    kind, pt, eta, phi = flat("reco_type"), flat("reco_pt"), flat("reco_eta"), flat("reco_phi")
    leader = flat("reco_gen_index").astype(np.int64)
    linked = leader >= 0  # constituents that nothing leads cannot be learned
    leader = (leader + np.repeat(gen[:-1], np.diff(reco)))[linked]
    kind, pt, eta, phi = (column[linked] for column in (kind, pt, eta, phi))
    track_pt = np.zeros(len(pdgid), np.float32)
    track_pt[leader[kind == TRACK]] = pt[kind == TRACK]
    tower = np.zeros((len(pdgid), 2, 3), np.float32)
    for layer, which in enumerate((PHOTON, NEUTRAL_HADRON)):
        on = kind == which
        tower[leader[on], layer] = np.stack([pt[on] * np.cosh(eta[on]), eta[on], phi[on]], 1)
    return Events(
        features=torch.from_numpy(features.astype(np.float32)),
        codes=torch.from_numpy(pdgid)[:, None],
        offsets=torch.from_numpy(gen),
        event=torch.from_numpy(table["event"].to_numpy().astype(np.int64)),
        track_pt=torch.from_numpy(track_pt),
        tower=torch.from_numpy(tower),
    )


def species(pdgid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mass [GeV] and charge [e] of PDG codes [N], float32, as the engine has them; 0 where they are not known."""
    tables = core()
    return np.nan_to_num(tables.pdg_mass(pdgid)).astype(np.float32), tables.pdg_charge(pdgid).astype(np.float32)


def halves(events: Events) -> tuple[Events, Events]:
    """Events of even number (to choose models on) and of odd number (to report on, once)."""
    return events.where(events.event % 2 == 0), events.where(events.event % 2 == 1)


def to(events: Events, device: str) -> Events:
    """The same events on a device."""
    return replace(events, **{field.name: getattr(events, field.name).to(device) for field in fields(events)})
