# SPDX-License-Identifier: MIT
"""The graph VAE of jets: the task that ``python -m training.train graph-vae`` trains.

    hepgen-fastsim convert train.parquet -o train_jets.parquet --jets
    hepgen-fastsim convert val.parquet --rerun val_rerun.parquet -o val_jets.parquet --jets
    python -m training.train graph-vae --data train_jets.parquet --val val_jets.parquet --out graph-vae.pt

L = beta KL + (1 - beta) [-log p(RECO | z, GEN) + Chamfer + alpha_m (m - m')^2 + alpha_pT (pT - pT')^2], with z drawn
from the posterior and the last three of the decoder's mean jet; beta = 1/2 makes KL and likelihood the evidence bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from training.data import jet_pairs
from training.data.events import Events
from training.data.jet_pairs import INPUT, JetPairs
from training.graph_vae_losses import as_events, graph_terms
from training.hepic import _UNITS
from training.jet_vae import JetConfig, features_of, jet_metadata, limits, selection
from training.losses import fit_bounds
from training.networks.graph_vae import EXTRAS, NOISE_PER_SET, NOISE_PER_SLOT, GraphVae
from training.networks.hepic import OUTPUT
from training.task import Task, columns


@dataclass
class GraphVaeConfig(JetConfig):
    """Settings of the graph VAE."""

    name: str = field(default="graph-vae", metadata={"help": "the model's name"})
    detector: str = field(default="cms", metadata={"help": "geometry: a bundled name or a TOML file"})
    hidden: int = field(default=64, metadata={"help": "width of the hidden layers"})
    rate: float = field(default=2e-3, metadata={"help": "highest learning rate; falls as a cosine"})
    clip: float = field(default=100.0, metadata={"help": "largest norm of a step's gradient"})
    batch: int = field(default=128, metadata={"help": "jets per step"})
    beta: float = field(default=0.5, metadata={"help": "weight of the KL divergence, 1 - beta that of the rest"})
    shape: float = field(default=1.0, metadata={"help": "weight of Chamfer distance, jet mass and jet pT"})
    shapes: int = field(default=16, metadata={"help": "jets of a batch that these three are computed of"})
    emphasis: float = field(default=30.0, metadata={"help": "energy [GeV] at which a cell weighs twice in training"})


def draw(model: nn.Module, pairs: JetPairs, seed: int = 0, batch: int = 500) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """RECO jets drawn for GEN jets: constituents [M, 6], codes [M, 2], offsets [J + 1], origins [M]."""
    generator = torch.Generator().manual_seed(seed)
    items, codes, origins, counts = [], [], [], [torch.zeros(1, dtype=torch.int64)]
    for start in range(0, len(pairs), batch):
        part = pairs.pick(torch.arange(start, min(start + batch, len(pairs))))
        n = len(part)
        slots = 2 * part.offsets + EXTRAS * torch.arange(n + 1)
        found = model(
            part.features,
            part.codes,
            part.offsets,
            torch.zeros(n, 0),
            torch.randn(n, NOISE_PER_SET, generator=generator),
            slots,
            torch.randn(int(slots[-1]), NOISE_PER_SLOT, generator=generator),
        )
        items.append(found[0])
        codes.append(found[1])
        counts.append(found[2].diff())
        origins.append(found[3])
    return torch.cat(items), torch.cat(codes), torch.cat(counts).cumsum(0), torch.cat(origins)


class GraphVaeTask(Task):
    """The graph VAE of jets, GEN to RECO."""

    config_type = GraphVaeConfig
    config: GraphVaeConfig
    rates: ClassVar[dict[str, float]] = {"resolution": 5.0}

    def __init__(self, config: GraphVaeConfig) -> None:
        self.config = config
        self.train = jet_pairs.load(config.data, config.processes)
        self.val = jet_pairs.halves(jet_pairs.load(config.val, config.processes))[0]
        self.events: Events = as_events(self.train)
        self.model = GraphVae(config.detector, config.hidden, config.radius)
        fit_bounds(self.model, self.events)
        self.expected = features_of(self.val.reco.momenta, self.val.reco.offsets)

    def batches(self, generator: torch.Generator) -> Iterator[JetPairs]:
        for rows in self.shuffled(generator):
            yield self.train.pick(rows)

    def terms(self, batch: JetPairs) -> dict[str, Tensor]:
        c = self.config
        found = graph_terms(self.model, batch, c.emphasis, c.shape, c.alpha_mass, c.alpha_pt, c.shapes)
        weight = {True: c.beta, False: 1.0 - c.beta}
        return {name: 2.0 * weight[name.startswith("kl")] * value for name, value in found.items()}

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        model.eval()
        torch.manual_seed(0)  # of the posteriors' draws; the trainer seeds every epoch
        sums: dict[str, float] = {}
        for start in range(0, len(self.val), 500):
            batch = self.val.pick(torch.arange(start, min(start + 500, len(self.val))))
            for name, value in graph_terms(model, batch).items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(batch) / len(self.val)
        items, _, offsets, _ = draw(model, self.val)
        found = selection(self.expected, features_of(items[:, :4], offsets), self.config.threshold)
        failed = found.pop("score") > 500.0
        bound = sum(value for name, value in sums.items() if name not in ("resolution", "chamfer", "mass", "pt"))
        return {"score": bound + 1000.0 * failed, **sums, **found}

    def metadata(self) -> dict[str, Any]:
        shared = jet_metadata(self.config, self.train)
        shared["domain"]["features"] = limits(self.train.features, INPUT)
        shared["domain"]["codes"] = {"pdgid": sorted(self.train.codes[:, 0].unique().tolist())}
        return shared | {
            "input": {"features": columns(*((n, _UNITS[n]) for n in INPUT)), "codes": columns(("pdgid", ""))},
            "output": {
                "features": columns(*((n, _UNITS[n]) for n in OUTPUT)),
                "codes": columns(("pdgid", ""), ("charge", "e")),
            },
            "slots": {"per_item": 2, "per_set": EXTRAS},
            "noise": {"set": NOISE_PER_SET, "slot": NOISE_PER_SLOT},
            "cost": "linear",
        }
