"""The serving store: a PostgreSQL that console, API and desktops read; one business date is swapped at a time.

``settings.serving.url`` names it; empty means the PostgreSQL that comes as a wheel, with its data below
``$CPC_HOME/serving``. Tables follow the table catalogue, partitioned by ``business_date``. A night is loaded
beside what is being read and put in its place by one transaction: readers see the night before or after, and none of
them waits for it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
from psycopg import sql

from conf.errors import UserError
from conf.settings import Settings
from conf.table import Column, Table
from serving import schema
from serving.embedded import start_embedded
from serving.schema import SCHEMA, Connection

Result = TypeVar("Result")

#: How long a publication waits for others' rows and tables, and how often it is begun anew.
WAIT, TRIES = "5s", 3


@contextlib.contextmanager
def connect(settings: Settings, alone: bool = True) -> Iterator[Connection]:
    """A connection to the store; what is done in it is one transaction.

    Args:
        settings: where the store is.
        alone: as the one publisher, who waits ``WAIT`` at most for what others hold; else beside all others.

    Raises:
        UserError: the store does not answer, or could not be brought up to date.
    """
    address = plain_address(settings) or start_embedded(settings.home)
    try:
        connection = psycopg.connect(address, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise UserError(
            f"the serving store does not answer: {str(error).strip().splitlines()[-1]}",
            where=hide_password(address),
            remedy="start that PostgreSQL, or leave serving.url empty for the embedded one; then `cpc publish --run R`",
        ) from error
    with connection:
        tables = settings.catalogue.tables
        behind = schema.is_behind(connection, tables) or (alone and not schema.roles_stand(connection))
        connection.commit()
        if behind:
            schema.upgrade(connection, tables)
        if alone:
            schema.take_role(connection)
            connection.execute(schema.ALONE)
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(WAIT)))
        yield connection


def publish_patiently(settings: Settings, act: Callable[[Connection], Result]) -> Result:
    """Do something as the one publisher; where others hold a lock for long, from the start again.

    Args:
        settings: where the store is.
        act: what to do in the transaction.

    Raises:
        UserError: others held a lock each time.
    """
    for left in reversed(range(TRIES)):
        try:
            with connect(settings) as store:
                return act(store)
        except psycopg.errors.LockNotAvailable as error:
            if left:
                continue
            with connect(settings, alone=False) as store:
                holders = schema.tell_holders(store)
            raise UserError(
                f"the serving store is in use: {TRIES} times a lock was not to be had in {WAIT}: {holders}",
                where=f"schema {SCHEMA}",
                remedy="end that transaction (SELECT pg_terminate_backend(PID)), then `cpc publish --run R --to store`",
            ) from error
    raise AssertionError("the last try returns or raises")


def plain_address(settings: Settings) -> str:
    """The address of the operator's own store as libpq reads it; empty where the store is embedded."""
    return settings.serving.url.replace("postgresql+psycopg://", "postgresql://")


def hide_password(address: str) -> str:
    """An address without its password."""
    parts = urlsplit(address)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


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
    schema.make_table(connection, table, columns)
    with connection.cursor() as cursor:
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


def swap(connection: Connection, table: Table, date: dt.date) -> None:
    """Put the loaded rows in the place of those of ``date``; seen when the transaction ends, and no reader waits.

    A night that is new is attached as a partition, which waits for no reader and blocks none. Where the night is there,
    its partition stays and takes over what differs: to drop one, PostgreSQL would lock all nights against readers.
    """
    name = stage_name(table.name, date)
    stage = f"{name}_new"
    day = sql.Literal(date)
    key = sql.SQL(", ").join(map(sql.Identifier, table.key))
    [(there,)] = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{SCHEMA}.{name}",)).fetchall()
    if not there:
        for text in (
            "ALTER TABLE {schema}.{stage} ADD PRIMARY KEY ({key})",
            "ALTER TABLE {schema}.{stage} ADD CHECK (business_date = {day})",  # so that attaching scans nothing
            "ALTER TABLE {schema}.{stage} RENAME TO {name}",
            "ALTER TABLE {schema}.{table} ATTACH PARTITION {schema}.{name} FOR VALUES IN ({day})",
        ):
            connection.execute(_sql(text, stage=stage, table=table.name, name=name, key=key, day=day))
        return
    columns = [
        column
        for (column,) in connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
            "ORDER BY attnum",
            (f"{SCHEMA}.{stage}",),
        )
    ]
    pick = {side: sql.SQL(", ").join(sql.Identifier(side, column) for column in columns) for side in ("old", "new")}
    same = sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier("old", column), sql.Identifier("new", column)) for column in table.key
    )
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    parts = {"stage": stage, "name": name, "same": same, "names": names, "old": pick["old"], "new": pick["new"]}
    for text in (
        "ANALYZE {schema}.{stage}",
        "DELETE FROM {schema}.{name} old WHERE NOT EXISTS (SELECT FROM {schema}.{stage} new WHERE {same} "
        "AND ({old}) IS NOT DISTINCT FROM ({new}))",
        "INSERT INTO {schema}.{name} ({names}) SELECT {new} FROM {schema}.{stage} new "
        "WHERE NOT EXISTS (SELECT FROM {schema}.{name} old WHERE {same})",
        "DROP TABLE {schema}.{stage}",
    ):
        connection.execute(_sql(text, **parts))


def update_listing(connection: Connection, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Bring a small listing (products, channels) up to date; what is not in it any more stays, not ``in_use``.

    Args:
        connection: the transaction.
        name: ``product`` or ``channel``.
        rows: ``id``, and columns of the listing.
    """
    columns = [*rows[0], "in_use"]
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    given = sql.SQL(", ").join(sql.SQL("excluded.{}").format(sql.Identifier(column)) for column in columns)
    have = sql.SQL(", ").join(sql.SQL("listed.{}").format(sql.Identifier(column)) for column in columns)
    with connection.cursor() as cursor:
        cursor.executemany(
            _sql(
                "INSERT INTO {schema}.{name} AS listed ({names}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET "
                "({names}) = ROW({given}) WHERE ({have}) IS DISTINCT FROM ({given})",
                name=name,
                names=names,
                marks=sql.SQL(", ").join(sql.Placeholder() * len(columns)),
                given=given,
                have=have,
            ),
            [[*row.values(), True] for row in rows],
        )
        cursor.execute(
            _sql("UPDATE {schema}.{name} SET in_use = false WHERE in_use AND id <> ALL(%s)", name=name),
            ([row["id"] for row in rows],),
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


def withdraw_stopped(connection: Connection, date: dt.date) -> int:
    """Mark rows of ``date`` whose customers were stopped, or took an offer, while they were being published; how many.

    The trigger of a stop marks what it sees, and a night that takes the place of another is not seen until it is there.
    Whoever is writing a stop now is waited for, with no row in hand that he might wait for.
    """
    rows = 0
    connection.execute(_sql("LOCK TABLE {schema}.stop, {schema}.acceptance IN SHARE MODE"))
    for table in ("assignment", "recommendation"):
        text = (
            "WITH alone AS (SELECT customer_id, channel FROM {schema}.stopped UNION "
            "SELECT a.customer_id, c.id FROM {schema}.acceptance a CROSS JOIN {schema}.channel c "
            "WHERE a.business_date = %(date)s AND c.direction = 'outbound') "
            "UPDATE {schema}.{table} t SET withdrawn = true FROM alone WHERE t.business_date = %(date)s "
            "AND NOT t.withdrawn AND t.channel IS NOT NULL AND t.customer_id = alone.customer_id "
            "AND (alone.channel IS NULL OR alone.channel = t.channel)"
        )
        rows += connection.execute(_sql(text, table=table), {"date": date}).rowcount
    return rows


def stops(connection: Connection) -> pa.Table:
    """Customers stopped on the store since the night (``customer_id, channel``): what the API writes at once."""
    with connection.cursor() as cursor:
        rows = cursor.execute(_sql("SELECT customer_id, channel FROM {schema}.stop ORDER BY 1, 2")).fetchall()
    schema = pa.schema([("customer_id", pa.int64()), ("channel", pa.string())])
    return pa.Table.from_pylist([{"customer_id": row[0], "channel": row[1]} for row in rows], schema=schema)


def csv_bytes(batch: pa.RecordBatch) -> bytes:
    """A batch as CSV without a header, as COPY reads it: null is nothing, text is quoted."""
    sink = io.BytesIO()
    pacsv.write_csv(batch, sink, pacsv.WriteOptions(include_header=False))
    return sink.getvalue()
