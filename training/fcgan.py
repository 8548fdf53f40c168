# SPDX-License-Identifier: MIT
"""GANs of unfolding: the task that ``python -m training.train fcgan`` trains (Bellagente et al., arXiv:1912.00477).

    python -m training.train fcgan --data zw_lljj.parquet --val zw_lljj.parquet --out fcgan.pt
    python -m training.train fcgan ... --kind naive          # a map without noise; the discriminator sees partons alone
    python -m training.train fcgan ... --mass_condition 1    # masses in the discriminator, conditional MMD
    python -m training.train fcgan ... --size paper          # 12 layers of 512

Both data options name the same file: it is split by row, see ``training.data.unfolding``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from training import mmd
from training.adversarial import AdversarialConfig, AdversarialTask
from training.data import unfolding as unfolding_data
from training.data.unfolding import Pairs, mirrored
from training.networks.unfolding import PairDiscriminator, UnfoldGan, masses
from training.unfold_flow import UnfoldConfig, muon_of, unfolding_metadata

#: layers, units, epochs
SIZES = {"default": (5, 128, 100), "paper": (12, 512, 1200)}
#: draws per event in validation
DRAWS = 8


@dataclass
class FcganConfig(AdversarialConfig, UnfoldConfig):
    """Settings of the GANs of unfolding."""

    name: str = field(default="fcgan", metadata={"help": "the model's name"})
    kind: str = field(default="fully", metadata={"help": "fully (conditional) or naive"})
    mass_condition: int = field(
        default=0, metadata={"help": "1: the discriminator sees masses, the MMD is conditional"}
    )
    size: str = field(default="default", metadata={"help": "default (5 layers of 128) or paper (12 of 512)"})
    batch: int = field(default=256, metadata={"help": "events per step"})
    epochs: int = field(default=0, metadata={"help": "passes over the training data; 0: as the size says"})
    rate: float = field(default=1e-3, metadata={"help": "learning rate of the generator"})
    rate_discriminator: float = field(default=1e-3, metadata={"help": "learning rate of the discriminator"})
    schedule: str = field(default="cosine", metadata={"help": "course of the learning rates: cosine or constant"})
    objective: str = field(default="bce", metadata={"help": "ls, bce, wasserstein or hinge"})
    beta1: float = field(default=0.5, metadata={"help": "Adam's decay of the mean"})
    regulariser: float = field(default=0.05, metadata={"help": "weight of the regulariser of arXiv:1705.09367"})
    mmd: float = field(default=1.0, metadata={"help": "weight of the MMD of the two invariant masses; 0: none"})
    energy: float = field(default=1.0, metadata={"help": "weight of scores of two draws per event; 0: as in the paper"})
    kernel: str = field(default="breit-wigner", metadata={"help": "of the MMD: breit-wigner or gaussian"})
    widths: str = field(default="2,8,30", metadata={"help": "widths [GeV] of the kernels, summed"})

    def __post_init__(self) -> None:
        if self.size not in SIZES or self.kind not in ("fully", "naive"):
            raise SystemExit(
                f"--size must be one of {list(SIZES)}, --kind fully or naive; found {self.size}, {self.kind}"
            )
        self.epochs = self.epochs or SIZES[self.size][2]


class UnfoldBatch(NamedTuple):
    """Events of a step."""

    reco: Tensor  #: [N, 4, 4]
    known: Tensor  #: [N, 20] what the networks see of the detector level
    truth: Tensor  #: [N, 12] what the generator should have put out
    masses: Tensor  #: [N, 2] [GeV] true m_ll and m_jj


def joint_mmd2(truth: Tensor, found: Tensor, given: Tensor, widths: Sequence[float]) -> Tensor:
    """Biased squared MMD of values truth [N] and found [N] that belong to the same conditions ``given`` [N, C].

    The Breit-Wigner kernels of the values are multiplied with a Gaussian of width 1/2 in the conditions: this compares
    the conditional distributions, as the MMD of the values alone cannot.
    """
    near = torch.exp(-2.0 * torch.cdist(given, given).square())  # [N, N]

    def mean(x: Tensor, y: Tensor) -> Tensor:
        d2 = (x[:, None] - y[None, :]).square()  # [N, N]
        kernels = [1.0 / (1.0 + d2 * (4.0 / (width * width))) for width in widths]
        return (near * torch.stack(kernels).sum(0)).mean()

    return mean(truth, truth) + mean(found, found) - 2.0 * mean(truth, found)


def energy_score(draws: Tensor, truth: Tensor) -> Tensor:
    """Energy score [N] of draws [N, K, D] for truth [N, D]: <|X - y|> - <|X - X'|> / 2, X' another draw.

    Proper: its mean is least for the true conditional distribution (Gneiting and Raftery, JASA 102 (2007) 359). In one
    dimension it is the continuous ranked probability score.
    """
    k = draws.shape[1]
    own = torch.cdist(draws, draws).sum((1, 2)) / (k * (k - 1))  # [N]
    return (draws - truth[:, None]).norm(dim=2).mean(1) - 0.5 * own


class FcganTask(AdversarialTask):
    """A generator of partons given the detector level, against a discriminator that sees pairs of both."""

    config_type = FcganConfig
    config: FcganConfig
    model: UnfoldGan

    def __init__(self, config: FcganConfig) -> None:
        self.config = config
        layers, hidden, _ = SIZES[config.size]
        naive = config.kind == "naive"
        self.train = unfolding_data.load(config.data, "train")
        self.val = unfolding_data.load(config.val, "val")
        self.model = UnfoldGan(hidden, layers, "momenta" if naive else "residual", not naive)
        self.model.fit(self.train.reco, self.train.parton, muon_of(self.train))
        n_known = self.model.center.numel()
        self.discriminator = PairDiscriminator(n_known, hidden, layers, not naive, 2 if config.mass_condition else 0)
        self.model, self.discriminator = self.model.to(config.device), self.discriminator.to(config.device)
        self.widths = [float(width) for width in config.widths.split(",")]

    def prepared(self, pairs: Pairs) -> UnfoldBatch:
        known = self.model.describe(pairs.reco.to(self.config.device), muon_of(pairs).to(self.config.device))
        truth = self.model.truth(pairs.reco.cpu(), pairs.parton.cpu())
        return UnfoldBatch(*(t.to(self.config.device) for t in (pairs.reco, known, truth, masses(pairs.parton))))

    def batches(self, generator: torch.Generator) -> Iterator[UnfoldBatch]:
        whole = self.prepared(mirrored(self.train, generator))
        for rows in self.shuffled(generator):
            yield UnfoldBatch(*(tensor[rows] for tensor in whole))

    def sample(self, out: Tensor, mass: Tensor) -> Tensor:
        """What the discriminator sees of partons: [N, 12], or [N, 14] with the masses."""
        return torch.cat([out, 10.0 * torch.log(mass / 85.0)], 1) if self.config.mass_condition else out

    def real(self, batch: UnfoldBatch) -> Tensor:
        return self.sample(batch.truth, batch.masses)

    def fake(self, batch: UnfoldBatch) -> Tensor:
        out = self.model.generate(batch.known, torch.randn_like(batch.truth)).float()
        return self.sample(out, masses(self.model.decode(batch.reco, out)))

    def judge(self, sample: Tensor, batch: UnfoldBatch) -> Tensor:
        return self.discriminator(sample, batch.known)

    def extra(self, fake: Tensor, batch: UnfoldBatch) -> dict[str, Tensor]:
        losses = {}
        if self.config.energy > 0 and self.model.noisy:
            draws, truth = torch.stack([fake, self.fake(batch)], 1), self.real(batch)
            each = energy_score(draws.transpose(1, 2).flatten(0, 1)[:, :, None], truth.flatten()[:, None])  # by column
            whole = energy_score(draws, truth).mean() + each.mean() * truth.shape[1] ** 0.5
            losses["energy"] = self.config.energy * whole
        if self.config.mmd <= 0:
            return losses
        found = masses(self.model.decode(batch.reco, fake[:, :12]))  # [N, 2]
        total = torch.zeros(())
        for pair in range(2):
            if self.config.mass_condition:  # given the pair's reconstructed mass and its first momentum
                given = batch.known[:, [17 + pair, 2 * pair]]
                mmd2 = joint_mmd2(batch.masses[:, pair], found[:, pair], given, self.widths)
            else:
                mmd2 = mmd.mmd2(batch.masses[:, pair], found[:, pair], self.widths, self.config.kernel, unbiased=False)
            total = total + torch.sqrt(mmd2.clamp(min=0.0) + 1e-8)
        return losses | {"mmd": self.config.mmd * total}

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, UnfoldGan)
        batch = self.prepared(self.val)
        generator = torch.Generator().manual_seed(5)
        outs, found = [], []
        for _ in range(DRAWS):
            noise = torch.randn(batch.truth.shape, generator=generator).to(self.config.device)
            out = model.generate(batch.known, noise)
            outs.append(out)
            found.append(masses(model.decode(batch.reco, out)))
        residuals = energy_score(torch.stack(outs, 1), batch.truth).mean()
        m_ll, m_jj = (
            energy_score(torch.stack(found, 1)[:, :, pair, None], batch.masses[:, pair, None]).mean()
            for pair in range(2)
        )
        # units: a momentum residual is of order one, a mass of order 10 GeV
        return {
            "score": float(residuals + 0.1 * (m_ll + m_jj)),
            "energy_score": float(residuals),
            "crps_mll": float(m_ll),
            "crps_mjj": float(m_jj),
        }

    def metadata(self) -> dict[str, Any]:
        return unfolding_metadata(self.config, self.train)
