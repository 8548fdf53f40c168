# SPDX-License-Identifier: MIT
"""The package's warnings on stderr, each once."""

from __future__ import annotations

import logging
import sys

__all__ = ["warnings_once"]


class _Once(logging.Handler):
    """Prints a message the first time that it comes."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self._said:
            self._said.add(text)
            print(f"{record.levelname.lower()}: {text}", file=sys.stderr, flush=True)


def warnings_once() -> None:
    """From now on print what the library warns of, for the commands of this package alone."""
    logger = logging.getLogger("hepgen_fastsim")
    for handler in [h for h in logger.handlers if isinstance(h, _Once)]:
        logger.removeHandler(handler)
    logger.addHandler(_Once())
