# SPDX-License-Identifier: MIT
"""index.html and metrics.json: written aside, renamed when both are complete."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from hepgen_fastsim.errors import Error, InputError
from hepgen_fastsim.io.part_file import PartFile
from hepgen_fastsim.metrics.result import plain

__all__ = ["NAMES", "check_output", "plain", "write_files"]

NAMES = ("index.html", "metrics.json")


def check_output(folder: str | os.PathLike[str], overwrite: bool) -> None:
    """Raise InputError if the folder is a file, or holds a report and `overwrite` is off."""
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise InputError(f"output {path} is a file; the name of a folder is expected.")
    there = [name for name in NAMES if (path / name).exists()]
    if there and not overwrite:
        raise InputError(
            f"output {path} holds {' and '.join(there)} already; another folder or --overwrite (overwrite=True) is "
            "expected."
        )


def write_files(folder: str | os.PathLike[str], html: str, metrics: dict[str, Any], overwrite: bool) -> Path:
    """Write both files; returns the path of the page. After an error, what was there before is still there."""
    path = Path(folder)
    made = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Error(f"output folder {path} cannot be made: {error.strerror or error}.") from error
    text = json.dumps(plain(metrics), indent=1, allow_nan=False, ensure_ascii=False)
    parts: list[PartFile] = []
    try:
        for name, content in zip(NAMES, (html, text)):
            part = PartFile(path / name, overwrite=overwrite)
            parts.append(part)
            part.file.write(content.encode())
            part.file.flush()
        for part in parts:
            part.commit()
    except BaseException as error:
        for part in parts:
            part.discard()
        if made:
            with suppress(OSError):
                path.rmdir()
        if isinstance(error, OSError):
            raise Error(f"writing the report to {path} failed: {error.strerror or error}.") from error
        raise
    return path / NAMES[0]
