"""Are features correct at their point in time? Worked boundary examples, and a probe for leaks from the future."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.dates import cut_off, start_of_day
from conf.feature import ZERO, Family, Feature, Input
from features.anchor import Anchor
from features.bucket import code, family_values
from features.cells import cells_of
from features.fold import fold

TICK = dt.timedelta(microseconds=1)
FEED = "boundary_example"


@dataclass(frozen=True)
class Placed:
    """An example event at a boundary: a customer of its own, so that what it touches can be seen."""

    customer: int
    source: Input
    event_time: dt.datetime
    arrived_at: dt.datetime
    words: str
    counts_from: int  # the least window in days in which it must count; a large number: in none


_NEVER = 10**6


def placements(family: Family, as_of: dt.date) -> list[Placed]:
    """Every input's example at D 00:00, at both ends of each of its windows, and at the cut-off."""
    placed: list[Placed] = []
    end, limit = start_of_day(as_of), cut_off(as_of)
    for source in family.inputs:
        windows = sorted({window for windows in source.features.values() for window in windows})
        cases = [
            (end - TICK, limit - TICK, "one microsecond before D", 0),
            (end, limit - TICK, "at D 00:00", _NEVER),
            (end - TICK, limit, "arrived at the cut-off", _NEVER),
        ]
        for window in windows:
            first = _first_instant(as_of, window, family.grain)
            cases.append((first, limit - TICK, f"first instant of {window} days", window))
            cases.append((first - TICK, limit - TICK, f"just before {window} days", window + 1))
        placed += [Placed(len(placed) + i, source, *case) for i, case in enumerate(cases)]
    return placed


def _first_instant(as_of: dt.date, window: int, grain: str) -> dt.datetime:
    if grain == "day":
        return start_of_day(as_of - dt.timedelta(days=window))
    last = as_of - dt.timedelta(days=1)
    month = last.year * 12 + last.month - 1 - (window // 30 - 1)
    return start_of_day(dt.date(month // 12, month % 12 + 1, 1))


def example_events(family: Family, placed: list[Placed], schema: pa.Schema) -> pa.Table:
    """The example events as rows of the source table (``schema`` is its Arrow schema)."""
    rows: list[dict[str, object]] = []
    for item in placed:
        rows.append(
            {"schema": _schema(family, item.source)}
            | item.source.example.row
            | {
                "customer_id": item.customer,
                "event_time": item.event_time,
                "arrived_at": item.arrived_at,
                "feed": FEED,
                "data_date": item.event_time.date(),
                "delivery_id": "example",
                "line": 1,
            }
        )
    return pa.Table.from_pylist(rows, schema)


def _schema(family: Family, source: Input) -> str:
    """The schema of an example that names none: one its filter asks for, or the family's first."""
    named = [schema for schema in family.schemas if f"'{schema}'" in source.where]
    return (named or [*family.schemas, "example"])[0]


def faults(family: Family, placed: list[Placed], examples: pa.Table, valued: pa.Table, as_of: dt.date) -> Iterator[str]:
    """What is wrong with the examples of ``family``, in words; nothing where all hold.

    Args:
        family: the declaration.
        placed: the example events.
        examples: the value that every input takes from them (``features.daily.example_values``).
        valued: what SQL made of them (``features.daily.valued``).
        as_of: the decision date they are placed around.
    """
    given = {row["customer_id"]: row for row in examples.to_pylist()}
    for item in placed:
        value = given[item.customer][item.source.name]
        if value != item.source.example.value:
            yield f"{item.source.name}: the example gives {value!r}, not {item.source.example.value!r}"
            return
    values = family_snapshot(family, valued, as_of, len(placed))
    touched = {feature.name: _mark_touched(feature, values[feature.name]) for feature in family.features}
    for item in placed:
        for feature in (f for f in family.features if f.input is item.source):
            expected = item.counts_from <= feature.window
            if feature.aggregate == "trend" and expected and not touched[feature.name][item.customer]:
                continue  # the middle week, or days beyond the last whole week, have no weight in a slope
            if touched[feature.name][item.customer] != expected:
                must = "must count" if expected else "must not count"
                yield f"{feature.name}: an event {item.words} {must}"


def family_snapshot(
    family: Family, valued: pa.Table, as_of: dt.date, customers: int, anchor: Anchor | None = None
) -> dict[str, pa.Array]:
    """The features of ``family`` for customers 0 … n−1 from valued events; without ``anchor`` all feeds are up to date."""
    last = as_of - dt.timedelta(days=1)
    rows = code([fold(valued, family)], family, 0)
    anchor = anchor or Anchor(as_of, last, dict.fromkeys(pc.unique(valued["feed"]).to_pylist(), last))
    return family_values(family, cells_of(family), rows, anchor, np.arange(customers), np.ones(customers, bool))


def _mark_touched(feature: Feature, column: pa.Array) -> list[bool]:
    empty_value = 0 if feature.aggregate in ZERO else None
    return [value != empty_value for value in column.to_pylist()]


def find_changed(before: Mapping[str, pa.Array], after: Mapping[str, pa.Array]) -> list[str]:
    """Names of the columns that are not the same."""
    return [name for name, column in before.items() if not column.equals(after[name])]
