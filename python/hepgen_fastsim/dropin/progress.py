# SPDX-License-Identifier: MIT
"""Progress as Delphes shows it: one line on stderr, rewritten at most twice a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

__all__ = ["Progress"]

_EVERY = 0.5  # seconds
_WIDTH = 30


class Progress:
    """Counts events. Context manager; `advance(n)` after each batch.

    Parameters
    ----------
    total
        says how many events there will be in all, as far as it is known by then; None if it is not: then they are
        counted
    """

    def __init__(self, total: Callable[[], int | None]) -> None:
        self._total = total
        self._done = 0
        self._last = time.monotonic()
        self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print(file=sys.stderr, flush=True)

    def advance(self, n_events: int) -> None:
        """Note that `n_events` more are done."""
        self._done += n_events
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last, self._shown = now, True
            print(self._line(), end="\r", file=sys.stderr, flush=True)

    def _line(self) -> str:
        total = self._total()
        if not total:
            return f"** {self._done} events processed"
        part = min(self._done / total, 1.0)
        return f"** [{'#' * round(part * _WIDTH):{_WIDTH}}] ({100 * part:.2f}%)"
