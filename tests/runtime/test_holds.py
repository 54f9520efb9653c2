"""Which deliveries are held back, and what lifts it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

from runtime.holds import Hold, delivery_of, read_holds, refusal_feeds
from runtime.night import Night
from tests.fixtures.catalogue import frozen
from tests.nights.published import put

D = dt.date(2026, 1, 9)


def row(check: str, about: str, *, success: bool = False, severity: str = "stop", day: dt.date = D) -> dict:
    details = json.dumps({"delivery_id": about, "rows": 3}) if about else ""
    said = {"success": success, "severity": severity, "details": details}
    return {"business_date": day, "subject": "usage_cell_gz", "check": check, **said}


def test_a_delivery_is_held_back_by_every_check_of_its_own_that_failed(night: Callable[..., Night]) -> None:
    tonight = night(D)
    checks = [
        row("faults record", "a"),
        row("rows", "a", day=D + dt.timedelta(1)),
        row("empty x", "b", severity="warn"),
        row("min x", "c", success=True),
        row("freshness", ""),
    ]
    put(tonight, "ops_quality", checks)
    wanted = Hold("a", "usage_cell_gz", D + dt.timedelta(1), ("faults record", "rows"))
    assert dict(read_holds(tonight.lake, tonight.catalogue)) == {"a": wanted}


def test_what_is_released_is_held_back_no_longer(night: Callable[..., Night]) -> None:
    tonight = night(D)
    put(tonight, "ops_quality", [row("rows", "a"), row("faults record", "b")])
    put(tonight, "ops_release", [{"delivery_id": "a", "at": dt.datetime(2026, 1, 9, tzinfo=dt.UTC)}])
    assert set(read_holds(tonight.lake, tonight.catalogue)) == {"b"}


def test_feeds_of_refusals_are_those_whose_records_become_consents() -> None:
    assert {"consent_hotline", "consent_app", "dnd_own"} <= refusal_feeds(frozen())
    assert "usage_cell_gz" not in refusal_feeds(frozen())


def test_a_check_of_a_feed_names_no_delivery() -> None:
    assert delivery_of('{"due": "2026-01-08"}') == delivery_of("") == delivery_of(None) == delivery_of("[]") == ""
