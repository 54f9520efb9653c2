"""Events → the values they give to the inputs of a family, and the night that first sees them: the work of SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conf.dates import CUT_OFF, LOCAL_DATE_SQL
from conf.feature import Family, Input
from conf.partial import BUCKET_BITS
from features.sql import literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: The first decision date whose night may see a row: it arrived before 04:00 Shanghai of that date.
KNOWN_ON_SQL = f"date_add({LOCAL_DATE_SQL.format(time=f'(arrived_at - interval {CUT_OFF.hour} hours)')}, 1)"


def valued(events: DataFrame, family: Family) -> DataFrame:
    """What every event gives to the inputs of ``family``: the SQL half of a partial (``features.fold`` is the other).

    Args:
        events: rows of the family's source table.
        family: the declaration.

    Returns:
        ``business_date`` (the night that first sees the event), ``bucket, feed, day, customer_id, at`` (microseconds)
        and a column an input, null where its filter does not hold.
    """
    return events.where(selects(family)).selectExpr(
        f"{KNOWN_ON_SQL} as business_date",
        f"cast(shiftright(customer_id, {BUCKET_BITS}) as int) as bucket",
        "feed",
        f"{LOCAL_DATE_SQL.format(time='event_time')} as day",
        "customer_id",
        "unix_micros(event_time) as at",
        *(f"{input_value(source)} as {source.name}" for source in family.inputs),
    )


def selects(family: Family) -> str:
    """Spark SQL: does an event count in any input of the family?"""
    wanted = " or ".join(sorted({f"({source.where})" for source in family.inputs}))
    if not family.schemas:
        return f"({wanted})"
    schemas = ", ".join(literal(name) for name in family.schemas)
    return f"schema in ({schemas}) and ({wanted})"


def input_value(source: Input) -> str:
    """Spark SQL of the value an event gives to an input; null where its filter does not hold."""
    return f"case when {source.where} then cast({source.value} as {source.type}) end"
