"""SQL over events in this process, by DuckDB: what a task says of its files, or a command of a few rows.

Spark hands out the files; a task reads and judges them by columns, some ten times as quickly as rows go through the
JVM to Python (docs/benchmarks/features.md). Statements name their rows ``source``.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa


def over_files(sql: str, schema: pa.Schema, files: Sequence[str]) -> pa.Table:
    """The rows of a query over Parquet files of a table, in the files' order.

    Args:
        sql: a query over ``source``.
        schema: the table's columns; those that a file does not have are null.
        files: Parquet files below folders ``<column>=<value>`` of the table's partitions.
    """
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("nothing", schema.empty_table())
        given = connection.read_parquet(list(files), hive_partitioning=True, union_by_name=True)
        return _query(connection, sql, f"select * from nothing union all by name select * from ({given.sql_query()})")


def over_rows(sql: str, rows: pa.Table) -> pa.Table:
    """The rows of a query over a table in memory."""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("given", rows)
        return _query(connection, sql, "select * from given")


def _query(connection: duckdb.DuckDBPyConnection, sql: str, source: str) -> pa.Table:
    connection.execute("set TimeZone = 'UTC'")
    return connection.sql(f"with source as ({source}) {sql}").to_arrow_table()
