# SPDX-License-Identifier: MIT
"""What `FastSim` and `Generator` have in common: a model file that is loaded at the first use."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.registry import find_model

__all__ = ["DEFAULT_SEED", "PRECISIONS", "LazyModel"]

DEFAULT_SEED = 1
PRECISIONS = ("float32", "bf16", "tf32")


class LazyModel(ABC):
    """A model file with a seed and a device, loaded once per process: objects can be pickled and sent to workers, and
    calls from several threads are safe."""

    _engine: Any
    _loaded: ClassVar[tuple[str, ...]] = ("_engine",)
    """attributes that stay behind when the object is sent"""

    def __init__(
        self, model: str | os.PathLike[str], *, seed: int, device: str, precision: str, batch_items: int | None
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"precision must be one of {', '.join(PRECISIONS)}; found '{precision}'.")
        if not (0 <= seed < 2**64):
            raise InputError(f"seed must be an unsigned 64-bit integer, found {seed}.")
        self.file = find_model(model)
        self.seed = int(seed)
        self._config: dict[str, Any] = {"device": device, "precision": precision}
        if batch_items is not None:
            self._config["batch_items"] = int(batch_items)
        self._sha256 = ""
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        for name in self._loaded:
            setattr(self, name, None)

    @abstractmethod
    def _open(self) -> Any:
        """Load the file: what runs it, which has a `device`."""

    def _load(self) -> Any:
        with self._lock:
            if self._engine is None:
                self._sha256 = self.file.sha256()
                self._engine = self._open()
            return self._engine

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", *self._loaded)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{self.file.name}', device='{self._config['device']}', seed={self.seed})"

    @property
    def device(self) -> str:
        """Device that the model runs on."""
        return self._load().device

    @property
    def sha256(self) -> str:
        """sha256 of the model file [hex]."""
        self._load()
        return self._sha256
