# SPDX-License-Identifier: MIT
"""Hours of work in one process: does memory stay flat, does every file get closed, do the answers stay the same?

    python tests/benchmarks/soak.py --minutes 60 [--warm 10] [--pause 1.5]

Simulates batches of top pairs of changing sizes on one FastSim, reads them from HepMC text and writes ROOT files (with
objects) in between, and refuses a damaged file now and then. The largest of each come first: a process keeps about as
much memory as it has needed at once so far, so that a larger batch later on is a step and not a leak. Every minute it
prints resident memory, open descriptors and threads. After --warm minutes and a hundred rounds, when all caches are
warm, these are the reference: memory within --tolerance of it, no more descriptors and threads, and the same
constituents for the first batch, or the exit code is 1. --pause makes it a guest on a busy machine: so many seconds of
sleep after each round.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import os
import sys
import tempfile
import time
import zlib
from pathlib import Path

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
from hepgen_fastsim.demo import PYTHIA_SETTINGS

DATA = Path(os.environ.get("HEPGEN_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
TEXT = DATA / "real" / "ttbar100.hepmc.gz"
WARM = 100  # rounds until all sizes have occurred
LARGEST = 100  # events in a batch stay below
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> float:
    """Resident memory [MB]."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


def counts() -> tuple[int, int]:
    """Open descriptors and threads of this process."""
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def checksum(reco: ak.Array) -> int:
    return zlib.crc32(np.ascontiguousarray(ak.to_numpy(ak.flatten(reco.pt))).tobytes())


class Work:
    """One round after the other, each a little different."""

    def __init__(self, folder: Path, objects: bool) -> None:
        self.folder, self.objects = folder, objects
        source = hf.read(TEXT) if TEXT.is_file() else hf.read_pythia(PYTHIA_SETTINGS, 100, seed=1)
        self.gen = next(iter(source))
        self.sim = hf.FastSim(device="cpu", seed=3)
        self.text = folder / "in.hepmc"
        if TEXT.is_file():
            whole = gzip.decompress(TEXT.read_bytes())
            self.text.write_bytes(whole)
            (folder / "cut.hepmc").write_bytes(whole[: len(whole) // 2])
        self.random = np.random.default_rng(5)
        self.first = checksum(self.sim(self.gen))
        self.rounds = self.events = 0
        for _ in range(3):
            self.sim(self.gen[: LARGEST - 1], n=2)
            self.round()
            self.rounds = 0

    def round(self) -> None:
        """A slice of changing size; every tenth round files, every fiftieth a damaged one."""
        begin = int(self.random.integers(0, 90))
        gen = self.gen[begin : begin + int(self.random.integers(0, LARGEST))]
        self.events += len(self.sim(gen, n=2 if self.rounds % 7 == 0 and len(gen) else None))
        if self.rounds % 10 == 0 and self.text.is_file():
            with hf.open_output(self.folder / "out.root", overwrite=True, objects=self.objects) as out:
                for batch in hf.read(self.text, batch_size=40):
                    reco = self.sim(batch)
                    out.write(batch, reco, *([hf.reconstruct(reco, batch)] if self.objects else []))
                    self.events += len(batch)
        if self.rounds % 50 == 0 and self.text.is_file():
            try:
                for _ in hf.read(self.folder / "cut.hepmc"):
                    pass
            except hf.Error:
                pass
            else:
                raise AssertionError("half a file was read without a word")
        self.rounds += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--warm", type=float, metavar="MINUTES", help="default: a tenth of the time")
    parser.add_argument("--pause", type=float, default=0.0, metavar="SECONDS", help="sleep after each round")
    parser.add_argument("--tolerance", type=float, default=0.01, help="of the resident memory")
    parser.add_argument("--no-objects", dest="objects", action="store_false", help="write constituents alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Work(Path(name), options.objects)
        begun, end = time.monotonic(), options.minutes * 60
        warm = 0.1 * end if options.warm is None else options.warm * 60
        reference: tuple[float, tuple[int, int]] | None = None
        worst, spoken = 0.0, 0.0
        while (now := time.monotonic() - begun) < end:
            work.round()
            time.sleep(options.pause)
            if now - spoken < min(60.0, end / 20):
                continue
            spoken = now
            gc.collect()
            memory, open_now = resident(), counts()
            print(
                f"{now / 60:6.1f} min  {work.rounds:6d} rounds  {work.events:9d} events  {memory:8.1f} MB  "
                f"{open_now[0]} descriptors  {open_now[1]} threads",
                flush=True,
            )
            if now < warm or work.rounds < WARM:
                continue
            if reference is None:
                reference = (memory, open_now)
            worst = max(worst, abs(memory / reference[0] - 1))
        same = checksum(work.sim(work.gen)) == work.first
    if reference is None:
        print(f"too short to tell: {work.rounds} rounds, {WARM} are needed to warm up")
        return 1
    leaks = [b - a for a, b in zip(reference[1], open_now)]
    flat = worst <= options.tolerance and max(leaks) <= 0 and same
    print(
        f"{'flat' if flat else 'NOT FLAT'}: {work.rounds} rounds, {work.events} events in {options.minutes:g} minutes, "
        f"{warm / 60:g} of them to warm up, and {time.process_time():.0f} s of CPU; "
        f"memory within {worst:.2%} of {reference[0]:.0f} MB, descriptors {leaks[0]:+d}, threads {leaks[1]:+d}, "
        f"the first batch {'the same' if same else 'ANOTHER'}"
    )
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
