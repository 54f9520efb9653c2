"""A Parquet file written piece by piece below a table, with Delta's statistics at its end; nothing is published."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runtime.lake import WrittenFile

#: Values that tell whether those of a column repeat.
_LOOKED_AT = 4_096


class Sink:
    """The rows of one partition.

    Args:
        root: folder of the table.
        partition: the partition's values; its columns are not in the rows.
        plain: columns whose values hardly repeat: a dictionary of them would cost and save nothing.
        marked: text columns whose bounds are kept too (a file with one delivery is known by them).
    """

    def __init__(
        self, root: Path, partition: Mapping[str, Any], plain: Sequence[str] = (), marked: Sequence[str] = ()
    ) -> None:
        self._values = {
            name: value.isoformat() if isinstance(value, dt.date) else str(value) for name, value in partition.items()
        }
        folder = "/".join(f"{name}={value}" for name, value in self._values.items())
        self._relative = f"{folder}/part-{uuid.uuid4().hex}.parquet"
        self._path = root / self._relative
        self._plain, self._marked = frozenset(plain), frozenset(marked)
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
                write_statistics=[
                    field.name for field in rows.schema if _sorts(field.type) or field.name in self._marked
                ],
            )
        self._writer.write_table(rows, row_group_size=rows.num_rows)

    def close(self) -> WrittenFile | None:
        """The finished file; None if it has no rows."""
        if self._writer is None:
            return None
        self._writer.close()
        footer = pq.read_metadata(self._path)
        size = self._path.stat().st_size
        return WrittenFile(self._relative, size, dict(self._values), _statistics(footer), footer.num_rows)

    def discard(self) -> None:
        """Remove what has been written."""
        if self._writer is not None:
            self._writer.close()
            self._path.unlink()


def _packing(kind: pa.DataType) -> str:
    """Pseudonyms are as good as random: nothing packs them."""
    return "none" if pa.types.is_binary(kind) else "zstd"


def _repeats(column: pa.ChunkedArray) -> bool:
    """Whether values repeat enough for a dictionary, by the first of them."""
    if pa.types.is_dictionary(column.type):
        return True
    some = column.slice(0, _LOOKED_AT)
    return bool(pc.count_distinct(some).as_py() * 2 <= len(some)) or len(some) < _LOOKED_AT


def _sorts(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_date(kind))


def _statistics(footer: pq.FileMetaData) -> str:
    """Delta's statistics of a file, from those of its row groups: rows, bounds and nulls of columns that have them."""
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for place in range(footer.num_columns):
        groups = [footer.row_group(group).column(place) for group in range(footer.num_row_groups)]
        known = [group.statistics for group in groups]
        if any(one is None or not one.has_null_count for one in known):
            continue
        name = groups[0].path_in_schema
        nulls[name] = sum(one.null_count for one in known)
        bounded = [one for one in known if one.has_min_max]
        if bounded:
            low[name], high[name] = _said(min(one.min for one in bounded)), _said(max(one.max for one in bounded))
    return json.dumps({"numRecords": footer.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls})


def _said(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date) else value
