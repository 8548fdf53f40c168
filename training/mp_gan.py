# SPDX-License-Identifier: MIT
"""MP-GAN on jets of one class: the task that ``python -m training.train mp-gan`` trains.

    python -m training.train mp-gan --data gluon.parquet --val gluon.parquet --out mp-gan-gluon.pt

The variants that the authors tried are options: --objective ls, bce, wasserstein, hinge or acgd (their "AGCD"),
--optimiser rmsprop, adam, adadelta or sgd, --batch_norm, --spectral_norm, --gradient_penalty, --smoothing,
--label_noise, --dropout, --augment, --mean. Without --mask absent constituents are given as ones of no momentum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from training.competitive import Competitive
from training.jet_gan import COMPARED, JetGanConfig, JetGanTask
from training.networks.jet_chain import MISSING
from training.networks.jet_draws import Multiplicity, Quantiles
from training.networks.mp_gan import MpDiscriminator, MpGenerator
from training.task import columns

CONDITIONS = ("jet_pt", "jet_eta")
BATCH_ITEMS = 300  #: constituents in a call on a CPU: messages of all pairs of ten jets, which stay in the cache


@dataclass
class MpGanConfig(JetGanConfig):
    """Settings of MP-GAN; networks as in the paper, fed as there with ``--turn 0 --radial 0 --reshape 0 --near 0``."""

    name: str = field(default="mp-gan", metadata={"help": "the model's name"})
    batch: int = field(default=256, metadata={"help": "jets per step"})
    rate: float = field(default=1e-3, metadata={"help": "learning rate of the generator"})
    rate_discriminator: float = field(default=3e-3, metadata={"help": "learning rate of the discriminator"})
    objective: str = field(default="ls", metadata={"help": "ls, bce, wasserstein, hinge or acgd"})
    optimiser: str = field(default="rmsprop", metadata={"help": "rmsprop, adam, adadelta or sgd"})
    calibrate: int = field(default=0, metadata={"help": "1: map the summed pt_rel onto that of the training jets"})
    mask: int = field(default=1, metadata={"help": "1: absent constituents are masked; 0: they have no momentum"})
    condition: int = field(default=0, metadata={"help": "features of the whole jet: 0, 1 (jet_pt), 2 (and jet_eta)"})
    distance: int = field(default=0, metadata={"help": "1: the distance of two constituents goes with their message"})
    mean: int = field(default=0, metadata={"help": "1: messages and constituents are averaged, 0: summed"})
    hidden: int = field(default=32, metadata={"help": "features of a constituent between the steps"})
    noise: int = field(default=32, metadata={"help": "noise per constituent"})
    steps: int = field(default=2, metadata={"help": "message passing steps"})
    edge: str = field(default="96,160,192", metadata={"help": "widths of the network of the messages"})
    node: str = field(default="256,256", metadata={"help": "widths of the network of the constituents"})
    judge_edge: str = field(default="", metadata={"help": "edge of the discriminator, if it is another"})
    judge_node: str = field(default="", metadata={"help": "node of the discriminator, if it is another"})
    near: float = field(
        default=3.0,
        metadata={"help": "the last layer works in such parts of a standard deviation from the mean; 0: the paper"},
    )
    dropout: int = field(default=1, metadata={"help": "1: dropout of a half in the discriminator"})
    batch_norm: int = field(default=0, metadata={"help": "1: batch norm after the hidden layers of both networks"})
    spectral_norm: int = field(default=0, metadata={"help": "1: spectral norm in the discriminator"})
    augment: float = field(
        default=0.0, metadata={"help": "share of the jets that are turned by 90 degrees and mirrored"}
    )


def _widths(text: str) -> tuple[int, ...]:
    return tuple(int(width) for width in text.split(","))


class Batch(NamedTuple):
    """Padded jets as the networks see them; also a sample that the discriminator judges."""

    jets: Tensor  #: [B, N, 3]
    mask: Tensor  #: [B, N]
    conditions: Tensor  #: [B, D]


class MpGanTask(JetGanTask):
    """MP-GAN (arXiv:2106.11535) on jets of one class."""

    config_type = MpGanConfig
    config: MpGanConfig

    def __init__(self, config: MpGanConfig) -> None:
        self.config = config
        self.load()
        n, counts = config.leading, self.train.offsets.diff()
        known = self.kinematics[:, : config.condition]
        shared = {"steps": config.steps, "distance": bool(config.distance), "mean": bool(config.mean)}
        shared |= {"hidden": config.hidden, "batch_norm": bool(config.batch_norm)}
        limits, radial = self.limits(), self.radial()
        largest = self.train.features.abs().max(0).values
        if config.radial:
            largest[:2] = radial.highest
        elif config.turn:  # all directions are alike
            largest[:2] = largest[:2].max()
        self.model = MpGenerator(
            Multiplicity(counts if config.mask else torch.full_like(counts, n)),
            Quantiles(self.kinematics[:, 0]),
            Quantiles(self.kinematics[:, 1]),
            largest,
            limits,
            radial,
            self.kinematics.mean(0)[: config.condition],
            self.kinematics.std(0)[: config.condition],
            n,
            config.noise,
            masked=bool(config.mask),
            edge=_widths(config.edge),
            node=_widths(config.node),
            turn=bool(config.turn),
            **shared,
        ).to(config.device)
        self.discriminator = MpDiscriminator(
            n_conditions=config.condition,
            dropout=bool(config.dropout),
            spectral=bool(config.spectral_norm),
            edge=_widths(config.judge_edge or config.edge),
            node=_widths(config.judge_node or config.node),
            **shared,
        ).to(config.device)
        self.begin()
        jets, self.mask = self.padded()
        if not config.mask:
            self.mask = torch.ones_like(self.mask)
        self.make_guide(jets, self.mask)
        self.jets = self.model.scaled(jets)
        present = self.jets[self.mask > 0]
        if config.near > 0:
            self.model.core.begin_near(present.mean(0), present.std(0) / config.near)
        self.known = self.model.standardised(known.to(config.device))

    def __len__(self) -> int:
        return max(1, int(self.config.share * len(self.train)) // self.config.batch)

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        order = torch.randperm(len(self.train), generator=generator)
        for k in range(len(self)):
            rows = order[k * self.config.batch : (k + 1) * self.config.batch].to(self.jets.device)
            yield Batch(self.jets[rows] * self.mask[rows].unsqueeze(2), self.mask[rows], self.known[rows])

    def real(self, batch: Batch) -> Batch:
        return self.augmented(batch._replace(jets=self.turned(batch.jets)))

    def fake(self, batch: Batch) -> Batch:
        """Generated jets of the multiplicities and conditions of a batch."""
        n_jets, n = batch.mask.shape
        noise = torch.randn(n_jets, n, self.config.noise, device=batch.mask.device)
        noise[:, :, 0] = noise[:, :, 0].sort(1).values  # present are the constituents of the smallest first numbers
        mask = batch.mask.sort(1, descending=True).values
        output = self.model.core(noise, mask, batch.conditions)  # [B, N, 3]
        index = torch.arange(n_jets, device=mask.device).repeat_interleave(n)  # [B N]
        with torch.autocast(mask.device.type, enabled=False):
            turn = torch.randn(n_jets, device=mask.device)
            items = self.model.unbounded(output.reshape(-1, 3), turn, index)
            given = items, mask.reshape(-1), index, n_jets
            self.overshoot(*given)
            jets = self.model.scaled(self.model.limits(*given)).view(n_jets, n, 3)
        return self.augmented(Batch(jets * mask.unsqueeze(2), mask, batch.conditions))

    def augmented(self, batch: Batch) -> Batch:
        """A share of the jets turned by a multiple of 90 degrees about the axis and mirrored at random."""
        if self.config.augment <= 0:
            return batch
        n_jets, device = len(batch.jets), batch.jets.device
        turn = torch.randint(0, 4, (n_jets,), device=device) * (math.pi / 2)  # [B]
        side = 2.0 * torch.randint(0, 2, (n_jets,), device=device) - 1.0  # [B]
        stay = torch.rand(n_jets, device=device) >= self.config.augment
        turn, side = torch.where(stay, 0.0, turn), torch.where(stay, 1.0, side)
        c, s = turn.cos()[:, None], turn.sin()[:, None]  # [B, 1]
        eta, phi, pt = batch.jets.unbind(2)
        turned = torch.stack([c * eta - s * phi, side[:, None] * (s * eta + c * phi), pt], 2)
        return Batch(turned, batch.mask, batch.conditions)

    def judge(self, sample: Batch, batch: Batch) -> Tensor:
        return self.discriminator(*sample).squeeze(1)

    def extra(self, fake: Batch, batch: Batch) -> dict[str, Tensor]:
        rows = torch.randint(len(self.jets), (COMPARED,), device=self.jets.device)
        real, mask = self.jets[rows], self.mask[rows]
        return self.guided((self.model.physical(real), mask), (self.model.physical(fake.jets), fake.mask)) | self.excess

    def inputs(self, sample: Batch) -> Tensor:
        return sample.jets

    def with_inputs(self, sample: Batch, values: Tensor) -> Batch:
        return sample._replace(jets=values)

    def optimisers(self) -> list[torch.optim.Optimizer]:
        if self.config.objective != "acgd":
            return super().optimisers()
        scale = self.config.rate_discriminator / self.config.rate
        players = list(self.model.core.parameters()), list(self.discriminator.parameters())
        return [Competitive(*players, rate=self.config.rate, scale=scale)]

    def _optimiser(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        if self.config.optimiser == "adadelta":
            return torch.optim.Adadelta(groups, lr=self.config.rate)
        if self.config.optimiser == "sgd":
            return torch.optim.SGD(groups, lr=self.config.rate)
        return super()._optimiser(groups)

    def update(self, batch: Batch, optimisers: Sequence[torch.optim.Optimizer]) -> dict[str, float]:
        if self.config.objective != "acgd":
            return super().update(batch, optimisers)
        # one value for both players, the logarithm of how well the discriminator tells the samples apart
        real, fake = self.real(batch), self.fake(batch)
        value = -softplus(-self.judge(real, batch)).mean() - softplus(self.judge(fake, batch)).mean()
        optimiser = optimisers[0]
        assert isinstance(optimiser, Competitive)
        optimiser.descend(value)
        return {"value": float(value.detach())}

    def conditions(self, kinematic: Tensor) -> Tensor | None:
        return kinematic[:, : self.config.condition] if self.config.condition else None

    def metadata(self) -> dict[str, Any]:
        names = CONDITIONS[: self.config.condition]
        lowest, highest = self.kinematics.min(0).values.tolist(), self.kinematics.max(0).values.tolist()
        ranges = {name: [lowest[i], highest[i]] for i, name in enumerate(names)}
        units = {"jet_pt": "GeV", "jet_eta": ""}
        condition = [{**column, "missing": MISSING} for column in columns(*((name, units[name]) for name in names))]
        return self.describe(condition, ranges, "quadratic") | {"batch_items": BATCH_ITEMS}
