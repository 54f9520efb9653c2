"""The smallest rebuild: a plan over small ledgers of the real catalogue, made without a record and without Spark."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.feeds import app
from conf.dates import cut_off
from conf.errors import UserError
from features.anchor import feeds_of
from jobs import conform, partials, rebuild
from jobs.conform.work import sources_by_entity, work_of
from runtime.night import Night
from tests.nights.published import put

DAYS = [dt.date(2026, 1, day) for day in (5, 6, 7)]
LAST = dt.date(2026, 1, 8)


def row(feed: str, day: dt.date, resend: int = 0, state: str = "accepted", **more: Any) -> dict[str, Any]:
    """A row of the ledger: arrived at 01:00 after its day, or as said."""
    arrived = cut_off(day + dt.timedelta(1)) - dt.timedelta(hours=3)
    return {
        "delivery_id": f"{feed}-{day}-{resend}",
        "feed": feed,
        "data_date": day,
        "hour": -1,
        "resend": resend,
        "ordinal": resend + 1,
        "file": f"{feed}-{day}",
        "loaded": 5,
        "code": "00",
        "state": state,
        "arrived_at": arrived,
        "received_at": arrived,
        **more,
    }


def feeds_there(night: Night) -> list[str]:
    """Feeds of three schemas that conform to something."""
    chosen = {}
    for code, feed in sorted(night.catalogue.feeds.items()):
        if night.catalogue.schemas[feed.schema_name].conform:
            chosen.setdefault(feed.schema_name, code)
    return list(chosen.values())[:6]


@pytest.fixture
def settled(night: Callable[..., Night]) -> tuple[Night, list[dict[str, Any]]]:
    """Three days of a few feeds, conformed and folded: nothing is left to do."""
    last = night(LAST)
    ledger = [row(feed, day) for feed in feeds_there(last) for day in DAYS]
    put(last, "ops_delivery", ledger)
    schema_of = {feed.code: feed.schema_name for feed in last.catalogue.feeds.values()}
    deliveries = conform.deliveries_in_force(last)
    works = [work_of(name, mine, deliveries, schema_of, {}) for name, mine in sources_by_entity(last.catalogue).items()]
    conform.remember(last, works)
    last.lake.replace_arrow("partial_source", partials._rows(partials.sources(last)))
    return last, ledger


def restate(night: Night, ledger: list[dict[str, Any]], feed: str, day: dt.date, arrived: dt.datetime) -> None:
    """A resend takes the place of what was loaded."""
    kept = [{**old, "state": "replaced"} if (old["feed"], old["data_date"]) == (feed, day) else old for old in ledger]
    put(night, "ops_delivery", [*kept, row(feed, day, 1, arrived_at=arrived, received_at=arrived)])


def test_nothing_is_to_do_where_nothing_came(settled: tuple[Night, list[dict[str, Any]]]) -> None:
    night, _ = settled
    assert rebuild.plan_of(night, DAYS[0]).lines() == []


def test_a_resend_touches_its_entities_dates_and_families_only(settled: tuple[Night, list[dict[str, Any]]]) -> None:
    night, ledger = settled
    feed, day = feeds_there(night)[0], DAYS[0]
    arrived = cut_off(DAYS[2]) - dt.timedelta(hours=1)  # the night of the 7th is the first to see it
    restate(night, ledger, feed, day, arrived)
    plan = rebuild.plan_of(night, DAYS[0])
    assert plan.deliveries == ((feed, day, -1, 1),)
    schema = night.catalogue.schemas[night.catalogue.feeds[feed].schema_name]
    # the date after as well: what it tells again of this one counts once
    assert dict(plan.entities) == dict.fromkeys(sorted({one.entity for one in schema.conform}), (day, DAYS[1]))
    reading = {
        family.family
        for family in night.catalogue.features.families
        if feed in feeds_of(family, night.catalogue) or family.source in plan.entities
    }
    assert set(plan.families) <= reading
    first_seen = {DAYS[0] + dt.timedelta(1), DAYS[2]}  # where it was, and where it is now (and what came the day after)
    assert all(set(nights) <= first_seen for nights in plan.families.values())
    assert plan.snapshots == ()
    assert rebuild.plan_of(night, LAST).deliveries == ()  # restated before the nights looked at


def test_a_snapshot_that_should_have_seen_what_came_into_the_ledger_later_is_taken_again(
    settled: tuple[Night, list[dict[str, Any]]],
) -> None:
    night, ledger = settled
    for date in (DAYS[1], DAYS[2]):
        made = {"business_date": date, "customer_id": 1}
        put(night, "customer_features", [made], partition={"business_date": date})
    assert rebuild.plan_of(night, DAYS[0]).snapshots == ()
    found_late = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)  # the files' times are the wall clock's
    arrived = cut_off(DAYS[2]) - dt.timedelta(hours=1)
    kept = [row(feeds_there(night)[1], DAYS[1], 1, arrived_at=arrived, received_at=found_late)]
    put(night, "ops_delivery", [*ledger, *kept])
    assert rebuild.plan_of(night, DAYS[0]).snapshots == (DAYS[2],)  # that of the 6th could not have seen it


def test_the_command_prints_the_plan_and_rebuilds_nothing(settled: tuple[Night, list[dict[str, Any]]]) -> None:
    night, ledger = settled
    feed = feeds_there(night)[0]
    restate(night, ledger, feed, DAYS[0], cut_off(DAYS[2]) - dt.timedelta(hours=1))
    before = {path: path.stat().st_mtime_ns for path in night.settings.home.rglob("*.parquet")}
    done = CliRunner().invoke(app, ["rebuild", "--plan", "--since", "2026-01-05", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["deliveries"] == [{"feed": feed, "data_date": "2026-01-05", "hour": -1, "resend": 1}]
    assert set(told) == {"deliveries", "left_out", "entities", "families", "snapshots"}
    assert {path: path.stat().st_mtime_ns for path in night.settings.home.rglob("*.parquet")} == before
    spoken = CliRunner().invoke(app, ["rebuild", "--plan", "--since", "2026-01-05"])
    assert feed in spoken.output


def hold_back(night: Night, feed: str, day: dt.date) -> str:
    """A check of a delivery fails; returns its id."""
    name = f"{feed}-{day}-0"
    stop = {"success": False, "severity": "stop", "details": json.dumps({"delivery_id": name})}
    put(night, "ops_quality", [{"business_date": day, "subject": feed, "check": "faults record", **stop}])
    return name


def held_feed(night: Night) -> str:
    """A feed whose records become rows of an entity that is kept by date."""
    of = {feed: night.catalogue.schemas[night.catalogue.feeds[feed].schema_name] for feed in feeds_there(night)}
    return next(feed for feed, schema in of.items() if {c.entity for c in schema.conform} - {"customer", "consent"})


def test_what_a_stop_held_back_is_named_by_the_plan_once_it_is_released(
    settled: tuple[Night, list[dict[str, Any]]],
) -> None:
    night, _ = settled
    feed, day = held_feed(night), DAYS[2]
    name = hold_back(night, feed, day)
    schema_of = {one.code: one.schema_name for one in night.catalogue.feeds.values()}
    current = conform.deliveries_in_force(night)
    sources = sources_by_entity(night.catalogue)
    conform.remember(night, [work_of(entity, of, current, schema_of, {}) for entity, of in sources.items()])
    night.lake.replace_arrow("partial_source", partials._rows(partials.sources(night)))
    assert rebuild.plan_of(night, DAYS[0]).lines() == []  # held back: nothing is to do

    listed = CliRunner().invoke(app, ["feeds", "release", "--json"])
    assert [one["delivery_id"] for one in json.loads(listed.stdout)["deliveries"]] == [name]
    silent = CliRunner().invoke(app, ["feeds", "release", feed])
    assert isinstance(silent.exception, UserError)
    assert "reason" in silent.exception.what
    done = CliRunner().invoke(app, ["feeds", "release", feed, "--why", "codes agreed with the sender"])
    assert done.exit_code == 0, done.output
    assert [(row["delivery_id"], row["why"]) for row in night.lake.arrow("ops_release").to_pylist()] == [
        (name, "codes agreed with the sender")
    ]
    plan = rebuild.plan_of(night, DAYS[0])
    assert {(one.delivery_id, one.records, one.released) for one in plan.left_out} == {(name, 5, True)}
    assert ("released", f"{feed} {day}") in {line[:2] for line in plan.lines()}
    nobody = CliRunner().invoke(app, ["feeds", "release", feed, "--why", "again"])
    assert isinstance(nobody.exception, UserError)
