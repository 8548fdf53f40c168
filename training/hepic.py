# SPDX-License-Identifier: MIT
"""HEPiC on GEN-RECO event pairs: the task that ``python -m training.train hepic`` trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from training import losses
from training.data import events as event_data
from training.data.events import Events
from training.networks.hepic import INPUT, NOISE_PER_SLOT, OUTPUT, Hepic
from training.task import Config, Task, columns

BATCH_ITEMS = 3 * 2**15
"""Slots in a call on a CPU. Fewer have more overhead, and torch sorts fewer than 2^15 deposits by comparing them."""
_UNITS = {"pt": "GeV", "phi": "rad", "mass": "GeV", "charge": "e", "vx": "mm", "vy": "mm", "vz": "mm", "d0": "mm"}
_UNITS |= {"dz": "mm", "eta": "", "pdgid": ""}


@dataclass
class HepicConfig(Config):
    """Settings of the event model."""

    name: str = field(default="delphes-cms", metadata={"help": "the model's name"})
    detector: str = field(default="cms", metadata={"help": "geometry: a bundled name or a TOML file"})
    hidden: int = field(default=64, metadata={"help": "width of the hidden layers"})
    bins: int = field(default=12, metadata={"help": "bins of the splines"})
    emphasis: float = field(default=30.0, metadata={"help": "energy [GeV] at which a cell weighs twice in training"})
    acceptance: float = field(default=5.2, metadata={"help": "largest |eta| of a GEN particle that can leave a signal"})
    without: str = field(default="", metadata={"help": "numbers of the processes to leave out of training: 1,7"})
    generator: str = field(default="Pythia 8.317, Monash tune, pp 13 TeV", metadata={"help": "for the provenance"})
    simulation: str = field(default="Delphes 3.5.1, CMS card", metadata={"help": "for the provenance"})


class HepicTask(Task):
    """Maximum likelihood of the RECO constituents, given GEN and the links between them."""

    config_type = HepicConfig
    rates: ClassVar[dict[str, float]] = {"resolution": 5.0}

    def __init__(self, config: HepicConfig) -> None:
        self.config = config
        train = event_data.load(config.data, config.cache)
        if config.without:
            left_out = torch.tensor([int(number) for number in config.without.split(",")])
            train = train.where(~torch.isin(train.event // 100_000, left_out))
        self.train = event_data.to(train, config.device)
        self.val = event_data.to(event_data.halves(event_data.load(config.val, config.cache))[0], config.device)
        self.model = Hepic(config.detector, config.hidden, config.bins).to(config.device)
        losses.fit_bounds(self.model, self.train)

    def batches(self, generator: torch.Generator) -> Iterator[Events]:
        for rows in self.shuffled(generator):
            yield self.train.pick(rows)

    def terms(self, batch: Events) -> dict[str, Tensor]:
        return losses.hepic_terms(self.model, batch, self.config.emphasis)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        sums: dict[str, Tensor] = {}
        for start in range(0, len(self.val), 100):
            batch = self.val.pick(torch.arange(start, min(start + 100, len(self.val))))
            for name, value in losses.hepic_terms(model, batch).items():
                sums[name] = sums.get(name, 0.0) + torch.stack([value.sum(), torch.tensor(value.numel())])
        figures = {name: float(value[0] / value[1].clamp(min=1)) for name, value in sums.items()}
        counted = [float(value[0]) for name, value in sums.items() if not name.startswith("resolution")]
        return {"score": sum(counted) / len(self.val), **figures}

    def metadata(self) -> dict[str, Any]:
        features, pdgid, config = self.train.features, self.train.codes[:, 0], self.config
        lengths = self.train.offsets.diff()
        return {
            "format": 1,
            "name": config.name,
            "version": config.version,
            "task": "reconstruct",
            "unit": "event",
            "input": {"features": columns(*((n, _UNITS[n]) for n in INPUT)), "codes": columns(("pdgid", ""))},
            "condition": [],
            "output": {
                "features": columns(*((n, _UNITS[n]) for n in OUTPUT)),
                "codes": columns(("pdgid", ""), ("charge", "e")),
            },
            "scalars": [],
            "slots": {"per_item": 2, "per_set": 0},
            "noise": {"set": 0, "slot": NOISE_PER_SLOT},
            "cost": "linear",
            "batch_items": BATCH_ITEMS,
            "acceptance": {"eta": [-config.acceptance, config.acceptance]},
            "domain": {
                "features": {
                    name: [float(features[:, i].min()), float(features[:, i].max())] for i, name in enumerate(INPUT)
                },
                "codes": {"pdgid": sorted(pdgid.unique().tolist())},
                "conditions": {},
                "items": [int(lengths.min()), int(lengths.max())],
            },
            "provenance": {"generator": config.generator, "detector": config.simulation},
            "licence": "MIT",
        }

    def report(self, path: Path) -> dict[str, Any]:
        from training import evaluate

        if not evaluate.rerun_of(self.config.val).exists():
            return {"report": f"none: {evaluate.rerun_of(self.config.val).name}, the floor, was not there"}
        found = evaluate.summary(path, self.config.val, parity=0)
        return {
            name: value for name, value in found.items() if name != "ms_per_event"
        }  # the machine's, not the model's
