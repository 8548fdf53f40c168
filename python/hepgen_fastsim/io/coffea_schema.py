# SPDX-License-Identifier: MIT
"""coffea's DelphesSchema for flat files. Files in the form `delphes` need none: coffea's own schema reads them.

>>> from hepgen_fastsim.io.coffea_schema import FlatDelphesSchema
>>> events = NanoEventsFactory.from_root({"out.root": "Delphes"}, schemaclass=FlatDelphesSchema).events()
>>> events.Jet.pt
"""

from __future__ import annotations

from typing import Any

from coffea.nanoevents import DelphesSchema

__all__ = ["FlatDelphesSchema"]


class FlatDelphesSchema(DelphesSchema):
    """Branches `Jet.PT` of flat files under the names `Jet/Jet.PT` that split TClonesArrays have."""

    def __init__(self, base_form: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        names = {name: f"{name.partition('.')[0]}/{name}" if "." in name else name for name in base_form["fields"]}
        super().__init__(base_form | {"fields": list(names.values())}, *args, **kwargs)
