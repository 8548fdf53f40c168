# SPDX-License-Identifier: MIT
"""Train a network and export it: one command, one typed configuration, one loop.

    python -m training.train hepic --data train.parquet --val val.parquet --out model.pt

A run that is interrupted goes on from its last epoch (``model.pt.checkpoint``) when the same command is given again.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import time
from collections.abc import Sequence
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, get_type_hints

import torch
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from training.calo_graph_vae import CaloGraphVaeTask
from training.epic_gan import EpicGanTask
from training.event_gan import EventFlowTask, EventGanTask
from training.export import export
from training.fcgan import FcganTask
from training.graph_vae import GraphVaeTask
from training.hepic import HepicTask
from training.jet_vae import JetVaeTask
from training.jets_model import JetsTask
from training.mp_gan import MpGanTask
from training.subtraction_gan import SubtractionTask
from training.task import Config, Task, provenance
from training.unfold_flow import UnfoldFlowTask

NETWORKS: dict[str, type[Task]] = {
    "hepic": HepicTask,
    "calo-graph-vae": CaloGraphVaeTask,
    "jet-vae": JetVaeTask,
    "jets": JetsTask,
    "graph-vae": GraphVaeTask,
    "unfold-flow": UnfoldFlowTask,
    "fcgan": FcganTask,
    "subtraction-gan": SubtractionTask,
    "epic-gan": EpicGanTask,
    "mp-gan": MpGanTask,
    "event-gan": EventGanTask,
    "event-flow": EventFlowTask,
}
_WARM_UP = 100  # steps


def parse(arguments: Sequence[str] | None = None) -> tuple[str, Config, list[str]]:
    """Command line to (network, configuration, the options that differ from the defaults)."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__.splitlines()[0])
    networks = parser.add_subparsers(dest="network", required=True)
    for name, task in NETWORKS.items():
        options = networks.add_parser(name, help=task.__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        types = get_type_hints(task.config_type)
        for field in fields(task.config_type):
            required = field.default is MISSING
            options.add_argument(
                f"--{field.name}",
                type=types[field.name],
                required=required,
                default=None if required else field.default,
                help=field.metadata["help"],
            )
    values = vars(parser.parse_args(arguments))
    network = values.pop("network")
    kind = NETWORKS[network].config_type
    places = ("data", "val", "out", "cache", "threads", "device")
    changed = [
        f"--{field.name} {_shown(values[field.name])}"
        for field in fields(kind)
        if field.name not in places and values[field.name] != field.default
    ]
    return network, kind(**values), changed


def _shown(value: Any) -> Any:
    """An option's value in the command that a model stores: of a file its name, wherever it lies."""
    return value.name if isinstance(value, Path) else value


def learning_rate(step: int, n_steps: int, highest: float) -> float:
    """Linear rise over the first steps, then half a cosine down to a hundredth."""
    rise = min(1.0, (step + 1) / _WARM_UP)
    fall = 0.505 + 0.495 * math.cos(math.pi * min(1.0, step / max(n_steps, 1)))
    return highest * rise * fall


class Trainer:
    """The loop: steps, averaged weights, validation and checkpoint after each epoch, the best weights at the end."""

    def __init__(self, task: Task, config: Config) -> None:
        self.task, self.config = task, config
        self.optimisers = task.optimisers()
        self.averaged = copy.deepcopy(task.model).requires_grad_(False)
        self.best: dict[str, Any] = {"score": math.inf, "weights": None, "figures": {}}
        self.history: list[dict[str, float]] = []
        self.step = 0

    @property
    def checkpoint(self) -> Path:
        return self.config.out.with_name(self.config.out.name + ".checkpoint")

    def save(self) -> None:
        """Write the state aside, then rename."""
        aside = self.checkpoint.with_name(f".{self.checkpoint.name}.{os.getpid()}")
        state = {
            "config": {key: str(value) for key, value in asdict(self.config).items()},
            "modules": {name: module.state_dict() for name, module in self.task.modules().items()},
            "averaged": self.averaged.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "best": self.best,
            "history": self.history,
            "step": self.step,
        }
        torch.save(state, aside)
        os.replace(aside, self.checkpoint)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one of the same configuration."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True, map_location=self.config.device)
        now = {key: str(value) for key, value in asdict(self.config).items()}
        other = [key for key in now if now[key] != state["config"].get(key)]
        if other:
            raise SystemExit(f"{self.checkpoint} was written with other values of {other}; remove it to start afresh")
        for name, module in self.task.modules().items():
            module.load_state_dict(state["modules"][name])
        self.averaged.load_state_dict(state["averaged"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.best, self.history, self.step = state["best"], state["history"], state["step"]

    def run_epoch(self, progress: Progress) -> None:
        """One pass over the training data, then validation of the averaged weights."""
        epoch, n_steps = len(self.history), len(self.task) * self.config.epochs
        generator = torch.Generator().manual_seed(1000 * self.config.seed + epoch)
        torch.manual_seed(1000 * self.config.seed + epoch)  # an epoch is the same after an interruption
        start, losses = time.time(), []
        bar = progress.add_task(f"epoch {epoch + 1}/{self.config.epochs}", total=len(self.task))
        for batch in self.task.batches(generator):
            rate = self.rate(n_steps)
            for optimiser in self.optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = rate * group["scale"]
            losses.append(self.task.update(batch, self.optimisers))
            self.step += 1
            self.average()
            progress.advance(bar)
        progress.remove_task(bar)
        figures = self.task.validate(self.averaged)
        names = dict.fromkeys(name for loss in losses for name in loss)
        means = {name: _mean([loss[name] for loss in losses if name in loss]) for name in names}
        self.history.append({**means, "seconds": time.time() - start, **figures})
        if figures["score"] < self.best["score"]:
            weights = copy.deepcopy(self.averaged.state_dict())
            self.best = {"score": figures["score"], "weights": weights, "figures": figures}

    def rate(self, n_steps: int) -> float:
        """Learning rate of this step of ``n_steps``."""
        if self.config.schedule == "constant":
            return self.config.rate
        return learning_rate(self.step, n_steps, self.config.rate)

    def average(self) -> None:
        """Let the averaged weights follow; buffers that hold counts are copied."""
        decay = min(self.config.average, self.step / (self.step + 10.0))
        for slow, fast in zip(_tensors(self.averaged), _tensors(self.task.model)):
            if slow.is_floating_point():
                slow.lerp_(fast.detach(), 1.0 - decay)
            else:
                slow.copy_(fast)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _row(history: list[dict[str, float]]) -> str:
    """One line on the last epoch."""
    figures = "  ".join(f"{name} {value:.4g}" for name, value in history[-1].items() if name != "seconds")
    return f"epoch {len(history):3d}  {history[-1]['seconds']:.0f} s  {figures}"


def curves(history: list[dict[str, float]]) -> dict[str, list[float]]:
    """Losses and figures by epoch, four digits each, for the metadata."""
    return {name: [float(f"{epoch[name]:.4g}") for epoch in history if name in epoch] for name in history[-1]}


def train(network: str, config: Config, changed: Sequence[str] = ()) -> Path:
    """Train ``network`` and export it to ``config.out``."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    task = NETWORKS[network](config)
    torch.jit.script(task.model)  # what cannot be exported should fail before it is trained
    trainer = Trainer(task, config)
    trainer.resume()
    progress = Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Live(progress, refresh_per_second=1) as live:
        while len(trainer.history) < config.epochs:
            trainer.run_epoch(progress)
            trainer.save()
            live.console.print(_row(trainer.history), soft_wrap=True)

    model = trainer.averaged
    model.load_state_dict(trainer.best["weights"])
    metadata = task.metadata()
    metadata["provenance"] |= provenance(config, network, changed)
    metadata["metrics"] = {"validation": trainer.best["figures"], "curves": curves(trainer.history)}
    model = model.cpu()
    export(model, metadata, config.out)
    metadata["metrics"] |= task.report(config.out)
    return export(model, metadata, config.out)


def main(arguments: Sequence[str] | None = None) -> None:
    network, config, changed = parse(arguments)
    print(train(network, config, changed))


if __name__ == "__main__":
    main()
