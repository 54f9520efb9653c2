"""Reading and writing Delta tables: by Spark where the work is SQL's, by Arrow and one transaction elsewhere.

Every write replaces its key. ``replace_arrow`` is for small tables and for tasks that wrote Parquet
themselves (``commit_files``); ``replace_spark`` is for frames. One commit a call.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction, CommitProperties

from conf.catalogue import Catalogue
from conf.errors import MendableError
from conf.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_ARROW = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "smallint": pa.int16(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "binary": pa.binary(),
    "array<bigint>": pa.list_(pa.field("element", pa.int64())),
}
Partition = Mapping[str, Any]


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of a catalogued table, column by column in the order of the catalogue."""
    return pa.schema(
        [pa.field(column.name, _arrow_type(column.type), nullable=column.nullable) for column in table.columns]
    )


def _arrow_type(ddl: str) -> pa.DataType:
    if ddl.startswith("decimal("):
        precision, scale = ddl[8:-1].split(",")
        return pa.decimal128(int(precision), int(scale))
    return _ARROW[ddl]


@dataclass(frozen=True)
class Lake:
    """The Delta tables below ``root``, as ``catalogue`` describes them; those in ``versions`` as of that Delta version."""

    root: Path
    catalogue: Catalogue
    versions: Mapping[str, int] = field(default_factory=dict)

    def path(self, table: str) -> Path:
        """Where ``table`` lives."""
        return self.root / table

    def table(self, table: str) -> Table:
        """The catalogue's entry of ``table``.

        Raises:
            MendableError: the catalogue has no such table.
        """
        try:
            return self.catalogue.tables[table]
        except KeyError as error:
            raise MendableError(
                f"no table {table!r} in the catalogue", where="conf/tables", remedy=f"write conf/tables/{table}.yml"
            ) from error

    def exists(self, table: str) -> bool:
        """Whether ``table`` has been written yet."""
        return (self.path(table) / "_delta_log").is_dir()

    def version(self, table: str) -> int:
        """The Delta version of ``table``; −1 if it has not been written."""
        return self.delta(table).version() if self.exists(table) else -1

    def delta(self, table: str) -> deltalake.DeltaTable:
        """A handle on ``table``, created empty if it does not exist."""
        if not self.exists(table):
            self._create(table)
        return deltalake.DeltaTable(str(self.path(table)), version=self.versions.get(table))

    def fit(self, table: str) -> None:
        """Have a table of derived rows fit its declaration: new columns are added, else it is made (again), empty."""
        delta, wanted = self.delta(table), nullable(arrow_schema(self.table(table)))
        held = pa.schema(delta.schema().to_arrow())
        types = {field.name: field.type for field in held}
        same = all(types.get(field.name, field.type) == field.type for field in wanted)
        if same and tuple(delta.metadata().partition_columns) == self.table(table).partition_by:
            self.grow(table, wanted)
        else:
            shutil.rmtree(self.path(table))
            self._create(table)

    def _create(self, name: str) -> None:
        table = self.table(name)
        path = self.path(name)
        path.mkdir(parents=True, exist_ok=True)
        deltalake.DeltaTable.create(
            str(path),
            schema=deltalake.Schema.from_arrow(nullable(arrow_schema(table))),
            mode="ignore",
            partition_by=list(table.partition_by),
        )

    # -- reading -------------------------------------------------------------------------------------------------

    def arrow(
        self, table: str, *, partition: Partition | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Rows of a (small, bounded) table or partition as Arrow; an unwritten table has no rows."""
        if not self.exists(table):
            empty = nullable(arrow_schema(self.table(table))).empty_table()
            return empty.select(list(columns)) if columns is not None else empty
        dataset = self.delta(table).to_pyarrow_dataset()
        condition = None
        for key, value in (partition or {}).items():
            term = pc.field(key) == pa.scalar(value)
            condition = term if condition is None else condition & term
        return dataset.to_table(columns=list(columns) if columns is not None else None, filter=condition)

    def files(self, table: str, partition: Partition | None = None) -> list[str]:
        """Absolute paths of the live Parquet files of a partition, in name order: what tasks are given."""
        if not self.exists(table):
            return []
        actions = pa.table(self.delta(table).get_add_actions(flatten=True)).to_pylist()
        root = self.path(table)
        return sorted(str(root / a["path"]) for a in actions if _in_partition(a, partition or {}))

    def spark(self, spark: SparkSession, table: str) -> DataFrame:
        """``table`` as a Spark frame, created empty if it has not been written."""
        self.delta(table)
        return spark.read.format("delta").load(str(self.path(table)))

    # -- writing -------------------------------------------------------------------------------------------------

    def replace_arrow(self, table: str, rows: pa.Table, *, partition: Partition | None = None) -> int:
        """Replace ``partition`` (or the whole table) by ``rows`` in one commit; returns the number of rows.

        Partition columns may be absent from ``rows`` where ``partition`` gives them.
        """
        entry = self.table(table)
        schema = nullable(arrow_schema(entry))
        for key, value in (partition or {}).items():
            if key not in rows.column_names:
                rows = rows.append_column(key, pa.array([value] * rows.num_rows, schema.field(key).type))
        rows = rows.select(schema.names).cast(schema)
        self.grow(table, schema)
        files: list[WrittenFile] = []
        if rows.num_rows:
            files = write_partitions(self.path(table), rows, entry.partition_by)
        self.commit_files(table, files, replace=[partition or {}])
        return rows.num_rows

    def grow(self, table: str, schema: pa.Schema) -> None:
        """Give a table made by an earlier release the columns declared since; rows written before have null there."""
        delta = self.delta(table)
        known = {field.name for field in delta.schema().fields}
        declared = deltalake.Schema.from_arrow(schema).fields
        if new := [field for field in declared if field.name not in known]:
            delta.alter.add_columns(new)

    def commit_files(
        self,
        table: str,
        files: Sequence[WrittenFile],
        *,
        replace: Sequence[Partition] = (),
        applied: Mapping[str, int] | None = None,
        handle: deltalake.DeltaTable | None = None,
    ) -> None:
        """Publish Parquet files that tasks wrote below the table, removing the partitions named in ``replace``.

        Args:
            table: the table.
            files: what the tasks wrote.
            replace: partition values whose current files go; ``{}`` means all of them.
            applied: application transactions (id → version) recorded in the same commit.
            handle: the handle on which the caller looked whether the transaction is already there; a commit
                by someone else since then is a conflict.
        """
        delta = handle or self.delta(table)
        removals: list[dict[str, Any]] = []
        if replace:
            current = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
            removals = [a for a in current if any(_in_partition(a, keys) for keys in replace)]
        if not files and not removals and not applied:
            return
        _commit(delta, files, removals, applied or {})

    def replace_spark(self, table: str, frame: DataFrame, *, where: str | None = None) -> None:
        """Replace what ``where`` (a predicate over partition columns; the whole table if None) selects by ``frame``."""
        entry = self.table(table)
        self.delta(table)
        names = [column.name for column in entry.columns]
        writer = frame.select(*names).write.format("delta").mode("overwrite")
        writer = writer.option("mergeSchema", "true")  # a column declared since the table was made is added to it
        if where:
            writer = writer.option("replaceWhere", where)
        writer.save(str(self.path(table)))


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


def nullable(schema: pa.Schema) -> pa.Schema:
    """The same schema with every field nullable: what Delta stores; constraints are checked in the task."""
    return pa.schema([field.with_nullable(True) for field in schema])


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
    values = {name: _partition_text(value) for name, value in partition.items()}
    folder = "/".join(
        f"{name}={value if value is not None else '__HIVE_DEFAULT_PARTITION__'}" for name, value in values.items()
    )
    relative = f"{folder}/part-{uuid.uuid4().hex}.parquet" if folder else f"part-{uuid.uuid4().hex}.parquet"
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
    return WrittenFile(relative, path.stat().st_size, values, statistics(rows), rows.num_rows)


def _partition_text(value: Any) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def statistics(rows: pa.Table) -> str:
    """Delta's per-file statistics: rows, and minimum, maximum, nulls of the columns that sort."""
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for name in rows.column_names:
        column = rows[name]
        nulls[name] = column.null_count
        kind = column.type
        if not (pa.types.is_integer(kind) or pa.types.is_date(kind)) or column.null_count == len(column):
            continue
        bounds = pc.min_max(column).as_py()
        low[name], high[name] = (v.isoformat() if isinstance(v, dt.date) else v for v in (bounds["min"], bounds["max"]))
    return json.dumps({"numRecords": rows.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls})


def _in_partition(action: Mapping[str, Any], keys: Partition) -> bool:
    """Whether a file belongs to ``keys``: partition values, or a column that has one value in the whole file."""
    for name, value in keys.items():
        if f"partition.{name}" in action:
            if _partition_text(action[f"partition.{name}"]) != _partition_text(value):
                return False
        elif not action.get(f"min.{name}") == action.get(f"max.{name}") == value:
            return False
    return True


def _commit(
    delta: deltalake.DeltaTable,
    files: Sequence[WrittenFile],
    removals: Sequence[Mapping[str, Any]],
    applied: Mapping[str, int],
) -> None:
    now = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    actions: list[Any] = [
        AddAction(
            path=file.path,
            size=file.size,
            partition_values=file.partition,
            modification_time=now,
            data_change=True,
            stats=file.stats,
        )
        for file in files
    ]
    names = list(delta.metadata().partition_columns)
    actions += [
        deltalake.transaction.RemoveAction(
            path=action["path"],
            data_change=True,
            deletion_timestamp=now,
            partition_values={name: _partition_text(action.get(f"partition.{name}")) for name in names},
            size=action["size_bytes"],
        )
        for action in removals
    ]
    transactions = [deltalake.Transaction(app_id, version) for app_id, version in sorted(applied.items())]
    delta.create_write_transaction(
        actions,
        mode="append",
        schema=delta.schema(),
        partition_by=names or None,
        commit_properties=CommitProperties(app_transactions=transactions) if transactions else None,
    )
