# SPDX-License-Identifier: MIT
from pathlib import Path

import numpy as np
import pytest
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.enumeration import graph_set, select_graphs
from hepgen_fastsim.metrics.graphs import canonical_form, components, multigraph
from hypothesis import given, settings
from hypothesis import strategies as st

REFERENCE = Path(__file__).with_name("efp_reference.npz")


def test_order_is_that_of_energyflow():
    order = np.load(REFERENCE)["order"]
    ours = [" ".join(f"{i:x}{j:x}" for i, j in graph.edges) for graph in select_graphs("d<=5")]
    assert ours == order.tolist()


@pytest.mark.parametrize(("degree", "n"), [(0, 1), (1, 2), (2, 5), (3, 13), (4, 36), (5, 102), (6, 314), (7, 1000)])
def test_number_of_graphs_is_the_known_one(degree, n):
    # OEIS A050535: 1, 1, 3, 8, 23, 66, 212, 686 loopless multigraphs with d edges
    assert len(graph_set(degree)) == n


def test_graphs_of_a_set_are_different():
    forms = set()
    for graph in graph_set(5):
        parts = []
        for part in components(graph):
            edges = tuple(dict.fromkeys(part.edges))
            parts.append(canonical_form(part.n, edges, [part.edges.count(edge) for edge in edges]))
        forms.add(tuple(sorted(parts)))
    assert len(forms) == 102


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 7), st.data())
def test_canonical_form_knows_isomorphism(n, data):
    pairs = [(i, j) for i in range(n) for j in range(i)]
    edges = tuple(data.draw(st.lists(st.sampled_from(pairs), unique=True, min_size=1)))
    weights = data.draw(st.lists(st.integers(1, 2), min_size=len(edges), max_size=len(edges)))
    relabel = data.draw(st.permutations(range(n)))
    order = data.draw(st.permutations(range(len(edges))))
    moved = tuple((relabel[edges[k][0]], relabel[edges[k][1]]) for k in order)
    form = canonical_form(n, edges, weights)
    assert form == canonical_form(n, moved, [weights[k] for k in order])
    assert form != canonical_form(n, edges, [weights[0] + 1, *weights[1:]])


def test_selection_by_columns():
    assert [g.edges for g in select_graphs("n==4, d==4, p==1")] == [
        ((0, 1), (0, 2), (0, 2), (0, 3)),
        ((0, 1), (0, 2), (0, 2), (1, 3)),
        ((0, 1), (0, 1), (0, 2), (1, 3)),
        ((0, 1), (0, 2), (1, 2), (0, 3)),
        ((0, 1), (0, 2), (1, 3), (2, 3)),
    ]
    assert len(select_graphs("d<5")) == 36
    assert all(g.p == 1 for g in select_graphs("d<=5,p==1"))
    star = multigraph([(0, 1), (0, 2), (0, 2)])
    assert (star.n, star.e, star.d, star.v, star.p, star.h) == (3, 2, 3, 3, 1, 1)


@pytest.mark.parametrize("selection", ["", "all", "d<=x", "q==3, d<=4", "d=5", "n==4", "d>=3", "d<=11"])
def test_unknown_selection_is_refused(selection):
    with pytest.raises(InputError, match="d"):
        select_graphs(selection)


def test_bad_edges_are_refused():
    with pytest.raises(InputError, match="no loops"):
        multigraph([(1, 1)])
    with pytest.raises(InputError, match="pair of vertex numbers"):
        multigraph([(0, 1, 2)])
    with pytest.raises(InputError, match="pair of vertex numbers"):
        multigraph([(0, 0.5)])
    with pytest.raises(InputError, match="start at 0"):
        multigraph([(-1, 0)])


def test_vertices_are_renumbered():
    assert multigraph([(7, 3), (3, 9)]).edges == ((0, 1), (0, 2))
    assert [part.edges for part in components(multigraph([(0, 2), (1, 3)]))] == [((0, 1),), ((0, 1),)]
