"""Roles: shares as asked for, control the same for a year and another the next, exploration new every night."""

from __future__ import annotations

import datetime as dt

import numpy as np

from models.assignment.roles import CONTROL, EXPLOIT, EXPLORE, roles

IDS = np.arange(1, 200_001)


def on(date: dt.date, control: float = 0.1, explore: float = 0.05) -> np.ndarray:
    return roles(IDS, date, 20260109, control, explore)


def test_control_is_stable_for_a_year_and_rotates() -> None:
    first, last, next_year = on(dt.date(2026, 1, 1)), on(dt.date(2026, 12, 31)), on(dt.date(2027, 1, 1))
    held = first == CONTROL
    assert (held == (last == CONTROL)).all()
    assert abs(held.mean() - 0.1) < 0.003
    again = (next_year == CONTROL)[held].mean()
    assert abs(again - 0.1) < 0.007  # who was held out is held out again as often as anyone


def test_a_larger_share_keeps_who_was_held_out() -> None:
    small, large = (on(dt.date(2026, 3, 1), control=share) == CONTROL for share in (0.02, 0.1))
    assert small.sum() > 3_000
    assert large[small].all()


def test_exploration_is_drawn_nightly_and_apart_from_control() -> None:
    one, two = on(dt.date(2026, 3, 1)), on(dt.date(2026, 3, 2))
    free = one != CONTROL
    assert abs((one[free] == EXPLORE).mean() - 0.05) < 0.002
    both = ((one == EXPLORE) & (two == EXPLORE))[free].mean()
    assert abs(both - 0.05**2) < 0.0005
    assert {EXPLOIT, EXPLORE, CONTROL} == set(np.unique(one))
