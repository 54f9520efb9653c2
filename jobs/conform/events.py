"""Events of an entity: the interfaces unioned, each row with the customer who held the number at its time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import Observation, Window
from pyspark.sql import functions as sf

from conf.catalogue import Catalogue
from conf.table import Table
from jobs.conform.mapping import arrivals, raw_paths, read_raw, rows_of
from jobs.conform.work import EntityRebuild, EntitySource
from runtime.lake import Lake
from runtime.spark_tuning import few, narrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Rows a file at most: a date of an entity is cut into so many files, whatever the number of cores.
ROWS_A_FILE = 4_000_000
#: What can be wrong with a row of an entity, worst first.
FAULTS = ("incomplete", "repeated", "unmatched")
#: Items that the sketch of faults keeps apart, at least and at most: a fault and a delivery each.
_TRACKED = (2048, 1 << 19)


@dataclass(frozen=True)
class EventCounts:
    """What became of the records of an entity.

    Attributes:
        rows: rows made.
        faults: rows left out, by delivery, of each of `FAULTS`.
    """

    rows: int = 0
    faults: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def union(
    spark: SparkSession,
    lake: Lake,
    catalogue: Catalogue,
    work: EntityRebuild,
    extra: Sequence[str] = (),
    *,
    marked: bool = False,
) -> DataFrame | None:
    """Rows of all mappings of an entity over the touched dates with ``arrived_at``; None if no record has landed.

    ``marked`` ones have ``_event``, which is the same for the same event told twice (`mark_sql`).
    """
    table = catalogue.tables[work.entity]
    paths: dict[str, list[str]] = {}
    frames: list[DataFrame] = []
    for source in work.sources:
        name = source.schema.name
        if name not in paths:
            paths[name] = raw_paths(lake, name, work.dates)
        if paths[name]:
            raw = read_raw(spark, lake, source, paths[name])
            frames.append(rows_of(raw, source, table, catalogue, extra, marked=marked))
    if not frames:
        return None
    rows = reduce(lambda left, right: left.union(right), frames)  # all in the order of the entity
    return rows.join(sf.broadcast(arrivals(spark, work.deliveries)), "delivery_id")  # only deliveries in force


def may_repeat(lake: Lake, around: EntityRebuild) -> bool:
    """Whether a key of a feed stands twice in the files of these dates; always of many records, where looking costs more.

    The keys alone are read, by Arrow: of few records that is quicker than to plan a search.
    """
    if not few(around.records):
        return True
    wanted = set(around.dates)
    for schema in {source.schema.name: source.schema for source in around.sources}.values():
        by_feed: dict[str, list[pa.Table]] = {}
        for file in lake.live_files(f"raw_{schema.name}") if schema.key else ():
            if file.partition["data_date"] in wanted:
                keys = pq.read_table(file.path, columns=list(schema.key), partitioning=None)
                by_feed.setdefault(file.partition["feed"], []).append(keys)
        for parts in by_feed.values():
            counts = pa.concat_tables(parts).group_by(list(schema.key)).aggregate([([], "count_all")])["count_all"]
            if len(counts) and pc.max(counts).as_py() > 1:
                return True
    return False


def without_repeats(rows: DataFrame, around: DataFrame | None, records: int) -> DataFrame:
    """Rows with ``_repeated``: the same event stands earlier on that data date, or on the one before.

    Args:
        rows: of the touched dates.
        around: the same, and those of each date before; None where nothing repeats.
        records: how many they are at most.
    """
    if around is None:
        return rows.withColumn("_repeated", sf.lit(False))
    order = Window.partitionBy("feed", "_event").orderBy("data_date", "_hour", "delivery_id", "line")
    before = sf.lag("data_date").over(order)
    events = narrow(around.select("feed", "_event", "data_date", "_hour", "delivery_id", "line"), records)
    repeats = events.withColumn("_repeated", sf.datediff("data_date", before) <= 1).where("_repeated")
    named = sf.broadcast(repeats.select("delivery_id", "line", "_event", "_repeated"))
    return rows.join(named, ["delivery_id", "line", "_event"], "left")


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


def split_writable(rows: DataFrame, table: Table, deliveries: int) -> tuple[DataFrame, Observation]:
    """The rows that may be written, and counts taken in the same pass of those that may not.

    Deliveries are many: one sketch of (fault, delivery) instead of a count each. It is exact as long as there are fewer
    different items than three quarters of those tracked; null stands for rows without fault.
    """
    observation = Observation()
    about_customers = any(column.name == "customer_id" for column in table.columns)
    has_owner = "customer_id is not null" if about_customers else "true"
    # judged once a row: both counts look at it
    when = {"incomplete": f"not ({complete(table)})", "repeated": "_repeated", "unmatched": f"not ({has_owner})"}
    fault = f"case {' '.join(f'when {when[name]} then {name!r}' for name in FAULTS)} end"
    judged = rows.withColumn("_fault", sf.expr(fault))
    least, most = _TRACKED
    tracked = min(most, max(least, 1 << (2 * len(FAULTS) * deliveries).bit_length()))
    faults = f"approx_top_k(concat(_fault, ' ', delivery_id), {tracked // 2}, {tracked})"
    counts = [sf.expr("count_if(_fault is null)").alias("rows"), sf.expr(faults).alias("faults")]
    return judged.observe(observation, *counts).where("_fault is null").drop("_fault"), observation


def counts_of(observation: Observation) -> EventCounts:
    """What an observation saw, once its frame has been written."""
    seen = observation.get
    faults: dict[str, dict[str, int]] = {name: {} for name in FAULTS}
    for item, count in seen["faults"]:
        if item is not None:  # rows without a fault
            fault, delivery = item.split(" ", 1)
            faults[fault][delivery] = int(count)
    return EventCounts(int(seen["rows"]), faults)


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
