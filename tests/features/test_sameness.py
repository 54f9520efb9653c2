"""Columns that say nothing are found, those that say something are not."""

from __future__ import annotations

import pyarrow as pa

from features.sameness import constant, duplicates

ROWS = pa.table(
    {
        "all_zero": pa.array([0, 0, 0], pa.int64()),
        "all_missing": pa.array([None, None, None], pa.float64()),
        "missing_or_zero": pa.array([0, None, 0], pa.int64()),
        "count": pa.array([1, 0, 2], pa.int64()),
        "same_count": pa.array([1.0, 0.0, 2.0], pa.float64()),
        "text": pa.array(["a", "b", None]),
        "same_text": pa.array(["a", "b", None]),
        "empty_not_missing": pa.array(["a", "b", ""]),
        "joined": pa.array(["ab", "", None]),
    }
)


def test_one_value_for_everyone_says_nothing():
    assert constant(ROWS, ROWS.column_names) == ["all_zero", "all_missing"]


def test_equal_columns_are_one_group_whatever_their_type():
    assert duplicates(ROWS, ROWS.column_names) == [("count", "same_count"), ("text", "same_text")]


def test_minus_zero_is_zero():
    rows = pa.table({"a": pa.array([0.0, 1.0]), "b": pa.array([-0.0, 1.0])})
    assert duplicates(rows, ["a", "b"]) == [("a", "b")]
