"""The lake: a write replaces its key, both writers agree, and what was applied is remembered."""

from __future__ import annotations

import datetime as dt
from copy import copy
from pathlib import Path

import pyarrow as pa
import pytest

from conf.errors import UserError
from runtime import spark_tables
from runtime.lake import Lake, arrow_schema
from runtime.parquet_files import write_partitions
from tests.fixtures.catalogue import frozen

D = dt.date(2026, 1, 9)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path, frozen())


def funnel(rules: list[str]) -> pa.Table:
    schema = arrow_schema(frozen().tables["funnel"])
    filled = {"rule": rules, "position": list(range(len(rules)))}
    columns = {f.name: filled.get(f.name, [None] * len(rules)) for f in schema if f.name != "business_date"}
    return pa.table({name: pa.array(values, schema.field(name).type) for name, values in columns.items()})


def rules(lake: Lake, **partition: dt.date) -> list[str]:
    return sorted(lake.arrow("funnel", partition=partition)["rule"].to_pylist())


def test_a_date_is_replaced_and_its_siblings_stay(lake: Lake) -> None:
    lake.replace_arrow("funnel", funnel(["a", "b"]), partition={"business_date": D})
    lake.replace_arrow("funnel", funnel(["other"]), partition={"business_date": D + dt.timedelta(1)})
    lake.replace_arrow("funnel", funnel(["c"]), partition={"business_date": D})
    assert rules(lake, business_date=D) == ["c"]
    assert rules(lake) == ["c", "other"]


def test_replacing_by_nothing_empties_the_date(lake: Lake) -> None:
    lake.replace_arrow("funnel", funnel(["a"]), partition={"business_date": D})
    lake.replace_arrow("funnel", funnel([]), partition={"business_date": D})
    assert rules(lake) == []


def test_a_column_declared_since_is_added_and_null_before(lake: Lake) -> None:
    now = lake.catalogue
    table = now.tables["funnel"]
    fewer = table.model_copy(update={"columns": tuple(c for c in table.columns if c.name != "reason_zh")})
    older = copy(now)
    older.__dict__["tables"] = {**now.tables, "funnel": fewer}
    before = Lake(lake.root, older)
    rows = funnel(["a"])
    before.replace_arrow("funnel", rows.drop_columns(["reason_zh"]), partition={"business_date": D})
    assert "reason_zh" not in before.arrow("funnel").column_names
    place = rows.column_names.index("reason_zh")
    later = rows.set_column(place, "reason_zh", pa.array(["规则"]))
    lake.replace_arrow("funnel", later, partition={"business_date": D + dt.timedelta(1)})
    said = {row["business_date"]: row["reason_zh"] for row in lake.arrow("funnel").to_pylist()}
    assert said == {D: None, D + dt.timedelta(1): "规则"}


def test_an_unwritten_table_is_empty_and_knows_its_columns(lake: Lake) -> None:
    assert lake.arrow("assignment").num_rows == 0
    assert lake.arrow("assignment", columns=["customer_id"]).column_names == ["customer_id"]
    assert lake.version("assignment") == -1
    assert lake.files("assignment") == []


def test_an_unknown_table_is_mendable(lake: Lake) -> None:
    with pytest.raises(UserError, match="no table 'nonsense'"):
        lake.arrow("nonsense")


def test_what_was_applied_is_in_the_commit(lake: Lake) -> None:
    lake.commit_files("funnel", [], applied={"feed/2026-01-09": 3})
    assert lake.delta("funnel").transaction_version("feed/2026-01-09") == 3
    assert lake.delta("funnel").transaction_version("feed/2026-01-10") is None


def test_a_commit_from_an_old_handle_is_a_conflict(lake: Lake) -> None:
    lake.replace_arrow("funnel", funnel(["a"]), partition={"business_date": D})
    old = lake.delta("funnel")
    lake.commit_files("funnel", [], applied={"x": 1})
    with pytest.raises(Exception, match=r"(?i)transaction|conflict|concurrent"):
        lake.commit_files("funnel", [], applied={"x": 1}, replace=[{}], handle=old)


def test_rows_keep_their_order_and_every_partition_its_file(lake: Lake, tmp_path: Path) -> None:
    rows = pa.table({"key": ["b", "a", "b", None], "n": [1, 2, 3, 4]})
    files = write_partitions(tmp_path / "t", rows, ["key"])
    assert [(file.partition["key"], file.rows) for file in files] == [("a", 1), ("b", 2), (None, 1)]


@pytest.mark.spark
def test_spark_reads_and_replaces_what_arrow_wrote(lake: Lake, spark) -> None:
    lake.replace_arrow("funnel", funnel(["a", "b"]), partition={"business_date": D})
    lake.replace_arrow("funnel", funnel(["z"]), partition={"business_date": D + dt.timedelta(1)})
    frame = lake.spark(spark, "funnel").where("business_date = date'2026-01-09'")
    assert frame.count() == 2
    spark_tables.replace(lake, "funnel", frame.where("rule = 'a'"), partitions=[{"business_date": D}])
    assert rules(lake) == ["a", "z"]
    lake.replace_arrow("funnel", funnel(["q"]), partition={"business_date": D})
    assert sorted(row.rule for row in lake.spark(spark, "funnel").collect()) == ["q", "z"]
