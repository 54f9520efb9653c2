"""Since when control is renewed by twelfths is handed on from night to night; a home that does not know it is upgraded."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from planning.plan.renewal import find_last_yearly
from runtime.lake import arrow_schema, nullable
from runtime.night import Night

LAST = dt.date(2026, 1, 9)
DAY = dt.timedelta(days=1)


def record(night: Night, *runs: tuple[dt.date, str, dict[str, Any]]) -> None:
    """Runs of `assign`: date, state, figures."""
    rows = [
        {
            "run_id": f"r{n}",
            "business_date": date,
            "job": "assign",
            "state": state,
            "figures": json.dumps(figures),
            "started_at": dt.datetime(2026, 2, 1, n, tzinfo=dt.UTC),
            "seconds": 1.0,
        }
        for n, (date, state, figures) in enumerate(runs)
    ]
    schema = nullable(arrow_schema(night.lake.table("ops_run")))
    night.lake.replace_arrow("ops_run", pa.Table.from_pylist(rows, schema=schema))


def test_a_new_home_never_drew_by_the_year(night: Callable[..., Night]) -> None:
    assert find_last_yearly(night()) is None
    record(night(), (LAST - DAY, "done", {"control_yearly_until": ""}))
    assert find_last_yearly(night()) is None


def test_the_last_night_of_the_release_before_is_handed_on(night: Callable[..., Night]) -> None:
    tonight = night()
    record(tonight, (LAST - 2 * DAY, "done", {}), (LAST - DAY, "done", {"gap": 0.1}), (LAST, "failed", {"error": "x"}))
    assert find_last_yearly(tonight) == LAST - DAY
    handed_on = {"control_yearly_until": str(LAST - DAY)}
    record(tonight, (LAST - DAY, "done", {}), (LAST, "degraded", handed_on), (LAST + DAY, "done", handed_on))
    for date in (LAST, LAST + DAY, LAST + 40 * DAY):
        assert find_last_yearly(night(date)) == LAST - DAY


def test_a_night_that_the_release_before_decided_keeps_its_own_control(night: Callable[..., Night]) -> None:
    handed_on = {"control_yearly_until": str(LAST)}
    record(night(), (LAST - DAY, "done", {}), (LAST, "done", {}), (LAST + DAY, "done", handed_on))
    assert find_last_yearly(night(LAST)) == LAST  # decided again after the upgrade
    assert find_last_yearly(night(LAST - DAY)) == LAST - DAY
    assert find_last_yearly(night(LAST + 2 * DAY)) == LAST
