# SPDX-License-Identifier: MIT
"""Settings of a drop-in folder, from its TOML file."""

from __future__ import annotations

import difflib
import importlib.util
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hepgen_fastsim.dropin.folder import SETTINGS
from hepgen_fastsim.errors import InputError

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # type: ignore[no-redef]

__all__ = ["FORMAT_VARIABLE", "Settings", "output_format", "read_settings"]

FORMAT_VARIABLE = "HEPGEN_DELPHES_FORMAT"
_FORMATS = ("auto", "delphes", "flat")


@dataclass(frozen=True)
class Settings:
    """What the executables of a folder are told beside their arguments."""

    model: str = "auto"
    format: str = "auto"
    objects: bool = True
    strict_card: bool = False
    seed: int = 1
    device: str = "auto"
    threads: int = 1


def read_settings(folder: str | os.PathLike[str]) -> Settings:
    """Settings of a folder; defaults where it has no file. Raises InputError, naming the file and the nearest key."""
    path = Path(folder) / SETTINGS
    if not path.is_file():
        return Settings()
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}.") from None
    known = {field.name: type(field.default) for field in fields(Settings)}
    for key, value in found.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise InputError(
                f"{path}: there is no setting '{key}'; "
                + (f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}.")
            )
        if type(value) is not known[key]:
            raise InputError(f"{path}: {key} must be a {known[key].__name__}, found {value!r}.")
    settings = Settings(**found)
    if settings.seed < 0 or settings.seed >= 2**64:
        raise InputError(f"{path}: seed must be an unsigned 64-bit number, found {settings.seed}.")
    if settings.threads < 1:
        raise InputError(f"{path}: threads must be 1 or more, found {settings.threads}.")
    if settings.format not in _FORMATS:
        raise InputError(f"{path}: format must be one of {', '.join(_FORMATS)}, found '{settings.format}'.")
    return settings


def output_format(setting: str) -> tuple[str, str]:
    """The form to write, "delphes" or "flat", and why; the variable HEPGEN_DELPHES_FORMAT overrides the setting."""
    chosen = os.environ.get(FORMAT_VARIABLE) or setting
    if chosen not in _FORMATS:
        raise InputError(f"{FORMAT_VARIABLE} must be one of {', '.join(_FORMATS)}, found '{chosen}'.")
    if chosen != "auto":
        return chosen, FORMAT_VARIABLE if os.environ.get(FORMAT_VARIABLE) else "as set"
    if importlib.util.find_spec("ROOT") is not None:
        return "delphes", "ROOT is installed"
    return "flat", 'true TClonesArrays need ROOT: pip install "hepgen_fastsim[root]"'
