"""The SQL of one mapping: raw records of a schema as rows of an entity, before their customer is known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import functions as sf

from conf.catalogue import Catalogue, raw_table
from conf.documents import read_yaml
from conf.errors import MendableError
from conf.table import Table
from jobs.entities.plan import Delivery, Source
from jobs.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

#: Columns of an entity that the job fills itself.
FILLED = (
    "customer_id", "event_time", "arrived_at", "schema", "feed", "data_date", "delivery_id", "line", "valid_from",
    "valid_to",
)  # fmt: skip
SHANGHAI_MIDNIGHT = "to_utc_timestamp(cast({0} as timestamp), 'Asia/Shanghai')"


def raw_paths(lake: Lake, schema: str, dates: Collection[dt.date]) -> list[str]:
    """Live Parquet files of ``raw_<schema>`` of some data dates, in name order: found without a Spark job."""
    name = f"raw_{schema}"
    if not lake.exists(name):
        return []
    actions = pa.table(lake.delta(name).get_add_actions(flatten=True))
    wanted = pc.is_in(actions["partition.data_date"].cast(pa.date32()), value_set=pa.array(sorted(dates), pa.date32()))
    root = lake.path(name)
    return sorted(str(root / path) for path in actions.filter(wanted)["path"].to_pylist())


def read_raw(spark: SparkSession, lake: Lake, source: Source, paths: Sequence[str]) -> DataFrame:
    """Raw records of a schema from files named by the driver: no listing, no log to read."""
    table = raw_table(source.schema)
    ddl = ", ".join(f"`{column.name}` {column.type}" for column in table.columns)
    reader = spark.read.schema(ddl).option("basePath", str(lake.path(table.name)))
    return reader.parquet(*paths)


def rows_of(raw: DataFrame, source: Source, table: Table, catalogue: Catalogue, extra: Sequence[str] = ()) -> DataFrame:
    """Records → rows of the entity with ``_phone`` in the place of the customer.

    Args:
        raw: records of the schema.
        source: the mapping.
        table: the entity.
        catalogue: where the schema is written, for messages.
        extra: raw columns to carry along (as ``_<name>``).

    Raises:
        MendableError: an expression that Spark does not understand; names file, line and column.
    """
    conform = source.conform
    names = {column.name for column in table.columns}
    phone = sf.col(conform.subject) if conform.subject else sf.lit(None).cast("binary")
    try:
        if conform.where != "true":
            raw = raw.where(conform.where)
        event_time = typed(raw, conform.event_time, "timestamp")
        columns = [phone.alias("_phone"), event_time.alias("event_time")]
        for column in table.columns:
            if column.name in FILLED:
                continue
            said = conform.columns.get(column.name)
            value = sf.lit(None).cast(column.type) if said is None else typed(raw, said, column.type)
            columns.append(value.alias(column.name))
        columns += [sf.col(name) for name in ("feed", "data_date", "delivery_id", "line")]
        if "schema" in names:
            columns.append(sf.lit(source.schema.name).alias("schema"))
        return raw.select(*columns, *(sf.col(name).alias(f"_{name}") for name in extra))
    except (AnalysisException, ParseException) as error:
        raise _misread(raw, source, catalogue, error) from error


def typed(frame: DataFrame, expression: str, ddl: str) -> Column:
    """An expression as a value of type ``ddl``; a date read as a time is its midnight in Shanghai."""
    if ddl == "timestamp" and frame.select(sf.expr(expression)).schema[0].dataType.typeName() == "date":
        return sf.expr(SHANGHAI_MIDNIGHT.format(f"({expression})"))
    return sf.expr(f"try_cast(({expression}) as {ddl})")


def arrivals(spark: SparkSession, deliveries: Sequence[Delivery]) -> DataFrame:
    """``delivery_id, arrived_at`` of the deliveries: a small frame to broadcast."""
    rows = pa.table(
        {
            "delivery_id": pa.array([d.delivery_id for d in deliveries], pa.string()),
            "arrived_at": pa.array([d.arrived_at for d in deliveries], pa.timestamp("us", tz="UTC")),
        }
    )
    return spark.createDataFrame(rows)


def schema_file(catalogue: Catalogue, name: str) -> Path | None:
    """Where a schema is written."""
    return next(iter(sorted((catalogue.root / "schemas").rglob(f"{name}.yml"))), None)


def _misread(raw: DataFrame, source: Source, catalogue: Catalogue, error: Exception) -> MendableError:
    conform = source.conform
    said: dict[tuple[str, ...], str] = {("event_time",): conform.event_time, ("where",): conform.where}
    said |= {("columns", name): expression for name, expression in conform.columns.items()}
    path = schema_file(catalogue, source.schema.name)
    for loc, expression in said.items():
        try:
            raw.select(sf.expr(expression))
        except (AnalysisException, ParseException) as fault:
            where = f"schema {source.schema.name}"
            if path:
                where = read_yaml(path).where(("conform", source.position, *loc))
            return MendableError(
                f"conform to {conform.entity}: {'.'.join(loc)} is no SQL over the schema's fields: "
                f"{str(fault).splitlines()[0]}",
                where=where,
                remedy=f"the fields are: {', '.join(field.name for field in source.schema.fields)}",
            )
    return MendableError(str(error).splitlines()[0], where=f"schema {source.schema.name}")
