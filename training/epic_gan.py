# SPDX-License-Identifier: MIT
"""EPiC-GAN on jets of one class: the task that ``python -m training.train epic-gan`` trains.

    python -m training.train epic-gan --data gluon.parquet --val gluon.parquet --out epic-gan-gluon.pt

The file is split into training, validation and test jets by ``training.data.jets``. The talk's smaller network
(arXiv:2301.08128 came later): --layers 4 --judge_layers 0 --hidden 64 --z_global 5 --z_local 10 --depth 3. With
--layers 0 constituents do not learn of each other: a generator as in PC-GAN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from training.jet_gan import COMPARED, JetGanConfig, JetGanTask
from training.networks.epic_gan import EpicDiscriminator, EpicGenerator
from training.networks.jet_draws import Multiplicity, Quantiles, scott


@dataclass
class EpicGanConfig(JetGanConfig):
    """Settings of EPiC-GAN; with ``--turn 0 --radial 0 --reshape 0`` they are the paper's."""

    name: str = field(default="epic-gan", metadata={"help": "the model's name"})
    batch: int = field(default=128, metadata={"help": "jets per step, at most: all of a batch have one multiplicity"})
    hidden: int = field(default=128, metadata={"help": "width of the hidden layers"})
    layers: int = field(default=6, metadata={"help": "R: EPiC layers of the generator, 0 to 6"})
    judge_layers: int = field(default=3, metadata={"help": "EPiC layers of the discriminator"})
    z_global: int = field(default=10, metadata={"help": "length of the global vector"})
    z_local: int = field(default=3, metadata={"help": "noise per constituent"})
    depth: int = field(default=2, metadata={"help": "fully connected layers of an EPiC layer per constituent"})
    told: int = field(default=0, metadata={"help": "1: the network is told the multiplicity, and if the jet was cut"})
    kernel: int = field(default=1, metadata={"help": "1: multiplicity from a kernel density; 0: as counted"})
    spread: float = field(default=5.0, metadata={"help": "standard deviation of the standardised features"})


class EpicGanTask(JetGanTask):
    """EPiC-GAN (arXiv:2301.08128) on jets of one class."""

    config_type = EpicGanConfig
    config: EpicGanConfig

    def __init__(self, config: EpicGanConfig) -> None:
        self.config = config
        self.load()
        features, counts = self.train.features, self.train.offsets.diff()
        radial = self.radial()
        mapped = radial(features)
        mean, scale = mapped.mean(0), mapped.std(0) / config.spread  # [3]
        if config.turn:  # all directions are alike
            mean[:2], scale[:2] = 0.0, scale[:2].mean()
        self.by_size = self._by_size((mapped - mean) / scale)
        self.model = EpicGenerator(
            Multiplicity(counts, scott(counts) if config.kernel else 0.0),
            Quantiles(self.kinematics[:, 0]),
            Quantiles(self.kinematics[:, 1]),
            mean,
            scale,
            self.limits(),
            radial,
            config.hidden,
            config.layers,
            config.z_global,
            config.z_local,
            config.depth,
            config.leading if config.told else 0,
            bool(config.turn),
        ).to(config.device)
        self.discriminator = EpicDiscriminator(config.hidden, config.judge_layers, config.z_global, config.depth).to(
            config.device
        )
        self.begin()
        self.make_guide(*self.padded())

    def _by_size(self, features: Tensor) -> dict[int, Tensor]:
        """Jets [n, N, 3] for every multiplicity N that occurs."""
        counts, starts = self.train.offsets.diff(), self.train.offsets[:-1]
        found = {}
        for size in counts.unique().tolist():
            if size > 0:
                rows = starts[counts == size][:, None] + torch.arange(size)  # [n, N]
                found[size] = features[rows].to(self.config.device)
        return found

    def __len__(self) -> int:
        return max(1, int(self.config.share * len(self.train)) // self.config.batch)

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Batches [B, N, 3] of one multiplicity each. Those with few jets left come with a probability in proportion to
        their size, so that every jet weighs the same."""
        full, found = self.config.batch, []
        for size, jets in self.by_size.items():
            for rows in torch.randperm(len(jets), generator=generator).split(full):
                if float(torch.rand(1, generator=generator)) < len(rows) / full:
                    found.append((size, rows))
        order = torch.randperm(len(found), generator=generator)[: len(self)].tolist()
        for position in order:
            size, rows = found[position]
            yield self.by_size[size][rows.to(self.config.device)]

    def real(self, batch: Tensor) -> Tensor:
        return self.turned(batch)

    def fake(self, batch: Tensor) -> Tensor:
        """Generated jets [B, N, 3], standardised, of the multiplicity of a batch."""
        n_jets, size = batch.shape[:2]
        noise_set = torch.randn(n_jets, self.config.z_global, device=batch.device)
        noise_slot = torch.randn(n_jets * size, self.config.z_local, device=batch.device)
        index = torch.zeros(0, dtype=torch.int64, device=batch.device)  # not used: all jets are equal
        counts = torch.full([n_jets], float(size), device=batch.device)
        made = self.model.core.features(noise_set, noise_slot, index, counts, size)  # [B N, H]
        index = torch.arange(n_jets, device=batch.device).repeat_interleave(size)  # [B N]
        with torch.autocast(batch.device.type, enabled=False):  # numbers that are sums of jets need their digits
            output = self.model.core.leave(made.float())  # [B N, 3]
            items = self.model.unbounded(output, torch.randn(n_jets, device=batch.device), index)
            given = items, torch.ones_like(items[:, 0]), index, n_jets
            self.overshoot(*given)
            return self.model.standardised(self.model.limits(*given)).view(n_jets, size, 3)

    def extra(self, fake: Tensor, batch: Tensor) -> dict[str, Tensor]:
        real = self.by_size[batch.size(1)]
        real = real[torch.randint(len(real), (COMPARED,), device=real.device)]
        given = ((self.model.physical(jets), torch.ones_like(jets[..., 0])) for jets in (real, fake))
        return self.guided(*given) | self.excess

    def metadata(self) -> dict[str, Any]:
        return self.describe([], {}, "linear")
