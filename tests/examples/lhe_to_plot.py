# SPDX-License-Identifier: MIT
"""From MadGraph's partons to a plot: Les Houches events, shower and hadrons by Pythia, our detector, dimuon mass.

python lhe_to_plot.py events.lhe[.gz] mass.png
"""

import gzip
import sys

import awkward as ak
import hepgen_fastsim as hf
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

lhe, picture = sys.argv[1:3]
with (gzip.open if lhe.endswith(".gz") else open)(lhe, "rt") as file:
    events = sum("<event>" in line for line in file)

pythia = ["Beams:frameType = 4", f"Beams:LHEF = {lhe}"]  # 4: the hard process comes from the file
sim = hf.FastSim("delphes-cms", seed=42)
masses = {"generated": [], "reconstructed": []}
for gen in hf.read_pythia(pythia, n_events=events, seed=1):
    reco = sim(gen)
    found = hf.reconstruct(reco, gen, card="cms", seed=42)  # jets, electrons, muons, photons, missing energy
    true = gen.particles[(gen.particles.status == 1) & (abs(gen.particles.pdgid) == 13) & (gen.particles.pt > 10)]
    for name, muons in (("generated", true), ("reconstructed", found.muons)):
        muons = muons[ak.num(muons) == 2]
        masses[name].append(ak.to_numpy((muons[:, 0] + muons[:, 1]).mass))

for name, parts in masses.items():
    plt.hist(ak.concatenate(parts), bins=30, range=(60, 120), histtype="step", label=f"{name} ({sum(map(len, parts))})")
plt.xlabel("dimuon mass [GeV]")
plt.ylabel("events")
plt.legend()
plt.savefig(picture)
print(", ".join(f"{name} {sum(map(len, parts))}" for name, parts in masses.items()), "pairs of", events, "events")
