"""The effect of a contact on net margin: measured where there is data, shrunk to response × lift where it is thin.

Predicted incremental margin of an arc: e = (p_convert − p_base) · unit margin. What a contact really does to all
orders within the horizon (brought forward, cannibalised, cancelled) is measured by residuals of the margin after a
baseline of those who got nothing: r = Y − m₀(x), m₀ cross-fitted by customer (the partialling out of the R-learner,
Nie and Wager 2021). The *lift* of a cell (product group × channel) is the slope of r on e; its error is clustered
by customer. Cells are shrunk to the whole, the whole to its prior, by empirical Bayes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Prior of the whole's lift: orders brought forward and cannibalised take a little off. (Mean, standard deviation.)
PRIOR = (0.9, 0.3)
_SPREAD_MAX = 0.5


@dataclass(frozen=True)
class Lift:
    """Lift of a cell: posterior mean, the share that its own data has in it, and the rows behind it."""

    value: float
    own: float
    rows: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"value": self.value, "own": self.own, "rows": self.rows}


@dataclass(frozen=True)
class Lifts:
    """Lifts by cell (``group|channel`` codes) and of the whole."""

    whole: Lift
    cells: Mapping[str, Lift]

    def of(self, cell: str) -> tuple[float, str]:
        """Lift and basis of a cell: ``effect`` where its own data weighs at least half, else ``group`` or ``prior``."""
        lift = self.cells.get(cell)
        if lift is None or lift.rows == 0:
            return self.whole.value, "group" if self.whole.own >= 0.5 else "prior"
        return lift.value, "effect" if lift.own >= 0.5 else "group"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "whole": self.whole.to_dict(),
            "cells": {key: lift.to_dict() for key, lift in sorted(self.cells.items())},
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Lifts:
        """From JSON."""
        return Lifts(Lift(**data["whole"]), {key: Lift(**lift) for key, lift in data["cells"].items()})


def clustered_slope(residual: Floats, predicted: Floats, cluster: Ints) -> tuple[float, float]:
    """Slope of residual on predicted through the origin, and its variance clustered by customer.

    β = Σ e·r / Σ e²; Var = Σ_customers (Σ e·(r − βe))² / (Σ e²)² (Liang and Zeger 1986).
    """
    power = float((predicted**2).sum())
    if power <= 0:
        return 0.0, np.inf
    slope = float((predicted * residual).sum()) / power
    _, where = np.unique(cluster, return_inverse=True)
    score = np.bincount(where, predicted * (residual - slope * predicted))
    return slope, float((score**2).sum()) / power**2


def winsorize(values: Floats, share: float = 1e-3) -> Floats:
    """Values clipped at the quantiles ``share`` and 1 − ``share``: a few flagship phones must not set a lift."""
    if len(values) == 0:
        return values
    low, high = np.quantile(values, [share, 1 - share])
    return np.clip(values, low, high)


def measure(
    residual: Floats,
    predicted: Floats,
    cluster: Ints,
    cell: Ints,
    names: Sequence[str],
    prior: tuple[float, float] = PRIOR,
) -> Lifts:
    """Lifts of all cells.

    Args:
        residual: (contacts,) margin over the horizon less the baseline, 元.
        predicted: (contacts,) predicted incremental margin, 元.
        cluster: (contacts,) customer.
        cell: (contacts,) position in ``names``.
        names: cells.
        prior: mean and standard deviation of the whole's lift before any data.
    """
    slope, variance = clustered_slope(residual, predicted, cluster)
    own = prior[1] ** 2 / (prior[1] ** 2 + variance)
    whole = Lift(max(0.0, own * slope + (1 - own) * prior[0]), float(own), len(residual))
    estimates = [
        clustered_slope(residual[cell == k], predicted[cell == k], cluster[cell == k]) for k in range(len(names))
    ]
    slopes, variances = (np.array(column) for column in zip(*estimates, strict=True)) if names else (np.zeros(0),) * 2
    known = np.isfinite(variances) & (variances > 0)
    spread = 0.0
    if known.sum() >= 2:  # method of moments: spread of the cells beyond their errors
        inverse = 1 / variances[known]
        excess = (slopes[known] - whole.value) ** 2 - variances[known]
        spread = float(np.clip((excess * inverse).sum() / inverse.sum(), 0.0, _SPREAD_MAX**2))
    cells = {}
    for k, name in enumerate(names):
        share = spread / (spread + variances[k]) if known[k] and spread > 0 else 0.0
        value = share * slopes[k] + (1 - share) * whole.value if share > 0 else whole.value
        cells[name] = Lift(max(0.0, float(value)), float(share), int((cell == k).sum()))
    return Lifts(whole, cells)


@dataclass(frozen=True)
class Hazard:
    """Change in a rate (opt-outs, complaints) by a contact through a channel, not below 0."""

    whole: float
    channels: Mapping[int, float]

    def of(self, channel: int) -> float:
        """Change in the rate; a channel never seen has that of the whole."""
        return self.channels.get(channel, self.whole)


def hazard(happened: NDArray[np.bool_], channel: Ints, weight: Floats) -> Hazard:
    """How much more often something happens within the horizon after a contact than after none.

    Args:
        happened: (explorers' decisions,) whether it did.
        channel: (decisions,) channel, −1 for none.
        weight: (decisions,) 1 / pscore, so that arms compare on the same customers.

    Each channel is shrunk to the whole by a beta prior worth 2,000 contacts.
    """
    contacted = channel >= 0
    if not contacted.any() or contacted.all():
        return Hazard(0.0, {})
    base = float(np.average(happened[~contacted], weights=weight[~contacted]))
    mean = float(np.average(happened[contacted], weights=weight[contacted]))
    found = {}
    for which in np.unique(channel[contacted]):
        mine = channel == which
        size = float(weight[mine].sum() ** 2 / (weight[mine] ** 2).sum())  # effective contacts
        rate = float(np.average(happened[mine], weights=weight[mine]))
        found[int(which)] = max(0.0, (size * rate + 2000 * mean) / (size + 2000) - base)
    return Hazard(max(0.0, mean - base), found)
