# SPDX-License-Identifier: MIT
"""An analysis with coffea: jets, b-tags and dimuons of simulated files, on all cores or on a Dask cluster.

    python coffea_analysis.py FILE.root… [--executor futures|dask] [--workers N]

Works on both forms that `hepgen-fastsim simulate` writes; prints the yields.
"""

from __future__ import annotations

import argparse

import awkward as ak
import hist
import uproot
from coffea import processor
from coffea.nanoevents import DelphesSchema
from hepgen_fastsim.io.coffea_schema import FlatDelphesSchema


class Analysis(processor.ProcessorABC):
    """Counts events and b-tagged jets; spectra of jet pt and of the mass of muon pairs."""

    def process(self, events):
        jets = events.Jet[abs(events.Jet.eta) < 2.5]
        muons = events.Muon[ak.num(events.Muon) >= 2]
        pairs = ak.combinations(muons, 2)
        pairs = pairs[pairs["0"].Charge + pairs["1"].Charge == 0]
        mass = (pairs["0"] + pairs["1"]).mass
        jet_pt = hist.Hist.new.Reg(20, 0, 400, name="pt", label="jet pt [GeV]").Double()
        pair_mass = hist.Hist.new.Reg(60, 60, 120, name="mass", label="dimuon mass [GeV]").Double()
        jet_pt.fill(ak.flatten(jets.pt))
        pair_mass.fill(ak.flatten(mass))
        return {
            "events": len(events),
            "jets": int(ak.sum(ak.num(jets))),
            "b_tagged": int(ak.sum(jets.BTag > 0)),
            "met": float(ak.sum(events.MissingET.MET)),
            "jet_pt": jet_pt,
            "pair_mass": pair_mass,
        }

    def postprocess(self, accumulator):
        return accumulator


def schema_of(path):
    """coffea's own schema for true TClonesArrays, ours for flat files."""
    with uproot.open(path) as file:
        return DelphesSchema if "Jet/Jet.PT" in file["Delphes"] else FlatDelphesSchema


def analyse(files, executor="futures", workers=2):
    """Run the analysis over files; returns what `Analysis.process` does, summed."""
    runner = {"schema": schema_of(files[0]), "chunksize": 500, "savemetrics": False}
    fileset = {"sample": {"files": dict.fromkeys(files, "Delphes")}}
    if executor == "futures":
        run = processor.Runner(processor.FuturesExecutor(workers=workers, status=False), **runner)
        return run(fileset, Analysis())
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        run = processor.Runner(processor.DaskExecutor(client=client, status=False), **runner)
        return run(fileset, Analysis())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--executor", choices=("futures", "dask"), default="futures")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    options = parser.parse_args()
    found = analyse(options.files, options.executor, options.workers)
    print({name: value for name, value in found.items() if not isinstance(value, hist.Hist)})


if __name__ == "__main__":
    main()
