"""The operation's goals, recomputed by other SQL over a lake of seventy nights with many events a customer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pytest

from conf.catalogue import Catalogue
from conf.dates import start_of_day
from conf.figure import GOALS
from reporting import goals
from reporting.kpi import describe
from runtime.night import Night
from runtime.run_record import RunRecord
from tests.reporting.test_earned import put

FIRST = dt.date(2025, 11, 1)
NIGHTS, CUSTOMERS = 70, 60
#: Launched on the night's own date in the frozen catalogue; the test launches it on the twentieth night.
NEW, LAUNCHED = "ai_phone", FIRST + dt.timedelta(days=20)
RULE, DECLARED = "needs_5g", FIRST + dt.timedelta(days=30)
Answers = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture
def tonight(night: Callable[..., Night], monkeypatch: pytest.MonkeyPatch) -> Night:
    made = night(FIRST + dt.timedelta(days=NIGHTS - 1))
    products = [p.model_copy(update={"launch_date": LAUNCHED}) if p.code == NEW else p for p in made.catalogue.products]
    rules = [r.model_copy(update={"declared": DECLARED}) if r.name == RULE else r for r in made.catalogue.rules]
    monkeypatch.setattr(Catalogue, "products", property(lambda _: tuple(products)))
    monkeypatch.setattr(Catalogue, "rules", property(lambda _: tuple(rules)))
    make_lake(made, np.random.default_rng(11))
    return made


def make_lake(night: Night, rng: np.random.Generator) -> None:
    """Plans in which the new product reaches a further channel every other night, and events of all kinds."""
    new = next(p.id for p in night.catalogue.products if p.code == NEW)
    outbound = [c.id for c in night.catalogue.channels if c.direction == "outbound"]
    inbound = [c for c in night.catalogue.channels if c.direction == "inbound"]
    plans, offers, funnel, contacts, orders, shows, complaints = [], [], [], [], [], [], []
    for day in range(NIGHTS):
        date = FIRST + dt.timedelta(days=day)
        start, age = start_of_day(date), (date - LAUNCHED).days
        for customer in range(CUSTOMERS):
            sold = age >= 2 and customer % 3 == 0
            channel = outbound[min(age // 2, len(outbound)) - 1] if sold else outbound[0]
            plans.append(
                {"business_date": date, "customer_id": customer, "product": new if sold else 1, "channel": channel}
            )
            for rank, way in enumerate(inbound, 1):
                newest = age >= 3 + rank and customer % 2 == 0
                offers.append(
                    {"business_date": date, "customer_id": customer, "product": new if newest else 2}
                    | {"channel": way.id, "rank": rank}
                )
            at = start + dt.timedelta(hours=float(rng.uniform(9, 20)))
            action = "cancel" if rng.random() < 0.2 else "subscribe"
            orders.append(
                {"customer_id": customer, "event_time": at, "order_id": f"o{customer}-{day}", "action": action}
                | {"channel": str(rng.choice(["shop", "wechat", "website"])), "again": 2 if customer % 7 == 0 else 1}
                | {"product": NEW if age >= 5 and customer % 4 == 0 else "sms_pack_100"}
                | {"effective_time": at + dt.timedelta(minutes=int(rng.integers(1, 600)))}
            )
            contacts.append(
                {"customer_id": customer, "event_time": at, "direction": "in", "channel": "10086", "attempted": False}
                | {"topic": "cancel" if rng.random() < 0.3 else "bill", "score": int(rng.integers(1, 11))}
                | {"again": 2 if customer % 5 == 0 else 1}
            )
            if sold and age >= 4:
                contacts.append(
                    {"customer_id": customer, "event_time": at, "direction": "out", "channel": "sms_hall"}
                    | {"attempted": True, "product": NEW}
                )
            if age >= 6 and customer % 10 == 0:
                shows.append(
                    {"customer_id": customer, "event_time": at, "shown_at": at, "channel": "website", "product": NEW}
                    | {"decision_id": f"{customer}-{day}", "slot": 1, "clicked": False, "slate_probability": 0.5}
                )
            if rng.random() < 0.2:
                complaints.append(
                    {
                        "customer_id": customer,
                        "event_time": at,
                        "complaint_id": f"t{customer}-{day}",
                        "kind": "complaint",
                    }
                    | {"step": "closed", "satisfied": bool(rng.random() < 0.7), "again": 2}
                )
        funnel += [{"business_date": date, "rule": rule} for rule in ("opt_out", *([RULE] if day >= 33 else []))]
    for table, rows in (
        ("assignment", plans),
        ("recommendation", offers),
        ("funnel", funnel),
        ("contact", contacts),
        ("order", orders),
        ("impression", shows),
        ("complaint", complaints),
    ):
        put(night, table, rows)


def gather(night: Night) -> Answers:
    return {(row["kpi"], row["slice"]): row for row in describe(goals.gather(night), night.catalogue.figures)}


def ask(night: Night, sql: str) -> list[Any]:
    """One row of SQL over the files themselves, in Shanghai's clock; ``{launch}`` is the launch date, ``{seen}`` the cut."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'Asia/Shanghai'")
        for name in goals.READ:
            files = night.lake.files(name)
            connection.execute(f'create view "{name}" as select * from read_parquet({files}, hive_partitioning = true)')
        seen = f"event_time < timestamptz '{night.date}' and arrived_at < timestamptz '{night.date} 04:00'"
        return list(connection.sql(sql.format(launch=LAUNCHED, seen=seen)).fetchall()[0])


def test_launches_are_counted_to_the_channel_that_is_last(tonight: Night) -> None:
    rows, new = gather(tonight), next(p.id for p in tonight.catalogue.products if p.code == NEW)
    channels = ", ".join(f"({c.id}, {c.direction == 'inbound'})" for c in tonight.catalogue.channels)
    hours, reached = ask(
        tonight,
        f"""with first as (
            select channel, min(business_date) as day from (
                select channel, product, business_date from assignment
                union all select channel, product, business_date from recommendation) where product = {new} group by 1)
        select epoch(max(day + time '04:00') - timestamp '{{launch}}') / 3600, count(*)
        from (values {channels}) as c(id, inbound) join first on c.id = first.channel""",
    )
    assert reached == len(tonight.catalogue.channels)
    assert rows["launch_to_channels_hours", f"product:{NEW}"]["value"] == pytest.approx(hours)
    assert rows["launch_to_channels_hours", "all"]["value"] == pytest.approx(hours)
    assert rows["launch_to_channels_hours", "all"]["note"].startswith("1 of 1")
    web, sms = ask(
        tonight,
        """select (select min(epoch(shown_at - timestamptz '{launch}')) / 3600 from impression where product = 'ai_phone'
                and channel = 'website' and {seen}),
            (select min(epoch(event_time - timestamptz '{launch}')) / 3600 from contact where product = 'ai_phone'
                and channel = 'sms_hall' and attempted and {seen})""",
    )
    assert rows["visible_hours", "channel:website"]["value"] == pytest.approx(web)
    assert rows["visible_hours", "channel:sms_hall"]["value"] == pytest.approx(sms)
    assert rows["visible_hours", "all"]["value"] == pytest.approx(min(web, sms))
    assert rows["visible_hours", "channel:weibo"]["value"] is None
    assert "nothing shown" in rows["visible_hours", "channel:weibo"]["note"]
    (days,) = ask(
        tonight,
        """select min(epoch(event_time - timestamptz '{launch}')) / 86400 from "order" where product = 'ai_phone'
            and action <> 'cancel' and channel in ('wechat', 'website') and {seen}""",
    )
    assert rows["launch_to_echannels_days", "all"]["value"] == pytest.approx(days)


def test_orders_marks_complaints_and_rules_are_what_other_sql_says(tonight: Night) -> None:
    rows = gather(tonight)
    hours, self_served, mark, leaving, content, rule = ask(
        tonight,
        f"""select
            (select avg(h) from (select distinct order_id, action, epoch(effective_time - event_time) / 3600 as h
                from "order" where {{seen}})),
            (select avg((channel in ('wechat', 'website'))::int) from (select distinct order_id, channel from "order"
                where action = 'cancel' and {{seen}})),
            (select avg(score) from (select distinct customer_id, event_time, score from contact where {{seen}}
                and score is not null)),
            (select avg(score) from (select distinct customer_id, event_time, score from contact where {{seen}}
                and score is not null and topic = 'cancel')),
            (select avg(satisfied::int) from (select distinct complaint_id, satisfied from complaint where {{seen}})),
            (select min(business_date) - date '{DECLARED}' from funnel where rule = '{RULE}')""",
    )
    expected = {
        "order_handling_hours": hours,
        "echannel_cancellation_share": self_served,
        "satisfaction_mark": mark,
        "cancelling_mark": leaving,
        "complaints_content_share": content,
        "rule_to_night_days": rule,
    }
    assert {name: rows[name, "all"]["value"] for name in expected} == pytest.approx(expected)
    assert rule == 3


def make_run(day: int, configuration: str | None, code: str | None) -> RunRecord:
    date = FIRST + dt.timedelta(days=day)
    return RunRecord("r", date, "assign", "done", {}, start_of_day(date), 1.0, None, configuration, code)


def test_changes_are_those_between_nights_that_keep_both_hashes() -> None:
    runs = [
        make_run(0, None, None),
        *(make_run(d, "ab"[d > 3] + "x" * (d > 5), "1" * (1 + (d > 6))) for d in range(1, 9)),
    ]
    rows = {row["kpi"]: row for row in goals.count_changes(runs, FIRST + dt.timedelta(days=9))}
    assert rows["changes_by_configuration"]["value"] == 2
    assert rows["changes_by_code"]["value"] == 1
    assert rows["configured_change_share"]["value"] == pytest.approx(2 / 3)
    (none,) = {row["value"] for row in goals.count_changes(runs[:2], FIRST + dt.timedelta(days=9))}
    assert none is None


def test_a_home_that_measures_none_says_of_each_why(night: Callable[..., Night]) -> None:
    rows = goals.gather(night(dt.date(2026, 1, 8)))
    assert all(row["value"] is None and row["note"] for row in rows)
    figures = night().catalogue.figures
    assert {figures[row["kpi"]].goal for row in rows} >= {
        "launch_to_channels",
        "visible_per_channel",
        "order_handling",
        "rule_to_night",
        "launch_to_echannels",
        "satisfaction",
        "support",
    }
    assert {figure.goal for figure in figures.values()} - {""} == set(GOALS)  # all twelve have one
