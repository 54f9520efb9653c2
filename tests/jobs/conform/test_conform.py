"""What conform takes for in force: accepted, and not stopped by the night that first saw it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from conf.dates import SHANGHAI
from jobs.conform import deliveries_in_force
from runtime.night import Night
from tests.nights.published import put

D = dt.date(2026, 1, 9)
DAY = D - dt.timedelta(days=1)


def delivery(name: str, hour: int, arrived: dt.datetime) -> dict:
    """A row of the ledger."""
    return {
        "delivery_id": name,
        "feed": "usage_cell_gz",
        "data_date": DAY,
        "hour": hour,
        "ordinal": 1,
        "loaded": 5,
        "state": "accepted",
        "arrived_at": arrived,
    }


def test_a_feed_that_is_stopped_is_stopped_with_its_early_hours(night: Callable[..., Night]) -> None:
    """Hour 00 of the 8th comes at 01:00 of the 8th, before that night's cut-off, but no night before the 9th sees it."""
    tonight = night(D)
    early = delivery("early", 0, dt.datetime(2026, 1, 8, 1, tzinfo=SHANGHAI))
    late = delivery("late", 12, dt.datetime(2026, 1, 8, 13, tzinfo=SHANGHAI))
    put(tonight, "ops_delivery", [early, late])
    stop = {"subject": "usage_cell_gz", "check": "volume", "success": False, "severity": "stop", "details": "{}"}
    put(tonight, "ops_quality", [{"business_date": D, **stop}])
    assert deliveries_in_force(tonight) == []
    put(tonight, "ops_quality", [{"business_date": DAY, **stop}])  # stopped a night before these were seen
    assert {one.delivery_id for one in deliveries_in_force(tonight)} == {"early", "late"}
