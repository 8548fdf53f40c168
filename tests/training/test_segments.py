# SPDX-License-Identifier: MIT
"""Segment operations against numpy."""

from __future__ import annotations

import numpy as np
import torch

from training.networks.segments import lengths_to_index, nonzero_by_part, segment_argmax, segment_max, segment_sum


def test_against_numpy():
    random = np.random.default_rng(0)
    segment = np.sort(random.integers(0, 30, 200))
    values = random.normal(size=(200, 3)).astype(np.float32)
    expected = np.stack([values[segment == k].sum(0) for k in range(30)])
    highest = [values[segment == k, 0].max(initial=-np.inf) for k in range(30)]
    index = torch.from_numpy(segment)
    assert torch.allclose(segment_sum(torch.from_numpy(values), index, 30), torch.from_numpy(expected), atol=1e-5)
    found = segment_max(torch.from_numpy(values[:, 0]), index, 30).numpy()
    assert np.array_equal(found, np.where(np.isinf(highest), 0, highest).astype(np.float32))


def test_argmax_takes_the_first():
    values, segment = torch.tensor([1.0, 3.0, 3.0, -2.0, -1.0]), torch.tensor([0, 0, 0, 1, 1])
    assert segment_argmax(values, segment, 2).tolist() == [1, 4]


def test_empty_sets():
    assert lengths_to_index(torch.tensor([0, 0, 2, 2, 3]), 3).tolist() == [1, 1, 3]
    assert lengths_to_index(torch.tensor([0]), 0).tolist() == []
    assert segment_sum(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), 0).shape == (0, 2)


def test_nonzero_by_part():
    mask = torch.tensor([True, False, True, True, False, False, True])
    found, counts = nonzero_by_part(mask, [2, 0, 3, 2])
    assert found.tolist() == [0, 2, 3, 6]
    assert counts == [1, 0, 2, 1]
