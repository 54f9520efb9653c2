"""The page of a snapshot shows every column, marks what moved, and lets no text become markup."""

from __future__ import annotations

import json

from features.page import page

NUMBER = {
    "feature": "calls_count_30d",
    "family": "contact_in",
    "customers": 100,
    "missing": 10,
    "mean": 2.0,
    "psi": 0.3,
    "bins": json.dumps({"bounds": [1.0, 2.0], "counts": [50, 30, 10, 10]}),
}
TEXT = {
    "feature": "city",
    "family": "attributes",
    "customers": 100,
    "missing": 0,
    "mean": None,
    "psi": None,
    "bins": json.dumps({"codes": ["<gz>", "…"], "counts": [100, 0, 0]}),
}


def test_every_column_is_drawn_and_what_moved_is_drawn_first():
    html = page("2026-01-09", [TEXT, NUMBER], {"calls_count_30d": [60, 20, 10, 10]}, {})
    assert html.count("<figure") == 3  # calls once among what moved, once in its family
    assert html.index("calls_count_30d") < html.index(">city<")
    assert "class='shift'>PSI 0.300" in html
    assert html.count("class='before'") == 8
    assert "no snapshot before" in html
    assert "missing 10.0%" in html


def test_texts_are_escaped():
    html = page("2026-01-09", [TEXT], {}, {"city": "a 'doc' <b>"})
    assert "<gz>" not in html
    assert "&lt;gz&gt;" in html
    assert "<b>" not in html


def test_bins_of_another_shape_are_not_compared():
    assert "class='before'" not in page("2026-01-09", [NUMBER], {"calls_count_30d": [1, 2]}, {})
