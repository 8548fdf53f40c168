# SPDX-License-Identifier: MIT
"""Train the classifier of gluon, quark and top jets whose features the metric ``fgd`` compares.

    python -m training.jet_classifier --data jets --out jet-classifier.pt
    python -m training.export --bundle jet-classifier.pt

The folder has gluon.parquet, quark.parquet and top.parquet. Jets are split by the seed into training, validation (the
best epoch is chosen on it) and test (accuracy and AUC in the model's metadata). The number of leading constituents
changes from batch to batch, half of the time it is 30, so that one network serves both 30 and 150. Jets are turned
about their axis and mirrored at random: the physics does not change.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hepgen_fastsim._core_loader import core
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from training.data import jets as jet_data
from training.data.events import sha256
from training.data.jets import CONSTITUENT, Jets
from training.export import export
from training.networks.jet_classifier import JetClassifier
from training.task import _code_version, columns
from training.train import learning_rate

CLASSES = ("gluon", "quark", "top")
LARGEST = 150  # constituents
SHARES = (0.8, 0.1, 0.1)


def leading(generator: torch.Generator) -> int:
    """How many constituents a training batch keeps: 30, or as likely some number up to all, small ones more often."""
    first, second = torch.rand(2, generator=generator).tolist()
    return 30 if first < 0.5 else min(LARGEST, round(5 * math.exp(second * math.log(1.5 * LARGEST / 5))))


def turned(features: Tensor, offsets: Tensor, generator: torch.Generator) -> Tensor:
    """Constituents [T, 3] with every jet rotated about its axis by a random angle, and every other one mirrored."""
    n_jets = offsets.size(0) - 1
    angle = 2 * math.pi * torch.rand(n_jets, generator=generator)  # [B]
    side = 2.0 * torch.randint(2, (n_jets,), generator=generator) - 1.0  # [B]
    each = torch.stack([angle.cos(), angle.sin(), side], 1).repeat_interleave(offsets.diff(), 0)  # [T, 3]
    eta, phi, pt = features.unbind(1)
    return torch.stack([each[:, 0] * eta - each[:, 1] * phi, each[:, 2] * (each[:, 1] * eta + each[:, 0] * phi), pt], 1)


def loss_of(model: JetClassifier, batch: Jets, features: Tensor) -> Tensor:
    return cross_entropy(model.classify(model.describe(features, batch.offsets)), batch.label)


@torch.no_grad()
def validate(model: JetClassifier, jets: Jets, which: Tensor) -> float:
    """Mean cross entropy at 30 and at all constituents."""
    losses = [
        loss_of(model, batch, batch.features) * len(batch)
        for part in which.split(500)
        for batch in (jets.pick(part, 30), jets.pick(part, LARGEST))
    ]
    return float(torch.stack(losses).sum()) / (2 * len(which))


def fit(model: JetClassifier, jets: Jets, parts: list[Tensor], options: argparse.Namespace) -> list[dict[str, float]]:
    """Train, and leave the averaged weights of the best epoch in ``model``; one row of figures per epoch."""
    generator = torch.Generator().manual_seed(options.seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=1e-2)
    averaged = copy.deepcopy(model).requires_grad_(False)
    best, history, step = (math.inf, copy.deepcopy(averaged.state_dict())), [], 0
    n_steps = options.epochs * (len(parts[0]) // options.batch)
    for epoch in range(options.epochs):
        start, losses = time.time(), []
        order = parts[0][torch.randperm(len(parts[0]), generator=generator)]
        for which in order.split(options.batch)[: len(order) // options.batch]:
            batch = jets.pick(which, leading(generator))
            loss = loss_of(model, batch, turned(batch.features, batch.offsets, generator))
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(step, n_steps, options.rate)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            step += 1
            for slow, fast in zip(averaged.parameters(), model.parameters()):
                slow.lerp_(fast.detach(), 1.0 - min(0.998, step / (step + 10.0)))
            losses.append(float(loss.detach()))
        score = validate(averaged, jets, parts[1])
        history.append({"train": sum(losses) / len(losses), "validation": score})
        if score < best[0]:
            best = (score, copy.deepcopy(averaged.state_dict()))
        print(
            f"epoch {epoch + 1:3d}  {time.time() - start:.0f} s  train {history[-1]['train']:.4f}  "
            f"validation {score:.4f}",
            flush=True,
        )
    model.load_state_dict(best[1])
    return history


def metadata(jets: Jets, which: Tensor, options: argparse.Namespace) -> dict[str, Any]:
    """hepgen.json, without metrics."""
    seen = jets.pick(which, LARGEST).features
    limits = {n: [float(seen[:, i].min()), float(seen[:, i].max())] for i, n in enumerate(CONSTITUENT)}
    reach = max(abs(limit) for name in CONSTITUENT[:2] for limit in limits[name])
    limits |= {name: [-reach, reach] for name in CONSTITUENT[:2]}  # jets are turned in training
    changed = [
        f"--{name} {value}"
        for name, value in (("epochs", options.epochs), ("batch", options.batch), ("rate", options.rate))
        if value != DEFAULTS[name]
    ]
    command = ["python -m training.jet_classifier", "--data jets", f"--out {options.out.name}", *changed]
    return {
        "format": 1,
        "name": "jet-classifier",
        "version": "1.0.0",
        "task": "autoencode",  # the encoder alone: a jet to numbers, and no items come back
        "unit": "jet",
        "input": {"features": columns(*((n, "rad" if n == "phi_rel" else "") for n in CONSTITUENT)), "codes": []},
        "condition": [],
        "output": {"features": [], "codes": []},
        "scalars": columns(*((f"feature_{i}", "") for i in range(64)), *((f"logit_{name}", "") for name in CLASSES)),
        "slots": {"per_item": 0, "per_set": 0},
        "noise": {"set": 0, "slot": 0},
        "cost": "linear",
        "domain": {"features": limits, "codes": {}, "conditions": {}, "items": [1, LARGEST]},
        "provenance": {
            "data": [{"file": f"{n}.parquet", "sha256": sha256(options.data / f"{n}.parquet")} for n in CLASSES],
            "generator": "Pythia 8.317, Monash tune, pp 13 TeV; anti-kT 0.8, 800 < pT < 1600 GeV",
            "detector": "none",
            "seed": options.seed,
            "code_version": _code_version(),
            "command": " ".join(command),
            "torch": torch.__version__,
        },
        "licence": "MIT",
    }


def report(path: Path, jets: Jets, which: Tensor) -> dict[str, Any]:
    """Accuracy and one-against-rest AUCs of the exported model, run by the engine, at 30 and at all constituents."""
    engine, found = core().Engine(core().Model(str(path)), device="cpu"), {}
    for n in (30, LARGEST):
        batch = jets.pick(which, n)
        offsets, none = batch.offsets.numpy(), np.zeros((len(batch), 0), np.float32)
        codes = np.zeros((len(batch.features), 0), np.int64)
        logits = engine.run(batch.features.numpy(), codes, offsets, none)["scalars"][:, -len(CLASSES) :]
        label = batch.label.numpy()
        rates = np.exp(logits - logits.max(1, keepdims=True))
        rates /= rates.sum(1, keepdims=True)
        auc = {name: round(float(roc_auc_score(label == k, rates[:, k])), 4) for k, name in enumerate(CLASSES)}
        quark = roc_auc_score(label[label < 2], (logits[:, 1] - logits[:, 0])[label < 2])
        found[f"{n}_constituents"] = {
            "accuracy": round(float((logits.argmax(1) == label).mean()), 4),
            "auc_one_against_rest": auc,
            "auc_quark_against_gluon": round(float(quark), 4),
        }
    return found


DEFAULTS = {"epochs": 16, "batch": 128, "rate": 2e-3}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.jet_classifier",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with gluon, quark and top.parquet")
    parser.add_argument("--out", type=Path, required=True, help="model file to write")
    parser.add_argument("--epochs", type=int, default=DEFAULTS["epochs"], help="passes over the training data")
    parser.add_argument("--batch", type=int, default=DEFAULTS["batch"], help="jets per step")
    parser.add_argument("--rate", type=float, default=DEFAULTS["rate"], help="highest learning rate; falls as a cosine")
    parser.add_argument("--seed", type=int, default=1, help="seed of the split, the weights and the batches")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    jets = jet_data.load([options.data / f"{name}.parquet" for name in CLASSES])
    parts = jet_data.split(len(jets), SHARES, options.seed)
    model = JetClassifier()
    torch.jit.script(model)  # what cannot be exported should fail before it is trained
    history = fit(model, jets, parts, options)
    described = metadata(jets, parts[0], options)
    described["metrics"] = {"validation": min(history, key=lambda row: row["validation"])}
    export(model, described, options.out)
    described["metrics"]["test"] = {"jets": len(parts[2]), **report(options.out, jets, parts[2])}
    print(export(model, described, options.out), described["metrics"]["test"])


if __name__ == "__main__":
    main()
