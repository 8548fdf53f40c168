# SPDX-License-Identifier: MIT
"""Export: what is written can be read and run, and what breaks the contract is not written."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from hepgen_fastsim.errors import ModelError
from synthetic import call, gen, noise_for

from training import export
from training.export import bundle, read_metadata, validate
from training.networks.hepic import INPUT, OUTPUT, Hepic

METADATA = {
    "format": 1,
    "name": "tiny",
    "version": "1.0.0",
    "task": "reconstruct",
    "unit": "event",
    "input": {
        "features": [{"name": name, "unit": ""} for name in INPUT],
        "codes": [{"name": "pdgid", "unit": ""}],
    },
    "condition": [],
    "output": {
        "features": [{"name": name, "unit": ""} for name in OUTPUT],
        "codes": [{"name": "pdgid", "unit": ""}, {"name": "charge", "unit": "e"}],
    },
    "scalars": [],
    "slots": {"per_item": 2, "per_set": 0},
    "noise": {"set": 0, "slot": 5},
    "cost": "linear",
    "acceptance": {"eta": [-5.2, 5.2]},
    "domain": {
        "features": {name: [0.0, 900.0] if name == "pt" else [-1.0, 1.0] for name in INPUT},
        "codes": {"pdgid": [22, 211, -11, 130]},
        "conditions": {},
        "items": [1, 500],
    },
    "provenance": {"data": [], "seed": 1, "command": "", "torch": torch.__version__},
    "metrics": {},
    "licence": "MIT",
}


def test_round_trip(tmp_path):
    torch.manual_seed(0)
    model = Hepic(hidden=16)
    path = export.export(model, METADATA, tmp_path / "tiny.pt")
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.pt"]
    assert read_metadata(path) == METADATA
    extra = {"hepgen.json": ""}
    loaded = torch.jit.load(str(path), _extra_files=extra)
    assert json.loads(extra["hepgen.json"]) == METADATA
    assert list(loaded.parameters())  # not frozen
    features, codes, offsets = gen([50, 0, 30])
    noise = noise_for(offsets)
    with torch.no_grad():
        for a, b in zip(call(model, features, codes, offsets, noise), call(loaded, features, codes, offsets, noise)):
            assert torch.allclose(a.double(), b.double(), rtol=1e-5, atol=1e-5)


def broken(**changes):
    metadata = copy.deepcopy(METADATA)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = metadata
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return metadata


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        (broken(unit=None), "key 'unit'"),
        (broken(format=2), "format 1"),
        (broken(task="guess"), "one of"),
        (broken(slots={"per_item": 2}), "per_set"),
        (broken(noise={"set": 0}), "widths"),
        (broken(domain__features={}), "domain for features"),
        (broken(domain__items=[5, 1]), "range"),
        (broken(input__codes=[{"name": "pdgid"}]), "name and a unit"),
        (broken(provenance__seed=None), "seed"),
    ],
)
def test_metadata_that_breaks_the_contract(metadata, text, tmp_path):
    with pytest.raises(ModelError, match=text):
        validate(metadata)
    with pytest.raises(ModelError, match=text):
        export.export(Hepic(hidden=8), metadata, tmp_path / "x.pt")
    assert not list(tmp_path.iterdir())


class Biased(torch.nn.Module):
    """Answers with the wrong number of columns, or with what is not a number."""

    def __init__(self, columns: int, value: float) -> None:
        super().__init__()
        self.columns, self.value = columns, value

    def forward(
        self,
        features: torch.Tensor,
        codes: torch.Tensor,
        offsets: torch.Tensor,
        conditions: torch.Tensor,
        noise_set: torch.Tensor,
        slot_offsets: torch.Tensor,
        noise_slot: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        n = features.size(0)
        items = torch.full([n, self.columns], self.value)
        return items, codes.expand(n, 2), offsets, codes[:, 0], torch.zeros(offsets.size(0) - 1, 0)


@pytest.mark.parametrize(("columns", "value", "text"), [(5, 0.0, "expected items"), (6, float("nan"), "not finite")])
def test_networks_that_break_the_contract(columns, value, text, tmp_path):
    with pytest.raises(ModelError, match=text):
        export.export(Biased(columns, value), METADATA, tmp_path / "x.pt")
    assert not list(tmp_path.iterdir())


def test_bundle_records_the_hash(tmp_path):
    import hashlib

    path = export.export(Hepic(hidden=8), METADATA, tmp_path / "whatever.pt")
    target = bundle(path, tmp_path / "models")
    manifest = json.loads((tmp_path / "models" / "manifest.json").read_text())
    assert target.name == "tiny.pt"
    assert manifest == {"tiny": {"file": "tiny.pt", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}
    with pytest.raises(ModelError, match="below 10 bytes"):
        bundle(path, tmp_path / "models", limit=10)


def test_a_file_without_metadata_is_named(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(tmp_path / "bare.pt"))
    with pytest.raises(ModelError, match=r"bare\.pt: expected extra/hepgen\.json"):
        read_metadata(tmp_path / "bare.pt")


def test_annotated_models_keep_their_network(tmp_path):
    torch.manual_seed(0)
    path = export.export(Hepic(hidden=16), METADATA, tmp_path / "tiny.pt")
    features, codes, offsets = gen([20, 10])
    inputs = (features, codes, offsets, noise_for(offsets))
    before = call(torch.jit.load(str(path)), *inputs)
    assert export.annotate(path, {"bands": {"qcd": 1.0}}) == path
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.pt"]
    assert read_metadata(path) == METADATA | {"metrics": {"bands": {"qcd": 1.0}}}
    for a, b in zip(before, call(torch.jit.load(str(path)), *inputs)):
        assert torch.equal(a, b)
