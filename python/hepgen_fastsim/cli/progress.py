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
        says how many events there will be in all, as far as it is known by then; None if it is not
    """

    def __init__(self, total: Callable[[], int | None]) -> None:
        self.done = 0
        self._total = total
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
            self._task = self._bar.add_task("simulating", total=self._total(), rate="")
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
        total = self._total()
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, total=total, rate=f"{self.done:,} events, {rate:,.0f}/s")
        elif now - self._last >= _EVERY:
            self._last = now
            left = "" if total is None else f" of about {total:,}, {(total - self.done) / rate:,.0f} s left"
            print(f"{self.done:,} events{left}, {rate:,.0f}/s", file=sys.stderr, flush=True)
