# SPDX-License-Identifier: MIT
"""Output files: written aside, renamed when complete."""

from __future__ import annotations

import fcntl
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, TypeVar

from hepgen_fastsim.errors import Error, InputError

__all__ = ["Output", "PartFile"]

T = TypeVar("T", bound="Output")


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


class Output(ABC):
    """A writer of one file, which gets its name when it is complete; a context manager: nothing is left of a file that
    an exception ends.

    Raises InputError if the file exists and `overwrite` is off, Error if it cannot be written.
    """

    unit = "events"
    """what the file holds, for messages"""

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.n_written = 0
        self._part = PartFile(path, overwrite=overwrite)
        self._open = True

    @abstractmethod
    def _finish(self) -> None:
        """Write what comes last."""

    def _drop(self) -> None:  # noqa: B027
        """Let go of a file that is not to be completed."""

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """What the disk refuses removes the file, and is an Error."""
        try:
            yield
        except OSError as error:
            self.abort()
            raise Error(
                f"writing {self._part.path} failed after {self.n_written} {self.unit}: {error.strerror or error}; "
                "nothing is left of it."
            ) from error

    def close(self) -> None:
        """Complete the file and give it its name."""
        if not self._open:
            return
        try:
            with self._disk():
                self._finish()
                self._part.commit()
        except BaseException:
            self.abort()
            raise
        self._open = False

    def abort(self) -> None:
        """Remove what was written; the final name stays as it was."""
        self._open = False
        with suppress(Exception):  # whatever it still holds back cannot be written
            self._drop()
        self._part.discard()

    def __enter__(self: T) -> T:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()
