# SPDX-License-Identifier: MIT
"""What a network must say of itself to be trained: its settings, data, loss, validation and metadata."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from training.data.events import sha256


@dataclass
class Config:
    """Settings common to all networks; a network's own settings extend them."""

    data: Path = field(metadata={"help": "training file"})
    val: Path = field(metadata={"help": "validation file; models are chosen on its events of even number"})
    out: Path = field(metadata={"help": "model file to write"})
    cache: Path = field(default=Path("~/.cache/hepgen_fastsim"), metadata={"help": "folder for preprocessed data"})
    name: str = field(default="model", metadata={"help": "the model's name"})
    version: str = field(default="1.0.0", metadata={"help": "the model's version"})
    epochs: int = field(default=30, metadata={"help": "passes over the training data"})
    batch: int = field(default=64, metadata={"help": "sets per step"})
    rate: float = field(default=3e-3, metadata={"help": "highest learning rate; falls as a cosine"})
    average: float = field(default=0.999, metadata={"help": "decay per step of the averaged weights"})
    clip: float = field(default=10.0, metadata={"help": "largest norm of a step's gradient"})
    seed: int = field(default=1, metadata={"help": "seed of weights and batches"})
    threads: int = field(default=1, metadata={"help": "threads of torch"})
    device: str = field(default="cpu", metadata={"help": "cpu or cuda"})
    schedule: str = field(default="cosine", metadata={"help": "course of the learning rate: cosine or constant"})
    precision: str = field(default="float32", metadata={"help": "float32, or bf16: autocast around the networks"})


class Task:
    """A network with its data. Subclasses set ``model`` and implement the methods below."""

    config_type: ClassVar[type[Config]] = Config
    config: Config
    model: nn.Module
    train: Any  #: training data, with a length
    rates: ClassVar[dict[str, float]] = {}  #: parameters by the end of their names that learn so many times as fast

    def modules(self) -> dict[str, nn.Module]:
        """Everything that is trained, by name: the state that a checkpoint keeps."""
        return {"model": self.model}

    def batches(self, generator: torch.Generator) -> Iterator[Any]:
        """One epoch of training batches in random order."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.train) // self.config.batch

    def shuffled(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Rows i64 [batch] of the training data in random order, a batch at a time, without the rest."""
        order = torch.randperm(len(self.train), generator=generator)
        for i in range(len(self)):
            yield order[i * self.config.batch : (i + 1) * self.config.batch]

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups of the optimiser; ``scale`` multiplies the learning rate."""
        scaled: dict[float, list[nn.Parameter]] = {1.0: []}
        for name, value in self.model.named_parameters():
            scale = next((scale for end, scale in self.rates.items() if name.endswith(end)), 1.0)
            scaled.setdefault(scale, []).append(value)
        return [{"params": values, "scale": scale} for scale, values in scaled.items()]

    def optimisers(self) -> list[torch.optim.Optimizer]:
        """The optimisers that ``update`` steps."""
        return [torch.optim.Adam(self.groups(), lr=self.config.rate)]

    def update(self, batch: Any, optimisers: Sequence[torch.optim.Optimizer]) -> dict[str, float]:
        """One training step; returns the losses by name."""
        loss = torch.stack([t.mean() for t in self.terms(batch).values() if t.numel() > 0]).sum()
        self.descend(loss, optimisers[0])
        return {"train": float(loss.detach())}

    def descend(self, loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
        """A step of ``optimiser`` down the gradient, clipped; none where the gradient is not finite."""
        optimiser.zero_grad()
        loss.backward()
        owned = [value for group in optimiser.param_groups for value in group["params"]]
        if torch.isfinite(nn.utils.clip_grad_norm_(owned, self.config.clip)):
            optimiser.step()

    def autocast(self) -> torch.autocast:
        """Context in which networks run: bfloat16 where ``precision`` asks for it; losses belong outside of it."""
        return torch.autocast(torch.device(self.config.device).type, torch.bfloat16, self.config.precision == "bf16")

    def terms(self, batch: Any) -> dict[str, Tensor]:
        """Parts of the loss for a batch, by name; the loss is the sum of their means."""
        raise NotImplementedError

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Figures of ``model`` on validation data; models are chosen by the lowest ``score``."""
        raise NotImplementedError

    def metadata(self) -> dict[str, Any]:
        """hepgen.json, less ``metrics`` and the parts of ``provenance`` that the trainer knows."""
        raise NotImplementedError

    def report(self, path: Path) -> dict[str, Any]:
        """Metrics of the exported model for its metadata, on the data that it was chosen on."""
        return {}


def columns(*named: tuple[str, str]) -> list[dict[str, str]]:
    """Columns of hepgen.json from (name, unit) pairs."""
    return [{"name": name, "unit": unit} for name, unit in named]


def provenance(config: Config, network: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Where a model comes from: data with hashes, seed, code version, and the command that reproduces it."""
    files = [config.data, config.val]
    command = ["python -m training.train", network, f"--data {config.data.name}", f"--val {config.val.name}"]
    return {
        "data": [{"file": file.name, "sha256": sha256(file)} for file in files],
        "seed": config.seed,
        "code_version": _code_version(),
        "command": " ".join([*command, f"--out {config.out.name}", *overrides]),
        "torch": torch.__version__,
    }


def _code_version() -> str:
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--tags"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
