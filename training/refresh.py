# SPDX-License-Identifier: MIT
"""Export an event model again, with the present code of the network: the weights stay, speed and rounding may change.

    python -m training.refresh MODEL.pt [--detector NAME] [--out NEW.pt]

The new file answers as the old one did, or it is not written.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hepgen_fastsim.errors import ModelError
from torch import Tensor

from training import export
from training.hepic import BATCH_ITEMS
from training.networks.hepic import Hepic
from training.task import _code_version


def rebuild(weights: Mapping[str, Tensor], detector: str) -> Hepic:
    """The network with these ``weights``, of a scripted file's state_dict; ModelError if they are those of another."""
    first, last = (weights["calorimeters.0.energy.net.0.weight"], weights["calorimeters.0.energy.net.4.weight"])
    network = Hepic(detector, hidden=first.size(0), n_bins=(last.size(0) - 1) // 3)
    wanted = network.state_dict()  # without tables, which follow from the geometry
    wrong = [n for n, value in wanted.items() if n not in weights or weights[n].shape != value.shape]
    if wrong:
        raise ModelError(
            f"expected the weights of an event model for '{detector}', found others for {', '.join(wrong)}"
        )
    network.load_state_dict({name: weights[name] for name in wanted})
    return network.eval().requires_grad_(False)


def refresh(path: Path, out: Path, detector: str, tolerance: float = 1e-4) -> Path:
    """Write ``out``, the model of ``path`` exported by the present code; ModelError if their answers differ."""
    metadata: dict[str, Any] = export.read_metadata(path)
    old = torch.jit.load(str(path)).eval()
    network = rebuild(old.state_dict(), detector)
    inputs = export.with_slots(old, metadata, export.draw_inputs(metadata, [300, 0, 700, 1, 500], seed=5))
    with torch.no_grad():
        for name, before, after in zip(("items", "codes", "offsets", "origins"), old(*inputs), network(*inputs)):
            same = before.shape == after.shape and torch.allclose(before, after, rtol=tolerance, atol=tolerance)
            if not same:
                raise ModelError(f"{path}: expected the present code to give the same {name}, found others")
    metadata["provenance"]["code_version"] = _code_version()
    metadata["batch_items"] = BATCH_ITEMS
    return export.export(network, metadata, out)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.refresh", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--detector", help="geometry: a bundled name or a TOML file; default: by the model's name")
    parser.add_argument("--out", type=Path, help="default: the model itself")
    arguments = parser.parse_args()
    detector = arguments.detector or export.read_metadata(arguments.model)["name"].removeprefix("delphes-")
    print(refresh(arguments.model, arguments.out or arguments.model, detector))


if __name__ == "__main__":
    main()
