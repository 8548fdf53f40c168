# SPDX-License-Identifier: MIT
"""Small GEN events that tests share."""

from __future__ import annotations

from collections.abc import Sequence

import awkward as ak
import numpy as np
from hepgen_fastsim.events import GenColumns, gen_batch

CODES = np.array([211, -211, 22, 11, -13, 130, 2212, 12])
WEIGHT_NAMES = ["nominal", "muR=2.0 muF=1.0"]


def columns(n_events: int = 20, seed: int = 1, mean: float = 12) -> dict[str, np.ndarray]:
    """Flat columns with offsets: pdgid, status (a quarter decayed), px, py, pz, vx, vy, vz, vt, m1, m2, d1, d2."""
    rng = np.random.default_rng(seed)
    sizes = rng.poisson(mean, n_events)
    n = int(sizes.sum())
    out: dict[str, np.ndarray] = {"offsets": np.concatenate([[0], np.cumsum(sizes)])}
    out["pdgid"] = rng.choice(CODES, n)
    out["status"] = np.where(rng.random(n) < 0.25, 2, 1).astype(np.int32)
    pt, eta, phi = rng.exponential(5, n), rng.normal(0, 1.5, n), rng.uniform(-np.pi, np.pi, n)
    out |= {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta)}
    out |= {name: np.where(rng.random(n) < 0.2, rng.normal(0, 10, n), 0.0) for name in ("vx", "vy", "vz", "vt")}
    out |= {name: rng.integers(-1, 5, n).astype(np.int32) for name in ("m1", "m2", "d1", "d2")}
    return out


def gen(n_events: int = 20, seed: int = 1, mean: float = 12) -> ak.Array:
    """A full GEN batch with two weights."""
    flat = columns(n_events, seed, mean)
    rng = np.random.default_rng(seed)
    return gen_batch(
        GenColumns({k: v for k, v in flat.items() if k != "offsets"}, flat["offsets"], np.arange(n_events)),
        info={
            "number": 100 + np.arange(n_events),
            "process_id": np.full(n_events, 601),
            "cross_section": np.full(n_events, 494.5),
            "scale": rng.uniform(50, 200, n_events),
            "x1": rng.random(n_events),
            "id1": np.full(n_events, 21),
        },
        weights=rng.normal(1, 0.1, (n_events, 2)),
        weight_names=WEIGHT_NAMES,
        source="sample",
    )


def hepmc(events: Sequence[Sequence[tuple]], end: bool = True) -> str:
    """HepMC3 text; each event is a list of particles (pdgid, px, py, pz, E, m) or the same with a status."""
    lines = ["HepMC::Version 3.02.06", "HepMC::Asciiv3-START_EVENT_LISTING", "W Weight muR"]
    for number, event in enumerate(events):
        if not event:
            lines += [f"E {number} 0 0", "U GEV MM", "W 1.0 0.5"]
            continue
        lines += [
            f"E {number} 1 {len(event) + 1}",
            "U GEV MM",
            "W 1.0 0.5",
            "P 1 0 2212 0 0 6500 6500 0.938 4",
            "V -1 0 [1]",
        ]
        for i, (pdgid, px, py, pz, e, m, *status) in enumerate(event):
            lines.append(f"P {i + 2} -1 {pdgid} {px} {py} {pz} {e} {m} {status[0] if status else 1}")
    if end:
        lines.append("HepMC::Asciiv3-END_EVENT_LISTING")
    return "\n".join(lines) + "\n"


def pions(n: int, seed: int = 1) -> list[tuple]:
    """Particles for `hepmc`: n charged pions."""
    rng = np.random.default_rng(seed)
    px, py, pz = rng.normal(0, 3, (3, n))
    e = np.sqrt(px**2 + py**2 + pz**2 + 0.13957**2)
    return [(211, f"{px[i]:.9f}", f"{py[i]:.9f}", f"{pz[i]:.9f}", f"{e[i]:.9f}", 0.13957) for i in range(n)]
