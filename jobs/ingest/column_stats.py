"""What a delivery's columns are like, measured piece by piece while they are in memory: rows of ``ops_load``.

Counts, sums and bounds of pieces add up to those of the delivery; sums of integers and decimals are exact.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from conf.schema import Field, Schema
from jobs.ingest.deliveries import Delivery

_SECOND = 1_000_000
#: Keys of a jsonl record that its schema does not know.
REST = "_rest"


@dataclass
class ColumnStats:
    """Figures of a column so far; a total and bounds for what is a number, a date or an instant (seconds)."""

    nulls: int = 0
    seen: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    longest: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    total: int | float | Decimal = 0

    def add(self, other: ColumnStats) -> None:
        """Add the figures of another piece."""
        self.nulls += other.nulls
        self.seen += other.seen
        self.codes += other.codes
        self.total += other.total  # type: ignore[operator]
        self.longest = _either(max, self.longest, other.longest)
        self.minimum = _either(min, self.minimum, other.minimum)
        self.maximum = _either(max, self.maximum, other.maximum)


def _either(of: Any, left: Any, right: Any) -> Any:
    return right if left is None else left if right is None else of(left, right)


@dataclass
class Measure:
    """Figures of the pieces of a delivery; ``faults`` counts records set aside by their field."""

    rows: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    columns: dict[str, ColumnStats] = field(default_factory=dict)

    def add(self, other: Measure) -> None:
        """Add the figures of another piece."""
        self.rows += other.rows
        self.faults += other.faults
        for name, column in other.columns.items():
            self.columns.setdefault(name, ColumnStats()).add(column)


def measure(schema: Schema, rows: pa.Table, faults: Mapping[tuple[str, int], int]) -> Measure:
    """The figures of one piece; ``faults`` counts records set aside by field and code."""
    figures = Measure(rows.num_rows)
    for (name, _), count in faults.items():
        figures.faults[name] += count
    for definition in schema.fields:
        figures.columns[definition.name] = _column(definition, rows[definition.name])
    unknown = rows[REST].null_count
    figures.columns[REST] = ColumnStats(nulls=unknown, seen=rows.num_rows - unknown)
    return figures


def _column(field: Field, column: pa.ChunkedArray) -> ColumnStats:
    stats = ColumnStats(nulls=column.null_count, seen=len(column) - column.null_count)
    if not stats.seen or field.type in ("phone", "bool"):
        return stats
    if field.type == "code":
        stats.codes.update(
            {entry["values"]: entry["counts"] for entry in pc.value_counts(column.drop_null()).to_pylist()}
        )
        return stats
    if field.type == "string":
        stats.longest = pc.max(pc.utf8_length(column)).as_py()
        return stats
    if field.type == "date":
        column = pc.cast(column, pa.int32())
    elif field.type == "timestamp":
        column = pc.cast(column, pa.int64())
    bounds = pc.min_max(column).as_py()
    unit = float(_SECOND) if field.type == "timestamp" else 1.0
    stats.minimum, stats.maximum = float(bounds["min"]) / unit, float(bounds["max"]) / unit
    if field.type not in ("date", "timestamp"):
        stats.total = pc.sum(column).as_py()
    return stats


def stat_rows(work: Delivery, identity: str, figures: Measure, distinct: int | None) -> list[dict[str, Any]]:
    """Rows of ``ops_load``: one a column of the schema, and one with column ``''`` for the record as a whole.

    Where records had keys that the schema does not know, one more tells how many did not (``nulls`` of ``_rest``).

    Args:
        work: the delivery.
        identity: its id.
        figures: all its pieces.
        distinct: keys among its rows; None where the schema has none.
    """
    base = {
        "feed": work.feed.code,
        "data_date": work.data_date,
        "hour": work.hour,
        "delivery_id": identity,
        "schema": work.schema.name,
        "rows": figures.rows,
    }
    record = {**base, "column": "", "nulls": 0, "faults": figures.faults.total(), "distinct": distinct}
    rest = figures.columns.get(REST, ColumnStats())
    unknown = [{**base, "column": REST, "nulls": rest.nulls, "faults": 0}] if rest.seen else []
    return [record, *unknown] + [
        {
            **base,
            "column": field.name,
            "faults": figures.faults[field.name],
            **_figures(field, figures.columns.get(field.name, ColumnStats())),
        }
        for field in work.schema.fields
    ]


def _figures(field: Field, column: ColumnStats) -> dict[str, Any]:
    figures: dict[str, Any] = {"nulls": column.nulls}
    if field.type == "code" and column.seen:
        codes = dict(sorted(column.codes.items()))
        return figures | {"distinct": len(codes), "codes": json.dumps(codes, ensure_ascii=False)}
    if field.type == "string" and column.seen:
        return figures | {"longest": column.longest}
    if column.minimum is None:
        return figures
    figures |= {"minimum": column.minimum, "maximum": column.maximum}
    return figures if field.type in ("date", "timestamp") else figures | {"mean": float(column.total) / column.seen}
