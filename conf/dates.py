"""The one place where a date is derived from a time: the operator's calendar is Asia/Shanghai.

Times are stored in UTC. A decision date ``D`` is the date on which contacts happen; its night loads data
dates up to ``D - 1`` that arrived before the cut-off and sees events before ``D`` 00:00 Shanghai.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field as Key

from conf.errors import UserError

SHANGHAI = ZoneInfo("Asia/Shanghai")
#: Shanghai against UTC: the clocks have not been changed since 1991.
UTC_OFFSET = dt.timedelta(hours=8)
#: Spark SQL for the date in Shanghai of a UTC timestamp column named ``{time}``.
LOCAL_DATE_SQL = "to_date(from_utc_timestamp({time}, 'Asia/Shanghai'))"
#: Spark SQL for the instant (UTC) at which the date column ``{date}`` begins in Shanghai.
START_OF_DAY_SQL = "to_utc_timestamp(cast({date} as timestamp), 'Asia/Shanghai')"
CUT_OFF = dt.time(4, 0)
#: A time of day as people write it, ``HH:MM`` from 00:00 to 23:59.
Clock = Annotated[str, Key(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
#: A day that a plan can be about: 9999-12-31 for "never" would be calculated with.
Day = Annotated[dt.date, Key(ge=dt.date(1990, 1, 1), lt=dt.date(2101, 1, 1))]


def parse_date(text: str) -> dt.date:
    """Read a date written ``YYYY-MM-DD``.

    Raises:
        UserError: the text is no such date.
    """
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise UserError(
            f"{text!r} is not a date", where="--date", remedy="write it as YYYY-MM-DD, for example 2026-01-09"
        ) from error


def start_of_day(date: dt.date) -> dt.datetime:
    """The instant (UTC) at which ``date`` begins in Shanghai: what the snapshot of ``date`` may not reach."""
    return dt.datetime.combine(date, dt.time(), SHANGHAI).astimezone(dt.UTC)


def cut_off(date: dt.date) -> dt.datetime:
    """The instant (UTC) before which a delivery must have arrived to count in the night of ``date``."""
    return dt.datetime.combine(date, CUT_OFF, SHANGHAI).astimezone(dt.UTC)


def first_night_of(arrived_at: dt.datetime) -> dt.date:
    """The first decision date before whose cut-off an arrival lies: the night that may know of it."""
    return local_date(arrived_at - dt.timedelta(hours=CUT_OFF.hour)) + dt.timedelta(days=1)


def local_date(instant: dt.datetime) -> dt.date:
    """The Shanghai date of an aware instant."""
    return instant.astimezone(SHANGHAI).date()


def month_end(date: dt.date) -> dt.date:
    """The last day of the month of ``date``: what the data date of a monthly file means."""
    following = (date.replace(day=28) + dt.timedelta(days=4)).replace(day=1)
    return following - dt.timedelta(days=1)
