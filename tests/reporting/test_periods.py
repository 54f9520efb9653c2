"""Parts of a period, and when it can be told."""

from __future__ import annotations

import datetime as dt

from reporting.periods import BUYERS, DayCount, date_told, split

FIRST = dt.date(2025, 12, 20)


def days(policy: str, first: dt.date, count: int, switched: dict[int, int]) -> list[DayCount]:
    return [DayCount(policy, first + dt.timedelta(days=i), 100, switched.get(i, 0)) for i in range(count)]


def test_a_change_of_control_splits_and_each_order_has_one_part() -> None:
    parts = split(days("logged", FIRST, 20, {12: 90}), 7)
    assert [(part.first, part.last) for part in parts] == [
        (FIRST, dt.date(2025, 12, 31)),
        (dt.date(2026, 1, 1), dt.date(2026, 1, 8)),
    ]
    assert [part.until for part in parts] == [dt.date(2026, 1, 1), dt.date(2026, 1, 16)]


def test_single_customers_who_change_do_not_split() -> None:
    assert len(split(days("ours", FIRST, 20, {3: 1, 9: 2}), 7)) == 1


def test_one_policy_after_another_shares_no_order() -> None:
    parts = split(days("logged", FIRST, 10, {}) + days("ours", FIRST + dt.timedelta(days=12), 3, {}), 7)
    assert [(part.policy, part.until) for part in parts] == [
        ("logged", FIRST + dt.timedelta(days=12)),
        ("ours", FIRST + dt.timedelta(days=22)),
    ]
    assert split([], 7) == []


def test_it_is_told_when_both_groups_have_bought_enough() -> None:
    until = FIRST + dt.timedelta(days=90)
    assert date_told(FIRST, FIRST + dt.timedelta(days=30), until, BUYERS) is None
    half = date_told(FIRST, FIRST + dt.timedelta(days=30), until, BUYERS // 2)
    assert half == FIRST + dt.timedelta(days=60)
    nobody = date_told(FIRST, FIRST + dt.timedelta(days=1), until, 0)
    assert nobody == FIRST + dt.timedelta(days=BUYERS)
