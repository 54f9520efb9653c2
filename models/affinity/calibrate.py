"""Calibration: from a raw score to a probability that can be multiplied with money.

Candidates are a shift, Platt (Platt 1999), beta (Kull, Silva Filho and Flach 2017) and isotonic (monotone) maps of the
score; the best by cross-validated log-loss on the late nights wins. A shift at least there always is: what all late
nights answered less than the early ones must not be promised for tonight. On top, each product × channel gets an
offset in log-odds towards its own observed rate, shrunk by how much was observed (empirical Bayes, a normal prior).

Before that, each channel makes of a score what its own orders say (``by_channel``): customers differ more on some than on
others. Whoever does not open WeChat gets nothing from it, most get a text message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from models.affinity.logistic import logistic
from models.affinity.spread import beyond_luck
from models.arrays import Floats, Ints

Kind = Literal["none", "shift", "platt", "beta", "isotonic"]
_EPS = 1e-9
SHIFT = 0.2  # standard deviation of a shift of the log-odds before any data
#: How far a channel may differ from the others, in level and in how much customers differ: standard deviations.
_APART = (0.1, 0.25)


@dataclass(frozen=True)
class Map:
    """A monotone map from a score to log-odds; the score is a start (the prior's log-odds) and what the trees add.

    ``shift``: start + trees + a. ``platt``: start + a + b·trees, which leaves the prior's differences between arcs
    alone. Of s = start + trees: ``beta``: a + b·ln p − c·ln(1 − p) with p = sigmoid(s); ``isotonic``: linear between knots.
    """

    kind: Kind
    parameters: tuple[float, ...] = ()
    knots: tuple[tuple[float, float], ...] = ()

    def __call__(self, trees: Floats, start: Floats | float = 0.0) -> Floats:
        """Log-odds of what the trees say, from a start."""
        if self.kind == "shift":
            return start + trees + self.parameters[0]
        if self.kind == "platt":
            a, b = self.parameters
            return start + a + b * trees
        score = start + trees
        if self.kind == "beta":
            a, b, c = self.parameters
            return a + b * -np.logaddexp(0, -score) + c * np.logaddexp(0, score)
        if self.kind == "isotonic":
            x, y = np.array(self.knots).T
            return np.interp(score, x, y)
        return score

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"kind": self.kind, "parameters": list(self.parameters), "knots": [list(knot) for knot in self.knots]}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Map:
        """From JSON."""
        return Map(data["kind"], tuple(data["parameters"]), tuple((x, y) for x, y in data["knots"]))


def log_loss(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    """Weighted mean of −ln(likelihood)."""
    p = np.clip(p, _EPS, 1 - _EPS)
    loss = -(y * np.log(p) + (1 - y) * np.log1p(-p))
    return float(np.average(loss, weights=weight))


def fit_map(kind: Kind, trees: Floats, y: Floats, weight: Floats, start: Floats | float = 0.0) -> Map:
    """Fit one kind of map by weighted maximum likelihood."""
    if kind == "none":
        return Map("none")
    score = start + trees
    if kind == "shift":
        return Map("shift", (_shift(score, y, weight),))
    if kind == "isotonic":
        return _isotonic(score, y, weight)
    columns = (
        np.column_stack([np.ones_like(trees), trees])
        if kind == "platt"
        else np.column_stack([np.ones_like(score), -np.logaddexp(0, -score), np.logaddexp(0, score)])
    )
    known = start if kind == "platt" else 0.0
    first = np.array([0.0, 1.0]) if kind == "platt" else np.array([0.0, 1.0, 1.0])
    theta = logistic(columns, y, weight / float(weight.sum()), known, first)  # slopes ≥ 0 keep the order of scores
    return Map(kind, tuple(float(value) for value in theta))


def _shift(score: Floats, y: Floats, weight: Floats) -> float:
    """Posterior mode of a shift under a normal prior around 0: where the gradient, which falls throughout, is 0."""

    def gradient(shift: float) -> float:
        return float((weight * (y - expit(score + shift))).sum()) - shift / SHIFT**2

    furthest = SHIFT**2 * float(weight.sum())  # answers pull no further than this, were they all alike
    return float(brentq(gradient, -furthest, furthest, xtol=1e-12))


def _isotonic(score: Floats, y: Floats, weight: Floats) -> Map:
    from sklearn.isotonic import IsotonicRegression

    rate = float(np.average(y, weights=weight))
    bins = np.quantile(score, np.linspace(0, 1, 101))
    where = np.clip(np.searchsorted(bins, score, side="right") - 1, 0, 99)
    total = np.bincount(where, weight, 100)
    filled = total > 0
    centre = np.bincount(where, weight * score, 100)[filled] / total[filled]
    mean = (np.bincount(where, weight * y, 100)[filled] + rate) / (total[filled] + 1)  # one pseudo-row of the mean
    fitted = IsotonicRegression().fit_transform(centre, mean, sample_weight=total[filled])
    order = np.argsort(centre, kind="stable")
    x, z = centre[order], logit(np.clip(fitted[order], 1e-7, 1 - 1e-7))
    x, first = np.unique(x, return_index=True)
    return Map("isotonic", (), tuple((float(a), float(b)) for a, b in zip(x, z[first], strict=True)))


def choose_map(
    trees: Floats, start: Floats, y: Floats, weight: Floats, fold: NDArray[np.int64]
) -> tuple[Map, dict[str, float]]:
    """The simplest kind whose cross-validated log-loss is within one standard error of the least, refitted on all rows.

    The one-standard-error rule (Breiman et al. 1984): with few orders a free map gains in the sample and distorts
    arcs that were seldom offered. The error is that of the paired difference to the least.

    Args:
        trees: (rows,) what the trees say.
        start: (rows,) log-odds that they start from.
        y: (rows,) 0 or 1.
        weight: (rows,) weights that undo sampling.
        fold: (rows,) fold of each row, by customer.

    Returns:
        The map, and the log-loss of every kind.
    """
    losses: dict[str, float] = {}
    each: dict[str, Floats] = {}
    kinds: tuple[Kind, ...] = ("shift", "platt", "beta", "isotonic")
    for kind in kinds:
        p = np.empty_like(trees)
        for held_out in np.unique(fold):
            out = fold == held_out
            inside = ~out
            train = trees[inside], y[inside], weight[inside], start[inside]
            fitted = fit_map(kind, *train) if y[inside].any() else Map("none")
            p[out] = expit(fitted(trees[out], start[out]))
        losses[kind] = log_loss(y, p, weight)
        p = np.clip(p, _EPS, 1 - _EPS)
        each[kind] = -(y * np.log(p) + (1 - y) * np.log1p(-p))
    least = min(kinds, key=lambda kind: losses[kind])

    def near(kind: Kind) -> bool:
        gap = weight * (each[kind] - each[least])
        return bool(gap.sum() <= np.sqrt(((gap - gap.mean()) ** 2).sum()))

    best = next(kind for kind in kinds if kind == least or near(kind))
    return fit_map(best, trees, y, weight, start), losses


def group_offsets(logodds: Floats, y: Floats, weight: Floats, group: NDArray[np.int64], groups: int) -> Floats:
    """Offsets in log-odds that bring each group's predictions to its observed rate, as far as it was observed.

    One Newton step of the posterior mode: offset = gradient / (information + 1/τ²), where τ² is estimated from the
    groups' own steps, at most that of a shift of them all, and 0 where they differ no more than luck would have it:
    prior and trees have seen these rows as well, and an optimizer would pick the groups that were lucky twice.

    Args:
        logodds: (rows,) calibrated log-odds.
        y: (rows,) 0 or 1.
        weight: (rows,) weights.
        group: (rows,) group of each row, −1 for none.
        groups: number of groups.
    """
    known = group >= 0
    p = expit(logodds)
    gradient = np.bincount(group[known], (weight * (y - p))[known], groups)
    information = np.bincount(group[known], (weight * p * (1 - p))[known], groups)
    seen = information > 1
    spread = beyond_luck(gradient[seen] / information[seen], 1 / information[seen], SHIFT)
    return gradient / (information + 1 / spread) if spread > 0 else np.zeros(groups)


@dataclass(frozen=True)
class Channels:
    """What each channel makes of a score: a + b · score, by channel id; as it is where nothing is known.

    Attributes:
        level: a by channel.
        slope: b by channel.
    """

    level: Mapping[int, float]
    slope: Mapping[int, float]

    def of(self, channel: Ints) -> tuple[Floats, Floats]:
        """(channels,) a and b of some channels."""
        ids = channel.tolist()
        return np.array([self.level.get(c, 0.0) for c in ids]), np.array([self.slope.get(c, 1.0) for c in ids])

    def __call__(self, score: Floats, channel: Ints) -> Floats:
        """(rows,) the scores of some channels."""
        ids, at = np.unique(channel, return_inverse=True)
        level, slope = self.of(ids)
        return np.asarray(level[at] + slope[at] * score)


def by_channel(score: Floats, channel: Ints, y: Floats, weight: Floats, start: Floats) -> Channels:
    """How far customers differ on each channel: log-odds = start + a + b · score, a drawn to 0 and b to 1.

    Args:
        score: (contacts,) Σ β · trees that did not see the customer.
        channel: (contacts,) id of the channel.
        y: (contacts,) 0 or 1.
        weight: (contacts,).
        start: (contacts,) log-odds of the prior.
    """
    level, slope = {}, {}
    precision = 1 / np.array(_APART) ** 2
    for which in np.unique(channel).tolist():
        in_channel = channel == which
        s, w = score[in_channel], weight[in_channel]
        middle = float(np.average(s, weights=w))
        design = np.column_stack([np.ones(len(s)), s - middle])
        a, b = logistic(
            design, y[in_channel], w, start[in_channel] + s, np.zeros(2), precision=precision, rising=False
        ).tolist()
        level[which], slope[which] = a - b * middle, 1 + b
    return Channels(level, slope)


def reliability(y: Floats, p: Floats, weight: Floats, bins: int = 10) -> list[dict[str, float]]:
    """Predicted against observed by decile of the prediction."""
    order = np.argsort(p, kind="stable")
    share = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    where = np.minimum((share * bins).astype(int), bins - 1)
    rows = []
    for index in range(bins):
        in_bin = order[where == index]
        total = float(weight[in_bin].sum())
        if total > 0:
            rows.append(
                {
                    "bin": float(index),
                    "weight": total,
                    "predicted": float(np.average(p[in_bin], weights=weight[in_bin])),
                    "observed": float(np.average(y[in_bin], weights=weight[in_bin])),
                    "positives": float((weight[in_bin] * y[in_bin]).sum()),
                }
            )
    return rows


def slope(y: Floats, p: Floats, weight: Floats) -> float:
    """Calibration slope: the b of a logistic regression of y on a + b·logit(p); 1 is right."""
    return fit_map("platt", logit(np.clip(p, _EPS, 1 - _EPS)), y, weight).parameters[1]
