"""Profiles → who holds which number (`subscriber`) and what is true of whom (`customer`), rebuilt for whom it concerns.

Only numbers that appear in the touched profiles, and customers of whom a touched date told something, are worked
out anew, each from all of its profiles: the result is that of a rebuild from scratch.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from conf.dates import local_date
from jobs.conform import events
from jobs.conform import number_owners as owners
from jobs.conform.work import PROFILE, EntityRebuild, KnownDelivery
from runtime import spark_tables
from runtime.night import Night
from runtime.spark_tuning import few, interpret, narrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Up to this many owners the map is sent to every task instead of shuffling the events.
BROADCAST_OWNERS = 3_000_000
#: Columns of `customer` that the job fills itself.
NOT_TOLD = ("customer_id", "draw_key", "valid_from", "valid_to", "arrived_at", "feed", "data_date")
#: Version of the pseudonyms' key that a number new to the map is recorded with.
KEY_VERSION = 1


@dataclass(frozen=True)
class Profiles:
    """Who holds which number now.

    Attributes:
        owners: the map (`subscriber`), as it is or as it will be once the events are written.
        new: the map differs from what `subscriber` holds.
        few: the map is small enough to be sent to every task.
        touched: data dates of entities on which numbers appear that changed hands.
        heard: of the touched profiles by delivery: how many, and how many of them lack a number or a time.
    """

    owners: DataFrame
    new: bool
    few: bool
    touched: Mapping[str, set[dt.date]]
    heard: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def conform_profiles(night: Night, works: Sequence[EntityRebuild], deliveries: Sequence[KnownDelivery]) -> Profiles:
    """Write `customer` anew where profiles changed, and find who holds which number.

    `subscriber` itself is written after the events (`keep_owners`): until then a killed job finds the old map,
    hence the same ids and the same dates to rebuild.
    """
    highest, count = owners_so_far(night)
    work = next((work for work in works if work.entity == PROFILE), None)
    profiles = all_profiles(work, deliveries) if work is not None and work.dates else None
    size = count + (profiles.records if profiles else 0)
    with interpret(night.spark, size):
        known = narrow(spark_tables.read(night.spark, night.lake, "subscriber"), size)
        rows = events.union(night.spark, night.lake, night.catalogue, profiles, extra=("hour",)) if profiles else None
        if profiles is None or work is None or rows is None:
            return Profiles(known, False, count <= BROADCAST_OWNERS, {})
        return write_changed_profiles(night, works, work, rows, known, highest, size)


def write_changed_profiles(
    night: Night,
    works: Sequence[EntityRebuild],
    work: EntityRebuild,
    rows: DataFrame,
    known: DataFrame,
    highest: int,
    size: int,
) -> Profiles:
    """Write `customer` anew for whom the touched profiles concern, and work out who holds which number.

    Args:
        night: the night.
        works: what is to be done for every entity.
        work: what is to be done for `customer`.
        rows: all profiles.
        known: the map of numbers so far.
        highest: the greatest id allotted so far, 0 if none.
        size: profiles and owners that are read at most.
    """
    old = narrow(spark_tables.read(night.spark, night.lake, PROFILE), size)
    heard = count_heard(rows, work.dates)
    if highest:
        numbers = narrow(numbers_concerned(rows, known, old, work.dates), size).cache()
        if few(size):
            numbers = sf.broadcast(numbers)  # the reader itself then leaves out who is not concerned
        rows = rows.join(numbers, "_phone", "left_semi")
        concerned = known.join(numbers, known["phone_pseudonym"] == numbers["_phone"], "left_semi")
        others = known.join(numbers, known["phone_pseudonym"] == numbers["_phone"], "left_anti")
    else:
        concerned, others = known, known
    columns = [column.name for column in night.lake.table(PROFILE).columns if column.name not in NOT_TOLD]
    records = owners.with_opening(narrow(rows, size), columns).cache()
    openings = owners.stints(records)
    theirs = owners.subscribers(openings, concerned, highest, KEY_VERSION).cache()
    history = owners.history(records, openings, theirs, columns)
    if highest:
        history = history.unionByName(old.join(theirs, "customer_id", "left_anti"))
    spark_tables.replace(night.lake, PROFILE, order_history(history, size))
    now = theirs.unionByName(others) if highest else theirs
    touched = dates_of_new_owners(night, concerned, theirs, works)
    return Profiles(now.cache(), True, now.count() <= BROADCAST_OWNERS, touched, heard)


def count_heard(rows: DataFrame, dates: Sequence[dt.date]) -> dict[str, tuple[int, int]]:
    """Profiles of the touched dates by delivery: how many, and how many of them lack a number or a time."""
    lacking = sf.expr("count_if(_phone is null or event_time is null)").alias("lacking")
    counts = rows.where(sf.col("data_date").isin(list(dates))).groupBy("delivery_id")
    counted = counts.agg(sf.count("*").alias("profiles"), lacking).collect()
    return {row["delivery_id"]: (row["profiles"], row["lacking"]) for row in counted}


def owners_so_far(night: Night) -> tuple[int, int]:
    """The greatest id allotted and the number of owners, from the table's log: no row is read."""
    subscribers = spark_tables.read_held(night.lake, "subscriber")
    return subscribers.customer, subscribers.rows


def all_profiles(work: EntityRebuild, deliveries: Sequence[KnownDelivery]) -> EntityRebuild:
    """The work on every date: what holds after a restated profile depends on those before and after it."""
    return replace(
        work,
        dates=tuple(sorted(work.fingerprints)),
        deliveries=tuple(d for d in deliveries if d.data_date in work.fingerprints),
    )


def numbers_concerned(rows: DataFrame, known: DataFrame, old: DataFrame, dates: Sequence[dt.date]) -> DataFrame:
    """``_phone`` of everyone whose history may change: in a touched profile, or told of by a date that is touched.

    A customer known by two pseudonyms (a rotated key) is concerned by both.
    """
    touched = sf.col("data_date").isin(list(dates))
    numbers = rows.where(touched).select("_phone")
    direct = known.join(numbers, known["phone_pseudonym"] == numbers["_phone"], "left_semi").select("customer_id")
    ids = direct.unionByName(old.where(touched).select("customer_id")).distinct()
    theirs = known.join(ids, "customer_id", "left_semi").selectExpr("phone_pseudonym as _phone")
    return numbers.unionByName(theirs).distinct()


def order_history(history: DataFrame, size: int) -> DataFrame:
    """The history in one order, whatever the number of cores."""
    return (history.repartition("customer_id") if not few(size) else history.coalesce(1)).sortWithinPartitions(
        "customer_id", "valid_from"
    )


def keep_owners(night: Night, profiles: Profiles) -> None:
    """Write the map of numbers to customers, once everything that rests on it is written."""
    if profiles.new:
        spark_tables.replace(night.lake, "subscriber", profiles.owners.coalesce(1).sortWithinPartitions("customer_id"))
    night.spark.catalog.clearCache()


def dates_of_new_owners(
    night: Night, old: DataFrame, new: DataFrame, works: Sequence[EntityRebuild]
) -> dict[str, set[dt.date]]:
    """Data dates, not to be rebuilt anyway, on which numbers appear whose owners changed."""
    same = [old[name].eqNullSafe(new[name]) for name in ("phone_pseudonym", "valid_from", "valid_to", "customer_id")]
    changed = new.join(old, same, "left_anti").selectExpr("phone_pseudonym as _phone", "valid_from")
    since = changed.selectExpr("min(unix_seconds(valid_from)) as since").collect()[0]["since"]
    if since is None:
        return {}
    first = local_date(dt.datetime.fromtimestamp(since, dt.UTC))
    dates = {}
    for work in works:
        candidates = [date for date in work.fingerprints if date >= first and date not in work.dates]
        if work.entity != PROFILE and candidates:
            dates[work.entity] = events.dates_of_numbers(night.spark, night.lake, work.sources, candidates, changed)
    return dates
