"""The store's schema: the catalogue's tables, and the steps in ``serving/migrations`` that make what stands around them.

Steps are SQL in the order of their names. Each may run on a store of any release and again; it runs where its text is
not the one that the store has noted in ``cpc.migration``. Whatever takes a lock that readers feel happens here, each
step in a short transaction of its own: it waits half a second for its lock, lets readers pass, and tries again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from conf.errors import UserError
from conf.table import Column, Table

SCHEMA = "cpc"
STEPS = Path(__file__).with_name("migrations")
#: The tables of the catalogue that the store has, and what its rows say besides.
STORED = ("assignment", "recommendation", "limit_price", "funnel", "kpi")
WITHDRAWN = Column(name="withdrawn", type="boolean", doc="stopped by the customer since eligibility", nullable=False)
#: How long a change waits for its lock, while readers queue behind it; and how long it is tried in all.
LOCK_MILLIS, PATIENCE_SECONDS = 500, 30.0
#: The lock by which publishers and changes of the schema come one after the other.
ALONE = "SELECT pg_advisory_xact_lock(20260109)"
TYPES = {
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
Connection: TypeAlias = psycopg.Connection[Any]


def name_columns(table: Table) -> tuple[Column, ...]:
    """The columns of a table of the catalogue as the store has them."""
    return (*table.columns, WITHDRAWN) if table.name in {"assignment", "recommendation"} else table.columns


def read_steps() -> dict[str, str]:
    """Name and SQL of each step, in order."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(STEPS.glob("*.sql"))}


def is_behind(connection: Connection, tables: Mapping[str, Table]) -> bool:
    """Whether the store lacks a step, a table or a column, or forbids nulls where there may be some by now."""
    [(there,)] = connection.execute("SELECT to_regclass('cpc.migration') IS NOT NULL").fetchall()
    if not there:
        return True
    noted = dict(connection.execute("SELECT name, sha256 FROM cpc.migration").fetchall())
    if any(noted.get(name) != _digest(text) for name, text in read_steps().items()):
        return True
    rows = connection.execute(
        "SELECT table_name, column_name, is_nullable FROM information_schema.columns WHERE table_schema = %s", (SCHEMA,)
    ).fetchall()
    have = {(table, column): nullable == "YES" for table, column, nullable in rows}
    return any(
        not have.get((name, column.name), False) and (column.nullable or (name, column.name) not in have)
        for name in STORED
        for column in name_columns(tables[name])
    )


def roles_stand(connection: Connection) -> bool:
    """Whether the three roles are there, may use the schema, and publishing is done as ``cpc_write``."""
    [(stand,)] = connection.execute(
        "SELECT count(*) = 3 AND bool_and(has_schema_privilege(oid, 'cpc', 'USAGE')) "
        "AND bool_or(rolname = 'cpc_write' AND pg_has_role(session_user, oid, 'MEMBER')) "
        "FROM pg_roles WHERE rolname IN ('cpc_read', 'cpc_api', 'cpc_write')"
    ).fetchall()
    return bool(stand)


def tell_roles(connection: Connection) -> str:
    """What is amiss with the roles, and the remedy; empty where they stand."""
    if roles_stand(connection):
        return ""
    [(user,)] = connection.execute("SELECT quote_ident(session_user)").fetchall()
    return (
        f"roles cpc_read, cpc_api, cpc_write do not stand: {user} may not make them, only it can read the store; let a "
        f"superuser run `CREATE ROLE cpc_read; CREATE ROLE cpc_api; CREATE ROLE cpc_write; GRANT cpc_write TO {user};` "
        "(those that are there already left out), then publish again"
    )


def upgrade(connection: Connection, tables: Mapping[str, Table]) -> None:
    """Bring the store up to date; what is there stays, with its rows, its grants and the views of others.

    Args:
        connection: a connection without a transaction of its own.
        tables: the table catalogue.

    Raises:
        UserError: a lock was not to be had, or the user may not change the schema.
    """

    def begin(store: Connection) -> None:
        [(there,)] = store.execute("SELECT to_regnamespace('cpc') IS NOT NULL").fetchall()
        if not there:
            store.execute("CREATE SCHEMA cpc")
        [(there,)] = store.execute("SELECT to_regclass('cpc.migration') IS NOT NULL").fetchall()
        if not there:
            store.execute(
                "CREATE TABLE cpc.migration (name text PRIMARY KEY, sha256 text NOT NULL, "
                "applied_at timestamptz NOT NULL DEFAULT now())"
            )

    def make_tables(store: Connection) -> None:
        take_role(store)
        for name in STORED:
            make_table(store, tables[name], name_columns(tables[name]))

    act_patiently(connection, begin, "its schema")
    noted = dict(connection.execute("SELECT name, sha256 FROM cpc.migration").fetchall())
    stood = roles_stand(connection)
    connection.commit()
    roles, *others = read_steps().items()
    if not stood:  # the user may make them by now: whatever is granted to them is granted again
        act_patiently(connection, partial(_apply, name=roles[0], text=roles[1]), roles[0])
        noted = {} if roles_stand(connection) else noted
        connection.commit()
    for name, text in (roles, ("", ""), *others):  # tables come after the roles, so that they are cpc_write's
        if not name:
            act_patiently(connection, make_tables, "its tables")
        elif noted.get(name) != _digest(text):
            act_patiently(connection, partial(_apply, name=name, text=text), name)


def take_role(connection: Connection) -> None:
    """Act as ``cpc_write`` until the transaction ends, where the user may: what is made then belongs to all publishers."""
    connection.execute(
        "SELECT set_config('role', rolname, true) FROM pg_roles WHERE rolname = 'cpc_write' "
        "AND pg_has_role(session_user, oid, 'MEMBER')"
    )


def _apply(store: Connection, name: str, text: str) -> None:
    if name != next(iter(read_steps())):  # roles are made by who may
        take_role(store)
    store.execute(text.encode())
    store.execute(
        "INSERT INTO cpc.migration (name, sha256) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET "
        "sha256 = excluded.sha256, applied_at = now()",
        (name, _digest(text)),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def act_patiently(connection: Connection, act: Callable[[Connection], None], what: str) -> None:
    """Do something in a transaction that gives way to readers: wait shortly for a lock, step back, try again.

    Args:
        connection: its transaction is ended, whatever comes.
        act: what to do; done from the start at each try.
        what: for the message.

    Raises:
        UserError: others held a lock for all of ``PATIENCE_SECONDS``, or it is not allowed.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            connection.execute(ALONE)
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{LOCK_MILLIS}ms")))
            act(connection)
            connection.commit()
            return
        except psycopg.errors.InsufficientPrivilege as error:
            connection.rollback()
            raise UserError(
                f"the serving store is not up to date ({what}), and this user may not change it: {error}",
                where=f"schema {SCHEMA}",
                remedy="let whoever publishes run `cpc publish` or `cpc store url` first: a member of cpc_write",
            ) from error
        except psycopg.errors.LockNotAvailable as error:
            connection.rollback()
            if time.monotonic() > until:
                holders = tell_holders(connection)
                raise UserError(
                    f"the serving store is in use, {what} could not be changed in {PATIENCE_SECONDS:g} s: {holders}",
                    where=f"schema {SCHEMA}",
                    remedy="end that transaction (SELECT pg_terminate_backend(PID)), then do this again",
                ) from error
            time.sleep(LOCK_MILLIS / 1000)


def tell_holders(connection: Connection) -> str:
    """Who holds locks on the store's tables: session, user, program, state, since when."""
    rows = connection.execute(
        "SELECT DISTINCT a.pid, a.usename, a.application_name, a.state, date_trunc('second', a.xact_start)::text "
        "FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_stat_activity a USING (pid) WHERE n.nspname = %s AND l.granted AND a.pid <> pg_backend_pid() "
        "ORDER BY 5, 1 LIMIT 5",
        (SCHEMA,),
    ).fetchall()
    connection.rollback()
    texts = [f"session {pid} of {user} {app or ''} ({state}, since {since})" for pid, user, app, state, since in rows]
    return "; ".join(texts) or "its holder has gone"


def make_table(connection: Connection, table: Table, columns: Sequence[Column]) -> None:
    """Make a table of the catalogue, partitioned by business date, or give it the columns it lacks.

    What the catalogue has lost stays, and may be null; so may what it lets be null by now.
    """
    rows = connection.execute(
        "SELECT column_name, is_nullable FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
        (SCHEMA, table.name),
    ).fetchall()
    place = sql.Identifier(SCHEMA, table.name)
    if not rows:
        text = "CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ({})) PARTITION BY LIST (business_date)"
        listed = sql.SQL(", ").join(_column(column) for column in columns)
        key = sql.SQL(", ").join(map(sql.Identifier, table.key))
        connection.execute(sql.SQL(text).format(place, listed, key))
        return
    have = {name: nullable == "YES" for name, nullable in rows}
    for column in columns:
        if column.name not in have:
            late = column.model_copy(update={"nullable": True})  # nights published before have none
            connection.execute(sql.SQL("ALTER TABLE {} ADD COLUMN {}").format(place, _column(late)))
    needed = {column.name for column in columns if not column.nullable}
    for free in sorted(name for name in have.keys() - needed if not have[name]):
        text = "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL"
        connection.execute(sql.SQL(text).format(place, sql.Identifier(free)))


def _column(column: Column) -> sql.Composed:
    rule = "" if column.nullable else " NOT NULL"
    return sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(f"{TYPES[column.type]}{rule}"))
