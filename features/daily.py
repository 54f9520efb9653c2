"""Events → daily partials: the additive states of every input of a family, per customer, day, feed and night."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conf.dates import CUT_OFF, LOCAL_DATE_SQL
from conf.feature import Family, Input
from conf.partial import states_of
from features.sql import literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: The first decision date whose night may see a row: it arrived before 04:00 Shanghai of that date.
KNOWN_ON_SQL = f"date_add({LOCAL_DATE_SQL.format(time=f'(arrived_at - interval {CUT_OFF.hour} hours)')}, 1)"
#: log2 of the registers of a distinct-count sketch: exact up to some hundreds of values, 1.6 % error beyond.
SKETCH_LG_K = 12


def partials(events: DataFrame, family: Family) -> DataFrame:
    """One row a (night that first sees it, feed, day, customer) with the states of every input.

    Args:
        events: rows of the family's source table.
        family: the declaration.

    Returns:
        The columns of the family's partial table. Sums are integers: they do not depend on partitioning.
    """
    chosen = events.where(selects(family)).selectExpr(
        f"{KNOWN_ON_SQL} as business_date",
        "feed",
        f"{LOCAL_DATE_SQL.format(time='event_time')} as day",
        "customer_id",
        "event_time",
        *(f"{input_value(source)} as {source.name}__v" for source in family.inputs),
    )
    states = [expression for source in family.inputs for expression in _daily(source)]
    grouped = chosen.groupBy("business_date", "feed", "day", "customer_id").agg(*_aggregates(states))
    return grouped.selectExpr(
        "business_date", "feed", "day", "customer_id", *(c for s in family.inputs for c in _flat(s))
    )


def input_value(source: Input) -> str:
    """Spark SQL of the value an event gives to an input; null where its filter does not hold."""
    return f"case when {source.where} then cast({source.value} as {source.type}) end"


def selects(family: Family) -> str:
    """Spark SQL: does an event count in any input of the family?"""
    wanted = " or ".join(sorted({f"({source.where})" for source in family.inputs}))
    if not family.schemas:
        return f"({wanted})"
    schemas = ", ".join(literal(name) for name in family.schemas)
    return f"schema in ({schemas}) and ({wanted})"


def _aggregates(states: list[tuple[str, str]]) -> list[object]:
    from pyspark.sql import functions

    return [functions.expr(expression).alias(name) for name, expression in states]


def _daily(source: Input) -> list[tuple[str, str]]:
    value, name = f"{source.name}__v", source.name
    given = f"filter (where {value} is not null)"
    of_state = {
        "count": [(f"{name}__count", f"count({value})")],
        "sum": [(f"{name}__sum", f"sum({value})")],
        "min": [(f"{name}__min", f"min({value})")],
        "max": [(f"{name}__max", f"max({value})")],
        "last": [(f"{name}__last", f"max(struct(event_time as t, {value} as v)) {given}")],
        "first": [(f"{name}__first", f"min(struct(event_time as t, {value} as v)) {given}")],
        "sketch": [(f"{name}__sketch", f"hll_sketch_agg({value}, {SKETCH_LG_K}) {given}")],
        "codes": [(f"{name}__n{i}", f"count_if({value} = {literal(code)})") for i, code in enumerate(source.codes)],
    }
    return [pair for state in states_of(source.features) for pair in of_state[state]]


def _flat(source: Input) -> list[str]:
    name = source.name
    columns = []
    for state in states_of(source.features):
        if state in ("last", "first"):
            columns += [f"{name}__{state}.t as {name}__{state}_at", f"{name}__{state}.v as {name}__{state}"]
        elif state == "sketch":
            columns.append(f"if({name}__count > 0, {name}__sketch, null) as {name}__sketch")
        elif state == "codes":
            columns += [f"{name}__n{i}" for i, _ in enumerate(source.codes)]
        else:
            columns.append(f"{name}__{state}")
    return columns
