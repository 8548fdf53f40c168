# SPDX-License-Identifier: MIT
"""Precisions of FastSim: what they are called, what they change, and what they leave alone."""

from __future__ import annotations

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pytest
import samples
from hepgen_fastsim._core_loader import core
from hepgen_fastsim.lazy_model import PRECISIONS

torch = pytest.importorskip("torch")


@pytest.fixture
def switch():
    """Torch's switch for TF32; put back afterwards."""
    before = torch.backends.cuda.matmul.allow_tf32
    yield torch.backends.cuda.matmul
    torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.parametrize("allowed", [False, True])
def test_tf32_is_float32_on_a_cpu(test_models, switch, allowed):
    switch.allow_tf32 = allowed
    gen = samples.gen(20)
    sims = [hf.FastSim(test_models / "smear.pt", device="cpu", seed=5, precision=p) for p in ("float32", "tf32")]
    a, b = (sim(gen) for sim in sims)
    for name in ak.fields(a):
        np.testing.assert_array_equal(ak.to_numpy(ak.flatten(a[name])), ak.to_numpy(ak.flatten(b[name])))
    assert sims[0].metadata == sims[1].metadata
    assert switch.allow_tf32 is allowed  # nobody touched it


def test_the_switch_is_torchs(switch):
    for allow in (True, False):
        switch.allow_tf32 = allow
        assert core().tf32_allowed() is allow
    core().allow_tf32(True)
    assert switch.allow_tf32 is True


def w1(a, b):
    q = (np.arange(2000) + 0.5) / 2000
    return float(np.abs(np.quantile(a, q) - np.quantile(b, q)).mean())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", [p for p in PRECISIONS if p != "float32"])
def test_physics_on_a_gpu(switch, precision):
    """A precision moves distributions by less than another seed does, and constituents stay the same for the most."""
    switch.allow_tf32 = False
    if precision == "tf32":
        with pytest.raises(hf.Error, match="allow_tf32"):
            hf.FastSim(device="cuda", precision=precision)(samples.gen(1))
    gen = samples.gen(2000)
    wide = hf.FastSim(device="cuda", seed=1)(gen)
    other = hf.FastSim(device="cuda", seed=2)(gen)
    switch.allow_tf32 = True
    narrow = hf.FastSim(device="cuda", seed=1, precision=precision)(gen)
    for name in ("pt", "eta"):
        a, b, c = (ak.to_numpy(ak.flatten(reco[name])) for reco in (wide, narrow, other))
        assert w1(a, b) < w1(a, c)
    assert np.mean(ak.to_numpy(ak.num(wide) == ak.num(narrow))) > 0.5
