"""Writing a Spark frame to a Delta table as plain Parquet plus one transaction, and reading it back as Parquet.

Spark's own Delta writer reads the log, plans twice and runs hooks after the commit: seconds a table, which a
night of many small tables cannot spend. Here Spark writes Parquet into a fresh folder below the table, and one
transaction publishes those files with their statistics and removes what they replace. A killed job leaves a
folder that nothing names; VACUUM removes it. Likewise a reader that knows its partitions names their files itself:
Spark's Delta reader spends a job and a plan on the log of every table.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runtime.lake import Lake, Partition, WrittenFile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Held:
    """What a table holds by its log: live ``files`` by date and name, the ``records`` of each, the greatest ``customer_id``."""

    files: tuple[str, ...] = ()
    records: tuple[int, ...] = ()
    customer: int = 0

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(self.records)


def held(lake: Lake, table: str, by: str = "", dates: Collection[dt.date] = ()) -> Held:
    """What a table holds; where ``by`` names its date partition, of ``dates`` only. No row is read."""
    if not lake.exists(table):
        return Held()
    actions = pa.table(lake.delta(table).get_add_actions(flatten=True))
    if by and actions.num_rows:
        wanted = pa.array(sorted(dates), pa.date32())
        actions = actions.filter(pc.is_in(actions[f"partition.{by}"].cast(pa.date32()), value_set=wanted))
    if not actions.num_rows:
        return Held()
    paths = (str(lake.path(table) / path) for path in actions["path"].to_pylist())
    keys: list[Any] = actions[f"partition.{by}"].to_pylist() if by else [""] * actions.num_rows
    files = sorted(zip(keys, paths, actions["num_records"].to_pylist(), strict=True))
    most = pc.max(actions["max.customer_id"]).as_py() if "max.customer_id" in actions.column_names else None
    return Held(tuple(path for _, path, _ in files), tuple(records for *_, records in files), most or 0)


def read(spark: SparkSession, lake: Lake, table: str, files: Sequence[str] | None = None) -> DataFrame:
    """The rows of ``files`` (none named: of the whole table) with the columns and types of the catalogue.

    Every staged folder is a root of its own for Spark, which tells the partition of a file by its folders.
    Only for tables that are written by Arrow or `replace`: such have no deletion vectors.
    """
    ddl = ", ".join(f"`{column.name}` {column.type}" for column in lake.table(table).columns)
    home = lake.path(table)
    roots: dict[Path, list[str]] = {}
    for file in held(lake, table).files if files is None else files:
        folders = Path(file).relative_to(home).parts[:-1]
        roots.setdefault(home.joinpath(*(part for part in folders if "=" not in part)), []).append(file)
    frames = [
        spark.read.schema(ddl).option("basePath", str(root)).parquet(*inside) for root, inside in sorted(roots.items())
    ]
    return reduce(lambda left, right: left.union(right), frames) if frames else spark.createDataFrame([], ddl)


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
