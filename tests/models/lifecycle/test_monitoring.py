"""The model held against its own nights: scores that move, orders that do not come, a slice that is promised too much."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from expectations.measure import frame
from expectations.verdict import judge
from jobs import quality
from models.lifecycle import monitoring
from runtime.lake import arrow_schema, nullable
from runtime.night import Night

D = dt.date(2026, 1, 9)
CUSTOMERS = 3000


def met(seed: int = 0, gold: float = 1.0, n: int = 60_000) -> monitoring.Met:
    """Contacts whose orders come as predicted, but for those of gold customers: ``gold`` times as often."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.01, 0.2, n)
    grade = rng.choice(["gold", "standard"], n, p=[0.2, 0.8])
    y = (rng.random(n) < p * np.where(grade == "gold", gold, 1.0)).astype(float)
    arc = rng.choice(["a × sms", "b × sms", "a × call"], n)
    return monitoring.Met(p, y, arc, {"grade": grade}, 28, D)


def alarms(given: monitoring.Met) -> list[str]:
    checks = judge(frame(monitoring.calibration_checks(given))).checks
    return sorted(checks.loc[~checks["success"], "check"])


@pytest.mark.whole
def test_orders_as_predicted_raise_no_alarm_and_a_slice_that_is_promised_too_much_does() -> None:
    assert [alarms(met(seed)) for seed in range(6)] == [[]] * 6
    assert alarms(met(gold=0.5)) == ["response grade gold · 2026-01-09"]
    halved = met()
    fewer = monitoring.Met(halved.p * 2, halved.y, halved.arc, halved.slices, 28, D)
    told = alarms(fewer)
    assert "orders over expected · 2026-01-09" in told
    assert "orders over expected a × call · 2026-01-09" in told


def test_few_orders_prove_nothing() -> None:
    few = met(n=300, gold=0.0)
    rows = monitoring.calibration_checks(few)
    assert {row["check"] for row in rows} == {
        "orders over expected · 2026-01-09",
        "response grade standard · 2026-01-09",
        "calibration slope · 2026-01-09",
    }
    assert rows[-1]["observed"] is None


def fill(night: Night, table: str, columns: dict[str, Any], date: dt.date) -> None:
    schema = nullable(arrow_schema(night.lake.table(table)))
    count = len(next(iter(columns.values())))
    given = columns | {"business_date": [date] * count}
    arrays = [
        pa.array(given[f.name], f.type, from_pandas=True) if f.name in given else pa.nulls(count, f.type)
        for f in schema
    ]
    night.lake.replace_arrow(table, pa.Table.from_arrays(arrays, schema=schema), partition={"business_date": date})


def nights(night: Night, dates: list[dt.date], shift: Callable[[dt.date], float] = lambda date: 0.0) -> None:
    """Nights that scored two channels for everyone, contacted all by one of them, and got what was predicted."""
    for date in dates:
        rng = np.random.default_rng(date.toordinal())
        score = rng.normal(-2.2, 0.6, CUSTOMERS) + shift(date)
        p = 1 / (1 + np.exp(-score))
        who = np.arange(1, CUSTOMERS + 1)
        scored = {
            "customer_id": np.repeat(who, 2),
            "product": np.full(2 * CUSTOMERS, 5),
            "channel": np.tile([1, 2], CUSTOMERS),
            "p_convert": np.repeat(p, 2),
            "value_micro": np.rint(np.repeat(p, 2) * 1e7).astype(int),
            "model_version": ["1"] * (2 * CUSTOMERS),
        }
        fill(night, "candidate", scored, date)
        came = {
            "customer_id": who,
            "decision_id": [f"{date}-{c}" for c in who],
            "run_id": ["r"] * CUSTOMERS,
            "role": ["exploit"] * CUSTOMERS,
            "product": np.full(CUSTOMERS, 5),
            "channel": np.full(CUSTOMERS, 1),
            "pscore": np.ones(CUSTOMERS),
            "margin_micro": np.zeros(CUSTOMERS, int),
            "converted": rng.random(CUSTOMERS) < p,
            "ordered": np.full(CUSTOMERS, 1 << 5),
            "matured": np.full(CUSTOMERS, date <= D - dt.timedelta(days=30)),
        }
        fill(night, "outcome", came, date)
        who_is = {"customer_id": who, "centre": rng.choice(["gz", "sz"], CUSTOMERS)}
        fill(night, "customer_features", who_is, date)


@pytest.mark.whole
def test_quality_writes_what_the_model_did(night: Callable[..., Night], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality.docs, "build", lambda *_: None)
    tonight = night(D)
    assert monitoring.model_checks(tonight) == []  # nothing was scored yet
    days = [D - dt.timedelta(days=k) for k in (1, 2, 3, 10, 31, 33)]
    nights(tonight, days, shift=lambda date: 1.0 if date == D - dt.timedelta(days=1) else 0.0)
    figures = quality.run(tonight)
    channels = sorted(channel.code for channel in tonight.catalogue.channels if channel.id in (1, 2))
    assert figures.model_alarms == [
        f"PSI of {name} {channel} · 2026-01-08" for name in ("p_convert", "value_micro") for channel in channels
    ]
    rows = {
        row["check"]: row
        for row in tonight.lake.arrow("ops_quality").to_pylist()
        if row["subject"] == monitoring.SUBJECT
    }
    # of these nights the conversion window is closed: results were attributed at the earliest thirty days after the 9th
    whole = rows["orders over expected · 2025-12-30"]
    assert whole["success"]
    assert 0.85 < whole["observed"] < 1.15
    assert {"response centre gz · 2025-12-30", "response centre sz · 2025-12-30"} <= set(rows)
    assert rows["calibration slope · 2025-12-30"]["success"]


@pytest.mark.whole
def test_a_new_version_is_not_held_against_the_old_one(night: Callable[..., Night]) -> None:
    tonight = night(D)
    nights(tonight, [D - dt.timedelta(days=k) for k in (2, 3)])
    nights(tonight, [D - dt.timedelta(days=1)], shift=lambda date: 1.0)
    rows = tonight.lake.arrow("candidate", partition={"business_date": D - dt.timedelta(days=1)})
    rows = rows.set_column(
        rows.schema.get_field_index("model_version"), "model_version", pa.array(["2"] * rows.num_rows)
    )
    tonight.lake.replace_arrow("candidate", rows, partition={"business_date": D - dt.timedelta(days=1)})
    checks = [row for row in monitoring.model_checks(tonight) if row["kind"] == "score_psi"]
    assert checks
    assert all(row["observed"] is None for row in checks)
