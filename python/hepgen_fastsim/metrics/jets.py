# SPDX-License-Identifier: MIT
"""What the metrics accept as jets, and one ragged form of it.

Accepted: a padded array ``[n_jets, n_particles, 3 or 4]``, a list of arrays ``[n_i, 3 or 4]``, or an awkward array
of records with the fields of `vector` (``pt, eta`` or ``rapidity, phi, mass``, or ``px, py, pz, E``; ``pt_rel,
eta_rel, phi_rel`` too). Columns are named by `coords`:

``"ptyphim"``    pT, rapidity, phi, mass (the last may be absent: massless); the default of hadronic measures, as in
energyflow
``"ptetaphim"``  pT, pseudorapidity, phi, mass; the same as above for massless particles
``"epxpypz"``    E, px, py, pz

pT, E and mass share any unit; phi is in radian. Particles without momentum are padding and are left out, which
changes no observable that is safe against soft particles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hepgen_fastsim.errors import InputError

__all__ = ["COORDINATES", "Jets"]

COORDINATES = ("ptyphim", "ptetaphim", "epxpypz")

_ALIASES = {
    "pt": ("pt", "pt_rel", "ptrel"),
    "y": ("rapidity", "y"),
    "eta": ("eta", "eta_rel", "etarel"),
    "phi": ("phi", "phi_rel", "phirel"),
    "mass": ("mass", "m"),
    "e": ("E", "e", "energy"),
    "px": ("px",),
    "py": ("py",),
    "pz": ("pz",),
}


@dataclass(frozen=True)
class Jets:
    """Jets as flat columns and offsets.

    Attributes
    ----------
    columns: float64 [4, n_particles]
        in the order that `coords` says
    offsets: int64 [n_jets + 1]
        jet k owns particles offsets[k] ... offsets[k + 1]
    coords: one of `COORDINATES`
    precision: relative rounding of the numbers as they came in
    """

    columns: np.ndarray
    offsets: np.ndarray
    coords: str
    precision: float

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> np.ndarray:
        """int64 [n_jets]: particles in each jet."""
        return np.diff(self.offsets)

    @classmethod
    def read(cls, jets: Any, coords: str | None = None, mask: Any = None, name: str = "jets") -> Jets:
        """Brings any accepted form to flat columns. Values are not judged here: see `unusable` and `require_usable`.

        Parameters
        ----------
        jets: as above, or a `Jets`, which is returned as it is
        coords: names of the columns; default ``"ptyphim"``, and the field names of records
        mask: bool [n_jets, n_particles], only with a padded array; particles to keep
        name: how an error message calls the argument
        """
        if isinstance(jets, Jets):
            return jets
        if coords is not None and coords not in COORDINATES:
            raise InputError(f"coords must be one of {', '.join(COORDINATES)}, got {coords!r}")
        fields = getattr(jets, "fields", None)
        if fields:
            if mask is not None:
                raise InputError(f"a mask goes with a padded array; {name} is an array of records")
            return cls._from_records(jets, list(fields), name)
        if hasattr(jets, "layout"):  # awkward without fields: [n_jets, var, 3 or 4]
            import awkward as ak

            jets = [np.asarray(ak.to_numpy(jet)) for jet in jets]
        if isinstance(jets, (list, tuple)):
            if mask is not None:
                raise InputError(f"a mask goes with a padded array; {name} is a list")
            parts = [np.asarray(jet) for jet in jets]
            for k, part in enumerate(parts):
                if part.size and (part.ndim != 2 or part.shape[1] not in (3, 4)):
                    raise InputError(f"jet {k} of {name} should have the shape [n, 3 or 4], got {list(part.shape)}")
            widths = {part.shape[1] for part in parts if part.size}
            if len(widths) > 1:
                raise InputError(f"all jets of {name} should have the same columns, got both 3 and 4 of them")
            width = widths.pop() if widths else 3
            counts = np.array([len(part) if part.size else 0 for part in parts], dtype=np.int64)
            flat = np.concatenate([part.reshape(-1, width) for part in parts]) if parts else np.empty((0, 3))
            return cls._build(flat, counts, coords or "ptyphim")
        array = np.asarray(jets)
        if array.dtype == object or array.ndim != 3 or array.shape[2] not in (3, 4):
            raise InputError(
                f"{name} should be a padded array [n_jets, n_particles, 3 or 4], a list of arrays [n, 3 or 4] or an "
                f"awkward array of records, got {array.dtype} {list(array.shape)}"
            )
        counts = np.full(array.shape[0], array.shape[1])
        flat = array.reshape(-1, array.shape[2])
        if mask is not None:
            mask = np.asarray(mask).astype(bool)
            if mask.shape == (*array.shape[:2], 1):
                mask = mask[..., 0]
            if mask.shape != array.shape[:2]:
                wanted, got = list(array.shape[:2]), list(mask.shape)
                raise InputError(f"the mask of {name} should have the shape {wanted}, got {got}")
            flat, counts = flat[mask.ravel()], mask.sum(axis=1)
        return cls._build(flat, counts, coords or "ptyphim")

    @classmethod
    def _from_records(cls, records: Any, fields: list[str], name: str) -> Jets:
        import awkward as ak

        def find(quantity: str) -> str | None:
            return next((alias for alias in _ALIASES[quantity] if alias in fields), None)

        for coords, names in (("ptyphim", ("pt", "y", "phi")), ("ptetaphim", ("pt", "eta", "phi"))):
            if all(find(quantity) for quantity in names):
                found, kind = [find(quantity) for quantity in (*names, "mass")], coords
                break
        else:
            found, kind = [find(quantity) for quantity in ("e", "px", "py", "pz")], "epxpypz"
            if None in found:
                raise InputError(f"{name} needs the fields pt, eta or rapidity, phi, or E, px, py, pz; it has {fields}")
        columns = [records[field] for field in found if field]
        if columns[0].ndim != 2:
            raise InputError(f"{name} should be one list of particles per jet, got {columns[0].type}")
        flat = np.stack([ak.to_numpy(ak.flatten(column, axis=1)) for column in columns], axis=1)
        return cls._build(flat, ak.to_numpy(ak.num(columns[0], axis=1)), kind)

    @classmethod
    def _build(cls, flat: np.ndarray, counts: Any, coords: str) -> Jets:
        if coords == "epxpypz" and flat.shape[1] != 4 and len(flat):
            raise InputError("coords epxpypz need four columns (E, px, py, pz), got 3")
        precision = float(np.finfo(flat.dtype).eps) if flat.dtype.kind == "f" else float(np.finfo(np.float64).eps)
        columns = np.zeros((4, len(flat)))
        columns[: flat.shape[1]] = flat.T
        keep = columns[0] != 0
        offsets = np.concatenate([[0], np.cumsum(np.asarray(counts, dtype=np.int64))])
        if not keep.all():
            offsets = np.concatenate([[0], np.cumsum(keep)])[offsets]
            columns = np.ascontiguousarray(columns[:, keep])
        return cls(columns, offsets.astype(np.int64), coords, precision)

    def unusable(self) -> np.ndarray:
        """bool [n_jets]: jets with a number that is not finite, or with a negative pT (or energy)."""
        wrong = ~np.isfinite(self.columns).all(axis=0) | (self.columns[0] < 0)
        total = np.concatenate([[0], np.cumsum(wrong)])
        return np.diff(total[self.offsets]) > 0

    def require_usable(self, name: str = "jets") -> Jets:
        """Itself, if every jet can be used; an error that names the first that cannot otherwise."""
        wrong = self.unusable()
        if wrong.any():
            k = int(np.argmax(wrong))
            part = self.columns[:, self.offsets[k] : self.offsets[k + 1]]
            finite = np.isfinite(part).all()
            what = f"a negative pT or E ({part[0].min()})" if finite else "a number that is not finite"
            raise InputError(
                f"particles of {name} should have finite momenta and pT >= 0; {int(wrong.sum())} of {len(self)} jets "
                f"do not, the first is jet {k}, which has {what}"
            )
        return self

    def select(self, which: np.ndarray) -> Jets:
        """The jets at these indices, or where a bool array is true."""
        which = np.asarray(which)
        which = np.flatnonzero(which) if which.dtype == bool else which
        counts = self.counts[which]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        index = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - self.offsets[which], counts)
        return Jets(np.ascontiguousarray(self.columns[:, index]), offsets, self.coords, self.precision)

    def _mass_squared(self) -> np.ndarray:
        """m^2 of the particles; what rounding of four-momenta leaves of a zero is zero."""
        if self.coords != "epxpypz":
            return self.columns[3] ** 2
        energy, momentum = self.columns[0], np.sqrt((self.columns[1:] ** 2).sum(axis=0))
        squared = (energy - momentum) * (energy + momentum)
        return np.where(squared > 16 * self.precision * energy**2, squared, 0.0)

    def hadronic(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """pT, rapidity, phi and (m / pT)^2 of the particles, float64 [n_particles] each."""
        if self.coords == "epxpypz":
            pt = np.hypot(self.columns[1], self.columns[2])
            phi = np.arctan2(self.columns[2], self.columns[1])
            mass_squared = self._mass_squared()
            with np.errstate(divide="ignore", invalid="ignore"):
                y = np.arcsinh(self.columns[3] / np.sqrt(pt**2 + mass_squared))
            if not np.isfinite(y).all():
                raise InputError("a massless particle along the beam has no rapidity; hadronic measures need pT > 0")
            return pt, y, phi, mass_squared / pt**2
        pt, y, phi, mass = self.columns
        ratio = (mass / pt) ** 2
        if self.coords == "ptetaphim" and mass.any():
            y = np.arcsinh(np.sinh(y) / np.sqrt(1 + ratio))
        return pt, y, phi, ratio

    def spherical(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """E, 1 - |p|/E [n_particles] and the direction [3, n_particles] of the particles."""
        if self.coords == "epxpypz":
            energy, vector = self.columns[0], self.columns[1:]
            momentum = np.sqrt((vector**2).sum(axis=0))
            direction = vector / np.where(momentum > 0, momentum, 1.0)
        else:
            pt, eta, phi, mass = self.columns
            if self.coords == "ptyphim":
                eta = np.arcsinh(np.sinh(eta) * np.sqrt(1 + (mass / pt) ** 2))
            direction = np.stack([np.cos(phi) / np.cosh(eta), np.sin(phi) / np.cosh(eta), np.tanh(eta)])
            momentum = pt * np.cosh(eta)
            energy = np.hypot(momentum, mass)
        return energy, self._mass_squared() / (energy * (energy + momentum)), direction

    def summed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """pT, mass and phi of the sum of four-momenta, float64 [n_jets] each; 0 for empty jets."""
        if self.coords == "epxpypz":
            energy, px, py, pz = self.columns
        else:
            pt, y, phi, mass_ratio = self.hadronic()
            transverse = pt * np.sqrt(1 + mass_ratio)
            energy, pz = transverse * np.cosh(y), transverse * np.sinh(y)
            px, py = pt * np.cos(phi), pt * np.sin(phi)
        energy, px, py, pz = (self.sum_over(column) for column in (energy, px, py, pz))
        with np.errstate(invalid="ignore"):
            squared = energy**2 - px**2 - py**2 - pz**2
            return np.hypot(px, py), np.where(squared < 0, 0.0, np.sqrt(np.abs(squared))), np.arctan2(py, px)

    def sum_over(self, values: np.ndarray) -> np.ndarray:
        """Sum of a number per particle over each jet, float64 [n_jets]; a jet's own sum, so that a NaN stays in its
        jet."""
        total = np.zeros(len(self))
        filled = self.counts > 0
        if filled.any():
            total[filled] = np.add.reduceat(values, self.offsets[:-1][filled])
        return total
