# SPDX-License-Identifier: MIT
"""What the event network computes in a faster way is the same as by the plain one."""

from __future__ import annotations

import pytest
import torch
from hepgen_fastsim import geometry
from hepgen_fastsim.errors import ModelError
from synthetic import gen

from training import export, refresh
from training.networks.calorimeter import Calorimeter
from training.networks.cells import OF_RING, OWN, species_table
from training.networks.flows import mlp
from training.networks.hepic import Hepic
from training.networks.segments import segment_argmax, segment_sum, sorted_argmax, sorted_sum


@pytest.mark.parametrize("detector", ["cms", "atlas"])
@pytest.mark.parametrize("layer", [0, 1])
def test_ring_by_table_is_that_by_search(detector, layer):
    calorimeter = Calorimeter(geometry.load(detector).calorimeters[layer], 8, 4)
    edges = calorimeter.eta_edges
    inner = torch.rand(200_000, generator=torch.Generator().manual_seed(0)) * (edges[-1] - edges[0]) + edges[0]
    close = torch.cat([torch.nextafter(edges, torch.tensor(side)) for side in (-9.0, 9.0)])
    eta = torch.cat([edges[1:], close, inner])
    eta = eta[(eta > edges[0]) & (eta <= edges[-1])]
    assert torch.equal(calorimeter.ring_of(eta), torch.bucketize(eta, edges) - 1)


def test_species_by_lowest_bits():
    codes = torch.tensor([11, 12, 13, 22, 211, 130, 310, 1000022, 1000010020])
    keys, positions = species_table(codes)
    n = len(keys)
    assert n & (n - 1) == 0
    assert torch.equal(codes[positions[codes & (n - 1)]], codes)
    assert torch.equal(keys[codes & (n - 1)], codes)
    assert (keys >= 0).sum() == len(codes)


def test_segments_that_lie_in_order():
    random = torch.Generator().manual_seed(1)
    segment = torch.randint(0, 300, (400,), generator=random).unique(return_inverse=True)[1].sort().values
    values = torch.randint(-3, 3, (400,), generator=random).float()  # ties are common
    n, new = int(segment[-1]) + 1, torch.cat([torch.tensor([True]), segment.diff() > 0])
    first, rest = torch.nonzero(new)[:, 0], torch.nonzero(~new)[:, 0]
    assert torch.equal(sorted_sum(values, first, rest, segment[rest]), segment_sum(values[:, None], segment, n)[:, 0])
    assert torch.equal(sorted_argmax(values, first, rest, segment[rest]), segment_argmax(values, segment, n))


def test_first_layer_beforehand():
    torch.manual_seed(2)
    net, table, own = mlp(7, 16, 3), torch.randn(5, 3), torch.randn(40, 4)
    torch.nn.init.normal_(net[4].weight)
    row = torch.randint(0, 5, (40,))
    expected = net(torch.cat([own, table[row]], 1))
    assert torch.allclose(net(own, net.first(table, 4)[row]), expected, atol=1e-6)


def test_outputs_column_by_column():
    torch.manual_seed(3)
    net, features, known = mlp(4, 16, 5), torch.randn(30, 4), torch.randn(30, 16)
    torch.nn.init.normal_(net[4].weight)
    expected, alone = net(features, known), net(features)
    assert torch.allclose(net.columns(features, known.clone()).t(), expected, atol=1e-6)
    assert torch.allclose(net.columns(features).t(), alone, atol=1e-6)
    assert net.columns(features).is_contiguous()


def test_tracks_block_by_block():
    torch.manual_seed(4)
    tracker = Hepic().tracker
    torch.nn.init.normal_(tracker.exists[4].weight)
    kind, pt = torch.randint(0, 3, (50,)), torch.rand(50) * 10 + 0.1
    arguments = (kind, pt, pt * 2, torch.randn(50))
    expected = tracker.logit(*tracker.describe(*arguments))
    for block in (7, 25, 50, 1000):
        assert torch.allclose(tracker.logits(*arguments, block=block), expected, atol=1e-5)
    assert tracker.logits(*(x[:0] for x in arguments)).shape == (0,)


@pytest.mark.parametrize("detector", ["cms", "atlas"])
def test_all_calorimeters_at_once(detector):
    model = Hepic(detector)
    pdgid = torch.tensor([11, -11, 13, 22, 130, -211, 310, 3122, -3122, 12, 1000022, 1000010020, 2212])
    fractions = model.grid.fractions(pdgid)  # [layers, T]
    ring, column, key = [], [], []
    for layer, calorimeter in enumerate(model.calorimeters):
        assert torch.equal(fractions[layer], calorimeter.fraction(pdgid))
        mine = torch.nonzero(model.grid.layer == layer)[:, 0]
        assert torch.equal(model.grid.cells[mine], calorimeter.cells)
        for sets in (0, 2):  # the first and the last cell of the first and of the last set
            for r, c in ((0, 0), (-1, int(calorimeter.cells[-1]) - 1)):
                ring.append(mine[r])
                column.append(torch.tensor(c))
                key.append(torch.tensor(sets))
    found = model.grid.key(torch.stack(key), torch.stack(ring), torch.stack(column), 3)
    assert found.dtype == torch.int32
    assert (found.diff() > 0).all()  # by layer, then set, then cell
    assert model.grid.key(torch.stack(key), torch.stack(ring), torch.stack(column), 10**6).dtype == torch.int64


def test_features_are_as_many_as_the_networks_take():
    calorimeter = Hepic().calorimeters[0]
    assert calorimeter.tower[0].weight.size(1) == OWN + OF_RING
    assert calorimeter.of_ring.size(1) == OF_RING


def test_refresh_keeps_the_answers(tmp_path):
    from hepgen_fastsim.registry import find_model

    source = find_model("delphes-cms").path
    out = refresh.refresh(source, tmp_path / "new.pt", "cms")
    before, after = export.read_metadata(source), export.read_metadata(out)
    assert before["metrics"] == after["metrics"]
    assert before["provenance"]["data"] == after["provenance"]["data"]
    features, codes, offsets = gen([200, 0, 150])
    noise = torch.randn(700, 5, generator=torch.Generator().manual_seed(4))
    arguments = (features, codes, offsets, torch.zeros(3, 0), torch.zeros(3, 0), 2 * offsets, noise)
    with torch.no_grad():
        for a, b in zip(*(torch.jit.load(str(path))(*arguments) for path in (source, out))):
            assert a.shape == b.shape
            assert torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-4)


def test_refresh_refuses_another_geometry():
    with pytest.raises(ModelError, match="expected the weights of an event model for 'atlas'"):
        refresh.rebuild(Hepic("cms", hidden=8, n_bins=4).state_dict(), "atlas")
