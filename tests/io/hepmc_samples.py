# SPDX-License-Identifier: MIT
"""Hand-made HepMC samples of two events, the same in both formats, and what the tests do with them."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import awkward as ak

DATA = Path(__file__).parents[1] / "data"
SAMPLES = [DATA / "asciiv3.hepmc", DATA / "io_genevent.hepmc"]


def zstd(data: bytes) -> bytes:
    import pyarrow as pa

    return pa.Codec("zstd").compress(data, asbytes=True)


PACK = {"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd}


def v3() -> str:
    return SAMPLES[0].read_text()


def v2() -> str:
    return SAMPLES[1].read_text()


def same(a: ak.Array, b: ak.Array) -> None:
    assert a.fields == b.fields
    assert a.particles.fields == b.particles.fields
    for name in a.particles.fields:
        assert ak.array_equal(a.particles[name], b.particles[name], check_parameters=False), name
    for name in a.fields[1:]:
        assert ak.array_equal(a[name], b[name], check_parameters=False), name


def edit(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)
