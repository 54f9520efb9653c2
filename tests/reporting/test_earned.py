"""Money is counted of customers and orders: recomputed by other SQL over a lake where everybody has sixty decisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from conf.dates import start_of_day
from reporting import earned
from runtime.lake import arrow_schema, nullable
from runtime.night import Night

pytestmark = pytest.mark.whole

CUSTOMERS, NIGHTS = 400, 60
FIRST = dt.date(2025, 10, 3)
LAST = FIRST + dt.timedelta(days=NIGHTS - 1)
CONTROL, MIXED, USUAL = range(90), 399, 398
#: Written by hand, not taken from the settings: what the page of figures says.
CONVERSION, CANCEL = 7, 30


def put(night: Night, table: str, rows: list[dict[str, Any]]) -> None:
    """Rows of an entity as one delivery; rows that say ``again`` are delivered twice."""
    entry = night.lake.table(table)
    schema = nullable(arrow_schema(entry))
    kinds: dict[str, Any] = {"string": "", "boolean": False}
    dated = {"date", "timestamp"}
    zeros = {c.name: kinds.get(c.type, 0) for c in entry.columns if not c.nullable and c.type not in dated}
    written = []
    for line, row in enumerate(rows):
        late = row.pop("again", 1)
        for copy in range(late):
            common = {"line": line, "delivery_id": f"d{copy}", "schema": "s", "feed": "decision_log_archive"}
            if "event_time" in row:
                common |= {"arrived_at": row["event_time"] + dt.timedelta(hours=8 + copy)}
                common |= {"data_date": row["event_time"].date()}
            written.append({name: value for name, value in zeros.items() if name not in {"arrived_at"}} | common | row)
    night.lake.replace_arrow(table, pa.Table.from_pylist(written, schema=schema))


def make_lake(night: Night, rng: np.random.Generator) -> None:
    """Sixty nights: a decision a customer and night, contacts, orders of all kinds, refusals, complaints."""
    decisions, contacts, orders, consents, complaints = [], [], [], [], []
    products = [product.code for product in night.catalogue.products][:5]
    for day in range(NIGHTS):
        date = FIRST + dt.timedelta(days=day)
        start = start_of_day(date)
        for customer in range(CUSTOMERS):
            role = "control" if customer in CONTROL else "explore" if (customer + day) % 20 == 0 else "exploit"
            role = "control" if customer == MIXED and day > 40 else "usual" if customer == USUAL else role
            asked = role != "control" and (customer * 7 + day) % 9 == 0
            product = products[(customer + day) % 5] if asked else None
            name = f"{customer}-{day}"
            decisions.append(
                {
                    "customer_id": customer,
                    "event_time": start - dt.timedelta(hours=1),
                    "decision_id": name,
                    "business_date": date,
                    "role": role,
                    "product": product,
                    "channel": "sms_hall" if asked else None,
                    "pscore": 0.5,
                    "again": 2 if customer % 50 == 0 else 1,
                }
            )
            if not asked:
                continue
            contact = {"customer_id": customer, "decision_id": name, "direction": "out", "channel": "sms_hall"}
            contact |= {"attempted": True, "reached": rng.random() < 0.6, "refused": rng.random() < 0.1}
            contacts += [contact | {"event_time": start + dt.timedelta(hours=h)} for h in (10, 11)]  # tried twice
            if rng.random() < 0.10:
                orders.append(make_order(customer, start + dt.timedelta(hours=30), product, rng, len(orders)))
            if rng.random() < 0.02:
                consents += [
                    {
                        "customer_id": customer,
                        "kind": "marketing",
                        "granted": False,
                        "channel": "all",
                        "event_time": start + dt.timedelta(days=d, hours=12),
                    }
                    for d in (1, 3)
                ]
    for customer in range(CUSTOMERS):
        for _ in range(rng.poisson(1.0)):
            at = start_of_day(FIRST) + dt.timedelta(days=float(rng.uniform(-5, NIGHTS + 20)))
            orders.append(make_order(customer, at, products[0], rng, len(orders)))
        if rng.random() < 0.2:
            at = start_of_day(FIRST) + dt.timedelta(days=float(rng.uniform(1, NIGHTS)))
            complaints.append(
                {"customer_id": customer, "kind": "complaint", "step": "open", "event_time": at, "again": 2}
            )
    ended = [
        order
        | {"action": "cancel", "event_time": order["event_time"] + dt.timedelta(days=int(after)), "order_id": f"x{i}"}
        for i, order in enumerate(orders[::6])
        for after in (5 if i % 2 else 40,)
    ]
    put(night, "decision", decisions)
    put(night, "contact", contacts)
    put(night, "order", [*orders, *ended])
    put(night, "consent", consents)
    put(night, "complaint", complaints)
    who = [{"business_date": night.date, "customer_id": c, "city": "gz" if c % 3 else "sz"} for c in range(CUSTOMERS)]
    names = ("business_date", "customer_id", "city")
    schema = pa.schema([nullable(arrow_schema(night.lake.table("customer_features"))).field(name) for name in names])
    table = pa.Table.from_pylist(who, schema=schema)
    for field in nullable(arrow_schema(night.lake.table("customer_features"))):
        if field.name not in names:
            table = table.append_column(field.name, pa.nulls(len(who), field.type))
    night.lake.replace_arrow("customer_features", table, partition=night.partition)


def make_order(
    customer: int, at: dt.datetime, product: str | None, rng: np.random.Generator, number: int
) -> dict[str, Any]:
    margin = int(rng.lognormal(3, 1) * 1_000_000)
    order = {"customer_id": customer, "event_time": at, "order_id": f"o{number}", "product": product}
    return order | {"channel": "shop" if number % 3 else "wechat", "action": "subscribe", "margin_micro": margin}


@pytest.fixture
def counted(night: Callable[..., Night]) -> tuple[Night, dict[tuple[str, str], dict[str, Any]]]:
    tonight = night()
    make_lake(tonight, np.random.default_rng(7))
    rows = earned.gather(tonight)
    return tonight, {(row["kpi"], row["slice"]): row for row in rows}


def recompute(night: Night, where: str = "true") -> dict[str, float]:
    """The same by SQL that shares nothing: sets of customers, EXISTS, no parts, no exact sums."""
    names = ("decision", "contact", "order", "customer_features")
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'Asia/Shanghai'")
        for name in names:
            files = night.lake.files(name)
            connection.execute(f'create view "{name}" as select * from read_parquet({files}, hive_partitioning = true)')
        cost = next(channel.cost_micro for channel in night.catalogue.channels if channel.code == "sms_hall") / 1e6
        sql = f"""
        with said as (select distinct customer_id, business_date, role, decision_id from decision),
        chosen as (select customer_id from customer_features where {where}),
        control as (select customer_id from said group by 1 having bool_and(role = 'control')),
        treated as (select customer_id from said group by 1 having bool_and(role in ('exploit', 'explore'))),
        sold as (
            select distinct customer_id, order_id, margin_micro / 1e6 as yuan, exists (
                    select 1 from decision d join contact using (decision_id) where reached
                        and d.customer_id = o.customer_id and d.product = o.product
                        and o.event_time >= d.business_date::timestamptz
                        and o.event_time < (d.business_date + {CONVERSION})::timestamptz) as answers
            from "order" o
            where action <> 'cancel' and event_time >= timestamptz '{FIRST}'
                and event_time < timestamptz '{LAST + dt.timedelta(days=CONVERSION + 1)}'
                and not exists (select 1 from "order" c where c.action = 'cancel' and c.customer_id = o.customer_id
                    and c.product is not distinct from o.product and c.event_time > o.event_time
                    and c.event_time < o.event_time + interval {CANCEL} days)),
        spent as (select customer_id, sum(yuan) as yuan, count(*) as orders,
            sum(yuan) filter (not answers) as unmoved from sold group by 1),
        worth as (
            select customer_id, customer_id in (from control) as held_out, coalesce(yuan, 0) as yuan,
                coalesce(orders, 0) as orders, coalesce(unmoved, 0) as unmoved
            from chosen left join spent using (customer_id)
            where customer_id in (from control) or customer_id in (from treated)),
        asked as (select count(distinct decision_id) as contacts from contact join said using (decision_id)
            where said.customer_id in (from treated) and said.customer_id in (from chosen))
        select avg(yuan) filter (not held_out) - avg(yuan) filter (held_out) as more,
            count(*) filter (not held_out) as treated, count(*) filter (held_out) as control,
            avg(yuan) filter (not held_out) as mt, avg(unmoved) filter (not held_out) as mu,
            avg(yuan * yuan) filter (not held_out) as st, avg(unmoved * unmoved) filter (not held_out) as su,
            avg(yuan) filter (held_out) as mc, var_samp(yuan) filter (held_out) as vc,
            sum(orders) filter (not held_out) as orders, (select contacts from asked) as contacts from worth"""
        found = connection.sql(sql)
        row = dict(zip(found.columns, map(float, found.fetchall()[0]), strict=True))
    anyway = min(max((row["mc"] - row["mu"]) / (row["mt"] - row["mu"]), 0), 1)  # of the answers
    spread = (1 - anyway) * row["su"] + anyway * row["st"] - ((1 - anyway) * row["mu"] + anyway * row["mt"]) ** 2
    pooled = (spread * row["treated"] + row["vc"] * (row["control"] - 1)) / (row["treated"] + row["control"] - 2)
    error = (max(pooled, row["vc"]) * (1 / row["treated"] + 1 / row["control"])) ** 0.5
    return row | {"cost": row["contacts"] * cost, "incremental": row["more"] * row["treated"], "error": error}


@pytest.mark.parametrize(("slice_", "where"), [("", "true"), ("/city:gz", "city = 'gz'")])
def test_every_figure_of_money_is_what_other_sql_says(
    counted: tuple[Night, dict[tuple[str, str], dict[str, Any]]], slice_: str, where: str
) -> None:
    night, rows = counted
    told = {name: row for (name, at), row in rows.items() if at == f"policy:logged{slice_}"}
    known = recompute(night, where)
    value = {name: row["value"] for name, row in told.items()}
    assert value["treated_customers"] == known["treated"]  # all but control, mixed and usual
    assert value["control_customers"] == known["control"]
    assert value["incremental_margin_yuan"] == pytest.approx(known["incremental"])  # seen on the demo: 22 times that
    assert value["incremental_margin_per_customer_yuan"] == pytest.approx(known["more"])
    assert value["contact_cost_yuan"] == pytest.approx(known["cost"])
    assert value["net_margin_yuan"] == pytest.approx(known["incremental"] - known["cost"])
    assert value["roi"] == pytest.approx(known["incremental"] / known["cost"])
    assert value["contacts_per_customer"] == pytest.approx(known["contacts"] / known["treated"])
    assert value["orders_per_customer"] == pytest.approx(known["orders"] / known["treated"])
    ends = told["incremental_margin_yuan"]
    assert (ends["high"] - ends["low"]) / known["treated"] == pytest.approx(2 * 1.99 * known["error"], rel=0.02)
    drivers = ("treated_customers", "contacts_per_customer", "period_reached_rate", "incremental_orders_per_reached")
    product = np.prod([value[name] for name in drivers]) * value["margin_per_incremental_order_yuan"]
    assert product == pytest.approx(known["incremental"])  # the drivers are the whole of it
    assert (ends["first_date"], ends["last_date"]) == (FIRST, LAST)


def test_people_and_events_count_once_and_answers_are_no_horizons(
    counted: tuple[Night, dict[tuple[str, str], dict[str, Any]]],
) -> None:
    night, rows = counted
    refused = rows["opt_outs_per_10000", "policy:logged"]
    consent = night.lake.arrow("consent").to_pylist()
    assert 0 < refused["numerator"] <= len({row["customer_id"] for row in consent})
    assert len(consent) > refused["numerator"]  # everybody said no twice
    complaints = rows["complaints_per_10000", "policy:logged"]
    assert complaints["numerator"] <= len({row["customer_id"] for row in night.lake.arrow("complaint").to_pylist()})
    assert rows["complaints_per_10000_control", "policy:logged"]["value"] > 0
    taken = [row for row in night.lake.arrow("order").to_pylist() if row["action"] == "subscribe"]
    answered = rows["answered_orders", "policy:logged"]["value"]
    assert 0 < answered <= len({row["order_id"] for row in taken})
    products = [row["value"] for (name, at), row in rows.items() if name == "answered_orders" and "/product:" in at]
    assert sum(products) == answered  # each order has one contact
    assert rows["mixed_customers", "policy:logged"]["value"] == 1
    assert 0 < rows["echannel_order_share", "policy:logged"]["value"] < 1


def test_a_young_policy_is_not_yet_told_but_its_campaign_is(night: Callable[..., Night]) -> None:
    tonight = night(LAST + dt.timedelta(days=1))
    make_lake(tonight, np.random.default_rng(7))
    entry = nullable(arrow_schema(tonight.lake.table("assignment")))
    ours = [
        {
            "business_date": LAST,
            "run_id": "r",
            "decision_id": f"{c}-{NIGHTS - 1}",
            "customer_id": c,
            "role": "control" if c in CONTROL else "exploit",
            "reason": "best",
            "value_micro": 0,
            "price_micro": 0,
            "product": 1 if (c * 7 + NIGHTS - 1) % 9 == 0 and c not in CONTROL else None,
            "channel": 1,
        }
        for c in range(CUSTOMERS)
    ]
    rows = pa.Table.from_pylist(ours, schema=entry)
    tonight.lake.replace_arrow("assignment", rows, partition={"business_date": LAST})
    found = {(row["kpi"], row["slice"]): row for row in earned.gather(tonight)}
    roi = found["roi", "policy:ours"]
    assert roi["value"] is None
    assert "not yet to be told before 2025-12-" in roi["note"]
    assert "still to come" in found["treated_customers", "policy:ours"]["note"]
    assert found["campaign_sent", "all"]["value"] == found["campaign_sent", "channel:sms_hall"]["value"] > 0
    assert found["campaign_reached", "all"]["value"] <= found["campaign_sent", "all"]["value"]


def test_an_empty_home_has_no_period(night: Callable[..., Night]) -> None:
    assert earned.gather(night()) == []
