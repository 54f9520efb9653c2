"""The figures a night ends with."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa

from cli.report import tonights
from conf.dates import SHANGHAI


def test_files_of_a_night_are_those_that_the_night_before_could_not_know() -> None:
    """2026-01-09 takes in data up to the 8th that has come by 04:00, whichever run has loaded it."""

    def at(day: int, hour: int) -> dt.datetime:
        return dt.datetime(2026, 1, day, hour, tzinfo=SHANGHAI)

    rows = [
        (dt.date(2026, 1, 8), at(9, 2), "of last night"),
        (dt.date(2026, 1, 8), at(8, 1), "of last night, an early hour: the night before takes no data of its own day"),
        (dt.date(2026, 1, 6), at(8, 5), "late by a day"),
        (dt.date(2026, 1, 7), at(8, 4), "at the cut-off itself: the night before did not load it"),
        (dt.date(2026, 1, 8), at(9, 4), "after the cut-off"),
        (dt.date(2026, 1, 7), at(8, 3), "known by the night before"),
        (dt.date(2026, 1, 9), at(9, 1), "of a day that has only begun"),
    ]
    dates, times, names = zip(*rows, strict=True)
    ledger = pa.table({"data_date": dates, "arrived_at": pa.array(times, pa.timestamp("us", "UTC")), "name": names})
    assert tonights(ledger, dt.date(2026, 1, 9))["name"].to_pylist() == [name for *_, name in rows[:4]]
