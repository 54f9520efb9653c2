"""The difference of two groups of customers over a period of one or more parts, with Welch's interval.

A part is a stretch of dates on which nobody changes groups. A customer who is in several parts counts once: what their
values have in common goes into the variance. Sums are exact integers, so that the same customers give the same digits
in any order and on any number of cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from scipy.stats import t as student

#: A part of the period, and whether the customers are treated.
Cell = tuple[int, bool]


@dataclass(frozen=True)
class CrossSums:
    """Sums over the customers who are in both of two cells (of a cell with itself: over its customers).

    Attributes:
        customers: how many.
        left: sum of their values in the first cell.
        right: in the second.
        product: sum of the products of both.
    """

    customers: int
    left: int
    right: int
    product: int


@dataclass(frozen=True)
class Difference:
    """What treating brought in all, in the unit of the values; the interval holds the truth in 95 of 100 cases.

    Attributes:
        total: sum over parts of treated customers x (mean of treated less mean of control).
        low: lower end.
        high: upper end.
        error: standard error.
        freedom: degrees of freedom (Welch-Satterthwaite).
    """

    total: float
    low: float
    high: float
    error: float
    freedom: float


def compare(cells: Mapping[tuple[Cell, Cell], CrossSums], level: float = 0.95) -> Difference | None:
    """The difference, None where a part lacks two customers of either group.

    With one part it is Welch's interval of a difference of means, times the treated customers (Welch 1947). With more,
    the total is a sum of weighed deviations of customers, and its variance the sum of their cross products.

    Args:
        cells: sums of pairs of cells, the earlier part first; ``(c, c)`` of every cell there is.
        level: of the interval.
    """
    own = {left: sums for (left, right), sums in cells.items() if left == right}
    parts = sorted({part for part, _ in own})
    if not parts or any(
        (part, arm) not in own or own[part, arm].customers < 2 for part in parts for arm in (True, False)
    ):
        return None
    mean = {cell: sums.left / sums.customers for cell, sums in own.items()}
    weight = {cell: 1.0 if cell[1] else -own[cell[0], True].customers / own[cell].customers for cell in own}
    total = sum(own[part, True].customers * (mean[part, True] - mean[part, False]) for part in parts)
    variance, spread = 0.0, {cell: _covariance(own[cell], mean[cell], mean[cell]) * weight[cell] ** 2 for cell in own}
    for (left, right), sums in cells.items():
        if left == right:
            size = sums.customers
            spread[left] *= size / (size - 1)
            variance += spread[left]
        else:
            variance += 2 * weight[left] * weight[right] * _covariance(sums, mean[left], mean[right])
    error = sqrt(max(variance, 0.0))
    below = sum(spread[cell] ** 2 / (own[cell].customers - 1) for cell in own)
    freedom = sum(spread.values()) ** 2 / below if below else float("inf")
    reach = float(student.ppf((1 + level) / 2, freedom)) * error if error else 0.0
    return Difference(total, total - reach, total + reach, error, freedom)


def _covariance(sums: CrossSums, left: float, right: float) -> float:
    """Sum over customers of (value - mean) x (value - mean)."""
    return sums.product - left * sums.right - right * sums.left + sums.customers * left * right
