# SPDX-License-Identifier: MIT
"""Simulate many files at the same time: on this machine, or as jobs of HTCondor or Slurm through dask-jobqueue.

    python simulate_on_cluster.py FILE.hepmc… -o FOLDER [--cluster local|htcondor|slurm] [--jobs N]

Each file becomes FOLDER/NAME.root. A worker is a process with one thread; it loads the model once. Workers of a batch
system need this package installed, and see the files under the same paths.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import hepgen_fastsim as hf


def simulate_file(source: str, output: str, model: str = "delphes-cms", card: str = "cms", seed: int = 1) -> int:
    """Simulate one file; returns the number of events. Pure and picklable: any scheduler can run it.

    Random numbers follow from the seed and the file's own first event: files differ, a repeated job does not.
    """
    with hf.open_output(output, objects=True, overwrite=True, provenance={"model": model, "seed": seed}) as out:
        for gen in hf.read(source, batch_size=500):
            reco = hf.simulate(gen, model=model, seed=seed, device="cpu")
            out.write(gen, reco, hf.reconstruct(reco, gen, card, seed=seed))
        return out.n_written


def make_cluster(kind: str, jobs: int):
    """A Dask cluster with `jobs` workers of one core each."""
    if kind == "local":
        from dask.distributed import LocalCluster

        return LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
    from dask_jobqueue import HTCondorCluster, SLURMCluster

    job = {"cores": 1, "memory": "2 GB", "job_script_prologue": ["export OMP_NUM_THREADS=1"]}
    cluster = HTCondorCluster(disk="2 GB", **job) if kind == "htcondor" else SLURMCluster(walltime="02:00:00", **job)
    cluster.scale(jobs=jobs)
    return cluster


def simulate_all(files, folder, *, kind="local", jobs=2, **options):
    """Simulate all files on a cluster; returns {output: events}."""
    from dask.distributed import Client

    outputs = [str(Path(folder) / Path(path).name.partition(".")[0]) + ".root" for path in files]
    with make_cluster(kind, jobs) as cluster, Client(cluster) as client:
        counts = client.gather(client.map(simulate_file, files, outputs, pure=False, retries=1, **options))
    return dict(zip(outputs, counts))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER")
    parser.add_argument("--cluster", choices=("local", "htcondor", "slurm"), default="local")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--model", default="delphes-cms")
    options = parser.parse_args()
    Path(options.output).mkdir(parents=True, exist_ok=True)
    done = simulate_all(options.files, options.output, kind=options.cluster, jobs=options.jobs, model=options.model)
    for path, n_events in done.items():
        print(f"{path}: {n_events:,} events")


if __name__ == "__main__":
    main()
