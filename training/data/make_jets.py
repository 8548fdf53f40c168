# SPDX-License-Identifier: MIT
"""Make sets of jets with Pythia: the command behind ``python -m training.data.jets``.

Hard processes at 13 TeV: gg -> gg and qq -> gg (gluon), qq -> qq of u, d, s (quark), hadronic tt (top); Monash tune,
all of the event on. Anti-kT jets of the stable particles but neutrinos within |eta| < 2, each matched to its own parton
(top: to the b and both quarks of the W, all within R of the axis); both jets of an event are used.

A run is cut into parts with seeds of their own, each written when it is complete: an interrupted run goes on from its
last part, and the result depends on the settings alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hepgen_fastsim.cards.card import GenJets
from hepgen_fastsim.io.pythia import make_pythia
from hepgen_fastsim.objects.clustering import JetList, cluster
from hepgen_fastsim.objects.columns import eta_of

CLASSES = ("gluon", "quark", "top")
PROCESSES = {
    "gluon": ["HardQCD:gg2gg = on", "HardQCD:qqbar2gg = on"],
    "quark": ["HardQCD:qq2qq = on"],
    "top": ["Top:gg2ttbar = on", "Top:qqbar2ttbar = on", "24:onMode = off", "24:onIfAny = 1 2 3 4 5"],
}
NEUTRINOS = (12, 14, 16)
PARTONS = {"gluon": (21,), "quark": (1, 2, 3)}
LARGEST = 150  #: constituents that are kept
ETA = 2.0  #: largest |eta| of a jet
_REACH = 4.5  #: particles beyond this |rapidity| cannot change a jet
_EVENTS = 200  #: generated at a time


@dataclass(frozen=True)
class Settings:
    """What is made: class, window of the jets' pT and of the hard process' pT [GeV], radius, seed."""

    kind: str
    pt: tuple[float, float] = (800.0, 1600.0)
    pt_hat: tuple[float, float] = (950.0, 1300.0)
    radius: float = 0.8
    seed: int = 1


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Values with ``bits`` mantissa bits, float32: they compress to half."""
    mantissa, exponent = np.frexp(np.asarray(values, np.float64))
    return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits).astype(np.float32)


def _wrap(phi: np.ndarray) -> np.ndarray:
    return (phi + np.pi) % (2 * np.pi) - np.pi


@dataclass
class _Record:
    """Particles of a batch of events, flat [n]: code, |status|, code of the mother, momentum [GeV]; offsets [B + 1]."""

    pdgid: np.ndarray
    status: np.ndarray
    mother: np.ndarray
    px: np.ndarray
    py: np.ndarray
    pz: np.ndarray
    energy: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, events: ak.Array) -> _Record:
        particles = events.prt
        offsets = np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(particles)))]).astype(np.int64)
        flat = {name: ak.to_numpy(ak.flatten(particles[name])) for name in ("id", "status", "mother1")}
        p = ak.flatten(particles.p)
        first = np.repeat(offsets[:-1], np.diff(offsets))
        momentum = [ak.to_numpy(p[name]).astype(np.float64) for name in ("px", "py", "pz", "e")]
        return cls(flat["id"], flat["status"], flat["id"][first + flat["mother1"]], *momentum, offsets)

    def pick(self, rows: np.ndarray) -> _Record:
        """The particles at rows i64, ascending."""
        columns = [c[rows] for c in (self.pdgid, self.status, self.mother, self.px, self.py, self.pz, self.energy)]
        return _Record(*columns, np.searchsorted(rows, self.offsets).astype(np.int64))

    def momenta(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """px, py, pz, energy of some particles."""
        return self.px[rows], self.py[rows], self.pz[rows], self.energy[rows]

    @property
    def event(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    @property
    def eta(self) -> np.ndarray:
        return eta_of(np.hypot(self.px, self.py), self.pz)

    @property
    def phi(self) -> np.ndarray:
        return np.arctan2(self.py, self.px)


def _chosen(jets: JetList, partons: _Record, settings: Settings) -> np.ndarray:
    """bool [n_jets]: jets in the window that are matched."""
    inside = (jets.pt > settings.pt[0]) & (jets.pt < settings.pt[1]) & (np.abs(jets.eta) < ETA)
    if settings.kind == "top":  # b and quarks of each top: all three must lie in the jet
        families = [
            (partons.mother == 6 * sign) & (partons.pdgid == 5 * sign) | (partons.mother == 24 * sign)
            for sign in (1, -1)
        ]
        return inside & np.logical_or(*(_near(jets, partons, family, settings.radius) == 3 for family in families))
    mine = np.isin(np.abs(partons.pdgid), PARTONS[settings.kind])
    return inside & (_near(jets, partons, mine, settings.radius) > 0)


def _near(jets: JetList, partons: _Record, which: np.ndarray, radius: float) -> np.ndarray:
    """Number of the partons ``which`` (bool) within ``radius`` of each jet, [n_jets]."""
    i = np.nonzero(which)[0]
    counts = np.diff(jets.offsets)[partons.event[i]]  # jets beside each parton
    parton = np.repeat(i, counts)
    jet = np.concatenate([np.arange(jets.offsets[e], jets.offsets[e + 1]) for e in partons.event[i]] or [[]]).astype(
        int
    )
    distance = np.hypot(jets.eta[jet] - partons.eta[parton], _wrap(jets.phi[jet] - partons.phi[parton]))
    return np.bincount(jet[distance < radius], minlength=len(jets))


def _rows(events: ak.Array, settings: Settings) -> pa.Table:
    """Jets of a batch of events, as rows of the file."""
    everything = _Record.of(events)
    partons = everything.pick(np.nonzero(np.abs(everything.status) == 23)[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        rapidity = np.arctanh(everything.pz / everything.energy)
    seen = ~np.isin(np.abs(everything.pdgid), NEUTRINOS)
    stable = everything.pick(np.nonzero((everything.status > 0) & seen & (np.abs(rapidity) < _REACH))[0])
    jets = cluster(stable, GenJets("antikt", settings.radius, settings.pt[0]))
    jets = jets[_chosen(jets, partons, settings)]
    pt = np.hypot(stable.px, stable.py)[jets.members]
    order = np.lexsort((-pt, jets.member_of))
    members, owner, pt = jets.members[order], jets.member_of[order], pt[order]
    counts = np.bincount(owner, minlength=len(jets))
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = rank < LARGEST
    members, owner, pt = members[kept], owner[kept], pt[kept]
    offsets = np.concatenate([[0], np.cumsum(np.minimum(counts, LARGEST))]).astype(np.int32)
    relative = {
        "eta_rel": np.round((stable.eta[members] - jets.eta[owner]) * 2.0**13) / 2.0**13,
        "phi_rel": np.round(_wrap(stable.phi[members] - jets.phi[owner]) * 2.0**13) / 2.0**13,
        "pt_rel": rounded(pt / jets.pt[owner], 12),
    }
    columns: dict[str, Any] = {
        "label": np.full(len(jets), CLASSES.index(settings.kind), np.int8),
        "jet_pt": rounded(jets.pt, 15),
        "jet_eta": rounded(jets.eta, 15),
        "jet_phi": rounded(jets.phi, 15),
        "jet_mass": rounded(jets.mass, 15),
        "n_const": counts.astype(np.int16),
    }
    lists = {
        name: pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.astype(np.float32)))
        for name, values in relative.items()
    }
    return pa.table(columns | lists)


def generate(settings: Settings, seed: int) -> Iterator[pa.Table]:
    """Jets without end, in batches, from one seed of Pythia."""
    lines = [
        "Beams:eCM = 13000",
        f"PhaseSpace:pTHatMin = {settings.pt_hat[0]}",
        f"PhaseSpace:pTHatMax = {settings.pt_hat[1]}",
        "Check:event = off",  # a check of the record alone
    ]
    pythia = make_pythia(lines + PROCESSES[settings.kind], seed)
    while True:
        yield _rows(pythia.nextBatch(_EVENTS, errorMode="skip"), settings)


def write(table: pa.Table, path: Path) -> None:
    """Write aside, then rename."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, aside, compression="zstd", compression_level=6)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def make(settings: Settings, n_jets: int, out: Path, part_size: int = 5000) -> Path:
    """``n_jets`` jets into ``out``; complete parts lie in the folder ``out``.parts until all are there."""
    folder = out.with_name(out.name + ".parts")
    folder.mkdir(parents=True, exist_ok=True)
    note, found = folder / "settings.txt", f"{settings} parts of {part_size}\n"
    if note.exists() and note.read_text() != found:
        raise SystemExit(
            f"{folder} holds parts of other settings ({note.read_text().strip()}); remove it to start afresh"
        )
    note.write_text(found)
    parts, start = [folder / f"{i:05d}.parquet" for i in range(-(-n_jets // part_size))], time.time()
    for i, path in enumerate(parts):
        if path.exists():
            continue
        tables, n, wanted = [], 0, min(part_size, n_jets - i * part_size)
        seed = 1 + (settings.seed * 30_011 + 10_007 * CLASSES.index(settings.kind) * 1_000 + i) % 899_999_999
        for table in generate(settings, seed):
            tables.append(table)
            n += len(table)
            if n >= wanted:
                break
        write(pa.concat_tables(tables).slice(0, wanted).combine_chunks(), path)
        print(f"{settings.kind}: {i * part_size + wanted:,} of {n_jets:,} jets, {time.time() - start:.0f} s",
              file=sys.stderr, flush=True)  # fmt: skip
    write(pa.concat_tables([pq.read_table(path) for path in parts]).slice(0, n_jets).combine_chunks(), out)
    for path in [*parts, note]:
        path.unlink()
    folder.rmdir()
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.jets",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("kind", choices=CLASSES, help="class of the jets")
    parser.add_argument("--out", type=Path, required=True, help="Parquet file to write")
    parser.add_argument("--number", type=int, default=150_000, help="jets")
    parser.add_argument("--pt", type=float, nargs=2, default=(800.0, 1600.0), help="window of the jets' pT [GeV]")
    parser.add_argument(
        "--pt-hat",
        type=float,
        nargs=2,
        help="window of the hard process' pT [GeV]; default: 19/16 of the lower and 13/16 of the upper edge of --pt, "
        "950 to 1300 for 800 to 1600",
    )
    parser.add_argument("--radius", type=float, default=0.8, help="R of anti-kT")
    parser.add_argument("--seed", type=int, default=1, help="of Pythia, together with class and part")
    options = parser.parse_args(arguments)
    pt_hat = tuple(options.pt_hat or (options.pt[0] * 19 / 16, options.pt[1] * 13 / 16))
    if not 0 < options.pt[0] < options.pt[1] or not 0 < pt_hat[0] < pt_hat[1] or options.number < 1:
        parser.error(
            f"expected windows that rise and a number of at least 1, found {options.pt}, {pt_hat}, {options.number}"
        )
    print(
        make(
            Settings(options.kind, tuple(options.pt), pt_hat, options.radius, options.seed), options.number, options.out
        )
    )
