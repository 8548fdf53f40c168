# SPDX-License-Identifier: MIT
"""GEN batches from Pythia 8 in memory, through pythia8mc's `nextBatch`: no text in between."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import awkward as ak
import numpy as np

from hepgen_fastsim.errors import Error, InputError
from hepgen_fastsim.events import GenColumns, gen_batch
from hepgen_fastsim.io.reader import GenReader

__all__ = ["make_pythia", "read_pythia", "status_hepmc"]

MB_TO_PB = 1e9
MAX_EMPTY_BATCHES = 10
"""Batches in a row without a single event, after which the settings are taken to be hopeless."""


def make_pythia(settings: str | os.PathLike[str] | Iterable[str], seed: int | None = None) -> Any:
    """An initialised, quiet `pythia8mc.Pythia`.

    Parameters
    ----------
    settings
        lines such as "Top:gg2ttbar = on", or the path of a command file
    seed
        1 to 900,000,000; None leaves it to the settings
    """
    try:
        import pythia8mc
    except ImportError:
        raise Error(
            "Pythia 8 is not installed here; `pip install hepgen_fastsim[pythia]`, or read events from a file."
        ) from None
    pythia = pythia8mc.Pythia("", False)
    pythia.readString("Print:quiet = on")
    if isinstance(settings, (str, os.PathLike)):
        if not os.path.isfile(settings):
            raise InputError(f"Pythia's command file {os.fspath(settings)} does not exist.")
        if not pythia.readFile(os.fspath(settings)):
            raise InputError(f"Pythia does not accept the command file {os.fspath(settings)}.")
    else:
        for line in settings:
            if not pythia.readString(line):
                raise InputError(f"Pythia does not accept the setting '{line}'.")
    if seed is not None:
        pythia.readString("Random:setSeed = on")
        pythia.readString(f"Random:seed = {seed}")
    if not pythia.init():
        raise InputError("Pythia could not be initialised with these settings; its own messages say why.")
    return pythia


def read_pythia(
    pythia: Any, n_events: int, *, batch_size: int = 1000, seed: int | None = None, stream: int | None = None
) -> GenReader:
    """Make events with Pythia 8 and give them in batches, as `hf.read` does for files.

    Parameters
    ----------
    pythia
        initialised `pythia8mc.Pythia`; or settings for one, as a list of lines or the path of a command file
    n_events
        events to make; ones that Pythia gives up are made again. A Les Houches file (Beams:frameType = 4) may end
        before.
    seed
        of Pythia, where settings are given
    stream
        number of the sample for the random numbers of the simulation; default: a checksum of the first event

    `status` follows HepMC's convention: 1 stable, 2 decayed, 4 beam, otherwise Pythia's own without the sign. Pythia's
    entry 0, which stands for the whole event, is left out. `process_id` and `mpi` are 0: Pythia's batches lack them.

    >>> batches = hf.read_pythia(["Beams:eCM = 13000", "Top:gg2ttbar = on"], 1000, seed=1)
    """
    if not hasattr(pythia, "nextBatch"):
        pythia = make_pythia(pythia, seed)

    def batches() -> Iterator[ak.Array]:
        done, empty, key = 0, 0, stream
        while done < n_events:
            events = pythia.nextBatch(min(batch_size, n_events - done), errorMode="skip")
            if len(events) == 0:
                if pythia.infoPython().atEndOfFile():
                    return
                empty += 1
                if empty == MAX_EMPTY_BATCHES:
                    raise InputError(
                        f"Pythia gave up all events of {empty} batches after {done} good ones of {n_events}."
                    )
                continue
            empty = 0
            gen = _columns(events, done, key)
            key = gen.stream = gen.key()
            yield _batch(events, gen, pythia)
            done += len(events)

    return GenReader(batches(), source="Pythia 8", format="pythia", n_events=n_events)


def status_hepmc(pdgid: np.ndarray, status: np.ndarray, daughter_pdgid: np.ndarray) -> np.ndarray:
    """Pythia's status as HepMC has it (Pythia's manual, "Particle properties", statusHepMC).

    `daughter_pdgid` is the code of the first daughter, 0 for none; a hadron, muon or tau that turns into another code
    has decayed (2), one that is only shifted (Bose-Einstein) has not.
    """
    code, found = np.abs(pdgid), np.abs(status)
    hadron = (code > 100) & (code < 1_000_000) & ((code // 10) % 10 > 0) & ((code // 100) % 10 > 0) | (
        code > 1_000_000_000
    )
    decays = (hadron | (code == 13) | (code == 15)) & (daughter_pdgid != 0) & (daughter_pdgid != pdgid)
    other = np.where((found >= 11) & (found <= 200), found, 0)
    return np.select([status > 0, found == 12, decays], [1, 4, 2], other).astype(np.int32)


def _columns(events: ak.Array, first: int, stream: int | None) -> GenColumns:
    prt = events.prt[:, 1:]
    offsets = np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(prt)))]).astype(np.int64)

    def flat(array: ak.Array) -> np.ndarray:
        return ak.to_numpy(ak.flatten(array))

    pdgid = flat(prt.id).astype(np.int64)
    status = flat(prt.status)
    columns = {"px": flat(prt.p.px), "py": flat(prt.p.py), "pz": flat(prt.p.pz), "mass": flat(prt.m)}
    vertex = prt.vProd
    for name, component in (("vx", "px"), ("vy", "py"), ("vz", "pz"), ("vt", "e")):
        columns[name] = flat(ak.fill_none(vertex[component], 0.0, axis=None))
    for name, link in (("m1", "mother1"), ("m2", "mother2"), ("d1", "daughter1"), ("d2", "daughter2")):
        columns[name] = flat(prt[link]).astype(np.int32) - 1
    columns["m2"] = np.where(columns["m2"] == columns["m1"], -1, columns["m2"])  # a single mother, as in Delphes
    columns["d2"] = np.where(columns["d2"] < 0, columns["d1"], columns["d2"])
    row = np.repeat(offsets[:-1], np.diff(offsets)) + columns["d1"]
    daughter = np.where(columns["d1"] >= 0, pdgid[np.where(columns["d1"] >= 0, row, 0)], 0)
    columns = {"pdgid": pdgid, "status": status_hepmc(pdgid, status, daughter), **columns}
    return GenColumns(columns, offsets, np.arange(first, first + len(offsets) - 1), stream)


def _batch(events: ak.Array, gen: GenColumns, pythia: Any) -> ak.Array:
    info, run, n = events.info, pythia.infoPython(), len(gen)
    names = {"alpha_qed": "alphaEM", "alpha_qcd": "alphaS", "id1": "id1", "id2": "id2", "x1": "x1", "x2": "x2"}
    numbers = {column: ak.to_numpy(info[field]) for column, field in (names | {"pdf1": "pdf1", "pdf2": "pdf2"}).items()}
    numbers["scale_pdf"] = np.sqrt(ak.to_numpy(info["Q2Fac"]))
    numbers["scale"] = np.sqrt(ak.to_numpy(info["Q2Ren"]))
    numbers["cross_section"] = np.full(n, run.sigmaGen() * MB_TO_PB)  # of the events so far, as in HepMC files
    numbers["cross_section_error"] = np.full(n, run.sigmaErr() * MB_TO_PB)
    weights = ak.to_numpy(ak.to_regular(info.weights)).astype(np.float64)
    return gen_batch(gen, info=numbers, weights=weights, weight_names=list(run.weightNameVector()), source="Pythia 8")
