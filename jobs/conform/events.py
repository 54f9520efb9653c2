"""Events of an entity: the interfaces unioned, each row with the customer who held the number at its time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import Observation
from pyspark.sql import functions as sf

from conf.catalogue import Catalogue
from conf.table import Table
from jobs.conform.mapping import arrivals, raw_paths, read_raw, rows_of
from jobs.conform.work import EntityRebuild, EntitySource
from runtime.lake import Lake
from runtime.spark_tuning import few

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Rows a file at most: a date of an entity is cut into so many files, whatever the number of cores.
ROWS_A_FILE = 4_000_000
#: Items that the sketch of faults keeps apart: a fault and a feed each.
_TRACKED = 2048


@dataclass(frozen=True)
class EventCounts:
    """What became of the records of an entity.

    Attributes:
        rows: rows made.
        unmatched: rows left out because nobody held the number then, by feed.
        incomplete: rows left out for want of a time or of a column that must be there, by feed.
    """

    rows: int
    unmatched: Mapping[str, int]
    incomplete: Mapping[str, int]


def union(
    spark: SparkSession, lake: Lake, catalogue: Catalogue, work: EntityRebuild, extra: Sequence[str] = ()
) -> DataFrame | None:
    """Rows of all mappings of an entity over the touched dates with ``arrived_at``; None if no record has landed."""
    table = catalogue.tables[work.entity]
    paths: dict[str, list[str]] = {}
    frames: list[DataFrame] = []
    for source in work.sources:
        name = source.schema.name
        if name not in paths:
            paths[name] = raw_paths(lake, name, work.dates)
        if paths[name]:
            raw = read_raw(spark, lake, source, paths[name])
            frames.append(rows_of(raw, source, table, catalogue, extra))
    if not frames:
        return None
    rows = reduce(lambda left, right: left.union(right), frames)  # all in the order of the entity
    return rows.join(sf.broadcast(arrivals(spark, work.deliveries)), "delivery_id")  # only deliveries in force


def with_customer(rows: DataFrame, subscribers: DataFrame, *, broadcast: bool) -> DataFrame:
    """Rows with ``customer_id``: who held the number when it happened, null where nobody did."""
    owner = subscribers.select("phone_pseudonym", "valid_from", "valid_to", "customer_id")
    if broadcast:
        owner = sf.broadcast(owner)
    match = (
        (sf.col("_phone") == sf.col("phone_pseudonym"))
        & (sf.col("event_time") >= sf.col("valid_from"))
        & (sf.col("valid_to").isNull() | (sf.col("event_time") < sf.col("valid_to")))
    )
    return rows.join(owner, match, "left").drop("phone_pseudonym", "valid_from", "valid_to")


def complete(table: Table) -> str:
    """SQL: every column that must be there is, the customer aside."""
    needed = [c.name for c in table.columns if not c.nullable and c.name != "customer_id"]
    return " and ".join(f"`{name}` is not null" for name in needed) or "true"


def split_writable(rows: DataFrame, table: Table) -> tuple[DataFrame, Observation]:
    """The rows that may be written, and counts taken in the same pass of those that may not.

    Feeds are many: one sketch of (fault, feed) instead of a count each. It is exact as long as there are fewer
    different items than three quarters of ``_TRACKED``; there are two for each feed, and null for rows without fault.
    """
    observation = Observation()
    about_customers = any(column.name == "customer_id" for column in table.columns)
    has_owner = "customer_id is not null" if about_customers else "true"
    # judged once a row: both counts look at it
    judged = rows.withColumn(
        "_fault",
        sf.expr(f"case when not ({complete(table)}) then 'incomplete' when not ({has_owner}) then 'unmatched' end"),
    )
    faults = f"approx_top_k(concat(_fault, ' ', feed), {_TRACKED // 2}, {_TRACKED})"
    counts = [sf.expr("count_if(_fault is null)").alias("rows"), sf.expr(faults).alias("faults")]
    return judged.observe(observation, *counts).where("_fault is null").drop("_fault"), observation


def counts_of(observation: Observation) -> EventCounts:
    """What an observation saw, once its frame has been written."""
    seen = observation.get
    parts: dict[str, dict[str, int]] = {"incomplete": {}, "unmatched": {}}
    for item, count in seen["faults"]:
        if item is not None:  # rows without a fault
            fault, feed = item.split(" ", 1)
            parts[fault][feed] = count
    unmatched, incomplete = (dict(sorted(parts[kind].items())) for kind in ("unmatched", "incomplete"))
    return EventCounts(int(seen["rows"]), unmatched, incomplete)


def laid_out(rows: DataFrame, table: Table, work: EntityRebuild) -> DataFrame:
    """Rows placed as they are written: a few files a date, each in one order whatever the number of cores.

    Few rows are in one partition already (`narrow`).
    """
    files = max(1, -(-work.busiest // ROWS_A_FILE))
    name = "customer_id" if any(c.name == "customer_id" for c in table.columns) else "line"
    placed = rows
    if not few(work.records):
        by_file = [] if files == 1 else [sf.expr(f"pmod({name}, {files})")]
        placed = rows.repartition("data_date", *by_file)
    return placed.sortWithinPartitions("data_date", name, "feed", "delivery_id", "line")


def dates_of_numbers(
    spark: SparkSession, lake: Lake, sources: Sequence[EntitySource], candidates: Sequence[dt.date], changed: DataFrame
) -> set[dt.date]:
    """Data dates among ``candidates`` on which one of the ``changed`` numbers (``_phone``) appears in a record."""
    frames = []
    for source in sources:
        paths = raw_paths(lake, source.schema.name, candidates)
        if source.conform.subject and paths:
            raw = read_raw(spark, lake, source, paths)
            frames.append(raw.select(sf.col(source.conform.subject).alias("_phone"), "data_date"))
    if not frames or not candidates:
        return set()
    rows = reduce(lambda left, right: left.unionByName(right), frames)
    hit = rows.join(sf.broadcast(changed.select("_phone").distinct()), "_phone", "left_semi")
    return {row["data_date"] for row in hit.select("data_date").distinct().collect()}
