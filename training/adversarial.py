# SPDX-License-Identifier: MIT
"""Two-player training: a generator (the task's ``model``) against a discriminator.

Objectives, with the discriminator's output ``d`` (``bce``: a logit) on real and on generated samples:

=============  =========================================  ====================  =========================
name           discriminator                              generator             source
=============  =========================================  ====================  =========================
``ls``         ((d_r - 1)^2 + d_f^2) / 2                  (d_f - 1)^2 / 2       arXiv:1611.04076
``bce``        -log s(d_r) - log(1 - s(d_f))              -log s(d_f)           arXiv:1406.2661
``wasserstein``  d_f - d_r                                -d_f                  arXiv:1701.07875
``hinge``      max(0, 1 - d_r) + max(0, 1 + d_f)          -d_f                  arXiv:1705.02894
=============  =========================================  ====================  =========================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, relu, softplus

from training.task import Config, Task

# A discriminator's loss takes (d_real [B], d_fake [B'], label of real [B], label of fake [B']); labels are 1 and 0 but
# for smoothing and flips.
DISCRIMINATOR: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "ls": lambda real, fake, one, zero: 0.5 * ((real - one).square().mean() + (fake - zero).square().mean()),
    "bce": lambda real, fake, one, zero: (
        binary_cross_entropy_with_logits(real, one) + binary_cross_entropy_with_logits(fake, zero)
    ),
    "wasserstein": lambda real, fake, one, zero: fake.mean() - real.mean(),
    "hinge": lambda real, fake, one, zero: relu(1.0 - real).mean() + relu(1.0 + fake).mean(),
}
GENERATOR: dict[str, Callable[[Tensor], Tensor]] = {
    "ls": lambda fake: 0.5 * (fake - 1.0).square().mean(),
    "bce": lambda fake: softplus(-fake).mean(),
    "wasserstein": lambda fake: -fake.mean(),
    "hinge": lambda fake: -fake.mean(),
}


@dataclass
class AdversarialConfig(Config):
    """Settings common to adversarial trainings."""

    rate: float = field(default=1e-4, metadata={"help": "learning rate of the generator"})
    rate_discriminator: float = field(default=1e-4, metadata={"help": "learning rate of the discriminator"})
    schedule: str = field(default="constant", metadata={"help": "course of the learning rates: cosine or constant"})
    objective: str = field(default="ls", metadata={"help": "ls, bce, wasserstein or hinge"})
    optimiser: str = field(default="adam", metadata={"help": "adam or rmsprop"})
    beta1: float = field(default=0.9, metadata={"help": "Adam's decay of the mean"})
    beta2: float = field(default=0.999, metadata={"help": "Adam's decay of the square"})
    discriminator_steps: int = field(default=1, metadata={"help": "its steps for one of the generator"})
    gradient_penalty: float = field(default=0.0, metadata={"help": "weight of the penalty of arXiv:1704.00028"})
    regulariser: float = field(default=0.0, metadata={"help": "weight of the regulariser of arXiv:1705.09367"})
    smoothing: float = field(default=0.0, metadata={"help": "labels of real samples fall by up to this, at random"})
    label_noise: float = field(default=0.0, metadata={"help": "share of the labels that are exchanged, at random"})


class AdversarialTask(Task):
    """A task whose ``model`` learns from a ``discriminator``. A sample is a tensor, or what a subclass likes."""

    config: AdversarialConfig
    discriminator: nn.Module
    _steps = 0

    def real(self, batch: Any) -> Any:
        """The real sample of a batch, as the discriminator sees it."""
        raise NotImplementedError

    def fake(self, batch: Any) -> Any:
        """A sample of the generator, for the same conditions."""
        raise NotImplementedError

    @torch.no_grad()
    def shown(self, batch: Any) -> Any:
        """The generated sample that the discriminator learns from, without gradients."""
        return self.fake(batch)

    def judge(self, sample: Any, batch: Any) -> Tensor:
        """The discriminator's output [B]."""
        return self.discriminator(sample).squeeze(-1)

    def extra(self, fake: Any, batch: Any) -> dict[str, Tensor]:
        """Further losses of the generator, by name (weights included)."""
        return {}

    def inputs(self, sample: Any) -> Tensor:
        """The tensor of a sample in which gradients of the discriminator are taken."""
        return sample

    def with_inputs(self, sample: Any, values: Tensor) -> Any:
        """The sample with other values of that tensor."""
        return values

    def squared_norm(self, gradient: Tensor, sample: Any) -> Tensor:
        """Squared norm [B] of a gradient in ``inputs``, per set."""
        return gradient.flatten(1).square().sum(1)

    def mix(self, real: Any, fake: Any) -> Any:
        """A sample on the straight line between a real and a generated one, at a random place per set."""
        x, y = self.inputs(real), self.inputs(fake)
        share = torch.rand([x.size(0)] + [1] * (x.dim() - 1), device=x.device)
        return self.with_inputs(real, x + share * (y - x))

    def modules(self) -> dict[str, nn.Module]:
        return {"model": self.model, "discriminator": self.discriminator}

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """The discriminator's, then the generator's."""
        config = self.config
        judges = [{"params": list(self.discriminator.parameters()), "scale": config.rate_discriminator / config.rate}]
        return [self._optimiser(judges), self._optimiser(self.groups())]

    def _optimiser(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        config = self.config
        if config.optimiser == "rmsprop":
            return torch.optim.RMSprop(groups, lr=config.rate)
        if config.optimiser == "adam":
            return torch.optim.Adam(groups, lr=config.rate, betas=(config.beta1, config.beta2))
        raise SystemExit(f"--optimiser must be adam or rmsprop, found '{config.optimiser}'")

    def update(self, batch: Any, optimisers: Sequence[torch.optim.Optimizer]) -> dict[str, float]:
        """A step of the discriminator and, every ``discriminator_steps``, one of the generator."""
        losses = {"discriminator": self.update_discriminator(batch, optimisers[0])}
        self._steps += 1
        if self._steps % self.config.discriminator_steps == 0:
            losses |= self.update_generator(batch, optimisers[1])
        return losses

    def update_discriminator(self, batch: Any, optimiser: torch.optim.Optimizer) -> float:
        config = self.config
        self.discriminator.requires_grad_(True)
        with self.autocast():
            fake = self.shown(batch)
            real = self.real(batch)
            if config.regulariser > 0:
                real = self.with_inputs(real, self.inputs(real).detach().requires_grad_())
                fake = self.with_inputs(fake, self.inputs(fake).detach().requires_grad_())
            judged_real, judged_fake = self.judge(real, batch).float(), self.judge(fake, batch).float()  # [B]
        one, zero = self.labels(judged_real, judged_fake)
        loss = DISCRIMINATOR[config.objective](judged_real, judged_fake, one, zero)
        if config.regulariser > 0:
            loss = loss + config.regulariser * (
                ((1.0 - judged_real.sigmoid()).square() * self.slope(judged_real, real)).mean()
                + (judged_fake.sigmoid().square() * self.slope(judged_fake, fake)).mean()
            )
        if config.gradient_penalty > 0:
            between = self.mix(real, fake)
            between = self.with_inputs(between, self.inputs(between).detach().requires_grad_())
            slope = self.slope(self.judge(between, batch).float(), between)
            loss = loss + config.gradient_penalty * ((slope + 1e-12).sqrt() - 1.0).square().mean()
        self.descend(loss, optimiser)
        return float(loss.detach())

    def update_generator(self, batch: Any, optimiser: torch.optim.Optimizer) -> dict[str, float]:
        self.discriminator.requires_grad_(False)
        with self.autocast():
            fake = self.fake(batch)
            judged = self.judge(fake, batch).float()
        losses = {"generator": GENERATOR[self.config.objective](judged), **self.extra(fake, batch)}
        self.descend(torch.stack(list(losses.values())).sum(), optimiser)
        return {name: float(value.detach()) for name, value in losses.items()}

    def labels(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Labels of real and of generated sets, with smoothing and noise."""
        one = 1.0 - self.config.smoothing * torch.rand_like(real)
        zero = torch.zeros_like(fake)
        if self.config.label_noise > 0:
            one = torch.where(torch.rand_like(one) < self.config.label_noise, torch.zeros_like(one), one)
            zero = torch.where(torch.rand_like(zero) < self.config.label_noise, torch.ones_like(zero), zero)
        return one, zero

    def slope(self, judged: Tensor, sample: Any) -> Tensor:
        """Squared norm [B] of the gradient of the discriminator's output in its input, itself differentiable."""
        (gradient,) = torch.autograd.grad(judged.sum(), self.inputs(sample), create_graph=True)
        return self.squared_norm(gradient, sample)
