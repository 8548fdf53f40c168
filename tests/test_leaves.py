# SPDX-License-Identifier: MIT
"""Columns that the C++ core makes of GEN particles, against the formulas in numpy."""

import numpy as np
import pytest
from hepgen_fastsim._core_loader import core
from hepgen_fastsim.errors import InputError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

NUMBERS = st.floats(-1e4, 1e4).map(lambda x: x if abs(x) > 1e-100 else 0 * x)  # squares are numbers
NUMBERS |= st.sampled_from([0.0, -0.0, 1e-6, 6500.0, -6500.0])


def formulas(px, py, pz, mass):
    pt2 = px * px + py * py
    p2 = pt2 + pz * pz
    pt, p = np.sqrt(pt2), np.sqrt(p2)
    energy = np.sqrt(np.maximum(p2 + mass * np.abs(mass), 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        eta, rapidity = np.arcsinh(pz / pt), np.arctanh(pz / energy)
    along = np.abs(pz) == p
    eta[along] = rapidity[along] = np.where(pz[along] >= 0, 999.9, -999.9)
    rapidity = np.where(np.isfinite(rapidity), rapidity, eta)
    return {"PT": pt, "P": p, "E": energy, "Eta": eta, "Phi": np.arctan2(py, px), "Rapidity": rapidity}


@settings(deadline=None)
@given(arrays.arrays(np.float64, (4, 30), elements=NUMBERS))
def test_leaves_are_those_of_the_formulas(momenta):
    px, py, pz, mass = momenta
    found = core().momentum_leaves(*momenta)
    for leaf, values in formulas(*momenta).items():
        expected = values.astype(np.float32)
        assert found[leaf].dtype == np.float32
        if leaf == "Rapidity":  # of p almost along the beam and E almost p both formulas lose their digits
            energy = np.sqrt(np.maximum(px * px + py * py + pz * pz + mass * np.abs(mass), 0))
            sure = np.abs(energy - np.abs(pz)) > 1e-8 * energy
            expected, found[leaf] = expected[sure], found[leaf][sure]
        np.testing.assert_allclose(found[leaf], expected, rtol=1.2e-7, atol=1e-15, err_msg=leaf)


def test_leaves_of_particles_like_those_of_collisions_are_equal_bit_by_bit():
    rng = np.random.default_rng(3)
    pt, eta, phi = rng.exponential(2.0, 40_000), rng.uniform(-7, 7, 40_000), rng.uniform(-np.pi, np.pi, 40_000)
    momenta = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), rng.choice([0.0, 0.13957, 0.93827], 40_000)
    found = core().momentum_leaves(*momenta)
    for leaf, values in formulas(*momenta).items():
        off = np.abs(found[leaf].view(np.int32).astype(np.int64) - values.astype(np.float32).view(np.int32))
        assert off.max() <= 1, leaf
        assert (off > 0).mean() < 1e-4, leaf


def test_columns_of_different_lengths_are_errors():
    with pytest.raises(InputError, match="columns should have 3 values, but one has 2"):
        core().momentum_leaves(np.ones(3), np.ones(3), np.ones(2), np.ones(3))


@settings(deadline=None)
@given(
    arrays.arrays(np.int64, 50, elements=st.integers(-30, 30) | st.sampled_from([1000022, -1000022, 2212])),
    arrays.arrays(np.int32, 50, elements=st.integers(-1, 2)),
    st.booleans(),
    st.lists(st.integers(-30, 30) | st.sampled_from([1000022, 2212]), max_size=5),
    st.booleans(),
)
def test_selected_rows_are_those_of_the_masks(pdgid, status, stable, codes, among):
    expected = ((status == 1) == stable) & (np.isin(np.abs(pdgid), np.abs(codes)) == among)
    assert np.array_equal(core().select(pdgid, status, stable, codes, among), np.flatnonzero(expected))


def test_flavours_are_those_of_all_pairs():
    rng = np.random.default_rng(8)
    n, offsets = 3000, np.array([0, 900, 900, 2000, 3000])
    event = np.repeat(np.arange(4), np.diff(offsets))
    pdgid, status = rng.choice([1, -2, 3, -4, 5, 6, 21, 22, 211], n), rng.choice([1, 2, 71, -1], n).astype(np.int32)
    pt, eta, phi = rng.exponential(2.0, n), rng.normal(0, 2, n), rng.uniform(-np.pi, np.pi, n)
    own = rng.uniform(-2.5, 2.5, 60), rng.uniform(-np.pi, np.pi, 60), rng.integers(0, 4, 60)
    momenta = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    found = core().jet_flavors(*own, pdgid, status, *momenta, offsets, 0.4, 1.0, 2.5)
    code = np.abs(pdgid)
    counts = np.isin(code, (1, 2, 3, 4, 5, 21)) & (np.abs(status) != 1) & (pt > 1.0) & (np.abs(eta) <= 2.5)
    dphi = np.abs(own[1][:, None] - phi)
    near = (own[0][:, None] - eta) ** 2 + np.minimum(dphi, 2 * np.pi - dphi) ** 2 <= 0.4**2
    near &= counts & (own[2][:, None] == event)
    highest = np.where(near, np.where(code == 21, 0, code), -1).max(axis=1)
    assert set(highest) >= {-1, 0, 4, 5}
    assert np.array_equal(found, np.select([highest < 0, highest == 0], [0, 21], highest))
