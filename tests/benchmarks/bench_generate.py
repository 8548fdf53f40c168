# SPDX-License-Identifier: MIT
"""Speed of the generators of jets: CPU time of one thread per jet.

    PYTHONPATH=. python tests/benchmarks/bench_generate.py [MODEL ...] [--pythia] [--batches]

For each model: µs/jet through the engine at fixed multiplicities N, with the exponent of the growth from N = 30 on; the
engine, TorchScript called from Python and (ours) eager Python code on the same batch; and a batch of mixed
multiplicities against the same jets padded to the largest. --batches: µs/jet against the batch size; --pythia: Pythia.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import hepgen_fastsim as hf
import numpy as np
import torch
from hepgen_fastsim._core_loader import core
from hepgen_fastsim.registry import find_model, models

SIZES = (10, 20, 30, 50, 75, 100, 150, 200, 300)


class FixedSize(torch.nn.Module):
    """A generator whose multiplicity is not drawn but N, or those that are given."""

    def __init__(self, model: torch.jit.ScriptModule, sizes: torch.Tensor) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("sizes", sizes)

    @torch.jit.export
    def slots(self, features: torch.Tensor, codes: torch.Tensor, offsets: torch.Tensor, conditions: torch.Tensor,
              noise_set: torch.Tensor) -> torch.Tensor:  # fmt: skip
        return self.sizes[: noise_set.size(0)].expand(noise_set.size(0))

    def forward(self, features: torch.Tensor, codes: torch.Tensor, offsets: torch.Tensor, conditions: torch.Tensor,
                noise_set: torch.Tensor, slot_offsets: torch.Tensor, noise_slot: torch.Tensor,
                ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
        return self.model(features, codes, offsets, conditions, noise_set, slot_offsets, noise_slot)


def best(action: Callable[[], object], repeat: int = 3) -> float:
    """Smallest CPU time of this thread over some repetitions [s]; one run before does not count."""
    action()
    times = []
    for _ in range(repeat):
        begun = time.thread_time()
        action()
        times.append(time.thread_time() - begun)
    return min(times)


def in_turn(actions: dict[str, Callable[[], object]], repeat: int = 5) -> dict[str, float]:
    """Smallest CPU time of each over some rounds [s]: one after the other, so that a busy machine is busy for all."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(repeat + 1):
        for name, action in actions.items():
            begun = time.thread_time()
            action()
            if turn > 0:
                times[name].append(time.thread_time() - begun)
    return {name: min(found) for name, found in times.items()}


def inputs(metadata: dict, n: int) -> tuple[np.ndarray, ...]:
    """Features, codes, offsets, conditions of n sets of nothing; conditions in the middle of the domain, or missing."""
    columns = metadata["condition"]
    middle = [c.get("missing", np.mean(metadata["domain"]["conditions"].get(c["name"], [0.0]))) for c in columns]
    conditions = np.tile(np.asarray(middle, np.float32), (n, 1)).reshape(n, len(columns))
    return np.zeros((0, 0), np.float32), np.zeros((0, 0), np.int64), np.zeros(n + 1, np.int64), conditions


def engine_call(path: Path, metadata: dict, n: int, batch: int | None = None) -> Callable[[], object]:
    """A call of the engine for n sets, in batches of as many items as `hf.Generator` has, or of `batch`."""
    given = {"batch_items": batch or metadata.get("batch_items")}
    engine = core().Engine(core().Model(str(path)), device="cpu", **{k: v for k, v in given.items() if v})
    arguments = inputs(metadata, n)
    return lambda: engine.run(*arguments, None, 1, 0)


def engine_time(path: Path, metadata: dict, n: int, batch: int | None = None) -> float:
    return best(engine_call(path, metadata, n, batch)) / n


def fixed(model: torch.jit.ScriptModule, metadata: dict, sizes: torch.Tensor, path: Path) -> Path:
    wrapped = torch.jit.script(FixedSize(model, sizes))
    torch.jit.save(wrapped, str(path), _extra_files={"hepgen.json": json.dumps(metadata)})
    return path


def direct(model: torch.nn.Module, metadata: dict, sizes: torch.Tensor) -> Callable[[], object]:
    """The same work called from Python: noise included, drawn by torch."""
    n = len(sizes)
    given = [torch.from_numpy(a) for a in inputs(metadata, n)]
    slots = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])

    @torch.inference_mode()
    def call() -> object:
        noise_set = torch.randn(n, metadata["noise"]["set"])
        return model(*given, noise_set, slots, torch.randn(int(slots[-1]), metadata["noise"]["slot"]))

    return call


def bench(name: str, folder: Path, n_items: int, n_jets: int | None, batch: int | None, batches: bool) -> None:
    path = find_model(name).path
    metadata = find_model(name).metadata()
    model = torch.jit.load(str(path)).eval()
    linear = metadata["cost"] == "linear"  # others need memory, too, for all pairs of a jet
    drawn = engine_time(path, metadata, 2000 if linear else max(4, n_items // 100), batch)
    print(f"\n## {name} ({metadata['cost']})\n\nmultiplicity as drawn: {1e6 * drawn:.1f} µs/jet\n")
    print("| N | " + " | ".join(map(str, SIZES)) + " |\n|" + "---|" * (len(SIZES) + 1))
    times = []
    for size in SIZES:
        n = n_jets or max(4, n_items // size)
        path_fixed = fixed(model, metadata, torch.tensor([size]), folder / "fixed.pt")
        try:
            times.append(engine_time(path_fixed, metadata, n, batch))
        except hf.ModelError:
            break  # a network of a largest multiplicity
    print("| µs/jet | " + " | ".join([f"{1e6 * t:.1f}" for t in times] + ["–"] * (len(SIZES) - len(times))) + " |")
    sizes = np.array(SIZES[: len(times)])
    large = sizes >= min(30, sizes[-2])
    exponent = np.polyfit(np.log(sizes[large]), np.log(np.array(times)[large]), 1)[0]
    print(f"\nexponent for N >= {sizes[large][0]}: {exponent:.2f}")

    size = 30
    n = n_jets or n_items // size
    equal = torch.full([n], size)
    path_fixed = fixed(model, metadata, equal[:1], folder / "fixed.pt")
    calls = {
        "engine": engine_call(path_fixed, metadata, n, batch or 2**30),
        "TorchScript from Python": direct(model, metadata, equal),
    }
    if "jets_model" in metadata["provenance"].get("separation", ""):
        from training.jets_model import network_of

        calls["eager Python"] = direct(network_of(model.state_dict()), metadata, equal)
    found = in_turn(calls)
    shown = ", ".join(f"{what} {1e6 * t / n:.1f} µs/jet ({t / found['engine']:.2f} times)" for what, t in found.items())
    print(f"\nN = {size}, {n} jets in one batch, in turn: {shown}")

    if linear and len(times) == len(SIZES):  # jets of any size
        counts = torch.from_numpy(
            np.random.default_rng(1).lognormal(np.log(60), 0.5, 1000).clip(5, 150).astype(np.int64)
        )
        mixed = best(direct(model, metadata, counts)) / len(counts)
        padded = best(direct(model, metadata, torch.full_like(counts, int(counts.max())))) / len(counts)
        what = f"mixed multiplicities (mean {counts.float().mean():.0f}, largest {int(counts.max())})"
        print(f"{what}: {1e6 * mixed:.1f}, padded {1e6 * padded:.1f} µs/jet, {padded / mixed:.1f} times")
    if batches:
        for n in (1, 10, 100, 1000, 10_000):
            print(f"batches of {n}: {1e6 * engine_time(path, metadata, n):.1f} µs/jet")


def pythia(n: int = 400) -> None:
    """Pythia and the clustering of jets, as `training.data.jets` runs them."""
    from training.data.make_jets import CLASSES, Settings, generate

    for kind in CLASSES:
        source = generate(Settings(kind), 1)
        next(source)
        begun, found = time.thread_time(), 0
        while found < n:
            found += len(next(source))
        print(f"Pythia and clustering, {kind}: {1e3 * (time.thread_time() - begun) / found:.2f} ms/jet")


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="default: all generators of jets that there are")
    parser.add_argument("--items", type=int, default=15_000, help="constituents in a call")
    parser.add_argument("--jets", type=int, help="jets in a call, instead of a number of constituents")
    parser.add_argument("--batch", type=int, help="constituents in a batch of the engine; default: the model's")
    parser.add_argument("--pythia", action="store_true", help="time Pythia too")
    parser.add_argument("--batches", action="store_true", help="time batch sizes too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = options.models or [
        name for name, file in models().items()
        if (found := file.metadata())["task"] == "generate" and found["unit"] == "jet" and found["slots"] == "drawn"
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            bench(name, Path(folder), options.items, options.jets, options.batch, options.batches)
    if options.pythia:
        pythia()


if __name__ == "__main__":
    main()
