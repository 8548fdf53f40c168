# SPDX-License-Identifier: MIT
"""Output files: written aside, renamed when complete."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from hepgen_fastsim.errors import Error, InputError

__all__ = ["PartFile"]


class PartFile:
    """A file `NAME.part` beside its final name, which it gets by `commit()`; `discard()` removes it.

    The part file is locked, so that two runs cannot write the same output. Raises InputError if the output exists and
    `overwrite` is off, or another process is writing it; Error if it cannot be created.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(self.path.name + ".part")
        self.overwrite = overwrite
        self._refuse_existing()
        try:
            descriptor = os.open(self.part, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise Error(f"output {self.path} cannot be created: {error.strerror or error}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InputError(
                f"output {self.path} is being written by another process ({self.part} is locked)."
            ) from None
        except OSError:
            pass  # a file system without locks
        os.ftruncate(descriptor, 0)
        self._descriptor = descriptor
        self.file: BinaryIO = os.fdopen(os.dup(descriptor), "r+b")  # its own: writers close what they are given

    def _refuse_existing(self) -> None:
        if self.path.is_dir():
            raise InputError(f"output {self.path} is a folder; the name of a file is expected.")
        if self.path.exists() and not self.overwrite:
            raise InputError(
                f"output {self.path} exists already; another name or --overwrite (overwrite=True) is expected."
            )

    def adopt(self) -> None:
        """Go on with a file that another library has made anew under the part's name."""
        descriptor = os.open(self.part, os.O_RDWR)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.file.close()
        os.close(self._descriptor)
        self._descriptor = descriptor

    def commit(self) -> None:
        """Flush to the disk and take the final name; raises OSError if the disk refuses."""
        self.file.close()
        os.fsync(self._descriptor)
        self._refuse_existing()
        os.replace(self.part, self.path)
        os.close(self._descriptor)

    def discard(self) -> None:
        """Remove what was written; never raises."""
        with suppress(OSError):
            self.part.unlink(missing_ok=True)
        with suppress(OSError):  # closing flushes, and the disk may be full
            self.file.close()
        with suppress(OSError):
            os.close(self._descriptor)
