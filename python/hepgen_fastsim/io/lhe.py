# SPDX-License-Identifier: MIT
"""Parton-level events as Les Houches (LHE) or HepMC3 text, so that a shower can take them.

Les Houches files follow hep-ph/0609017: `Pythia`, `Herwig` and `MadGraph`'s tools read them. HepMC files have the same
records as Asciiv3, with the beam protons in front and no remnants.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.io.hard_process import HardEvents, generated_process
from hepgen_fastsim.io.part_file import Output

__all__ = ["PartonSets", "PartonWriter", "parton_format"]

_SUFFIXES = {".lhe": "lhe", ".lhe.gz": "lhe", ".hepmc": "hepmc", ".hepmc.gz": "hepmc", ".hepmc3": "hepmc"}
_HEPMC_STATUS = {-1: 21, 2: 2, 1: 1}
_PROTON_MASS = 0.938272


def parton_format(path: str | os.PathLike[str]) -> str | None:
    """ "lhe" or "hepmc" by the suffix of a file's name; None for any other."""
    name = os.fspath(path).lower()
    return next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), None)


class PartonWriter(Output):
    """Writes `HardEvents` to a file.

    Parameters
    ----------
    path
        .lhe, .lhe.gz, .hepmc, .hepmc.gz or .hepmc3
    cross_section
        of the sample and its error, pb; 0 says that it is not known (Pythia then gives none either)
    e_cm
        energy of the two proton beams together, GeV
    overwrite
        replace a file of that name, at the very end
    provenance
        numbers and strings to keep in the file's header

    Raises InputError if the suffix is another or the file exists, Error if it cannot be written.

    >>> with PartonWriter("tops.lhe.gz", cross_section=(471.0, 0.2)) as out:
    ...     out.write(hard_process(pdgid, momenta, mass, initial))
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        cross_section: tuple[float, float] = (0.0, 0.0),
        e_cm: float = 13_000.0,
        overwrite: bool = False,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        found = parton_format(path)
        if found is None:
            raise InputError(f"expected a file name that ends in {', '.join(_SUFFIXES)}; found {os.fspath(path)}.")
        super().__init__(path, overwrite=overwrite)
        self.format, self.e_cm = found, e_cm
        self._file: Any = self._part.file
        if os.fspath(path).endswith(".gz"):
            self._file = gzip.GzipFile(filename="", fileobj=self._part.file, mode="wb", compresslevel=6, mtime=0)
        text = json.dumps(dict(provenance or {}), default=str).replace("--", "- -")  # XML comments may not have it
        if self.format == "lhe":
            sigma, error = cross_section
            beams = f"2212 2212 {0.5 * e_cm:.8e} {0.5 * e_cm:.8e} 0 0 0 0 3 1"  # weights of one, unweighted
            head = f'<LesHouchesEvents version="1.0">\n<!-- hepgen_fastsim {text} -->\n<init>\n{beams}\n'
            head += f"{sigma:.8e} {error:.8e} {sigma:.8e} 1\n</init>\n"
        else:
            head = "HepMC::Version 3.02.05\nHepMC::Asciiv3-START_EVENT_LISTING\nW Default\nT hepgen_fastsim\\|\\|\n"
        self._write(head)

    def _write(self, text: str) -> None:
        with self._disk():
            self._file.write(text.encode())

    def write(self, events: HardEvents) -> None:
        """Append events. Raises InputError if their beams are others than the file's."""
        if events.e_cm != self.e_cm:
            self.abort()
            raise InputError(f"the file is of beams of {self.e_cm} GeV together, found events of {events.e_cm} GeV.")
        make = _lhe if self.format == "lhe" else _hepmc
        for start in range(0, len(events), 1000):
            stop = min(start + 1000, len(events))
            self._write(make(events, start, stop, self.n_written + start))
        self.n_written += len(events)

    def _finish(self) -> None:
        end = "</LesHouchesEvents>\n" if self.format == "lhe" else "HepMC::Asciiv3-END_EVENT_LISTING\n\n"
        self._file.write(end.encode())
        if self._file is not self._part.file:
            self._file.close()

    def _drop(self) -> None:
        self._file.close()


class PartonSets(PartonWriter):
    """Writes chunks of parton-level events that `hf.Generator` gives.

    `provenance` may have the cross section (`cross_section_pb`) and has the seed, which also chooses colour flows.
    """

    def __init__(self, path: str | os.PathLike[str], overwrite: bool, provenance: Mapping[str, Any]) -> None:
        self._seed = [int(provenance.get("seed", 0)), int(provenance.get("first", 0))]
        sigma = float(provenance.get("cross_section_pb") or 0.0)
        super().__init__(path, cross_section=(sigma, 0.0), overwrite=overwrite, provenance=provenance)

    def write(self, sets: ak.Array) -> None:  # type: ignore[override]
        """Append a chunk."""
        if "particles" not in sets.fields:
            raise InputError(f"{self.format} files are for parton-level events; found {', '.join(sets.fields)}.")
        seed, first = self._seed
        super().write(generated_process(sets, seed=[seed, first + self.n_written]))


def _rows(template: str, columns: list[np.ndarray]) -> list[str]:
    """A line per row of the columns' values."""
    return [template % values for values in zip(*(column.ravel().tolist() for column in columns))]


def _lhe(events: HardEvents, start: int, stop: int, number: int) -> str:
    """Text of the events start ... stop; Les Houches files do not number them."""
    some = slice(start, stop)
    n, size = stop - start, events.pdgid.shape[1]
    every = [np.tile(column, n) for column in (events.status, events.mothers[:, 0], events.mothers[:, 1])]
    colours, p = events.colours[some], events.momenta[some]
    lines = _rows(
        "%9d %2d %4d %4d %4d %4d %+.10e %+.10e %+.10e %.10e %.10e 0. 9.\n",
        [events.pdgid[some], *every, colours[:, :, 0], colours[:, :, 1], *np.moveaxis(p, 2, 0), events.mass[some]],
    )
    electromagnetic, strong = events.alpha
    head = f"<event>\n{size} 1 1.0 %.8e {electromagnetic:.8e} {strong:.8e}\n"
    heads = _rows(head, [events.scale[some]])
    return "".join(f"{heads[i]}{''.join(lines[i * size : (i + 1) * size])}</event>\n" for i in range(n))


def _hepmc(events: HardEvents, start: int, stop: int, number: int) -> str:
    """Text of the events start ... stop, numbered from ``number``. Two protons come before the record."""
    size, beam = events.pdgid.shape[1], 0.5 * events.e_cm
    pz = (beam**2 - _PROTON_MASS**2) ** 0.5
    protons = "".join(
        f"P {i} 0 2212 0 0 {sign}{pz:.10e} {beam:.10e} {_PROTON_MASS} 4\n" for i, sign in ((1, ""), (2, "-"))
    )
    shift = 2  # what the protons move the record's positions by
    before, origin, vertices = [""] * size, [0] * size, 2
    known: dict[tuple[int, int], int] = {}
    for i, (first, last) in enumerate(events.mothers.tolist()):
        if first == 0:
            origin[i] = i + 1  # an incoming parton comes from the proton of its side
        elif first == last:
            origin[i] = first + shift
            vertices += (first, last) not in known
            known[first, last] = origin[i]
        elif (first, last) in known:
            origin[i] = known[first, last]
        else:
            vertices += 1
            known[first, last] = origin[i] = -vertices
            before[i] = f"V {-vertices} 0 [{first + shift},{last + shift}]\n"
    template = "".join(
        f"{before[i]}P {i + 1 + shift} {origin[i]} %d %.10e %.10e %.10e %.10e %.10e {_HEPMC_STATUS[status]}\n"
        for i, status in enumerate(events.status.tolist())
    )
    electromagnetic, strong = events.alpha
    head = f"E %d {vertices} {size + shift}\nU GEV MM\nW 1.0000000000000000000000e+00\nA 0 event_scale %.10e\n"
    head += f"A 0 alphaQCD {strong}\nA 0 alphaQED {electromagnetic}\nA 0 signal_process_id 1\n{protons}"
    numbers = np.concatenate([events.pdgid[..., None], events.momenta, events.mass[..., None]], 2)  # [n, R, 6]
    return "".join(
        head % (number + i - start, events.scale[i]) + template % tuple(numbers[i].ravel().tolist())
        for i in range(start, stop)
    )
