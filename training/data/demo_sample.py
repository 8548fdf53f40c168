# SPDX-License-Identifier: MIT
"""Make the demo's small GEN sample, for machines without Pythia: stable particles of top pairs, rounded, as Parquet.

python -m training.data.demo_sample               # writes demo/sample_ttbar.pq
"""

from __future__ import annotations

import argparse
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hepgen_fastsim.demo import PYTHIA_SETTINGS
from hepgen_fastsim.io import read_pythia

OUTPUT = Path(__file__).parents[2] / "python" / "hepgen_fastsim" / "demo" / "sample_ttbar.pq"
MAX_ETA = 5.2


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Values with so many bits of mantissa, float32."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.rint(mantissa * 2**bits) / 2**bits, exponent).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.data.demo_sample", description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    (gen,) = read_pythia(PYTHIA_SETTINGS, options.events, batch_size=options.events, seed=options.seed)
    p = gen.particles[gen.particles.status == 1]
    p = p[(p.pt > 0) & (abs(p.eta) < MAX_ETA)]
    offsets = pa.array(np.concatenate([[0], np.cumsum(ak.num(p.pdgid))]), pa.int32())

    def column(values: np.ndarray) -> pa.Array:
        return pa.ListArray.from_arrays(offsets, pa.array(values))

    flat = {name: ak.to_numpy(ak.flatten(getattr(p, name))) for name in ("pdgid", "pt", "eta", "phi", "vx", "vy", "vz")}
    columns = {"gen_pdgid": column(flat["pdgid"]), "gen_pt": column(rounded(flat["pt"], 12))}
    columns |= {f"gen_{k}": column((np.rint(flat[k] * 2**11) / 2**11).astype(np.float32)) for k in ("eta", "phi")}
    for name in ("vx", "vy", "vz"):
        columns[f"gen_{name}"] = column(rounded(np.where(np.abs(flat[name]) < 1e-3, 0.0, flat[name]), 8))
    pq.write_table(pa.table(columns), options.output, compression="zstd", compression_level=19)
    print(f"{options.output}: {options.events} events, {options.output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
