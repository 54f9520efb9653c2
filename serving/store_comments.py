"""What the store says of itself: every table and column commented, figures with label, unit and formula.

psql, DBeaver and the catalogue of any other tool show these. They come from ``conf/tables`` and
``conf/figures``, and are written anew with every night that is published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from psycopg import sql

from conf.figure import Figure
from conf.table import Column, Table
from serving.schema import SCHEMA, Connection


def comment(connection: Connection, tables: Iterable[Table], figures: Mapping[str, Figure]) -> None:
    """Comment the store's tables and columns; runs in the caller's transaction.

    Args:
        connection: the publisher's transaction, after the tables were made.
        tables: the tables of the store.
        figures: the declared figures.
    """
    for table in tables:
        name = sql.Identifier(SCHEMA, table.name)
        connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(name, sql.Literal(f"a row is {table.row}")))
        for column in table.columns:
            place = sql.Identifier(SCHEMA, table.name, column.name)
            text = "\n".join(describe_column(table, column, figures))
            connection.execute(sql.SQL("COMMENT ON COLUMN {} IS {}").format(place, sql.Literal(text)))


def describe_column(table: Table, column: Column, figures: Mapping[str, Figure]) -> Iterator[str]:
    """What a column is, its unit, and each figure that is read from it, a line each."""
    unit = f" ({column.unit})" if column.unit else ""
    yield f"{column.doc}{unit}"
    for figure in sorted(figures.values(), key=lambda known: (known.position, known.name)):
        if (figure.table, figure.column) == (table.name, column.name):
            yield f"{figure.name} [{figure.unit}] {figure.label} {figure.label_zh}: {figure.formula}"
