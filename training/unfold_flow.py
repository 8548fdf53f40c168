# SPDX-License-Identifier: MIT
"""The conditional flow of unfolding: the task that ``python -m training.train unfold-flow`` trains.

    python -m training.train unfold-flow --data zw_lljj.parquet --val zw_lljj.parquet --out unfold-flow.pt

Both options name the same file: it is split by row, see ``training.data.unfolding``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from training.data import unfolding as unfolding_data
from training.data.unfolding import Pairs, mirrored
from training.networks.unfolding import NOISE_PER_SLOT, UnfoldFlow, log_stretch, to_targets
from training.task import Config, Task, columns

FEATURES = (("pt", "GeV"), ("eta", ""), ("phi", "rad"), ("mass", "GeV"))


@dataclass
class UnfoldConfig(Config):
    """Settings common to the networks of unfolding."""

    batch: int = field(default=512, metadata={"help": "events per step"})
    generator: str = field(
        default="Pythia 8.317, ZW, pp 13 TeV, no ISR, no MPI", metadata={"help": "for the provenance"}
    )
    simulation: str = field(default="Delphes 3.5.1, CMS card", metadata={"help": "for the provenance"})


@dataclass
class UnfoldFlowConfig(UnfoldConfig):
    """Settings of the flow."""

    name: str = field(default="unfold-flow", metadata={"help": "the model's name"})
    epochs: int = field(default=40, metadata={"help": "passes over the training data"})
    rate: float = field(default=2e-3, metadata={"help": "highest learning rate; falls as a cosine"})
    hidden: int = field(default=96, metadata={"help": "width of the hidden layers"})
    bins: int = field(default=12, metadata={"help": "bins of the splines"})


def muon_of(pairs: Pairs) -> Tensor:
    """1 for muons, 0 for electrons [N]."""
    return (pairs.pdgid[:, 0].abs() == 13).float()


class UnfoldFlowTask(Task):
    """Maximum likelihood of the partons given the detector level."""

    config_type = UnfoldFlowConfig

    def __init__(self, config: UnfoldFlowConfig) -> None:
        self.config = config
        self.train = unfolding_data.load(config.data, "train")
        self.val = unfolding_data.load(config.val, "val")
        self.model = UnfoldFlow(config.hidden, config.bins)
        self.model.fit(self.train.reco, self.train.parton, muon_of(self.train))
        self.model = self.model.to(config.device)

    def prepared(self, pairs: Pairs) -> tuple[Tensor, ...]:
        """reco, muon, numbers of the chain and sums of ln(pT/pT_reco) of some events."""
        targets = to_targets(pairs.reco.double(), pairs.parton.double())
        u = torch.from_numpy(self.model.quantiles.to_normal(targets.numpy())).float()
        tensors = (pairs.reco, muon_of(pairs), u, log_stretch(pairs.reco.double(), targets).float())
        return tuple(tensor.to(self.config.device) for tensor in tensors)

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
        whole = self.prepared(mirrored(self.train, generator))
        for rows in self.shuffled(generator):
            yield tuple(tensor[rows] for tensor in whole)

    def terms(self, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        reco, muon, u, stretch = batch
        return {"likelihood": -self.model.log_prob(reco, muon, u, stretch).sum(1)}

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        found = model.log_prob(*self.prepared(self.val))  # type: ignore[operator]
        return {"score": float(-found.sum(1).mean()), "masses": float(-found[:, :2].sum(1).mean())}

    def metadata(self) -> dict[str, Any]:
        return unfolding_metadata(self.config, self.train)


def unfolding_metadata(config: UnfoldConfig, train: Pairs) -> dict[str, Any]:
    """hepgen.json of an unfolding network: four objects in, four partons out."""
    flat = train.reco.flatten(0, 1)  # [4 N, 4]
    named = columns(*FEATURES)
    return {
        "format": 1,
        "name": config.name,
        "version": config.version,
        "task": "unfold",
        "unit": "event",
        "input": {"features": named, "codes": columns(("pdgid", ""))},
        "condition": [],
        "output": {"features": named, "codes": columns(("pdgid", ""))},
        "scalars": [],
        "slots": {"per_item": 1, "per_set": 0},
        "noise": {"set": 0, "slot": NOISE_PER_SLOT},
        "cost": "linear",
        "domain": {
            "features": {c["name"]: [float(flat[:, i].min()), float(flat[:, i].max())] for i, c in enumerate(named)},
            "codes": {"pdgid": sorted(train.pdgid.unique().tolist())},
            "conditions": {},
            "items": [4, 4],
        },
        "provenance": {"generator": config.generator, "detector": config.simulation},
        "licence": "MIT",
    }
