"""Drift between two samples of a feature or a score: population stability index and missing rates.

PSI = Σ (a − b)·ln(a / b) over the bins of the first sample's deciles plus one bin for missing, with half a row
added to each bin; 0.1 is little, 0.25 much (Siddiqi 2006).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Floats

_EMPTY = 0.995  # a feature missing for more than this share is not there


@dataclass(frozen=True)
class Drift:
    """How a column moved: PSI and missing share then and now."""

    name: str
    psi: float
    missing_then: float
    missing_now: float

    @property
    def empty(self) -> bool:
        """Not populated on one side."""
        return max(self.missing_then, self.missing_now) > _EMPTY


def psi(then: Floats, now: Floats, bins: int = 10) -> float:
    """Population stability index of ``now`` against ``then``; NaN is a bin of its own."""
    known = then[~np.isnan(then)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.zeros(0)

    def shares(values: Floats) -> Floats:
        missing = np.isnan(values)
        counts = np.bincount(np.searchsorted(edges, values[~missing], side="left"), minlength=len(edges) + 1)
        filled = np.append(counts, missing.sum()) + 0.5
        return filled / filled.sum()

    a, b = shares(now), shares(then)
    return float(((a - b) * np.log(a / b)).sum())


def compare(names: tuple[str, ...], then: Floats, now: Floats) -> tuple[Drift, ...]:
    """Drift of each column of two (rows, columns) samples."""
    return tuple(
        Drift(name, psi(then[:, k], now[:, k]), float(np.isnan(then[:, k]).mean()), float(np.isnan(now[:, k]).mean()))
        for k, name in enumerate(names)
    )
