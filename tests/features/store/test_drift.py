"""Features that move or fall silent from one snapshot to the next are alarms of the night that follows."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from expectations.measure import frame
from expectations.verdict import judge
from features.store.drift import feature_checks
from runtime.lake import arrow_schema, nullable

D = dt.date(2026, 1, 9)


def profile(night, date: dt.date, **features: tuple[int, float | None]) -> None:
    rows = [
        {
            "business_date": date,
            "feature": name,
            "family": "visit",
            "customers": 1000,
            "missing": missing,
            "zeros": 0,
            "bins": "{}",
            "psi": psi,
        }
        for name, (missing, psi) in features.items()
    ]
    schema = nullable(arrow_schema(night.lake.table("feature_profile")))
    night.lake.replace_arrow("feature_profile", pa.Table.from_pylist(rows, schema), partition={"business_date": date})


@pytest.mark.whole
def test_what_moved_and_what_fell_silent(night):
    made = night(D)
    assert feature_checks(made) == []
    profile(made, D - dt.timedelta(days=40), moved=(0, None))
    profile(made, D - dt.timedelta(days=3), steady=(100, None), moved=(0, 5.0), silent=(100, None), gone=(0, None))
    assert feature_checks(made) == []  # one made for training, weeks back, is nothing to be held against
    profile(made, D - dt.timedelta(days=1), steady=(190, 0.2), moved=(0, 0.3), silent=(400, 0.0), new=(0, 0.0))
    profile(made, D, steady=(1000, 9.0))  # tonight's own is judged tomorrow
    judged = judge(frame(feature_checks(made))).checks
    assert set(judged["subject"]) == {"customer_features"}
    assert len(judged) == 6  # two of each column that both have
    assert sorted(judged.loc[~judged["success"], "check"]) == ["PSI moved · 2026-01-08", "missing silent · 2026-01-08"]
    assert set(judged.loc[~judged["success"], "severity"]) == {"warn"}
