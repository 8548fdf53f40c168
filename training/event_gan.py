# SPDX-License-Identifier: MIT
"""Generators of top pairs at parton level: the tasks ``event-gan`` (two players) and ``event-flow`` (likelihood)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training.adversarial import AdversarialConfig, AdversarialTask
from training.data import partons, top_pairs
from training.mmd import KERNELS, TOP_PAIR, MeshMmd, mmd2
from training.networks.event_gan import MASSES_OF, SIZES, EventGan, EventJudge
from training.networks.partons import N_CHOICES, EventFlow, PartonGenerator
from training.networks.subtraction import sliced_energy
from training.networks.top_pairs import mass_of
from training.parton_observables import DISTRIBUTIONS, RESONANCES, distance, observables, quartiles
from training.task import Config, Task, columns

GENERATOR = "Pythia 8.317, parton level off, leading order, pp 13 TeV"
_MAPS = ("mmd", "none", "arctan")
_ESTIMATORS = ("mesh", "unbiased", "biased")


@dataclass
class EventFlowConfig(Config):
    """Settings of the flow."""

    name: str = field(default="event-flow", metadata={"help": "the model's name"})
    epochs: int = field(default=12, metadata={"help": "passes over the training data"})
    batch: int = field(default=1024, metadata={"help": "events per step"})
    hidden: int = field(default=64, metadata={"help": "width of the hidden layers"})
    bins: int = field(default=12, metadata={"help": "bins of the splines"})
    generator: str = field(default=GENERATOR, metadata={"help": "for the provenance"})


@dataclass
class EventGanConfig(AdversarialConfig):
    """Settings of arXiv:1907.03764, in a size for one core."""

    name: str = field(default="event-gan", metadata={"help": "the model's name"})
    epochs: int = field(default=60, metadata={"help": "passes over the training data"})
    batch: int = field(default=1024, metadata={"help": "events per step"})
    rate: float = field(default=3e-3, metadata={"help": "learning rate of the generator"})
    rate_discriminator: float = field(default=3e-3, metadata={"help": "learning rate of the discriminator"})
    schedule: str = field(default="cosine", metadata={"help": "course of the learning rates: cosine or constant"})
    objective: str = field(default="bce", metadata={"help": "ls, bce, wasserstein or hinge"})
    beta1: float = field(default=0.5, metadata={"help": "Adam's decay of the mean"})
    beta2: float = field(default=0.9, metadata={"help": "Adam's decay of the square"})
    regulariser: float = field(default=1e-3, metadata={"help": "weight of the regulariser of arXiv:1705.09367"})
    precision: str = field(default="bf16", metadata={"help": "of the discriminator: float32, or bf16 by autocast"})
    size: str = field(default="small", metadata={"help": f"layers and width: {SIZES}"})
    masses: str = field(default="mmd", metadata={"help": "how resonances are learned: mmd, none or arctan"})
    quick: float = field(
        default=5.0, metadata={"help": "rate of positions and spreads of coordinates, in units of the generator's"}
    )
    kernel: str = field(default="breit-wigner", metadata={"help": f"of the MMD: {', '.join(KERNELS)}"})
    widths: str = field(default="1,4,16,64", metadata={"help": "widths of the kernels, in units of the resonance's"})
    output: str = field(default="decays", metadata={"help": "of the generator: momenta as in the paper, or decays"})
    estimator: str = field(
        default="mesh", metadata={"help": "of the MMD: biased or unbiased of a batch, or mesh, of all the truth"}
    )
    root: int = field(default=0, metadata={"help": "1: loss is the MMD, as in arXiv:1912.00477; 0: its square"})
    mmd_weight: float = field(default=30.0, metadata={"help": "weight of the MMD loss of each resonance"})
    mmd_events: int = field(default=1024, metadata={"help": "events of a batch that enter the MMD"})
    energy: float = field(
        default=10.0, metadata={"help": "weight of a sliced energy distance of what the discriminator sees; 0: none"}
    )
    start: str = field(
        default="", metadata={"help": "checkpoint of another training to go on from, with these settings"}
    )
    directions: int = field(default=16, metadata={"help": "random directions of the sliced energy distance"})
    generator: str = field(default=GENERATOR, metadata={"help": "for the provenance"})


def describe(config: Any) -> dict[str, Any]:
    """hepgen.json of a generator of top pairs."""
    return {
        "format": 1,
        "name": config.name,
        "version": config.version,
        "task": "generate",
        "unit": "event",
        "input": {"features": [], "codes": []},
        "condition": [],
        "output": {
            "features": columns(("px", "GeV"), ("py", "GeV"), ("pz", "GeV"), ("mass", "GeV")),
            "codes": columns(("pdgid", "")),
        },
        "scalars": columns(("id1", ""), ("id2", "")),
        "slots": {"per_item": 0, "per_set": 6},
        "cost": "linear",
        "domain": {"features": {}, "codes": {}, "conditions": {}, "items": [0, 0]},
        "provenance": {"generator": config.generator, "detector": "none", "process": "pp > t tbar > 6 quarks, 13 TeV"},
        "licence": "MIT",
    }


def score(truth: dict[str, Any], momenta: Tensor) -> dict[str, float]:
    """Mean W1, in quartile ranges, of the twelve distributions and of the resonances; ``score`` is their mean.

    And positions and widths of the resonances over the truth's, and the sum of the pT vectors over that of their sizes.
    """
    p = momenta.numpy()
    found = observables(p)
    flat = sum(distance(truth[name], found[name]) for name in DISTRIBUTIONS) / len(DISTRIBUTIONS)
    peaks = sum(distance(truth[name], found[name]) for name in RESONANCES) / len(RESONANCES)
    shape = {}
    for name, keys in (("w", RESONANCES[:2]), ("t", RESONANCES[2:])):
        true, made = (quartiles(np.concatenate([sample[key] for key in keys])) for sample in (truth, found))
        shape |= {f"m_{name}": made[0] / true[0], f"width_{name}": made[1] / true[1]}
    balance = np.hypot(found["balance_x"], found["balance_y"]) / np.hypot(*np.moveaxis(p[:, :, :2], 2, 0)).sum(1)
    return {"score": 0.5 * (flat + peaks), "flat": flat, "peaks": peaks, **shape, "balance": float(balance.mean())}


class _TopPairTask(Task):
    """Data, batches and metadata of both."""

    model: PartonGenerator

    def load(self, model: PartonGenerator) -> None:
        """Training and validation events; what the model takes from the training sample without training."""
        self.train = top_pairs.load(self.config.data)
        self.val = top_pairs.load(self.config.val, 50_000)
        model.decays.copy_(self.train.decays)
        model.coordinates.fit(self.train.on_shell())
        self.model = model.to(self.config.device)

    def metadata(self) -> dict[str, Any]:
        found = describe(self.config) | {"noise": {"set": self.model.n_noise + N_CHOICES, "slot": 0}}
        made = partons.metadata_of(self.config.data)
        found["provenance"] |= {key: made[key] for key in ("cross_section_pb",) if key in made}
        return found


class EventFlowTask(_TopPairTask):
    """Top pairs by a normalising flow in phase-space coordinates, maximum likelihood."""

    config_type = EventFlowConfig

    def __init__(self, config: EventFlowConfig) -> None:
        self.config = config
        self.load(EventFlow(config.hidden, config.bins))
        self.targets = self._targets(self.train)
        self.val_targets = self._targets(self.val)

    def _targets(self, events: top_pairs.TopPairEvents) -> tuple[Tensor, Tensor, Tensor]:
        """Coordinates f32 [N, 16], four-momenta f32 [N, 6, 4], incoming partons i64 [N]."""
        p = events.on_shell()
        found = self.model.coordinates.encode(p).float(), p.float(), events.initial
        return tuple(values.to(self.config.device) for values in found)

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for rows in self.shuffled(generator):
            yield tuple(values[rows] for values in self.targets)

    def terms(self, batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        return _likelihood(self.model, batch)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        parts = [
            {name: float(value.sum()) for name, value in _likelihood(model, rows).items()}
            for rows in zip(*(values.split(5000) for values in self.val_targets))
        ]
        figures = {name: sum(part[name] for part in parts) / len(self.val) for name in parts[0]}
        return {"score": sum(figures.values()), **figures}


def _likelihood(model: EventFlow, batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
    t, p, initial = batch
    return {"momenta": -model.log_prob(t).sum(1), "initial": model.initial_loss(p, initial)}


class EventGanTask(_TopPairTask, AdversarialTask):
    """Top pairs by a GAN with MMD losses for the invariant masses (arXiv:1907.03764)."""

    config_type = EventGanConfig
    config: EventGanConfig

    def __init__(self, config: EventGanConfig) -> None:
        choices = ((config.masses, _MAPS), (config.size, SIZES), (config.estimator, _ESTIMATORS))
        if any(found not in allowed for found, allowed in (*choices, (config.output, ("momenta", "decays")))):
            raise SystemExit(
                f"expected --masses of {_MAPS}, --size of {tuple(SIZES)}, --estimator of {_ESTIMATORS}, "
                f"--output momenta or decays; found {config.masses}, {config.size}, {config.estimator}, {config.output}"
            )
        self.config = config
        output = "arctan" if config.masses == "arctan" else config.output
        self.load(EventGan(config.size, output))
        self.discriminator = EventJudge(config.size, output).to(config.device)
        if config.start:
            state = torch.load(config.start, weights_only=True, map_location=config.device)
            self.model.load_state_dict(state["averaged"])
            self.discriminator.load_state_dict(state["modules"]["discriminator"])
        self.truth = observables(self.val.momenta.numpy())
        p = self.train.on_shell()
        self.targets = tuple(v.to(config.device) for v in (self.model.encode(p).float(), p.float(), self.train.initial))
        masses = torch.stack([mass_of(p[:, list(particles)].sum(1)) for particles in MASSES_OF])  # [4, N]
        self.true_masses = masses.float().to(config.device)
        factors = [float(factor) for factor in config.widths.split(",")]
        kernels = {resonance.particles: resonance.width for resonance in TOP_PAIR}
        self.widths = [[factor * kernels[particles] for factor in factors] for particles in MASSES_OF]
        self.mesh = MeshMmd(self.true_masses, self.widths, config.kernel)

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for rows in self.shuffled(generator):
            yield tuple(values[rows] for values in self.targets)

    def groups(self) -> list[dict[str, Any]]:
        """Position and spread of each coordinate may change fast: a peak begins fifty times too wide."""
        quick = [self.model.shift, self.model.log_gain]
        slow = [value for value in self.model.parameters() if all(value is not other for other in quick)]
        return [{"params": slow, "scale": 1.0}, {"params": quick, "scale": self.config.quick}]

    def real(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        return batch[0]

    def fake(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        noise = torch.randn(batch[0].size(0), self.model.n_noise, device=batch[0].device)
        with torch.autocast(noise.device.type, enabled=False):  # bfloat16's steps of 0.4 % would smear the resonances
            return self.model.raw(noise)

    def extra(self, fake: Tensor, batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        """The MMD of each resonance, and the likelihood of the incoming partons."""
        losses = {"initial": self.model.initial_loss(batch[1], batch[2]).mean()}
        if self.config.energy > 0:
            real, made = (self.discriminator.seen(x) for x in (batch[0], fake))
            directions = torch.randn(self.config.directions, real.size(1), device=real.device)
            directions = directions / directions.norm(dim=1, keepdim=True)
            even = torch.full_like(made[:, 0], 1.0 / len(made))
            losses["energy"] = self.config.energy * sliced_energy(made, even, real, directions)
        if self.config.masses == "mmd":
            losses["mmd"] = self.config.mmd_weight * self.mmd(self.model.masses(fake[: self.config.mmd_events])).sum()
        return losses

    def mmd(self, masses: Tensor) -> Tensor:
        """MMD (or its square) [4] of generated masses [N, 4] of ``MASSES_OF`` in GeV."""
        config = self.config
        if config.estimator == "mesh":
            squared = self.mesh(masses.T)
        else:
            rows = torch.randint(self.true_masses.size(1), (len(masses),), device=masses.device)
            pairs = zip(self.true_masses[:, rows], masses.T, self.widths)
            unbiased = config.estimator == "unbiased"
            squared = torch.stack([mmd2(x, y, widths, config.kernel, unbiased) for x, y, widths in pairs])
        return torch.sqrt(squared.clamp(min=1e-6)) if config.root else squared

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        generator = torch.Generator().manual_seed(1)
        noise = torch.randn(len(self.val), self.model.n_noise, generator=generator).to(self.config.device)
        momenta = torch.cat([model.draw(part) for part in noise.split(5000)]).cpu()
        initial = [
            model.initial_loss(p, which).sum()
            for p, which in zip(self.val.on_shell().float().split(5000), self.val.initial.split(5000))
        ]
        return score(self.truth, momenta) | {"initial_val": float(sum(initial)) / len(self.val)}
