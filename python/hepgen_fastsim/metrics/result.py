# SPDX-License-Identifier: MIT
"""What a metric returns: a value, its error, and what the reference itself would get."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from hepgen_fastsim.errors import InputError
from hepgen_fastsim.metrics.jets import Jets

__all__ = ["Result", "clean_features", "clean_jets", "clean_values", "cleaned", "with_floor"]

Sample = TypeVar("Sample")


@dataclass(frozen=True)
class Result:
    """A metric between a reference and a candidate.

    Attributes
    ----------
    name: the metric
    value: the metric itself; 0 is best unless the metric says otherwise
    error: one standard deviation of `value` from the finite samples
    floor, floor_error: the same metric, with the same settings, between the reference and a second, independent
        reference; None unless one was given
    details: numbers beside the value (per feature, per graph), and the counts of unusable entries: ``n_reference``,
        ``n_candidate``, ``n_unusable`` (candidates with numbers that are not finite, or negative pT; left out) and
        ``n_out_of_range`` (candidates with an observable beyond twice the largest of the reference; kept)
    """

    name: str
    value: float
    error: float
    floor: float | None = None
    floor_error: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Value in units of the floor: 1 is as good as the reference itself."""
        if self.floor is None:
            return None
        return self.value / self.floor if self.floor else math.inf * np.sign(self.value) if self.value else math.nan

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        text = f"{self.name} = {self.value:.4g} ± {self.error:.2g}"
        if self.floor is not None:
            text += f" (floor {self.floor:.4g} ± {self.floor_error:.2g})"
        bad = [f"{self.details[k]} {k[2:].replace('_', ' ')}" for k in _COUNTS if self.details.get(k)]
        return text + (f" [{', '.join(bad)}]" if bad else "")

    def to_dict(self) -> dict[str, Any]:
        """For JSON: numbers, strings, lists; infinities and NaN become None."""
        parts = {key: getattr(self, key) for key in ("name", "value", "error", "floor", "floor_error", "details")}
        return plain({**parts, "ratio": self.ratio})


_COUNTS = ("n_unusable", "n_unusable_reference", "n_out_of_range")


def plain(value: Any) -> Any:
    """Numbers, strings, lists and dicts only, as JSON has them; what is not finite becomes None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value


def with_floor(
    name: str,
    measure: Callable[[Sample, Sample], tuple[float, float, dict[str, Any]]],
    reference: Sample,
    candidate: Sample,
    rerun: Sample | None,
    counts: dict[str, Any] | None = None,
) -> Result:
    """Measures the candidate against the reference and, if there is a second reference, that one too."""
    value, error, details = measure(reference, candidate)
    details = {**details, **(counts or {})}
    if rerun is None:
        return Result(name, float(value), float(error), details=details)
    floor, floor_error, floor_details = measure(reference, rerun)
    details["floor"] = floor_details
    return Result(name, float(value), float(error), float(floor), float(floor_error), details)


def cleaned(
    clean: Callable[[Any, str], tuple[Sample, int]], reference: Any, candidate: Any, rerun: Any
) -> tuple[tuple[Sample, Sample, Sample | None], tuple[int, int]]:
    """The samples as `clean` (of a sample and its name) leaves them, and how many entries of the first two it left
    out."""
    (first, bad), (second, more) = clean(reference, "reference"), clean(candidate, "candidate")
    return (first, second, None if rerun is None else clean(rerun, "rerun")[0]), (bad, more)


def clean_values(values: Any, name: str) -> tuple[np.ndarray, int]:
    """Finite numbers of a sample, float64 [n], and how many were not."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise InputError(f"{name} should be a list of numbers [n], got the shape {list(array.shape)}")
    finite = np.isfinite(array)
    if not finite.any():
        raise InputError(f"{name} should have at least one finite number, got none among {len(array)}")
    return array[finite], int((~finite).sum())


def clean_features(features: Any, name: str) -> tuple[np.ndarray, int]:
    """Rows with finite numbers only, float64 [n, d], and how many had others."""
    array = np.asarray(features, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(f"{name} should be features [n, d], got the shape {list(array.shape)}")
    finite = np.isfinite(array).all(axis=1)
    if finite.sum() < 2:
        raise InputError(f"{name} should have at least two rows of finite numbers, got {int(finite.sum())}")
    return array[finite], int((~finite).sum())


def clean_jets(jets: Any, name: str, coords: str | None = None) -> tuple[Jets, int]:
    """Jets whose particles are finite with pT >= 0, and how many others there were."""
    read = Jets.read(jets, coords, name=name)
    wrong = read.unusable()
    if len(read) == 0 or wrong.all():
        raise InputError(f"{name} should have at least one jet of finite momenta, got none among {len(read)}")
    return (read.select(~wrong) if wrong.any() else read), int(wrong.sum())


def out_of_range(reference: np.ndarray, candidate: np.ndarray) -> int:
    """Candidates (rows) with an observable of a size beyond twice the largest of the reference."""
    limit = 2 * np.abs(np.atleast_2d(reference.T)).max(axis=1)
    return int((np.abs(np.atleast_2d(candidate.T)) > limit[:, None]).any(axis=0).sum())


def counts_of(n_reference: int, n_candidate: int, bad_reference: int, bad_candidate: int) -> dict[str, int]:
    counts = {"n_reference": n_reference, "n_candidate": n_candidate, "n_unusable": bad_candidate}
    return {**counts, "n_unusable_reference": bad_reference} if bad_reference else counts
