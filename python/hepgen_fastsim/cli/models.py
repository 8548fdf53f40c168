# SPDX-License-Identifier: MIT
"""`hepgen-fastsim models`: which models there are, what they say of themselves, whether a file can be used."""

from __future__ import annotations

import argparse
import json
from typing import Any

from hepgen_fastsim.errors import ModelError


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Describe the command; nothing heavy is imported."""
    parser = commands.add_parser(
        "models",
        help="list, show and verify models",
        description="Models: those of the package, and those in the folders of the variable HEPGEN_MODEL_PATH.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    action = actions.add_parser("list", help="names, versions and tasks")
    action.set_defaults(run=_list)
    action = actions.add_parser("show", help="what a model says of itself: columns, domain, provenance, metrics")
    action.add_argument("model", metavar="NAME|PATH")
    action.add_argument("--json", action="store_true", help="the whole description as JSON")
    action.set_defaults(run=_show)
    action = actions.add_parser("verify", help="load a model file and check that it keeps the contract")
    action.add_argument("model", metavar="NAME|PATH")
    action.set_defaults(run=_verify)
    for action in actions.choices.values():
        action.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _list(_options: argparse.Namespace) -> int:
    from hepgen_fastsim.registry import models

    found = models()
    if not found:
        print("no models are installed.")
        return 0
    rows = [("name", "version", "task", "size", "file")]
    for model in found.values():
        try:
            description = model.metadata()
            size = f"{model.path.stat().st_size / 1e6:.1f} MB"
            rows.append((model.name, description["version"], description["task"], size, str(model.path)))
        except (ModelError, KeyError, OSError) as error:
            rows.append((model.name, "-", "unusable", "-", str(error)))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[4]]))
    return 0


def _columns(entries: list[dict[str, str]]) -> str:
    return ", ".join(f"{c['name']} [{c['unit']}]" if c.get("unit") else c["name"] for c in entries) or "none"


def _show(options: argparse.Namespace) -> int:
    from hepgen_fastsim.registry import find_model

    model = find_model(options.model)
    description = model.metadata()
    if options.json:
        print(json.dumps(description, indent=1))
        return 0
    provenance, domain = description.get("provenance", {}), description.get("domain", {})
    print(
        f"{description.get('name')} {description.get('version')} ({description.get('task')}, per "
        f"{description.get('unit')})"
    )
    print(f"file        {model.path}")
    print(f"sha256      {model.sha256()}")
    print(f"licence     {description.get('licence')}")
    for side in ("input", "output"):
        columns = description.get(side, {})
        print(f"{side:<11} {_columns([*columns.get('features', []), *columns.get('codes', [])])}")
    print(
        "domain      "
        f"{', '.join(f'{name} {low:g} to {high:g}' for name, (low, high) in domain.get('features', {}).items())}"
    )
    print(f"generator   {provenance.get('generator')}")
    print(f"detector    {provenance.get('detector')}")
    print(
        f"trained by  {provenance.get('command')} (seed {provenance.get('seed')}, code "
        f"{provenance.get('code_version')})"
    )
    print("metrics")
    _tree(description.get("metrics", {}), "  ")
    return 0


def _tree(node: Any, indent: str) -> None:
    for name, value in node.items():
        if isinstance(value, dict):
            print(f"{indent}{name}")
            _tree(value, indent + "  ")
        else:
            print(f"{indent}{name:<{40 - len(indent)}} {f'{value:.4g}' if isinstance(value, float) else value}")


def _verify(options: argparse.Namespace) -> int:
    from hepgen_fastsim._core_loader import core
    from hepgen_fastsim.registry import find_model

    model = find_model(options.model)
    digest = model.sha256()
    core().Model(str(model.path))
    listed = "as its manifest lists" if model.expected_sha256 else "not listed in a manifest"
    print(f"{model.path}: keeps the contract, format {model.metadata()['format']}; sha256 {digest} ({listed}).")
    return 0
