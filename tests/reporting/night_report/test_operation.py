"""Sections about more than tonight: trends with the same period before, the last campaign, the twelve goals."""

from __future__ import annotations

import datetime as dt
import re

from conf.catalogue import load_catalogue
from reporting.night_report.operation import campaign_section, change_section, goal_section, trend_section
from runtime.figures import AssignFigures
from tests.fixtures.catalogue import frozen


def test_a_trend_sets_a_period_against_the_same_before():
    figures = load_catalogue().figures
    nights = [dt.date(2026, 1, day) for day in range(1, 21)]
    history = [{"business_date": night, "kpi": "contacts", "value": 100.0 + night.day} for night in nights]
    shown = trend_section(history, figures)
    (row,) = shown["rows"]
    assert (shown["period"], shown["nights"], row["last"]) == (7, 20, 120.0)
    assert (row["now"], row["before"], row["change"]) == (117.0, 110.0, "+6.4%")
    assert len(re.search(r'points="([^"]*)"', row["svg"])[1].split()) == 20
    assert trend_section(history[:3], figures)["period"] == 1
    assert trend_section(history[:1], figures)["rows"] == trend_section([], figures)["rows"] == []


def test_a_campaign_is_told_by_channel_so_far():
    channels = frozen().channels
    values = {"campaign_sent": 60.0, "campaign_reached": 40.0, "campaign_refused": 3.0, "campaign_orders": 2.0}
    rows = [
        {"kpi": name, "slice": at, "value": value, "first_date": dt.date(2026, 1, 8)}
        for name, value in values.items()
        for at in ("all", "channel:sms_hall")
    ]
    shown = campaign_section(rows, channels)
    assert shown["date"] == "2026-01-08"
    assert [name for name, _ in shown["rows"]] == ["all 全部", "SMS hall 短厅"]
    assert dict(shown["rows"][1][1]) == values
    assert campaign_section([], channels)["rows"] == []


def test_every_goal_has_a_value_or_says_why_it_has_none():
    figures = load_catalogue().figures
    kpis = [
        {"kpi": "order_handling_hours", "slice": "all", "value": 0.1, "note": None},
        {"kpi": "orders_per_customer", "slice": "policy:ours", "value": None, "note": "not yet to be told"},
        {"kpi": "orders_per_customer", "slice": "policy:logged", "value": 0.2, "note": ""},
        {"kpi": "rule_to_night_days", "slice": "all", "value": None, "note": "no rule names its day"},
    ]
    rows = {row["goal"]: row["figures"] for row in goal_section(kpis, figures)}
    assert len(rows) == 12
    by_name = {figure.name: (value, note) for measured in rows.values() for figure, value, note in measured}
    assert by_name["order_handling_hours"] == (0.1, "")
    assert by_name["orders_per_customer"] == (0.2, "the system before this one 前任系统")  # whose policy
    assert by_name["rule_to_night_days"] == (None, "no rule names its day")
    assert all(note for value, note in by_name.values() if value is None)


def test_the_change_of_the_value_is_told_by_cause_and_adds_up():
    parts = {"population": -3_000_000, "eligibility": 0, "prices": 500_000, "model": 0, "limits": 1_000_000}
    shown = change_section(AssignFigures.load({"value_before_micro": 9_000_000, "change_micro": parts}))
    assert [value for _, value in shown["rows"]] == [-3.0, 0.0, 0.5, 0.0, 1.0]
    assert all(re.search("[\u4e00-\u9fff]", name) for name, _ in shown["rows"])
    assert (shown["before"], shown["now"], shown["total"]) == (9.0, 7.5, -1.5)
    first = change_section(AssignFigures.load({"change_note": "first night"}))
    assert (first["rows"], first["note"]) == ([], "first night")
