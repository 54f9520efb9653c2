"""Tables of an older release: every reader finds what a filter names, whatever the files' statistics were."""

from __future__ import annotations

import datetime as dt
import json
import math
import shutil
from copy import copy
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from deltalake.transaction import AddAction

from conf.catalogue import load_catalogue
from conf.table import Column, Table
from runtime.lake import Lake
from runtime.parquet_files import WrittenFile, write_file
from runtime.table_upgrade import UpgradedTable, upgrade_tables
from tests.fixtures import readers
from tests.fixtures.kept_home import needs_kept_home, unpack

D = dt.date(2026, 1, 9)
FIRST = {"customer_id": "bigint", "text": "string", "day": "date", "real": "double"}
LATER = {"late": "string", "late_number": "int", "late_flag": "boolean", "late_real": "double"}


def lake_with(root: Path, columns: dict[str, str]) -> Lake:
    listed = tuple(Column(name=name, type=kind, doc="a value") for name, kind in {"part": "string", **columns}.items())
    table = Table(
        name="grown", row="a value", writer="nobody", kind="operation", columns=listed, partition_by=("part",)
    )
    catalogue = copy(load_catalogue())
    catalogue.__dict__["tables"] = {"grown": table}
    return Lake(root, catalogue)


def rows_of(part: str, start: int, columns: dict[str, str]) -> pa.Table:
    kinds = {"bigint": pa.int64(), "string": pa.string(), "date": pa.date32(), "double": pa.float64()}
    kinds |= {"int": pa.int32(), "boolean": pa.bool_()}
    values = {
        "customer_id": [start, start + 1, start + 2],
        "text": [f"t{start}", "x", None],
        "day": [D, D + dt.timedelta(start), None],
        "real": [float(start), math.nan if start == 1 else 0.5, None],
        "late": [f"l{start}", "x", None],
        "late_number": [start, -start, None],
        "late_flag": [True, False, None],
        "late_real": [0.5, math.nan, None],
    }
    return pa.table({"part": [part] * 3} | {name: pa.array(values[name], kinds[columns[name]]) for name in columns})


def old_lake(root: Path) -> Lake:
    """A table as release 0.1 left it: null counts of all columns, bounds of integers and dates only; one file of nulls."""
    lake = lake_with(root, FIRST)
    files = [write_file(lake.path("grown"), rows_of("a", 1, FIRST).drop_columns(["part"]), {"part": "a"})]
    empty = pa.table({name: pa.nulls(2, rows_of("b", 1, FIRST)[name].type) for name in FIRST})
    files.append(write_file(lake.path("grown"), empty, {"part": "b"}))
    deltalake.DeltaTable.create(
        str(lake.path("grown")),
        schema=deltalake.Schema.from_arrow(rows_of("a", 1, FIRST).schema),
        partition_by=["part"],
    )
    add(lake, [(file, as_0_1(file.stats)) for file in files])
    return lake


def as_0_1(stats: str) -> str:
    facts = json.loads(stats)
    for bounds in ("minValues", "maxValues"):
        facts[bounds] = {name: value for name, value in facts[bounds].items() if name in ("customer_id", "day")}
    return json.dumps(facts)


def add(lake: Lake, files: list[tuple[WrittenFile, str | None]]) -> None:
    delta = deltalake.DeltaTable(str(lake.path("grown")))
    actions = [
        AddAction(
            path=file.path,
            size=file.size,
            partition_values=file.partition,
            modification_time=1_767_000_000_000,
            data_change=True,
            stats=stats,
        )
        for file, stats in files
    ]
    delta.create_write_transaction(actions, mode="append", schema=delta.schema(), partition_by=["part"])


def test_files_of_the_last_release_are_described_anew(tmp_path: Path) -> None:
    lake = old_lake(tmp_path)
    assert any(question.startswith("grown.text") for question in readers.ask_lake(tmp_path))
    assert upgrade_tables(lake) == [UpgradedTable("grown", (), 2)]
    assert readers.ask_lake(tmp_path) == {}
    # a NaN sorts above all numbers: bounds by the footer alone would hide it
    by_part = {file.partition["part"]: file for file in lake.live_files("grown", bounds=["real", "text"])}
    assert (by_part["a"].low["real"], by_part["a"].high["real"]) == (-math.inf, math.inf)
    assert (by_part["b"].low["text"], by_part["b"].nulls["text"]) == (None, 2)
    assert {file.modified.year for file in by_part.values()} == {2025}  # what is old stays old


def test_what_is_up_to_date_is_only_looked_at(tmp_path: Path) -> None:
    lake = old_lake(tmp_path)
    upgrade_tables(lake)
    version = lake.version("grown")
    assert upgrade_tables(lake) == []
    assert lake.version("grown") == version


def test_a_kill_before_the_mark_does_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = old_lake(tmp_path)

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deltalake.table.TableAlterer.set_table_properties", kill)
    with pytest.raises(KeyboardInterrupt):
        lake.upgrade("grown")
    monkeypatch.undo()
    assert upgrade_tables(lake) == [UpgradedTable("grown", (), 2)]


@pytest.mark.parametrize("old", [True, False], ids=["of 0.1", "of today"])
def test_a_column_declared_later_is_null_in_the_files_before(tmp_path: Path, old: bool) -> None:
    if old:
        old_lake(tmp_path)
    else:
        lake_with(tmp_path, FIRST).replace_arrow("grown", rows_of("a", 1, FIRST))
    every = FIRST | LATER
    lake = lake_with(tmp_path, every)
    lake.replace_arrow("grown", rows_of("c", 5, every), partition={"part": "c"})
    upgraded = upgrade_tables(lake)
    assert upgraded == ([UpgradedTable("grown", (), 3)] if old else [])  # the write had added the columns
    assert readers.ask_lake(tmp_path) == {}
    for reader in (*readers.READERS, readers.by_query, readers.by_polars_pyarrow):
        ask = reader(lake.path("grown"))
        for name in LATER:
            assert ask(name, "null", None).num_rows == (6 if old else 4), (reader.__name__, name)
            assert ask(name, "some", None).num_rows == 2, (reader.__name__, name)
    # a third declaration: what the log knows of NaNs is kept, without a look at the values
    lake_with(tmp_path, every | {"last": "string"}).open("grown")
    assert lake.live_files("grown", {"part": "c"}, bounds=["late_real"])[0].high["late_real"] == math.inf


def test_files_without_statistics_hide_nothing(tmp_path: Path) -> None:
    lake = old_lake(tmp_path)
    foreign = write_file(lake.path("grown"), rows_of("f", 7, FIRST).drop_columns(["part"]), {"part": "f"})
    add(lake, [(foreign, None)])
    assert upgrade_tables(lake) == [UpgradedTable("grown", (), 3)]
    assert readers.ask_lake(tmp_path) == {}
    later = write_file(lake.path("grown"), rows_of("g", 9, FIRST).drop_columns(["part"]), {"part": "g"})
    add(lake, [(later, None)])  # by another program, after the upgrade
    assert readers.ask_lake(tmp_path) == {}


def test_a_file_that_is_gone_stays_the_readers_matter(tmp_path: Path) -> None:
    lake = old_lake(tmp_path)
    shutil.rmtree(lake.path("grown") / "part=b")
    assert upgrade_tables(lake) == [UpgradedTable("grown", (), 1)]


def test_a_table_that_is_not_declared_any_more_is_described_too(tmp_path: Path) -> None:
    old_lake(tmp_path)
    catalogue = copy(load_catalogue())
    catalogue.__dict__["tables"] = {}
    assert upgrade_tables(Lake(tmp_path, catalogue)) == [UpgradedTable("grown", (), 2)]
    assert readers.ask_lake(tmp_path) == {}


@needs_kept_home
@pytest.mark.whole
def test_every_reader_reads_every_table_of_an_upgraded_home(tmp_path: Path) -> None:
    lake = Lake(unpack("home-0.1.tar.zst", tmp_path, "cpc/lake") / "cpc" / "lake", load_catalogue())
    upgraded = upgrade_tables(lake)
    assert len(upgraded) > 120
    assert sum(table.files for table in upgraded) > 1_500
    assert readers.ask_lake(lake.root) == {}


@needs_kept_home
@pytest.mark.spark
def test_spark_reads_an_upgraded_home_alike(tmp_path: Path, spark) -> None:
    lake = Lake(unpack("home-0.1.tar.zst", tmp_path, "cpc/lake") / "cpc" / "lake", load_catalogue())
    upgrade_tables(lake)
    tables = (
        "assignment",
        "candidate",
        "consent",
        "customer",
        "customer_features",
        "kpi",
        "ops_delivery",
        "subscriber",
    )
    assert readers.ask_spark(lake.root, spark, tables) == {}
