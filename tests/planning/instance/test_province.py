"""The whole way of a province, from generated Parquet to a checked plan, in memory that does not grow with its arcs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.assignment_speed import province


@pytest.mark.whole
def test_from_parquet_to_a_checked_plan(tmp_path: Path) -> None:
    found = province(70_000, 1e-3, tmp_path)
    row = {row["who"]: row for row in found.rows}
    assert row["certify"]["gap"] == row["solve"]["gap"] <= 1e-3
    assert row["plain pass"]["bytes"] <= 46 * 70_000
    assert [p.name for p in tmp_path.iterdir()] == ["cpc-assignment-0.07m"]  # neither plan nor compact form is left


@pytest.mark.slow
def test_three_million_customers_to_1e_6(tmp_path: Path) -> None:
    found = province(3_000_000, 1e-6, tmp_path)
    row = {row["who"]: row for row in found.rows}
    assert row["certify"]["gap"] <= 1e-6
    assert row["solve"]["full_passes"] <= 10
    assert found.ratio["CPU of the solve / plain pass"] <= 100
