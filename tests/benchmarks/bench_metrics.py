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

    print(f"{options.jets:,} against {options.jets:,} jets of {options.particles} particles, value and floor")
    print("| metric | seconds | result |\n|---|---|---|")
    total = 0.0

    def timed(name, work):
        nonlocal total
        start = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - start
        total += seconds
        results = list(result.values()) if isinstance(result, dict) else [result]
        text = "; ".join(str(r) for r in results if isinstance(r, metrics.Result))
        print(f"| {name} | {seconds:.2f} | {text} |", flush=True)
        return result

    features = timed("efps d<=4, three samples", lambda: [metrics.efps(s, "d<=4", normed=False) for s in samples])
    for name in ("w1m", "w1p", "w1efp", "fpd", "kpd", "fgd", "cov_mmd", "c2st"):
        arguments = features if name in ("fpd", "kpd", "c2st") else samples
        timed(name, lambda name=name, arguments=arguments: getattr(metrics, name)(*arguments, seed=1))
    timed("momentum_flow", lambda: metrics.momentum_flow(samples[0]))
    timed("chamfer, all pairs in order", lambda: metrics.chamfer(samples[0], samples[1], periodic=2))
    print(f"| together | {total:.1f} | |")


if __name__ == "__main__":
    main()
