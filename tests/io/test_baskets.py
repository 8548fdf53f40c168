# SPDX-License-Identifier: MIT
"""Baskets written here beside those that uproot writes itself."""

from __future__ import annotations

import hepgen_fastsim as hf
import numpy as np
import pytest
import samples
import uproot
from hepgen_fastsim.io.baskets import Baskets


def write(path, batches, sim):
    with hf.open_output(path) as out:
        for gen in batches:
            out.write(gen, sim(gen))
    return uproot.open(path)["Delphes"]


@pytest.mark.parametrize("sizes", [[40], [1, 30, 9], [1] * 25])
def test_all_bytes_are_those_of_uproot(tmp_path, test_models, monkeypatch, sizes):
    """Several batches, more of them than uproot reserves room for, of different sizes, some without photons."""
    gen, stops = samples.gen(40), np.cumsum(sizes)
    batches = [gen[stop - size : stop] for size, stop in zip(sizes, stops)]
    sim = hf.FastSim(test_models / "smear.pt", device="cpu")
    ours = write(tmp_path / "ours.root", batches, sim)
    assert Baskets.can_write(uproot.recreate(tmp_path / "any.root").mktree("t", {"x": "f4"}))
    monkeypatch.setattr(Baskets, "can_write", lambda tree: False)
    theirs = write(tmp_path / "theirs.root", batches, sim)
    assert ours.num_entries == theirs.num_entries == sum(sizes)
    assert ours.keys() == theirs.keys()
    for name in set(ours.keys()):
        one, other = ours[name], theirs[name]
        assert one.typename == other.typename
        assert one.num_baskets == other.num_baskets == len(sizes)
        for member in ("fEntries", "fTotBytes", "fZipBytes", "fEntryOffsetLen", "fWriteBasket"):
            assert one.member(member) == other.member(member), (name, member)
        assert one.entry_offsets == other.entry_offsets
        leaf, twin = one.member("fLeaves")[0], other.member("fLeaves")[0]
        assert leaf.member("fMaximum", none_if_missing=True) == twin.member("fMaximum", none_if_missing=True)
        for i in range(len(sizes)):
            basket, reference = one.basket(i), other.basket(i)
            assert bytes(basket.raw_data) == bytes(reference.raw_data), (name, i)
            for member in ("fNevBufSize", "fNevBuf", "fLast", "fKeylen", "fObjlen", "fNbytes"):
                assert basket.member(member) == reference.member(member), (name, member)
    for member in ("fEntries", "fTotBytes", "fZipBytes"):
        assert ours.member(member) == theirs.member(member)


def test_a_tree_that_uproot_keeps_otherwise_is_left_to_it():
    assert not Baskets.can_write(object())
