"""A small night as the assignment leaves it: 240 customers with plan, limits, funnel, numbers and a verdict."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

import psycopg
import pyarrow as pa
import pytest
from cryptography.fernet import Fernet

from runtime.lake import arrow_schema, nullable
from runtime.night import Night
from serving import embedded

UTC = dt.UTC
CUSTOMERS = 240


def put(night: Night, table: str, rows: list[dict], partition: dict | None = None) -> None:
    """Write rows of a table; what must be there and is not given is 0 or empty."""
    entry = night.lake.table(table)
    schema = nullable(arrow_schema(entry))
    zeros = {c.name: "" if c.type == "string" else 0 for c in entry.columns if c.type in {"string", "bigint", "int"}}
    zeros = {name: zero for name, zero in zeros.items() if not schema_nullable(entry, name)}
    rows = [zeros | row for row in rows]
    night.lake.replace_arrow(table, pa.Table.from_pylist(rows, schema=schema), partition=partition)


def schema_nullable(entry, name: str) -> bool:
    """Whether a column of a table may be absent."""
    return next(column.nullable for column in entry.columns if column.name == name)


def assigned(night: Night, run_id: str, shift: int = 0) -> list[dict]:
    """One row a customer: a tenth control, the rest over products and outbound channels, some with nothing."""
    rows = []
    for customer in range(CUSTOMERS):
        role = "control" if customer % 10 == 0 else "explore" if customer % 10 == 1 else "exploit"
        nothing = role == "control" or customer % 4 == 3
        rows.append(
            {
                "business_date": night.date,
                "run_id": run_id,
                "decision_id": f"{run_id}-{customer}",
                "customer_id": customer,
                "product": None if nothing else (customer * 7 + shift) % 13,
                "channel": None if nothing else customer % 3,
                "value_micro": 0 if nothing else 1_000_000 + customer * 1000,
                "price_micro": 0,
                "role": role,
                "reason": "nothing eligible" if nothing else "best within the limits",
                "pscore": 0.95,
                "marginal": False,
                "eligible_hash": "ab",
            }
        )
    return rows


@pytest.fixture(scope="session")
def store_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One PostgreSQL for all tests: a start costs a second or two."""
    return embedded.start_embedded(tmp_path_factory.mktemp("store"))


@pytest.fixture
def planned(night: Callable[..., Night], store_address: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Night]:
    """``planned()`` is a night with everything that publish reads; ``verdict=None`` leaves the checker out."""
    key = Fernet.generate_key()
    monkeypatch.setenv("CPC_VAULT_KEY", key.decode())
    with psycopg.connect(store_address) as store:
        store.execute("DROP SCHEMA IF EXISTS cpc CASCADE")

    def make(date: dt.date = dt.date(2026, 1, 9), verdict: dict | None = None, state: str = "done") -> Night:
        alone = night(date)
        address = alone.settings.serving.model_copy(update={"url": store_address})
        tonight = Night(date, alone.settings.model_copy(update={"serving": address}), alone.landing)
        assert tonight.settings.home == alone.settings.home
        run_id = f"{date}-feed00c0ffee"
        monkeypatch.setattr("runtime.run_id.run_id", lambda asked: f"{asked.date}-feed00c0ffee")
        where = tonight.partition
        put(tonight, "assignment", assigned(tonight, run_id, shift=date.day), where)
        put(
            tonight,
            "recommendation",
            [
                {
                    "business_date": date,
                    "decision_id": f"{run_id}-{c}",
                    "customer_id": c,
                    "channel": channel,
                    "rank": rank,
                    "product": rank + 3,
                    "value_micro": 900_000 // rank,
                    "valid_until": tonight.cut_off,
                    "slate_probability": 0.5,
                    "p_accept": 0.02 * rank,
                }
                for c in range(CUSTOMERS)
                for channel in (5, 6)
                for rank in (1, 2)
            ]
            + [
                {
                    "business_date": date,
                    "decision_id": f"{run_id}-4",
                    "customer_id": 4,
                    "channel": 1,
                    "rank": 2,
                    "product": 4,
                    "value_micro": 500_000,
                    "valid_until": tonight.cut_off,
                }  # an alternate of an outbound contact
            ],
            where,
        )
        put(
            tonight,
            "limit_price",
            [
                {
                    "business_date": date,
                    "limit": "sms_day",
                    "kind": "at_most",
                    "unit": "contacts",
                    "amount": 60,
                    "used": 60,
                    "price_pico": 420_000_000_000,
                    "price_yuan": 0.42,
                },
                {
                    "business_date": date,
                    "limit": "floor_msg_5g_plus",
                    "kind": "at_least",
                    "unit": "contacts",
                    "amount": 9,
                    "used": 7,
                    "price_pico": -1_500_000_000_000,
                    "price_yuan": -1.5,
                },
                {
                    "business_date": date,
                    "limit": "wechat_day",
                    "kind": "at_most",
                    "unit": "contacts",
                    "amount": 900,
                    "used": 55,
                    "price_pico": 0,
                    "price_yuan": 0.0,
                },
            ],
            where,
        )
        put(
            tonight,
            "funnel",
            [
                {
                    "business_date": date,
                    "position": 0,
                    "rule": "on_sale",
                    "arcs_before": 90_000,
                    "arcs_removed": 4_000,
                    "customers_left": 240,
                },
                {
                    "business_date": date,
                    "position": 1,
                    "rule": "opt_out",
                    "arcs_before": 86_000,
                    "arcs_removed": 9_000,
                    "customers_left": 221,
                },
                {
                    "business_date": date,
                    "position": 2,
                    "rule": "open_fault",
                    "arcs_before": 77_000,
                    "arcs_removed": 0,
                    "customers_left": 221,
                },
            ],
            where,
        )
        pseudonym = [customer.to_bytes(32, "big") for customer in range(CUSTOMERS)]
        opened = dt.datetime(2024, 1, 1, tzinfo=UTC)
        put(
            tonight,
            "subscriber",
            [
                {
                    "phone_pseudonym": pseudonym[c],
                    "key_version": 1,
                    "valid_from": opened,
                    "valid_to": None,
                    "customer_id": c,
                }
                for c in range(CUSTOMERS)
                if c != 13  # customer 13 has given the number back
            ],
        )
        box = Fernet(key)
        put(
            tonight,
            "vault",
            [
                {"phone_pseudonym": pseudonym[c], "key_version": 1, "phone": box.encrypt(f"1000{c:07d}".encode())}
                for c in range(CUSTOMERS)
            ],
        )
        figures = {"assign": {"gap": 3.1e-5, "lift": 0.0712, "method": "newton"}, "prove": verdict or {}}
        jobs = [job for job in figures if job != "prove" or verdict is not None]
        put(
            tonight,
            "ops_run",
            [
                {
                    "run_id": run_id,
                    "business_date": date,
                    "job": job,
                    "state": state if job == "prove" else "done",
                    "figures": json.dumps(figures[job]),
                    "started_at": tonight.cut_off,
                    "seconds": 2.5,
                    "host": "here",
                }
                for job in jobs
            ],
            where,
        )
        deliveries = []
        for i, code in enumerate(sorted(tonight.catalogue.feeds)):
            state_of = ("accepted", "00") if i % 9 else ("refused", "06") if i % 2 else ("accepted", "94")
            if i % 23 == 5:
                continue
            deliveries.append(
                {
                    "delivery_id": f"d{i}",
                    "feed": code,
                    "data_date": date - dt.timedelta(days=1),
                    "hour": -1,
                    "resend": 0,
                    "ordinal": 1,
                    "file": f"f{i}",
                    "bytes": 1000,
                    "control_records": 50,
                    "loaded": 49 + i,
                    "quarantined": 3 if i % 11 == 0 else 0,
                    "code": state_of[1],
                    "state": state_of[0],
                    "reason": "",
                    "arrived_at": tonight.day_start,
                    "received_at": tonight.day_start,
                    "run_id": run_id,
                }
            )
        put(tonight, "ops_delivery", deliveries, {"data_date": date - dt.timedelta(days=1)})
        return tonight

    return make


@pytest.fixture
def said() -> Callable[..., list[dict]]:
    """``said(night, (customer, kind, channel, granted), …)`` writes consent rows in the order given."""

    def write(night: Night, *statements: tuple[int, str, str, bool]) -> None:
        put(
            night,
            "consent",
            [
                {
                    "customer_id": customer,
                    "event_time": night.day_start + dt.timedelta(minutes=minute),
                    "arrived_at": night.day_start,
                    "kind": kind,
                    "channel": channel,
                    "granted": granted,
                    "schema": "consent",
                    "feed": "consent_app",
                    "data_date": night.date,
                    "delivery_id": "c",
                    "line": minute,
                }
                for minute, (customer, kind, channel, granted) in enumerate(statements, start=1)
            ],
        )

    return write
