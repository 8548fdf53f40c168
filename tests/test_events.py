# SPDX-License-Identifier: MIT
from __future__ import annotations

import zlib

import awkward as ak
import numpy as np
import pytest
import samples
from hepgen_fastsim.errors import InputError
from hepgen_fastsim.events import INFO, PARTICLE, columns_of, gen_batch, parameter, stream_of

PION = 0.13957039


def test_gen_batch_has_the_documented_fields_and_types():
    gen = samples.gen(3)
    assert gen.particles.fields == list(PARTICLE)
    assert set(gen.fields) == {"particles", "event", "weights", *INFO}
    for name, kind in PARTICLE.items():
        assert ak.to_numpy(ak.flatten(gen.particles[name])).dtype == kind
    assert str(gen.weights.type) == "3 * 2 * float64"
    assert parameter(gen, "weight_names") == samples.WEIGHT_NAMES
    assert parameter(gen[1:], "stream") == parameter(gen, "stream")


def test_vector_behaviour():
    gen = gen_batch(columns_of(ak.Array([[{"pdgid": 211, "px": 3.0, "py": 4.0, "pz": 0.0}]])))
    pion = gen.particles[0, 0]
    assert pion.pt == pytest.approx(5)
    assert pion.energy == pytest.approx(np.hypot(5, PION), rel=1e-6)


def test_mass_and_charge_follow_from_the_code():
    gen = gen_batch(
        columns_of({"pdgid": [11, -211, 22, 99999], "pt": [1] * 4, "eta": [0] * 4, "phi": [0] * 4, "offsets": [0, 4]})
    )
    assert gen.particles.charge.tolist() == [[-1, -1, 0, 0]]
    np.testing.assert_allclose(gen.particles.mass[0], [0.000511, 0.13957, 0, 0], rtol=1e-3)


def test_polar_and_cartesian_momenta_are_the_same():
    flat = samples.columns()
    pt = np.hypot(flat["px"], flat["py"])
    polar = {"pt": pt, "eta": np.arcsinh(flat["pz"] / pt), "phi": np.arctan2(flat["py"], flat["px"])}
    polar |= {"pdgid": flat["pdgid"], "offsets": flat["offsets"]}
    for got, wanted in zip(columns_of(polar).momenta(), (flat["px"], flat["py"], flat["pz"])):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


def test_columns_of_a_batch_are_views():
    gen = samples.gen()
    flat = columns_of(gen)
    assert np.shares_memory(flat.columns["px"], np.asarray(gen.layout["particles"].content["px"].data))


def test_columns_of_slices_start_at_zero():
    gen = samples.gen()
    part = columns_of(gen[5:9])
    assert part.offsets[0] == 0
    assert part.event.tolist() == [5, 6, 7, 8]
    np.testing.assert_array_equal(part.columns["px"], ak.flatten(gen.particles[5:9].px))
    scattered = columns_of(gen[[7, 2]])
    np.testing.assert_array_equal(scattered.columns["px"], ak.flatten(gen.particles[[7, 2]].px))


def test_stream_is_the_checksum_of_the_first_event():
    flat = samples.columns()
    first = slice(0, flat["offsets"][1])
    expected = zlib.crc32(b"".join(flat[k][first].tobytes() for k in ("pdgid", "px", "py", "pz")))
    assert columns_of(flat).key() == expected
    assert stream_of(*(flat[k][first] for k in ("pdgid", "px", "py", "pz"))) == expected
    assert parameter(samples.gen(), "stream") == expected


@pytest.mark.parametrize(
    "events", [ak.Array([]), ak.Array([[], []]), {"pdgid": [], "px": [], "py": [], "pz": [], "offsets": [0]}]
)
def test_nothing(events):
    flat = columns_of(events)
    assert flat.offsets[-1] == 0
    assert len(gen_batch(flat)) == len(flat)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (ak.Array([[{"pdgid": 211}]]), "need a momentum, px, py, pz or pt, eta, phi"),
        (ak.Array([[{"px": 1.0, "py": 1.0, "pz": 1.0}]]), "need the column 'pdgid'"),
        (ak.Array([1.0, 2.0]), "one list of particle records per event"),
        (ak.Array([[1.0], [2.0]]), "records with pdgid and a momentum"),
        (ak.Array([[{"pdgid": 211, "px": None, "py": 1.0, "pz": 1.0}]]), "'px' has missing"),
        (ak.Array([[{"pdgid": "pi+", "px": 1.0, "py": 1.0, "pz": 1.0}]]), "'pdgid'"),
        ({"pdgid": [1], "px": [1], "py": [1], "pz": [1]}, "need 'offsets'"),
        ({"pdgid": [1], "px": [1], "py": [1], "pz": [1], "offsets": [1, 0]}, "start at 0 and never decrease"),
        ({"pdgid": [1], "px": [1, 2], "py": [1], "pz": [1], "offsets": [0, 1]}, "'px' must have 1 values"),
        ({"pdgid": [1.5], "px": [1], "py": [1], "pz": [1], "offsets": [0, 1]}, "'pdgid' must hold integers"),
        ([[1]], "found list"),
    ],
)
def test_wrong_input(events, words):
    with pytest.raises(InputError, match=words):
        columns_of(events)


def test_check_names_event_and_particle_and_passes_over_unstable_ones():
    flat = samples.columns()
    stable = np.flatnonzero(flat["status"] == 1)
    row = int(stable[stable >= flat["offsets"][4]][2])
    event = int(np.searchsorted(flat["offsets"], row, side="right")) - 1
    flat["px"][np.flatnonzero(flat["status"] == 2)[0]] = np.nan
    columns_of(flat).check()
    flat["px"][row] = np.inf
    within = row - flat["offsets"][event]
    with pytest.raises(InputError, match=rf"event {event}, particle {within} .*px is inf, a finite number is expected"):
        columns_of(flat).check()
