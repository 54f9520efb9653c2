"""The figures a night ends with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from cli.report import summary
from conf.dates import SHANGHAI
from runtime.night import Night
from tests.nights.published import put


def test_files_of_a_night_are_those_that_the_night_before_could_not_know(night: Callable[..., Night]) -> None:
    """2026-01-09 takes in data up to the 8th that has come by 04:00, whichever run has loaded it."""

    def row(day: int, arrived: tuple[int, int], loaded: int, state: str = "accepted") -> dict[str, object]:
        name, come = f"{day}-{arrived}-{state}", dt.datetime(2026, 1, *arrived, tzinfo=SHANGHAI)
        base = {"delivery_id": name, "feed": "usage_cell_gz", "hour": -1, "ordinal": 1, "file": name, "quarantined": 1}
        return {**base, "data_date": dt.date(2026, 1, day), "arrived_at": come, "loaded": loaded, "state": state}

    mine = [
        row(8, (9, 2), 1),
        row(8, (8, 1), 10),  # an early hour: the night before takes no data of its own day
        row(6, (8, 5), 100),  # late by a day
        row(7, (8, 4), 1_000),  # at the cut-off itself: the night before did not load it
        row(5, (9, 1), 10_000, "replaced"),  # loaded, and replaced since
    ]
    others = [
        row(8, (9, 4), 1),  # after the cut-off
        row(7, (8, 3), 1),  # known by the night before
        row(9, (9, 1), 1),  # of a day that has only begun
        row(8, (9, 3), 0, "refused"),
    ]
    tonight = night(dt.date(2026, 1, 9))
    put(tonight, "ops_delivery", [*mine, *others])
    told = summary(tonight)
    assert (told["files_loaded"], told["rows_loaded"], told["quarantined"]) == (5, 11_111, 5)
