"""What a delivery's columns are like, measured while they are in memory: rows of ``ops_load``."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from conf.schema import Field
from dialects import Refused

if TYPE_CHECKING:
    from jobs.loading.task import Work

_SECOND = 1_000_000


def measure(
    work: Work, identity: str, rows: pa.Table, refused: tuple[tuple[str, Refused], ...]
) -> list[dict[str, Any]]:
    """One row a column of the schema, and one with column ``''`` for the record as a whole."""
    faults = Counter(one.field for _, one in refused)
    base = {
        "feed": work.feed.code, "data_date": work.data_date, "hour": work.hour, "delivery_id": identity,
        "schema": work.schema.name, "rows": rows.num_rows,
    }  # fmt: skip
    whole = {**base, "column": "", "nulls": 0, "faults": len(refused), "distinct": _keys(rows, work.schema.key)}
    return [whole] + [
        {**base, "column": field.name, "faults": faults[field.name], **_column(field, rows[field.name])}
        for field in work.schema.fields
    ]


def _keys(rows: pa.Table, key: tuple[str, ...]) -> int | None:
    return rows.group_by(list(key)).aggregate([]).num_rows if key and rows.num_rows else None


def _column(field: Field, column: pa.ChunkedArray) -> dict[str, Any]:
    told: dict[str, Any] = {"nulls": column.null_count}
    if len(column) == column.null_count:
        return told
    if field.type == "code":
        counted = pc.value_counts(column.drop_null())
        codes = {entry["values"]: entry["counts"] for entry in counted.to_pylist()}
        return told | {"distinct": len(codes), "codes": json.dumps(dict(sorted(codes.items())), ensure_ascii=False)}
    if field.type == "string":
        return told | {"longest": pc.max(pc.utf8_length(column)).as_py()}
    if field.type in ("phone", "bool"):
        return told
    if field.type == "date":
        number = pc.cast(pc.cast(column, pa.int32()), pa.float64())
    elif field.type == "timestamp":
        number = pc.divide(pc.cast(pc.cast(column, pa.int64()), pa.float64()), float(_SECOND))
    else:
        number = pc.cast(column, pa.float64())
    bounds = pc.min_max(number).as_py()
    told |= {"minimum": bounds["min"], "maximum": bounds["max"]}
    return told if field.type in ("date", "timestamp") else told | {"mean": pc.mean(number).as_py()}
