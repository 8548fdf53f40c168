# SPDX-License-Identifier: MIT
"""A report on how close a fast simulation comes to its reference, as a page for people and as numbers for machines.

>>> import hepgen_fastsim as hf
>>> report = hf.validation.compare("delphes.root", "ours.root", rerun="delphes_again.root")
>>> report.write("report")  # index.html, metrics.json
"""

from hepgen_fastsim.validation.report import Report, compare

__all__ = ["Report", "compare"]
