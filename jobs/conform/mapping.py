"""The SQL of one mapping: raw records of a schema as rows of an entity, before their customer is known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.errors import AnalysisException, ParseException

from conf.catalogue import Catalogue, raw_table
from conf.documents import read_yaml
from conf.errors import UserError, raise_all
from conf.references import FILLED, schema_path
from conf.table import Table
from features.sql import literal
from jobs.conform.work import EntitySource, KnownDelivery
from runtime import spark_tables
from runtime.clauses import Clause, columns_of, misunderstood, reason_of
from runtime.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SHANGHAI_MIDNIGHT = "to_utc_timestamp(cast({0} as timestamp), 'Asia/Shanghai')"


def raw_paths(lake: Lake, schema: str, dates: Collection[dt.date]) -> list[str]:
    """Live Parquet files of ``raw_<schema>`` of some data dates, in name order: found without a Spark job."""
    return list(spark_tables.read_held(lake, f"raw_{schema}", "data_date", dates).files)


def read_raw(spark: SparkSession, lake: Lake, source: EntitySource, paths: Sequence[str]) -> DataFrame:
    """Raw records of a schema from files named by the driver."""
    return spark_tables.read(spark, lake, raw_table(source.schema).name, paths)


def rows_of(
    raw: DataFrame,
    source: EntitySource,
    table: Table,
    catalogue: Catalogue,
    extra: Sequence[str] = (),
    *,
    marked: bool = False,
) -> DataFrame:
    """Records → rows of the entity with ``_phone`` in the place of the customer.

    Args:
        raw: records of the schema.
        source: the mapping.
        table: the entity.
        catalogue: where the schema is written, for messages.
        extra: raw columns to carry along (as ``_<name>``).
        marked: with ``_hour`` and ``_event``, the mark of the event that a record tells.

    Raises:
        UserError: an expression that Spark does not understand; names file, line and column.
    """
    conform = source.conform
    by_column = {column.name: conform.columns.get(column.name) for column in table.columns if column.name not in FILLED}
    types = {column.name: column.type for column in table.columns} | {"event_time": "timestamp"}
    expressions = {"event_time": conform.event_time} | {name: sql for name, sql in by_column.items() if sql is not None}
    try:
        if conform.where != "true":
            raw = raw.where(conform.where)
        days = dates_among(raw, [sql for name, sql in expressions.items() if types[name] == "timestamp"])
        values = {
            name: value_sql(sql, types[name], is_date=types[name] == "timestamp" and sql in days)
            for name, sql in expressions.items()
        }
        columns = [f"`{conform.subject}` as _phone" if conform.subject else "cast(null as binary) as _phone"]
        columns.append(f"{values['event_time']} as event_time")
        columns += [f"{values.get(name, f'cast(null as {types[name]})')} as `{name}`" for name in by_column]
        columns += ["feed", "data_date", "delivery_id", "line"]
        if "schema" in types:
            columns.append(f"{literal(source.schema.name)} as schema")
        if marked:
            parts = [f"`{name}`" for name in source.schema.key] + ([f"`{conform.subject}`"] if conform.subject else [])
            columns += ["hour as _hour", f"{mark_sql(source, [*parts, *values.values()])} as _event"]
        return raw.selectExpr(*columns, *(f"`{name}` as `_{name}`" for name in extra))
    except (AnalysisException, ParseException) as error:
        raise_all(misunderstood(raw, list(clauses_of(catalogue, source, table))))
        raise UserError(reason_of(error), where=f"schema {source.schema.name}") from error


def mark_sql(source: EntitySource, parts: Sequence[str]) -> str:
    """SQL: a hash of the event's key and of all that it becomes, the same for a record that is sent again.

    64 bits: among the 10⁹ records of a feed's two days, two that differ agree with a chance of some 3 %.

    Args:
        source: the mapping; a schema without a key tells no event twice: its records are all different ones.
        parts: expressions of key, number and columns.
    """
    if not source.schema.key:
        return "xxhash64(delivery_id, file, line)"
    hashed = ", ".join(f"{sql}, isnull({sql})" for sql in parts)
    return f"xxhash64({source.position}, {hashed})"


def dates_among(frame: DataFrame, expressions: Sequence[str]) -> set[str]:
    """Those of the expressions that give a date: read as a time, it is its midnight in Shanghai."""
    kinds = dict(frame.dtypes)
    unknown = [sql for sql in expressions if sql not in kinds]
    if unknown:  # one analysis for all of a mapping: each costs the driver as much as a small task
        kinds |= dict(zip(unknown, (kind for _, kind in frame.selectExpr(*unknown).dtypes), strict=True))
    return {sql for sql in expressions if kinds[sql] == "date"}


def value_sql(expression: str, ddl: str, *, is_date: bool) -> str:
    """An expression as a value of type ``ddl``."""
    if is_date:
        return SHANGHAI_MIDNIGHT.format(f"({expression})")
    return f"try_cast(({expression}) as {ddl})"


def arrivals(spark: SparkSession, deliveries: Sequence[KnownDelivery]) -> DataFrame:
    """``delivery_id, arrived_at`` of the deliveries: a small frame to broadcast."""
    rows = pa.table(
        {
            "delivery_id": pa.array([d.delivery_id for d in deliveries], pa.string()),
            "arrived_at": pa.array([d.arrived_at for d in deliveries], pa.timestamp("us", tz="UTC")),
        }
    )
    return spark.createDataFrame(rows)


def clauses_of(catalogue: Catalogue, source: EntitySource, table: Table) -> Iterator[Clause]:
    """What a mapping says, each expression by itself."""
    conform, over = source.conform, columns_of(raw_table(source.schema).columns)
    types = {column.name: column.type for column in table.columns} | {"event_time": "timestamp"}
    path = schema_path(catalogue.root, source.schema.name)
    place = read_yaml(path).where if path else lambda _: f"schema {source.schema.name}"
    remedy = f"it is Spark SQL over the fields: {', '.join(field.name for field in source.schema.fields)}"
    expressions: dict[tuple[str, ...], str] = {("event_time",): conform.event_time}
    expressions |= {("columns", name): sql for name, sql in conform.columns.items()}
    for loc, sql in expressions.items():
        where = place(("conform", source.position, *loc))
        value = value_sql(sql, types[loc[-1]], is_date=False)
        yield Clause(over, value, f"conform to {conform.entity}: {'.'.join(loc)}", where, remedy)
    if conform.where != "true":
        where = place(("conform", source.position, "where"))
        yield Clause(over, conform.where, f"conform to {conform.entity}: where", where, remedy, filters=True)
