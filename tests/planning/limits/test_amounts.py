"""Limits as configuration: amounts from the calendar less what agents have to do anyway, call-backs at lags, conflicts."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from cli.limits import app
from conf.catalogue import Catalogue
from conf.errors import UserError
from conf.offer import Limit, ShiftAmount
from jobs import assign
from planning.instance.run_folder import open_run
from planning.limits.agent_demand import Demand, read_answered_seconds, read_committed_seconds
from planning.limits.amounts import shifts
from planning.limits.declared import DeclaredLimits
from planning.limits.in_force import read_limits
from runtime.lake import arrow_schema, nullable
from runtime.night import Night
from runtime.run_id import run_id

BUSY = [600, 600, 600, 840] * 7  # seconds a day: mean 660, sd 105.83


def calls(night: Night, rows: list[dict[str, object]]) -> None:
    """Write rows of ``contact``."""
    schema = nullable(arrow_schema(night.lake.table("contact")))
    filled = [
        {
            "customer_id": 1,
            "direction": "in",
            "channel": "10086",
            "centre": "gz",
            "schema": "s",
            "feed": "f",
            "data_date": night.date - dt.timedelta(days=1),
            "delivery_id": "d",
            "line": i,
            **row,
        }
        for i, row in enumerate(rows)
    ]
    night.lake.replace_arrow("contact", pa.Table.from_pylist(filled, schema=schema))


def test_calls_of_the_last_four_weeks_are_counted_by_day_in_shanghai(filled: Night) -> None:
    told = filled.cut_off - dt.timedelta(hours=1)
    at = dt.datetime(2026, 1, 8, 15, 59, tzinfo=dt.UTC)  # 23:59 of the 8th in Shanghai
    calls(
        filled,
        [
            {"event_time": at, "arrived_at": told, "seconds": 100},
            {"event_time": at - dt.timedelta(days=27), "arrived_at": told, "seconds": 7},
            {"event_time": at - dt.timedelta(days=28), "arrived_at": told, "seconds": 1000},  # too old
            {"event_time": at + dt.timedelta(minutes=1), "arrived_at": told, "seconds": 1000},  # of the decision date
            {"event_time": at, "arrived_at": filled.cut_off, "seconds": 1000},  # arrived too late
            {"event_time": at, "arrived_at": told, "seconds": 1000, "direction": "out"},
            {"event_time": at, "arrived_at": told, "seconds": 1000, "channel": "12580"},
        ],
    )
    found = read_answered_seconds(filled, ["10086"])
    assert list(found) == [("10086", "gz")]
    assert found["10086", "gz"] == [7] + [0] * 26 + [100]


def amount_of(night: Night, name: str, work: Demand) -> tuple[int, str]:
    found = DeclaredLimits.from_catalogue(night.catalogue).at(1_000_000, shifts(night), night.date, work)
    note = next((text for text in found.notes if text.startswith(name)), "")
    return next(limit.amount for limit in found.limits.limits if limit.name == name), note


def test_an_amount_is_what_is_planned_less_calls_that_come_anyway_less_waves_that_are_out(filled: Night) -> None:
    planned = int(40 * (510 - 30 - 20) * 60 * 0.85)
    assert amount_of(filled, "agents_gz", Demand())[0] == planned
    expected = 872  # 660 + 2 x 105.83, rounded up
    busy = Demand({("10086", "gz"): BUSY})
    assert amount_of(filled, "callbacks_gz_1", busy)[0] == int((planned - expected) * 0.12)
    out = replace(busy, committed={"callbacks_gz_1": 500})
    assert amount_of(filled, "callbacks_gz_1", out)[0] == int((planned - expected) * 0.12) - 500
    assert amount_of(filled, "callbacks_gz_0", out)[0] == int((planned - expected) * 0.12)


def test_waves_that_take_more_than_there_is_leave_nothing_and_are_said(filled: Night) -> None:
    amount, note = amount_of(filled, "callbacks_gz_0", Demand(committed={"callbacks_gz_0": 10**9}))
    assert amount == 0
    assert "earlier waves will take 1000000000 s" in note


@pytest.mark.whole
def test_what_last_nights_messages_will_cause_is_taken_off_the_days_on_which_they_cause_it(decided: Night) -> None:
    """Night D's messages are D+1's commitments: an SMS [2, 1, 1, 0], a WeChat message [1, 1, 0, 0]."""
    plan = decided.lake.arrow("assignment", partition=decided.partition)
    population = open_run(decided.settings, run_id(decided)).table("population")
    centre = dict(zip(population["customer_id"].to_pylist(), population["c_centre"].to_pylist(), strict=True))
    named = sorted(["gz", "sz", "fs", "zh", "st", "zj"])
    sent = [(r["channel"], centre[r["customer_id"]]) for r in plan.to_pylist() if r["channel"] is not None]
    sms, wechat = ((c, named.index("gz") + 1) for c in (1, 2))
    for later, rates in ((1, ((1, 1), (1, 0), (0, 0))), (2, ((1, 0), (0, 0), (0, 0)))):
        night = Night(decided.date + dt.timedelta(days=later), decided.settings, decided.landing)
        found = read_committed_seconds(night, DeclaredLimits.from_catalogue(decided.catalogue).limits, population)
        for lag, (of_sms, of_wechat) in enumerate(rates):
            expected = of_sms * sent.count(sms) + of_wechat * sent.count(wechat)
            assert found.get(f"callbacks_gz_{lag}", 0) == expected
    assert sent.count(sms) + sent.count(wechat) > 0


def test_a_lag_has_its_own_day() -> None:
    amount = ShiftAmount(table="shift", service="10086", centre="gz", lag=2)
    with pytest.raises(ValidationError, match="on the day 1 days later"):
        Limit(name="x", at_most=amount, counts="callback_1")
    assert Limit(name="x", at_most=amount, counts="callback_2").lag == 2


def with_limit(night: Night, monkeypatch: pytest.MonkeyPatch, *limits: Limit) -> None:
    found = Catalogue(night.catalogue.root)
    found.__dict__["limits"] = (*night.catalogue.limits, *limits)  # in the place of what the file says
    monkeypatch.setattr(Night, "catalogue", property(lambda self: found))


@pytest.mark.whole
def test_limits_that_conflict_are_named_before_anything_is_written(
    filled: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor = Limit(name="floor_too_high", at_least=700, where={"channel": "ivr_out"})
    cap = Limit(name="cap_too_low", at_most=600, where={"channel": "ivr_out"})
    with_limit(filled, monkeypatch, floor, cap)
    with pytest.raises(UserError) as told:
        assign.run(filled)
    text = str(told.value)
    assert "floor_too_high" in text
    assert "lower floor_too_high from" in text or "raise" in text
    assert "agents_gz" not in text  # irreducible: nothing that is not part of it
    assert filled.lake.arrow("assignment", partition=filled.partition).num_rows == 0


@pytest.mark.whole
def test_a_limit_that_nobody_is_in_is_a_warning(filled: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    with_limit(filled, monkeypatch, Limit(name="nobody", at_most=5, where={"channel": "ivr_out", "centre": "nowhere"}))
    figures = assign.run(filled)
    assert any("nobody" in text for text in figures.warnings)
    written = read_limits(open_run(filled.settings, run_id(filled)).instance / "limits.yml")
    assert json.dumps([limit.name for limit in written.limits]).count("nobody") == 1


def test_who_is_reached_in_one_part_of_the_day_shares_its_agents_alone(
    filled: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls to those who can only be reached in the late shift stay within it; the whole day's limit holds beside it."""
    late = ShiftAmount(table="shift", service="outbound", centre="gz", shifts=("late",))
    where = {"channel": "agent_out", "centre": "gz", "segment": "low_arpu"}
    found = Catalogue(filled.catalogue.root)
    whole = next(limit for limit in found.limits if limit.name == "agents_gz")
    whole = whole.model_copy(update={"scale_with_customers": False})
    found.__dict__["limits"] = (whole, Limit(name="gz_late", at_most=late, counts="seconds", where=where))
    monkeypatch.setattr(Night, "catalogue", property(lambda self: found))
    table = filled.lake.arrow("shift")
    # 612 s after occupancy: three calls, of exploiters and explorers together
    more = [
        {**row, "shift": "late", "agents": 1, "minutes": 12, "meal_minutes": 0, "training_minutes": 0}
        for row in table.to_pylist()
        if (row["service"], row["centre"]) == ("outbound", "gz")
    ]
    filled.lake.replace_arrow("shift", pa.concat_tables([table, pa.Table.from_pylist(more, schema=table.schema)]))
    arcs = filled.lake.arrow("candidate", partition=filled.partition)
    dear = pc.add(arcs["value_micro"], pc.multiply(pc.cast(pc.equal(arcs["channel"], 0), pa.int64()), 3_000_000))
    arcs = arcs.set_column(arcs.column_names.index("value_micro"), "value_micro", dear)  # calls are worth making
    filled.lake.replace_arrow("candidate", arcs, partition=filled.partition)
    assign.run(filled)
    run = open_run(filled.settings, run_id(filled))
    written = {limit.name: limit for limit in run.whole_limits().limits}
    assert written["gz_late"].amount == int(12 * 60 * 0.85) == 612
    said = json.loads((run.path / "published.json").read_text())
    used = {row["name"]: sum(row["used"].values()) for row in said["limits"]}
    assert used["gz_late"] == 540  # full: more of them would have been called
    assert used["agents_gz"] > 540


@pytest.mark.whole
def test_a_conflict_is_told_by_the_command_with_a_ray_that_proves_it(
    decided: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cpc whatif` with floors that cannot all be met: what it prints is enough to check the proof by hand."""
    monkeypatch.setenv("CPC_HOME", str(decided.settings.home))
    sets = [f"limits.{name}.amount=5000" for name in ("floor_family_data", "floor_msg_5g_plus")]
    told = CliRunner().invoke(app, ["whatif", "--set", sets[0], "--set", sets[1]])
    assert isinstance(told.exception, UserError)
    text = "\n".join(told.exception.lines())
    names = re.search(r"kept together: ([a-z0-9_, ]+);", text).group(1).split(", ")  # type: ignore[union-attr]
    assert 1 <= len(names) <= 2
    assert set(names) <= {"floor_family_data", "floor_msg_5g_plus"}  # irreducible: either floor alone is too much
    assert re.search(rf"lower {names[0]} from 5000 contacts to \d+ contacts, the most that can be kept", text)
    ray = {name: int(re.search(rf"{name} (\d+)[,\s]", text).group(1)) for name in names}  # type: ignore[union-attr]
    run = open_run(decided.settings, run_id(decided))
    arcs = pq.read_table(run.instance / "arcs").to_pylist()
    limits = {limit.name: limit for limit in read_limits(run.instance / "limits.yml").limits}
    best: dict[int, int] = {}
    for arc in arcs:
        mine = [name for name in names if all(arc[key] in values for key, values in limits[name].where.items())]
        best[arc["customer"]] = max(best.get(arc["customer"], 0), sum(ray[name] for name in mine))
    assert -sum(ray[name] * 5000 for name in names) + sum(best.values()) < 0  # a floor's price pays for what meets it
