# SPDX-License-Identifier: MIT
"""A GPU that is not there: tensors that say they are on "cuda:0" and are computed on the CPU.

A program under `PretendedGpu` may mix devices only where CUDA lets it: numbers (tensors of no dimension) beside tensors
on the GPU, and copies. Whatever else does is a `DeviceError`, as are tensors made on the CPU and used on the GPU. What
makes the host wait for the GPU is counted by name in `waits`: shapes that depend on data, values that Python asks for,
copies between host and device. Works for TorchScript, whose operations pass torch's dispatcher too.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

__all__ = ["DeviceError", "PretendedGpu", "move", "to_gpu"]

GPU = torch.device("cuda", 0)

_COPIES = {"_to_copy", "copy_", "copy", "lift_fresh", "lift_fresh_copy", "_pin_memory"}
_BY_DATA = {"nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount", "equal"}
_BY_DATA |= {"_local_scalar_dense"}


class DeviceError(RuntimeError):
    """An operation on tensors of several devices."""


class _OnGpu(Tensor):
    """A tensor on the CPU that says it is on the GPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> _OnGpu:
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=GPU,
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def __repr__(self, **_: Any) -> str:
        return f"on the GPU: {self.held!r}"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {}, Counter(), [])


def to_gpu(tensor: Tensor) -> Tensor:
    return tensor if isinstance(tensor, _OnGpu) else _OnGpu(tensor.detach())


def move(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """All parameters and buffers of a scripted module, and of its children, to the GPU."""
    for part in module.modules():
        own = part._c  # type: ignore[union-attr]
        for name, value in [*torch._C.ParameterDict(own).items(), *torch._C.BufferDict(own).items()]:
            own.setattr(name, to_gpu(value))
    return module


def run(func: Any, args: Any, kwargs: Any, waits: Counter[str], mistakes: list[str]) -> Any:
    name = func._schema.name.removeprefix("aten::")
    flat = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
    on_gpu = [x for x in flat if isinstance(x, _OnGpu)]
    elsewhere = [x for x in flat if not isinstance(x, _OnGpu) and x.dim() > 0]
    asked = kwargs.get("device")
    if on_gpu and elsewhere and name not in _COPIES:
        shapes = ", ".join(f"{'cuda' if isinstance(x, _OnGpu) else 'cpu'} {list(x.shape)}" for x in flat)
        mistakes.append(f"{name}: tensors on several devices ({shapes})")
    if on_gpu and asked is not None and torch.device(asked).type == "cpu" and name not in _COPIES:
        mistakes.append(f"{name}: makes a tensor on the CPU of one on the GPU")
    if mistakes:
        raise DeviceError(mistakes[-1])
    if on_gpu and _waits(func, name, args, kwargs):
        waits[name] += 1
    gpu = bool(on_gpu) if asked is None else torch.device(asked).type == "cuda"
    if name in _COPIES and ((on_gpu and (elsewhere or not gpu)) or (elsewhere and gpu)):
        waits["copy between host and device"] += 1
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    bare = tree_map(lambda x: x.held if isinstance(x, _OnGpu) else x, (args, kwargs))
    out = func(*bare[0], **bare[1])
    if func._schema.name.endswith("_") and on_gpu:  # in place: the same object comes back
        return args[0]
    return tree_map(lambda x: _OnGpu(x) if gpu and isinstance(x, Tensor) else x, out)


def _waits(func: Any, name: str, args: Any, kwargs: Any) -> bool:
    if name == "repeat_interleave":
        return kwargs.get("output_size") is None
    if name in ("index", "index_put", "index_put_"):
        return any(isinstance(x, Tensor) and x.dtype == torch.bool for x in args[1])
    return name in _BY_DATA


class PretendedGpu(TorchDispatchMode):
    """Inside, "cuda" is this machine; `waits` counts what makes the host wait.

    `mistakes` keeps the texts of all DeviceErrors, which TorchScript drops on their way.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.mistakes: list[str] = []
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        return run(func, args, kwargs or {}, self.waits, self.mistakes)
