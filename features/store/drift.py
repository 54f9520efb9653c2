"""What a snapshot's features say of themselves: did any move, or fall silent, against the snapshot before it?

Two checks a column for `ops_quality`, on the last snapshot before this night (its profile is there, nothing is computed
from customers): population stability over the bins of the one before, and how far the share of missing values moved.
"""

from __future__ import annotations

from typing import Any

from expectations.measure import check
from features.store.profile_page import profile
from features.store.snapshots import SHIFT
from runtime.night import Night

SUBJECT = "customer_features"
KINDS = ("feature_psi", "feature_missing")
#: Points by which a share of missing values may move.
SILENCE = 0.10
#: Days beyond which two snapshots are no longer one after the other: those made for training lie weeks back.
WEEK = 7


def feature_checks(night: Night) -> list[dict[str, Any]]:
    """Both checks of every column that the last two snapshots have; none where there are not two within a week."""
    dates = night.past("feature_profile")
    if len(dates) < 2 or (dates[-1] - dates[-2]).days > WEEK:
        return []
    before, last = ({row["feature"]: row for row in profile(night, date)} for date in dates[-2:])
    rows = []
    for name in sorted(before.keys() & last.keys()):
        then, now = (figures[name]["missing"] / max(figures[name]["customers"], 1) for figures in (before, last))
        details = {"before": dates[-2].isoformat(), "customers": last[name]["customers"]}
        for what, kind, observed, low, high in (
            ("PSI", "feature_psi", last[name]["psi"], None, SHIFT),
            ("missing", "feature_missing", now, then - SILENCE, then + SILENCE),
        ):
            rows.append(check(SUBJECT, f"{what} {name} · {dates[-1]}", kind, observed, low, high, "warn", **details))
    return rows
