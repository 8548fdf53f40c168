# SPDX-License-Identifier: MIT
"""The whole chain on one core, from a HepMC file to a ROOT file, beside Delphes.

    python tests/benchmarks/bench_chain.py [--events 2000] [--python PYTHON_WITH_ROOT]

Prints the CPU time per event of `hepgen-fastsim simulate` in both forms, with objects and without (slope between a
short and a long run, and start-up), of each stage, and of Pythia for the same process, by which the time that Delphes
took elsewhere is carried over to this machine. The events are the hundred top pairs of HEPGEN_DATA, repeated.
"""

from __future__ import annotations

import argparse
import gzip
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hepgen_fastsim as hf

DATA = Path(os.environ.get("HEPGEN_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
TEXT = DATA / "real" / "ttbar100.hepmc.gz"
DELPHES, PYTHIA = 14.4, 12.2
"""Milliseconds per top pair on another machine: Delphes from HepMC text to a ROOT file, and Pythia before it."""

SETTINGS = ["Beams:eCM = 13000.", "Top:gg2ttbar = on", "Top:qqbar2ttbar = on", "Random:setSeed = on", "Random:seed = 1"]


def cpu(action: Callable[[], Any]) -> float:
    """CPU time of this process and its children [s]."""
    return sum(user_and_system(action))


def user_and_system(action: Callable[[], Any]) -> tuple[float, float]:
    """The same, that of the kernel apart."""
    before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    action()
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    pairs = list(zip(before, after))
    return sum(b.ru_utime - a.ru_utime for a, b in pairs), sum(b.ru_stime - a.ru_stime for a, b in pairs)


def take_memory(folder: Path, megabytes: int) -> None:
    """Fill a file and remove it. A virtual machine may have given what was freed before back to its host; to get it
    again costs 2 ms/MB, ten times what it takes to fill it, whoever needs it first."""
    block, ballast = os.urandom(1 << 20), folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for _ in range(megabytes):
            file.write(block)
    ballast.unlink()


def text_of(n_events: int) -> bytes:
    """HepMC text of so many events: a multiple of a hundred."""
    once = gzip.decompress(TEXT.read_bytes())
    begin, end = once.index(b"\nE ") + 1, once.rindex(b"HepMC::Asciiv3-END")
    return once[:begin] + once[begin:end] * (n_events // 100) + once[end:]


def pythia(n_events: int) -> float:
    """CPU time of Pythia [ms/event]."""
    from hepgen_fastsim.io.pythia import make_pythia

    generator = make_pythia(SETTINGS)
    return 1e3 * cpu(lambda: [generator.next() for _ in range(n_events)]) / n_events


def chain(python: str, folder: Path, arguments: list[str], sizes: tuple[int, int]) -> tuple[float, ...]:
    """CPU time per event [ms], and of it the kernel's; that of the start [s]; size of the file per event [kB]."""
    times = []
    for n in sizes:
        out = folder / "out.root"
        command = [python, "-W", "ignore", "-m", "hepgen_fastsim", "simulate", str(folder / f"{n}.hepmc")]
        command += ["-o", str(out), "--overwrite", "--device", "cpu", *arguments]
        take_memory(folder, 1000 + n // 8)
        times.append(
            user_and_system(lambda command=command: subprocess.run(command, check=True, stderr=subprocess.DEVNULL))
        )
    slopes = [(long - short) / (sizes[1] - sizes[0]) for short, long in zip(*times)]
    slope = sum(slopes)
    return 1e3 * slope, 1e3 * slopes[1], sum(times[0]) - slope * sizes[0], out.stat().st_size / sizes[1] / 1e3


def stages(path: Path, n_events: int) -> None:
    """CPU time of each stage in batches as the command has them [ms/event], after a first batch."""
    from hepgen_fastsim.cli.simulate import BATCH_SIZE
    from hepgen_fastsim.objects import reconstruct

    sim, spent = hf.FastSim(device="cpu"), dict.fromkeys(("read", "simulate", "objects", "flat tree", "compress"), 0.0)

    def timed(name: str, action: Callable[[], Any]) -> Any:
        begun = time.thread_time()
        result = action()
        spent[name] += time.thread_time() - begun
        return result

    from hepgen_fastsim.io import flat

    chosen = flat.COMPRESSION
    with tempfile.TemporaryDirectory() as folder:
        for compression, name in ((chosen, "compress"), (None, "flat tree")):
            flat.COMPRESSION = compression
            reader = hf.read(path, batch_size=BATCH_SIZE)
            with hf.open_output(Path(folder) / f"{name}.root", objects=True) as out:
                for i in range(n_events // BATCH_SIZE):
                    gen = timed("read", lambda reader=reader: next(reader))
                    reco = timed("simulate", lambda gen=gen: sim(gen))
                    objects = timed("objects", lambda reco=reco, gen=gen: reconstruct(reco, gen, seed=1))
                    timed(name, lambda out=out, batch=(gen, reco, objects): out.write(*batch))
                    if i == 0 and name == "compress":
                        spent = dict.fromkeys(spent, 0.0)
    flat.COMPRESSION = chosen
    n = n_events - BATCH_SIZE
    per_event = {name: 1e3 * seconds / n for name, seconds in spent.items()}
    for name in ("read", "simulate", "objects"):
        per_event[name] *= n / (n + n_events)  # twice, without the first batch
    per_event["flat tree"] *= n / n_events
    per_event["compress"] -= per_event["flat tree"]
    print("stages [ms/event]: " + ", ".join(f"{name} {value:.2f}" for name, value in per_event.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=2000, metavar="N", help="events of the long run, in hundreds")
    parser.add_argument("--python", default=os.environ.get("HEPGEN_ROOT_PYTHON"), help="a python with ROOT as well")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    sizes = (max(500, options.events // 4 // 100 * 100), options.events)
    before = pythia(150)
    with tempfile.TemporaryDirectory() as name:
        folder, found = Path(name), {}
        for n in sizes:
            (folder / f"{n}.hepmc").write_bytes(text_of(n))
        runs = {"flat": (sys.executable, []), "flat, no objects": (sys.executable, ["--no-objects"])}
        if options.python:
            runs |= {
                "delphes": (options.python, ["--format", "delphes"]),
                "delphes, no objects": (options.python, ["--format", "delphes", "--no-objects"]),
            }
        for label, (python, arguments) in runs.items():
            found[label] = chain(python, folder, arguments, sizes)
        stages(folder / f"{sizes[1]}.hepmc", min(sizes[1], 2000))
    here = (before + pythia(150)) / 2
    delphes = DELPHES * here / PYTHIA
    print(f"Pythia {here:.1f} ms/event here, {PYTHIA} where Delphes took {DELPHES}: here Delphes takes {delphes:.1f}")
    print(f"{'form':22} ms/event  of it the kernel's  times Delphes  start [s]  kB/event")
    for label, (slope, kernel, start, size) in found.items():
        print(f"{label:22} {slope:8.2f} {kernel:20.2f} {delphes / slope:14.2f} {start:10.1f} {size:9.1f}")


if __name__ == "__main__":
    main()
