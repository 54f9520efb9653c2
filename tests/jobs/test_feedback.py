"""Outcomes by hand: windows, last touch, cancellations, roles, maturity, and that settled dates stay."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from conf.catalogue import Catalogue
from conf.offer import Product
from jobs.feedback import run
from models.bit_sets import has, read_set
from runtime.lake import arrow_schema, nullable
from runtime.night import Night

pytestmark = pytest.mark.spark
DAY = dt.date(2025, 11, 1)
MIDNIGHT = dt.datetime(2025, 10, 31, 16, tzinfo=dt.UTC)  # 2025-11-01 00:00 in Shanghai
ARRIVED = dt.datetime(2025, 12, 2, tzinfo=dt.UTC)


def rows(night: Night, table: str, given: list[dict[str, Any]]) -> None:
    schema = nullable(arrow_schema(night.lake.table(table)))
    base = {
        "arrived_at": ARRIVED,
        "schema": "s",
        "feed": "f",
        "data_date": DAY,
        "delivery_id": "d",
        "event_time": MIDNIGHT,
    }
    full = [{**base, "line": line, **row} for line, row in enumerate(given, 1)]
    night.lake.replace_arrow(table, pa.Table.from_pylist([{k: r.get(k) for k in schema.names} for r in full], schema))


def decision(
    key: str, customer: int, *, product: str | None = None, days: int = 0, role: str = "exploit"
) -> dict[str, Any]:
    return {
        "decision_id": key,
        "customer_id": customer,
        "business_date": DAY + dt.timedelta(days),
        "role": role,
        "product": product,
        "channel": "wechat" if product else None,
        "pscore": 0.5,
    }


def order(customer: int, days: float, product: str = "ring_tone", **more: Any) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "event_time": MIDNIGHT + dt.timedelta(days=days),
        "product": product,
        "action": "subscribe",
        "order_id": f"{customer}-{days}-{product}-{more.get('action', '')}",
        "margin_micro": 4_400_000,
        **more,
    }


@pytest.fixture
def outcome(night: Callable[..., Night], spark: object) -> Callable[..., dict[str, dict[str, Any]]]:
    def compute(
        tables: dict[str, list[dict[str, Any]]], date: dt.date = dt.date(2026, 1, 9)
    ) -> dict[str, dict[str, Any]]:
        tonight = night(date)
        for table in ("decision", "contact", "order", "consent", "complaint"):
            rows(tonight, table, tables.get(table, []))
        run(tonight)
        return {row["decision_id"]: row for row in tonight.lake.arrow("outcome").to_pylist()}

    return compute


def test_windows_touches_and_money(outcome: Callable[..., dict[str, dict[str, Any]]]) -> None:
    at = MIDNIGHT + dt.timedelta(hours=30)
    got = outcome(
        {
            "decision": [
                decision("early", 1, product="ring_tone"),
                decision("late", 1, product="ring_tone", days=3),
                decision("none", 2, role="control"),
                decision("edge", 3, product="ring_tone"),
                decision("named", 4, product="ring_tone"),
                decision("later", 4, product="ring_tone", days=2),
                decision("other", 5, product="ring_tone"),
                decision("back", 6, product="ring_tone"),
                decision("edge", 3, product="ring_tone"),  # the same record twice
            ],
            "order": [
                order(1, 4.5),
                order(2, 29.99, "sms_pack_100"),
                order(2, 30.0, "data_pack_10g"),
                order(3, 7.0),
                order(4, 2.5, decision_id="named"),
                order(5, 1.0, "video_pack"),
                order(6, 1.0),
                order(6, 20.0, action="cancel", margin_micro=-4_400_000),
                order(3, 7.0),  # twice
            ],
            "contact": [
                {"customer_id": 1, "decision_id": "late", "direction": "out", "attempted": True, "reached": False},
                {"customer_id": 1, "decision_id": "late", "direction": "out", "attempted": True, "reached": True},
                {"customer_id": 3, "decision_id": "edge", "direction": "out", "attempted": True, "reached": False},
                {
                    "customer_id": 5,
                    "decision_id": "other",
                    "direction": "out",
                    "attempted": True,
                    "reached": True,
                    "refused": True,
                },
                {
                    "customer_id": 6,
                    "decision_id": "back",
                    "direction": "out",
                    "attempted": True,
                    "reached": True,
                    "result": "interested",
                },
            ],
            "consent": [{"customer_id": 5, "kind": "marketing", "channel": "all", "granted": False, "event_time": at}],
            "complaint": [
                {"customer_id": 6, "complaint_id": "c", "kind": "complaint", "step": "open", "event_time": at}
            ],
        }
    )
    assert len(got) == 8
    converted = {key for key, row in got.items() if row["converted"]}
    assert converted == {"late", "named", "back"}  # last touch; the one named; day 7.0 is outside the window
    assert {key for key, row in got.items() if row["reversed"]} == {"back"}
    assert got["none"]["margin_micro"] == 4_400_000  # the horizon ends before day 30
    assert got["none"]["role"] == "control"
    assert got["none"]["product"] is None
    assert got["edge"]["margin_micro"] == 4_400_000  # beyond the window, within the horizon, counted once
    assert got["back"]["margin_micro"] == 0
    assert got["other"]["ordered"] == 1 << 15  # video_pack, although ring_tone was offered
    assert got["early"]["ordered"] == got["late"]["ordered"] == 1 << 5
    assert (got["late"]["attempted"], got["late"]["reached"]) == (True, True)
    assert (got["edge"]["attempted"], got["edge"]["reached"]) == (True, False)
    assert not got["early"]["attempted"]
    assert {key for key, row in got.items() if row["refused"]} == {"other"}
    assert {key for key, row in got.items() if row["interested"]} == {"back"}
    assert {key for key, row in got.items() if row["opted_out"]} == {"other"}
    assert {key for key, row in got.items() if row["complained"]} == {"back"}
    assert all(row["matured"] for row in got.values())
    assert (got["late"]["product"], got["late"]["channel"]) == (5, 2)


def test_contacts_of_the_days_before_tire(outcome: Callable[..., dict[str, dict[str, Any]]]) -> None:
    def contact(days: float, **more: Any) -> dict[str, Any]:
        date = DAY + dt.timedelta(days=int(days // 1))
        told = {"direction": "out", "attempted": True, "decision_id": None, "data_date": date}
        return {"customer_id": 1, "event_time": MIDNIGHT + dt.timedelta(days=days), **told, **more}

    got = outcome(
        {
            "decision": [decision("first", 1), decision("tenth", 1, days=10), decision("other", 2, days=10)],
            "contact": [
                contact(-17.5),  # the 28th day before the tenth: two to the minus four
                contact(-20.5),
                contact(10.2),
                contact(9.4, direction="in"),
                contact(9.5, attempted=False),
                contact(3.7),
                contact(9.99),
            ],
        }
    )
    recent = {key: row["recent_milli"] for key, row in got.items()}
    assert recent == {"first": 168 + 125, "tenth": 63 + 500 + 906, "other": 0}


def test_open_dates_are_computed_again_and_settled_ones_are_not(
    outcome: Callable[..., dict[str, dict[str, Any]]],
) -> None:
    tables = {"decision": [decision("old", 1, product="ring_tone"), decision("new", 1, product="ring_tone", days=25)]}
    before = outcome(tables, dt.date(2025, 12, 5))
    assert {key: row["matured"] for key, row in before.items()} == {"old": True, "new": False}
    tables["order"] = [order(1, 1.0), order(1, 26.0, "video_pack", arrived_at=ARRIVED)]
    after = outcome(tables, dt.date(2026, 1, 9))
    assert after["old"] == before["old"]
    assert after["new"]["ordered"] == 1 << 15
    assert after["new"]["matured"]


def test_what_arrived_after_the_cut_off_is_not_seen(outcome: Callable[..., dict[str, dict[str, Any]]]) -> None:
    late = dt.datetime(2026, 1, 8, 20, tzinfo=dt.UTC)  # 04:00 in Shanghai
    got = outcome({"decision": [decision("a", 1, product="ring_tone")], "order": [order(1, 1.0, arrived_at=late)]})
    assert not got["a"]["converted"]


def test_how_a_decision_was_drawn_goes_along_and_an_older_release_is_null(
    night: Callable[..., Night], spark: object
) -> None:
    tonight = night(dt.date(2026, 1, 9))
    for table in ("contact", "order", "consent", "complaint"):
        rows(tonight, table, [])
    logged = decision("logged", 1, product="ring_tone") | {"pscore": None, "role": "control"}
    rows(tonight, "decision", [logged, decision("old", 2)])
    own = decision("own", 3) | {
        "run_id": "r",
        "product": 5,
        "channel": 2,
        "pscore": 0.01,
        "marginal": True,
        "arm": "champion",
        "greedy_product": 7,
        "greedy_channel": 1,
        "reason": "explored",
    }
    schema = nullable(arrow_schema(tonight.lake.table("assignment")))
    tonight.lake.replace_arrow(
        "assignment", pa.Table.from_pylist([own], schema=schema), partition={"business_date": DAY}
    )
    run(tonight)
    got = {row["decision_id"]: row for row in tonight.lake.arrow("outcome").to_pylist()}
    names = ("pscore", "marginal", "arm", "greedy_product", "greedy_channel")
    assert [got["own"][name] for name in names] == [0.01, True, "champion", 7, 1]
    assert [got["logged"][name] for name in names] == [None] * 5
    assert [got["old"][name] for name in names] == [0.5, None, None, None, None]


@pytest.mark.parametrize("number", [62, 63, 130])
def test_orders_of_products_beyond_a_word_are_kept(
    outcome: Callable[..., dict[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """What a customer ordered is a set of products of any size."""
    products = Catalogue.products.func  # type: ignore[attr-defined]
    mine = {"video_pack": number}

    def renumber(catalogue: Catalogue) -> tuple[Product, ...]:
        return tuple(p.model_copy(update={"id": mine.get(p.code, p.id)}) for p in products(catalogue))

    monkeypatch.setattr(Catalogue, "products", property(renumber))
    both = [order(1, 1, "video_pack"), order(1, 2), order(2, 1)]
    got = outcome({"decision": [decision("a", 1), decision("b", 2)], "order": both}, dt.date(2026, 3, 9))
    schema = pa.schema([("ordered", pa.int64()), ("ordered_more", pa.list_(pa.int64()))])
    sets = read_set(pa.Table.from_pylist([{k: got[key][k] for k in schema.names} for key in "ab"], schema), "ordered")
    assert has(sets, number).tolist() == [True, False]
    assert has(sets, 5).tolist() == [True, True]  # ring_tone
    assert (got["b"]["ordered_more"] is None) == (number == 62)
