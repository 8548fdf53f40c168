# SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib
import json
import shutil

import pytest
from hepgen_fastsim.errors import ModelError
from hepgen_fastsim.registry import VARIABLE, find_model, models


@pytest.fixture
def folder(tmp_path, test_models, monkeypatch):
    shutil.copy(test_models / "smear.pt", tmp_path / "smear.pt")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def test_path(test_models):
    model = find_model(test_models / "smear.pt")
    assert (model.name, model.path) == ("smear", test_models / "smear.pt")
    assert model.sha256() == hashlib.sha256((test_models / "smear.pt").read_bytes()).hexdigest()


def test_relative_path_stays_right_after_chdir(test_models, monkeypatch, tmp_path):
    monkeypatch.chdir(test_models)
    model = find_model("smear.pt")
    monkeypatch.chdir(tmp_path)
    assert model.metadata()["name"] == "smear"


def test_name_from_the_environment(folder):
    assert find_model("smear").path == folder / "smear.pt"
    assert "smear" in models()


def test_nearest_name_is_offered(folder):
    with pytest.raises(ModelError, match=r"no model 'smaer'; did you mean 'smear'\?"):
        find_model("smaer")


def test_sum_of_the_manifest_is_checked(folder):
    manifest = {"smear": {"file": "smear.pt", "sha256": "0" * 64}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="expected sha256 0000000000000000…, found"):
        find_model("smear").sha256()
    manifest["smear"]["sha256"] = hashlib.sha256((folder / "smear.pt").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert find_model("smear").sha256() == manifest["smear"]["sha256"]


def test_broken_manifest(folder):
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ModelError, match=r"manifest.json cannot be read as the list of models"):
        models()


def test_bundled_models_are_those_of_their_manifest(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    for model in models().values():
        assert model.expected_sha256 == model.sha256()
        assert model.metadata()["name"] == model.name


@pytest.mark.parametrize(("name", "words"), [("./none.pt", "does not exist"), ("..", "no model '..'")])
def test_missing(name, words):
    with pytest.raises(ModelError, match=words):
        find_model(name)


@pytest.mark.parametrize("name", ["truncated.pt", "empty.pt", "text.pt", "not-json.pt"])
def test_metadata_of_what_is_no_model(test_models, name):
    with pytest.raises(ModelError, match=rf"{name} is not a readable model file"):
        find_model(test_models / name).metadata()


def test_metadata_missing(test_models):
    with pytest.raises(ModelError, match=r"no hepgen\.json inside"):
        find_model(test_models / "no-metadata.pt").metadata()
