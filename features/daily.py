"""Events → what they say to the inputs of a family, and the night that first sees them: the work of SQL (DuckDB's)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from conf.dates import CUT_OFF, UTC_OFFSET
from conf.feature import Family, Input
from conf.partial import inputs_with_value, keeps_time, keeps_times

_TYPES = {"bigint": "bigint", "string": "varchar"}
_EPOCH = dt.date(1970, 1, 1)


def value_sql(family: Family, nights: Collection[dt.date] = ()) -> str:
    """What every event says to ``family``: the SQL half of a partial (``features.fold`` is the other).

    Args:
        family: the declaration.
        nights: the decision dates whose night must be the first that sees an event; none: any.

    Returns:
        A query over ``source``, rows of the family's source table. It gives ``business_date`` (the night that first
        sees the event) and ``day`` as days since 1970, ``customer_id, feed, inputs`` (bit i: the event counts in the
        i-th input), ``at`` (microseconds; null where no input wants its order; only where any does), and the value of
        every input that keeps one, null where its filter does not hold.
    """
    known = f"{_local_day('arrived_at', -CUT_OFF.hour)} + 1"
    columns = [
        f"{known} as business_date",
        "customer_id",
        f"{_local_day('event_time')} as day",
        "feed",
        f"{' + '.join(_bit(source, position) for position, source in enumerate(family.inputs))} as inputs",
        *([f"{_at(family)} as at"] if keeps_times(family) else []),
        *(f"{input_value(source)} as {source.name}" for source in inputs_with_value(family)),
    ]
    wanted = ", ".join(str((night - _EPOCH).days) for night in sorted(nights))
    seen = f" and {known} in ({wanted})" if nights else ""
    return f"select {', '.join(columns)} from source where {selects(family)}{seen}"


def examples_sql(family: Family) -> str:
    """``customer_id`` and the value that every input takes from an event, for ``cpc features check``."""
    columns = ", ".join(f"{input_value(source)} as {source.name}" for source in family.inputs)
    return f"select customer_id, {columns} from source"


def selects(family: Family) -> str:
    """SQL: does an event count in any input of the family?"""
    wanted = " or ".join(sorted({f"({source.where})" for source in family.inputs}))
    if not family.schemas:
        return f"({wanted})"
    schemas = ", ".join("'" + name.replace("'", "''") + "'" for name in family.schemas)
    return f"schema in ({schemas}) and ({wanted})"


def input_value(source: Input) -> str:
    """SQL of the value an event gives to an input; null where its filter does not hold."""
    return f"case when {source.where} then cast({source.value} as {_TYPES[source.type]}) end"


def _local_day(time: str, hours: int = 0) -> str:
    """Days since 1970 in Shanghai of a time some ``hours`` away; integers are quicker than a calendar."""
    offset = int(UTC_OFFSET / dt.timedelta(microseconds=1)) + hours * 3_600_000_000
    return f"cast((epoch_us({time}) + {offset}) // 86400000000 as integer)"


def _counts(source: Input) -> str:
    given = "" if source.value == "1" else f" and cast({source.value} as {_TYPES[source.type]}) is not null"
    return f"({source.where}){given}"


def _bit(source: Input, position: int) -> str:
    return f"case when {_counts(source)} then {1 << position}::bigint else 0::bigint end"


def _at(family: Family) -> str:
    wanted = " or ".join(f"({_counts(source)})" for source in family.inputs if keeps_time(source))
    return f"case when {wanted} then epoch_us(event_time) end"
