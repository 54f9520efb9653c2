"""How large control must be for the comparison that the product shows: margin a customer, by intention to treat.

Everybody who may be contacted is compared with everybody held out (``reporting.earned``), so that an effect on those
who are contacted is diluted by those who are not, and margins have a heavy tail: most customers buy nothing, and an
order's margin varies more than its mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from scipy.stats import norm

#: Shares of control among which the least is looked for.
_LEAST, _MOST = 1e-4, 0.5


@dataclass(frozen=True)
class Behaviour:
    """What customers do over a period.

    Attributes:
        base: share of control with an order.
        lift: relative increase of that share among customers who are contacted.
        contacted: share of the others who are contacted at all in the period.
        margin: mean margin of an order, 元.
        tail: standard deviation of an order's margin over its mean.
    """

    base: float
    lift: float
    contacted: float
    margin: float
    tail: float

    @property
    def effect(self) -> float:
        """元 that a customer who may be contacted brings more, contacted or not."""
        return self.margin * self.base * self.lift * self.contacted

    @property
    def variance(self) -> float:
        """Variance of a customer's margin without contacts, 元²: p m² (1 + tail²) - (p m)²."""
        return self.base * self.margin**2 * (1 + self.tail**2) - (self.base * self.margin) ** 2


@dataclass(frozen=True)
class Design:
    """What a control of a wanted power is, and what the present one can do.

    Attributes:
        control_share: least share of customers; None where no share up to a half has the power.
        effect: 元 a customer that is to be seen.
        power_now: probability that the present control sees it.
        detectable: least effect, 元 a customer, that the present control sees with the wanted power.
        customers_needed: customers that the present share would need.
    """

    control_share: float | None
    effect: float
    power_now: float
    detectable: float
    customers_needed: int


def compute_error(behaviour: Behaviour, customers: float, control: float) -> float:
    """Standard error of the difference of means, 元 a customer, with a share of ``customers`` held out.

    As `models.affinity.two_groups` has it: what customers would have spent without contacts is what is not known.
    """
    return sqrt(behaviour.variance * (1 / (1 - control) + 1 / control) / customers)


def compute_power(behaviour: Behaviour, customers: float, control: float, alpha: float = 0.05) -> float:
    """Probability that the interval of the difference leaves 0 out on the right side."""
    return float(norm.cdf(behaviour.effect / compute_error(behaviour, customers, control) - norm.ppf(1 - alpha / 2)))


def design(behaviour: Behaviour, customers: int, control: float, *, alpha: float = 0.05, power: float = 0.8) -> Design:
    """The least control that sees the effect, by bisection, and what the present one sees.

    Args:
        behaviour: what customers do over the period.
        customers: active customers.
        control: share of control now, above 0.
        alpha: error of the first kind, two-sided.
        power: probability to see the effect.
    """
    reach = float(norm.ppf(1 - alpha / 2) + norm.ppf(power))
    now = compute_error(behaviour, customers, control)
    return Design(
        control_share=_find_share(behaviour, customers, alpha, power),
        effect=behaviour.effect,
        power_now=compute_power(behaviour, customers, control, alpha),
        detectable=reach * now,
        customers_needed=round(customers * (reach * now / behaviour.effect) ** 2),
    )


def _find_share(behaviour: Behaviour, customers: int, alpha: float, power: float) -> float | None:
    low, high = _LEAST, _MOST
    if compute_power(behaviour, customers, high, alpha) < power:
        return None
    for _ in range(50):
        middle = (low + high) / 2
        if compute_power(behaviour, customers, middle, alpha) < power:
            low = middle
        else:
            high = middle
    return high
