# SPDX-License-Identifier: MIT
"""What the global vector of an EPiC-GAN stands for: its distance correlation with jet observables, layer by layer.

    python -m training.epic_latents --model epic-gan-gluon.pt --picture latents.png

As in the talk: before the first and after each EPiC layer, the distance correlation (0: independent, 1: equal up to
rotation and scale) of the whole global vector with each observable of the jet that comes out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hepgen_fastsim import metrics
from torch import Tensor

from training.export import read_metadata

OBSERVABLES = ("number", "sum pt", "mass", "leading pt", "width", "axis eta", "axis phi")


def observables(items: Tensor, offsets: Tensor) -> Tensor:
    """Of jets [T, 3] (eta_rel, phi_rel, pt_rel), in descending pt, with offsets i64 [B + 1]: [B, 7] as named above."""
    counts = offsets.diff()
    index = torch.arange(len(counts)).repeat_interleave(counts)
    eta, phi, pt = items.double().unbind(1)

    def total(values: Tensor) -> Tensor:
        return torch.zeros(len(counts), dtype=torch.float64).index_add(0, index, values)

    summed = total(pt).clamp(min=1e-9)
    momenta = [total(pt * phi.cos()), total(pt * phi.sin()), total(pt * eta.sinh())]
    mass = (total(pt * eta.cosh()).square() - sum(p.square() for p in momenta)).clamp(min=0.0).sqrt()
    leading = torch.zeros(len(counts), dtype=torch.float64)
    leading[counts > 0] = pt[offsets[:-1][counts > 0]]
    width = total(pt * torch.hypot(eta, phi)) / summed
    axis = [total(pt * eta) / summed, total(pt * phi) / summed]
    return torch.stack([counts.double(), summed, mass, leading, width, *axis], 1)


@torch.no_grad()
def correlations(path: Path, n: int, seed: int) -> Tensor:
    """Distance correlations [layers + 1, 7] of ``n`` jets of a model file."""
    model, metadata = torch.jit.load(str(path)), read_metadata(path)
    torch.manual_seed(seed)
    width_set, width_slot = metadata["noise"]["set"], metadata["noise"]["slot"]
    none, codes, offsets = torch.zeros(0, 0), torch.zeros(0, 0, dtype=torch.int64), torch.zeros(n + 1).long()
    noise = torch.randn(n, width_set)
    counts = model.slots(none, codes, offsets, torch.zeros(n, 0), noise)
    slot_offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    slots = torch.randn(int(slot_offsets[-1]), width_slot)
    items, _, ends, *_ = model(none, codes, offsets, torch.zeros(n, 0), noise, slot_offsets, slots)
    index = torch.arange(n).repeat_interleave(counts)
    wide = noise[:, : model.core.global_1.weight.size(0)]
    seen = model.core.globals_by_layer(wide, slots, index, counts.float())
    jets = observables(items, ends)
    found = [
        [metrics.distance_correlation(vector.numpy(), jets[:, k].numpy(), n_jackknife=2).value for k in range(7)]
        for vector in seen
    ]
    return torch.tensor(found)


def picture(found: Tensor, path: Path, title: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5.2, 0.45 * len(found) + 1.4))
    image = axis.imshow(found.numpy(), vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for i, row in enumerate(found.tolist()):
        for k, value in enumerate(row):
            axis.text(k, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color="w" if value < 0.6 else "k")
    axis.set_xticks(range(len(OBSERVABLES)), OBSERVABLES, rotation=30, ha="right", fontsize=7)
    axis.set_yticks(range(len(found)), ["before", *(f"layer {k}" for k in range(1, len(found)))], fontsize=7)
    axis.set_title(title, fontsize=8)
    figure.colorbar(image)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.epic_latents", description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="model file of an EPiC-GAN")
    parser.add_argument("--jets", type=int, default=3000, help="jets that are generated")
    parser.add_argument("--seed", type=int, default=1, help="seed of the noise")
    parser.add_argument("--picture", type=Path, help="PNG to write")
    options: Any = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = correlations(options.model, options.jets, options.seed)
    print("| global vector | " + " | ".join(OBSERVABLES) + " |")
    print("|---" * (len(OBSERVABLES) + 1) + "|")
    for k, row in enumerate(found.tolist()):
        print(f"| {'before' if k == 0 else f'layer {k}'} | " + " | ".join(f"{value:.2f}" for value in row) + " |")
    if options.picture:
        picture(found, options.picture, f"{read_metadata(options.model)['name']}: distance correlation, global vector")


if __name__ == "__main__":
    main()
