# SPDX-License-Identifier: MIT
"""Progress on stderr: a bar with rate and remaining time on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

__all__ = ["Progress"]

_EVERY = 10.0  # seconds between plain lines


class Progress:
    """Counts events. Context manager; `advance(n)` after each batch.

    Parameters
    ----------
    total
        events to come, None if unknown
    fraction
        says which part of the input has been read (0 to 1, None if unknown), where `total` is not known
    """

    def __init__(self, total: int | None, fraction: Callable[[], float | None] | None = None) -> None:
        self.total, self.done = total, 0
        self._fraction = fraction or (lambda: None)
        self._start = self._last = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.TextColumn("{task.fields[rate]}"),
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("simulating", total=self.total, rate="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, n_events: int) -> None:
        """Note that `n_events` more are done."""
        self.done += n_events
        now = time.monotonic()
        rate = self.done / max(now - self._start, 1e-9)
        total = self.total
        if total is None and (part := self._fraction()):
            total = max(self.done, round(self.done / part))
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, total=total, rate=f"{self.done:,} events, {rate:,.0f}/s")
        elif now - self._last >= _EVERY:
            self._last = now
            left = "" if total is None else f" of about {total:,}, {(total - self.done) / rate:,.0f} s left"
            print(f"{self.done:,} events{left}, {rate:,.0f}/s", file=sys.stderr, flush=True)
