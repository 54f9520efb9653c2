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
from jobs.brief import few
from jobs.entities.mapping import arrivals, raw_paths, read_raw, rows_of
from jobs.entities.plan import Source, Work
from jobs.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Rows a file at most: a date of an entity is cut into so many files, whatever the number of cores.
ROWS_A_FILE = 4_000_000


@dataclass(frozen=True)
class Counts:
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
    spark: SparkSession, lake: Lake, catalogue: Catalogue, work: Work, extra: Sequence[str] = ()
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
    held = (
        (sf.col("_phone") == sf.col("phone_pseudonym"))
        & (sf.col("event_time") >= sf.col("valid_from"))
        & (sf.col("valid_to").isNull() | (sf.col("event_time") < sf.col("valid_to")))
    )
    return rows.join(owner, held, "left").drop("phone_pseudonym", "valid_from", "valid_to")


def complete(table: Table) -> str:
    """SQL: every column that must be there is, the customer aside."""
    needed = [c.name for c in table.columns if not c.nullable and c.name != "customer_id"]
    return " and ".join(f"`{name}` is not null" for name in needed) or "true"


def observed(rows: DataFrame, table: Table, feeds: Sequence[str]) -> tuple[DataFrame, Observation]:
    """The rows that may be written, and counts taken in the same pass of those that may not."""
    observation = Observation()
    about_customers = any(column.name == "customer_id" for column in table.columns)
    held = "customer_id is not null" if about_customers else "true"
    # judged once a row: dozens of counts look at one small integer
    judged = rows.withColumn(
        "_fault", sf.expr(f"case when not ({complete(table)}) then 1 when {held} then 0 else 2 end")
    )
    counts = [sf.count_if(sf.expr("_fault = 0")).alias("rows")]
    for feed in feeds:
        counts.append(sf.count_if(sf.expr(f"_fault = 1 and feed = '{feed}'")).alias(f"i:{feed}"))
        if about_customers:
            counts.append(sf.count_if(sf.expr(f"_fault = 2 and feed = '{feed}'")).alias(f"u:{feed}"))
    return judged.observe(observation, *counts).where("_fault = 0").drop("_fault"), observation


def counts_of(observation: Observation) -> Counts:
    """What an observation saw, once its frame has been written."""
    seen = observation.get
    parts = {kind: {k[2:]: v for k, v in sorted(seen.items()) if k.startswith(kind) and v} for kind in ("u:", "i:")}
    return Counts(int(seen.get("rows", 0)), parts["u:"], parts["i:"])


def laid_out(rows: DataFrame, table: Table, work: Work) -> DataFrame:
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
    spark: SparkSession, lake: Lake, sources: Sequence[Source], candidates: Sequence[dt.date], changed: DataFrame
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
