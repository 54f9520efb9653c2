"""The effect of a contact on net margin: measured where chance chose, shrunk to the response where that is thin.

The model says that a contact makes an order more probable by d = p_convert − p_base. Two corrections are measured:

- *lift* κ of a cell (product group × channel): orders of the offered product beyond p_base, as a multiple of d. Only
  explorers count, weighted by 1 / pscore: what exploiters were given was chosen for what the past system knew of them,
  so that their orders would look like an effect where there is none. κ is the weighted slope of (order − p_base) on d;
  its variance is that of the orders that the model expects, which unlike a sandwich does not vanish where none came.
- *kept* m of a product group: what is left of an order's list margin after the discount and what the order displaced
  or brought forward within the horizon: margin beyond the baseline of those who got nothing, over list margin, among
  orders that answered a contact and stayed.

The effect of an arc on net margin is then (κ·d·m − p_base·(1 − m)) · unit margin: orders that the contact brings, less
the discount to those who would have ordered anyway. Cells are shrunk to the whole by empirical Bayes (Morris 1983).

An optimizer picks what is overestimated (the winner's curse; Smith and Winkler 2006). What explorers' contacts brought
among those that the model would pick is therefore measured apart, and lifts are multiplied by it as far as it is known
(``among_best``, ``correction``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from models.affinity.spread import beyond_luck
from models.arrays import Flags, Floats, Ints

#: Prior of the whole's lift: the response as it is (mean, scale), with tails of Student's t of so many degrees, so
#: that explorers who contradict it are believed.
PRIOR, _TAILS = (1.0, 0.1), 3
#: Prior of the share of margin kept, and how many orders of mean list margin it is worth.
KEPT = (0.9, 20.0)
_SPREAD_MAX = 0.5
#: How far orders brought may be from predicted ones where an optimizer would choose, before any are seen: around 1.
_CURSE = 0.1


@dataclass(frozen=True)
class Lift:
    """Lift of a cell: posterior mean and standard deviation, the share that its own data has in it, its contacts."""

    value: float
    deviation: float
    own: float
    rows: int

    def times(self, factor: float) -> Lift:
        """The lift multiplied."""
        return replace(self, value=self.value * factor, deviation=self.deviation * factor)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"value": self.value, "deviation": self.deviation, "own": self.own, "rows": self.rows}


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

    def times(self, factor: float) -> Lifts:
        """All lifts multiplied."""
        return Lifts(self.whole.times(factor), {key: lift.times(factor) for key, lift in self.cells.items()})

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


@dataclass(frozen=True)
class Drawn:
    """Contacts of explorers: what came of them, and what was expected.

    Attributes:
        residual: (contacts,) order less p_base.
        predicted: (contacts,) d.
        expected: (contacts,) chance to order.
        weight: (contacts,) 1 / pscore.
        times: (contacts,) how many contacts of the log a sampled one stands for.
    """

    residual: Floats
    predicted: Floats
    expected: Floats
    weight: Floats
    times: Floats

    def take(self, mask: Flags) -> Drawn:
        """The contacts of a mask."""
        return Drawn(**{name: value[mask] for name, value in vars(self).items()})


def fit_weighted_slope(drawn: Drawn) -> tuple[float, float]:
    """Slope of residual on predicted through the origin, and its variance if orders come as expected.

    β = Σ w·d·r / Σ w·d²; Var = Σ w²·d²·p·(1 − p) / (Σ w·d²)², sums over the log.
    """
    d, w, p = drawn.predicted, drawn.weight, drawn.expected
    power = float((drawn.times * w * d**2).sum())
    if power <= 0:
        return 0.0, np.inf
    variance = float((drawn.times * w**2 * d**2 * p * (1 - p)).sum()) / power**2
    return float((drawn.times * w * d * drawn.residual).sum()) / power, variance


def measure(drawn: Drawn, cell: Ints, names: Sequence[str], prior: tuple[float, float] = PRIOR) -> Lifts:
    """Lifts of all cells.

    Args:
        drawn: contacts of explorers.
        cell: (contacts,) position in ``names``.
        names: cells.
        prior: mean and scale of the whole's lift before any data.
    """
    slope, variance = fit_weighted_slope(drawn)
    own = prior[1] ** 2 / (prior[1] ** 2 + variance)
    overall = Lift(*_posterior(slope, variance, prior), float(own), len(cell))
    estimates = [fit_weighted_slope(drawn.take(cell == k)) for k in range(len(names))]
    slopes, variances = (np.array(column) for column in zip(*estimates, strict=True)) if names else (np.zeros(0),) * 2
    known = np.isfinite(variances) & (variances > 0)
    spread = beyond_luck(slopes[known] - overall.value, variances[known], _SPREAD_MAX) if known.sum() > 1 else 0.0
    cells = {}
    for k, name in enumerate(names):
        share = spread / (spread + variances[k]) if known[k] and spread > 0 else 0.0
        value = share * slopes[k] + (1 - share) * overall.value if share > 0 else overall.value
        error = float(np.sqrt(spread * (1 - share) + (1 - share) ** 2 * overall.deviation**2))
        cells[name] = Lift(max(0.0, float(value)), error, float(share), int((cell == k).sum()))
    return Lifts(overall, cells)


def _posterior(slope: float, variance: float, prior: tuple[float, float]) -> tuple[float, float]:
    """Mean and standard deviation of a lift of at least 0, by its prior and what was measured."""
    lifts = np.linspace(0.0, 4.0, 4001)
    log = student.logpdf(lifts, _TAILS, *prior)
    if np.isfinite(variance):
        log -= (lifts - slope) ** 2 / (2 * variance)
    weight = np.exp(log - log.max())
    mean = float(np.average(lifts, weights=weight))
    return mean, float(np.sqrt(np.average((lifts - mean) ** 2, weights=weight)))


def average(drawn: Drawn) -> dict[str, float]:
    """Orders that an explorer's contact brings on average, whatever the model says of whom: nothing without contacts.

    Returns:
        ``effect_explorers``, and its standard error ``effect_explorers_error`` if orders come as expected.
    """
    weight = drawn.times * drawn.weight
    if weight.sum() <= 0:
        return {}
    variance = float((weight * drawn.weight) @ (drawn.expected * (1 - drawn.expected)))
    return {
        "effect_explorers": float(weight @ drawn.residual / weight.sum()),
        "effect_explorers_error": float(np.sqrt(variance) / weight.sum()),
    }


def among_best(drawn: Drawn, predicted: Floats, value: Floats, share: float = 0.2) -> dict[str, float]:
    """Orders brought over orders predicted, on the contacts that are worth most: where an optimizer would choose.

    Args:
        drawn: contacts of explorers.
        predicted: (contacts,) orders that each brings as the model has it, by trees that did not see the customer.
        value: (contacts,) what it is worth, cost taken off.
        share: of the contacts, by weight.

    Returns:
        ``chosen_ratio`` and its standard error ``chosen_error`` (orders come as expected); nothing without contacts.
    """
    weight = drawn.times * drawn.weight
    order = np.argsort(-value, kind="stable")
    best = order[np.cumsum(weight[order]) <= share * weight.sum()]
    total = float((weight * predicted)[best].sum())
    if total <= 0:
        return {}
    p = drawn.expected[best]
    variance = float((weight * drawn.weight)[best] @ (p * (1 - p)))
    ratio = float((weight * drawn.residual)[best].sum()) / total
    return {"chosen_ratio": ratio, "chosen_error": float(np.sqrt(variance)) / total}


def correction(chosen: Mapping[str, float]) -> float:
    """What lifts are multiplied by: posterior mean of the ratio on the contacts worth most, from a prior around 1.

    At most 1: choosing by an estimate can only make it too high, so more orders than predicted there are luck.

    Args:
        chosen: as of ``among_best``.
    """
    if not chosen:
        return 1.0
    variance = chosen["chosen_error"] ** 2
    return min(1.0, float((_CURSE**2 * chosen["chosen_ratio"] + variance) / (_CURSE**2 + variance)))


def fit_kept_margin(
    margin: Floats, baseline: Floats, listed: Floats, group: Ints, names: Sequence[str]
) -> dict[str, float]:
    """Share of the list margin that an order leaves, by product group (``""`` is the whole), between 0.3 and 1.

    Args:
        margin: (orders,) margin within the horizon of customers who answered a contact and did not cancel, 元.
        baseline: (orders,) what is expected of them without a contact, 元.
        listed: (orders,) list margin of the product ordered, 元.
        group: (orders,) position in ``names``.
        names: product groups.
    """
    mean, orders = KEPT
    left, worth = margin - baseline, orders * float(listed.mean()) if len(listed) else 1.0

    def share(among: Flags, towards: float) -> float:
        return float(np.clip((left[among].sum() + towards * worth) / (listed[among].sum() + worth), 0.3, 1.0))

    overall = share(np.ones(len(left), bool), mean)
    return {"": overall} | {name: share(group == k, overall) for k, name in enumerate(names)}


def winsorize(values: Floats, share: float = 1e-3) -> Floats:
    """Values clipped at the quantiles ``share`` and 1 − ``share``: a few flagship phones must not set a baseline."""
    if len(values) == 0:
        return values
    low, high = np.quantile(values, [share, 1 - share])
    return np.clip(values, low, high)


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
    channels = {}
    for which in np.unique(channel[contacted]):
        in_channel = channel == which
        size = float(weight[in_channel].sum() ** 2 / (weight[in_channel] ** 2).sum())  # effective contacts
        rate = float(np.average(happened[in_channel], weights=weight[in_channel]))
        channels[int(which)] = max(0.0, (size * rate + 2000 * mean) / (size + 2000) - base)
    return Hazard(max(0.0, mean - base), channels)
