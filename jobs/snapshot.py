"""Say what we know of every active customer on the decision date, and of any past date as it was known then.

A row of ``customer_features`` sees events before D 00:00 Shanghai that had arrived by the night's cut-off (04:00):
attributes from ``customer``, windows of 1 to 180 days merged from the daily partials, ratios and trends over them.
A feed that brought nothing is not 0: its windows end where its last good data ends, and a staleness column says so.

*Reads* ``customer``, ``consent``, ``customer_day_<family>``, ``ops_delivery``. *Writes* ``customer_features``,
``feature_profile``. *Cost* grows with customers × days with events within the longest window of each family; several
dates share one pass.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from features.anchor import Anchor, Delivered, anchors, feeds_of
from features.assemble import snapshot
from features.profile import population, refusals
from features.sql import date_literal, literal
from features.window import windows
from jobs.night import Figures, Night

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

READS = ("customer", "consent", "customer_day", "ops_delivery")
WRITES = ("customer_features", "feature_profile")
READS_PREVIOUS = ("feature_profile",)


def run(night: Night) -> Figures:
    """Write the snapshot of tonight."""
    return snapshots(night, [night.date])


def snapshots(night: Night, dates: Sequence[dt.date]) -> Figures:
    """Write the snapshots of ``dates`` in one pass, each as its own night could have seen it."""
    dates = sorted(set(dates))
    ends = family_anchors(night, dates)
    frame = frame_of(night, dates, ends)
    listed = ", ".join(date_literal(date) for date in dates)
    night.lake.replace_spark(
        "customer_features",
        frame.sortWithinPartitions("business_date", "customer_id"),
        where=f"business_date in ({listed})",
    )
    stale = {
        family: ends[family][-1].staleness for family in sorted(ends) if ends[family][-1].staleness not in (0, None)
    }
    return {
        "dates": len(dates),
        "features": len(night.catalogue.features.columns),
        "customers": _rows(night, dates[-1]),
        "families_stale": stale,
        "families_unknown": sorted(family for family in ends if ends[family][-1].through is None),
    }


def frame_of(night: Night, dates: Sequence[dt.date], ends: dict[str, list[Anchor]]) -> DataFrame:
    """The snapshot of ``dates`` as a frame."""
    declared = night.catalogue.features
    families = {
        family.family: windows(night.table(family.table), _anchor_frame(night, ends[family.family]), family)
        for family in declared.families
        if any(end.through for end in ends[family.family])
    }
    people = population(night.table("customer"), dates, declared.attributes)
    return snapshot(people, refusals(night.table("consent"), dates), families, ends, declared)


def family_anchors(night: Night, dates: Iterable[dt.date]) -> dict[str, list[Anchor]]:
    """Where the windows of every family end on each date, from the deliveries as they arrived."""
    ledger = night.lake.arrow("ops_delivery", columns=["feed", "data_date", "arrived_at", "state"])
    delivered = [
        Delivered(row["feed"], row["data_date"], row["arrived_at"])
        for row in ledger.to_pylist()
        if row["state"] in ("accepted", "replaced") and row["arrived_at"] is not None
    ]
    dates = list(dates)
    return {
        family.family: anchors(feeds_of(family, night.catalogue), delivered, dates)
        for family in night.catalogue.features.families
    }


def _anchor_frame(night: Night, ends: Sequence[Anchor]) -> DataFrame:
    rows = ", ".join(
        f"({date_literal(end.as_of)}, {literal(feed)}, {date_literal(day)})"
        for end in ends
        for feed, day in end.feeds.items()
    )
    return night.spark.sql(f"select * from values {rows} as t (as_of, feed, anchor)")


def _rows(night: Night, date: dt.date) -> int:
    return sum(
        pq.read_metadata(path).num_rows for path in night.lake.files("customer_features", {"business_date": date})
    )
