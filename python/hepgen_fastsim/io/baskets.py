# SPDX-License-Identifier: MIT
"""Baskets of a flat ROOT tree, written straight from columns.

uproot lays the tree out and writes its header; the baskets are written here, since `extend` copies every column four
times, through memory that is new each time, and brings the header up to date with every batch: for the hundreds of
leaves of Delphes' tree as long as all the rest of writing. Here a column is converted once, into one buffer that is
kept, and the header is written once, at the end. The bytes of the baskets are uproot's.

A basket is a TKey (big-endian: sizes, version, time, place), the names of class, branch and tree, the numbers of
TBasket, then the entries and, for lists, where each one begins, counted from the key's first byte.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import cramjam
import numpy as np
import uproot
from uproot.compression import compress

__all__ = ["Baskets"]

_KEY, _BASKET = struct.Struct(">ihiIhhqq"), struct.Struct(">Hiiii")
_DATA = 4096  # place of a column in the buffer: aligned, with room for the key before it

_NEEDED = (
    "_branch_data",
    "_directory",
    "_freesegments",
    "_metadata",
    "_basket_capacity",
    "write_anew",
    "write_updates",
)


class _LZ4(uproot.LZ4):
    """uproot's LZ4 with one output buffer that is kept: else each basket has one that is new, and cleared first."""

    _kept = bytearray()

    def compress(self, data: Any) -> bytes:
        bound = cramjam.lz4.compress_block_bound(data)
        if len(self._kept) < bound:
            self._kept = bytearray(bound)
        size = cramjam.lz4.compress_block_into(data, self._kept, compression=self.level, store_size=False)
        return bytes(memoryview(self._kept)[:size])


class Baskets:
    """Writes batches of a tree that uproot's `mktree` has made; `finish` completes its header."""

    def __init__(self, tree: Any) -> None:
        self._tree, self._sink = tree._cascading, tree._file.sink
        self._branches = [datum for datum in self._tree._branch_data if datum["kind"] != "record"]
        self._sizes: list[list[int]] = []
        self._places: list[list[int]] = []
        self._entries = [0]
        self._buffer = np.empty(1 << 16, np.uint8)
        self._lz4 = _LZ4(1)

    @staticmethod
    def can_write(tree: Any) -> bool:
        """Whether this uproot keeps the tree as expected here; if not, its own `extend` is to be used."""
        known = hasattr(tree, "_file") and hasattr(cramjam.lz4, "compress_block_into")
        return known and all(hasattr(getattr(tree, "_cascading", None), name) for name in _NEEDED)

    def extend(self, columns: Mapping[str, tuple[np.ndarray, np.ndarray | None]]) -> None:
        """Append entries: branch -> (numbers [n], None), or (numbers of all lists, offsets int64 [n_entries + 1])."""
        sizes, places, time = [], [], _now()
        for datum in self._branches:
            values, offsets = columns[datum["fName"]]
            size, place = self._write(datum, values, offsets, time)
            sizes.append(size)
            places.append(place)
            if datum["kind"] == "counter" and len(values):
                datum["tleaf_maximum_value"] = max(datum["tleaf_maximum_value"], int(values.max()))
        self._sizes.append(sizes)
        self._places.append(places)
        self._entries.append(self._entries[-1] + len(columns[self._branches[0]["fName"]][0]))

    def _write(
        self, datum: dict[str, Any], values: np.ndarray, offsets: np.ndarray | None, time: int
    ) -> tuple[int, int]:
        """Write one basket: its size in the file and its place."""
        kind, name = datum["dtype"], datum["fName"].encode()
        title = self._tree._name.encode()
        names = b"\x07TBasket" + bytes([len(name)]) + name + bytes([len(title)]) + title
        key_size = _KEY.size + len(names) + _BASKET.size + 1
        n_bytes = len(values) * kind.itemsize
        tail, n_entries, what, last = b"", len(values), kind.itemsize, key_size + n_bytes
        if offsets is not None:
            tail = struct.pack(">I", len(offsets)) + (offsets * kind.itemsize + key_size).astype(">i4").tobytes()
            n_entries, what = len(offsets) - 1, len(offsets) + 1
            datum["fEntryOffsetLen"] = 4 * n_entries
        raw_size = n_bytes + len(tail)
        if _DATA + raw_size > len(self._buffer):
            self._buffer = np.empty(_DATA + raw_size + raw_size // 8, np.uint8)
        buffer = self._buffer
        buffer[_DATA : _DATA + n_bytes].view(kind)[:] = values
        buffer[_DATA + n_bytes : _DATA + raw_size] = np.frombuffer(tail, np.uint8)
        raw = buffer[_DATA : _DATA + raw_size]
        compression = datum["compression"]
        if isinstance(compression, uproot.LZ4):
            self._lz4.level, compression = compression.level, self._lz4
        packed = compress(raw, compression)
        size = key_size + len(packed)
        place = self._tree._freesegments.allocate(size)
        key = _KEY.pack(size, 1004, raw_size, time, key_size, 0, place, self._tree._directory.key.location)
        key += names + _BASKET.pack(3, 32000, what, n_entries, last) + b"\x00"
        if packed is raw:  # the key goes before it, and the whole to the file as it is
            buffer[_DATA - key_size : _DATA] = np.frombuffer(key, np.uint8)
            self._sink.write(place, buffer[_DATA - key_size : _DATA + raw_size])
        else:
            self._sink.write(place, key + packed)
        datum["fTotBytes"] += key_size + raw_size
        datum["fZipBytes"] += size
        return size, place

    def finish(self) -> None:
        """Have uproot write the tree's header anew, with all baskets in it."""
        tree, n = self._tree, len(self._sizes)
        tree._basket_capacity, tree._num_baskets, tree._num_entries = n + 1, n, self._entries[-1]
        for i, datum in enumerate(self._branches):
            for name, numbers in (
                ("fBasketBytes", [batch[i] for batch in self._sizes] + [0]),
                ("fBasketEntry", self._entries),
                ("fBasketSeek", [batch[i] for batch in self._places] + [0]),
            ):
                datum[name] = np.array(numbers, datum[name].dtype)
            datum["arrays_write_start"], datum["arrays_write_stop"] = 0, n
            for name in ("fTotBytes", "fZipBytes"):
                tree._metadata[name] += datum[name]
        tree.write_anew(self._sink)
        tree.write_updates(self._sink)  # what the first leaves at 0: the longest list, without which Draw finds none
        tree._freesegments.write(self._sink)
        self._sink.set_file_length(tree._freesegments.fileheader.end)
        self._sink.flush()


def _now() -> int:
    """The time as ROOT packs it."""
    t = datetime.now()
    return (t.year - 1995) << 26 | t.month << 22 | t.day << 17 | t.hour << 12 | t.minute << 6 | t.second
