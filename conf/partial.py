"""Daily partials: the table of additive states that every family keeps, and what each aggregate needs of them.

A row stands for the events of a customer's day that say the same to the family, as first known on a night: a set of
inputs (a bit each), how many events, and of every input that needs it a value. A value of which only sums are wanted
is summed; one of which the least, first or distinct value is wanted keeps rows apart, with its time where order
matters. All are integers or texts: rows merge into any window, in any order, to the same value. There are never more
rows than events, however many inputs an event counts in.
"""

from __future__ import annotations

from conf.feature import Family, Input
from conf.table import Column, Table

#: Customers of one bucket: 2^16 surrogate ids, which are dense. A bucket is what one task merges.
BUCKET_BITS = 16
_KEY = (
    Column(
        name="tile",
        type="date",
        doc="last night of the file: of its month, or itself in the month at hand",
        nullable=False,
    ),
    Column(name="business_date", type="date", doc="first night that may see these events", nullable=False),
    Column(name="customer_id", type="bigint", doc="surrogate id of the subscriber", nullable=False),
    Column(name="day", type="date", doc="day of the events in Shanghai", nullable=False),
    Column(name="feed", type="string", doc="source feed", nullable=False),
)
_EVENTS = Column(name="events", type="bigint", doc="events that say the same", unit="event", nullable=False)
_AT = Column(
    name="at",
    type="bigint",
    doc="time of the events, where an input wants its first or last value",
    unit="microseconds since 1970 UTC",
)
_ORDERED = frozenset({"first", "last"})
_APART = frozenset({"first", "last", "min", "max"})
_OF_VALUE = frozenset({"sum", "mean", "trend"}) | _APART
_OF_TEXT = frozenset({"distinct", "entropy", "top"}) | _ORDERED


def partial_table(family: Family) -> Table:
    """The table of daily partials of ``family``."""
    inputs = Column(
        name="inputs",
        type="bigint",
        nullable=False,
        doc="which inputs the events count in: bit i is the i-th of " + ", ".join(i.name for i in family.inputs),
    )
    values = [
        Column(
            name=source.name, type=source.type, unit=source.unit, doc=source.doc + (": sum" if is_sum(source) else "")
        )
        for source in inputs_with_value(family)
    ]
    at = [_AT] if keeps_times(family) else []
    apart = tuple(column.name for column in at) + tuple(i.name for i in inputs_with_value(family) if not is_sum(i))
    return Table(
        name=family.table,
        row=f"what events of a customer's day say alike ({family.doc}), as first known on a night",
        writer="partials",
        kind="partial",
        key=("business_date", "customer_id", "day", "feed", "inputs", *apart),
        partition_by=("tile",),
        columns=(*_KEY, inputs, _EVENTS, *at, *values),
    )


def inputs_with_value(family: Family) -> tuple[Input, ...]:
    """The inputs of which the partial keeps a value; of the others it is enough that an event counts in them."""
    return tuple(source for source in family.inputs if _keeps_value(source))


def _keeps_value(source: Input) -> bool:
    if source.type == "string":
        return bool(_OF_TEXT & set(source.features))
    return source.value != "1" and bool(_OF_VALUE & set(source.features))


def is_sum(source: Input) -> bool:
    """Whether the value kept of an input is a sum over events: nothing else is wanted of it."""
    return source.type == "bigint" and not _APART & set(source.features)


def keeps_time(source: Input) -> bool:
    """Whether the time of an input's events is kept: its first or last value is wanted."""
    return bool(_ORDERED & set(source.features))


def keeps_times(family: Family) -> bool:
    """Whether the partial of ``family`` keeps times."""
    return any(keeps_time(source) for source in family.inputs)
