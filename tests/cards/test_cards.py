# SPDX-License-Identifier: MIT
"""Cards as TOML: the bundled ones, and what is refused with its line."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hepgen_fastsim import InputError
from hepgen_fastsim.cards import Card, bundled, load_card


def test_bundled_cards():
    assert bundled() == ["atlas", "cms"]
    cms, atlas = load_card("cms"), load_card("atlas")
    assert (cms.jets.radius, atlas.jets.radius) == (0.5, 0.6)
    assert cms.fatjets.pt_min == 200
    assert atlas.fatjets is None
    assert cms.muons.isolation.ratio_max == 0.25
    assert cms.differences == ()
    assert load_card(cms) is cms
    assert pickle.loads(pickle.dumps(cms)) == cms


def test_numbers_of_the_cms_card():
    """Efficiencies and scale of Delphes' CMS card at points worked out by hand."""
    cms = load_card("cms")
    eta = np.array([0.0, 1.5, 1.6, 2.45, 2.6])
    np.testing.assert_allclose(cms.electrons.efficiency(pt=20.0, eta=eta), [0.95, 0.95, 0.85, 0.85, 0])
    np.testing.assert_allclose(cms.muons.efficiency(pt=20.0, eta=-eta), [0.95, 0.95, 0.95, 0, 0])
    assert cms.photons.efficiency(pt=10.0, eta=0.0) == 0
    assert cms.jets.scale(pt=25.0, eta=2.0) == pytest.approx(np.sqrt(2.2**2 / 25 + 1))
    b = cms.btag[0].efficiency
    assert b[5](pt=100.0) == pytest.approx(0.85 * np.tanh(0.25) * 25 / 7.3)
    assert b[4](pt=100.0) == pytest.approx(0.25 * np.tanh(1.8) / 1.13)
    assert b[0](pt=100.0) == pytest.approx(0.0138)
    assert cms.tautag[0].efficiency[15](pt=30.0) == 0.6


MINIMAL = '[card]\nname = "mine"\n\n[jets]\nradius = 0.4\n'


def write(tmp_path, text, name="mine.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_small_card_of_ones_own(tmp_path):
    card = load_card(write(tmp_path, MINIMAL))
    assert isinstance(card, Card)
    assert (card.name, card.jets.radius, card.jets.pt_min, card.electrons) == ("mine", 0.4, 20.0, None)
    assert float(card.jets.scale(pt=20.0)) == 1.0


def test_objects_of_a_small_card(tmp_path):
    import awkward as ak
    from hepgen_fastsim import reconstruct

    reco = ak.Array(
        [[{"pdgid": 211, "pt": 50.0, "eta": 0.0, "phi": 0.0}, {"pdgid": 11, "pt": 40.0, "eta": 1.0, "phi": 2.0}]]
    )
    events = reconstruct(reco, card=write(tmp_path, MINIMAL))
    np.testing.assert_allclose(events.jets.pt[0], [50, 40], rtol=1e-5)
    assert len(events.electrons[0]) == len(events.fatjets[0]) == 0


ISOLATION = '[electrons]\nefficiency = "1"\n[electrons.isolation]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[card]\nname = "a"\n[jet]\n', r"line 3: unknown section 'jet'; did you mean 'jets'"),
        (
            '[card]\nname = "a"\n\n[jets]\nraduis = 0.4\n',
            r"line 5: unknown key of 'jets' 'raduis'; did you mean 'rad",
        ),
        ('[card]\nname = "a"\n[jets]\nradius = "x"\n', r"line 4: 'radius' must be a number, found 'x'"),
        ('[card]\nname = "a"\n[jets]\nradius = 0\n', r"line 4: 'radius' must be above 0 and at most 10, found 0"),
        (
            '[card]\nname = "a"\n[jets]\nalgorithm = "anti-kt"\n',
            r"line 4: 'algorithm' cannot be 'anti-kt'; did you",
        ),
        ('[card]\nname = "a"\n[jets]\nscale = "sqrt(prt)"\n', r"line 4: 'scale': 'prt' is not a variable"),
        (
            f'[card]\nname = "a"\n{ISOLATION}delta = 1\n',
            r"line 6: unknown key of 'electrons.isolation' 'delta'",
        ),
        ('[card]\nname = "a"\n[muons]\n', r"line 3: 'muons' needs the key 'efficiency'"),
        (
            '[card]\nname = "a"\n[[btag]]\nbit = 1\n[[btag]]\nbit = 40\nefficiency = { 0 = "1" }\n',
            r"line 3: 'btag' n",
        ),
        (
            '[card]\nname = "a"\n[[btag]]\nefficiency = { 0 = "1" }\n[[btag]]\nbit = 40\nefficiency = { 0 = "1" }\n',
            r"line 6: 'bit' must be at least 0 and at most 31, found 40",
        ),
        (
            '[card]\nname = "a"\n[[btag]]\nefficiency = { b = "1" }\n',
            r"line 4: the keys of 'efficiency' are whole",
        ),
        ('[card]\nname = "a"\n[btag]\n', r"line 3: 'btag' must be a list of tables"),
        ('[card]\nname = "a"\noverlap = ["muon"]\n', r"line 3: 'overlap' cannot name 'muon'; did you mean 'muons'"),
        ('[card]\nname = "a"\noverlap = ["jets", "jets"]\n', r"line 3: 'overlap' must name each kind once"),
        ('[card]\nname = "a"\ninvisible = [12.5]\n', r"line 3: 'invisible' must be a list of PDG codes"),
        ("[jets]\n", "the card needs a name"),
        ('[card]\nname = "a"\nlong = """\n[x]\n"""\n', r"line 3: unknown key 'long'"),
        ("radius = = 1", "not a card"),
    ],
)
def test_errors_name_the_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load_card(write(tmp_path, text))


def test_what_is_no_card(tmp_path):
    with pytest.raises(InputError, match="did you mean 'atlas'"):
        load_card("atals")
    with pytest.raises(InputError, match="is a folder"):
        load_card(tmp_path)


def test_a_changed_file_is_read_again(tmp_path):
    path = write(tmp_path, MINIMAL)
    assert load_card(path).jets.radius == 0.4
    path.write_text(MINIMAL.replace("0.4", "0.45"))
    assert load_card(path).jets.radius == 0.45
