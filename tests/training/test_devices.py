# SPDX-License-Identifier: MIT
"""Would the bundled networks run on a GPU? Every tensor they make has to be where the others are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pretended_gpu import DeviceError, PretendedGpu, move, to_gpu
from torch import Tensor

from training import export

SAME = {"delphes-atlas", "jets-gluon", "jets-quark"}
"""Models of the very code of others, and the longest to run."""
MODELS = [path for path in sorted(export.MODELS.glob("*.pt")) if path.stem not in SAME]
WAITS = {
    "calo-graph-vae": 6,
    "calo-shower": 8,
    "delphes": 14,
    "epic-gan": 0,
    "event-flow": 0,
    "event-gan": 0,
    "fcgan": 4,
    "graph-vae": 16,
    "jet-classifier": 0,
    "jet-vae": 6,
    "jets": 3,
    "mp-gan": 2,
    "subtraction": 3,
    "unfold-flow": 4,
}
"""Times per batch that the host has to wait for the device, at most. None: shapes follow from the inputs' shapes alone,
so that a CUDA graph could hold the network."""


def loaded(path: Path) -> torch.jit.ScriptModule:
    return torch.jit.load(str(path)).eval()


def on_gpu(outputs: tuple[Tensor, ...]) -> list[Tensor]:
    assert all(output.device.type == "cuda" for output in outputs)
    return [output.held for output in outputs]  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_bundled_networks_stay_on_their_device(path):
    network, metadata = loaded(path), export.read_metadata(path)
    sizes = [0, 0] if metadata["task"] == "generate" else [5, 0, 12, 1]
    gpu = PretendedGpu()
    with torch.no_grad(), torch.jit.optimized_execution(False):
        inputs = export.draw_inputs(metadata, sizes, seed=1)
        full = export.with_slots(network, metadata, inputs)
        expected = network(*full)
        slots = network.slots(*inputs) if metadata["slots"] == "drawn" else None
        move(network)
        with gpu:
            found = on_gpu(network(*(to_gpu(x) for x in full)))
            if slots is not None:
                (drawn,) = on_gpu((network.slots(*(to_gpu(x) for x in inputs)),))
                assert torch.equal(drawn, slots)
    for a, b in zip(expected, found):
        assert torch.equal(a, b)
    assert gpu.operations > 10
    limit = next(count for name, count in WAITS.items() if path.stem.startswith(name))
    assert sum(gpu.waits.values()) <= limit, dict(gpu.waits)


class Mistaken(torch.nn.Module):
    """One mistake of each kind."""

    def __init__(self, mistake: int) -> None:
        super().__init__()
        self.mistake = mistake
        self.register_buffer("weight", torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        n = x.size(0)
        if self.mistake == 1:
            return x + torch.arange(n)[:, None]  # made on the CPU
        if self.mistake == 2:
            return x[torch.ones(n, dtype=torch.bool)]  # an index on the CPU
        if self.mistake == 3:
            return torch.zeros(n, 3).index_add(0, torch.arange(n, device=x.device), x)
        if self.mistake == 4:
            return torch.cat([x, torch.zeros(1, 3)])
        if self.mistake == 5:
            return torch.zeros_like(x, device=torch.device("cpu"))
        return x * self.weight + 2.0 * torch.tensor(1.5)  # a number may lie on the CPU


@pytest.mark.parametrize(
    ("mistake", "message"), [(1, "add"), (2, "index"), (3, "index_add"), (4, "cat"), (5, "makes a tensor on the CPU")]
)
def test_mistakes_are_found(mistake, message):
    network, gpu = move(torch.jit.script(Mistaken(mistake))), PretendedGpu()
    with gpu, pytest.raises(RuntimeError):
        network(to_gpu(torch.ones(4, 3)))
    (found,) = gpu.mistakes
    assert message in found


def test_numbers_may_lie_on_the_host():
    network, x, gpu = torch.jit.script(Mistaken(0)), torch.ones(4, 3), PretendedGpu()
    with gpu, pytest.raises(RuntimeError):
        network(to_gpu(x))  # its weights were not moved
    assert gpu.mistakes == ["mul: tensors on several devices (cuda [4, 3], cpu [3])"]
    with PretendedGpu() as gpu:
        (found,) = on_gpu((move(network)(to_gpu(x)),))
    assert torch.equal(found, torch.full((4, 3), 4.0))
    assert not gpu.waits


@torch.jit.script
def waits(x: Tensor, repeats: Tensor) -> float:
    kept = x[x > 0]
    where = torch.nonzero(x)[:, 0]
    repeated = torch.repeat_interleave(x, repeats)
    known = torch.repeat_interleave(x, repeats, output_size=3)
    constant = torch.tensor([1.0, 2.0, 3.0], device=x.device)
    host = (known + constant).to("cpu")
    return float(kept.sum()) + float(host.sum()) + float(where.size(0) + repeated.size(0))


def test_waits_are_counted():
    with torch.jit.optimized_execution(False), PretendedGpu() as gpu:
        total = waits(to_gpu(torch.tensor([1.0, 0.0, 2.0])), to_gpu(torch.tensor([1, 2, 0])))
    assert total == 3.0 + 7.0 + 2 + 3
    assert gpu.waits == {
        "index": 1,
        "nonzero": 1,
        "repeat_interleave": 1,
        "_local_scalar_dense": 1,  # the other number is on the host already
        "copy between host and device": 2,
    }


def test_errors_say_what_lies_where():
    with PretendedGpu(), pytest.raises(DeviceError, match=r"add.*cuda \[3\], cpu \[3\]"):
        to_gpu(torch.ones(3)) + torch.ones(3)
