"""SQL over rows and Parquet files in this process, by DuckDB: what a task says of its events, a join of a command.

Spark hands out the files; a task reads and judges them by columns, some ten times as quickly as rows go through the
JVM to Python (docs/benchmarks/features.md).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Files:
    """Parquet files of a table, below folders ``<column>=<value>`` of its partitions.

    Attributes:
        schema: the table's columns; those that a file does not have are null.
        paths: the files.
    """

    schema: pa.Schema
    paths: Sequence[str]


def over_files(sql: str, schema: pa.Schema, files: Sequence[str]) -> pa.Table:
    """The rows of a query over ``source``, Parquet files of a table, in the files' order."""
    with _connection() as connection:
        _name(connection, "source", Files(schema, files))
        return connection.sql(sql).to_arrow_table()


def over_rows(sql: str, rows: pa.Table) -> pa.Table:
    """The rows of a query over ``source``, a table in memory."""
    with _connection() as connection:
        connection.register("source", rows)
        return connection.sql(sql).to_arrow_table()


@contextlib.contextmanager
def compiler() -> Iterator[Callable[[str, pa.Table], str]]:
    """What DuckDB does not understand of a query over ``source`` with the columns of some rows; nothing is run."""
    with _connection() as connection:

        def fault_of(sql: str, rows: pa.Table) -> str:
            connection.register("source", rows)
            try:
                connection.sql(sql)
            except duckdb.Error as error:
                return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            return ""

        yield fault_of


def write_joined(sql: str, sources: Mapping[str, Files | pa.Table], out: Path) -> int:
    """Write the rows of a query over named tables to a Parquet file; what does not fit into memory goes beside it.

    One thread, so that an ordered query writes the same bytes on any number of cores. Returns the rows.
    """
    with _connection() as connection:
        connection.execute(f"set temp_directory = '{out.parent / 'spilled'}'")
        for name, source in sources.items():
            if isinstance(source, Files):
                _name(connection, name, source)
            else:
                connection.register(name, source)
        connection.sql(sql).write_parquet(str(out), compression="zstd")
    return int(pq.read_metadata(out).num_rows)


def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": False})  # nothing is fetched
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _name(connection: duckdb.DuckDBPyConnection, name: str, files: Files) -> None:
    """A view of the files: columns and types come from an empty table of the schema."""
    connection.register(f"{name}_columns", files.schema.empty_table())
    read = connection.read_parquet(list(files.paths), hive_partitioning=True, union_by_name=True).sql_query()
    connection.execute(f'create view "{name}" as select * from {name}_columns union all by name select * from ({read})')


@contextlib.contextmanager
def open_tables(sources: Mapping[str, Files | pa.Table], spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection over named tables for several queries; what does not fit into memory goes below ``spill``.

    All cores: callers sum integers, which come out the same in any order.
    """
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"set temp_directory = '{spill}'")
        for name, source in sources.items():
            if isinstance(source, Files) and source.paths:
                _name(connection, name, source)
            else:
                connection.register(name, source.schema.empty_table() if isinstance(source, Files) else source)
        yield connection
