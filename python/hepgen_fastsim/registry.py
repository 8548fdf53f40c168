# SPDX-License-Identifier: MIT
"""Where models come from: those that the package brings, folders named by the environment, or a path.

The package's own models are listed with their sha256 in `models/manifest.json`; a file that differs is refused, since a
TorchScript file is code. Folders in the environment variable HEPGEN_MODEL_PATH (separated as in PATH) come first; their
files `NAME.pt` are models NAME, checked only where a `manifest.json` beside them gives a sum. Nothing is ever
downloaded.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepgen_fastsim.errors import ModelError

__all__ = ["ModelFile", "find_model", "models"]

BUNDLED = Path(__file__).parent / "models"
VARIABLE = "HEPGEN_MODEL_PATH"


@dataclass(frozen=True)
class ModelFile:
    """A model as a file: its name, where it lies, the sha256 that it must have (None: not listed)."""

    name: str
    path: Path
    expected_sha256: str | None = None

    def sha256(self) -> str:
        """sha256 of the file's bytes [hex]; raises ModelError if unreadable or not the one that the manifest lists."""
        try:
            digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(f"model file {self.path} cannot be read: {error.strerror or error}.") from error
        if self.expected_sha256 is not None and digest != self.expected_sha256:
            raise ModelError(
                f"model '{self.name}' at {self.path} is not the file that its manifest lists: expected sha256 "
                f"{self.expected_sha256[:16]}…, found {digest[:16]}…; install the package again."
            )
        return digest

    def metadata(self) -> dict[str, Any]:
        """The description inside (hepgen.json), read as a plain zip entry: nothing of the file is executed.

        Raises ModelError if the file is no zip archive, damaged, or has no such entry.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = [name for name in archive.namelist() if name.endswith("/extra/hepgen.json")]
                if not names:
                    raise ModelError(
                        f"{self.path} has no hepgen.json inside: it was not exported for this package "
                        "(python -m training.export does that)."
                    )
                return json.loads(archive.read(names[0]))
        except (OSError, zipfile.BadZipFile, EOFError, zlib.error, ValueError) as error:
            raise ModelError(f"{self.path} is not a readable model file: {error}.") from error


def _manifest(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / "manifest.json"
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as the list of models: {error}.") from error
    return entries.get("models", entries)


def _folders() -> list[Path]:
    named = [Path(entry) for entry in os.environ.get(VARIABLE, "").split(os.pathsep) if entry]
    return [*named, BUNDLED]


def models() -> dict[str, ModelFile]:
    """Models that can be used by name, {name: ModelFile}; nothing is opened but the manifests."""
    found: dict[str, ModelFile] = {}
    for folder in _folders():
        listed = _manifest(folder)
        for name, entry in listed.items():
            found.setdefault(name, ModelFile(name, folder / entry.get("file", f"{name}.pt"), entry.get("sha256")))
        if folder is not BUNDLED and folder.is_dir():
            for path in sorted(folder.glob("*.pt")):
                found.setdefault(path.stem, ModelFile(path.stem, path))
    return dict(sorted(found.items()))


def find_model(model: str | os.PathLike[str]) -> ModelFile:
    """The file of a model given by name or path.

    A string with a slash, with the suffix `.pt`, or a path object is a path; anything else is a name. Raises
    ModelError, with the nearest names, if there is no such model.
    """
    text = os.fspath(model)
    if isinstance(model, os.PathLike) or os.sep in text or text.endswith(".pt"):
        path = Path(text).expanduser()
        if not path.is_file():
            what = "is a folder, not a model file" if path.is_dir() else "does not exist"
            raise ModelError(f"model file {path} {what}.")
        return ModelFile(path.stem, path.absolute())
    known = models()
    if text in known:
        if not known[text].path.is_file():
            raise ModelError(f"model '{text}' is listed, but its file {known[text].path} does not exist.")
        return known[text]
    near = difflib.get_close_matches(text, known, n=2, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(known) or 'none'}."
    raise ModelError(f"there is no model '{text}'; {hint} A file is given by its path, e.g. ./{text}.pt.")
