"""Tiles of partials: nights folded one by one, months settled, restatements, buckets, tables made for other columns."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.dates import cut_off, start_of_day
from features.arrays import ints
from features.store import tiles
from features.store.tiles import group_ends, parts_of, read_groups, tile_of
from jobs import partials
from runtime import spark_tables
from runtime.lake import arrow_schema, nullable

FIRST, NIGHTS = dt.date(2025, 11, 28), 40
KEY = ("business_date", "customer_id", "day", "feed", "inputs")


def visits(day: dt.date, seed: int, customers: int = 300) -> list[dict]:
    random = np.random.default_rng((day.toordinal(), seed))
    arrived = cut_off(day + dt.timedelta(days=1)) - dt.timedelta(hours=1)
    return [
        {
            "customer_id": int(customer),
            "event_time": start_of_day(day) + dt.timedelta(seconds=int(second)),
            "arrived_at": arrived,
            "channel": "website",
            "action": "click" if second % 2 else "visit",
            "topic": f"topic_{second % 5}",
            "seconds": int(second % 90),
            "pages": 3,
            "schema": "website_page",
            "feed": "page_feed",
            "data_date": day,
            "delivery_id": f"d{day}",
            "line": line,
        }
        for line, (customer, second) in enumerate(
            zip(np.sort(random.integers(0, customers, 60)), random.integers(0, 86_400, 60), strict=True)
        )
    ]


def put(night, days: list[dt.date], seed: int = 0) -> None:
    schema = nullable(arrow_schema(night.lake.table("visit")))
    for day in days:
        rows = pa.Table.from_pylist(visits(day, seed), schema)
        night.lake.replace_arrow("visit", rows, partition={"data_date": day})


def build(made, nights: list[dt.date]) -> int:
    family = made.catalogue.features.family("visit")
    days = {one - dt.timedelta(days=1) for one in nights}
    return partials.build(made, family, nights, spark_tables.read_held(made.lake, "visit", "data_date", days))


def rows_of(made) -> pa.Table:
    return made.lake.arrow("customer_day_visit").drop_columns(["tile"]).sort_by([(name, "ascending") for name in KEY])


def content(made) -> list[dict]:
    key = [*KEY, "viewed_product", "visit_topics", "at", "visit_pages"]
    return sorted(rows_of(made).to_pylist(), key=lambda row: [str(row[name]) for name in key])


@pytest.fixture
def nights() -> list[dt.date]:
    return [FIRST + dt.timedelta(days=n) for n in range(NIGHTS)]


def test_a_night_has_its_own_tile_until_its_month_is_over():
    night = dt.date(2025, 12, 31)
    assert tile_of(night, night) == night
    assert tile_of(dt.date(2025, 12, 3), dt.date(2026, 1, 1)) == dt.date(2025, 12, 31)
    assert tile_of(dt.date(2025, 12, 3), dt.date(2025, 12, 31)) == dt.date(2025, 12, 3)


@pytest.mark.whole
def test_nights_one_by_one_equal_all_at_once_and_months_are_settled(night, nights):
    last = night(nights[-1])
    put(last, [one - dt.timedelta(days=1) for one in nights])
    for one in nights:
        build(night(one), [one])
    family = last.catalogue.features.family("visit")
    held = parts_of(last.lake, family)
    months = {dt.date(2025, 11, 30): 1, dt.date(2025, 12, 31): 1}
    days = {one: 1 for one in nights if one >= dt.date(2026, 1, 1)}
    assert {tile: sum(part.tile == tile for part in held) for tile in {part.tile for part in held}} == months | days
    one_by_one = content(last)
    assert sum(row["events"] for row in one_by_one) == NIGHTS * 60
    build(last, nights)
    assert content(last) == one_by_one
    assert all(
        ints(pq.read_table(part.path, columns=["customer_id"])["customer_id"]).tolist()
        == sorted(ints(pq.read_table(part.path, columns=["customer_id"])["customer_id"]).tolist())
        for part in held
    )


@pytest.mark.whole
def test_a_restated_night_of_a_settled_month_touches_its_tile_only(night, nights):
    last = night(nights[-1])
    days = [one - dt.timedelta(days=1) for one in nights]
    put(last, days)
    build(last, nights)
    family = last.catalogue.features.family("visit")
    before = {part.path: part.tile for part in parts_of(last.lake, family)}
    restated = dt.date(2025, 12, 10)
    put(last, [restated - dt.timedelta(days=1)], seed=1)
    assert build(last, [restated]) <= 60
    after = {part.path: part.tile for part in parts_of(last.lake, family)}
    assert {before[path] for path in before.keys() - after.keys()} == {dt.date(2025, 12, 31)}
    found = content(last)
    files = {file.name for file in last.lake.path(family.table).rglob("*.parquet")}
    live = {path.rsplit("/", 1)[1] for path in (*before, *after)}
    assert files == live  # what was folded on the way is not left behind
    build(last, nights)
    assert content(last) == found
    lost = dt.date(2025, 12, 11)
    partials.build(last, family, [lost], spark_tables.Held())
    assert {row["business_date"] for row in content(last)} == set(nights) - {lost}


@pytest.mark.whole
def test_the_same_events_are_the_same_bytes(night, nights, monkeypatch):
    last = night(nights[-1])
    put(last, [one - dt.timedelta(days=1) for one in nights])
    family = last.catalogue.features.family("visit")
    written = []
    for _ in range(2):
        build(last, nights)
        written.append([Path(part.path).read_bytes() for part in parts_of(last.lake, family)])
    assert written[0] == written[1]
    monkeypatch.setattr(partials, "_PIECE", 100)  # two days a task: the tile is in more files, its rows are the same
    whole = content(last)
    build(last, nights)
    assert len(parts_of(last.lake, family)) > len(written[0])
    assert content(last) == whole


def test_settling_in_ranges_of_customers_loses_nobody(night, monkeypatch):
    made = night(dt.date(2025, 12, 31))
    schema = nullable(arrow_schema(made.lake.table("visit")))
    day = dt.date(2025, 12, 5)
    rows = [row | {"customer_id": row["customer_id"] << 10} for row in visits(day, 0)]
    made.lake.replace_arrow("visit", pa.Table.from_pylist(rows, schema), partition={"data_date": day})
    put(made, [day + dt.timedelta(days=1)])
    build(made, [day + dt.timedelta(days=n) for n in (1, 2)])
    before = content(made)
    monkeypatch.setattr(tiles, "SETTLED", 20)
    assert build(night(dt.date(2026, 1, 1)), []) == 0
    held = parts_of(made.lake, made.catalogue.features.family("visit"))
    assert {part.tile for part in held} == {dt.date(2025, 12, 31)}
    assert len(held) > 2
    assert content(made) == before


def test_row_groups_end_with_buckets_and_a_bucket_reads_its_own(tmp_path, night):
    customers = np.sort(np.random.default_rng(0).integers(0, 5 << 16, 200_000))
    ends = group_ends(pa.table({"customer_id": customers}))
    assert ends[-1] == customers.size
    inner = np.array(ends[:-1])
    assert (customers[inner] >> 16 != customers[inner - 1] >> 16).all()
    assert np.diff([0, *ends]).min() >= 1 << 14
    family = night().catalogue.features.family("consent")
    rows = pa.table({"customer_id": customers, "feed": ["a"] * customers.size})
    file = tiles.write_file(tmp_path, rows, {}, ends)
    read = read_groups(str(tmp_path / file.path), family, 2 << 16, (3 << 16) - 1)
    assert set((ints(read["customer_id"]) >> 16).tolist()) == {2}


def test_a_table_made_for_other_columns_is_made_again(night):
    made = night()
    table = made.catalogue.features.family("visit").table
    old = pa.schema([("business_date", pa.date32()), ("bucket", pa.int32()), ("input", pa.string())])
    path = str(made.lake.path(table))
    deltalake.DeltaTable.create(path, schema=deltalake.Schema.from_arrow(old), partition_by=["business_date", "bucket"])
    put(made, [dt.date(2026, 1, 8)])
    assert build(made, [made.date]) > 0
    assert made.lake.delta(table).metadata().partition_columns == ["tile"]
    version = made.lake.version(table)
    made.lake.fit(table)
    assert made.lake.version(table) == version  # one that fits is left alone


def test_a_tile_in_many_thin_files_is_settled(night, monkeypatch):
    made = night(dt.date(2026, 1, 5))
    days = [dt.date(2025, 12, day) for day in (5, 6, 7)]
    schema = nullable(arrow_schema(made.lake.table("visit")))
    for day in days:
        rows = [row | {"customer_id": row["customer_id"] << 10} for row in visits(day, 0)]
        made.lake.replace_arrow("visit", pa.Table.from_pylist(rows, schema), partition={"data_date": day})
    monkeypatch.setattr(partials, "_PIECE", 1)  # a day a task: three files of a few rows of each bucket
    assert build(made, [day + dt.timedelta(days=1) for day in days]) <= 180
    held = parts_of(made.lake, made.catalogue.features.family("visit"))
    assert len(held) == 1
    assert sum(row["events"] for row in content(made)) == 180
