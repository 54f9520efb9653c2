"""Weekly snapshots for past decisions that have none: what training joins outcomes to.

In steady state the nightly snapshots are there already; this is for an initial load.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pyarrow.compute as pc

from runtime.night import Night

WEEK = dt.timedelta(days=7)


def weekly(first: dt.date, last: dt.date) -> list[dt.date]:
    """Dates a week apart from ``first`` on, none after ``last``."""
    return [first + n * WEEK for n in range((last - first) // WEEK + 1)] if last >= first else []


def missing_snapshots(night: Night) -> list[dt.date]:
    """The weekly dates of the logged decisions for which no snapshot has been written."""
    dates = night.lake.arrow("decision", columns=["business_date"])["business_date"]
    bounds = pc.min_max(dates).as_py()
    if bounds["min"] is None:
        return []
    have = set(night.lake.arrow("customer_features", columns=["business_date"])["business_date"].unique().to_pylist())
    return [date for date in weekly(bounds["min"], bounds["max"]) if date not in have]


def snapshot_dates(night: Night, dates: Sequence[dt.date]) -> None:
    """Build the snapshots of ``dates`` in one pass, each as it was known on its date."""
    from features.store.snapshots import snapshots

    snapshots(night, list(dates))
