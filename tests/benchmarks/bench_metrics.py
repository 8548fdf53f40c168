# SPDX-License-Identifier: MIT
"""How long the metrics take at full size: 50,000 against 50,000 jets of 30 particles, with a second reference for
the floor.

    python tests/benchmarks/bench_metrics.py [--jets 50000] [--particles 30]

Jets are toys (the time does not depend on the physics). Every metric has jetnet's sampling settings. The classifier
and BLAS use as many threads as OMP_NUM_THREADS allows.
"""

import argparse
import time

import numpy as np
from hepgen_fastsim import metrics


def toy_jets(seed, n_jets, n_particles):
    """[n_jets, n_particles, 3]: relative pT, eta, phi."""
    rng = np.random.default_rng(seed)
    shape = (n_jets, n_particles)
    pt = -np.sort(-rng.dirichlet(np.full(n_particles, 0.5), n_jets), axis=1)
    width = 0.15 * rng.gamma(4, 0.25, (n_jets, 1))
    return np.stack([pt, width * rng.normal(size=shape), width * rng.normal(size=shape)], axis=-1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jets", type=int, default=50_000)
    parser.add_argument("--particles", type=int, default=30)
    options = parser.parse_args()
    samples = [toy_jets(seed, options.jets, options.particles) for seed in range(3)]
    metrics.jet_metrics(*(s[:200] for s in samples), settings={"cov_mmd": {"n_samples": 5}})  # compile

    start = time.perf_counter()
    features = [metrics.efps(s, "d<=4", normed=False) for s in samples]
    table = [("efps d<=4, three samples", time.perf_counter() - start, "")]
    for name in ("w1m", "w1p", "w1efp", "fpd", "kpd", "cov_mmd", "c2st"):
        arguments = features if name in ("fpd", "kpd", "c2st") else samples
        start = time.perf_counter()
        result = getattr(metrics, name)(*arguments, seed=1)
        seconds = time.perf_counter() - start
        results = result.values() if isinstance(result, dict) else [result]
        table.append((name, seconds, "; ".join(map(str, results))))
    start = time.perf_counter()
    rings = metrics.momentum_flow(samples[0])
    table.append(("momentum_flow", time.perf_counter() - start, f"{rings.shape}"))
    pairs = [s[:20_000, :, [0, 1, 2]] for s in samples[:2]]
    start = time.perf_counter()
    metrics.chamfer(*pairs, periodic=2)
    table.append(("chamfer, 20,000 pairs", time.perf_counter() - start, ""))
    print(f"{options.jets:,} against {options.jets:,} jets of {options.particles} particles, value and floor")
    print("| metric | seconds | result |\n|---|---|---|")
    for name, seconds, text in table:
        print(f"| {name} | {seconds:.2f} | {text} |")
    print(f"| together | {sum(row[1] for row in table):.1f} | |")


if __name__ == "__main__":
    main()
