"""Events → daily partials: the additive states of every input of a family, per customer, day, feed and night."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conf.dates import CUT_OFF, LOCAL_DATE_SQL
from conf.feature import Family, Input
from conf.partial import BUCKET_BITS, keeps_text, keeps_time, plain
from features.sql import literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: The first decision date whose night may see a row: it arrived before 04:00 Shanghai of that date.
KNOWN_ON_SQL = f"date_add({LOCAL_DATE_SQL.format(time=f'(arrived_at - interval {CUT_OFF.hour} hours)')}, 1)"
_KEY = ("business_date", "bucket", "feed", "day", "customer_id", "input", "at", "text")


def partials(events: DataFrame, family: Family) -> DataFrame:
    """The rows of the family's partial table that ``events`` give.

    Every event is unfolded into one row an input that it counts in, then days are summed: a narrow aggregation of
    integers, whatever the number of inputs.

    Args:
        events: rows of the family's source table.
        family: the declaration.
    """
    from pyspark.sql import functions as f

    valued = events.where(selects(family)).selectExpr(
        f"{KNOWN_ON_SQL} as business_date",
        f"cast(shiftright(customer_id, {BUCKET_BITS}) as int) as bucket",
        "feed",
        f"{LOCAL_DATE_SQL.format(time='event_time')} as day",
        "customer_id",
        f"inline(array_compact(array({', '.join(_unfold(family))})))",
    )
    sums = [f.expr(e) for e in ("count(1) count", "sum(v) sum", "min(v) least", "max(v) greatest")]
    return valued.groupBy(*_KEY).agg(*sums)


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


def _unfold(family: Family) -> list[str]:
    structs = []
    for source in family.inputs:
        value = f"({input_value(source)})"
        if plain(source):
            at = "unix_micros(event_time)" if keeps_time(source) else "cast(null as bigint)"
            text = value if keeps_text(source) else "cast(null as string)"
            number = value if source.type == "bigint" else "cast(null as bigint)"
            structs.append(_struct(f"{value} is not null", source.name, at, text, number))
        for code in source.codes:
            structs.append(_struct(f"{value} = {literal(code)}", f"{source.name}={code}"))
    return structs


def _struct(
    condition: str, name: str, at: str = "cast(null as bigint)", text: str = "cast(null as string)", number: str = ""
) -> str:
    number = number or "cast(null as bigint)"
    fields = f"{literal(name)} as input, {at} as at, {text} as text, {number} as v"
    return f"case when {condition} then struct({fields}) end"
