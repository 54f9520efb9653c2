"""What a snapshot's features say of themselves: did any move, or fall silent, against the snapshot before it?

Two checks a column for `ops_quality`, on the last snapshot before this night (its profile is there, nothing is computed
from customers): population stability over the bins of the one before, and how far the share of missing values moved.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from expectations.measure import check
from jobs.night import Night

SUBJECT = "customer_features"
KINDS = ("feature_psi", "feature_missing")
#: PSI that is called a shift, and points by which a share of missing values may move.
SHIFT, SILENCE = 0.25, 0.10
#: Days beyond which two snapshots are no longer one after the other: those made for training lie weeks back.
WEEK = 7


def feature_checks(night: Night) -> list[dict[str, Any]]:
    """Both checks of every column that the last two snapshots have; none where there are not two within a week."""
    columns = ["business_date", "feature", "customers", "missing", "psi"]
    profile = night.lake.arrow("feature_profile", columns=columns)
    past = profile.filter(pc.less(profile["business_date"], pa.scalar(night.date, pa.date32())))
    dates = sorted(pc.unique(past["business_date"]).to_pylist())
    if len(dates) < 2 or (dates[-1] - dates[-2]).days > WEEK:
        return []
    before, last = (
        {row["feature"]: row for row in past.filter(pc.equal(past["business_date"], pa.scalar(date, pa.date32()))).to_pylist()}
        for date in dates[-2:]
    )  # fmt: skip
    rows = []
    for name in sorted(before.keys() & last.keys()):
        then, now = (one[name]["missing"] / max(one[name]["customers"], 1) for one in (before, last))
        said = {"before": dates[-2].isoformat(), "customers": last[name]["customers"]}
        rows.append(
            check(SUBJECT, f"PSI {name} · {dates[-1]}", "feature_psi", last[name]["psi"], None, SHIFT, "warn", **said)
        )
        rows.append(
            check(
                SUBJECT,
                f"missing {name} · {dates[-1]}",
                "feature_missing",
                now,
                then - SILENCE,
                then + SILENCE,
                "warn",
                **said,
            )
        )
    return rows
