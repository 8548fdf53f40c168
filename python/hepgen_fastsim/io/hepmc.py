# SPDX-License-Identifier: MIT
"""HepMC2 and HepMC3 text, plain or compressed, read by the C++ core.

The core reads plain text and gzip by itself. zstd, xz and bzip2 are decompressed here, block by block, and handed to it
as a byte source. All of it is recognised by the first bytes, whatever the file is called.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import awkward as ak

from hepgen_fastsim._core_loader import core
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.events import INFO, PARTICLE, GenColumns, gen_batch

__all__ = ["HepMCBatches", "read_hepmc"]

ZSTD, XZ, BZIP2 = b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"BZh"
HEAD = 6


def read_hepmc(
    source: Any, *, batch_size: int = 1000, entry_start: int = 0, entry_stop: int | None = None
) -> HepMCBatches:
    """Read HepMC2 (IO_GenEvent) or HepMC3 (Asciiv3) text in batches, in bounded memory.

    Parameters
    ----------
    source
        path of a file or fifo, `-` for standard input, a file descriptor, or an open binary file (anything with
        `readinto` or `read`); plain, gzip, zstd, xz or bzip2
    batch_size
        events per batch; batches of more than four million particles end earlier
    entry_start, entry_stop
        range of events to read, as in a slice; those before it are passed over at the speed of reading

    Returns
    -------
    Iterator of GEN batches (see `hepgen_fastsim.events`): awkward arrays over the reader's own memory, nothing is
    copied. Particles keep the order of the record; m1, m2, d1, d2 are Delphes' first and last mother and daughter.

    Raises
    ------
    InputError
        the input is missing, empty, of another format, truncated or damaged. The message names file, event and line;
        the good events before that place come first.

    >>> for gen in read_hepmc("events.hepmc.gz"):
    ...     print(len(gen), gen.particles.pt)
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, found {batch_size}.")
    if entry_start < 0 or (entry_stop is not None and entry_stop < entry_start):
        raise InputError(f"entries must be a range with 0 <= start <= stop, found {entry_start} to {entry_stop}.")
    return HepMCBatches(source, batch_size, entry_start, -1 if entry_stop is None else entry_stop)


class HepMCBatches(Iterator[ak.Array]):
    """Iterator of GEN batches, and a context manager that closes what it opened.

    Attributes
    ----------
    source : str
        name of the input, as in messages
    """

    def __init__(self, source: Any, batch_size: int, entry_start: int, entry_stop: int) -> None:
        self._files = ExitStack()
        self._raw: io.FileIO | None = None  # below a decompressor: what it has taken from the disk
        self._batch_size = batch_size
        try:
            path, file, self.source = self._open(source)
            self._reader = core().HepMCReader(
                path, source=file, name=_printable(self.source), entry_start=entry_start, entry_stop=entry_stop
            )
        except BaseException:
            self._files.close()
            raise

    def _open(self, source: Any) -> tuple[bytes | None, Any, str]:
        """Path for the core, or file to read from, and name."""
        if hasattr(source, "read") or hasattr(source, "readinto"):
            if isinstance(source, io.TextIOBase):
                raise InputError("HepMC is read from binary files; this one is open in text mode, open it with 'rb'.")
            name = getattr(source, "name", "stream")
            return None, self._decompressed(_Source(source)), name if isinstance(name, str) else "stream"
        if isinstance(source, int) and not isinstance(source, bool):
            try:
                raw = self._files.enter_context(open(source, "rb", buffering=0, closefd=False))  # noqa: SIM115
            except OSError as error:
                raise InputError(f"descriptor {source} cannot be read: {error.strerror}.") from error
            return None, self._decompressed(_Source(raw)), f"descriptor {source}"
        path = os.fspath(source)
        if path in ("-", b"-"):
            return None, self._decompressed(_Source(sys.stdin.buffer)), "standard input"
        name = os.fsdecode(path)
        try:
            regular = stat.S_ISREG(os.stat(path).st_mode)
            raw = self._files.enter_context(open(path, "rb", buffering=0))  # noqa: SIM115
        except (OSError, ValueError):
            return os.fsencode(path), None, name  # the core says what is wrong with it
        if not regular:  # a fifo can be opened once only
            return None, self._decompressed(_Source(raw)), name
        if _is_foreign(raw.read(HEAD)):
            raw.seek(0)
            self._raw = raw
            return None, self._decompressed(_Source(raw)), name
        self._files.close()
        return os.fsencode(path), None, name

    def _decompressed(self, file: _Source) -> Any:
        head = file.head()
        if not _is_foreign(head):
            return file
        buffered = self._files.enter_context(io.BufferedReader(file, 1 << 17))
        return self._files.enter_context(_decompressor(head, buffered))

    def __iter__(self) -> HepMCBatches:
        return self

    def __next__(self) -> ak.Array:
        try:
            columns = self._reader.read(self._batch_size)
        except BaseException:
            self.close()
            raise
        if len(columns["event"]) == 0:
            self.close()
            raise StopIteration
        gen = GenColumns(
            {name: columns[name] for name in PARTICLE}, columns["offsets"], columns["event"], self._reader.stream_id
        )
        return gen_batch(
            gen,
            info={name: columns[name] for name in INFO},
            weights=columns["weights"],
            weight_names=self._reader.weight_names,
            source=self.source,
        )

    @property
    def stream(self) -> int:
        """crc32 over the first event of the whole input: the same for all parts of it, and for renamed files."""
        return self._reader.stream_id

    @property
    def weight_names(self) -> list[str]:
        """Names of the weights; empty before the first event."""
        return self._reader.weight_names

    @property
    def events_read(self) -> int:
        """Events that came out so far."""
        return self._reader.events_read

    def fraction(self) -> float | None:
        """Part of the input that has been read, 0 to 1; None where its size is unknown."""
        if self._raw is not None:
            if self._raw.closed:
                return 1.0
            return self._raw.tell() / max(os.fstat(self._raw.fileno()).st_size, 1)
        total = self._reader.bytes_total
        return None if total < 0 else self._reader.bytes_read / max(total, 1)

    def close(self) -> None:
        """Close the files that were opened here; the caller's stay open."""
        self._files.close()

    def __enter__(self) -> HepMCBatches:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_files"):
            self.close()


class _Source(io.RawIOBase):
    """A binary file whose first bytes have been looked at, read without waiting for more than is there."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._read = getattr(file, "readinto1", None) or getattr(file, "readinto", None)
        self._head = b""

    def head(self) -> bytes:
        """The first bytes, as many as it takes to know a compression; fewer in shorter files."""
        while len(self._head) < HEAD and (more := self._take(HEAD - len(self._head))):
            self._head += more
        return self._head

    def _take(self, n: int) -> bytes:
        try:
            if self._read is None:
                data = self._file.read(n)
            else:
                block = bytearray(n)
                got = self._read(block)
                data = None if got is None else bytes(block[:got])
        except (OSError, ValueError) as error:
            raise InputError(f"the input cannot be read: {error}") from error
        if not isinstance(data, bytes):
            raise InputError(f"expected bytes from the input, found {type(data).__name__}.")
        return data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._head:
            n = min(len(self._head), len(buffer))
            buffer[:n] = self._head[:n]
            self._head = self._head[n:]
            return n
        if self._read is not None:
            return self._read(buffer)
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _is_foreign(head: bytes) -> bool:
    """Whether the core cannot decompress this by itself."""
    return head.startswith((ZSTD, XZ, BZIP2))


def _decompressor(head: bytes, file: Any) -> Any:
    if head.startswith(XZ):
        import lzma

        return lzma.LZMAFile(file)
    if head.startswith(BZIP2):
        import bz2

        return bz2.BZ2File(file)
    return _Zstd(file)


class _Zstd(io.RawIOBase):
    """zstd by pyarrow, in pieces: where the stream is damaged, no more than the piece that meets the damage is lost."""

    PIECE = 4096

    def __init__(self, file: Any) -> None:
        import pyarrow as pa

        self._stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
        self._failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        filled = 0
        while filled < len(buffer) and self._failure is None:
            try:
                piece = self._stream.read(min(self.PIECE, len(buffer) - filled))
            except (OSError, ValueError) as error:
                self._failure = error
                break
            if not piece:
                return filled
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
        if filled == 0 and self._failure is not None:
            raise self._failure
        return filled

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _printable(name: str) -> str:
    return name.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")
