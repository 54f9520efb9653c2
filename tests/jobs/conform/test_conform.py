"""What conform takes for in force: accepted, and not held back by a check of its own."""

from __future__ import annotations

import datetime as dt
import json
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


def failed(feed: str, check: str, about: str = "") -> dict:
    """A check that stops."""
    details = json.dumps({"delivery_id": about}) if about else "{}"
    stop = {"success": False, "severity": "stop", "details": details}
    return {"business_date": D, "subject": feed, "check": check, **stop}


def test_a_check_holds_back_the_delivery_that_it_is_about_and_no_other(night: Callable[..., Night]) -> None:
    tonight = night(D)
    early = delivery("early", 0, dt.datetime(2026, 1, 8, 1, tzinfo=SHANGHAI))
    late = delivery("late", 12, dt.datetime(2026, 1, 8, 13, tzinfo=SHANGHAI))
    put(tonight, "ops_delivery", [early, late])
    put(tonight, "ops_quality", [failed("usage_cell_gz", "duplicate_share record · 2026-01-08 12h", "late")])
    assert [one.delivery_id for one in deliveries_in_force(tonight)] == ["early"]


def test_a_check_of_the_feed_holds_nothing_back(night: Callable[..., Night]) -> None:
    tonight = night(D)
    put(tonight, "ops_delivery", [delivery("early", 0, dt.datetime(2026, 1, 8, 1, tzinfo=SHANGHAI))])
    put(tonight, "ops_quality", [failed("usage_cell_gz", name) for name in ("freshness", "table count · 2026-01-08")])
    assert [one.delivery_id for one in deliveries_in_force(tonight)] == ["early"]


def test_nothing_holds_back_a_refusal_of_contact(night: Callable[..., Night]) -> None:
    tonight = night(D)
    refusals = delivery("r", -1, dt.datetime(2026, 1, 9, 1, tzinfo=SHANGHAI)) | {"feed": "consent_hotline"}
    put(tonight, "ops_delivery", [refusals])
    put(tonight, "ops_quality", [failed("consent_hotline", "faults record · 2026-01-08", "r")])
    assert [one.delivery_id for one in deliveries_in_force(tonight)] == ["r"]
