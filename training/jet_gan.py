# SPDX-License-Identifier: MIT
"""What the trainings of jet generators share: jets, samples of a generator, and a joint score on validation jets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from hepgen_fastsim import metrics
from torch import Tensor, nn

from training.adversarial import GENERATOR, AdversarialConfig, AdversarialTask
from training.data import jets as jet_data
from training.data.jets import CONSTITUENT, Jets
from training.jet_guide import Guide, Moments
from training.networks.jet_draws import Radial, scatter_padded, turned
from training.networks.jet_limits import Limits, limits_of
from training.networks.segments import lengths_to_index
from training.task import columns

_KINEMATICS = ("jet_pt", "jet_eta")
_EXCESS = 10.0  #: weight of the loss of jets beyond the wall
COMPARED = 512  #: real jets that the guide compares a batch with: the more, the less of its noise is theirs


@dataclass
class JetGanConfig(AdversarialConfig):
    """Settings common to the generators of jets."""

    name: str = field(default="jet-gan", metadata={"help": "the model's name"})
    leading: int = field(default=30, metadata={"help": "constituents kept of each jet, the leading ones"})
    softest: float = field(default=0.0, metadata={"help": "constituents below this pt_rel are left out of all jets"})
    limit: int = field(default=0, metadata={"help": "training jets used, at most; 0: all"})
    judged: int = field(default=10_000, metadata={"help": "jets of the validation after each epoch, at most"})
    share: float = field(default=1.0, metadata={"help": "share of the training jets in an epoch, drawn anew each time"})
    guide: float = field(
        default=0.0, metadata={"help": "weight of the distances of observables in the generator's loss"}
    )
    balance: float = field(
        default=0.0,
        metadata={"help": "length of the discriminator's gradient in that of the guide, at every step; 0: as they are"},
    )
    moments: float = field(
        default=0.0, metadata={"help": "weight, within the guide, of first and second moments over many steps"}
    )
    all_moments: int = field(
        default=0,
        metadata={
            "help": "1: moments of all 35 flow polynomials of up to four edges, for a slow end of a training; 0: of six"
        },
    )
    floor: float = field(default=1.3e-4, metadata={"help": "lowest pt_rel of a generated constituent"})
    centre: float = field(
        default=0.0, metadata={"help": "share of the axis' offset taken from generated jets; the paper: 1"}
    )
    wall: float = field(
        default=0.0, metadata={"help": "how softly the constituents' vector sum ends at the jet's pT; 0: it does not"}
    )
    start: Path = field(default=Path(), metadata={"help": "checkpoint of a training, to begin with its networks"})
    turn: int = field(
        default=1, metadata={"help": "1: generated jets are turned about their axis and mirrored at random"}
    )
    radial: int = field(
        default=1,
        metadata={"help": "1: networks work in the plane in which constituents are normal; 0: as in the paper"},
    )
    reshape: int = field(
        default=1, metadata={"help": "1: map constituents' distances from the axis onto those of the training jets"}
    )
    calibrate: int = field(default=1, metadata={"help": "1: map the summed pt_rel onto that of the training jets"})
    generator: str = field(default="Pythia 8.317, Monash tune, pp 13 TeV", metadata={"help": "for the provenance"})


def kinematics(path: Path, part: str, limit: int | None = None) -> Tensor:
    """jet_pt [GeV] and jet_eta, f32 [B, 2], of the jets that ``jet_data.load_part`` returns."""
    table = pq.read_table(path, columns=list(_KINEMATICS))
    rows = jet_data.part(len(table), part)[:limit]
    values = np.stack([table[name].to_numpy() for name in _KINEMATICS], 1).astype(np.float32)
    return torch.from_numpy(values)[rows]


def as_metric(features: Tensor, offsets: Tensor) -> metrics.Jets:
    """Constituents [T, 3] (eta_rel, phi_rel, pt_rel) and offsets i64 [B + 1] as the metrics take them."""
    flat = features.detach().cpu().double().numpy()
    table = np.stack([flat[:, 2], flat[:, 0], flat[:, 1], np.zeros(len(flat))])
    return metrics.Jets(table, offsets.cpu().numpy(), "ptetaphim", float(np.finfo(np.float32).eps))


def harder(jets: Jets, softest: float) -> Jets:
    """The jets without constituents below ``softest`` in pt_rel."""
    keep = jets.features[:, 2] >= softest
    kept = torch.cat([keep.new_zeros(1, dtype=torch.int64), keep.long().cumsum(0)])
    return Jets(jets.features[keep], kept[jets.offsets], jets.label)


def summed_pt(features: Tensor, offsets: Tensor) -> Tensor:
    """Sum of pt_rel [B] of jets."""
    ends = torch.cat([features.new_zeros(1, dtype=torch.float64), features[:, 2].double().cumsum(0)])
    return (ends[offsets[1:]] - ends[offsets[:-1]]).float()


@torch.no_grad()
def generate(
    model: Any, n: int, seed: int, conditions: Tensor | None = None, chunk: int = 1000
) -> tuple[Tensor, Tensor, Tensor]:
    """Jets of a generator (eager or scripted): constituents [T, 3], offsets i64 [n + 1], scalars [n, S]."""
    device = next(model.parameters()).device
    source = torch.Generator(device).manual_seed(seed)
    items, counts, scalars = [], [], []
    for first in range(0, n, chunk):
        size = min(chunk, n - first)
        noise_set = torch.randn(size, model.noise_set, generator=source, device=device)
        given = torch.zeros(size, 0, device=device) if conditions is None else conditions[first : first + size]
        none, offsets = torch.zeros(0, 0, device=device), torch.zeros(size + 1, dtype=torch.int64, device=device)
        codes = torch.zeros(0, 0, dtype=torch.int64, device=device)
        slots = model.slots(none, codes, offsets, given, noise_set)  # [size]
        slot_offsets = torch.cat([slots.new_zeros(1), slots.cumsum(0)])
        noise = torch.randn(int(slot_offsets[-1]), model.noise_slot, generator=source, device=device)
        found = model(none, codes, offsets, given, noise_set, slot_offsets, noise)
        items.append(found[0])
        counts.append(found[2].diff())
        scalars.append(found[4])
    lengths = torch.cat(counts)
    return torch.cat(items), torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]), torch.cat(scalars)


class Judge:
    """Figures of generated jets against validation jets, each with its floor: training against validation jets."""

    def __init__(self, validation: Jets, training: Jets, n: int) -> None:
        self.n = min(n, len(validation), len(training))
        self.reference = self._sample(validation)
        self.floors = self._distances(self._sample(training))

    def _sample(self, jets: Jets) -> metrics.Jets:
        chosen = jets.pick(torch.arange(self.n))
        return as_metric(chosen.features, chosen.offsets)

    def _distances(self, jets: metrics.Jets) -> dict[str, float]:
        settings = {"n_samples": self.n, "n_batches": 2}
        found = {
            "w1m": metrics.w1m(self.reference, jets, **settings).value,
            "w1p": metrics.w1p(self.reference, jets, **settings).value,
            "w1efp": metrics.w1efp(self.reference, jets, **settings).value,
        }
        x, y = (metrics.efps(sample, "d<=4", normed=False) for sample in (self.reference, jets))
        scale = np.abs(x).max(0)
        x, y = x / scale, y / scale
        moments = [f(v) for v in (x, y) for f in (lambda v: v.mean(0), lambda v: np.cov(v, rowvar=False))]
        return found | {"fpd": metrics.frechet_distance(*moments)}

    def __call__(self, features: Tensor, offsets: Tensor) -> dict[str, float]:
        """``score``: the geometric mean of W1M, W1P, W1EFP and FPD (at this number of jets, not extrapolated), each in
        units of its floor, none counted below half of it. With the four, and the broken jets: not finite."""
        jets = as_metric(features, offsets)
        broken = jets.unusable()
        if broken.mean() > 0.5:
            return {"score": 1e9, "broken": float(broken.sum())}
        found = self._distances(jets.select(~broken))
        ratios = [math.log(max(found[name] / self.floors[name], 0.5)) for name in found]
        return {"score": math.exp(sum(ratios) / len(ratios)), **found, "broken": float(broken.sum())}


class JetGanTask(AdversarialTask):
    """Base of the two GANs: data, validation and metadata. Subclasses make ``model`` and ``discriminator``."""

    config: JetGanConfig
    guide: Guide | None
    excess: dict[str, Tensor]
    made: Any = None  #: the jets generated in this step, if they serve both players

    def load(self) -> None:
        """Jets of the training and of the validation part, and how the former are judged by the latter."""
        config, limit = self.config, self.config.limit or None
        self.train = harder(jet_data.load_part(config.data, "train", config.leading, limit), config.softest)
        self.val = harder(jet_data.load_part(config.val, "val", config.leading), config.softest)
        self.kinematics = kinematics(config.data, "train", limit)
        self.val_kinematics = kinematics(config.val, "val")
        self.judge_jets = Judge(self.val, self.train, config.judged)

    def radial(self) -> Radial:
        """The map of the training constituents' distances to those of a normal plane, or the identity."""
        radial = Radial()
        if self.config.radial:
            radial.fit(radial.quantiles(self.train.features[:, :2].norm(dim=1)), radial.knots())
        return radial

    def limits(self) -> Limits:
        """The limits of generated jets, from the training jets."""
        config = self.config
        return limits_of(self.train.features, self.train.offsets, config.floor, config.centre, config.wall)

    def overshoot(self, items: Tensor, present: Tensor, index: Tensor, n_jets: int) -> None:
        """Note for ``extra`` how far jets in the making are beyond the wall; arguments as of `Limits`."""
        self.excess = {}
        if self.config.wall > 0:
            self.excess["excess"] = _EXCESS * self.model.limits.excess(items, present, index, n_jets)

    def begin(self) -> None:
        """Begin with the weights of another training, if one is named, the averaged ones that it chose: optimisers and
        tables are its own."""
        if self.config.start == Path():
            return
        state = torch.load(self.config.start, weights_only=True, map_location=self.config.device)
        modules = state["modules"] | {"model": state["best"]["weights"]}
        for name, module in self.modules().items():
            weights = {key: modules[name][key] for key, _ in module.named_parameters()}
            module.load_state_dict(module.state_dict() | weights)

    def _optimiser(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        if self.config.optimiser == "adam":  # fused: a step over the many small tensors costs a third
            betas = (self.config.beta1, self.config.beta2)
            return torch.optim.Adam(groups, lr=self.config.rate, betas=betas, fused=True)
        return super()._optimiser(groups)

    def padded(self) -> tuple[Tensor, Tensor]:
        """All training jets [B, N, 3], with their mask [B, N]."""
        index = lengths_to_index(self.train.offsets, len(self.train.features))  # [T]
        rank = torch.arange(len(index)) - self.train.offsets[index]  # [T]
        jets, mask = scatter_padded(self.train.features, index, rank, len(self.train), self.config.leading)
        return jets.to(self.config.device), mask.to(self.config.device)

    def make_guide(self, jets: Tensor, mask: Tensor) -> None:
        """Set up the guide with all training jets [B, N, 3] and their mask [B, N], if there is to be one."""
        self.guide = Guide(jets[:1000], mask[:1000], bool(self.config.all_moments)) if self.config.guide > 0 else None
        if self.guide is not None and self.config.moments > 0:
            parts = zip(jets.split(2000), mask.split(2000))
            self.guide.moments = Moments(torch.cat([self.guide.polynomials(*part) for part in parts]))

    def guided(self, real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The guide's loss, of physical jets and masks."""
        if self.guide is None or min(len(real[0]), len(fake[0])) < 2:
            return {}
        with torch.autocast(real[0].device.type, enabled=False):
            loss = self.guide(real, fake)
            if self.guide.moments is not None:
                loss = loss + self.config.moments * self.guide.moments(self.guide.polynomials(*fake))
        return {"guide": self.config.guide * loss}

    def turned(self, jets: Tensor) -> Tensor:
        """Real jets [B, N, 3] in the networks' plane, turned as generated ones are."""
        if not self.config.turn:
            return jets
        n_jets, size = jets.shape[:2]
        index = torch.arange(n_jets, device=jets.device).repeat_interleave(size)
        return turned(jets.reshape(-1, 3), torch.randn(n_jets, device=jets.device), index).view(n_jets, size, 3)

    def update(self, batch: Any, optimisers: Sequence[torch.optim.Optimizer]) -> dict[str, float]:
        """Both players learn from the same generated jets: a sixth of the step is saved."""
        if self.config.discriminator_steps == 1:
            with self.autocast():
                self.made = self.fake(batch)
        return super().update(batch, optimisers)

    def shown(self, batch: Any) -> Any:
        if self.made is None:
            return super().shown(batch)
        return self.with_inputs(self.made, self.inputs(self.made).detach())

    def update_generator(self, batch: Any, optimiser: torch.optim.Optimizer) -> dict[str, float]:
        """A step of the generator. With ``balance``, the gradient that the discriminator sends into the generated jets
        is scaled to that share of the guide's: else it takes over as the guide falls."""
        self.discriminator.requires_grad_(False)
        with self.autocast():
            fake = self.fake(batch) if self.made is None else self.made
            self.made = None
            judged = self.judge(fake, batch).float()
        losses = {"generator": GENERATOR[self.config.objective](judged), **self.extra(fake, batch)}
        if self.guide is None or self.config.balance <= 0:
            self.descend(torch.stack(list(losses.values())).sum(), optimiser)
            return {name: float(value.detach()) for name, value in losses.items()}
        jets = self.inputs(fake)
        if "guide" not in losses:  # too few jets
            gradient = torch.zeros_like(jets)
        else:
            pull, gradient = (torch.autograd.grad(losses[name], jets)[0] for name in ("generator", "guide"))
            scale = self.config.balance * gradient.float().norm() / pull.float().norm().clamp(min=1e-12)
            gradient = gradient + scale * pull
        loss = (jets.float() * gradient.float()).sum()
        self.descend(loss + losses["excess"] if "excess" in losses else loss, optimiser)
        return {name: float(value.detach()) for name, value in losses.items()}

    def conditions(self, kinematic: Tensor) -> Tensor | None:
        """The model's conditions [B, D] for jets of jet_pt and jet_eta [B, 2]; None: it has none."""
        return None

    def judged_conditions(self) -> Tensor | None:
        return self.conditions(self.val_kinematics[: self.judge_jets.n])

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        model = model.eval()
        n, conditions = self.judge_jets.n, self.judged_conditions()
        if self.config.calibrate or self.config.reshape:
            self.calibrate(model, *generate(_uncalibrated(model), n, 4242, conditions)[:2])
        features, offsets, _ = generate(model, n, 1234, conditions)
        return self.judge_jets(features, offsets)

    def calibrate(self, model: Any, features: Tensor, offsets: Tensor) -> None:
        """Fit the maps of a model to jets of it, which none has changed."""
        if not torch.isfinite(features).all():
            return
        if self.config.calibrate:
            model.calibration.fit(summed_pt(features, offsets), summed_pt(self.train.features, self.train.offsets))
        if self.config.reshape:
            real, made = (model.reshape.quantiles(x[:, :2].norm(dim=1)) for x in (self.train.features, features))
            model.reshape.fit(made, real)

    def report(self, path: Path) -> dict[str, Any]:
        """Floors of the validation, and its figures before and after the calibrations."""
        model = torch.jit.load(str(path))
        n, conditions = self.judge_jets.n, self.judged_conditions()
        found: dict[str, Any] = {"jets": n, "floors": self.judge_jets.floors}
        after = self.judge_jets(*generate(_Sized(model, self.model), n, 77, conditions)[:2])
        found["calibrated"] = after
        sized = _Sized(_uncalibrated(model), self.model)
        found["uncalibrated"] = self.judge_jets(*generate(sized, n, 77, conditions)[:2])
        return {"validation_report": found}

    def describe(self, condition: list[dict[str, str]], ranges: dict[str, list[float]], cost: str) -> dict[str, Any]:
        """hepgen.json of a generator of jets."""
        return {
            "format": 1,
            "name": self.config.name,
            "version": self.config.version,
            "task": "generate",
            "unit": "jet",
            "input": {"features": [], "codes": []},
            "condition": condition,
            "output": {"features": columns(*((n, "rad" if n == "phi_rel" else "") for n in CONSTITUENT)), "codes": []},
            "scalars": columns(("jet_pt", "GeV"), ("jet_eta", "")),
            "slots": "drawn",
            "noise": {"set": self.model.noise_set, "slot": self.model.noise_slot},
            "cost": cost,
            "domain": {"features": {}, "codes": {}, "conditions": ranges, "items": [0, 0]},
            "provenance": {"generator": self.config.generator, "detector": "none"},
            "licence": "MIT",
        }


def _uncalibrated(model: Any) -> Any:
    """The model, eager or scripted, with its calibrations back at the identity."""
    model.calibration.reset()
    model.reshape.reset()
    return model


class _Sized:
    """A scripted generator with the widths of its noise, which scripting leaves out."""

    def __init__(self, model: Any, eager: nn.Module) -> None:
        self.model, self.noise_set, self.noise_slot = model, eager.noise_set, eager.noise_slot

    def __call__(self, *arguments: Tensor) -> Any:
        return self.model(*arguments)

    def slots(self, *arguments: Tensor) -> Tensor:
        return self.model.slots(*arguments)

    def parameters(self) -> Any:
        return self.model.parameters()
