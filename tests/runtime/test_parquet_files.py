"""Statistics never hide a row: every reader finds by a filter what it finds without one, whoever wrote the files."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Iterator
from copy import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from conf.catalogue import load_catalogue
from conf.table import Column, Table
from runtime import spark_tables
from runtime.lake import Lake, arrow_schema
from runtime.parquet_files import PartWriter, WrittenFile, write_file
from tests.fixtures import readers

TYPES = {
    "customer_id": "bigint",
    "text": "string",
    "whole": "int",
    "short": "smallint",
    "real": "double",
    "flag": "boolean",
    "day": "date",
    "moment": "timestamp",
    "amount": "decimal(20,3)",
    "hidden": "binary",
    "several": "array<bigint>",
}
UTC = dt.UTC
LONG = "界" * 40
Rows = list[dict[str, Any]]


def row(number: int, **values: Any) -> dict[str, Any]:
    return {name: values.get(name) for name in TYPES} | {"customer_id": number}


def full(number: int, text: str, real: float, moment: dt.datetime, flag: bool) -> dict[str, Any]:
    return row(
        number,
        text=text,
        whole=number - 3,
        short=-number,
        real=real,
        flag=flag,
        day=dt.date(2026, 1, number),
        moment=moment,
        amount=Decimal("12345678901234567.005") * (-1) ** number + number,
        hidden=bytes([255 - number]),
        several=[number],
    )


#: A file a list: plain values; texts longer than a bound may be, the highest character, a NaN, microseconds, −0;
#: a file whose every value is null but the key; one text so long that Parquet keeps no bound of it.
FILES: dict[str, Rows] = {
    "plain": [
        full(1, "apple", 1.5, dt.datetime(2026, 1, 1, 2, 3, 4, 0, UTC), True),
        full(2, "pear", -2.5, dt.datetime(2026, 1, 2, 2, 3, 4, 0, UTC), True),
        row(3),
    ],
    "edges": [
        full(4, LONG + "a", math.nan, dt.datetime(2026, 1, 4, 2, 3, 4, 999_999, UTC), False),
        full(5, "\U0010ffff" * 40, -0.0, dt.datetime(2026, 1, 4, 2, 3, 4, 1, UTC), False),
        full(6, "a'b\"\\", math.inf, dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), True),
        full(7, "x" * 40, 0.25, dt.datetime(2026, 1, 7, 0, 0, 0, 500, UTC), True),
    ],
    "null": [row(8), row(9)],
    "huge": [full(10, "", 3.0, dt.datetime(2026, 1, 10, tzinfo=UTC), True), row(11, text="z" * 9_000)],
}
ALL = [values for rows in FILES.values() for values in rows]
TABLE = Table(
    name="matrix",
    row="a set of values",
    writer="nobody",
    kind="operation",
    columns=tuple(Column(name=name, type=kind, doc="a value") for name, kind in {"part": "string", **TYPES}.items()),
    partition_by=("part",),
)


def arrow_rows(rows: Rows) -> pa.Table:
    return pa.Table.from_pylist(rows, arrow_schema(TABLE).remove(0))


def by_part(root: Path, rows: pa.Table, part: str) -> WrittenFile:
    return write_file(root, rows, {"part": part}, ends=[1, rows.num_rows] if rows.num_rows > 1 else ())


def by_pieces(root: Path, rows: pa.Table, part: str) -> WrittenFile:
    writer = PartWriter(root, {"part": part})
    for at in range(rows.num_rows):
        writer.write(rows.slice(at, 1))
    written = writer.close()
    assert written is not None
    return written


def lake_of(root: Path) -> Lake:
    catalogue = copy(load_catalogue())
    catalogue.__dict__["tables"] = {"matrix": TABLE}
    return Lake(root, catalogue)


@pytest.fixture(scope="module", params=[by_part, by_pieces], ids=["part", "pieces"])
def lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = lake_of(tmp_path_factory.mktemp("lake"))
    files = [request.param(made.path("matrix"), arrow_rows(rows), part) for part, rows in FILES.items()]
    made.commit_files("matrix", files)
    return made


READERS = [*readers.READERS, *readers.WRAPPERS]


def wanted(column: str, comparison: str, value: Any) -> set[int]:
    def holds(seen: Any) -> bool:
        if comparison in readers.SQL:
            return (seen is None) == (comparison == "null")
        if seen is None:
            return False
        return {"=": lambda: seen == value, "<=": lambda: seen <= value, ">=": lambda: seen >= value}[comparison]()

    return {row["customer_id"] for row in ALL if holds(row[column])}


def questions() -> Iterator[tuple[str, str, Any]]:
    for column in TYPES:
        yield column, "null", None
        yield column, "some", None
        values = [row[column] for row in ALL if row[column] is not None and column != "several"]
        for value in dict.fromkeys(value for value in values if not (isinstance(value, float) and math.isnan(value))):
            for comparison in ("=",) if column in ("flag", "hidden") else ("=", "<=", ">="):
                yield column, comparison, value


def misses(
    open_table: Callable[..., readers.Reader], lake: Lake
) -> dict[tuple[str, str, str], tuple[set[int], set[int]]]:
    """Questions to which a reader gives other rows than it should: (found, wanted)."""
    ask = open_table(lake.path("matrix"), "customer_id")
    wrong = {}
    for column, comparison, value in questions():
        if open_table is readers.by_filters and comparison in readers.SQL:
            continue  # its filters have no such question
        undecided = {4} if (column, comparison) in (("real", "<="), ("real", ">=")) else set()  # NaN: engines differ
        found = set(ask(column, comparison, value)["customer_id"].to_pylist()) - undecided
        if found != (right := wanted(column, comparison, value) - undecided):
            wrong[column, comparison, str(value)[:30]] = (found, right)
    return wrong


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@pytest.mark.whole
def test_a_filter_finds_the_rows_it_names(lake: Lake, reader: Callable[..., readers.Reader]) -> None:
    assert misses(reader, lake) == {}


def test_every_file_bounds_every_column_that_sorts(lake: Lake) -> None:
    """A bound that one file lacks is one that deltalake's reader takes for unmeetable."""
    files = lake.live_files("matrix", bounds=list(TYPES))
    assert [file.partition["part"] for file in files] == sorted(FILES)
    for file in files:
        rows = FILES[file.partition["part"]]
        for name in set(TYPES) - {"hidden", "several"}:
            filled = [row[name] for row in rows if row[name] is not None]
            assert file.nulls[name] == len(rows) - len(filled)
            assert (file.low[name] is None) == (file.high[name] is None) == (not filled), (file.name, name)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("short", "short", "short"),
        ("a" * 33, "a" * 32, "a" * 32 + "\x7f"),
        ("界" * 33, "界" * 32, "界" * 32 + "\U0010ffff"),
        ("a" * 32 + "\U0010ffff" * 2 + "b", "a" * 32, "a" * 32 + "\U0010ffff" * 2 + "\x7f"),
        ("\U0010ffff" * 34, "\U0010ffff" * 32, "\U0010ffff" * 34),
    ],
    ids=["short", "ascii", "chinese", "last character next", "last characters"],
)
def test_long_texts_are_cut_below_and_rounded_up_above(text: str, low: str, high: str, tmp_path: Path) -> None:
    stats = json.loads(write_file(tmp_path, pa.table({"text": [text, None]}), {}).stats)
    assert (stats["minValues"]["text"], stats["maxValues"]["text"]) == (low, high)
    assert low <= text <= high


def test_statistics_are_as_delta_writes_them(tmp_path: Path) -> None:
    moments = [dt.datetime(2026, 1, 9, 1, 2, 3, 456_789, UTC), dt.datetime.max.replace(tzinfo=UTC)]
    rows = pa.table(
        {
            "n": [3, 1, None],
            "day": [dt.date(2026, 1, 9), dt.date(2026, 1, 8), None],
            "moment": pa.array([*moments, None], pa.timestamp("us", tz="UTC")),
            "amount": pa.array([Decimal("0.005"), Decimal("12345678901234567.005"), None], pa.decimal128(20, 3)),
            "real": [0.0, math.inf, None],
            "nothing": pa.array([None, None, None], pa.string()),
            "bytes": [b"x", None, None],
        }
    )
    written = write_file(tmp_path, rows, {})
    told = json.loads(written.stats, parse_float=Decimal)
    assert told["numRecords"] == written.rows == 3
    assert told["minValues"] == {
        "n": 1,
        "day": "2026-01-08",
        "moment": "2026-01-09T01:02:03.456Z",
        "amount": Decimal("0.005"),
        "real": Decimal("-0.0"),
    }
    assert told["maxValues"] == {
        "n": 3,
        "day": "2026-01-09",
        "moment": "9999-12-31T23:59:59.999Z",
        "amount": Decimal("12345678901234567.005"),
        "real": "Infinity",
    }
    assert told["nullCount"] == {"n": 1, "day": 1, "moment": 1, "amount": 1, "real": 1, "nothing": 3}


def by_spark(part: str, rows: Rows, root: Path, spark: Any) -> list[WrittenFile]:
    ddl = ", ".join(f"{column.name} {column.type}" for column in TABLE.columns)
    frame = spark.createDataFrame([(part, *row.values()) for row in rows], ddl)
    return spark_tables.stage(frame.coalesce(1), root, ("part",))


@pytest.mark.spark
def test_spark_finds_them_too_and_its_files_are_bounded_alike(tmp_path: Path, spark: Any) -> None:
    from pyspark.sql import functions as sf

    ours, its = lake_of(tmp_path / "ours"), lake_of(tmp_path / "its")
    for part, rows in FILES.items():
        ours.commit_files("matrix", [by_part(ours.path("matrix"), arrow_rows(rows), part)])
        its.commit_files("matrix", by_spark(part, rows, its.path("matrix"), spark))
    source = ours.spark(spark, "matrix")
    for column, comparison, value in questions():
        if comparison == "=" and column in ("text", "real", "flag", "moment", "amount"):
            found = source.where(sf.col(column) == sf.lit(value).cast(TYPES[column])).select("customer_id").collect()
            assert {row.customer_id for row in found} == wanted(column, comparison, value), (column, value)
    for reader in readers.READERS:
        assert misses(reader, its) == {}, reader.__name__
