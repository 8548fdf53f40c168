# SPDX-License-Identifier: MIT
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.efp import efps
from hepgen_fastsim.metrics.enumeration import graph_set
from hepgen_fastsim.metrics.graphs import multigraph
from hepgen_fastsim.metrics.plan import Op, compile_plan
from hypothesis import given, settings
from hypothesis import strategies as st

REFERENCE = Path(__file__).with_name("efp_reference.npz")
EXAMPLES = settings(deadline=None, max_examples=20)
K4 = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
K5 = [(i, j) for j in range(5) for i in range(j)]


def random_jet(seed, n=12, massive=False):
    rng = np.random.default_rng(seed)
    particles = np.stack(
        [rng.exponential(10, n) + 0.1, rng.normal(0.5, 0.3, n), rng.normal(3.0, 0.3, n), np.zeros(n)], axis=1
    )
    if massive:
        particles[:, 3] = rng.choice([0.0, 0.14, 0.94], n)
    return particles


def by_einsum(graph, z, theta):
    """The definition, vertex by vertex."""
    graph = multigraph(graph)
    operands = [x for k, (i, j) in enumerate(graph.edges) for x in (theta, [i, j])]
    operands += [x for i in range(graph.n) for x in (z, [i])]
    return np.einsum(*operands, [], optimize="greedy")


def test_values_are_those_of_energyflow():
    """On small jets; `oracle_energyflow.py --check` compares those of up to 200 particles."""
    reference = np.load(REFERENCE)
    graphs = [[tuple(int(c, 16) for c in edge) for edge in text.split()] for text in reference["graphs"]]
    names = [name.split("/") for name in reference["names"]]
    n_sizes = len({name[-1] for name in names})
    for k, (measure, beta, normed, kappa, n) in enumerate(names):
        expected = reference[f"efp/{k // n_sizes}/{n}"]
        jet = reference[f"jet/{k // n_sizes}/{n}"]
        found = efps(
            [jet], graphs[: len(expected)], float(beta), measure, normed == "1", float(kappa), coords="ptyphim"
        )[0]
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=0, err_msg=f"{measure} {beta} {n}")


@EXAMPLES
@given(st.integers(2, 6), st.data())
def test_any_multigraph_by_definition(n_vertices, data):
    pairs = [(i, j) for j in range(n_vertices) for i in range(j)]
    graph = data.draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=12))
    jet = random_jet(data.draw(st.integers(0, 100)), n=data.draw(st.integers(1, 5)))
    z = jet[:, 0] / jet[:, 0].sum()
    theta = np.hypot(jet[:, None, 1] - jet[None, :, 1], jet[:, None, 2] - jet[None, :, 2])
    np.testing.assert_allclose(efps([jet], [graph])[0, 0], by_einsum(graph, z, theta), rtol=1e-12, atol=1e-300)


def test_complete_graphs_need_loops_and_are_right():
    jet = random_jet(3, n=7)
    z = jet[:, 0] / jet[:, 0].sum()
    theta = np.hypot(jet[:, None, 1] - jet[None, :, 1], jet[:, None, 2] - jet[None, :, 2])
    prism = [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (0, 3), (1, 4), (2, 5)]
    graphs = [K4, [*K4, (3, 4), (0, 1)], K5, prism, [*K5, (4, 5)], [(0, 1)]]
    expected = [by_einsum(graph, z, theta) for graph in graphs]
    np.testing.assert_allclose(efps([jet], graphs)[0], expected, rtol=1e-12)
    assert Op.LOOP in compile_plan(tuple(multigraph(g) for g in graphs)).code[:, 0]


def test_two_prongs_by_hand():
    # z = 0.7, 0.3 at distance 0.5: a graph is a sum over its colourings with two colours, none for an odd cycle
    jet = np.array([[70.0, 0.0, 0.0], [30.0, 0.3, 0.4]])
    graphs = [[], [(0, 1)], [(0, 1), (0, 2)], [(0, 1), (1, 2), (0, 2)], [(0, 1), (2, 3)], [(0, 1)] * 3]
    line = 2 * 0.7 * 0.3 * 0.5
    expected = [1, line, 0.25 * (0.7 * 0.3**2 + 0.3 * 0.7**2), 0, line**2, 2 * 0.7 * 0.3 * 0.125]
    np.testing.assert_allclose(efps([jet], graphs)[0], expected, rtol=1e-14)


def test_d5_takes_four_symmetric_products():
    assert compile_plan(graph_set(4)).n_matrix_products == 0.5
    assert compile_plan(graph_set(5)).n_matrix_products == 2.0


@EXAMPLES
@given(st.integers(0, 1000), st.sampled_from(["hadr", "hadrdot", "ee"]), st.sampled_from([0.5, 1.0, 2.0]))
def test_order_of_particles_and_rotation_do_not_matter(seed, measure, beta):
    rng = np.random.default_rng(seed)
    jet = random_jet(seed, massive=measure != "hadr")
    moved = jet[rng.permutation(len(jet))]
    moved[:, 2] = (moved[:, 2] + rng.uniform(-10, 10) + np.pi) % (2 * np.pi) - np.pi
    a, b = efps([jet, moved], beta=beta, measure=measure, coords="ptyphim")
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-15)


@EXAMPLES
@given(st.integers(0, 1000), st.floats(-3, 3), st.sampled_from(["hadr", "hadrdot"]))
def test_hadronic_measures_ignore_boosts_along_the_beam(seed, rapidity, measure):
    jet = random_jet(seed, massive=True)
    boosted = jet + [0, rapidity, 0, 0]
    a, b = efps([jet, boosted], measure=measure)
    np.testing.assert_allclose(a, b, rtol=1e-9)


@EXAMPLES
@given(st.integers(0, 1000))
def test_ee_measure_ignores_rotations_in_space(seed):
    rng = np.random.default_rng(seed)
    momenta = rng.normal(0, 10, (8, 3))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    energy = np.sqrt((momenta**2).sum(axis=1, keepdims=True) + 0.14**2)
    jets = [np.hstack([energy, momenta]), np.hstack([energy, momenta @ rotation.T])]
    a, b = efps(jets, measure="ee")
    np.testing.assert_allclose(a, b, rtol=1e-9)


@EXAMPLES
@given(st.integers(0, 1000), st.sampled_from(["hadr", "hadrdot", "ee"]), st.booleans())
def test_infrared_and_collinear_safety(seed, measure, normed):
    rng = np.random.default_rng(seed)
    jet = random_jet(seed)
    soft = np.vstack([jet, [1e-12, rng.normal(0.5, 0.3), rng.normal(3.0, 0.3), 0.0]])
    split = np.vstack([jet, jet[:1]])
    fraction = rng.uniform()
    split[0, 0] *= fraction
    split[-1, 0] *= 1 - fraction
    a, b, c = efps([jet, soft, split], beta=0.5, measure=measure, normed=normed, coords="ptyphim")
    np.testing.assert_allclose(b, a, rtol=1e-9)
    np.testing.assert_allclose(c, a, rtol=1e-9)


def test_massless_collinear_particles_have_no_angle_in_any_measure():
    jet = np.array([[3.0, 2.1, -1.3, 0.0], [5.0, 2.1, -1.3, 0.0]])
    for measure in ("hadr", "hadrdot", "ee"):
        assert efps([jet], [[(0, 1)]], 0.5, measure, coords="ptyphim")[0, 0] == 0.0
    four = np.array([[5.0, 3.0, 0.0, 4.0], [10.0, 6.0, 0.0, 8.0]])
    assert efps([four], [[(0, 1)]], 0.5, "ee")[0, 0] == 0.0


def test_measures_agree_at_small_angles():
    rng = np.random.default_rng(0)
    jet = np.zeros((20, 4))
    jet[:, 0], jet[:, 1:3] = rng.exponential(1, 20), rng.normal(0, 1e-5, (20, 2))
    hadr, dot, ee = (efps([jet], measure=m, coords="ptyphim")[0] for m in ("hadr", "hadrdot", "ee"))
    np.testing.assert_allclose(dot, hadr, rtol=1e-8)
    np.testing.assert_allclose(ee, hadr, rtol=1e-8)


def test_every_form_of_input_gives_the_same():
    jets = [random_jet(k, n) for k, n in enumerate((3, 0, 1, 20, 7))]
    expected = efps(jets, "d<=3", normed=False)
    padded = np.zeros((5, 20, 4))
    for k, jet in enumerate(jets):
        padded[k, : len(jet)] = jet
    np.testing.assert_array_equal(efps(padded, "d<=3", normed=False), expected)
    np.testing.assert_array_equal(efps(padded[..., :3], "d<=3", normed=False), expected)
    garbage = np.where(padded[..., :1] > 0, padded, -7.0)
    np.testing.assert_array_equal(efps(garbage, "d<=3", normed=False, mask=padded[..., 0] > 0), expected)
    ragged = ak.Array([jet[:, :3].tolist() for jet in jets])
    np.testing.assert_array_equal(efps(ragged, "d<=3", normed=False), expected)
    columns = [ak.Array([jet[:, c].tolist() for jet in jets]) for c in range(4)]
    records = ak.zip(dict(zip(("pt", "eta", "phi", "mass"), columns)))
    np.testing.assert_array_equal(efps(records, "d<=3", normed=False), expected)
    # the same particles as four-vectors
    pt, y, phi = columns[:3]
    cartesian = ak.zip({"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(y), "E": pt * np.cosh(y)})
    np.testing.assert_allclose(efps(cartesian, "d<=3", normed=False), expected, rtol=1e-10, atol=1e-300)
    for measure in ("hadrdot", "ee"):
        np.testing.assert_allclose(
            efps(cartesian, "d<=3", 2.0, measure, False),
            efps(records, "d<=3", 2.0, measure, False),
            rtol=1e-9,
            atol=1e-13,
        )


def test_pseudorapidity_and_rapidity_of_massive_particles_differ():
    eta_coords = np.array([[[1.0, 1.0, 0.0, 1.0], [1.0, -1.0, 0.0, 1.0]]])
    y = np.arcsinh(np.sinh(1.0) / np.sqrt(2.0))
    assert efps(eta_coords, [[(0, 1)]], coords="ptetaphim")[0, 0] == pytest.approx(0.5 * 2 * y, rel=1e-14)
    assert efps(eta_coords, [[(0, 1)]])[0, 0] == pytest.approx(0.5 * 2.0, rel=1e-14)


def test_threads_change_nothing():
    jets = [random_jet(k, 5 + k % 40) for k in range(200)]
    np.testing.assert_array_equal(efps(jets, threads=1), efps(jets, threads=3))
    with pytest.raises(InputError, match="at least 1"):
        efps(jets, threads=0)


def test_jets_of_different_sizes_do_not_disturb_each_other():
    jets = [random_jet(k, n) for k, n in enumerate((33, 2, 64, 1, 17, 0, 48))]
    together = efps(jets, "d<=6")
    for k, jet in enumerate(jets):
        np.testing.assert_array_equal(efps([jet], "d<=6")[0], together[k])


def test_empty_and_single_particle_jets():
    alone = random_jet(0, 1)
    out = efps([np.empty((0, 3)), alone[:, :3]], [[], [(0, 1)], [(0, 1), (1, 2)]])
    assert np.isnan(out[0]).all()
    assert out[1].tolist() == [1.0, 0.0, 0.0]
    out = efps([np.empty((0, 3)), alone[:, :3]], [[], [(0, 1)]], normed=False)
    assert out[0].tolist() == [0.0, 0.0]
    assert out[1].tolist() == [alone[0, 0], 0.0]
    assert efps([]).shape == (0, 102)
    assert efps(np.empty((0, 30, 3))).shape == (0, 102)
    massive = np.array([[[2.0, 0.3, 0.1, 1.0]]])  # a massive particle has an angle to itself: 2 m^2 / pT^2
    assert efps(massive, [[(0, 1)]], 2.0, "hadrdot")[0, 0] == pytest.approx(0.5, rel=1e-14)


def test_bad_numbers_are_refused():
    jets = np.ones((4, 5, 3))
    jets[2, 1, 0] = np.nan
    with pytest.raises(InputError, match=r"1 of 4 jets .* jet 2, which has a number that is not finite"):
        efps(jets)
    jets[2, 1, 0] = -1
    with pytest.raises(InputError, match=r"negative pT or E \(-1.0\)"):
        efps(jets)
    jets[2, 1] = [1, np.inf, 0]
    with pytest.raises(InputError, match="not finite"):
        efps(jets)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"measure": "hadronic"}, "measure must be one of hadr, hadrdot, ee, got 'hadronic'"),
        ({"beta": 0.0}, "beta must be a positive number"),
        ({"beta": "1"}, "beta must be a positive number"),
        ({"kappa": float("nan")}, "kappa must be a finite number"),
        ({"coords": "xyz"}, "coords must be one of"),
        ({"graphs": "triangle"}, "got 'triangle'"),
        ({"graphs": ["triangle"]}, "a selection such as 'triangle' stands alone"),
        ({"graphs": 5}, "list of lists of edges"),
        ({"mask": np.ones((2, 3))}, r"mask of jets should have the shape \[4, 5\], got \[2, 3\]"),
    ],
)
def test_bad_arguments_are_refused(arguments, text):
    with pytest.raises(InputError, match=text):
        efps(np.ones((4, 5, 3)), **arguments)


def test_bad_shapes_are_refused():
    with pytest.raises(InputError, match="padded array"):
        efps(np.ones((4, 5)))
    with pytest.raises(InputError, match="jet 1 of jets should have the shape"):
        efps([np.ones((4, 3)), np.ones((4, 5))])
    with pytest.raises(InputError, match="both 3 and 4"):
        efps([np.ones((4, 3)), np.ones((4, 4))])
    with pytest.raises(InputError, match="four columns"):
        efps(np.ones((2, 5, 3)), measure="ee")
    with pytest.raises(InputError, match="needs the fields"):
        efps(ak.Array([[{"pt": 1.0, "phi": 2.0}]]))
    with pytest.raises(InputError, match="one list of particles per jet"):
        efps(ak.Array([{"pt": 1.0, "eta": 0.0, "phi": 2.0}]))
