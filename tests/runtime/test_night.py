"""A night and the nights before it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from runtime.night import Night
from tests.nights.published import put


def test_the_night_before_is_the_last_that_was_run(night: Callable[..., Night]) -> None:
    dates = [dt.date(2026, 1, day) for day in (5, 7, 9, 10)]
    for date in dates:
        row = {"business_date": date, "limit": "sms_day", "kind": "at_most", "price_yuan": 0.0}
        put(night(date), "limit_price", [row], {"business_date": date})
    assert night(dates[2]).before("limit_price") == dates[1]  # nothing ran on the 8th
    assert night(dates[2]).past("limit_price") == dates[:2]
    assert night(dates[0]).before("limit_price") is None
    assert night(dates[2]).before("assignment") is None  # not written yet
