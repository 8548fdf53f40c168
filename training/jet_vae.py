# SPDX-License-Identifier: MIT
"""The convolutional jet VAE (arXiv:2203.00520): the task that ``python -m training.train jet-vae`` trains.

hepgen-fastsim convert train.parquet -o train_jets.parquet --jets
hepgen-fastsim convert val.parquet --rerun val_rerun.parquet -o val_jets.parquet --jets
python -m training.train jet-vae --data train_jets.parquet --val val_jets.parquet --out jet-vae.pt
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from hepgen_fastsim.metrics import kld
from torch import Tensor, nn

from training.chamfer import chamfer
from training.data import jet_pairs
from training.data.jet_pairs import JetPairs
from training.jet_losses import jet_terms, kl_to_normal, summed_jets
from training.networks.jet_vae import LATENT, PARTICLES, JetVae, cartesian, padded
from training.task import Config, Task, columns

_FAILED = 1000.0  # added to the score of a model beyond the threshold


@dataclass
class JetConfig(Config):
    """Settings that the jet autoencoders share."""

    processes: str = field(default="1,2,3", metadata={"help": "numbers of the processes to train on: 2,3; empty: all"})
    alpha_mass: float = field(default=1.0, metadata={"help": "weight of the jet mass in the loss"})
    alpha_pt: float = field(default=0.1, metadata={"help": "weight of the jet pT in the loss"})
    threshold: float = field(default=1.0, metadata={"help": "largest KLD(mass) + KLD(pT) of a model to be chosen"})
    radius: float = field(default=0.8, metadata={"help": "of the jets in the data, for the metadata"})
    pt_min: float = field(default=30.0, metadata={"help": "smallest GEN pT [GeV] in the data, for the metadata"})
    eta_max: float = field(default=2.5, metadata={"help": "largest GEN |eta| in the data, for the metadata"})
    generator: str = field(default="Pythia 8.317, Monash tune, pp 13 TeV", metadata={"help": "for the provenance"})
    simulation: str = field(default="Delphes 3.5.1, CMS card", metadata={"help": "for the provenance"})


@dataclass
class JetVaeConfig(JetConfig):
    """Settings of the convolutional jet VAE."""

    name: str = field(default="jet-vae", metadata={"help": "the model's name"})
    rate: float = field(default=1e-4, metadata={"help": "learning rate"})
    schedule: str = field(default="constant", metadata={"help": "course of the learning rate: cosine or constant"})
    clip: float = field(default=1e3, metadata={"help": "largest norm of a step's gradient"})
    batch: int = field(default=100, metadata={"help": "jets per step"})
    beta: float = field(default=1 / 9, metadata={"help": "weight of the KL divergence, 1 - beta that of the rest"})
    dense: int = field(default=1500, metadata={"help": "width of the dense layers"})
    pooling: int = field(default=0, metadata={"help": "1: maxima over pairs after the first two convolutions"})
    dropout: float = field(default=0.1, metadata={"help": "of the dense layers, in training"})


def features_of(momenta: Tensor, offsets: Tensor) -> dict[str, np.ndarray]:
    """Features [J] of jets of momenta f32 [M, 4] (pt, eta, phi, mass): what the seed's selection compares."""
    p = momenta.double()
    pt, eta, phi, mass = p.unbind(1)
    px, py, pz = cartesian(pt, eta, phi).unbind(1)
    energy = torch.sqrt((pt * torch.cosh(eta)) ** 2 + mass**2)
    index = torch.repeat_interleave(torch.arange(len(offsets) - 1), offsets.diff())
    sums = torch.zeros(len(offsets) - 1, 4, dtype=torch.float64)
    sums = sums.index_add(0, index, torch.stack([px, py, pz, energy], 1))
    jet_pt = torch.hypot(sums[:, 0], sums[:, 1])
    square = sums[:, 3] ** 2 - (sums[:, :3] ** 2).sum(1)
    found = {
        "pt": jet_pt,
        "mass": square.clamp(min=0.0).sqrt(),
        "energy": sums[:, 3],
        "eta": torch.asinh(sums[:, 2] / jet_pt.clamp(min=1e-9)),
        "phi": torch.atan2(sums[:, 1], sums[:, 0]),
    }
    there = offsets.diff() > 0
    return {name: value[there].numpy() for name, value in found.items()}


def selection(expected: dict[str, np.ndarray], found: dict[str, np.ndarray], threshold: float) -> dict[str, float]:
    """KLD of each jet feature, and their sum as the ``score``, far worse where mass and pT are beyond ``threshold``."""
    figures = {f"kld_{name}": kld(expected[name], found[name], n_bootstrap=2).value for name in expected}
    failed = figures["kld_mass"] + figures["kld_pt"] > threshold
    return {"score": sum(figures.values()) + _FAILED * failed, **figures}


def jet_metadata(config: JetConfig, train: JetPairs) -> dict[str, Any]:
    """What the metadata of all jet autoencoders share."""
    lengths = train.offsets.diff()
    return {
        "format": 1,
        "name": config.name,
        "version": config.version,
        "task": "reconstruct",
        "unit": "jet",
        "condition": [],
        "scalars": [],
        "jets": {
            "algorithm": "antikt",
            "radius": config.radius,
            "pt_min": config.pt_min,
            "eta_max": config.eta_max,
        },
        "domain": {"codes": {}, "conditions": {}, "items": [int(lengths.min()), int(lengths.max())]},
        "provenance": {"generator": config.generator, "detector": config.simulation},
        "licence": "MIT",
    }


def limits(features: Tensor, names: tuple[str, ...]) -> dict[str, list[float]]:
    """Range of each column of features [T, F]."""
    return {name: [float(features[:, i].min()), float(features[:, i].max())] for i, name in enumerate(names)}


def draw(model: nn.Module, pairs: JetPairs, batch: int = 500) -> tuple[Tensor, Tensor]:
    """RECO jets drawn for GEN jets: constituents [M, 4] (pt, eta, phi, mass 0) and their offsets [J + 1]."""
    generator = torch.Generator().manual_seed(0)
    items, counts = [], [torch.zeros(1, dtype=torch.int64)]
    for start in range(0, len(pairs), batch):
        part = pairs.pick(torch.arange(start, min(start + batch, len(pairs))))
        n = len(part)
        noise, none = torch.randn(n, LATENT, generator=generator), torch.zeros(PARTICLES * n, 0)
        slots = PARTICLES * torch.arange(n + 1)
        found, _, offsets, _, _ = model(
            part.features[:, :3], part.codes[:, :0], part.offsets, none[:n], noise, slots, none
        )
        items.append(torch.cat([found, torch.zeros(len(found), 1)], 1))
        counts.append(offsets.diff())
    return torch.cat(items), torch.cat(counts).cumsum(0)


class JetVaeTask(Task):
    """The convolutional VAE of jets, GEN to RECO."""

    config_type = JetVaeConfig
    config: JetVaeConfig

    def __init__(self, config: JetVaeConfig) -> None:
        self.config = config
        self.train = jet_pairs.load(config.data, config.processes)
        self.val = jet_pairs.halves(jet_pairs.load(config.val, config.processes))[0]
        self.model = JetVae(config.dense, bool(config.pooling), config.dropout)
        features, reco = self.train.features, self.train.reco.momenta
        both = [cartesian(*features[:, :3].unbind(1)), cartesian(*reco[:, :3].unbind(1))]
        self.model.mean.copy_(torch.stack([p.mean(0) for p in both]))
        self.model.scale.copy_(torch.stack([p.std(0) for p in both]))
        self.gen = padded(both[0], self.train.offsets)  # [J, 3, 50] GeV
        self.reco = padded(both[1], self.train.reco.offsets)
        self.expected = features_of(self.val.reco.momenta, self.val.reco.offsets)
        self.model.to(config.device)

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        for jets in self.shuffled(generator):
            yield self.gen[jets].to(self.config.device), self.reco[jets].to(self.config.device)

    def terms(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        model, config = self.model, self.config
        gen, reco = batch
        with self.autocast():
            mean, log_variance = model.encode(model.standardised(gen, 0))
            z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            found = model.decode(z)
        return vae_terms(model, mean.float(), log_variance.float(), found.float(), reco, config)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        model.eval()  # the averaged copy alone: what is trained keeps its dropout
        some = torch.arange(0, len(self.train), 10)
        model.softest.fill_(0.0)
        made, _ = draw(model, self.train.pick(some))
        missing = len(made) - int(self.train.reco.offsets.diff()[some].clamp(max=PARTICLES).sum())
        model.softest.copy_(torch.kthvalue(made[:, 0], max(missing, 1))[0])  # the mean multiplicity is that of RECO
        return selection(self.expected, features_of(*draw(model, self.val)), self.config.threshold)

    def metadata(self) -> dict[str, Any]:
        shared = jet_metadata(self.config, self.train)
        momentum = columns(("pt", "GeV"), ("eta", ""), ("phi", "rad"))
        shared["domain"]["features"] = limits(self.train.features, ("pt", "eta", "phi"))
        return shared | {
            "input": {"features": momentum, "codes": []},
            "output": {"features": momentum, "codes": []},
            "slots": {"per_item": 0, "per_set": PARTICLES},
            "noise": {"set": LATENT, "slot": 0},
            "cost": "linear",
        }


def vae_terms(
    model: JetVae, mean: Tensor, log_variance: Tensor, found: Tensor, reco: Tensor, config: JetVaeConfig
) -> dict[str, Tensor]:
    """Parts of the seed's loss [B]: codes [B, 20], standardised output ``found`` and RECO jets ``reco`` [B, 3, 50] GeV.

    The Chamfer distance is that of standardised momenta. Jet pT and mass follow from momenta in GeV and are compared in
    units of the momenta's mean spread, which is what makes the seed's weights balance the terms.
    """
    scale = model.scale[1].unsqueeze(1)
    expected = model.standardised(reco, 1)
    distance = chamfer(found.transpose(1, 2), expected.transpose(1, 2))
    made = (found * scale + model.mean[1].unsqueeze(1)).transpose(1, 2)  # [B, 50, 3] GeV
    pt, mass = jet_terms(summed_jets(made), summed_jets(reco.transpose(1, 2)), scale.mean())
    rest = 1.0 - config.beta
    return {
        "kl": config.beta * kl_to_normal(mean, log_variance),
        "chamfer": rest * distance,
        "mass": rest * config.alpha_mass * mass,
        "pt": rest * config.alpha_pt * pt,
    }
