# SPDX-License-Identifier: MIT
"""A GAN that subtracts samples: the task that ``python -m training.train subtraction-gan`` trains.

    python -m training.data.subtraction toy1 --seed 1 -o toy1.parquet
    python -m training.data.subtraction toy1 --seed 2 -o toy1-val.parquet
    python -m training.train subtraction-gan --data toy1.parquet --val toy1-val.parquet --out toy1.pt

Butter, Plehn, Winterhalder, "How to GAN event subtraction", arXiv:1912.08824. One discriminator per sample compares it
with the generated events of the classes that are part of it; what is only part of the base is the result.

``--classes learnt`` is the paper's: the generator gives labels, a class loss makes them clear, a normalisation loss
holds the cross sections. ``--classes drawn`` knows the rates of the classes from the cross sections, draws the class
and gives it to the generator: labels are clear and rates exact, and only the shapes are left to learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from training.adversarial import AdversarialConfig, AdversarialTask
from training.data import subtraction as samples_data
from training.data.subtraction import ROLES, Samples
from training.networks.subtraction import (
    ITEMS,
    Judge,
    SubtractionGan,
    class_loss,
    classes_of,
    data_sets,
    normalisation_loss,
    sliced_energy,
)
from training.task import columns

#: layers, units of the generator, units of the discriminators, epochs; the seed paper's table
SIZES = {
    "default": (3, 64, 64, 60),
    "toy1": (5, 128, 128, 4000),
    "toy2": (7, 128, 128, 1000),
    "resonance": (8, 160, 80, 1000),
    "dipole": (8, 512, 256, 20000),
}
COLUMNS = (("pt", "GeV"), ("eta", ""), ("phi", "rad"), ("mass", "GeV"))
#: the regulariser is taken in every so many steps, and weighs as many times more (arXiv:1912.04958, appendix B)
LAZY = 4
#: bins of equal content (of all samples together) in each coordinate, in validation
BINS = 40


@dataclass
class SubtractionConfig(AdversarialConfig):
    """Settings of the subtraction GAN."""

    name: str = field(default="subtraction-gan", metadata={"help": "the model's name"})
    classes: str = field(default="drawn", metadata={"help": "drawn with the known rates, or learnt as in the paper"})
    size: str = field(default="default", metadata={"help": f"one of {', '.join(SIZES)}: layers and units"})
    epochs: int = field(default=0, metadata={"help": "epochs; 0: as the size says"})
    steps: int = field(default=200, metadata={"help": "steps in an epoch"})
    batch: int = field(default=1024, metadata={"help": "events of each sample in a step"})
    rate: float = field(default=3e-3, metadata={"help": "learning rate of the generator"})
    rate_discriminator: float = field(default=3e-3, metadata={"help": "learning rate of the discriminators"})
    schedule: str = field(default="cosine", metadata={"help": "course of the learning rates: cosine or constant"})
    objective: str = field(default="bce", metadata={"help": "bce alone"})
    beta1: float = field(default=0.5, metadata={"help": "Adam's decay of the mean"})
    octaves: int = field(default=6, metadata={"help": "frequencies 1, 2, 4 … in which discriminators see coordinates"})
    regulariser: float = field(default=5e-4, metadata={"help": "weight of the regulariser of arXiv:1705.09367"})
    energy: float = field(default=1.0, metadata={"help": "weight of the sliced energy distance; 0: as in the paper"})
    directions: int = field(
        default=8, metadata={"help": "random directions of the sliced energy distance, beside the axes"}
    )
    alpha: float = field(default=5.0, metadata={"help": "steepness of the counting function of learnt classes"})
    class_weight: float = field(default=1.0, metadata={"help": "weight of the class loss of learnt classes"})
    norm_weight: float = field(default=5.0, metadata={"help": "weight of the normalisation loss of learnt classes"})
    generator: str = field(
        default="own samplers, or Pythia 8.317 for lepton pairs", metadata={"help": "for provenance"}
    )

    def __post_init__(self) -> None:
        if self.size not in SIZES or self.classes not in ("drawn", "learnt") or self.objective != "bce":
            raise SystemExit(
                f"--size must be one of {list(SIZES)}, --classes drawn or learnt, --objective bce; found {self.size}, "
                f"{self.classes}, {self.objective}"
            )
        self.epochs = self.epochs or SIZES[self.size][3]


class SubtractionTask(AdversarialTask):
    """A generator of events with classes, against one discriminator per sample."""

    config_type = SubtractionConfig
    config: SubtractionConfig
    model: SubtractionGan
    discriminator: nn.ModuleList

    def __init__(self, config: SubtractionConfig) -> None:
        self.config = config
        self.samples, self.val = samples_data.load(config.data), samples_data.load(config.val)
        self.classes = classes_of(self.samples)
        layers, hidden, hidden_judge, _ = SIZES[config.size]
        self.model = SubtractionGan(self.samples, hidden, layers, config.classes == "learnt")
        self.model.fit(self.samples)
        self.sets = [self.seen(torch.from_numpy(x).double(), i).float() for i, x in enumerate(data_sets(self.samples))]
        judges = [Judge(self.model.dim, hidden_judge, layers, config.octaves) for _ in self.sets]
        self.discriminator = nn.ModuleList(judges).to(config.device)
        self.model = self.model.to(config.device)
        rates = torch.tensor(self.classes.rates, dtype=torch.float64)
        member = torch.tensor(self.classes.member, dtype=torch.float64)
        sigma = (member * rates).sum(1)  # [n]
        self.ratios = (sigma / sigma[0]).float().to(config.device)
        #: [n, K] the share of class k in data set i
        self.shares = (member * rates / sigma[:, None]).float().to(config.device)
        self.scorer = Scorer(self.samples, self.val, self.model)

    def seen(self, x: Tensor, i: int) -> Tensor:
        """Coordinates x [N, D] as the discriminator of data set i sees them, normal numbers of its own quantiles."""
        return self.model.quantiles.to_normal(x, 0 if self.model.learnt else 1 + i)

    def __len__(self) -> int:
        return self.config.steps

    def batches(self, generator: torch.Generator) -> Iterator[list[Tensor]]:
        """Events of each data set, drawn with replacement."""
        for _ in range(len(self)):
            rows = [torch.randint(len(x), (self.config.batch,), generator=generator) for x in self.sets]
            yield [x[i].to(self.config.device) for x, i in zip(self.sets, rows)]

    def draw(self) -> tuple[list[Tensor], Tensor]:
        """Generated events as each discriminator sees them, n of [N, D], and labels [N, K].

        Drawn classes have the same number of events each.
        """
        n = self.config.batch // self.model.n_classes * self.model.n_classes
        which = torch.arange(n, device=self.config.device) % self.model.n_classes
        noise = torch.randn(len(which), self.model.n_noise, device=self.config.device)
        u, label = self.model.generate(noise, which)
        if self.model.learnt:
            return [u] * self.classes.sets, label
        x = self.model.values(u, which)
        return [self.seen(x, i) for i in range(self.classes.sets)], label

    def weights(self, label: Tensor) -> Tensor:
        """Weights [n, N] of generated events in each data set, each row with sum 1.

        Drawn classes count with their share of the data set, learnt ones as their labels say.
        """
        member = label @ (self.model.member.T if self.model.learnt else self.shares.T)  # [N, n]
        return (member / member.sum(0).clamp(min=1e-6)).T

    def update_discriminator(self, batch: list[Tensor], optimiser: torch.optim.Optimizer) -> float:
        self.discriminator.requires_grad_(True)
        with torch.no_grad():
            u, label = self.draw()
            weights = self.weights(label)  # [n, N]
            even = torch.full_like(batch[0][:, 0], 1.0 / self.config.batch)
        smooth = self.config.regulariser * LAZY if self._steps % LAZY == 0 else 0.0
        total = torch.zeros((), device=label.device)
        for judge, real, made, weight in zip(self.discriminator, batch, u, weights):
            both = torch.cat([real, made]).requires_grad_(smooth > 0)  # [2 N, D]
            judged = judge(both)
            judged_real, judged_fake = judged.tensor_split([len(real)])
            total = total + softplus(-judged_real).mean() + (weight * softplus(judged_fake)).sum()
            if smooth > 0:  # the seed paper's weights: (1 - D)^2 on real events, D^2 on generated ones
                share = torch.cat(
                    [even * (1.0 - judged_real.sigmoid()).square(), weight * judged_fake.sigmoid().square()]
                )
                total = total + smooth * (share * self.slope(judged, both)).sum()
        self.descend(total, optimiser)
        return float(total.detach())

    def update_generator(self, batch: list[Tensor], optimiser: torch.optim.Optimizer) -> dict[str, float]:
        self.discriminator.requires_grad_(False)
        u, label = self.draw()
        fooled = [
            (weight * softplus(-judge(made))).sum()
            for judge, made, weight in zip(self.discriminator, u, self.weights(label))
        ]
        losses = {"generator": torch.stack(fooled).sum()}
        if self.config.energy > 0:
            n = self.config.directions if self.model.dim > 1 else 0
            directions = torch.randn(n, self.model.dim, device=label.device)
            directions = directions / directions.norm(dim=1, keepdim=True)
            directions = torch.cat([torch.eye(self.model.dim, device=label.device), directions])
            sides = zip(u, self.weights(label), batch)
            apart = [sliced_energy(made, w, real, directions) for made, w, real in sides]
            losses["energy"] = self.config.energy * torch.stack(apart).sum()
        if self.model.learnt:
            alpha = self.config.alpha
            losses["class"] = self.config.class_weight * class_loss(label, alpha)
            losses["norm"] = self.config.norm_weight * normalisation_loss(label, self.model.member, self.ratios, alpha)
        self.descend(torch.stack(list(losses.values())).sum(), optimiser)
        return {name: float(value.detach()) for name, value in losses.items()}

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, SubtractionGan)
        return self.scorer(model)

    def metadata(self) -> dict[str, Any]:
        config, samples = self.config, self.samples
        case = samples.case
        features = columns(*COLUMNS) if case in ITEMS else columns(*((name, "") for name in samples.columns))
        return {
            "format": 1,
            "name": config.name,
            "version": config.version,
            "task": "generate",
            "unit": "event",
            "input": {"features": [], "codes": []},
            "condition": [{"name": "sample", "unit": "", "missing": 0.0}],  # 0: the result
            "output": {"features": features, "codes": columns(("pdgid", ""))},
            "scalars": columns(("weight", ""), ("class", "")),
            "slots": {"per_item": 0, "per_set": self.model.items},
            "noise": {"set": self.model.n_noise + 2, "slot": 0},
            "cost": "linear",
            "domain": {
                "features": {},
                "codes": {},
                "conditions": {"sample": [0.0, float(self.classes.sets)]},
                "items": [0, 0],
            },
            "provenance": {
                "generator": config.generator,
                "detector": "none",
                "case": case,
                "samples": [{"name": s.name, "role": s.role, "sigma": s.sigma} for s in samples.samples],
                "classes": [
                    {"name": n, "rate": r, "sign": s}
                    for n, r, s in zip(self.classes.names, self.classes.rates, self.classes.signs)
                ],
                "result_sigma": samples.result,
            },
            "licence": "MIT",
        }


class Scorer:
    """Closure of each data set and of the result on validation data: χ² per bin in bins of equal content.

    The errors are those of the validation samples; the model's own are kept small by more events. A perfect model has
    values near 1. ``score`` is their mean.
    """

    def __init__(self, train: Samples, val: Samples, model: SubtractionGan, events: int = 200_000) -> None:
        self.events = events
        grid = torch.special.ndtri(torch.linspace(0, 1, BINS + 1, dtype=torch.float64)[1:-1]).numpy()
        self.inner = grid
        normal = [model.quantiles.to_normal(torch.from_numpy(x).double(), 0).numpy() for x in data_sets(val)]
        self.sets = [self.fill(u) for u in normal]  # each [D, BINS], sums to 1
        self.sizes = [len(x) for x in data_sets(val)]
        found = classes_of(train)
        rates, member = np.array(found.rates), np.array(found.member)
        self.sigma = (member * rates).sum(1)
        roles = [-1.0 if s.role == "subtract" else 1.0 for role in ROLES[1:] for s in train.samples if s.role == role]
        self.sign = np.array([1.0, *roles])
        self.rates, self.member, self.signs = rates, member, np.array(found.signs)

    def fill(self, u: np.ndarray) -> np.ndarray:
        """Shares of events in the bins of each coordinate [D, BINS]."""
        return np.stack([np.bincount(np.searchsorted(self.inner, v), minlength=BINS) for v in u.T]) / max(len(u), 1)

    def __call__(self, model: SubtractionGan) -> dict[str, float]:
        device = next(model.parameters()).device
        generator = torch.Generator().manual_seed(7)
        n, k = self.events, len(self.rates)
        which = torch.from_numpy(np.random.default_rng(7).choice(k, n, p=self.rates / self.rates.sum()))
        noise = torch.randn(n, model.n_noise, generator=generator)
        parts = [model.generate(z.to(device), w.to(device)) for z, w in zip(noise.split(50_000), which.split(50_000))]
        labels = torch.cat([p[1] for p in parts]).argmax(1)
        x = model.values(torch.cat([p[0] for p in parts]), labels)
        u, which = model.quantiles.to_normal(x.double(), 0).cpu().numpy(), labels.cpu().numpy()
        counts = np.bincount(which, minlength=k)
        shapes = np.stack([self.fill(u[which == c]) for c in range(k)])  # [K, D, BINS]
        if model.learnt:  # the rates are the network's own, in units of the base
            base = self.member[0] @ counts
            rates = counts * self.sigma[0] / max(base, 1)
        else:
            rates = self.rates
        figures, variances, values = {}, 0.0, 0.0
        for i, (truth, size) in enumerate(zip(self.sets, self.sizes)):
            made = np.einsum("k,kdb->db", self.member[i] * rates, shapes)
            variance = self.sigma[i] ** 2 * np.maximum(truth, 1.0 / size) / size
            figures[f"chi2_{i}"] = float(((made - self.sigma[i] * truth) ** 2 / variance).mean())
            values, variances = values + self.sign[i] * self.sigma[i] * truth, variances + variance
        made = np.einsum("k,kdb->db", self.signs * rates, shapes)
        figures["chi2_result"] = float(((made - values) ** 2 / variances).mean())
        figures["norm"] = float((self.signs @ rates) / (self.sign @ self.sigma))
        score = np.mean([v for name, v in figures.items() if name.startswith("chi2")])
        return {"score": float(score + 100.0 * abs(figures["norm"] - 1.0)), **figures}
