# SPDX-License-Identifier: MIT
"""Which format an input has, told by its first bytes, never by its name."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any

__all__ = ["HEAD", "Peeked", "detect"]

HEAD = 1 << 16
"""Bytes that `detect` wants to see, or the whole file if it is shorter."""

ENOUGH = 1 << 12
"""Bytes of a stream after which an unknown format is given up."""


def _gzip(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=31).decompress(data, HEAD)


def _zstd(data: bytes) -> bytes:
    import pyarrow as pa

    stream = pa.CompressedInputStream(pa.BufferReader(data), "zstd")
    out = b""
    try:
        while len(out) < HEAD and (block := stream.read(4096)):
            out += block
    except OSError:  # the head of a file ends in the middle of a frame
        pass
    return out


COMPRESSIONS: dict[bytes, tuple[str, Callable[[bytes], bytes]]] = {
    b"\x1f\x8b": ("gzip", _gzip),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
    b"\xfd7zXZ\x00": ("xz", lambda data: lzma.LZMADecompressor().decompress(data, HEAD)),
    b"BZh": ("bzip2", lambda data: bz2.BZ2Decompressor().decompress(data, HEAD)),
}


def _plain(head: bytes) -> str | None:
    if head.startswith(b"root"):
        return "root"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"\x89HDF\r\n", b"PK\x03\x04")):
        return "hdf5" if head[1:4] == b"HDF" else "zip"
    text = head.lstrip()
    if text.startswith(b"HepMC::") or any(mark in head for mark in (b"HepMC::Asciiv3", b"HepMC::IO_GenEvent")):
        return "hepmc"
    if text.startswith(b"<LesHouchesEvents") or b"<LesHouchesEvents" in head[:4096]:
        return "lhe"
    return None


def detect(head: bytes) -> tuple[str, str]:
    """Format and compression of the input that begins with `head`.

    Returns ("hepmc" | "root" | "parquet" | "lhe" | "hdf5" | "zip" | "empty" | "unknown", "" | "gzip" | "zstd" | "xz" |
    "bzip2").
    """
    if not head:
        return "empty", ""
    for magic, (name, decompress) in COMPRESSIONS.items():
        if head.startswith(magic):
            try:
                inner = decompress(head)
            except (zlib.error, lzma.LZMAError, OSError, EOFError):
                return "unknown", name
            return (_plain(inner) or "unknown") if inner else "empty", name
    return _plain(head) or "unknown", ""


class Peeked(io.RawIOBase):
    """A binary stream whose first bytes have been looked at; closing it leaves the stream open."""

    def __init__(self, file: Any) -> None:
        self._read = getattr(file, "read1", file.read)
        self._head = b""
        while len(self._head) < ENOUGH and detect(self._head)[0] in ("empty", "unknown"):
            block = self._read(HEAD)
            if not block:
                break
            self._head += block
        self.kind, self.compression = detect(self._head)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what is there, without waiting for more."""
        data = self._head or self._read(len(buffer)) or b""
        n = min(len(data), len(buffer))
        memoryview(buffer).cast("B")[:n] = data[:n]
        self._head = data[n:]
        return n
