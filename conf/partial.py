"""Daily partials: which states the aggregates of an input are made of, and the tables that keep them.

A state is additive (integer sums, extremes, sketches): days merge into any window in any order to the same value.
"""

from __future__ import annotations

from collections.abc import Iterable

from conf.feature import Family
from conf.table import Column, Table

#: Columns of every partial before its states.
PARTIAL_COLUMNS = (
    Column(name="business_date", type="date", doc="first night that may see these events", nullable=False),
    Column(name="feed", type="string", doc="source feed", nullable=False),
    Column(name="day", type="date", doc="day of the events in Shanghai", nullable=False),
    Column(name="customer_id", type="bigint", doc="surrogate id of the subscriber", nullable=False),
)
#: State of an input → (suffix of its columns, type or None for the input's own).
STATES: dict[str, tuple[tuple[str, str | None], ...]] = {
    "count": (("count", "bigint"),),
    "sum": (("sum", "bigint"),),
    "min": (("min", None),),
    "max": (("max", None),),
    "last": (("last_at", "timestamp"), ("last", None)),
    "first": (("first_at", "timestamp"), ("first", None)),
    "sketch": (("sketch", "binary"),),
}
#: Aggregate → the states it is made of.
NEEDS: dict[str, tuple[str, ...]] = {
    "sum": ("sum",), "count": ("count",), "distinct": ("sketch",), "min": ("min",), "max": ("max",),
    "mean": ("sum", "count"), "last": ("last",), "first": ("first",), "recency": ("count",), "frequency": ("count",),
    "trend": ("sum",), "entropy": ("codes",), "top": ("codes",),
}  # fmt: skip


def partial_table(family: Family) -> Table:
    """The table of daily partials of ``family``: one row a customer, day and feed, for the night that first saw it."""
    states = [
        Column(name=name, type=kind, doc=f"{name.split('__')[-1]} of: {source.doc}", unit=source.unit)
        for source in family.inputs
        for name, kind in state_columns(source.name, source.type, source.codes, source.features)
    ]
    return Table(
        name=family.table, row=f"a customer's day of {family.doc}, as first known on a night", writer="partials",
        kind="partial", key=("business_date", "feed", "day", "customer_id"), partition_by=("business_date",),
        columns=(*PARTIAL_COLUMNS, *states),
    )  # fmt: skip


def states_of(aggregates: Iterable[str]) -> tuple[str, ...]:
    """The states that the asked aggregates need, in a fixed order; a count is always kept (was there any event?)."""
    needed = {"count", *(state for aggregate in aggregates for state in NEEDS[aggregate])}
    return tuple(state for state in (*STATES, "codes") if state in needed)


def state_columns(name: str, kind: str, codes: tuple[str, ...], aggregates: Iterable[str]) -> list[tuple[str, str]]:
    """Columns (name, type) of an input's states in its partial table."""
    columns: list[tuple[str, str]] = []
    for state in states_of(aggregates):
        if state == "codes":
            columns += [(f"{name}__n{position}", "bigint") for position, _ in enumerate(codes)]
        else:
            columns += [(f"{name}__{suffix}", fixed or kind) for suffix, fixed in STATES[state]]
    return columns
