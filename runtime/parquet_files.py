"""Parquet files below a table, written or taken over by tasks, with Delta's statistics; a commit publishes them.

Readers prune files by their statistics. deltalake's takes a bound that one file lacks for one that nothing meets, and
leaves the file out; so every file bounds every column whose type has an order (a column with a NaN by the infinities),
columns of bytes and lists have no statistics at all, and of a column that a file lacks every row is null. Statistics of
files that an older release wrote are made again (`redescribe`).
"""

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

#: Spark's schema of ``batch_of``.
WRITTEN = "path string, size bigint, partition string, stats string, rows bigint"
#: The folder of rows whose partition value is null, as Hive, Spark and Delta name it.
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
#: Characters of a text that its bounds have at most, as Delta keeps them.
BOUND_LENGTH = 32
_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("size", pa.int64()),
        ("partition", pa.string()),
        ("stats", pa.string()),
        ("rows", pa.int64()),
    ]
)
_HIGHEST, _HIGHEST_ASCII = "\U0010ffff", "\x7f"
#: Bounds, as JSON, of a column with a NaN: Arrow's own pass over it.
_WIDEST_FLOAT = ('"-Infinity"', '"Infinity"')
_MILLISECOND = dt.timedelta(milliseconds=1)
#: Values that tell whether those of a column repeat.
_LOOKED_AT = 4_096


@dataclass(frozen=True)
class WrittenFile:
    """A Parquet file that a task wrote below a table and that a commit will publish.

    ``path`` is relative to the table; ``stats`` is Delta's statistics JSON.
    """

    path: str
    size: int
    partition: dict[str, str | None]
    stats: str
    rows: int

    def most(self, column: str) -> int:
        """The greatest value of a column of integers."""
        return int(json.loads(self.stats)["maxValues"][column])


# -- what tasks tell the driver --------------------------------------------------------------------------------------


def batch_of(files: Sequence[WrittenFile]) -> pa.RecordBatch:
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


# -- writing ---------------------------------------------------------------------------------------------------------


def write_partitions(root: Path, rows: pa.Table, partition_by: Sequence[str]) -> list[WrittenFile]:
    """Write ``rows`` as one Parquet file a partition below ``root``; rows keep their order within a file."""
    if not partition_by:
        return [write_file(root, rows, {})]
    keys = rows.select(list(partition_by)).group_by(list(partition_by)).aggregate([])
    keys = keys.sort_by([(name, "ascending") for name in partition_by])
    written = []
    for key in keys.to_pylist():
        chosen = rows
        for name, value in key.items():
            column = chosen[name]
            chosen = chosen.filter(
                pc.is_null(column) if value is None else pc.equal(column, pa.scalar(value, column.type))
            )
        written.append(write_file(root, chosen.drop_columns(list(partition_by)), key))
    return written


def write_file(root: Path, rows: pa.Table, partition: Mapping[str, Any], ends: Sequence[int] = ()) -> WrittenFile:
    """Write one Parquet file of one partition (its columns not in ``rows``) with the statistics Delta prunes by.

    Args:
        root: the table's folder.
        rows: what to write.
        partition: the partition's values.
        ends: where row groups end (rows from the start, ascending, the last one all rows); none: where Arrow likes.
    """
    values, relative = _place(partition)
    path = root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    # rows come by customer: differences of their numbers take a third of the room that the numbers do
    packed = {"customer_id": "DELTA_BINARY_PACKED"} if "customer_id" in rows.column_names else {}
    dictionary = [name for name in rows.column_names if name not in packed]
    with pq.ParquetWriter(
        path, rows.schema, compression="zstd", coerce_timestamps="us", use_dictionary=dictionary, column_encoding=packed
    ) as writer:
        for start, end in pairwise((0, *(ends or (rows.num_rows,)))):
            writer.write_table(rows.slice(start, end - start))
    return _describe(root, relative, values, has_no_order(rows))


class PartWriter:
    """The rows of one partition, written piece by piece as one file.

    Args:
        root: folder of the table.
        partition: the partition's values; its columns are not in the rows.
        plain: columns whose values hardly repeat: a dictionary of them would cost and save nothing.
    """

    def __init__(self, root: Path, partition: Mapping[str, Any], plain: Sequence[str] = ()) -> None:
        self._root = root
        self._values, self._relative = _place(partition)
        self._path = root / self._relative
        self._plain = frozenset(plain)
        self._unordered: set[str] = set()
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pa.Table) -> None:
        """Add rows: one row group, so that memory is that of a piece."""
        if not rows.num_rows:
            return
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(
                self._path,
                rows.schema,
                compression={field.name: _packing(field.type) for field in rows.schema},
                coerce_timestamps="us",
                store_schema=False,
                use_dictionary=[name for name in rows.column_names if name not in self._plain and _repeats(rows[name])],
                write_statistics=[field.name for field in rows.schema if not pa.types.is_binary(field.type)],
            )
        self._unordered |= has_no_order(rows)
        self._writer.write_table(rows, row_group_size=rows.num_rows)

    def close(self) -> WrittenFile | None:
        """The finished file; None if it has no rows."""
        if self._writer is None:
            return None
        self._writer.close()
        return _describe(self._root, self._relative, self._values, self._unordered)

    def discard(self) -> None:
        """Remove what has been written."""
        if self._writer is not None:
            self._writer.close()
            self._path.unlink()


def take_over(root: Path, path: Path, partition: Mapping[str, str | None]) -> WrittenFile:
    """A Parquet file that another writer (Spark) left at ``path`` below ``root``."""
    return _describe(root, str(path.relative_to(root)), dict(partition), ())


def redescribe(root: Path, relative: str, columns: pa.Schema, barred: Collection[str] | None = None) -> tuple[int, str]:
    """Rows and statistics of a file that stands below ``root`` already, as `write_file` tells them.

    Args:
        root: the table's folder.
        relative: the file's place below it.
        columns: of the table, but for those it is partitioned by; the file may lack some.
        barred: columns known to hold a NaN; None: the values are looked at.
    """
    path = root / relative
    return statistics(path, find_nans(path) if barred is None else barred, columns)


def find_nans(path: Path) -> set[str]:
    """Columns of a Parquet file that hold a NaN, one row group at a time."""
    with pq.ParquetFile(path) as file:
        floats = [field.name for field in file.schema_arrow if pa.types.is_floating(field.type)]
        groups = range(file.num_row_groups if floats else 0)
        return {name for group in groups for name in has_no_order(file.read_row_group(group, floats))}


def partition_text(value: Any) -> str | None:
    """A partition's value as the log and the names of folders have it."""
    if value is None:
        return None
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _place(partition: Mapping[str, Any]) -> tuple[dict[str, str | None], str]:
    """The values of a partition as text, and where a new file of it lies below its table."""
    values = {name: partition_text(value) for name, value in partition.items()}
    folders = [f"{name}={NULL_PARTITION if value is None else value}" for name, value in values.items()]
    return values, "/".join([*folders, f"part-{uuid.uuid4().hex}.parquet"])


def _describe(root: Path, relative: str, values: dict[str, str | None], barred: Collection[str]) -> WrittenFile:
    path = root / relative
    rows, stats = statistics(path, barred)
    return WrittenFile(relative, path.stat().st_size, values, stats, rows)


def _packing(kind: pa.DataType) -> str:
    """Pseudonyms are as good as random: nothing packs them."""
    return "none" if pa.types.is_binary(kind) else "zstd"


def _repeats(column: pa.ChunkedArray) -> bool:
    """Whether values repeat enough for a dictionary, by the first of them."""
    if pa.types.is_dictionary(column.type):
        return True
    if pa.types.is_nested(column.type):
        return False
    some = column.slice(0, _LOOKED_AT)
    return bool(pc.count_distinct(some).as_py() * 2 <= len(some)) or len(some) < _LOOKED_AT


# -- statistics ------------------------------------------------------------------------------------------------------


def has_no_order(rows: pa.Table) -> set[str]:
    """Columns of ``rows`` that hold a NaN: Arrow's bounds pass over it, while engines sort it above all numbers."""
    floats = [field.name for field in rows.schema if pa.types.is_floating(field.type)]
    return {name for name in floats if pc.any(pc.is_nan(rows[name])).as_py()}


def statistics(path: Path, barred: Collection[str] = (), columns: pa.Schema | None = None) -> tuple[int, str]:
    """Rows of a Parquet file and Delta's statistics of it: bounds and nulls of every column that sorts, by its footer.

    Args:
        path: of the file.
        barred: columns with a NaN.
        columns: of the table: those that the file lacks are null in all its rows, which readers are told.
    """
    footer = pq.read_metadata(path)
    low: dict[str, str] = {}
    high: dict[str, str] = {}
    nulls: dict[str, int] = {}
    kinds = {field.name: field.type for field in footer.schema.to_arrow_schema()}
    for place in range(footer.num_columns):
        name = footer.schema.column(place).path
        if name not in kinds or not _sorts(kinds[name]):
            continue
        groups = [footer.row_group(group).column(place) for group in range(footer.num_row_groups)]
        nulls[name], bounds = _read_bounds(groups, name in barred) or _compute_bounds(path, name)
        if bounds:
            low[name], high[name] = bounds
    absent = [field.name for field in columns or () if field.name not in kinds and _sorts(field.type)]
    nulls |= dict.fromkeys(absent, footer.num_rows)
    return footer.num_rows, (
        f'{{"numRecords": {footer.num_rows}, "minValues": {_object(low)}, "maxValues": {_object(high)}, '
        f'"nullCount": {json.dumps(nulls)}}}'
    )


def _read_bounds(groups: Sequence[pq.ColumnChunkMetaData], barred: bool) -> tuple[int, tuple[str, str] | None] | None:
    """Nulls and bounds (none where all are null) of a column by its footer; None where the footer does not tell."""
    parts = [group.statistics for group in groups]
    if not all(part is not None and part.has_null_count for part in parts):
        return None
    nulls = sum(part.null_count for part in parts)
    filled = [part for part, group in zip(parts, groups, strict=True) if part.null_count < group.num_values]
    if not filled:
        return nulls, None
    if all(part.has_min_max for part in filled) and not barred:
        return nulls, (_lower(min(part.min for part in filled)), _upper(max(part.max for part in filled)))
    return (nulls, _WIDEST_FLOAT) if filled[0].physical_type in ("FLOAT", "DOUBLE") else None


def _compute_bounds(path: Path, name: str) -> tuple[int, tuple[str, str] | None]:
    """The same by the values: Parquet's writers drop what they know of very long texts."""
    column = pq.ParquetFile(path).read([name])[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    bounds = pc.min_max(column).as_py()
    return column.null_count, None if bounds["min"] is None else (_lower(bounds["min"]), _upper(bounds["max"]))


def _sorts(kind: pa.DataType) -> bool:
    """Whether Delta's readers prune by columns of this type."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_nested(kind))


def _object(members: Mapping[str, str]) -> str:
    """A JSON object of members that are JSON already (decimals would lose digits as floats)."""
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in members.items()) + "}"


def _lower(value: Any) -> str:
    """JSON of a bound not above ``value``."""
    if isinstance(value, str):
        return _json(value[:BOUND_LENGTH])
    if isinstance(value, dt.datetime):
        return _instant(value - dt.timedelta(microseconds=value.microsecond % 1_000))
    return _exact(-0.0 if isinstance(value, float) and value == 0 else value)  # engines put −0 below 0


def _upper(value: Any) -> str:
    """JSON of a bound not below ``value``."""
    if isinstance(value, str):
        return _json(_round_up(value))
    if isinstance(value, dt.datetime):
        over = value.microsecond % 1_000
        last = value.replace(tzinfo=None) > dt.datetime.max - _MILLISECOND  # readers add a millisecond themselves
        return _instant(
            value + (_MILLISECOND if over and not last else dt.timedelta()) - dt.timedelta(microseconds=over)
        )
    return _exact(0.0 if isinstance(value, float) and value == 0 else value)


def _exact(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return _WIDEST_FLOAT[0 if value < 0 else 1]  # NaN sorts above all
    if isinstance(value, Decimal):
        return format(value, "f")
    return json.dumps(value.isoformat() if isinstance(value, dt.date) else value)


def _json(text: str) -> str:
    """Not escaped: deltalake reads the escape of a character beyond U+FFFF as another one."""
    return json.dumps(text, ensure_ascii=False)


def _instant(value: dt.datetime) -> str:
    """Milliseconds are what Delta's format has; bounds are rounded outwards to them."""
    return json.dumps(value.isoformat(timespec="milliseconds").replace("+00:00", "Z"))


def _round_up(value: str) -> str:
    """The shortest text from ``BOUND_LENGTH`` characters on that is not below ``value``: cut, with a higher one at its end."""
    if len(value) <= BOUND_LENGTH:
        return value
    for length in range(BOUND_LENGTH, len(value)):
        if value[length] < _HIGHEST_ASCII:
            return value[:length] + _HIGHEST_ASCII
        if value[length] < _HIGHEST:
            return value[:length] + _HIGHEST
    return value
