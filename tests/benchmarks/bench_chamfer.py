# SPDX-License-Identifier: MIT
"""Chamfer distance beside scipy's cKDTree and torch.cdist, on one core, in one run.

    python tests/benchmarks/bench_chamfer.py

Pairs of sets of N points in three coordinates; microseconds of processor time per pair, best of several rounds.
torch.cdist gets the whole batch at once. Ratios are to the best alternative of the same precision; "torch loss" is
`training.chamfer`, the differentiable form.
"""

import os
import time

import numpy as np
import torch
from hepgen_fastsim.metrics.nearest import chamfer
from scipy.spatial import cKDTree

from training.chamfer import chamfer as chamfer_torch


def best_of(work, rounds=7):
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def by_tree(a, b):
    trees = [(cKDTree(x), cKDTree(y)) for x, y in zip(a, b)]
    return np.array([(t.query(y)[0] ** 2).sum() + (s.query(x)[0] ** 2).sum() for x, y, (t, s) in zip(a, b, trees)])


def by_cdist(a, b):
    distance = torch.cdist(a, b).square()
    return distance.amin(dim=1).sum(dim=1) + distance.amin(dim=2).sum(dim=1)


def main():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    chamfer(np.zeros((1, 1, 3)), np.zeros((1, 1, 3)))
    print("| N = M | ours f64 | ours f32 | ours, periodic | cKDTree | cdist f64 | cdist f32 | torch loss | ratios |")
    print("|---|---|---|---|---|---|---|---|---|")
    for n in (10, 30, 50, 150):
        n_sets = 400_000 // n**2 + 50
        a, b = rng.normal(0, 1, (2, n_sets, n, 3))
        c, d = a.astype(np.float32), b.astype(np.float32)
        tensors = [torch.as_tensor(x) for x in (a, b)]
        singles = [torch.as_tensor(x) for x in (c, d)]
        np.testing.assert_allclose(by_tree(a, b), chamfer(a, b), rtol=1e-9)
        np.testing.assert_allclose(by_cdist(*tensors).numpy(), chamfer(a, b), rtol=1e-6)
        np.testing.assert_allclose(chamfer(c, d), chamfer(a, b), rtol=1e-5)
        work = [
            lambda a=a, b=b: chamfer(a, b, threads=1),
            lambda c=c, d=d: chamfer(c, d, threads=1),
            lambda a=a, b=b: chamfer(a, b, periodic=1, threads=1),
            lambda a=a, b=b: by_tree(a, b),
            lambda t=tensors: by_cdist(*t),
            lambda t=singles: by_cdist(*t),
            lambda t=tensors: chamfer_torch(*t),
        ]
        times = [best_of(w) for w in work]
        times = [min(t, best_of(w)) for t, w in zip(times, work)]  # twice, so that a busy moment hits nobody alone
        row = " | ".join(f"{t / n_sets * 1e6:.2f}" for t in times)
        double, single = min(times[3:5]) / times[0], min(times[3], times[5]) / times[1]
        print(f"| {n} | {row} | {double:.1f} (f64), {single:.1f} (f32) |")


if __name__ == "__main__":
    main()
