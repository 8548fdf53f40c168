# SPDX-License-Identifier: MIT
"""Energy flow polynomials beside energyflow, on one core, in one run.

    python tests/benchmarks/bench_efp.py --energyflow PYTHON

PYTHON is the interpreter of an environment with ``numpy<2`` and energyflow (they cannot share ours); without it
only our times are printed. Both sides compute the same jets, warm, pinned to the same core in turn; the best of
several rounds counts. The floor is the time of as many products of symmetric matrices as the plan contains, by
numpy's BLAS at half price.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402 (after the thread settings)

THEIRS = """
import sys, time
import numpy as np, energyflow
jets, degree, rounds, out = np.load(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
efpset = energyflow.EFPSet("d<=" + degree, measure="hadr", beta=1, normed=True, coords="ptyphim")
efpset.batch_compute(jets[:2], n_jobs=1)
best = float("inf")
for _ in range(rounds):
    start = time.process_time()
    values = efpset.batch_compute(jets, n_jobs=1)
    best = min(best, time.process_time() - start)
np.save(out, values)
print(best / len(jets))
"""


def best_of(work, rounds):
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def random_jets(n_jets, n_particles, seed=1):
    """[n_jets, n_particles, 3]: pT, y, phi."""
    rng = np.random.default_rng(seed)
    shape = (n_jets, n_particles)
    return np.stack([rng.exponential(1, shape), rng.normal(0, 0.3, shape), rng.normal(0, 0.3, shape)], axis=-1)


def energyflow_seconds(interpreter, jets, degree, folder, rounds=3):
    np.save(folder / "jets.npy", jets)
    command = [interpreter, "-W", "ignore", "-c", THEIRS, str(folder / "jets.npy"), str(degree), str(rounds)]
    done = subprocess.run([*command, str(folder / "efps.npy")], capture_output=True, text=True, check=True)
    return float(done.stdout), np.load(folder / "efps.npy")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--energyflow", metavar="PYTHON", help="interpreter of an environment with energyflow")
    parser.add_argument("--memory-jets", type=int, default=100_000, help="jets of 30 particles in the memory test")
    options = parser.parse_args()
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})

    from hepgen_fastsim.metrics.efp import efps
    from hepgen_fastsim.metrics.enumeration import graph_set
    from hepgen_fastsim.metrics.plan import compile_plan

    start = time.perf_counter()
    efps(random_jets(1, 3))
    print(f"numba {sys.modules['numba'].__version__}, first call {time.perf_counter() - start:.2f} s, core {core}")
    print(
        "| graphs | particles | ours, us/jet | floor, us | energyflow, us/jet | ratio | largest relative difference |"
    )
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for degree in (4, 5):
            products = compile_plan(graph_set(degree)).n_matrix_products
            for n in (10, 30, 50, 100, 150):
                jets = random_jets(max(10_000 // n**2 * 10, 100), n)
                ours = best_of(lambda j=jets, d=degree: efps(j, f"d<={d}", threads=1), 5) / len(jets)
                matrix = jets[0, :, :1] * jets[0, :, 0]
                floor = best_of(lambda m=matrix: [m @ m for _ in range(100)], 5) / 100 * products
                theirs, ratio, difference = "-", "-", "-"
                if options.energyflow:
                    sample = jets[: max(20, 3000 // n)]
                    seconds, values = energyflow_seconds(options.energyflow, sample, degree, Path(name))
                    again = best_of(lambda j=jets, d=degree: efps(j, f"d<={d}", threads=1), 5) / len(jets)
                    ours = min(ours, again)
                    theirs, ratio = f"{seconds * 1e6:.0f}", f"{seconds / ours:.0f}"
                    difference = f"{np.abs(efps(sample, f'd<={degree}') / values - 1).max():.1e}"
                row = (f"d <= {degree}", n, f"{ours * 1e6:.1f}", f"{floor * 1e6:.1f}", theirs, ratio, difference)
                print("| " + " | ".join(map(str, row)) + " |", flush=True)
    jets = random_jets(options.memory_jets, 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    out = efps(jets, threads=1)
    seconds = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    needed = (4 * 8 * jets.shape[0] * jets.shape[1] + out.nbytes) / 1e6
    print(f"{len(jets):,} jets of 30: {seconds:.2f} s, resident memory grows by {grown:.0f} MB")
    print(f"  of which {needed:.0f} MB are one float64 copy of the input and the result")


if __name__ == "__main__":
    main()
