# SPDX-License-Identifier: MIT
"""Delphes' own file of 100 tt̄ events, read once."""

import pytest


@pytest.fixture(scope="session")
def real(data_folder):
    from real_file import RealFile

    return RealFile(data_folder / "real" / "delphes_ttbar100.root")
