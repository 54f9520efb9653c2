"""How releases up to 0.2 held exploration within what was kept for it: their runs replay by this."""

from __future__ import annotations

import numpy as np
import pytest

from planning.limits.arc_classes import Arcs
from planning.plan.reserved_exploration import SPARE, hold_within


def arcs(*uses: list[list[int]]) -> Arcs:
    """Arcs on channels of their own, one class of customers for each row of uses."""
    classes, width = len(uses[0]), len(uses[0][0])
    return Arcs(
        np.zeros(width, np.int64),
        np.arange(width),
        np.zeros((32, 64), np.int64),
        np.zeros(1, np.int64),
        np.array(uses, np.int64),
        np.zeros(classes, np.int64),
    )


def held(of: Arcs, drawn: np.ndarray, *reserve: int, one_channel: bool = False) -> np.ndarray:
    """Thinning; on one channel an arc without use beside others leaves it to chance, not to quotas, that a reserve lasts."""
    capped = np.ones(len(reserve), bool)
    channels = np.zeros(len(of.product), np.int64) if one_channel else np.arange(len(of.product))
    return hold_within(of, drawn, np.array(reserve), capped, channels).thin


def test_a_money_reserve_is_spent_on_many_cheap_draws_and_few_dear_ones() -> None:
    unit = np.array([0, 5, 200, 900])
    of = arcs([unit.tolist(), unit.tolist()])
    drawn = np.array([[9.0, 80.0, 40.0, 20.0], [5.0, 40.0, 20.0, 10.0]])
    assert (held(of, drawn, 10**9, one_channel=True) == 1.0).all()
    thin = held(of, drawn, 9_000, one_channel=True)
    assert (thin[:, :2] == 1.0).all()
    assert (thin[0, 2] / thin[0, 3]) == pytest.approx(900 / 200)  # as much of the reserve for either
    assert (thin[0] == thin[1]).all()
    random = np.random.default_rng(4)
    spent = (random.poisson(drawn * thin, (40_000, 2, 4)) * unit).sum((1, 2))
    assert 0.002 < (spent > 9_000).mean() < 0.02  # it does not last about once in a hundred times, and is not left idle
    alike = 9_000 / (drawn * unit).sum()  # the most that thinning all alike could keep
    assert (drawn * thin)[:, 1:].sum() > 2 * (drawn * alike)[:, 1:].sum()


def test_one_use_for_all_is_thinned_to_the_share_that_lasts() -> None:
    of = arcs([[3, 3, 3]])
    drawn = np.full((1, 3), 50.0)
    assert held(of, drawn, 100) == pytest.approx(np.full((1, 3), SPARE * 100 / 450), rel=1e-9)
    assert (held(of, drawn, 0) == 0.0).all()


def test_the_tightest_reserve_decides_and_what_uses_nothing_is_drawn_freely() -> None:
    of = arcs([[0, 4, 0]], [[0, 2, 6]])
    drawn = np.full((1, 3), 100.0)
    both = held(of, drawn, 40, 10_000)
    assert both[0, 0] == 1.0
    assert both[0, 2] == 1.0
    assert both[0, 1] == held(of, drawn, 40, 10**9)[0, 1] < 0.1
