"""The interval from exact sums: as by hand and by bootstrap, once a customer over parts, and it holds the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats

from models.affinity.two_groups import Cell, CrossSums, Difference, GroupSums, compare

Values = Mapping[Cell, Mapping[int, int]]


def sums_of(values: Values, unmoved: Values | None = None) -> Difference | None:
    """The comparison of ``cell → customer → value``; without contacts' answers the values are ``unmoved``."""
    without = unmoved or values
    cells = sorted(values, key=lambda cell: (cell[0], not cell[1]))
    own, crossed = {}, {}
    for i, left in enumerate(cells):
        pair = [list(rows[left].values()) for rows in (values, without)]
        sums: list[Any] = [number for row in pair for number in (sum(row), sum(value * value for value in row))]
        own[left] = GroupSums(len(values[left]), *sums)
        for right in cells[i + 1 :]:
            both = sorted(set(without[left]) & set(without[right]))
            if both:
                a, b = ([without[cell][customer] for customer in both] for cell in (left, right))
                crossed[left, right] = CrossSums(
                    len(both), sum(a), sum(b), sum(x * y for x, y in zip(a, b, strict=True))
                )
    return compare(own, crossed)


def spend(rng: np.random.Generator, size: int, rate: float) -> np.ndarray:
    """Margin of a period in micro-元: most buy nothing, a few buy a terminal."""
    buys = rng.random(size) < rate
    return (buys * np.round(rng.lognormal(3, 1, size) * 1e6)).astype(np.int64)


def one_part(treated: np.ndarray, control: np.ndarray, unmoved: np.ndarray | None = None) -> Difference | None:
    groups = [
        {(0, True): dict(enumerate(t.tolist())), (0, False): dict(enumerate(control.tolist(), 10**6))}
        for t in (treated, treated if unmoved is None else unmoved)
    ]
    return sums_of(*groups)


def test_one_part_without_an_answer_is_student_s_interval() -> None:
    rng = np.random.default_rng(1)
    treated, control = spend(rng, 900, 0.1), spend(rng, 100, 0.02)
    found = one_part(treated, control)
    both = stats.ttest_ind(treated / 1e6, control / 1e6)  # equal variances: nothing that a contact brought is known
    assert found is not None
    assert control.var() < treated.var()
    assert found.error / 900e6 == pytest.approx(
        float((treated.mean() - control.mean()) / 1e6 / both.statistic), rel=1e-6
    )
    assert found.total == pytest.approx(900 * (treated.mean() - control.mean()))
    reach = float(stats.t.ppf(0.975, 99)) * found.error
    assert (found.low, found.high) == (pytest.approx(found.total - reach), pytest.approx(found.total + reach))


def test_the_spread_is_of_margins_without_contacts_and_never_less_than_control_s() -> None:
    rng = np.random.default_rng(5)
    idle, control = spend(rng, 4500, 0.1), spend(rng, 500, 0.1)
    answers = spend(rng, 4500, 0.3)
    found, none = one_part(idle + answers, control, idle), one_part(idle, control)
    assert found is not None
    assert none is not None
    anyway = min(max((control.mean() - idle.mean()) / answers.mean(), 0), 1)
    assert found.error == pytest.approx(none.error, rel=0.05 + 2 * anyway)  # Welch's would be 1.3 times that
    poor = one_part(idle, np.where(np.arange(500) < 450, 0, control))
    assert poor is not None
    assert poor.error > 0.8 * none.error  # a control without dear orders knows no better
    rich = one_part(idle, 3 * control)
    assert rich is not None
    assert rich.error >= 3 * control.std() * 4500 * (1 / 4500 + 1 / 500) ** 0.5


def test_labels_drawn_anew_hold_the_truth_of_those_treated() -> None:
    """Of 600 draws of labels, margins with heavy tails and effects that differ: some 95 % hold what contacts brought."""
    rng = np.random.default_rng(6)
    idle, answers = spend(rng, 4000, 0.1), spend(rng, 4000, 0.3)
    covered = 0
    for _ in range(600):
        treated = rng.random(4000) >= 0.15
        found = one_part((idle + answers)[treated], idle[~treated], idle[treated])
        assert found is not None
        covered += found.low <= answers[treated].sum() <= found.high
    assert 0.93 <= covered / 600 <= 0.98


def test_a_bootstrap_over_customers_gives_the_same_interval() -> None:
    rng = np.random.default_rng(2)
    treated, control = spend(rng, 1800, 0.1), spend(rng, 600, 0.1)
    found = one_part(treated, control)
    assert found is not None
    drawn = [1800 * (rng.choice(treated, 1800).mean() - rng.choice(control, 600).mean()) for _ in range(4000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (high - low) / (found.high - found.low) == pytest.approx(1, abs=0.12)
    assert found.total == pytest.approx((low + high) / 2, abs=0.05 * (high - low))


def test_a_customer_in_two_parts_counts_once() -> None:
    """Everybody spends the same in both parts: two parts know no more than one of twice the money."""
    rng = np.random.default_rng(3)
    treated, control = spend(rng, 900, 0.3), spend(rng, 100, 0.1)
    once = one_part(2 * treated, 2 * control)
    cells: dict[Cell, dict[int, int]] = {}
    for part in (0, 1):
        cells[part, True] = dict(enumerate(treated.tolist()))
        cells[part, False] = dict(enumerate(control.tolist(), 10**6))
    twice = sums_of(cells)
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
        found = sums_of(cells)
        assert found is not None
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_what_cannot_be_compared_is_not() -> None:
    assert compare({}) is None
    assert one_part(np.array([1, 2]), np.array([3])) is None
    same = one_part(np.array([5, 5]), np.array([5, 5]))
    assert same is not None
    assert (same.total, same.low, same.high) == (0, 0, 0)
