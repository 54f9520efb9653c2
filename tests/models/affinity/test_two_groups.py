"""Welch's interval from exact sums: as by hand, as by bootstrap over customers, and once a customer over parts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats

from models.affinity.two_groups import Cell, CrossSums, compare

Values = Mapping[Cell, Mapping[int, int]]


def sums_of(values: Values) -> dict[tuple[Cell, Cell], CrossSums]:
    """Sums of all pairs of cells from ``cell → customer → value``."""
    cells = sorted(values, key=lambda cell: (cell[0], not cell[1]))
    made = {}
    for i, left in enumerate(cells):
        for right in cells[i:]:
            both = sorted(set(values[left]) & set(values[right]))
            if both:
                a, b = ([values[cell][customer] for customer in both] for cell in (left, right))
                made[left, right] = CrossSums(len(both), sum(a), sum(b), sum(x * y for x, y in zip(a, b, strict=True)))
    return made


def spend(rng: np.random.Generator, size: int, rate: float) -> np.ndarray:
    """Margin of a period in micro-元: most buy nothing, a few buy a terminal."""
    buys = rng.random(size) < rate
    return (buys * np.round(rng.lognormal(3, 1, size) * 1e6)).astype(np.int64)


def one_part(treated: np.ndarray, control: np.ndarray) -> dict[tuple[Cell, Cell], CrossSums]:
    return sums_of({(0, True): dict(enumerate(treated.tolist())), (0, False): dict(enumerate(control.tolist(), 10**6))})


def test_one_part_is_welch_s_interval() -> None:
    rng = np.random.default_rng(1)
    treated, control = spend(rng, 900, 0.3), spend(rng, 100, 0.1)
    found = compare(one_part(treated, control))
    known = stats.ttest_ind(treated / 1e6, control / 1e6, equal_var=False)
    low, high = known.confidence_interval(0.95)
    assert found is not None
    assert found.freedom == pytest.approx(known.df, rel=1e-9)
    assert (found.low / 900e6, found.high / 900e6) == (pytest.approx(low, rel=1e-9), pytest.approx(high, rel=1e-9))


def test_a_bootstrap_over_customers_gives_the_same_interval() -> None:
    rng = np.random.default_rng(2)
    treated, control = spend(rng, 1800, 0.3), spend(rng, 200, 0.1)
    found = compare(one_part(treated, control))
    assert found is not None
    drawn = [1800 * (rng.choice(treated, 1800).mean() - rng.choice(control, 200).mean()) for _ in range(4000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (high - low) / (found.high - found.low) == pytest.approx(1, abs=0.1)
    assert found.total == pytest.approx((low + high) / 2, abs=0.05 * (high - low))


def test_a_customer_in_two_parts_counts_once() -> None:
    """Everybody spends the same in both parts: two parts know no more than one of twice the money."""
    rng = np.random.default_rng(3)
    treated, control = spend(rng, 900, 0.3), spend(rng, 100, 0.1)
    once = compare(one_part(2 * treated, 2 * control))
    cells: dict[Cell, dict[int, int]] = {}
    for part in (0, 1):
        cells[part, True] = dict(enumerate(treated.tolist()))
        cells[part, False] = dict(enumerate(control.tolist(), 10**6))
    twice = compare(sums_of(cells))
    assert once is not None
    assert twice is not None
    assert twice.total == pytest.approx(once.total)
    assert twice.error == pytest.approx(once.error, rel=2e-3)  # seen with parts as if independent: 0.71 of it


def test_changed_control_covers_the_truth() -> None:
    """Control is drawn anew at half-time: of 400 worlds about 95 % of the intervals hold the truth."""
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(400):
        base = rng.lognormal(0, 1, 600)
        before, after = (np.round((base + rng.lognormal(0, 1, 600)) * 1e6).astype(np.int64) for _ in range(2))
        cells: dict[Cell, dict[int, int]] = {}
        for part, value in enumerate((before, after)):
            control = rng.random(600) < 0.2
            for arm, rows in ((True, ~control), (False, control)):
                cells[part, arm] = {int(i): int(value[i]) for i in np.flatnonzero(rows)}
        found = compare(sums_of(cells))
        assert found is not None
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_what_cannot_be_compared_is_not() -> None:
    assert compare({}) is None
    assert compare(one_part(np.array([1, 2]), np.array([3]))) is None
    same = compare(one_part(np.array([5, 5]), np.array([5, 5])))
    assert same is not None
    assert (same.total, same.low, same.high) == (0, 0, 0)
