"""Who is who hangs on numbers: no order of lines, files, feeds or nights decides an id or what is drawn of a customer."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest

from jobs.conform.number_owners import history, stints, subscribers, with_opening

pytestmark = pytest.mark.spark
DAY = dt.date(2026, 1, 8)
OPENED = dt.date(2019, 5, 1)
RECORDS = "_phone binary, event_time timestamp, arrived_at timestamp, opened_on date, data_date date, feed string, _hour int, _file string, line bigint"
MAP = "phone_pseudonym binary, key_version int, valid_from timestamp, valid_to timestamp, customer_id bigint, draw_key bigint"
Told = tuple[bytes, dt.date, dt.date, str, str, int]


def pseudonym(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def told(numbers: Sequence[int], files: int, date: dt.date = DAY, feed: str = "profile") -> list[Told]:
    """Profiles of numbers, in the order given, in so many files."""
    return [
        (pseudonym(number), date, OPENED, feed, f"{place % files}.txt", place // files + 1)
        for place, number in enumerate(numbers)
    ]


def own(spark: Any, rows: Sequence[Told], known: Sequence[tuple] = (), version: int = 1) -> list[dict[str, Any]]:
    """The map after the profiles ``rows`` are conformed on the map ``known``."""
    moment = [dt.datetime.combine(row[1], dt.time(4)) for row in rows]
    records = spark.createDataFrame(
        [(row[0], at, at, row[2], row[1], row[3], -1, row[4], row[5]) for row, at in zip(rows, moment, strict=True)],
        RECORDS,
    )
    openings = stints(with_opening(records, ["opened_on"]))
    highest = max((row[4] for row in known), default=0)
    made = subscribers(openings, spark.createDataFrame(list(known), MAP), highest, version)
    return [row.asDict() for row in made.orderBy("customer_id", "phone_pseudonym").collect()]


def held(rows: Sequence[dict[str, Any]]) -> list[tuple]:
    """A map as rows that may be known before the next night."""
    names = [part.split()[0] for part in MAP.split(", ")]
    return [tuple(bytes(row[name]) if name == "phone_pseudonym" else row[name] for name in names) for row in rows]


def by_number(rows: Sequence[dict[str, Any]], *names: str) -> dict[bytes, tuple]:
    return {bytes(row["phone_pseudonym"]): tuple(row[name] for name in names) for row in rows}


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_lines_and_split_files_give_the_same_ids_and_draws(spark: Any, seed: int) -> None:
    numbers = list(range(300))
    first = own(spark, told(numbers, 1))
    random.Random(seed).shuffle(numbers)
    half = len(numbers) // 2
    again = told(numbers[:half], 3 + seed) + told(numbers[half:], 1, feed="another")
    assert own(spark, again) == first
    assert [row["customer_id"] for row in first] == list(range(1, 301))
    assert len({row["draw_key"] for row in first}) == 300
    assert all(0 <= row["draw_key"] < 1 << 60 for row in first)  # `pmod` and `%` agree on it


def test_another_order_of_nights_gives_the_same_draws(spark: Any) -> None:
    early, late = told(range(50), 1), told(range(25, 100), 2, DAY + dt.timedelta(days=1))
    there = own(spark, early + late, held(own(spark, early)))
    back = own(spark, early + late, held(own(spark, late)))
    at_once = own(spark, early + late)
    keys = [by_number(rows, "draw_key") for rows in (there, back, at_once)]
    assert keys[0] == keys[1] == keys[2]
    assert by_number(there, "customer_id") != by_number(back, "customer_id")  # ids are allotted night by night


def test_an_opening_told_later_does_not_change_the_draws(spark: Any) -> None:
    """A profile without its opening makes a customer of 1970 first; who holds the number now is drawn as ever."""
    untold = [(*row[:2], None, *row[3:]) for row in told([7], 1)]
    later = told([7], 1, DAY + dt.timedelta(days=1))
    rows = own(spark, later, held(own(spark, untold)))
    assert len(rows) == 2
    assert {row["draw_key"] for row in rows} == {own(spark, later)[0]["draw_key"]}


def test_a_home_that_kept_no_key_draws_by_its_ids(spark: Any) -> None:
    """So this year's control stays; who comes new gets a key of his own."""
    old = [(*row[:-1], None) for row in held(own(spark, told(range(20), 1)))]
    rows = own(spark, told(range(30), 1, DAY + dt.timedelta(days=1)), old)
    assert [row["draw_key"] for row in rows[:20]] == [row["customer_id"] for row in rows[:20]] == list(range(1, 21))
    assert all(row["draw_key"] > 1 << 30 for row in rows[20:])


def test_a_rotated_key_keeps_id_and_draws(spark: Any) -> None:
    """The map says the same owners by new pseudonyms too; whether their keys came along or not, they are as before."""
    first = held(own(spark, told(range(10), 1)))
    turned = {number: hashlib.sha256(number).digest() for number, *_ in first}
    both = first + [(turned[row[0]], 2, *row[2:-1], None) for row in first]
    rows = own(spark, [(turned[row[0]], *row[1:]) for row in told(range(10), 1)], both, version=2)
    now, before = by_number(rows, "customer_id", "draw_key"), {row[0]: (row[4], row[5]) for row in first}
    assert len(rows) == 20
    assert {number: now[turned[number]] for number in before} == before


PROFILES = (
    "_phone binary, event_time timestamp, arrived_at timestamp, opened_on date, data_date date, feed string, _hour int, "
    "_file string, line bigint, plan string, grade string"
)
#: What one delivery says of one number at one moment, otherwise each time: who is right, no line number knows.
AT_ONCE = [(OPENED, "P1", None), (OPENED, "P2", "gold"), (dt.date(2024, 2, 1), "P1", "silver"), (None, None, "bronze")]


def test_lines_of_one_moment_are_one_customer_in_any_order(spark: Any) -> None:
    """Same ids, same history, same state at the end, whatever the order of lines and files."""
    at = dt.datetime.combine(DAY, dt.time(4))
    made = []
    for order in itertools.permutations(AT_ONCE):
        rows = [
            (pseudonym(7), at, at, opened, DAY, "profile", -1, f"{place % 2}.txt", place, plan, grade)
            for place, (opened, plan, grade) in enumerate(order)
        ]
        columns = ["opened_on", "plan", "grade", "status"]
        records = with_opening(spark.createDataFrame(rows, PROFILES).selectExpr("*", "'active' as status"), columns)
        openings = stints(records)
        owners = subscribers(openings, spark.createDataFrame([], MAP), 0, 1)
        told_of = history(records, openings, owners, columns).drop("arrived_at")
        made.append([row.asDict() for row in told_of.orderBy("customer_id", "valid_from").collect()])
        if len(made) == 7:  # orders that begin with each of the first two: a session is slow
            break
    assert all(rows == made[0] for rows in made)
    assert made[0][-1]["grade"] == "silver"
