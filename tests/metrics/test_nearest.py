# SPDX-License-Identifier: MIT
import awkward as ak
import numpy as np
import pytest
import torch
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.nearest import chamfer
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from training.chamfer import chamfer as chamfer_torch


def random_sets(rng, n_sets, d, largest=40):
    return [rng.normal(0, 2, (rng.integers(1, largest), d)) for _ in range(n_sets)]


def padded(sets):
    n, d = max(len(s) for s in sets), sets[0].shape[1]
    array, mask = np.zeros((len(sets), n, d)), np.zeros((len(sets), n), bool)
    for k, s in enumerate(sets):
        array[k, : len(s)], mask[k, : len(s)] = s, True
    return array, mask


@pytest.mark.parametrize("d", [1, 2, 3, 4, 6])
def test_nearest_neighbours_are_those_of_a_tree(d):
    rng = np.random.default_rng(d)
    a, b = random_sets(rng, 20, d), random_sets(rng, 20, d)
    for squared, power in ((True, 2), (False, 1)):
        expected = [
            (cKDTree(y).query(x)[0] ** power).sum() + (cKDTree(x).query(y)[0] ** power).sum() for x, y in zip(a, b)
        ]
        np.testing.assert_allclose(chamfer(a, b, squared=squared), expected, rtol=1e-12)
        expected = [
            (cKDTree(y).query(x)[0] ** power).mean() + (cKDTree(x).query(y)[0] ** power).mean() for x, y in zip(a, b)
        ]
        np.testing.assert_allclose(chamfer(a, b, squared=squared, reduction="mean"), expected, rtol=1e-12)


def test_by_hand():
    a = [np.array([[0.0, 0.0], [3.0, 0.0]])]
    b = [np.array([[0.0, 1.0]])]
    assert chamfer(a, b)[0] == 1 + 10 + 1
    assert chamfer(a, b, squared=False)[0] == pytest.approx(1 + np.sqrt(10) + 1)
    assert chamfer(a, b, reduction="mean")[0] == (1 + 10) / 2 + 1
    assert chamfer(a, b, weights=([[2.0, 0.5]], [[3.0]]))[0] == 2 * 1 + 0.5 * 10 + 3
    assert chamfer(a, b, weights=([[2.0, 0.5]], [[3.0]]), reduction="mean")[0] == pytest.approx((2 + 5) / 2.5 + 1)
    assert chamfer(a, a)[0] == 0


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(-20, 20))
def test_the_seam_of_phi_is_nowhere(seed, turn):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-np.pi, np.pi, (2, 5, 12, 2))
    expected = chamfer(a, b, periodic=1)
    moved = chamfer(a + [0, turn], b + [0, turn], periodic=1)
    np.testing.assert_allclose(moved, expected, rtol=1e-9)
    np.testing.assert_allclose(chamfer(a, b + [0, 2 * np.pi], periodic=-1), expected, rtol=1e-9)
    assert (chamfer(a, b) >= expected * (1 - 1e-12)).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_symmetric_and_independent_of_order(seed):
    rng = np.random.default_rng(seed)
    a, b = random_sets(rng, 4, 3), random_sets(rng, 4, 3)
    expected = chamfer(a, b)
    np.testing.assert_allclose(chamfer(b, a), expected, rtol=1e-12)
    np.testing.assert_allclose(chamfer([rng.permutation(x) for x in a], b), expected, rtol=1e-12)
    np.testing.assert_array_equal(chamfer(a, b, threads=2), expected)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("periodic", [None, 1])
def test_torch_form_agrees(reduction, squared, periodic):
    rng = np.random.default_rng(5)
    a, b = random_sets(rng, 30, 3), random_sets(rng, 30, 3)
    (pad_a, mask_a), (pad_b, mask_b) = padded(a), padded(b)
    weights = rng.uniform(0.1, 1, mask_a.shape), rng.uniform(0.1, 1, mask_b.shape)
    options = {"periodic": periodic, "squared": squared, "reduction": reduction}
    ours = chamfer(pad_a, pad_b, masks=(mask_a, mask_b), weights=weights, **options)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        tensors = [torch.as_tensor(x, dtype=dtype) for x in (pad_a, pad_b, *weights)]
        found = chamfer_torch(
            tensors[0],
            tensors[1],
            torch.as_tensor(mask_a),
            torch.as_tensor(mask_b),
            weights_a=tensors[2],
            weights_b=tensors[3],
            **options,
        )
        np.testing.assert_allclose(found.numpy(), ours, rtol=tolerance)


@pytest.mark.parametrize("squared", [True, False])
def test_torch_form_has_the_right_gradient(squared):
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(2, 4, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    b = torch.randn(2, 5, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    assert torch.autograd.gradcheck(lambda x, y: chamfer_torch(x, y, mask, periodic=1, squared=squared), (a, b))
    same = torch.zeros(1, 3, 2, requires_grad=True)
    chamfer_torch(same, torch.zeros(1, 3, 2), squared=squared).sum().backward()
    assert torch.equal(same.grad, torch.zeros(1, 3, 2))


def test_empty_sets():
    none, some = np.empty((0, 2)), np.ones((3, 2))
    for reduction in ("sum", "mean"):
        out = chamfer([none, none, some], [none, some, none], reduction=reduction)
        assert out.tolist() == [0, np.inf, np.inf]
        mask = torch.zeros(1, 3, dtype=torch.bool)
        points = torch.ones(1, 3, 2)
        assert chamfer_torch(points, points, mask, mask, reduction=reduction).item() == 0
        assert chamfer_torch(points, points, mask, ~mask, reduction=reduction).item() == np.inf
    assert chamfer_torch(torch.ones(1, 0, 2), torch.ones(1, 3, 2)).item() == np.inf
    assert chamfer([], []).shape == (0,)
    assert chamfer([none], [none]).tolist() == [0]


def test_forms_of_input_agree():
    rng = np.random.default_rng(2)
    a, b = random_sets(rng, 6, 2), random_sets(rng, 6, 2)
    expected = chamfer(a, b)
    (pad_a, mask_a), (pad_b, mask_b) = padded(a), padded(b)
    np.testing.assert_array_equal(chamfer(pad_a, pad_b, masks=(mask_a, mask_b)), expected)
    np.testing.assert_array_equal(chamfer(ak.Array([x.tolist() for x in a]), b), expected)
    before = pad_a.copy()
    chamfer(pad_a + 10, pad_b, periodic=0)
    chamfer(pad_a, pad_b, periodic=0)
    np.testing.assert_array_equal(pad_a, before)


@pytest.mark.parametrize(
    ("a", "b", "options", "text"),
    [
        (np.ones((2, 3, 2)), np.ones((3, 3, 2)), {}, "same number of sets, got 2 and 3"),
        (np.ones((2, 3, 2)), np.ones((2, 3, 3)), {}, "same coordinates, got 2 and 3"),
        (np.ones((3, 2)), np.ones((3, 2)), {}, r"padded array \[n_sets, n_points, d\], got the shape \[3, 2\]"),
        (
            np.full((1, 3, 2), np.nan),
            np.ones((1, 3, 2)),
            {},
            "points of a should be finite and below 1e.14, but 3 are not",
        ),
        (
            np.ones((1, 3, 3)),
            np.full((1, 2, 3), -1e30),
            {},
            "points of b should be finite and below 1e.14, but 2 are not",
        ),
        (np.ones((1, 3, 2)), np.ones((1, 3, 2)), {"periodic": 2}, "one of 0 ... 1, got 2"),
        (np.ones((1, 3, 2)), np.ones((1, 3, 2)), {"reduction": "max"}, "'sum' or 'mean', got 'max'"),
        (np.ones((1, 3, 2)), np.ones((1, 3, 2)), {"weights": ([[1, 2]], None)}, "3 points, 2 weights"),
        (np.ones((1, 3, 2)), np.ones((1, 3, 2)), {"weights": ([[1, 2, -1]], None)}, "finite and not negative"),
        (np.ones((1, 3, 2)), np.ones((1, 3, 2)), {"masks": (np.ones((1, 2)), None)}, "mask of a should have the shape"),
        ([np.ones((3, 2)), np.ones((3, 3))], np.ones((2, 3, 2)), {}, "of one d"),
    ],
)
def test_bad_input_is_refused(a, b, options, text):
    with pytest.raises(InputError, match=text):
        chamfer(a, b, **options)
