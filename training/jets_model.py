# SPDX-License-Identifier: MIT
"""The generator of jets in one pass: the task that ``python -m training.train jets`` trains, on three classes at once.

    python -m training.train jets --data jets/gluon.parquet --val jets/gluon.parquet --out jets.pt
    python -m training.jets_model jets.pt --out .          # jets-gluon.pt, jets-quark.pt, jets-top.pt

The files of quark and top jets lie beside that of gluon jets. Each is split by ``training.data.jets``. Maximum
likelihood of every constituent given those before, of pT and place; the model is chosen by the distances of generated
jets from validation jets, in units of their floors.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from training.data import jets as jet_data
from training.data.events import sha256
from training.data.jets import CONSTITUENT, Jets
from training.export import export, read_metadata
from training.jet_gan import Judge, generate
from training.networks.jet_chain import MISSING, JetChain
from training.networks.jet_share import MassShare, massless_square
from training.networks.jet_teaching import teach
from training.networks.jets import FLAT, LARGEST, NOISE_SET, NOISE_SLOT, JetGenerator
from training.task import Config, Task, columns

CLASSES = ("gluon", "quark", "top")
_WHOLE = ("jet_pt", "jet_eta", "jet_mass", "n_const")
BATCH_ITEMS = 2**18  #: constituents in a call: the network goes through jets step by step, and wants many at a time
_BINS = 20  # batches that are sorted by multiplicity together


@dataclass
class JetsConfig(Config):
    """Settings of the one-pass generator of jets."""

    name: str = field(default="jets", metadata={"help": "the model's name"})
    batch: int = field(default=256, metadata={"help": "jets per step"})
    rate: float = field(default=2e-3, metadata={"help": "highest learning rate; falls as a cosine"})
    average: float = field(default=0.998, metadata={"help": "decay per step of the averaged weights"})
    hidden: int = field(default=128, metadata={"help": "width of the hidden layers"})
    pooled: int = field(default=64, metadata={"help": "features that are pooled"})
    layers: int = field(default=3, metadata={"help": "layers"})
    leading: int = field(default=30, metadata={"help": "constituents that the first of training looks at"})
    short: float = field(default=0.5, metadata={"help": "share of the steps on the leading constituents alone"})
    share: float = field(default=1.0, metadata={"help": "share of the training jets in an epoch, drawn anew each time"})
    chain_steps: int = field(default=3000, metadata={"help": "steps of the fit of whole jets, before all else"})
    judged: int = field(default=2000, metadata={"help": "jets of each class in the validation after an epoch"})
    start: Path = field(default=Path(), metadata={"help": "model to begin with, as training wrote it"})
    generator: str = field(default="Pythia 8.317, Monash tune, pp 13 TeV", metadata={"help": "for the provenance"})


@dataclass
class Sample:
    """Jets with their observables: constituents, and whole [B, 4] jet_pt, jet_eta, jet_mass, n_const."""

    jets: Jets
    whole: Tensor

    def pick(self, rows: Tensor, leading: int | None = None) -> Sample:
        return Sample(self.jets.pick(rows, leading), self.whole[rows])


def load(beside: Path, name: str) -> Sample:
    """The part ``name`` of the classes' files, which lie in the folder of the file ``beside``."""
    paths = [beside.parent / f"{kind}.parquet" for kind in CLASSES]
    jets, rows, whole, first = jet_data.load(paths), [], [], 0
    for path in paths:
        table = pq.read_table(path, columns=list(_WHOLE))
        mine = jet_data.part(len(table), name)
        whole.append(torch.from_numpy(np.stack([table[c].to_numpy().astype(np.float32) for c in _WHOLE], 1))[mine])
        rows.append(mine + first)
        first += len(table)
    return Sample(jets.pick(torch.cat(rows)), torch.cat(whole))


def prepare(sample: Sample, generator: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Places [B, N, 3] (eta_rel, phi_rel, log pt_rel), counts [B], whole [B, 4] and label [B] of a batch.

    With a generator, numbers are smeared within the rounding of the files, and jets are reflected at random in eta and
    in phi: both leave the physics as it is.
    """
    jets = sample.jets
    counts = jets.offsets.diff()
    longest = int(counts.max())
    rows = jets.offsets[:-1, None] + torch.arange(longest)  # [B, N]
    places = jets.features[rows.clamp(max=len(jets.features) - 1)]  # [B, N, 3]
    whole = sample.whole.clone()
    pt = places[:, :, 2].clamp(min=1e-7)
    if generator is not None:
        side = 2.0 * torch.randint(2, (len(counts), 2), generator=generator) - 1.0  # [B, 2]
        noise = torch.rand(places.shape, generator=generator) - 0.5
        places = torch.cat([places[:, :, :2] + 2.0**-13 * noise[:, :, :2], places[:, :, 2:]], 2)
        places[:, :, :2] *= side[:, None]
        whole[:, 1] *= side[:, 0]
        whole[:, 3] += torch.rand(len(counts), generator=generator) - 0.5
        pt = pt * (1.0 + 3e-4 * noise[:, :, 2])
        along = (pt * torch.cos(places[:, :, 1]) * (torch.arange(longest) < counts[:, None])).sum(1)  # [B]
        pt = pt / torch.where(counts == sample.whole[:, 3].round(), along, 1.0)[:, None]  # one, but for the rounding
    log_pt = torch.cummin(torch.log(pt), 1).values
    return torch.cat([places[:, :, :2], log_pt.unsqueeze(2)], 2), counts, whole, jets.label


def fit_chain(chain: JetChain, whole: Tensor, label: Tensor, steps: int, seed: int, batch: int = 4096) -> float:
    """Fit the densities of whole jets [B, 4] (``Sample.whole``) by maximum likelihood; returns the last loss.

    Cheap, so it comes before and apart from the constituents: the tails of the mass decide on the tails of all.
    """
    chain.fit(whole[:, 0], whole[:, 1], whole[:, 2], whole[:, 3], label)
    optimiser = torch.optim.Adam(chain.parameters(), 1.0)
    source = torch.Generator().manual_seed(seed)
    averaged, loss = [p.detach().clone() for p in chain.parameters()], torch.zeros([])
    for step in range(steps):
        fall = 0.5 + 0.5 * math.cos(math.pi * step / steps)
        optimiser.param_groups[0]["lr"] = 3e-3 * min(1.0, (step + 1) / 50) * fall + 1e-6
        rows = torch.randint(len(label), (batch,), generator=source)
        jets, kind = whole[rows], label[rows]
        side = 2.0 * torch.randint(2, (batch,), generator=source) - 1.0
        count = jets[:, 3] + torch.rand(batch, generator=source) - 0.5
        standard = chain.standardise(jets[:, 0], side * jets[:, 1], jets[:, 2], count.clamp(min=0.6), kind)
        given = (torch.rand(batch, 3, generator=source) < 0.3).float()
        loss = -chain.log_prob(standard, given, kind).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(chain.parameters(), 10.0)
        optimiser.step()
        with torch.no_grad():
            for slow, fast in zip(averaged, chain.parameters()):
                slow.lerp_(fast, 1.0 - min(0.998, step / (step + 10.0)))
    with torch.no_grad():
        for slow, fast in zip(averaged, chain.parameters()):
            fast.copy_(slow)
    return float(loss.detach())


class JetsTask(Task):
    """Maximum likelihood of jets, constituent by constituent: gluon, quark and top jets in one network."""

    config_type = JetsConfig
    config: JetsConfig

    def __init__(self, config: JetsConfig) -> None:
        self.config = config
        self.train = load(config.data, "train")
        self.val = load(config.val, "val")
        self.model = JetGenerator(config.hidden, config.pooled, config.layers)
        features, whole = self.train.jets.features, self.train.whole
        if not (config.out.parent / f"{config.out.name}.checkpoint").exists():  # else it comes from there
            fit_chain(self.model.chain, whole, self.train.jets.label, config.chain_steps, config.seed)
        self.model.chain.requires_grad_(False)
        if self.config.start == Path():
            self.model.radius.fit(torch.hypot(features[:, 0], features[:, 1]))
        else:
            self.begin(network_of(torch.jit.load(str(self.config.start)).state_dict()))
        self.model.plane.flatten(self.model.radius, FLAT)
        self.model.fit_limits(features, self.train.jets.offsets, self.train.jets.label)
        self.judges: list[tuple[Judge, Judge]] = []

    def begin(self, other: JetGenerator) -> None:
        """Begin with the weights of another training, and its map of distances, which they know; the densities of whole
        jets are fitted anew."""
        weights = {k: v for k, v in other.state_dict().items() if k in dict(self.model.named_parameters())}
        weights = {k: v for k, v in weights.items() if not k.startswith("chain.")}
        self.model.load_state_dict(self.model.state_dict() | weights)
        self.model.radius.load_state_dict(other.radius.state_dict())

    def __len__(self) -> int:
        return max(1, int(self.config.share * len(self.train.whole)) // self.config.batch)

    def batches(self, generator: torch.Generator) -> Iterator[Any]:
        counts = self.train.whole[:, 3]
        order = torch.randperm(len(counts), generator=generator)[: len(self) * self.config.batch]
        for block in order.split(_BINS * self.config.batch):
            by_size = block[counts[block].argsort()]
            parts = by_size.split(self.config.batch)
            for i in torch.randperm(len(parts), generator=generator).tolist():
                short = float(torch.rand(1, generator=generator)) < self.config.short
                yield prepare(self.train.pick(parts[i], self.config.leading if short else None), generator)

    def terms(self, batch: Any) -> dict[str, Tensor]:
        places, counts, whole, label = batch
        with torch.no_grad():
            jet = self.model.chain.standardise(whole[:, 0], whole[:, 1], whole[:, 2], whole[:, 3].clamp(min=0.6), label)
        precision = torch.bfloat16 if self.config.precision == "bf16" else torch.float32
        pt, place = teach(self.model, places, counts, whole[:, 3].round(), jet, label, precision)
        return {"pt": -pt, "place": -place}

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": [p for p in self.model.parameters() if p.requires_grad], "scale": 1.0}]

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """``score``: geometric mean over classes, of leading constituents and of all, of distances in units of their
        floors; then those of each."""
        if not self.judges:
            self.judges = [self._judges(k) for k in range(len(CLASSES))]
        found, model = {}, model.eval()
        for k, kind in enumerate(CLASSES):
            model.kind.fill_(k)
            n = self.judges[k][0].n
            features, offsets, _ = generate(model, n, 1234, torch.full([n, 4], MISSING))
            jets = Jets(features, offsets, torch.zeros(n, dtype=torch.int64))
            first = jets.pick(torch.arange(n), self.config.leading)
            for judge, these, size in zip(self.judges[k], (first, jets), (self.config.leading, LARGEST)):
                figures = judge(these.features, these.offsets)
                found[f"{kind}{size}"] = figures["score"]
                for name in ("w1m", "fpd"):
                    if name in figures:
                        found[f"{kind}{size}_{name}"] = figures[name] / judge.floors[name]
                found["broken"] = found.get("broken", 0.0) + figures["broken"]
        model.kind.fill_(0)
        ratios = [math.log(v) for name, v in found.items() if name[-1].isdigit() and "_" not in name]
        return {"score": math.exp(sum(ratios) / len(ratios)), **found}

    def _judges(self, kind: int) -> tuple[Judge, Judge]:
        def sample(of: Sample) -> Tensor:
            return torch.nonzero(of.jets.label == kind)[: self.config.judged, 0]

        val, train = self.val.jets.pick(sample(self.val)), self.train.jets.pick(sample(self.train))
        every = torch.arange(min(len(val), len(train)))
        short = [jets.pick(every, self.config.leading) for jets in (val, train)]
        return Judge(short[0], short[1], self.config.judged), Judge(val, train, self.config.judged)

    def metadata(self) -> dict[str, Any]:
        whole = self.train.whole
        ranges = {name: [float(whole[:, k].min()), float(whole[:, k].max())] for k, name in enumerate(_WHOLE[:3])}
        reach = ranges["jet_eta"] = [-float(whole[:, 1].abs().max()), float(whole[:, 1].abs().max())]
        assert reach[0] < reach[1]
        return {
            "format": 1,
            "name": self.config.name,
            "version": self.config.version,
            "task": "generate",
            "unit": "jet",
            "input": {"features": [], "codes": []},
            "condition": [
                {**column, "missing": MISSING}
                for column in columns(("jet_pt", "GeV"), ("jet_eta", ""), ("jet_mass", "GeV"), ("leading", ""))
            ],
            "output": {"features": columns(*((n, "rad" if n == "phi_rel" else "") for n in CONSTITUENT)), "codes": []},
            "scalars": columns(("jet_pt", "GeV"), ("jet_eta", ""), ("jet_mass", "GeV")),
            "slots": "drawn",
            "noise": {"set": NOISE_SET, "slot": NOISE_SLOT},
            "cost": "linear",
            "batch_items": BATCH_ITEMS,
            "domain": {
                "features": {},
                "codes": {},
                "conditions": {**ranges, "leading": [1, LARGEST]},
                "items": [0, 0],
            },
            "provenance": {"generator": self.config.generator, "detector": "none"},
            "licence": "MIT",
        }


def network_of(state: Mapping[str, Tensor]) -> JetGenerator:
    """The network of a state dictionary, in the sizes that its tensors have."""
    layers = sum(name.endswith("give.weight") for name in state)
    model = JetGenerator(state["enter.weight"].size(0), state["layers.0.give.weight"].size(0), layers)
    older = {name: value for name, value in model.state_dict().items() if name.startswith("share.")}
    older |= {f"plane.{name}": state[f"radius.{name}"] for name in ("r", "s")}
    model.load_state_dict({**older, **state})
    return model.eval()


@torch.no_grad()
def fit_shares(model: JetGenerator, data: Path, draws: int = 20_000) -> None:
    """Fit the maps of the mass shares on the training jets in the folder ``data``, against ``draws`` drawn jets of each
    class; nothing is learnt."""
    model.share = MassShare(len(CLASSES))  # the identity
    sample = load(data / f"{CLASSES[0]}.parquet", "train")
    tables = []
    for k in range(len(CLASSES)):
        model.kind.fill_(k)
        mine = sample.pick(torch.nonzero(sample.jets.label == k)[:, 0])
        drawn = generate(model, draws, 1 + k, torch.full([draws, 4], MISSING))
        tables.append([_shares(model, *drawn, k), _shares(model, mine.jets.features, mine.jets.offsets, mine.whole, k)])
    for k, (drawn, real) in enumerate(tables):
        model.share.fit(k, drawn, real)


def _shares(model: JetGenerator, items: Tensor, offsets: Tensor, whole: Tensor, kind: int) -> tuple[Tensor, Tensor]:
    """Standardised masses and shares of the squared mass [B], of jets with whole [B, >= 3] pT, eta, mass."""
    n = len(whole)
    ratio = whole[:, 2] / whole[:, 0]
    standard = (torch.log(ratio) - model.chain.mean[kind, 2]) / model.chain.spread[kind, 2]
    owner = torch.repeat_interleave(torch.arange(n), offsets.diff())
    return standard, massless_square(items, owner, n) / (ratio * ratio)


def separate(path: Path, data: Path, out: Path, draws: int = 20_000, last: bool = False) -> list[Path]:
    """A trained model of three classes as one file per class, with its own domain, and with the shares of the mass of
    the training jets; ``data``: their folder. ``last``: with the weights of the last epoch, in the checkpoint beside
    it, not those that validation preferred, on fewer jets than some differences need."""
    metadata, written = read_metadata(path), []
    out.mkdir(parents=True, exist_ok=True)
    state = torch.jit.load(str(path)).state_dict()
    if last:
        checkpoint = torch.load(path.with_name(f"{path.name}.checkpoint"), weights_only=True, map_location="cpu")
        state = checkpoint["averaged"]
        curves = metadata["metrics"]["curves"]
        known = metadata["metrics"]["validation"]
        metadata["metrics"]["validation"] = {name: values[-1] for name, values in curves.items() if name in known}
    model = network_of(state)
    fit_shares(model, data, draws)
    for k, kind in enumerate(CLASSES):
        model.kind.fill_(k)
        table = pq.read_table(data / f"{kind}.parquet", columns=list(_WHOLE))
        rows = jet_data.part(len(table), "train").numpy()
        ranges = {name: [float(v) for v in np.quantile(table[name].to_numpy()[rows], (0, 1))] for name in _WHOLE[:3]}
        mine = {**metadata, "name": f"{metadata['name']}-{kind}", "batch_items": BATCH_ITEMS}
        mine["domain"] = {**metadata["domain"], "conditions": {**metadata["domain"]["conditions"], **ranges}}
        files = [data / f"{name}.parquet" for name in CLASSES]
        mine["provenance"] = {
            **metadata["provenance"],
            "data": [{"file": file.name, "sha256": sha256(file)} for file in files],
            "separation": f"python -m training.jets_model {path.name}{' --last' if last else ''}",
        }
        written.append(export(model, mine, out / f"{mine['name']}.pt"))
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.jets_model", description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="model of three classes, as training wrote it")
    parser.add_argument("--data", type=Path, required=True, help="folder of the jets that it was trained on")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the models of one class")
    parser.add_argument("--draws", type=int, default=20_000, help="jets of each class that the shares are fitted on")
    parser.add_argument("--last", action="store_true", help="the weights of the last epoch, from the checkpoint")
    options = parser.parse_args(arguments)
    for path in separate(options.model, options.data, options.out, options.draws, options.last):
        print(path)


if __name__ == "__main__":
    main()
