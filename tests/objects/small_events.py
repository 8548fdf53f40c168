# SPDX-License-Identifier: MIT
"""Events that can be reconstructed by hand."""

from __future__ import annotations

import awkward as ak
import numpy as np


def make_reco(*events):
    """RECO constituents from lists of (pdgid, pt, eta, phi) or (pdgid, pt, eta, phi, origin) per event."""
    rows = [[(*c, -1)[:5] for c in event] for event in events]
    names = ("pdgid", "pt", "eta", "phi", "origin")
    counts = [len(event) for event in rows]
    flat = np.array([c for event in rows for c in event], dtype=np.float64).reshape(-1, 5)
    columns = {
        name: flat[:, i].astype(np.int64 if name in ("pdgid", "origin") else np.float64) for i, name in enumerate(names)
    }
    return ak.unflatten(ak.zip(columns), counts)


def make_gen(*events):
    """GEN events from lists of (pdgid, status, pt, eta, phi) or with (…, m1, d1, d2) per event."""
    rows = [[(*p, -1, -1, -1)[:8] for p in event] for event in events]
    flat = np.array([p for event in rows for p in event], dtype=np.float64).reshape(-1, 8)
    names = ("pdgid", "status", "pt", "eta", "phi", "m1", "d1", "d2")
    integers = ("pdgid", "status", "m1", "d1", "d2")
    columns = {name: flat[:, i].astype(np.int64 if name in integers else np.float64) for i, name in enumerate(names)}
    columns["mass"] = np.zeros(len(flat))
    columns["offsets"] = np.concatenate([[0], np.cumsum([len(event) for event in rows])])
    return columns
