"""The features of one family from 90 days of events: ours, DuckDB and Polars, from the same Parquet, in one run.

Ours is the night's own code: daily partials of every night (`jobs.partials.build`), then the snapshot
(`features.store.snapshots.SnapshotTask`), each with its files written and published. The peers read the events once, aggregate every
window from scratch and write one Parquet file. All see the same 35 features; the values are compared before a figure
is told. ``day`` is what a night costs when 89 nights of partials are there already.
"""

from __future__ import annotations

import datetime as dt
import resource
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.result import Result
from conf.dates import cut_off, start_of_day
from conf.feature import Family, Feature
from conf.featureset import FeatureSet
from conf.partial import BUCKET_BITS
from conf.settings import load_settings
from features.anchor import Anchor
from features.store import snapshots
from jobs import partials
from runtime import spark_tables
from runtime.lake import arrow_schema, nullable
from runtime.night import Night
from runtime.parquet_files import WRITTEN, read_written, write_file

SIZES = ("20k", "250k", "1m", "4m")
_CUSTOMERS = {"20k": 20_000, "250k": 250_000, "1m": 1_000_000, "4m": 4_000_000}
_EVENTS_A_CUSTOMER, DAYS = 20, 90
AS_OF = dt.date(2026, 1, 9)
#: Aggregates that all three can say in their own words.
_SHARED = ("sum", "count", "mean", "min", "max", "recency", "distinct")
_ACTIONS = ("visit", "click", "search", "query", "exposure", "answer", "order_step", "login")
_CHANNELS = ("website", "wap", "wechat", "weibo", "sms_hall", "ivr", "app")


def family_of(night: Night) -> Family:
    """The declared family ``visit`` with the aggregates that peers have too, over windows of up to 90 days."""
    declared = night.catalogue.features.family("visit")
    inputs = []
    for source in declared.inputs:
        kept = {a: tuple(w for w in ws if w <= DAYS) for a, ws in source.features.items() if a in _SHARED}
        if kept := {aggregate: windows for aggregate, windows in kept.items() if windows}:
            inputs.append(source.model_copy(update={"features": kept, "codes": ()}))
    said = declared.model_dump() | {"inputs": [source.model_dump() for source in inputs], "derived": ()}
    return Family.model_validate(said)  # a copy would keep the features that the declared family has cached


def make_events(night: Night, customers: int) -> int:
    """Write ``visit``: 90 data dates, each delivered by the cut-off of its night. Returns the number of events."""
    rng = np.random.default_rng(20260109)
    a_day = customers * _EVENTS_A_CUSTOMER // DAYS
    schema = staging_schema(night)
    files = []
    for back in range(DAYS, 0, -1):
        date = AS_OF - dt.timedelta(days=back)
        first = np.datetime64(start_of_day(date).replace(tzinfo=None), "us")
        # the square of a uniform: some customers act often, most seldom
        customer = np.sort((rng.random(a_day) ** 2 * customers).astype(np.int64))
        times = first + rng.integers(0, 86_400_000_000, a_day).astype("timedelta64[us]")
        action = rng.integers(0, len(_ACTIONS), a_day)
        product = np.char.add("product_", rng.integers(0, 30, a_day).astype(str))
        known = {
            "customer_id": pa.array(customer),
            "event_time": pa.array(times, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
            "arrived_at": pa.repeat(pa.scalar(cut_off(date + dt.timedelta(days=1)) - dt.timedelta(hours=1)), a_day),
            "channel": pa.array(_CHANNELS).take(pa.array(rng.integers(0, len(_CHANNELS), a_day))),
            "action": pa.array(_ACTIONS).take(pa.array(action)),
            "product": pa.array(product, mask=action > 2),
            "topic": pa.array(("data", "plan", "bill")).take(pa.array(rng.integers(0, 3, a_day))),
            "seconds": pa.array(rng.integers(0, 600, a_day)),
            "pages": pa.array(rng.integers(0, 12, a_day)),
            "schema": pa.repeat("website_page", a_day),
            "feed": pa.repeat("page_feed", a_day),
            "delivery_id": pa.repeat(f"d{date}", a_day),
            "line": pa.array(np.arange(a_day)),
        }
        columns = [
            known[f.name].cast(f.type) if f.name in known else pa.nulls(a_day, f.type)
            for f in schema
            if f.name != "data_date"
        ]
        rows = pa.Table.from_arrays(columns, [f.name for f in schema if f.name != "data_date"])
        files.append(write_file(night.lake.path("visit"), rows, {"data_date": date}))
    night.lake.delta("visit")
    night.lake.commit_files("visit", files)
    return a_day * DAYS


def staging_schema(night: Night) -> pa.Schema:
    """The Arrow schema of ``visit``."""
    return nullable(arrow_schema(night.lake.table("visit")))


def build_partials(night: Night, family: Family, nights: list[dt.date]) -> int:
    """The daily partials of the nights, as the job makes them; returns their rows."""
    before = {date - dt.timedelta(days=1) for date in nights}
    return partials.build(night, family, nights, spark_tables.read_held(night.lake, "visit", "data_date", before))


def build_snapshot(night: Night, family: Family, customers: int) -> list[str]:
    """The snapshot of `AS_OF`, as the job makes it; returns the files."""
    last = AS_OF - dt.timedelta(days=1)
    declared = FeatureSet((family,), ())
    ends = {family.family: [Anchor(AS_OF, last, {"page_feed": last})]}
    task = snapshots.SnapshotTask(
        declared, ends, snapshots.partial_files(night, [AS_OF], ends, declared), night.lake.path("customer_features")
    )
    buckets = ((customers - 1) >> BUCKET_BITS) + 1
    written = (
        night.spark.range(customers)
        .selectExpr(
            "id as customer_id",
            "false as refused",
            f"date'{AS_OF}' as as_of",
            f"cast(shiftright(id, {BUCKET_BITS}) as int) as bucket",
        )
        .repartitionById(buckets, "bucket")
        .mapInArrow(task, WRITTEN)
        .collect()
    )
    return [str(night.lake.path("customer_features") / file.path) for file in read_written(written)]


def age_sql(window: int) -> str:
    """Inside a window: the instant it begins at, in SQL."""
    first = start_of_day(AS_OF - dt.timedelta(days=window)).strftime("%Y-%m-%d %H:%M:%S")
    return f"event_time >= timestamptz '{first}+00'"


def duckdb_sql(family: Family, files: str, out: Path) -> str:
    """All features in one pass."""
    columns = ", ".join(f"{_duckdb(feature)} as {feature.name}" for feature in family.features)
    end = start_of_day(AS_OF).strftime("%Y-%m-%d %H:%M:%S")
    return (
        f"copy (select customer_id, {columns} from read_parquet('{files}', hive_partitioning = true) "
        f"where event_time < timestamptz '{end}+00' group by customer_id) to '{out}' (format parquet)"
    )


def _duckdb(feature: Feature) -> str:
    value, inside = feature.input.value, f"({feature.input.where}) and {age_sql(feature.window)}"
    scale = feature.input.scale
    if feature.aggregate == "count":
        return f"count({value}) filter (where {inside})"
    if feature.aggregate == "distinct":
        return f"count(distinct {value}) filter (where {inside})"
    if feature.aggregate == "recency":
        day = "cast(event_time + interval 8 hour as date)"
        return f"date '{AS_OF}' - max(case when {value} is not null then {day} end) filter (where {inside})"
    if feature.aggregate == "sum":
        return f"coalesce(sum({value}) filter (where {inside}), 0) / {scale}"
    name = {"mean": "avg", "min": "min", "max": "max"}[feature.aggregate]
    return f"{name}({value}) filter (where {inside}) / {scale}"


def polars_frame(family: Family, files: str) -> pl.LazyFrame:
    """All features in one pass."""
    events = pl.scan_parquet(files, hive_partitioning=False).filter(pl.col("event_time") < start_of_day(AS_OF))
    return events.group_by("customer_id").agg(_polars(feature).alias(feature.name) for feature in family.features)


def _polars(feature: Feature) -> pl.Expr:
    first = start_of_day(AS_OF - dt.timedelta(days=feature.window))
    inside = pl.sql_expr(feature.input.where) & (pl.col("event_time") >= first)
    value = pl.sql_expr(feature.input.value)
    if feature.aggregate == "count":
        return inside.sum() if feature.input.value == "1" else value.filter(inside).count()
    if feature.aggregate == "distinct":
        return value.filter(inside).drop_nulls().n_unique()
    if feature.aggregate == "recency":
        day = (pl.col("event_time").filter(inside).max() + pl.duration(hours=8)).dt.date()
        return (pl.lit(AS_OF) - day).dt.total_days()
    chosen = value.filter(inside)
    scaled = {"sum": chosen.sum, "mean": chosen.mean, "min": chosen.min, "max": chosen.max}[feature.aggregate]()
    return scaled / feature.input.scale if feature.input.scale != 1 else scaled


def differing(family: Family, ours: pa.Table, theirs: pa.Table) -> list[str]:
    """Features of which the values differ for a customer with events."""
    ours = ours.filter(pc.is_in(ours["customer_id"], value_set=theirs["customer_id"].combine_chunks()))
    ours, theirs = ours.sort_by("customer_id"), theirs.sort_by("customer_id")
    different = []
    for feature in family.features:
        left, right = (t[feature.name].cast(pa.float64()).to_numpy() for t in (ours, theirs))
        if left.size != right.size or not np.allclose(left, right, rtol=1e-12, equal_nan=True):
            different.append(feature.name)
    return different


def run(size: str) -> Result:
    """One size, everybody once."""
    customers = _CUSTOMERS[size]
    with tempfile.TemporaryDirectory() as home:
        settings = load_settings().model_copy(update={"home": Path(home)})
        night = Night(AS_OF, settings)
        family = family_of(night)
        events = make_events(night, customers)
        nights = [AS_OF - dt.timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
        rows: list[dict[str, Any]] = []

        def timed(who: str, of: str, work: Any) -> Any:
            started = time.perf_counter()
            made = work()
            rows.append({"who": who, "version": of, "seconds": time.perf_counter() - started})
            return made

        night.spark.range(1).count()  # the session is there when the night comes to features
        spark = version("pyspark")
        kept = timed("ours, 89 nights of partials", spark, lambda: build_partials(night, family, nights[:-1]))
        kept += timed("ours, tonight's partials", spark, lambda: build_partials(night, family, nights[-1:]))
        ours = timed("ours, snapshot", spark, lambda: build_snapshot(night, family, customers))
        files = f"{night.lake.path('visit')}/*/*.parquet"
        out = Path(home) / "duckdb.parquet"
        connection = duckdb.connect(config={"threads": 2})
        connection.execute("set TimeZone = 'UTC'")
        timed("DuckDB, full", version("duckdb"), lambda: connection.execute(duckdb_sql(family, files, out)))
        polars_out = Path(home) / "polars.parquet"
        timed("Polars, full", version("polars"), lambda: polars_frame(family, files).sink_parquet(polars_out))
        mine = pa.concat_tables(pq.ParquetFile(path).read() for path in ours)
        wrong = {
            name: differing(family, mine, pq.read_table(path))
            for name, path in (("DuckDB", out), ("Polars", polars_out))
        }
    if any(wrong.values()):
        raise ValueError(f"the contestants disagree: {wrong}")
    seconds = [row["seconds"] for row in rows]
    full, day, peer = sum(seconds[:3]), seconds[1] + seconds[2], min(seconds[3:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return Result(
        rows,
        {
            "full build to the faster peer": full / peer,
            "incremental day to the full build": day / full,
            "incremental day to the faster peer": day / peer,
        },
        (
            f"{customers:,} customers, {events:,} events, {len(family.features)} features, {kept:,} partial rows",
            f"values equal DuckDB's and Polars' for every customer; peak of this process and its largest child: {peak / 2**20:.1f} GiB",
        ),
    )
