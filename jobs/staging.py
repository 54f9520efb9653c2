"""Writing a Spark frame to a Delta table as plain Parquet plus one transaction.

Spark's own Delta writer reads the log, plans twice and runs hooks after the commit: seconds a table, which a
night of many small tables cannot spend. Here Spark writes Parquet into a fresh folder below the table, and one
transaction publishes those files with their statistics and removes what they replace. A killed job leaves a
folder that nothing names; VACUUM removes it.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow.parquet as pq

from jobs.lake import Lake, Partition, WrittenFile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_NULL = "__HIVE_DEFAULT_PARTITION__"


def replace(lake: Lake, table: str, frame: DataFrame, *, partitions: Sequence[Partition] = ({},)) -> int:
    """Replace ``partitions`` (``{}``: the whole table) of ``table`` by ``frame`` in one commit.

    Rows must belong to the partitions named; the caller's order within tasks is the order in the files.

    Returns:
        the number of rows written.
    """
    entry = lake.table(table)
    lake.delta(table)
    files = stage(frame.select(*(column.name for column in entry.columns)), lake.path(table), entry.partition_by)
    lake.commit_files(table, files, replace=list(partitions))
    return sum(file.rows for file in files)


def stage(frame: DataFrame, root: Path, partition_by: Sequence[str]) -> list[WrittenFile]:
    """Let Spark write Parquet into a fresh folder below ``root``: files that a commit may publish."""
    spark = frame.sparkSession
    spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")  # what Delta's readers expect
    folder = root / f"load-{uuid.uuid4().hex}"
    writer = frame.write.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false").option(
        "compression", "zstd"
    )
    if partition_by:
        writer = writer.partitionBy(*partition_by)
    writer.parquet(str(folder))
    found = []
    for path in sorted(folder.rglob("*.parquet")):
        values = dict(part.split("=", 1) for part in path.relative_to(folder).parts[:-1])
        partition = {name: None if value == _NULL else unquote(value) for name, value in values.items()}
        rows, stats = footer(path)
        if rows:
            found.append(WrittenFile(str(path.relative_to(root)), path.stat().st_size, partition, stats, rows))
    return found


def footer(path: Path) -> tuple[int, str]:
    """Rows of a Parquet file and Delta's statistics JSON (integers and dates), from its footer alone."""
    meta = pq.read_metadata(path)
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for group in range(meta.num_row_groups):
        row_group = meta.row_group(group)
        for position in range(row_group.num_columns):
            column = row_group.column(position)
            name, said = column.path_in_schema, column.statistics
            if "." in name or said is None or not said.has_null_count:
                continue
            nulls[name] = nulls.get(name, 0) + said.null_count
            if said.has_min_max and (
                isinstance(said.min, int | dt.date) and not isinstance(said.min, bool | dt.datetime)
            ):
                low[name] = min(low.get(name, said.min), said.min)
                high[name] = max(high.get(name, said.max), said.max)
    stats = {"numRecords": meta.num_rows, "minValues": _text(low), "maxValues": _text(high), "nullCount": nulls}
    return meta.num_rows, json.dumps(stats)


def _text(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, dt.date) else value for name, value in values.items()}
