# SPDX-License-Identifier: MIT
"""Speed of the HepMC reader beside pyhepmc, on the same files in one run.

    python tests/benchmarks/bench_hepmc.py [FILE] [--events N] [--repeat R]

Without a file, the hundred top pairs of HEPGEN_DATA are taken, or else made-up events. Every way of reading
goes through the whole file and ends with the momenta of all particles as numpy arrays.
"""

from __future__ import annotations

import argparse
import gzip
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyhepmc
from hepgen_fastsim.io.hepmc import read_hepmc

DATA = Path(os.environ.get("HEPGEN_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def ours(path: Path) -> tuple[int, float]:
    """Events, and the sum of all pz as a check on both."""
    n, total = 0, 0.0
    for gen in read_hepmc(path):
        n += len(gen)
        total += float(np.sum(np.abs(gen.layout.content("particles").content.content("pz").data)))
    return n, total


def theirs(path: Path) -> tuple[int, float]:
    n, total = 0, 0.0
    with pyhepmc.open(str(path)) as file:
        for event in file:
            n += 1
            total += float(np.sum(np.abs(event.numpy.particles.pz)))
    return n, total


def make(path: Path, n: int) -> None:
    """Write n made-up events: 500 neutral pions from one vertex, each to two photons at a place of its own."""
    random = np.random.default_rng(1)

    def particle(p: np.ndarray, mass: float, code: int, status: int) -> pyhepmc.GenParticle:
        made = pyhepmc.GenParticle((*p, float(np.sqrt(p @ p + mass**2))), code, status)
        made.generated_mass = mass
        return made

    with pyhepmc.open(str(path), "w", format="hepmc3") as out:
        for number in range(n):
            event = pyhepmc.GenEvent(pyhepmc.Units.GEV, pyhepmc.Units.MM)
            event.event_number = number
            event.weights = [1.0]
            hard = pyhepmc.GenVertex((0, 0, 0, 0))
            for side in (1, -1):
                hard.add_particle_in(particle(np.array([0, 0, side * 6500.0]), 0.938272, 2212, 4))
            event.add_vertex(hard)
            for p in random.normal(0, 10, (500, 3)):
                pion = particle(p, 0.1349768, 111, 2)
                hard.add_particle_out(pion)
                decay = pyhepmc.GenVertex(tuple(random.normal(0, 1e-4, 4)))
                decay.add_particle_in(pion)
                for _ in range(2):
                    decay.add_particle_out(particle(p / 2, 0.0, 22, 1))
                event.add_vertex(decay)
            out.write(event)


def best(read: Callable[[Path], tuple[int, float]], path: Path, repeat: int) -> tuple[float, int, float]:
    """Shortest of `repeat` times [s], and what was read."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        n, total = read(path)
        times.append(time.perf_counter() - start)
    return min(times), n, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, help="HepMC text, plain or gzip")
    parser.add_argument("--events", type=int, default=100, help="to make when there is no file")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "events.hepmc"
        source = args.file or DATA / "real" / "ttbar100.hepmc.gz"
        if source.exists():
            head = source.read_bytes()[:2]
            plain.write_bytes(gzip.decompress(source.read_bytes()) if head == b"\x1f\x8b" else source.read_bytes())
        elif args.file:
            parser.error(f"{source} does not exist")
        else:
            make(plain, args.events)
        packed = plain.with_suffix(".hepmc.gz")
        packed.write_bytes(gzip.compress(plain.read_bytes(), 6))

        size = plain.stat().st_size / 1e6
        print(f"{size:.1f} MB of text; best of {args.repeat}")
        print(f"{'':8}{'reader':16}{'s':>8}{'MB/s':>8}{'events/s':>10}{'ratio':>8}")
        for path in (plain, packed):
            t_ours, n_ours, sum_ours = best(ours, path, args.repeat)
            t_theirs, n_theirs, sum_theirs = best(theirs, path, max(1, args.repeat // 2))
            if n_ours != n_theirs or not np.isclose(sum_ours, sum_theirs, rtol=1e-12):
                raise SystemExit(f"the readers disagree: {n_ours}, {sum_ours} and {n_theirs}, {sum_theirs}")
            kind = "plain" if path == plain else "gzip"
            for name, t in (("hepgen_fastsim", t_ours), ("pyhepmc", t_theirs)):
                print(f"{kind:8}{name:16}{t:8.3f}{size / t:8.0f}{n_ours / t:10.0f}{t_theirs / t:8.1f}")


if __name__ == "__main__":
    main()
