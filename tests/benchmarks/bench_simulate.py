# SPDX-License-Identifier: MIT
"""Speed and memory of the simulation.

    python tests/benchmarks/bench_simulate.py [--memory 1000 20000]

Prints the CPU time of each stage per event and per core (reading HepMC text, simulating, writing), the time per stable
particle against the number of particles per event, and with --memory the peak resident memory of `hepgen-fastsim
simulate` over runs of so many events. The events are the hundred top pairs of HEPGEN_DATA, or of Pythia without them.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
from hepgen_fastsim.demo import PYTHIA_SETTINGS

DATA = Path(os.environ.get("HEPGEN_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
TEXT = DATA / "real" / "ttbar100.hepmc.gz"

PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdin=0, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def best(action: Callable[[], object], repeat: int = 5) -> float:
    """Smallest CPU time of this thread over some repetitions [s]."""
    times = []
    for _ in range(repeat):
        begun = time.thread_time()
        action()
        times.append(time.thread_time() - begun)
    return min(times)


def stages(gen: ak.Array, sim: hf.FastSim, folder: Path) -> None:
    reco = sim(gen)
    n = len(gen)
    constituents = ak.count(reco.pt) / n
    print(
        f"{n} top pairs, {ak.sum(gen.particles.status == 1) / n:.0f} stable particles, {constituents:.0f} "
        "constituents each"
    )
    if TEXT.is_file():
        (folder / "a.hepmc").write_bytes(gzip.decompress(TEXT.read_bytes()))
        for path in (folder / "a.hepmc", TEXT):
            print(f"read {path.suffix:9} {1e3 * best(lambda path=path: list(hf.read(path))) / n:8.2f} ms/event")
    print(f"simulate       {1e3 * best(lambda: sim(gen)) / n:8.2f} ms/event")
    for kind in ("flat", "parquet"):

        def write(kind: str = kind) -> None:
            with hf.open_output(folder / "out", kind, overwrite=True) as out:
                out.write(gen, reco)

        print(
            f"write {kind:8} {1e3 * best(write) / n:8.2f} ms/event, {(folder / 'out').stat().st_size / n / 1e3:.0f} "
            "kB/event"
        )


def sizes(gen: ak.Array, sim: hf.FastSim) -> None:
    stable = ak.flatten(gen.particles[gen.particles.status == 1])
    columns = {name: ak.to_numpy(stable[name]) for name in ("pdgid", "px", "py", "pz", "vx", "vy", "vz")}
    total = 40_000
    columns = {name: np.resize(column, total) for name, column in columns.items()}
    print("particles/event   us/particle")
    for size in (50, 200, 500, 1000, 2000, 5000):
        offsets = np.arange(0, total + 1, size)
        print(f"{size:15} {1e6 * best(lambda offsets=offsets: sim(columns | {'offsets': offsets})) / total:13.2f}")


def memory(counts: list[int]) -> None:
    text = gzip.decompress(TEXT.read_bytes())
    for n in counts:
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                "-m",
                "hepgen_fastsim",
                "simulate",
                "-",
                "-o",
                f"{folder}/o.root",
                "--device",
                "cpu",
            ]
            begun = time.perf_counter()
            run = subprocess.Popen(
                [sys.executable, "-c", PEAK, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(n // 100):
                run.stdin.write(text)
            run.stdin.close()
            peak = float(run.stdout.read())
            run.wait()
            seconds = time.perf_counter() - begun
            print(f"{n:7} events: peak memory {peak:.0f} MB, {n / seconds:.0f} events/s from text to ROOT")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="delphes-cms")
    parser.add_argument("--memory", type=int, nargs="*", default=[], metavar="N", help="multiples of 100")
    options = parser.parse_args()
    sim = hf.FastSim(options.model, device="cpu")
    if TEXT.is_file():
        (gen,) = hf.read(TEXT)
    else:
        (gen,) = hf.read_pythia(PYTHIA_SETTINGS, 100, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        stages(gen, sim, Path(folder))
    sizes(gen, sim)
    if options.memory:
        memory(options.memory)


if __name__ == "__main__":
    main()
