"""The difference of two groups of customers over a period of one or more parts, with its interval.

What contacts brought those treated is their margin less what they would have spent without contacts, of which control
tells the mean. So the interval says how far the mean of control may be from theirs: the spread is that of margins
*without* contacts. Control's own spread is a poor witness (margins have a heavy tail: a control without a dear order has
a low mean and a low spread at once), so that of the treated counts too, without the orders that answer a contact, of
which a part is given back that makes their mean control's.

A part is a stretch of dates on which nobody changes groups. A customer who is in several parts counts once: what their
values have in common goes into the variance. Sums are exact integers, so that the same customers give the same digits
in any order and on any number of cores. docs/decisions/0024-intervals-of-what-was-earned.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from scipy.stats import t as student

#: A part of the period, and whether the customers are treated.
Cell = tuple[int, bool]


@dataclass(frozen=True)
class GroupSums:
    """Sums over the customers of a cell.

    Attributes:
        customers: how many.
        total: sum of their values.
        squares: sum of the squares of these.
        unmoved: sum of their values without what answers a contact.
        unmoved_squares: sum of the squares of these.
    """

    customers: int
    total: int
    squares: int
    unmoved: int
    unmoved_squares: int

    @property
    def mean(self) -> float:
        """Of the values."""
        return self.total / self.customers

    @property
    def unmoved_mean(self) -> float:
        """Of the values without what answers a contact."""
        return self.unmoved / self.customers

    def variance(self, answered: float = 1.0) -> float:
        """Variance of the values with each customer's answers kept by this chance."""
        mean = (1 - answered) * self.unmoved_mean + answered * self.mean
        second = ((1 - answered) * self.unmoved_squares + answered * self.squares) / self.customers
        return (second - mean**2) * self.customers / (self.customers - 1)


@dataclass(frozen=True)
class CrossSums:
    """Sums over the customers who are in two cells, of their values without what answers a contact.

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
        freedom: degrees of freedom: those of the smallest control.
    """

    total: float
    low: float
    high: float
    error: float
    freedom: float


def compare(
    cells: Mapping[Cell, GroupSums], crossed: Mapping[tuple[Cell, Cell], CrossSums] | None = None, level: float = 0.95
) -> Difference | None:
    """The difference, None where a part lacks two customers of either group.

    Args:
        cells: sums of every part and group.
        crossed: of customers in two parts: sums by pair of cells, the earlier part first.
        level: of the interval.
    """
    parts = sorted({part for part, _ in cells})
    if not parts or any(
        (part, arm) not in cells or cells[part, arm].customers < 2 for part in parts for arm in (True, False)
    ):
        return None
    total = variance = 0.0
    for part in parts:
        treated, control = cells[part, True], cells[part, False]
        total += treated.customers * (treated.mean - control.mean)
        variance += estimate_spread(treated, control) * treated.customers * (1 + treated.customers / control.customers)
    weight = {
        cell: 1.0 if cell[1] else -cells[cell[0], True].customers / sums.customers for cell, sums in cells.items()
    }
    shared: dict[tuple[int, int], list[float]] = {}
    for (left, right), sums in (crossed or {}).items():
        means = cells[left].unmoved_mean, cells[right].unmoved_mean
        at = shared.setdefault((left[0], right[0]), [0.0, 0.0, 0.0])
        at[0] += _covariance(sums, *means)
        at[1] += sums.customers
        at[2] += weight[left] * weight[right] * sums.customers
    variance += sum(2 * covariance / customers * weighed for covariance, customers, weighed in shared.values())
    error = sqrt(max(variance, 0.0))
    freedom = min(cells[part, False].customers for part in parts) - 1.0
    reach = float(student.ppf((1 + level) / 2, freedom)) * error
    return Difference(total, total - reach, total + reach, error, freedom)


def estimate_spread(treated: GroupSums, control: GroupSums) -> float:
    """Variance of a customer's value without contacts.

    Of both groups, weighed by their degrees of freedom, and no less than control's own. Of what answers a contact the
    part is given back that would have come anyway: with it the mean of treated is that of control.
    """
    answers = treated.mean - treated.unmoved_mean
    anyway = min(max((control.mean - treated.unmoved_mean) / answers, 0.0), 1.0) if answers > 0 else 1.0
    own, freedom = control.variance(), (treated.customers - 1, control.customers - 1)
    return max(own, (treated.variance(anyway) * freedom[0] + own * freedom[1]) / sum(freedom))


def _covariance(sums: CrossSums, left: float, right: float) -> float:
    """Sum over customers of (value - mean) x (value - mean)."""
    return sums.product - left * sums.right - right * sums.left + sums.customers * left * right
