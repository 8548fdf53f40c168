# SPDX-License-Identifier: MIT
"""Reference values of energy flow polynomials, computed by the energyflow package: writes them, or checks ours.

energyflow needs numpy < 2 and therefore an environment of its own, in which the package is found in the sources:

    python -m venv ef && ef/bin/pip install "numpy<2" energyflow mpmath numba
    ef/bin/python tests/metrics/oracle_energyflow.py            # writes efp_reference.npz, which the tests read
    ef/bin/python tests/metrics/oracle_energyflow.py --check    # compares ours with energyflow, here and now

The check covers jets of 1 to 200 particles, all measures and betas, and that the stored file is what energyflow
says; it ends with status 1 if any relative difference is above 1e-10.

Angles of the measure hadr are energyflow's own. Those of hadrdot and ee are 2 p_i p_j from four-vectors, a
difference of large numbers: in float64 energyflow leaves 1e-16 where massless collinear particles should give 0,
and beta = 0.5 makes 1e-4 of that. For these measures the angles are therefore computed here with 60 digits, and
energyflow contracts them.
"""

import argparse
import sys
from pathlib import Path

import energyflow
import mpmath
import numpy as np

mpmath.mp.dps = 60
BETAS = (0.5, 1.0, 2.0)
TOLERANCE = 1e-10
STORED = Path(__file__).with_name("efp_reference.npz")


def jet(rng, n, massive):
    """n particles (pt, y, phi, m) of a jet near phi = pi; the last of four or more is a copy of the first's
    direction, and one before it has no momentum."""
    particles = np.zeros((n, 4))
    particles[:, 0] = rng.exponential(20.0, n) + 0.1
    particles[:, 1] = 0.7 + rng.normal(0, 0.3, n)
    particles[:, 2] = (np.pi + rng.normal(0, 0.3, n) + np.pi) % (2 * np.pi) - np.pi
    if n >= 4:
        particles[-1, 1:3] = particles[0, 1:3]
        particles[-2, 0] = 0.0
    if massive:
        particles[:, 3] = rng.choice([0.0, 0.13957, 0.93827], n)
        if n >= 4:
            particles[-1, 3] = particles[0, 3]
            particles[-2, 3] = 0.0
    return particles


def four_vectors(particles):
    """(E, px, py, pz) with 60 digits."""
    rows = []
    for pt, y, phi, m in particles:
        pt, y, phi, m = (mpmath.mpf(float(x)) for x in (pt, y, phi, m))
        transverse = mpmath.sqrt(pt**2 + m**2)
        rows.append(
            (transverse * mpmath.cosh(y), pt * mpmath.cos(phi), pt * mpmath.sin(phi), transverse * mpmath.sinh(y))
        )
    return rows


def weights_and_angles(particles, measure, beta, kappa, normed):
    particles = particles[particles[:, 0] > 0]
    p = four_vectors(particles)
    scale = [mpmath.mpf(float(pt)) for pt in particles[:, 0]] if measure == "hadrdot" else [row[0] for row in p]
    n = len(p)
    theta = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            a, b = p[i], p[j]
            dot = a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3]
            square = 2 * dot / (scale[i] * scale[j])
            theta[i, j] = theta[j, i] = float(abs(square) ** mpmath.mpf(beta / 2)) if abs(square) > 1e-40 else 0.0
    z = np.array([float(x) for x in scale]) ** kappa
    return (z / np.sum([float(x) for x in scale]) ** kappa if normed else z), theta


def reference(full):
    """Arrays of the reference file: graphs, names of the cases, and for each its jet and its polynomials."""
    rng = np.random.default_rng(20240601)
    every = energyflow.EFPSet("d<=7").graphs()
    low = [list(g) for g in every if len(g) <= 5]
    high = [list(every[k]) for k in range(0, len(every), 29) if len(every[k]) > 5]
    k4 = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    high += [k4, [*k4, (3, 4)], [*k4, (2, 3)]]
    out = {"order": np.array([" ".join(f"{i:x}{j:x}" for i, j in g) for g in low])}
    sizes = (1, 2, 3, 7, 30, 100, 200) if full else (1, 6)
    cases = [("hadr", beta, True, 1.0) for beta in BETAS] + [("hadrdot", 1.0, True, 1.0), ("ee", 0.5, False, 1.0)]
    if full:
        cases = [(m, beta, True, 1.0) for m in ("hadr", "hadrdot", "ee") for beta in BETAS]
        cases += [
            ("hadr", 1.0, False, 1.0),
            ("hadr", 1.0, True, 2.0),
            ("ee", 1.0, True, 0.5),
            ("hadrdot", 4.0, False, 1.0),
        ]
        cases += [("hadr", 0.7, True, 1.0)]
    names = []
    for k, (measure, beta, normed, kappa) in enumerate(cases):
        for n in sizes:
            graphs = low + (high if n <= 30 else high[:8])  # the complete graph of four costs n^4
            particles = jet(rng, n, massive=measure != "hadr" and n % 2 == 0)
            options = {"measure": measure, "beta": beta, "normed": normed, "kappa": kappa}
            values = []
            own = None if measure == "hadr" else weights_and_angles(particles, measure, beta, kappa, normed)
            for graph in graphs:
                efp = energyflow.EFP(graph, coords="ptyphim", **options)
                values.append(efp.compute(particles) if own is None else efp.compute(zs=own[0], thetas=own[1]))
            names.append(f"{measure}/{beta}/{int(normed)}/{kappa}/{n}")
            out[f"jet/{k}/{n}"], out[f"efp/{k}/{n}"] = particles, np.array(values)
    out["graphs"] = np.array([" ".join(f"{i:x}{j:x}" for i, j in g) for g in low + high])
    out["names"] = np.array(names)
    return out


def difference(found, expected):
    """Largest relative difference; infinite where only one of the two is 0, or either is not finite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(found == expected, 0.0, np.abs(found / expected - 1))
    return float(np.nan_to_num(ratio, nan=np.inf).max())


def check():
    """Largest relative difference by case, of ours to energyflow and of the stored file to energyflow."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "python"))
    from hepgen_fastsim.metrics.efp import efps

    theirs, stored, fresh = reference(full=True), np.load(STORED), reference(full=False)
    graphs = [[tuple(int(c, 16) for c in edge) for edge in text.split()] for text in theirs["graphs"]]
    names = [name.split("/") for name in theirs["names"]]
    n_sizes, found = len({name[-1] for name in names}), {}
    for k, (measure, beta, normed, kappa, n) in enumerate(names):
        particles, expected = (theirs[f"{kind}/{k // n_sizes}/{n}"] for kind in ("jet", "efp"))
        options = {"beta": float(beta), "measure": measure, "normed": normed == "1", "kappa": float(kappa)}
        ours = efps([particles], graphs[: len(expected)], coords="ptyphim", **options)[0]
        found[theirs["names"][k]] = difference(ours, expected)
    numbers = [key for key in fresh if key.startswith(("jet", "efp"))]
    found[STORED.name] = max(difference(stored[key], fresh[key]) for key in numbers)
    if any((stored[key] != fresh[key]).any() for key in ("graphs", "names", "order")):
        found[STORED.name] = np.inf
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=STORED)
    parser.add_argument("--check", action="store_true", help="write nothing; compare ours with energyflow")
    options = parser.parse_args()
    if not options.check:
        np.savez_compressed(options.output, **reference(full=False))
        print(f"{options.output}: {options.output.stat().st_size / 1024:.0f} kB")
        return
    found = check()
    wrong = [f"{name}: {value:.1e}" for name, value in found.items() if not value <= TOLERANCE]
    print(f"{len(found)} cases, largest relative difference {max(found.values()):.1e}")
    if wrong:
        raise SystemExit(f"{len(wrong)} cases differ by more than {TOLERANCE}:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
