"""How tasks tell the driver which Parquet files they wrote, so that one transaction publishes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from runtime.lake import WrittenFile

#: Spark's schema of ``written_batch``.
WRITTEN = "path string, size bigint, partition string, stats string, rows bigint"
_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("size", pa.int64()),
        ("partition", pa.string()),
        ("stats", pa.string()),
        ("rows", pa.int64()),
    ]
)


def written_batch(files: Sequence[WrittenFile]) -> pa.RecordBatch:
    """A task's files as one batch."""
    columns = [
        [file.path for file in files],
        [file.size for file in files],
        [json.dumps(file.partition) for file in files],
        [file.stats for file in files],
        [file.rows for file in files],
    ]
    return pa.RecordBatch.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA
    )


def read_written(rows: Iterable[Any]) -> list[WrittenFile]:
    """The collected rows of all tasks, in the order of partition and content."""
    files = [WrittenFile(r["path"], r["size"], json.loads(r["partition"]), r["stats"], r["rows"]) for r in rows]
    return sorted(files, key=lambda file: (sorted((k, str(v)) for k, v in file.partition.items()), file.stats))
