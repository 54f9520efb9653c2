"""Figures of contacts count contacts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from conf.catalogue import load_catalogue
from conf.errors import UserError
from reporting.kpi import change_rows, describe, figure, name_slices, plan_figures, ratios, tally, window
from runtime.figures import AssignFigures
from runtime.night import Night

RUN = "2026-01-08-0123456789ab"


@pytest.mark.spark
def test_what_follows_a_contact_is_counted_of_contacts(night: Callable[..., Night], spark) -> None:  # type: ignore[no-untyped-def]
    tonight = night()
    names = "customer_id, role, product, channel, attempted, reached, converted, reversed, opted_out, complained, margin_micro, run_id"
    rows = [
        (1, "exploit", 5, 2, True, True, True, False, False, False, 9_000_000, RUN),
        (2, "exploit", 5, 2, True, False, False, False, True, False, 0, RUN),
        (3, "exploit", None, None, False, False, False, False, True, True, 2_000_000, RUN),
        (4, "control", None, None, False, False, False, False, True, False, 1_000_000, "other"),
    ]
    kinds = ["bigint", "string", "int", "int", *["boolean"] * 6, "bigint", "string"]
    schema = ", ".join(f"{name.strip()} {kind}" for name, kind in zip(names.split(","), kinds, strict=True))
    outcomes = spark.createDataFrame(rows, schema)
    customers = spark.createDataFrame(
        [(n, "gz", "gold") for n in range(1, 5)], "customer_id bigint, city string, grade string"
    )
    slices = name_slices(
        tally(outcomes, customers, tonight.catalogue.channels), tonight.catalogue.products, tonight.catalogue.channels
    )
    figures = tonight.catalogue.figures
    told = {row["kpi"]: row["value"] for row in ratios(slices, figures) if row["slice"] == "all"}
    assert told["reached_rate"] == 0.5
    assert told["conversion_rate"] == 1
    assert told["cost_per_order_yuan"] == pytest.approx(2 * 0.02)  # two attempts by WeChat, one order
    by_run = {row["kpi"]: row["value"] for row in ratios(slices, figures) if row["slice"] == f"run:{RUN}"}
    assert by_run == told  # both contacts are of this run
    assert slices["run:other"]["decisions"] == 1


def test_a_run_record_becomes_figures() -> None:
    rows = plan_figures(AssignFigures.load({"value_yuan": 900.5, "gap": 1e-5, "churn": None}))
    assert [(row["kpi"], row["value"]) for row in rows] == [("predicted_value_yuan", 900.5), ("certified_gap", 1e-5)]


def test_support_is_told_by_channel_and_for_all() -> None:
    support = {
        "sms": {"eligible": 200, "kept": 100, "supported": 50},
        "agent_out": {"eligible": 800, "kept": 0, "supported": 0},
    }
    rows = {(row["kpi"], row["slice"]): row["value"] for row in plan_figures(AssignFigures.load({"support": support}))}
    assert rows == {
        ("support_of_eligible", "all"): 0.05,
        ("support_of_kept", "all"): 0.5,
        ("support_of_eligible", "channel:sms"): 0.25,
        ("support_of_kept", "channel:sms"): 0.5,
        ("support_of_eligible", "channel:agent_out"): 0.0,
    }


def test_the_window_ends_the_day_before() -> None:
    first, last = window(dt.date(2026, 1, 9))
    assert (last - first).days == 119
    assert last == dt.date(2026, 1, 8)


def test_what_is_not_declared_is_not_shown() -> None:
    with pytest.raises(UserError, match="'roy' is not declared") as refused:
        describe([figure("roy", "all", 1.0, 1.0)], load_catalogue().figures)
    assert "did you mean 'roi'" in refused.value.remedy


def test_a_numerator_is_what_was_counted() -> None:
    row = figure("opt_outs_per_10000", "all", 7.0, 2000.0, scale=1e4)
    assert (row["value"], row["numerator"]) == (35.0, 7.0)  # seen: numerator 70,000


def test_losses_of_the_plan_are_figures_of_the_night():
    told = {"at_a_loss": {"share": 459, "learn": 73}, "loss_yuan": {"share": 21.9, "learn": 6.0}}
    rows = {row["kpi"]: row["value"] for row in plan_figures(AssignFigures.load(told))}
    assert rows["contacts_at_a_loss"] == 532
    assert rows["loss_yuan"] == pytest.approx(27.9)


def test_the_change_of_the_predicted_value_is_a_row_a_cause_and_one_in_all():
    parts = {"population": -2_000_000, "eligibility": 0, "prices": 0, "model": 500_000, "limits": 0}
    rows = {row["slice"]: row for row in change_rows(AssignFigures.load({"change_micro": parts}))}
    assert rows["all"]["value"] == -1.5
    assert {name: row["value"] for name, row in rows.items() if name != "all"} == {
        f"cause:{name}": micro / 1e6 for name, micro in parts.items()
    }
    (row,) = change_rows(AssignFigures.load({"change_note": "first night"}))
    assert (row["value"], row["note"]) == (None, "first night")
    assert change_rows(AssignFigures.load({})) == []


def test_the_predicted_value_carries_its_interval():
    told = {"value_yuan": 957.0, "value_low_yuan": 700.0, "value_high_yuan": 1200.0, "gap": 1e-4}
    rows = {row["kpi"]: row for row in plan_figures(AssignFigures.load(told))}
    assert (rows["predicted_value_yuan"]["low"], rows["predicted_value_yuan"]["high"]) == (700.0, 1200.0)
    assert "low" not in rows["certified_gap"]
