# SPDX-License-Identifier: MIT
"""Objects from constituents."""

from hepgen_fastsim.objects.reconstruction import reconstruct

__all__ = ["reconstruct"]
