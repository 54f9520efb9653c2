"""How large control and exploration must be: power of a difference of two rates (Fleiss, Levin and Paik 2003)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

from scipy.stats import norm


@dataclass(frozen=True)
class Design:
    """Sizes for a wanted power; ``days`` is how long the given shares take to collect them."""

    per_arm: int
    control_share: float
    detectable: float
    days: float


def per_arm(base: float, lift: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0) -> int:
    """Customers in the smaller arm to see a rate move from ``base`` to ``base·(1 + lift)``, two-sided.

    n = (z_{1−α/2}·√((1 + 1/r)·p̄(1−p̄)) + z_{power}·√(p₀(1−p₀) + p₁(1−p₁)/r))² / (p₁ − p₀)²

    Args:
        base: rate without a contact.
        lift: relative change worth seeing.
        alpha: error of the first kind.
        power: probability to see it.
        ratio: size of the larger arm over the smaller one.
    """
    other = base * (1 + lift)
    pooled = (base + ratio * other) / (1 + ratio)
    a = norm.ppf(1 - alpha / 2) * sqrt((1 + 1 / ratio) * pooled * (1 - pooled))
    b = norm.ppf(power) * sqrt(base * (1 - base) + other * (1 - other) / ratio)
    return ceil((a + b) ** 2 / (other - base) ** 2)


def detectable(base: float, small: int, large: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Least relative lift that arms of these sizes can see, by bisection."""
    low, high = 1e-4, 1.0
    while per_arm(base, high, alpha=alpha, power=power, ratio=large / small) > small and base * (1 + high) < 0.99:
        high = min(high * 2, 0.99 / base - 1)
        if high >= 0.99 / base - 1 - 1e-9:
            break
    for _ in range(60):
        middle = (low + high) / 2
        if per_arm(base, middle, alpha=alpha, power=power, ratio=large / small) > small:
            low = middle
        else:
            high = middle
    return high


def design(
    customers: int,
    base: float,
    lift: float,
    *,
    contacted: float,
    control: float,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Design:
    """Sizes for a population: how small the universal control may be, and what the present one can see.

    Args:
        customers: active customers.
        base: conversion rate of the control over the window.
        lift: relative lift worth seeing.
        contacted: share of the other customers contacted in the window.
        control: share of the control now.
        alpha: error of the first kind.
        power: probability to see it.
    """
    larger = customers * (1 - control) * contacted
    need = per_arm(base, lift, alpha=alpha, power=power, ratio=max(1.0, larger / max(1.0, customers * control)))
    seen = detectable(base, max(1, round(customers * control)), max(1, round(larger)), alpha=alpha, power=power)
    return Design(need, need / customers, seen, need / max(1.0, customers * control))
