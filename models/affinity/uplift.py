"""How well a score ranks customers by the effect of a treatment: Qini, AUUC, deciles, with intervals.

With rows in descending order of score, after the first k: nₜ, n_c treated and control rows, Yₜ, Y_c their outcomes.

- *Qini curve* Yₜ − Y_c·nₜ/n_c (Radcliffe 2007), at distinct scores. ``qini_sklift`` = area over the straight line
  to its end, divided by the same of the perfect order (y·t − y·(1 − t)): scikit-uplift's ``qini_auc_score``.
- ``qini_area``: that area over the line, not divided by the perfect one, as a share of customers × effect a row.
- ``auuc``: area under the cumulative gain (Yₜ/nₜ − Y_c/n_c)·k/n (Gutierrez and Gérardy 2017), per row.

Intervals are percentile bootstraps over rows (or clusters of one row); the order of scores is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats


@dataclass(frozen=True)
class Ranked:
    """Rows in descending order of a score, ties together."""

    y: Floats
    t: Floats
    order: NDArray[np.int64]
    ends: NDArray[np.int64]  # last row of each distinct score

    def sums(self, weight: Floats | None) -> tuple[Floats, Floats, Floats, Floats]:
        """nₜ, n_c, Yₜ, Y_c after each distinct score."""
        w = np.ones(len(self.y)) if weight is None else weight[self.order]
        treated, control = w * self.t, w * (1 - self.t)
        cumulated = (np.cumsum(part)[self.ends] for part in (treated, control, treated * self.y, control * self.y))
        nt, nc, yt, yc = cumulated
        return nt, nc, yt, yc


def rank(y: Floats, t: Floats, score: Floats) -> Ranked:
    """Order rows by a score."""
    order = np.argsort(score, kind="mergesort")[::-1]
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    return Ranked(y[order], t[order], order, ends)


def _qini(ranked: Ranked, weight: Floats | None) -> tuple[Floats, Floats]:
    nt, nc, yt, yc = ranked.sums(weight)
    curve = yt - yc * np.divide(nt, nc, out=np.zeros_like(nt), where=nc > 0)
    return np.append(0.0, nt + nc), np.append(0.0, curve)


def curve(y: Floats, t: Floats, score: Floats) -> tuple[Floats, Floats]:
    """The Qini curve: customers and incremental outcome after each distinct score."""
    return _qini(rank(y, t, score), None)


def _area(x: Floats, y: Floats) -> float:
    """Area between a curve and the line from the origin to its end."""
    return float(np.trapezoid(y, x) - x[-1] * y[-1] / 2)


def qini(ranked: Ranked, perfect: Ranked, weight: Floats | None = None) -> tuple[float, float]:
    """``qini_sklift`` and ``qini_area``."""
    x, y = _qini(ranked, weight)
    area, best = _area(x, y), _area(*_qini(perfect, weight))
    return (area / best if best else 0.0), area / float(x[-1] ** 2)


def auuc(ranked: Ranked, weight: Floats | None = None) -> float:
    """Area under the cumulative gain, per row."""
    nt, nc, yt, yc = ranked.sums(weight)
    gain = np.divide(yt, nt, out=np.zeros_like(nt), where=nt > 0) - np.divide(
        yc, nc, out=np.zeros_like(nc), where=nc > 0
    )
    x = np.append(0.0, nt + nc) / (nt[-1] + nc[-1])
    return float(np.trapezoid(np.append(0.0, gain) * x, x))


def perfect(y: Floats, t: Floats) -> Ranked:
    """The order that scikit-uplift calls perfect: treated who answer first, control who answer last."""
    return rank(y, t, y * t - y * (1 - t))


@dataclass(frozen=True)
class Quality:
    """Figures of a learner's ranking."""

    qini_sklift: float
    qini_area: float
    qini_ci: tuple[float, float]
    auuc: float
    auuc_ci: tuple[float, float]


#: Scores that come from the same rows by cross-fitting share their noise across folds: each pair of folds counts twice,
#: so where there is no effect the variance of a figure is twice what a bootstrap with the scores held fixed says.
CROSS_FITTED = 2**0.5


def quality(
    y: Floats,
    t: Floats,
    score: Floats,
    *,
    repeats: int = 200,
    level: float = 0.95,
    seed: int = 0,
    spread: float = 1.0,
) -> Quality:
    """Qini and AUUC of a score with bootstrap intervals.

    Args:
        y: (rows,) outcome.
        t: (rows,) 1 treated, 0 control.
        score: (rows,) higher is treated first.
        repeats: of the bootstrap; 0 gives no intervals.
        level: of the intervals.
        seed: of the bootstrap.
        spread: factor of the intervals' distance from the figure; ``CROSS_FITTED`` for cross-fitted scores.
    """
    ranked, best = rank(y, t, score), perfect(y, t)
    value, area = qini(ranked, best)
    gained = auuc(ranked)
    rng = np.random.default_rng(seed)
    drawn = np.empty((repeats, 2))
    for repeat in range(repeats):
        weight = np.bincount(rng.integers(0, len(y), len(y)), minlength=len(y)).astype(np.float64)
        drawn[repeat] = qini(ranked, best, weight)[0], auuc(ranked, weight)
    if not repeats:
        return Quality(value, area, (float("nan"),) * 2, gained, (float("nan"),) * 2)
    centre = np.array([value, gained])
    low, high = centre + spread * (np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0) - centre)
    return Quality(value, area, (float(low[0]), float(high[0])), gained, (float(low[1]), float(high[1])))


@dataclass(frozen=True)
class Gain:
    """What comes of treating the rows of a log in the order of a score, where the baseline of each row is known.

    Attributes:
        share: (points,) of the weight treated, from 0 to 1.
        gained: (points,) Σ weight·value so far, over the whole weight.
        area: between the curve and the line to its end; 0 for an order that says nothing.
        ci: its 95 % interval, a bootstrap over clusters.
    """

    share: Floats
    gained: Floats
    area: float
    ci: tuple[float, float]


def gain(
    score: Floats, value: Floats, weight: Floats, cluster: NDArray[np.int64], *, repeats: int = 200, seed: int = 0
) -> Gain:
    """The Qini curve of treated rows whose values are net of a baseline, weighted by 1 / pscore.

    Args:
        score: (rows,) highest first.
        value: (rows,) outcome less what was expected without the treatment.
        weight: (rows,).
        cluster: (rows,) what is drawn together, such as the customer.
        repeats: of the bootstrap.
        seed: of the bootstrap.
    """
    order = np.argsort(-score, kind="stable")
    v, w = value[order], weight[order]
    _, of = np.unique(cluster[order], return_inverse=True)

    def curve(times: Floats) -> tuple[Floats, Floats, float]:
        x, y = np.append(0.0, np.cumsum(times)), np.append(0.0, np.cumsum(times * v))
        return x / x[-1], y / x[-1], _area(x, y) / float(x[-1] ** 2)

    if len(v) == 0 or w.sum() <= 0:
        return Gain(np.array([0.0, 1.0]), np.zeros(2), 0.0, (0.0, 0.0))
    rng = np.random.default_rng(seed)
    clusters = int(of.max()) + 1
    drawn = [
        curve(w * np.bincount(rng.integers(0, clusters, clusters), minlength=clusters)[of])[2] for _ in range(repeats)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (np.nan, np.nan)
    share, gained, area = curve(w)
    return Gain(share, gained, area, (float(low), float(high)))


def effect(y: Floats, t: Floats, z: float = 1.959963984540054) -> tuple[float, tuple[float, float]]:
    """Average effect as the difference of means, and its 95 % interval (Neyman)."""
    treated, control = y[t > 0], y[t == 0]
    value = float(treated.mean() - control.mean())
    error = float(np.sqrt(treated.var(ddof=1) / len(treated) + control.var(ddof=1) / len(control)))
    return value, (value - z * error, value + z * error)


def deciles(y: Floats, t: Floats, score: Floats, bins: int = 10) -> list[dict[str, float]]:
    """Effect by decile of the score, best first."""
    order = np.argsort(-score, kind="stable")
    rows = []
    for index, part in enumerate(np.array_split(order, bins)):
        mine_t = t[part]
        if 1 < mine_t.sum() < len(part) - 1:
            value, (low, high) = effect(y[part], mine_t)
        else:
            value = low = high = float("nan")
        rows.append(
            {
                "decile": index + 1,
                "rows": len(part),
                "predicted": float(score[part].mean()),
                "effect": value,
                "low": low,
                "high": high,
            }
        )
    return rows
