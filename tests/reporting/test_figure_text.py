"""Values are said in their unit; small rates and gaps keep what they say; few people are not told to marketers."""

from __future__ import annotations

import pytest

from conf.catalogue import load_catalogue
from reporting.figure_text import hide_few, say, say_gap
from reporting.kpi import figure


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "yuan", "–"),
        (0.61, "share", "61.0%"),
        (0.0122, "share", "1.2%"),
        (0.0058, "share", "5.8 / 1,000"),
        (0.00031, "share", "3.1 / 10,000"),
        (3.1e-5, "share", "0.003 %"),
        (0.0, "share", "0.0%"),
        (58.2, "per_10000", "58.2 / 10,000"),
        (156378.2, "yuan", "156,378 元"),
        (110.449, "yuan", "110.45 元"),
        (0.0004, "yuan", "0.0004 元"),
        (-1.5, "yuan", "-1.50 元"),
        (0.976, "yuan_per_yuan", "0.98"),
        (4870, "count", "4,870"),
    ],
)
def test_a_value_is_said_in_its_unit(value: float | None, unit: str, text: str) -> None:
    assert say(value, unit) == text


def test_a_gap_is_told_in_words() -> None:
    assert [say_gap(v) for v in (3.1e-5, 8.4e-5, 0.02, 0.0, 1e-9)] == [
        "0.003 %",
        "0.008 %",
        "2.0 %",
        "0 %",
        "0.0000001 %",
    ]


def test_few_people_are_not_told_to_marketers_and_foreign_figures_not_at_all() -> None:
    figures = load_catalogue().figures
    rows = [
        figure("contacts", "channel:ivr_out", 7.0, 1.0),
        figure("contacts", "channel:wechat", 70.0, 1.0),
        figure("reached_rate", "city:sw", 3.0, 400.0),
        figure("cost_per_order_yuan", "city:sw", 9e6, 4.0),
        figure("churn_unchanged", "all", 0.1, 1.0),
        figure("of an older release", "all", 1.0, 1.0),
    ]
    shown = [(row["kpi"], row["value"], row.get("note")) for row in hide_few(rows, figures, "marketer")]
    assert shown == [
        ("contacts", None, "<10"),
        ("contacts", 70.0, None),
        ("reached_rate", None, "<10"),
        ("cost_per_order_yuan", None, "<10"),
    ]
    assert [row["value"] for row in hide_few(rows, figures, "scientist")][:2] == [7.0, 70.0]
    assert len(hide_few(rows, figures, "scientist")) == 5
