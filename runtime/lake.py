"""Reading and writing Delta tables by Arrow and one transaction.

Every write replaces its key, in one commit a call: ``replace_arrow`` writes small tables, ``commit_files`` publishes
what tasks wrote, `runtime.spark_tables` what Spark did. Which files are live is asked of Delta's log here alone.
"""

from __future__ import annotations

import datetime as dt
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.transaction import AddAction, CommitProperties

from conf.catalogue import Catalogue
from conf.errors import UserError
from conf.table import Table
from runtime.parquet_files import WrittenFile, partition_text, redescribe, write_partitions

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
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
#: A property of every table whose files all have statistics as `parquet_files.statistics` tells them now; release 0.1
#: had none, and null counts without bounds, by which deltalake's and DuckDB's readers leave out rows that a filter names.
_DESCRIBED = {"cpc.statistics": "2"}
#: Bounds of a column with a NaN.
_WIDEST = (-math.inf, math.inf)


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
class LiveFile:
    """A file that a table's log holds to be live.

    Attributes:
        root: the table's folder.
        name: the file's place below it.
        size: in bytes.
        rows: how many it has.
        partition: values of the partition columns, in their own types.
        modified: when it was committed.
        low: least values of the columns asked for; None where the log does not tell.
        high: greatest values likewise.
        nulls: numbers of nulls likewise.
    """

    root: Path
    name: str
    size: int
    rows: int
    partition: Partition
    modified: dt.datetime
    low: Mapping[str, Any]
    high: Mapping[str, Any]
    nulls: Mapping[str, int | None]

    @property
    def path(self) -> str:
        """The absolute path."""
        return str(self.root / self.name)

    def belongs_to(self, partition: Partition) -> bool:
        """Whether all rows are of ``partition``: by partition columns, or by columns that have one value in the file."""
        return all(
            self.partition[name] == value if name in self.partition else self._has_only(name, value)
            for name, value in partition.items()
        )

    def _has_only(self, name: str, value: Any) -> bool:
        if value is None:
            return self.nulls[name] == self.rows
        return self.nulls[name] == 0 and self.low[name] == self.high[name] == value


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
            UserError: the catalogue has no such table.
        """
        try:
            return self.catalogue.tables[table]
        except KeyError as error:
            raise UserError(
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

    def open(self, table: str) -> deltalake.DeltaTable:
        """A handle on ``table`` as it is declared now: made if it does not exist, with the columns declared since.

        Rows written before have null there, and their files' statistics say so: readers take a file of which they are
        told nothing for one without nulls. Every writer, and every reader by Spark, comes through here, so what is
        written is what any reader of the log sees. A table of a fixed version stays as it was.
        """
        delta = self.delta(table)
        if table in self.versions:
            return delta
        present = pa.schema(delta.schema().to_arrow())
        if new := [field for field in nullable(arrow_schema(self.table(table))) if field.name not in present.names]:
            # statistics first: of a column that the schema lacks they mean nothing, so a kill in between does no harm
            _redescribe(delta, pa.schema([*present, *new]), by_log=_is_described(delta))
            delta.alter.add_columns(deltalake.Schema.from_arrow(pa.schema(new)).fields)
        return delta

    def upgrade(self, table: str) -> tuple[list[str], int]:
        """Have a table of an older release read right by every reader: columns declared since, statistics of every file.

        The first time reads the footer of every live file and its columns of floats, afterwards one look at the log.

        Returns:
            the columns added, and how many files were described anew.
        """
        before = [field.name for field in self.delta(table).schema().fields]
        known = table in self.catalogue.tables  # a table of a feed that was removed stays as it is
        delta = self.open(table) if known else self.delta(table)
        files = 0
        if not _is_described(delta):
            files = _redescribe(delta, pa.schema(delta.schema().to_arrow()), by_log=False)
            delta.alter.set_table_properties(_DESCRIBED, raise_if_not_exists=False)
        return [field.name for field in delta.schema().fields if field.name not in before], files

    def fit(self, table: str) -> None:
        """Have a table of derived rows fit its declaration: new columns are added, else it is made (again), empty."""
        delta, wanted = self.delta(table), nullable(arrow_schema(self.table(table)))
        schema = pa.schema(delta.schema().to_arrow())
        types = {field.name: field.type for field in schema}
        same = all(types.get(field.name, field.type) == field.type for field in wanted)
        if same and tuple(delta.metadata().partition_columns) == self.table(table).partition_by:
            self.open(table)
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
            configuration=_DESCRIBED,
            raise_if_key_not_exists=False,
        )

    # -- reading -------------------------------------------------------------------------------------------------

    def arrow(
        self, table: str, *, partition: Partition | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Rows of a (small, bounded) table or partition as Arrow; an unwritten table has no rows.

        A declared column that the table does not have yet is null.
        """
        if not self.exists(table):
            empty = nullable(arrow_schema(self.table(table))).empty_table()
            return empty.select(list(columns)) if columns is not None else empty
        dataset = self.delta(table).to_pyarrow_dataset()
        condition = None
        for key, value in (partition or {}).items():
            term = pc.field(key) == pa.scalar(value)
            condition = term if condition is None else condition & term
        if columns is None:
            return dataset.to_table(filter=condition)
        rows = dataset.to_table(columns=[name for name in columns if name in dataset.schema.names], filter=condition)
        declared = nullable(arrow_schema(self.table(table)))
        for name in [name for name in columns if name not in rows.column_names]:
            rows = rows.append_column(declared.field(name), pa.nulls(rows.num_rows, declared.field(name).type))
        return rows.select(list(columns))

    def live_files(
        self,
        table: str,
        partition: Partition | None = None,
        *,
        bounds: Sequence[str] = (),
        handle: deltalake.DeltaTable | None = None,
    ) -> list[LiveFile]:
        """The files that Delta's log holds to be live, in name order; an unwritten table has none.

        Args:
            table: the table.
            partition: only files whose rows are all of it.
            bounds: columns whose least and greatest values are wanted.
            handle: the handle to ask, so that its commit is one on what was seen.
        """
        if handle is None and not self.exists(table):
            return []
        asked = sorted({*bounds, *(partition or {})} - set(self.table(table).partition_by))
        actions = pa.table((handle or self.delta(table)).get_add_actions(flatten=True))
        names = [name for name in actions.column_names if name.startswith("partition.")]
        stats = {f"{kind}.{name}" for kind in ("min", "max", "null_count") for name in asked} & {*actions.column_names}
        wanted = ["path", "size_bytes", "modification_time", "num_records", *names, *sorted(stats)]
        files = [
            LiveFile(
                self.path(table),
                row["path"],
                row["size_bytes"],
                row["num_records"],
                {name.removeprefix("partition."): row[name] for name in names},
                _EPOCH + dt.timedelta(milliseconds=row["modification_time"]),
                *({name: row.get(f"{kind}.{name}") for name in asked} for kind in ("min", "max", "null_count")),
            )
            for row in actions.select(wanted).to_pylist()
        ]
        return sorted((file for file in files if file.belongs_to(partition or {})), key=lambda file: file.name)

    def files(self, table: str, partition: Partition | None = None) -> list[str]:
        """Absolute paths of the live files of a partition, in name order: what tasks are given."""
        return [file.path for file in self.live_files(table, partition)]

    def dates(self, table: str) -> list[dt.date]:
        """The dates for which ``table`` has rows, ascending, by its first partition column that is a date."""
        entry = self.table(table)
        types = {column.name: column.type for column in entry.columns}
        by = next(name for name in entry.partition_by if types[name] == "date")
        return sorted({file.partition[by] for file in self.live_files(table)} - {None})

    def spark(self, spark: SparkSession, table: str) -> DataFrame:
        """``table`` as a Spark frame, created empty if it has not been written."""
        self.open(table)
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
        files: list[WrittenFile] = []
        if rows.num_rows:
            files = write_partitions(self.path(table), rows, entry.partition_by)
        self.commit_files(table, files, replace=[partition or {}])
        return rows.num_rows

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
            handle: what `open` gave, on which the caller looked whether the transaction is already there; a commit
                by someone else since then is a conflict.
        """
        delta = handle or self.open(table)
        removals: list[LiveFile] = []
        if replace:
            keys = sorted({name for partition in replace for name in partition})
            live = self.live_files(table, bounds=keys, handle=delta)
            removals = [file for file in live if any(file.belongs_to(partition) for partition in replace)]
        if not files and not removals and not applied:
            return
        _commit(delta, files, removals, applied or {})


def nullable(schema: pa.Schema) -> pa.Schema:
    """The same schema with every field nullable: what Delta stores; constraints are checked in the task."""
    return pa.schema([field.with_nullable(True) for field in schema])


def _is_described(delta: deltalake.DeltaTable) -> bool:
    return delta.metadata().configuration.items() >= _DESCRIBED.items()


def _redescribe(delta: deltalake.DeltaTable, schema: pa.Schema, *, by_log: bool) -> int:
    """Tell the log anew what every live file holds, in one commit that changes no row; returns how many files.

    Args:
        delta: the table.
        schema: its columns.
        by_log: take from the log which columns of floats hold a NaN; else look.
    """
    names = list(delta.metadata().partition_columns)
    columns = pa.schema([field for field in schema if field.name not in names])
    floats = [field.name for field in columns if pa.types.is_floating(field.type)]
    root = Path(unquote(urlparse(delta.table_uri).path))
    actions = []
    for row in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        if not (root / row["path"]).is_file():
            continue  # whoever asks for its rows is told that it is gone
        widest = {name for name in floats if (row.get(f"min.{name}"), row.get(f"max.{name}")) == _WIDEST}
        _, stats = redescribe(root, row["path"], columns, widest if by_log else None)
        partition = {name: partition_text(row[f"partition.{name}"]) for name in names}
        actions.append(
            AddAction(
                path=row["path"],
                size=row["size_bytes"],
                partition_values=partition,
                modification_time=row["modification_time"],
                data_change=False,
                stats=stats,
            )
        )
    if actions:
        delta.create_write_transaction(actions, mode="append", schema=delta.schema(), partition_by=names or None)
    return len(actions)


def _commit(
    delta: deltalake.DeltaTable,
    files: Sequence[WrittenFile],
    removals: Sequence[LiveFile],
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
            path=file.name,
            data_change=True,
            deletion_timestamp=now,
            partition_values={name: partition_text(value) for name, value in file.partition.items()},
            size=file.size,
        )
        for file in removals
    ]
    transactions = [deltalake.Transaction(app_id, version) for app_id, version in sorted(applied.items())]
    delta.create_write_transaction(
        actions,
        mode="append",
        schema=delta.schema(),
        partition_by=names or None,
        commit_properties=CommitProperties(app_transactions=transactions) if transactions else None,
    )
