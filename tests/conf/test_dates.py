"""Dates are Shanghai dates, derived in one place."""

from __future__ import annotations

import datetime as dt

import pytest

from conf.dates import cut_off, local_date, month_end, parse_date, start_of_day
from conf.errors import UserError


def test_the_day_begins_at_four_pm_utc_of_the_day_before() -> None:
    assert start_of_day(dt.date(2026, 1, 9)) == dt.datetime(2026, 1, 8, 16, tzinfo=dt.UTC)


def test_the_cut_off_is_four_in_the_morning_in_shanghai() -> None:
    assert cut_off(dt.date(2026, 1, 9)) == dt.datetime(2026, 1, 8, 20, tzinfo=dt.UTC)


def test_an_instant_late_in_the_utc_day_belongs_to_the_next_local_date() -> None:
    assert local_date(dt.datetime(2026, 1, 8, 15, 59, 59, tzinfo=dt.UTC)) == dt.date(2026, 1, 8)
    assert local_date(dt.datetime(2026, 1, 8, 16, 0, tzinfo=dt.UTC)) == dt.date(2026, 1, 9)


@pytest.mark.parametrize(
    ("day", "last"), [((2026, 1, 9), 31), ((2024, 2, 1), 29), ((2025, 2, 28), 28), ((2025, 12, 31), 31)]
)
def test_a_monthly_date_means_the_last_day(day: tuple[int, int, int], last: int) -> None:
    assert month_end(dt.date(*day)).day == last


@pytest.mark.parametrize("text", ["2026-1-9x", "yesterday", "2026-02-30", ""])
def test_a_wrong_date_is_mendable(text: str) -> None:
    with pytest.raises(UserError, match="not a date"):
        parse_date(text)
