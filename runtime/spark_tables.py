"""Writing a Spark frame to a Delta table as plain Parquet plus one transaction, and reading it back as Parquet.

Spark's own Delta writer reads the log, plans twice and runs hooks after the commit: seconds a table, which a
night of many small tables cannot spend. Here Spark writes Parquet into a fresh folder below the table, and one
transaction publishes those files with their statistics and removes what they replace. A killed job leaves a
folder that nothing names; VACUUM removes it. Likewise a reader that knows its partitions names their files itself:
Spark's Delta reader spends a job and a plan on the log of every table.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from runtime.lake import Lake, Partition
from runtime.parquet_files import NULL_PARTITION, WrittenFile, take_over

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


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


def read_held(lake: Lake, table: str, by: str = "", dates: Collection[dt.date] = ()) -> Held:
    """What a table holds; where ``by`` names its date partition, of ``dates`` only. No row is read."""
    live = lake.live_files(table, bounds=("customer_id",))
    if by:
        wanted = set(dates)
        live = sorted(
            (file for file in live if file.partition[by] in wanted), key=lambda file: (file.partition[by], file.name)
        )
    most = max((file.high["customer_id"] or 0 for file in live), default=0)
    return Held(tuple(file.path for file in live), tuple(file.rows for file in live), most)


def read(spark: SparkSession, lake: Lake, table: str, files: Sequence[str] | None = None) -> DataFrame:
    """The rows of ``files`` (none named: of the whole table) with the columns and types of the catalogue.

    Every staged folder is a root of its own for Spark, which tells the partition of a file by its folders.
    Only for tables that are written by Arrow or `replace`: such have no deletion vectors.
    """
    ddl = ", ".join(f"`{column.name}` {column.type}" for column in lake.table(table).columns)
    home = lake.path(table)
    roots: dict[Path, list[str]] = {}
    for file in read_held(lake, table).files if files is None else files:
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
    own = frame.selectExpr(*(f"cast(`{column.name}` as {column.type}) as `{column.name}`" for column in entry.columns))
    files = stage(own, lake.path(table), entry.partition_by)
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
    files = []
    for path in sorted(folder.rglob("*.parquet")):
        values = dict(part.split("=", 1) for part in path.relative_to(folder).parts[:-1])
        partition = {name: None if value == NULL_PARTITION else unquote(value) for name, value in values.items()}
        file = take_over(root, path, partition)
        if file.rows:
            files.append(file)
    return files
