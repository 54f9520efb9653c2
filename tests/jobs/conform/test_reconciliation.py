"""What became of records is added up, judged by feed, and put beside the checks of the load."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from conf.dates import SHANGHAI
from jobs.conform.reconciliation import account_profiles, judge_accounts, judge_owners, judge_tables, keep_checks
from jobs.conform.work import EntityRebuild, KnownDelivery, sources_by_entity
from runtime.night import Night
from tests.nights.published import put

D = dt.date(2026, 1, 9)
DAY = D - dt.timedelta(days=1)


def accounted(entity: str = "usage", feed: str = "topup_bank", day: dt.date = DAY, **terms: int) -> dict:
    """What became of a delivery of ten records."""
    counts = {"records": 10, "not_meant": 0, "rows": 10, "incomplete": 0, "unmatched": 0, "repeated": 0, "lost": 0}
    arrived = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(1), SHANGHAI)
    named = {"entity": entity, "feed": feed, "data_date": day, "delivery_id": "d" * 32, "arrived_at": arrived}
    return named | counts | terms


def judged(checks: list[dict]) -> dict[tuple[str, str], tuple[bool, str]]:
    return {(row["subject"], row["check"]): (row["success"], row["severity"]) for row in checks}


def test_a_record_that_nothing_accounts_for_is_lost_and_alarms(night: Callable[..., Night]) -> None:
    rows = [accounted(rows=9, lost=1), accounted("visit")]
    checks = judged([c for c in judge_accounts(night(D), rows) if c["check"].startswith("reconciled")])
    assert checks == {
        ("topup_bank", "reconciled · usage"): (False, "stop"),
        ("topup_bank", "reconciled · visit"): (True, "stop"),
    }


def test_a_feed_that_is_gone_makes_no_checks(night: Callable[..., Night]) -> None:
    checks = judge_accounts(night(D), [accounted(feed="gone_feed", lost=3, unmatched=5)])
    assert [check["subject"] for check in checks] == ["usage"]  # the table has what it has


def test_records_without_owner_alarm_on_their_night_and_refusals_on_each(night: Callable[..., Night]) -> None:
    rows = [
        accounted(unmatched=5, rows=5),
        accounted("consent", "consent_hotline", unmatched=2, rows=8),
    ]
    tonight = judge_owners(night(D), rows)
    assert [(c["subject"], c["success"], c["severity"]) for c in tonight] == [
        ("consent_hotline", False, "stop"),
        ("topup_bank", False, "warn"),
    ]
    later = judge_owners(night(D + dt.timedelta(days=1)), rows)
    assert [c["subject"] for c in later] == ["consent_hotline"]
    assert judge_owners(night(DAY), rows) == []  # that night has not seen them
    [one] = judge_owners(night(D), [accounted("consent", "consent_hotline", unmatched=1, rows=9)])
    assert one["success"]  # one always may


def test_a_table_that_does_not_hold_its_rows_is_told_by_date(night: Callable[..., Night]) -> None:
    tonight = night(D)
    [check] = judge_tables(tonight, [accounted("shift", rows=3), accounted("customer")])
    assert (check["subject"], check["success"], check["observed"]) == ("shift", False, 3.0)
    assert check["details"] == '{"2026-01-08": -3}'


def test_checks_stand_beside_those_of_the_load_and_replace_their_own(night: Callable[..., Night]) -> None:
    tonight = night(D)
    load = {"business_date": D, "subject": "topup_bank", "check": "freshness", "success": True, "severity": "info"}
    put(tonight, "ops_quality", [load])
    for lost in (4, 0):
        keep_checks(tonight, judge_accounts(tonight, [accounted("customer", lost=lost)]))
    rows = tonight.lake.arrow("ops_quality").to_pylist()
    assert judged(rows) == {
        ("topup_bank", "freshness"): (True, "info"),
        ("topup_bank", "reconciled · customer"): (True, "stop"),
    }


def test_profiles_are_heard_or_lack_something(night: Callable[..., Night]) -> None:
    sources = sources_by_entity(night(D).catalogue)["customer"]
    schema = sources[0].schema.name
    arrived = dt.datetime.combine(D, dt.time(1), SHANGHAI)
    delivery = KnownDelivery("d", "profile", DAY, arrived, records=10, schema=schema)
    work = EntityRebuild("customer", sources, (DAY,), (delivery,), {})
    [row] = account_profiles(work, {"d": (9, 2)})
    assert (row["rows"], row["incomplete"], row["lost"]) == (7, 2, 1)
