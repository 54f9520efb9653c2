"""A feed against its own past: how much came, and when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from conf.dates import SHANGHAI, month_end
from conf.feed import Feed
from expectations.measure import check

#: How far back a feed's own history counts, and how many like days make one.
DAYS, MONTHS, ENOUGH = 42, 13, 2


@dataclass(frozen=True)
class Load:
    """What was accepted of a feed for a data date (an hourly feed: all its hours together)."""

    data_date: dt.date
    rows: int
    arrived_at: dt.datetime


def expect_rows(feed: Feed, data_date: dt.date, past: Mapping[dt.date, int]) -> float | None:
    """The median of the feed's like days before ``data_date``; None while there are too few.

    Like days are the same weekday of the last six weeks (a month of the last year for a monthly feed); with fewer than
    two of them, working days count for working days and weekends for weekends, then any day.
    """
    reach = DAYS if feed.granularity != "monthly" else 31 * MONTHS
    earlier = {day: rows for day, rows in past.items() if 0 < (data_date - day).days <= reach}
    if feed.granularity == "monthly":
        like = [list(earlier.values())]
    else:
        like = [
            [rows for day, rows in earlier.items() if day.weekday() == data_date.weekday()],
            [rows for day, rows in earlier.items() if (day.weekday() > 4) == (data_date.weekday() > 4)],
            list(earlier.values()),
        ]
    return next((float(median(rows)) for rows in like if len(rows) >= ENOUGH), None)


def volume(feed: Feed, load: Load, past: Mapping[dt.date, int]) -> dict[str, Any]:
    """Rows of a data date against the feed's like days: factors of the contract, and room for counting noise."""
    usual = expect_rows(feed, load.data_date, past)
    low = high = None
    if usual:  # nothing usual, or usually nothing: there is nothing to hold it against
        noise = 4 * usual**0.5 + 4  # four standard deviations of a count, and room for a handful
        low = max(0.0, min(feed.bounds.low * usual, usual - noise))
        high = max(feed.bounds.high * usual, usual + noise)
    name = f"volume · {load.data_date}"
    return check(feed.code, name, "volume", float(load.rows), low, high, "warn", usual=usual)


def due(feed: Feed, decision_date: dt.date) -> dt.date:
    """The newest data date that the feed's deadline has brought by the cut-off of ``decision_date``."""
    if feed.granularity != "monthly":
        return decision_date - dt.timedelta(days=1)
    this_month = decision_date.replace(day=1)
    last = this_month - dt.timedelta(days=1)
    return last if decision_date.day >= 3 else month_end(last.replace(day=1) - dt.timedelta(days=1))


def freshness(feed: Feed, decision_date: dt.date, newest: dt.date | None) -> dict[str, Any]:
    """Days by which the feed's newest data is behind what is due; loudest of a required feed beyond its stand-in.

    It is said of the feed: what did come is not held back by it.
    """
    wanted = due(feed, decision_date)
    behind = float((wanted - newest).days) if newest else None
    late = behind is None or behind > 0
    gone = behind is None or behind > feed.stand_in_days
    severity = "stop" if feed.required and gone else "warn" if late else "info"
    details = {"due": str(wanted), "newest": str(newest) if newest else None, "stand_in_days": feed.stand_in_days}
    observed = max(behind, 0.0) if behind is not None else 9999.0
    return check(feed.code, "freshness", "freshness", observed, 0.0, 0.0, severity, **details)


def punctual(feed: Feed, load: Load) -> dict[str, Any]:
    """Minutes by which a delivery came after the feed's deadline (0: in time)."""
    hours, minutes = (int(part) for part in feed.deadline.split(":"))
    day = load.data_date + dt.timedelta(days=3 if feed.granularity == "monthly" else 1)
    deadline = dt.datetime.combine(day, dt.time(hours, minutes), SHANGHAI)
    over = (load.arrived_at - deadline).total_seconds() / 60
    return check(feed.code, f"deadline · {load.data_date}", "deadline", max(0.0, round(over, 1)), None, 0.0, "info")


def series(loads: Sequence[Load]) -> dict[dt.date, int]:
    """Rows by data date."""
    return {load.data_date: load.rows for load in loads}
