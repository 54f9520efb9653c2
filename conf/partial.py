"""Daily partials: the table of additive states that every family keeps, and what each aggregate needs of them.

A row is one input of a customer's day as first known on a night: how many events, their sum, least and greatest value
(integers: days merge into any window, in any order, to the same value). Inputs of which the first, last or distinct
values are wanted keep the time (``at``) or text apart, so that ties break the same way everywhere.
"""

from __future__ import annotations

from conf.feature import Family, Input
from conf.table import Column, Table

#: Customers of one bucket: 2^16 surrogate ids, which are dense. A bucket is what one task merges.
BUCKET_BITS = 16
PARTIAL_COLUMNS = (
    Column(name="business_date", type="date", doc="first night that may see these events", nullable=False),
    Column(name="bucket", type="int", doc=f"customer_id >> {BUCKET_BITS}: what one task merges", nullable=False),
    Column(name="feed", type="string", doc="source feed", nullable=False),
    Column(name="day", type="date", doc="day of the events in Shanghai", nullable=False),
    Column(name="customer_id", type="bigint", doc="surrogate id of the subscriber", nullable=False),
    Column(name="input", type="string", doc="input of the family, or input=code", nullable=False),
    Column(name="at", type="bigint", doc="time of the event where order matters", unit="microseconds since 1970 UTC"),
    Column(name="text", type="string", doc="value of a text input where first, last or distinct are wanted"),
    Column(name="count", type="bigint", doc="events with a value", unit="event", nullable=False),
    Column(name="sum", type="bigint", doc="sum of integer values"),
    Column(name="least", type="bigint", doc="least integer value"),
    Column(name="greatest", type="bigint", doc="greatest integer value"),
)
_ORDERED = frozenset({"first", "last"})
_OF_CODES = frozenset({"entropy", "top"})


def partial_table(family: Family) -> Table:
    """The table of daily partials of ``family``."""
    return Table(
        name=family.table, row=f"an input of a customer's day ({family.doc}), as first known on a night",
        writer="partials", kind="partial", key=("business_date", "feed", "day", "customer_id", "input", "at", "text"),
        partition_by=("business_date", "bucket"), columns=PARTIAL_COLUMNS,
    )  # fmt: skip


def keeps_time(source: Input) -> bool:
    """Whether the partial keeps the time of every event: first and last need it."""
    return bool(_ORDERED & set(source.features))


def keeps_text(source: Input) -> bool:
    """Whether the partial keeps the values of a text: first, last and distinct need them."""
    return source.type == "string" and bool((_ORDERED | {"distinct"}) & set(source.features))


def plain(source: Input) -> bool:
    """Whether the partial has rows of the input itself (not only of its codes)."""
    return bool(set(source.features) - _OF_CODES)
