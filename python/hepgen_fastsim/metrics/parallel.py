# SPDX-License-Identifier: MIT
"""Jets in parallel: threads over compiled kernels that hold no lock.

Kernels release the interpreter lock, so plain threads do what numba's own parallel loops do, without their limits:
they may be used from several Python threads at once and after a fork, and the kernels compile in half the time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hepgen_fastsim.errors import InputError

__all__ = ["available_threads", "run_in_chunks"]

_LARGEST_CHUNK = 2048  # also how long a keyboard interrupt waits, in jets


def available_threads() -> int:
    """numba's NUMBA_NUM_THREADS, but no more than the processors that this process may use."""
    from numba import config

    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity else os.cpu_count() or 1
    allowed = int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]  # set while numba loads
    return max(1, min(allowed, processors))


def run_in_chunks(work: Callable[[np.ndarray], None], n: int, threads: int | None = None) -> None:
    """Calls ``work(indices)`` until all of 0 ... n - 1 are done, on several threads; results do not depend on how
    many."""
    if threads is None:
        threads = available_threads()
    if threads < 1:
        raise InputError(f"threads must be at least 1, got {threads}")
    n_chunks = max(1, -(-n // _LARGEST_CHUNK), min(8 * threads, n // 32) if threads > 1 else 1)
    chunks = np.array_split(np.arange(n, dtype=np.int64), n_chunks) if n else []
    if threads == 1 or len(chunks) <= 1:
        for indices in chunks:
            work(indices)
        return
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work, indices) for indices in chunks]:
            future.result()
