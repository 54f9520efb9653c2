"""Labels: shares as asked for, control renewed by twelfths and rested, exploration new every night."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pytest

from models.assignment.roles import CONTROL, EXPLOIT, EXPLORE, USUAL, key, roles
from models.hashing import uniform

IDS = np.arange(1, 100_001)
SEED = 20260109
FIRST = dt.date(2026, 3, 11)


def on(date: dt.date, control: float = 0.1, explore: float = 0.05, yearly_until: dt.date | None = None) -> np.ndarray:
    return roles(IDS, date, SEED, control, explore, yearly_until=yearly_until)


def by_year(date: dt.date, control: float = 0.1) -> np.ndarray:
    """Control as releases up to 0.2 drew it."""
    return uniform(IDS, key(SEED, "control", date.year)) < control


def dates(first: dt.date) -> Iterator[dt.date]:
    """Fourteen months: every tenth day, and all days about the first of a month."""
    days = (first + dt.timedelta(days=day) for day in range(14 * 31 - 3))
    return (date for date in days if date.day in {1, 2, 12, 22} or date.day > 27)


def months(date: dt.date) -> int:
    return date.year * 12 + date.month


@pytest.mark.parametrize("yearly_until", [None, FIRST - dt.timedelta(days=1)])
@pytest.mark.parametrize("control", [0.1, 0.3])
def test_control_is_renewed_by_twelfths_over_fourteen_months(control: float, yearly_until: dt.date | None) -> None:
    before: np.ndarray | None = None
    left_at = np.full(len(IDS), -1)
    spread = 5 * (control * (1 - control) / len(IDS)) ** 0.5
    changed, day_before = [], FIRST
    for date in dates(FIRST):
        held_out = on(date, control, yearly_until=yearly_until) == CONTROL
        assert abs(held_out.mean() - control) < spread
        if before is not None and (held_out != before).any():
            assert months(date) > months(day_before)  # only on the first of a month
            left, came = before & ~held_out, held_out & ~before
            size = int(before.sum())
            for gone in (left, came):
                assert gone.sum() / size < 1 / 12 + 5 * (1 / 12 / size) ** 0.5
            assert not (came & (left_at >= 0)).any() or (months(date) - left_at[came & (left_at >= 0)]).min() >= 12
            left_at[left] = months(date)
            changed.append(months(date))
        before, day_before = held_out, date
    assert changed == list(range(months(FIRST) + 1, months(FIRST) + 15))  # every month, and none twice


@pytest.mark.parametrize("last", [dt.date(2026, 1, 9), dt.date(2025, 12, 31)])
def test_an_upgraded_home_keeps_its_control_and_lets_a_twelfth_go_each_month(last: dt.date) -> None:
    former = by_year(last)
    assert ((on(last, yearly_until=last) == CONTROL) == former).all()  # a night decided again has its control
    tomorrow = last + dt.timedelta(days=1)
    same = (on(tomorrow, yearly_until=last) == CONTROL)[former].mean()
    assert same == 1 if tomorrow.month == last.month else abs(same - 11 / 12) < 0.02  # 9.9 % stayed on 1 January
    stayed = []
    for month in range(1, 13):
        total = months(last) - 1 + month
        date = dt.date(total // 12, total % 12 + 1, 1)
        stayed.append(int((former & (on(date, yearly_until=last) == CONTROL)).sum()) / former.sum())
    assert np.allclose(stayed, 1 - np.arange(1, 13) / 12, atol=0.02)
    assert stayed[-1] == 0


def test_a_larger_share_takes_in_who_was_held_out() -> None:
    for date in (dt.date(2026, 3, 1), dt.date(2027, 2, 1)):
        small, large, most = (on(date, control=share, explore=0) == CONTROL for share in (0.02, 0.1, 0.7))
        assert small.sum() > 1_500
        assert large[small].all()
        assert most[large].all()
        assert abs(most.mean() - 0.7) < 0.01


def test_exploration_is_drawn_nightly_and_apart_from_control() -> None:
    one, two = on(dt.date(2026, 3, 1)), on(dt.date(2026, 3, 2))
    free = one != CONTROL
    assert abs((one[free] == EXPLORE).mean() - 0.05) < 0.003
    both = ((one == EXPLORE) & (two == EXPLORE))[free].mean()
    assert abs(both - 0.05**2) < 0.0008
    assert {EXPLOIT, EXPLORE, CONTROL} == set(np.unique(one))


def test_who_is_served_as_before_is_a_share_of_all_and_changes_with_control() -> None:
    dates = (dt.date(2026, 3, 1), dt.date(2026, 3, 31), dt.date(2026, 4, 1))
    one, same, other = (roles(IDS, date, SEED, 0.1, 0.0, usual=0.2) for date in dates)
    assert abs((one == USUAL).mean() - 0.2) < 0.006
    assert (one == same).all()
    assert 0.9 < ((other == USUAL) & (one == USUAL)).sum() / (one == USUAL).sum() < 0.97
