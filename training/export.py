# SPDX-License-Identifier: MIT
"""Export a network to the model contract, format 1: one TorchScript file with ``hepgen.json`` inside.

The file is scripted, not frozen (the engine freezes it on its device), and is written aside and renamed, so that
a reader never sees half a model. A network that fails its own check is not written.

    python -m training.export --bundle model.pt        # copy into the package and record its sha256
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hepgen_fastsim.errors import ModelError
from torch import Tensor

METADATA = "hepgen.json"
MODELS = Path(__file__).parents[1] / "python" / "hepgen_fastsim" / "models"

#: Required keys of hepgen.json and what each must be.
KEYS: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "name": str,
    "version": str,
    "task": str,
    "unit": str,
    "input": dict,
    "condition": list,
    "output": dict,
    "scalars": list,
    "slots": (dict, str),
    "noise": dict,
    "cost": str,
    "domain": dict,
    "provenance": dict,
    "metrics": dict,
    "licence": str,
}
CHOICES = {
    "task": ("reconstruct", "generate", "unfold", "autoencode"),
    "unit": ("event", "jet", "hits"),
    "cost": ("linear", "quadratic"),
}


def validate(metadata: Mapping[str, Any]) -> None:
    """Raise ModelError unless ``metadata`` is a complete hepgen.json of format 1."""

    def expect(holds: bool, text: str) -> None:
        if not holds:
            raise ModelError(f"model metadata: {text}")

    for key, kind in KEYS.items():
        expect(key in metadata, f"expected the key '{key}', found {sorted(metadata)}")
        expect(isinstance(metadata[key], kind), f"expected '{key}' to be {kind}, found {metadata[key]!r}")
    expect(metadata["format"] == 1, f"expected format 1, found {metadata['format']}")
    for key, allowed in CHOICES.items():
        expect(metadata[key] in allowed, f"expected '{key}' to be one of {allowed}, found {metadata[key]!r}")

    columns = [metadata["condition"], metadata["scalars"]]
    for side in ("input", "output"):
        for kind in ("features", "codes"):
            expect(kind in metadata[side], f"expected '{kind}' in '{side}', found {sorted(metadata[side])}")
            columns.append(metadata[side][kind])
    for column in (column for group in columns for column in group):
        expect({"name", "unit"} <= set(column), f"expected a column to have a name and a unit, found {column!r}")

    slots, noise, domain = metadata["slots"], metadata["noise"], metadata["domain"]
    counts = [slots.get("per_item"), slots.get("per_set")] if isinstance(slots, dict) else []
    expect(
        slots == "drawn" or all(isinstance(count, int) and count >= 0 for count in counts),
        f"expected 'slots' to be 'drawn' or the counts per_item and per_set, found {slots!r}",
    )
    widths = [noise.get("set"), noise.get("slot")]
    expect(all(isinstance(w, int) and w >= 0 for w in widths), f"expected the widths 'set' and 'slot', found {noise!r}")

    expect({"features", "codes", "conditions", "items"} <= set(domain), f"incomplete 'domain': {sorted(domain)}")
    ranges = dict(domain["features"]) | dict(domain["conditions"]) | dict(metadata.get("acceptance", {}))
    for name, (low, high) in (ranges | {"items": domain["items"]}).items():
        expect(low <= high, f"expected a range [low, high] for '{name}', found [{low}, {high}]")
    for kind in ("features", "codes"):
        names = {column["name"] for column in metadata["input"][kind]}
        expect(
            names == set(domain[kind]), f"expected a domain for {kind} {sorted(names)}, found {sorted(domain[kind])}"
        )
    expect(
        {"data", "seed", "command", "torch"} <= set(metadata["provenance"]),
        f"expected data, seed, command and torch in 'provenance', found {sorted(metadata['provenance'])}",
    )


def draw_inputs(metadata: Mapping[str, Any], sizes: list[int], seed: int = 0) -> tuple[Tensor, ...]:
    """Arguments of ``forward`` (less the slots' noise) for sets of these sizes, drawn from the model's domain."""
    generator = torch.Generator().manual_seed(seed)
    domain, total = metadata["domain"], sum(sizes)

    def uniform(count: int, limits: list[float]) -> Tensor:
        low, high = float(limits[0]), float(limits[1])
        u = torch.rand(count, generator=generator)
        if low >= 0 and high > 100 * max(low, 1e-3):  # a spectrum: every decade is visited
            low = max(low, 1e-3)
            return low * (high / low) ** u
        return low + (high - low) * u

    def stack(names: list[str], ranges: Mapping[str, list[float]], count: int) -> Tensor:
        return torch.stack([uniform(count, ranges[n]) for n in names], 1) if names else torch.zeros(count, 0)

    features = stack([c["name"] for c in metadata["input"]["features"]], domain["features"], total)  # [T, F]
    codes = torch.zeros(total, len(metadata["input"]["codes"]), dtype=torch.int64)  # [T, C]
    for i, column in enumerate(metadata["input"]["codes"]):
        known = torch.tensor(domain["codes"][column["name"]], dtype=torch.int64)
        codes[:, i] = known[torch.randint(len(known), (total,), generator=generator)]
    offsets = torch.tensor([0, *sizes], dtype=torch.int64).cumsum(0)  # [B + 1]
    conditions = stack([c["name"] for c in metadata["condition"]], domain["conditions"], len(sizes))  # [B, D]
    noise_set = torch.randn(len(sizes), metadata["noise"]["set"], generator=generator)  # [B, Zs]
    return features, codes, offsets, conditions, noise_set


def with_slots(
    module: Any, metadata: Mapping[str, Any], inputs: tuple[Tensor, ...], seed: int = 0
) -> tuple[Tensor, ...]:
    """Complete ``inputs`` (features ... noise_set) with slot_offsets [B + 1] and noise_slot [K, Zk] for ``forward``."""
    offsets = inputs[2]
    if metadata["slots"] == "drawn":
        counts = module.slots(*inputs)  # [B]
    else:
        counts = metadata["slots"]["per_item"] * offsets.diff() + metadata["slots"]["per_set"]  # [B]
    slot_offsets = torch.cat([offsets.new_zeros(1), counts.cumsum(0)])  # [B + 1]
    generator = torch.Generator(offsets.device).manual_seed(seed + 1)
    width = metadata["noise"]["slot"]
    noise = torch.randn(int(slot_offsets[-1]), width, generator=generator, device=offsets.device)  # [K, Zk]
    return *inputs, slot_offsets, noise


def check(eager: torch.nn.Module, scripted: Any, metadata: Mapping[str, Any], tolerance: float = 1e-5) -> None:
    """Raise ModelError unless the scripted network answers as the eager one, in the contract's shapes.

    Tried on a ragged batch with empty sets, on a batch of empty sets alone, and on an empty batch.
    """
    for sizes in ([5, 0, 40, 1, 0, 200], [0, 0], []):
        arguments = with_slots(scripted, metadata, draw_inputs(metadata, sizes))
        with torch.no_grad():
            expected, found = eager(*arguments), scripted(*arguments)
        check_shapes(found, metadata, len(sizes))
        for name, a, b in zip(("items", "item_codes", "item_offsets", "origin", "scalars"), expected, found):
            if not torch.isfinite(b.double()).all():
                raise ModelError(f"the network's {name} are not finite for sets of {sizes} items")
            if a.shape != b.shape or not torch.allclose(a.double(), b.double(), rtol=tolerance, atol=tolerance):
                raise ModelError(f"scripted and eager {name} differ for sets of {sizes} items")


def check_shapes(outputs: tuple[Tensor, ...], metadata: Mapping[str, Any], n_sets: int) -> None:
    """Raise ModelError unless ``outputs`` (of ``forward`` for ``n_sets`` sets) have the contract's shapes and types."""
    items, codes, offsets, origin, scalars = outputs
    n_items, output = items.shape[0], metadata["output"]
    expected: dict[str, tuple[Tensor, tuple[int, ...], torch.dtype]] = {
        "items": (items, (n_items, len(output["features"])), torch.float32),
        "item_codes": (codes, (n_items, len(output["codes"])), torch.int64),
        "item_offsets": (offsets, (n_sets + 1,), torch.int64),
        "origin": (origin, (n_items,), torch.int64),
        "scalars": (scalars, (n_sets, len(metadata["scalars"])), torch.float32),
    }
    for name, (tensor, shape, dtype) in expected.items():
        if tuple(tensor.shape) != shape or tensor.dtype != dtype:
            raise ModelError(f"expected {name} {dtype} {shape}, found {tensor.dtype} {tuple(tensor.shape)}")
    if int(offsets[0]) != 0 or int(offsets[-1]) != n_items or bool((offsets.diff() < 0).any()):
        raise ModelError(f"expected item_offsets to rise from 0 to {n_items}, found {offsets.tolist()}")


def export(module: torch.nn.Module, metadata: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write ``module`` with ``metadata`` to ``path`` and return it; ModelError if it breaks the contract."""
    validate(metadata)
    module = module.eval()
    scripted = torch.jit.script(module)
    check(module, scripted, metadata)
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torch.jit.save(scripted, str(aside), _extra_files={METADATA: json.dumps(metadata, indent=1)})
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The hepgen.json of a model file, read as a plain zip entry: nothing is executed."""
    with zipfile.ZipFile(path) as archive:
        entry = next((n for n in archive.namelist() if n.endswith(f"extra/{METADATA}")), None)
        if entry is None:
            raise ModelError(
                f"{path}: expected extra/{METADATA} in the archive, found none; was it exported by training.export?"
            )
        return json.loads(archive.read(entry))


def annotate(path: str | os.PathLike[str], figures: Mapping[str, Any]) -> Path:
    """Put ``figures`` into the metrics of a model file; its network and all else stay."""
    metadata, path = read_metadata(path), Path(path)
    metadata["metrics"] |= figures
    validate(metadata)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torch.jit.save(torch.jit.load(str(path)), str(aside), _extra_files={METADATA: json.dumps(metadata, indent=1)})
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def bundle(path: str | os.PathLike[str], models: Path = MODELS, limit: int = 5_000_000) -> Path:
    """Copy a model file into the package under its own name and record its sha256 in manifest.json."""
    metadata = read_metadata(path)
    validate(metadata)
    size = Path(path).stat().st_size
    if size > limit:
        raise ModelError(f"{path}: expected a bundled model below {limit} bytes, found {size}")
    target, manifest = models / f"{metadata['name']}.pt", models / "manifest.json"
    models.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    entries = json.loads(manifest.read_text()) if manifest.exists() else {}
    entries[metadata["name"]] = {"file": target.name, "sha256": hashlib.sha256(target.read_bytes()).hexdigest()}
    manifest.write_text(json.dumps(dict(sorted(entries.items())), indent=2) + "\n")
    return target


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", metavar="MODEL", required=True, help="model file to copy into the package")
    print(bundle(parser.parse_args().bundle))


if __name__ == "__main__":
    main()
