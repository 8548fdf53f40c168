# SPDX-License-Identifier: MIT
"""The compiled core as Python sees it; its C++ tests are in cpp/tests."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import torch
from hepgen_fastsim import _core
from hepgen_fastsim.errors import Error, InputError, ModelError
from scipy.special import ndtr


def sets(n: int = 50, seed: int = 1) -> dict[str, np.ndarray]:
    """Ragged sets for the model `smear`: features pt, eta, phi, charge; code pdgid."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 30, n)
    total = int(sizes.sum())
    charge = rng.integers(-1, 2, total)
    features = np.stack([rng.exponential(5, total), rng.normal(size=total), rng.uniform(-3, 3, total), charge], 1)
    return {
        "features": features.astype(np.float32),
        "codes": np.where(charge == 0, 22, 211 * charge)[:, None],
        "offsets": np.concatenate([[0], np.cumsum(sizes)]),
        "conditions": np.zeros((n, 0), np.float32),
    }


@pytest.fixture
def engine(test_models) -> _core.Engine:
    return _core.Engine(_core.Model(str(test_models / "smear.pt")), device="cpu")


def test_philox_known_answer():
    assert _core.philox4x32([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_noise_has_unit_width():
    z = _core.normal_noise(seed=3, stream=1, event=np.arange(100_000), slot=np.zeros(100_000), channels=3)
    assert z.shape == (100_000, 3)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z.mean(0), 0, atol=5 / np.sqrt(len(z)))
    np.testing.assert_allclose(np.cov(z.T), np.eye(3), atol=5 * np.sqrt(2 / len(z)))


def test_uniform_noise_is_the_distribution_function_of_the_normal():
    arguments = 3, 1, np.arange(10_000), np.arange(10_000), 2
    u = _core.uniform_noise(*arguments)
    np.testing.assert_allclose(u, ndtr(_core.normal_noise(*arguments).astype(np.float64)), rtol=1e-13)
    np.testing.assert_allclose(np.histogram(u, 10, (0, 1))[0], 2000, atol=5 * np.sqrt(2000))


def test_run_returns_the_contract(engine):
    data = sets()
    out = engine.run(**data, seed=1)
    n = len(out["origin"])
    assert out["items"].shape == (n, 3)
    assert out["item_codes"].shape == (n, 2)
    assert out["offsets"][-1] == n
    assert out["scalars"].shape == (50, 1)
    sums = np.add.reduceat(np.append(data["features"][:, 0], 0), data["offsets"][:-1]) * (np.diff(data["offsets"]) > 0)
    np.testing.assert_allclose(out["scalars"][:, 0], sums, rtol=1e-5)


def test_tensors_give_what_arrays_give(engine):
    data = sets()
    expected = engine.run(**data, seed=7, stream=2)
    tensors = {name: torch.from_numpy(value) for name, value in data.items()}
    out = engine.run_tensors(**tensors, seed=7, stream=2)
    for name, value in expected.items():
        np.testing.assert_allclose(torch.from_dlpack(out[name]).numpy(), value, rtol=1e-6, err_msg=name)


def test_tensors_of_a_wrong_type_are_refused(engine):
    tensors = {name: torch.from_numpy(value) for name, value in sets().items()}
    tensors["features"] = tensors["features"].double()
    with pytest.raises(InputError, match="tensor 'features' should be Float of \\[n, 4\\], but is Double"):
        engine.run_tensors(**tensors, seed=7)


def test_generator_tensors(test_models):
    engine = _core.Engine(_core.Model(str(test_models / "drawn.pt")), device="cpu")
    arguments = {
        "features": np.zeros((0, 0), np.float32),
        "codes": np.zeros((0, 0), np.int64),
        "offsets": np.zeros(11, np.int64),
        "conditions": np.arange(10, dtype=np.float32)[:, None],
    }
    expected = engine.run(**arguments, seed=4)
    out = engine.run_tensors(**{k: torch.from_numpy(v) for k, v in arguments.items()}, seed=4)
    for name, value in expected.items():
        np.testing.assert_array_equal(torch.from_dlpack(out[name]).numpy(), value, err_msg=name)


def test_many_threads_share_an_engine(engine):
    data = sets()
    expected = engine.run(**data, seed=1)
    results: list[dict] = []

    def work() -> None:
        results.extend(engine.run(**data, seed=1) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 80
    for result in results:
        np.testing.assert_array_equal(result["items"], expected["items"])


def test_metadata_is_read_without_loading(test_models):
    assert json.loads(_core.read_metadata(str(test_models / "damaged.pt")))["name"] == "smear"
    with pytest.raises(ModelError, match="damaged"):
        _core.Model(str(test_models / "damaged.pt"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "gpu"}, "is not one of 'auto', 'cpu', 'cuda'"),
        ({"device": "cuda:99"}, "CUDA devices that this torch can use"),
        ({"precision": "float16"}, "should be 'float32', 'tf32' or 'bf16', but is 'float16'"),
        ({"batch_items": -1}, "at least 1, .* but is -1"),
    ],
)
def test_bad_configurations(test_models, arguments, message):
    with pytest.raises(Error, match=message):
        _core.Engine(_core.Model(str(test_models / "smear.pt")), **arguments)


def test_threads_of_torch_are_left_alone(engine):
    before = torch.get_num_threads()
    engine.run(**sets(), seed=1)
    assert torch.get_num_threads() == before
    assert not torch.is_inference_mode_enabled()


def test_charge_and_mass():
    np.testing.assert_array_equal(_core.pdg_charge([11, -11, 22, 211, 2212, 1000020040]), [-1, 1, 0, 1, 1, 2])
    np.testing.assert_allclose(_core.pdg_mass([11, 211]), [0.000511, 0.13957], rtol=1e-3)
    assert np.isnan(_core.pdg_mass([1000022])[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("batch_items", [16, 1 << 20])  # many batches on two streams, or one
@pytest.mark.parametrize("device", ["cuda", "cuda:0,cpu"])
def test_cuda_gives_what_the_cpu_gives(test_models, device, batch_items):
    model = _core.Model(str(test_models / "smear.pt"))
    data = sets()
    expected = _core.Engine(model, device="cpu").run(**data, seed=7)
    out = _core.Engine(model, device=device, batch_items=batch_items).run(**data, seed=7)
    for name, value in expected.items():
        np.testing.assert_allclose(out[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
