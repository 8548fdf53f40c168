# SPDX-License-Identifier: MIT
"""Write small models that keep, or break, the model contract: `python tests/make_test_models.py FOLDER`.

The C++ and the Python tests share them.
"""

from __future__ import annotations

import copy
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

Output = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def column(name: str, unit: str = "") -> dict[str, str]:
    return {"name": name, "unit": unit}


METADATA: dict[str, Any] = {
    "format": 1,
    "name": "smear",
    "version": "1.0.0",
    "task": "reconstruct",
    "unit": "event",
    "input": {
        "features": [column("pt", "GeV"), column("eta"), column("phi", "rad"), column("charge", "e")],
        "codes": [column("pdgid")],
    },
    "condition": [],
    "output": {
        "features": [column("pt", "GeV"), column("eta"), column("phi", "rad")],
        "codes": [column("pdgid"), column("charge")],
    },
    "scalars": [column("sum_pt", "GeV")],
    "slots": {"per_item": 1, "per_set": 0},
    "noise": {"set": 2, "slot": 5},
    "cost": "linear",
    "acceptance": {"eta": [-5.0, 5.0]},
    "domain": {
        "features": {"pt": [0.0, 1000.0]},
        "codes": {"pdgid": [-211, 22, 211]},
        "conditions": {},
        "items": [0, 1000],
    },
    "provenance": {"data": [], "generator": "none", "detector": "none", "seed": 1, "code_version": "", "command": ""},
    "metrics": {},
    "licence": "MIT",
}


class Smear(nn.Module):
    """Charged particles become tracks with 10 % noise on pt, others photons; those with noise 1 above 1 are lost."""

    def __init__(self, smearing: float = 0.1) -> None:
        super().__init__()
        self.smearing = nn.Parameter(torch.tensor(smearing))

    def forward(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor,
                slot_offsets: Tensor, noise_slot: Tensor) -> Output:  # fmt: skip
        sizes = offsets[1:] - offsets[:-1]
        n_sets = sizes.shape[0]
        event = torch.repeat_interleave(
            torch.arange(n_sets, device=offsets.device), sizes, output_size=features.shape[0]
        )
        index = torch.arange(features.shape[0], device=offsets.device) - offsets[:-1][event]
        kept = noise_slot[:, 1] < 1.0
        pt = features[:, 0] * (1.0 + self.smearing * noise_slot[:, 0])
        items = torch.stack([pt, features[:, 1], features[:, 2]], 1)[kept]
        charge = features[:, 3].long()
        item_codes = torch.stack([torch.where(charge != 0, codes[:, 0], torch.full_like(charge, 22)), charge], 1)[kept]
        counts = torch.zeros_like(sizes).index_add_(0, event, kept.long())
        item_offsets = torch.cat([torch.zeros_like(counts[:0].new_zeros(1)), counts.cumsum(0)])
        scalars = torch.zeros(n_sets, device=features.device).index_add_(0, event, features[:, 0])[:, None]
        return items, item_codes, item_offsets, index[kept], scalars


class Drawn(nn.Module):
    """A generator: 3 + |noise_set| slots; each slot is an item whose feature is condition + noise."""

    def forward(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor,
                slot_offsets: Tensor, noise_slot: Tensor) -> Output:  # fmt: skip
        sizes = slot_offsets[1:] - slot_offsets[:-1]
        jet = torch.repeat_interleave(torch.arange(sizes.shape[0]), sizes, output_size=noise_slot.shape[0])
        items = conditions[jet] + noise_slot
        none = torch.full([noise_slot.shape[0]], -1, dtype=torch.long)
        return items, none[:, None][:, :0], slot_offsets, none, noise_set

    @torch.jit.export
    def slots(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor) -> Tensor:
        return 3 + (10 * noise_set[:, 0].abs()).long()


class Raises(Smear):
    def forward(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor,
                slot_offsets: Tensor, noise_slot: Tensor) -> Output:  # fmt: skip
        raise RuntimeError("the network gives up")


class Hungry(Smear):
    """Runs out of memory with more than 100 items."""

    def forward(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor,
                slot_offsets: Tensor, noise_slot: Tensor) -> Output:  # fmt: skip
        if features.shape[0] > 100:
            raise RuntimeError("CUDA out of memory. Tried to allocate 1.00 GiB")
        kept = noise_slot[:, 1] < 10.0
        counts = offsets[1:] - offsets[:-1]
        set_of = torch.repeat_interleave(torch.arange(counts.shape[0]), counts, output_size=features.shape[0])
        index = torch.arange(features.shape[0]) - offsets[:-1][set_of]
        none = torch.zeros_like(codes)
        return features[:, :3], torch.cat([codes, none], 1), offsets, index[kept], noise_set[:, :1]


class Lost(Smear):
    """Loses its device with more than 100 items."""

    def forward(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor,
                slot_offsets: Tensor, noise_slot: Tensor) -> Output:  # fmt: skip
        if features.shape[0] > 100:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        none = torch.zeros([0], dtype=torch.long)
        return features[:0, :3], none[:, None].repeat(1, 2), torch.zeros_like(offsets), none, noise_set[:, :1]


class WrongType(Smear):
    def forward(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor,
                slot_offsets: Tensor, noise_slot: Tensor) -> Output:  # fmt: skip
        none = torch.zeros([0], dtype=torch.long)
        return (
            torch.zeros([0, 3], dtype=torch.float64),
            none[:, None].repeat(1, 2),
            torch.zeros_like(offsets),
            none,
            noise_set,
        )


class WrongShape(Smear):
    def forward(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor,
                slot_offsets: Tensor, noise_slot: Tensor) -> Output:  # fmt: skip
        return features, codes, offsets, codes[:, 0], conditions


class WrongOrigin(Drawn):
    def forward(self, features: Tensor, codes: Tensor, offsets: Tensor, conditions: Tensor, noise_set: Tensor,
                slot_offsets: Tensor, noise_slot: Tensor) -> Output:  # fmt: skip
        one = torch.full([noise_slot.shape[0]], 1, dtype=torch.long)
        return noise_slot, one[:, None][:, :0], slot_offsets, one, noise_set


class WrongSignature(nn.Module):
    def forward(self, features: Tensor, offsets: Tensor) -> Tensor:
        return features


def save(module: nn.Module, metadata: dict[str, Any] | str, path: Path) -> None:
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    torch.jit.save(torch.jit.script(module.eval()), str(path), _extra_files={"hepgen.json": text})


def changed(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(METADATA) | changes


DRAWN = changed(
    name="drawn",
    task="generate",
    unit="jet",
    input={"features": [], "codes": []},
    condition=[column("jet_pt", "GeV")],
    output={"features": [column("pt_rel")], "codes": []},
    scalars=[column("z")],
    slots="drawn",
    noise={"set": 1, "slot": 1},
    acceptance={},
    domain={"features": {}, "codes": {}, "conditions": {"jet_pt": [0, 10]}, "items": [3, 100]},
)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save(Smear(), METADATA, folder / "smear.pt")
    save(Smear(), changed(name="smear-quadratic", cost="quadratic"), folder / "smear-quadratic.pt")
    save(Smear(0.0), changed(name="no-smearing"), folder / "no-smearing.pt")
    save(Drawn(), DRAWN, folder / "drawn.pt")
    save(Raises(), changed(name="raises"), folder / "raises.pt")
    save(Hungry(), changed(name="hungry"), folder / "hungry.pt")
    save(Lost(), changed(name="lost"), folder / "lost.pt")
    save(WrongType(), changed(name="wrong-type"), folder / "wrong-type.pt")
    save(WrongShape(), changed(name="wrong-shape"), folder / "wrong-shape.pt")
    save(WrongOrigin(), DRAWN | {"name": "wrong-origin"}, folder / "wrong-origin.pt")
    save(WrongSignature(), changed(name="wrong-signature"), folder / "wrong-signature.pt")
    save(Smear(), changed(name="lacks-slots", slots="drawn"), folder / "lacks-slots.pt")
    save(Smear(), changed(name="unknown-format", format=2), folder / "unknown-format.pt")
    save(Smear(), "{not json", folder / "not-json.pt")
    torch.jit.save(torch.jit.script(Smear()), str(folder / "no-metadata.pt"))
    whole = (folder / "smear.pt").read_bytes()
    (folder / "truncated.pt").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.pt").write_bytes(b"")
    (folder / "text.pt").write_text("this is not a zip file\n")
    with zipfile.ZipFile(folder / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:  # 64 MiB of blanks in 64 kB
        bomb.writestr("bomb/extra/hepgen.json", b" " * (64 << 20))
        bomb.writestr("bomb/version", "3\n")
        bomb.writestr("../../escaped", "a path that leads out of the archive")
    with zipfile.ZipFile(folder / "smear.pt") as source, zipfile.ZipFile(folder / "damaged.pt", "w") as target:
        for entry in source.infolist():  # metadata whole, code cut off
            data = source.read(entry)
            target.writestr(entry.filename, data[: len(data) // 2] if "/code/" in entry.filename else data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
