"""Who held a number when, and what was true of a customer from when on.

A *stint* is one owner of one number: a number with another opening date has another owner. A customer is a
stint; ids are allotted once and never change, a night's new ones in the order of pseudonyms, so that no order of
lines, files or feeds decides them. What is drawn of a customer hangs on its ``draw_key``
(docs/decisions/0017-ids-and-draws-hang-on-the-number.md). All functions are frames → frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as sf

from conf.dates import LOCAL_DATE_SQL

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: The opening of a number of which no profile ever told one.
UNTOLD = "date'1970-01-01'"
#: The draw key of a number that is new: 60 bits of a hash of its keyed hash, so that no order of ids follows it.
DRAW_KEY = "cast(conv(substr(sha2(concat(cast('draw_key' as binary), _phone), 256), 1, 15), 16, 10) as bigint)"
#: Order in which records of one moment were told; those of one delivery follow each other by what they say, since the
#: order of its lines and the names of its files say nothing.
TOLD = ("data_date", "feed", "_hour")


def with_opening(records: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Profiles with ``_opened``: the opening date, told before, else after, else `UNTOLD`.

    An opening later than the profile itself is a fault and counts as not told. ``columns``: what may be told of a
    customer, by which profiles of one moment are put in order.
    """
    as_of = sf.expr(LOCAL_DATE_SQL.format(time="event_time"))
    opening = sf.when(sf.col("opened_on") <= as_of, sf.col("opened_on"))
    before = Window.partitionBy("_phone").orderBy("event_time", *TOLD, *columns)
    marked = records.where("_phone is not null and event_time is not null").withColumn("_told", opening)
    earlier = sf.last("_told", ignorenulls=True).over(before.rowsBetween(Window.unboundedPreceding, 0))
    later = sf.first("_told", ignorenulls=True).over(before.rowsBetween(0, Window.unboundedFollowing))
    return marked.withColumn("_opened", sf.coalesce(earlier, later, sf.expr(UNTOLD))).drop("_told")


def stints(records: DataFrame) -> DataFrame:
    """One row a (number, opening): ``_phone, _opened, valid_from`` and where it was ``_first`` told."""
    first = sf.min(sf.struct(*TOLD, "arrived_at"))
    openings = records.groupBy("_phone", "_opened").agg(first.alias("_first"))
    return openings.select(
        "_phone",
        "_opened",
        sf.expr("to_utc_timestamp(cast(_opened as timestamp), 'Asia/Shanghai')").alias("valid_from"),
        "_first",
    )


def subscribers(openings: DataFrame, known: DataFrame, highest: int, key_version: int) -> DataFrame:
    """The map of numbers to customers: known owners keep id and draw key, new ones get the next ids by pseudonym.

    A customer known by two pseudonyms has one draw key; one of a release that kept none has its id for it.

    Args:
        openings: `stints` of the profiles.
        known: the map so far.
        highest: the greatest id allotted so far, 0 if none.
        key_version: version of the key that made the pseudonyms of new owners.

    Returns:
        ``phone_pseudonym, key_version, valid_from, valid_to, customer_id, draw_key``.
    """
    same = (openings["_phone"] == known["phone_pseudonym"]) & (openings["valid_from"] == known["valid_from"])
    new = openings.join(known, same, "left_anti")
    rank = sf.row_number().over(Window.orderBy("_phone", "valid_from"))
    allotted = new.select(
        sf.col("_phone").alias("phone_pseudonym"),
        sf.lit(key_version).cast("int").alias("key_version"),
        "valid_from",
        (rank + sf.lit(highest)).cast("bigint").alias("customer_id"),
        sf.expr(DRAW_KEY).alias("draw_key"),
    )
    own_key = sf.min("draw_key").over(Window.partitionBy("customer_id"))
    old = known.select(
        "phone_pseudonym",
        "key_version",
        "valid_from",
        "customer_id",
        sf.coalesce(own_key, "customer_id").alias("draw_key"),
    )
    following = sf.lead("valid_from").over(Window.partitionBy("phone_pseudonym").orderBy("valid_from"))
    return (
        old.unionByName(allotted)
        .withColumn("valid_to", following)
        .select("phone_pseudonym", "key_version", "valid_from", "valid_to", "customer_id", "draw_key")
    )


def history(records: DataFrame, openings: DataFrame, owners: DataFrame, columns: Sequence[str]) -> DataFrame:
    """The slowly changing `customer`: one row each time something told of a customer changed.

    Args:
        records: profiles `with_opening`.
        openings: their `stints`.
        owners: `subscribers`.
        columns: what may be told of a customer (columns of the entity).

    Returns:
        ``customer_id, draw_key, valid_from, valid_to, arrived_at, feed, data_date`` and ``columns``.
    """
    stint = openings.join(
        owners,
        (openings["_phone"] == owners["phone_pseudonym"]) & (openings["valid_from"] == owners["valid_from"]),
    ).select(openings["_phone"], "_opened", "customer_id", "draw_key", "valid_to", "_first")
    profiles = records.join(stint, ["_phone", "_opened"]).where("valid_to is null or event_time < valid_to")
    facts = profiles.select("customer_id", "draw_key", "event_time", "arrived_at", *TOLD, *columns)
    every = facts.unionByName(end_ownership(stint), allowMissingColumns=True)
    return _changes(every, columns)


def end_ownership(stint: DataFrame) -> DataFrame:
    """The end of an owner whose number went to another: told by the new owner's first profile."""
    order = Window.partitionBy("_phone").orderBy("_opened")
    return (
        stint.withColumn("_next", sf.lead("_first").over(order))
        .where("valid_to is not null and _next is not null")
        .select(
            "customer_id",
            "draw_key",
            sf.col("valid_to").alias("event_time"),
            sf.col("_next.arrived_at").alias("arrived_at"),
            *(sf.col(f"_next.{name}").alias(name) for name in TOLD),
            sf.lit("closed").alias("status"),
        )
    )


def _changes(facts: DataFrame, columns: Sequence[str]) -> DataFrame:
    order = Window.partitionBy("customer_id").orderBy("event_time", *TOLD, "_content")
    so_far = order.rowsBetween(Window.unboundedPreceding, 0)
    filled = facts.withColumn("_content", sf.struct(*columns)).select(
        "customer_id",
        "draw_key",
        "event_time",
        "arrived_at",
        *TOLD,
        "_content",
        sf.struct(*(sf.last(name, ignorenulls=True).over(so_far).alias(name) for name in columns)).alias("_state"),
    )
    changed = filled.withColumn("_before", sf.lag("_state").over(order)).where("not (_state <=> _before)")
    # a correction told later of the same moment comes a microsecond after: what was known before stays visible
    same_moment = Window.partitionBy("customer_id", "event_time").orderBy(*TOLD, "_content")
    nth = (sf.row_number().over(same_moment) - 1).cast("bigint")
    placed = changed.withColumn("valid_from", sf.timestamp_micros(sf.unix_micros("event_time") + nth))
    by_time = Window.partitionBy("customer_id").orderBy("valid_from")
    return placed.withColumn("valid_to", sf.lead("valid_from").over(by_time)).select(
        "customer_id",
        "draw_key",
        "valid_from",
        "valid_to",
        "arrived_at",
        "feed",
        "data_date",
        *(sf.col(f"_state.{name}").alias(name) for name in columns),
    )
