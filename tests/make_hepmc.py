# SPDX-License-Identifier: MIT
"""Write the bundled top pairs as HepMC3 text: `python tests/make_hepmc.py OUT [N]`.

The sample keeps stable particles only: each event is two protons, one vertex, and all of them.
"""

from __future__ import annotations

import sys

import awkward as ak
import hepgen_fastsim as hf
import numpy as np
import pyhepmc


def main(out: str, n: int) -> None:
    beam = 6500.0
    with pyhepmc.open(out, "w", format="hepmc3") as file:
        for gen in hf.read(hf.sample()):
            for number, particles in zip(gen.event[:n], gen.particles[:n]):
                event = pyhepmc.GenEvent(pyhepmc.Units.GEV, pyhepmc.Units.MM)
                event.event_number = int(number)
                event.weights = [1.0]
                vertex = pyhepmc.GenVertex((0, 0, 0, 0))
                for pz in (beam, -beam):
                    vertex.add_particle_in(pyhepmc.GenParticle((0, 0, pz, beam), 2212, 4))
                columns = [ak.to_numpy(x) for x in (particles.px, particles.py, particles.pz, particles.energy)]
                for p4, code in zip(np.stack(columns, 1).tolist(), particles.pdgid.to_list()):
                    vertex.add_particle_out(pyhepmc.GenParticle(tuple(p4), code, 1))
                event.add_vertex(vertex)
                file.write(event)
            return


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10)
