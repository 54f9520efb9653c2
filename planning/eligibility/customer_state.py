"""The state of a customer at D that rules may name beside the snapshot: opt-outs, tickets, holdings, contacts.

Every function takes events already cut to what the night may see (before D 00:00 Shanghai, arrived before the
cut-off) and returns one row a customer; a customer of whom nothing is told is filled in by `fill_state`.
`docs/developer/entities.md` is the list that rule writers read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from conf.dates import LOCAL_DATE_SQL
from conf.offer import Channel, Product
from models.bit_sets import WORD, count_words

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

#: Days over which contacts are counted.
WINDOWS = (1, 7, 30)
#: How far back the last refusal or contact is looked for.
CONTACT_DAYS = 90
CANCEL_DAYS = 90
REFUSAL_DAYS = 30
#: Days after which a contact tires half as much (`models.affinity.fatigue`), and after which it is forgotten.
FATIGUE_HALF_LIFE, FATIGUE_DAYS = 7, 28


@dataclass(frozen=True)
class Fill:
    """A state column: its type, and what it is where nothing is told (None: null)."""

    ddl: str
    value: str | None


#: State columns that are sets of products; from the 64th product on each has further words (`name_word`).
PRODUCT_SETS = ("holds", "cancelled_90d", "refused_30d")


def columns(channels: Sequence[Channel], words: int = 1) -> dict[str, Fill]:
    """Every state column that rules may name, in order.

    Args:
        channels: of the catalogue.
        words: that a set of products takes.
    """
    zero, unknown, no = Fill("int", "0"), Fill("int", None), Fill("boolean", "false")
    fills = {
        "opted_out": no,
        "opted_out_channels": Fill("bigint", "0"),
        "consent_profiling": Fill("boolean", None),
        "consent_personalisation": Fill("boolean", None),
        "open_complaint": no,
        "open_fault": no,
        "days_since_complaint_closed": unknown,
        "holds": Fill("bigint", "0"),
        "cancelled_90d": Fill("bigint", "0"),
        "refused_30d": Fill("bigint", "0"),
        "days_since_refusal": unknown,
        "days_since_contact": unknown,
        "recent_milli": zero,
        "group_contacts_7d": zero,
    }
    for days in WINDOWS:
        fills[f"contacts_{days}d"] = zero
    for channel in outbound(channels):
        for days in WINDOWS:
            fills[f"contacts_{days}d_{channel.code}"] = zero
        fills[f"days_since_contact_{channel.code}"] = unknown
    for name in PRODUCT_SETS:
        fills |= {name_word(name, word): Fill("bigint", "0") for word in range(1, words)}
    return fills


def words_of(products: Sequence[Product]) -> int:
    """Words that a set of products takes."""
    return count_words(max((product.id for product in products), default=0))


def name_word(name: str, word: int) -> str:
    """The state column of a word of a set of products."""
    return f"{name}_{word}" if word else name


def outbound(channels: Sequence[Channel]) -> list[Channel]:
    """The channels on which we go to the customer."""
    return [channel for channel in channels if channel.direction == "outbound"]


def select_visible(events: DataFrame, day_start: dt.datetime, cut_off: dt.datetime) -> DataFrame:
    """Events that the night may see."""
    return events.where(f"event_time < {_instant(day_start)} and arrived_at < {_instant(cut_off)}")


def consents(events: DataFrame, channels: Sequence[Channel]) -> DataFrame:
    """The last word on marketing by channel, personalisation and profiling; of two at one moment the refusal."""
    last = events.groupBy("customer_id", "kind", "channel").agg(
        sf.max_by("granted", sf.struct("event_time", ~sf.col("granted"))).alias("granted")
    )
    refused = "kind = 'marketing' and not granted"
    every = sum(1 << channel.id for channel in channels)
    bit = ids([(channel.code, channel.id) for channel in channels], "channel")
    return (
        last.withColumn("_bit", sf.when(sf.col("channel") == "all", sf.lit(every)).otherwise(bits(bit)))
        .groupBy("customer_id")
        .agg(
            sf.bool_or(sf.expr(f"{refused} and channel = 'all'")).alias("opted_out"),
            sf.bit_or(sf.when(sf.expr(refused), sf.col("_bit"))).alias("opted_out_channels"),
            sf.bool_and(sf.expr("case when kind = 'profiling' then granted end")).alias("consent_profiling"),
            sf.bool_and(sf.expr("case when kind = 'personalisation' then granted end")).alias(
                "consent_personalisation"
            ),
        )
    )


def tickets(events: DataFrame, date: dt.date) -> DataFrame:
    """Whether a complaint or a fault is open, and how long ago the last complaint was closed.

    Of two steps at one moment the one holds that leaves it open.
    """
    last_step = sf.struct("event_time", sf.expr("step <> 'closed'"), "step")
    last = events.groupBy("customer_id", "kind", "complaint_id").agg(
        sf.max_by("step", last_step).alias("step"), sf.max("event_time").alias("event_time")
    )
    return last.groupBy("customer_id").agg(
        sf.bool_or(sf.expr("kind = 'complaint' and step <> 'closed'")).alias("open_complaint"),
        sf.bool_or(sf.expr("kind = 'fault' and step <> 'closed'")).alias("open_fault"),
        sf.min(sf.when(sf.expr("kind = 'complaint' and step = 'closed'"), days_ago(date))).alias(
            "days_since_complaint_closed"
        ),
    )


def holdings(events: DataFrame, products: Sequence[Product], date: dt.date, day_start: dt.datetime) -> DataFrame:
    """Products held now, and products cancelled lately and not taken again, as bits; taken and cancelled at once: held."""
    last_order = sf.struct(
        "event_time", sf.expr("action <> 'cancel'"), sf.expr("end_time is null"), "end_time", "action"
    )
    last = events.groupBy("customer_id", "product").agg(
        sf.max_by(sf.struct("action", "end_time", "event_time"), last_order).alias("last")
    )
    words = bit_words(products)
    lasting = f"(last.end_time is null or last.end_time > {_instant(day_start)})"
    marks = [bit.alias(f"_bit_{word}") for word, bit in enumerate(words)]
    known = last.select("customer_id", "last", sf.col("last.event_time").alias("event_time"), *marks)
    active = sf.expr(f"last.action <> 'cancel' and {lasting}")
    gone = sf.expr("last.action = 'cancel'") & (days_ago(date) <= CANCEL_DAYS)
    return known.groupBy("customer_id").agg(
        *(
            sf.bit_or(sf.when(condition, sf.col(f"_bit_{word}"))).alias(name_word(name, word))
            for name, condition in (("holds", active), ("cancelled_90d", gone))
            for word in range(len(words))
        )
    )


def contacts(events: DataFrame, products: Sequence[Product], channels: Sequence[Channel], date: dt.date) -> DataFrame:
    """Outbound attempts by window and channel, and what was refused lately."""
    attempts = events.where("direction = 'out' and attempted").withColumn("_ago", days_ago(date))
    attempts = attempts.where(f"_ago <= {CONTACT_DAYS}")
    refusal = sf.expr("refused")
    wanted = [
        sf.min(sf.when(refusal, sf.col("_ago"))).alias("days_since_refusal"),
        *(
            sf.bit_or(sf.when(refusal & (sf.col("_ago") <= REFUSAL_DAYS), bit)).alias(name_word("refused_30d", word))
            for word, bit in enumerate(bit_words(products))
        ),
        sf.min("_ago").alias("days_since_contact"),
        sf.sum(sf.expr(f"if(_ago <= {FATIGUE_DAYS}, {weigh_recency('_ago')}, 0)")).cast("int").alias("recent_milli"),
        *(_within(f"_ago <= {days}", f"contacts_{days}d") for days in WINDOWS),
    ]
    for channel in outbound(channels):
        on = f"channel = '{channel.code}'"
        wanted += [_within(f"{on} and _ago <= {days}", f"contacts_{days}d_{channel.code}") for days in WINDOWS]
        wanted.append(sf.min(sf.expr(f"case when {on} then _ago end")).alias(f"days_since_contact_{channel.code}"))
    return attempts.groupBy("customer_id").agg(*wanted)


def groups(members: DataFrame, contacted: DataFrame) -> DataFrame:
    """Attempts of the last 7 days to all members of a customer's group.

    Args:
        members: ``customer_id, group_id`` of customers in a group.
        contacted: `contacts`.
    """
    each = members.join(contacted.select("customer_id", "contacts_7d"), "customer_id", "left")
    total = each.groupBy("group_id").agg(sf.sum("contacts_7d").cast("int").alias("group_contacts_7d"))
    return members.join(total, "group_id").select("customer_id", "group_contacts_7d")


def fill_state(rows: DataFrame, wanted: Mapping[str, Fill]) -> DataFrame:
    """Rows with every state column, of its type, and its value where nothing is told."""
    there = set(rows.columns)
    others = [name for name in rows.columns if name not in wanted]
    values = []
    for name, fill in wanted.items():
        value = sf.col(name).cast(fill.ddl) if name in there else sf.lit(None).cast(fill.ddl)
        if fill.value is not None:
            value = sf.coalesce(value, sf.expr(fill.value).cast(fill.ddl))
        values.append(value.alias(name))
    return rows.select(*others, *values)


def ids(codes: Sequence[tuple[str, int]], column: str) -> Column:
    """The small id of a code, null where it is none of ours."""
    whens = " ".join(f"when '{code}' then {number}" for code, number in codes)
    return sf.expr(f"case {column} {whens} end") if whens else sf.lit(None).cast("int")


def bits(number: Column) -> Column:
    """1 << number as bigint."""
    return sf.call_function("shiftleft", sf.lit(1).cast("bigint"), number)


def bit_words(products: Sequence[Product]) -> list[Column]:
    """The product of a row as a bit, word by word of a set of products; null where it is in another word."""
    return [
        bits(ids([(p.code, p.id % WORD) for p in products if p.id // WORD == word], "product"))
        for word in range(words_of(products))
    ]


def days_ago(date: dt.date) -> Column:
    """Calendar days in Shanghai from the event to ``date``: yesterday is 1."""
    return sf.expr(f"datediff(date'{date}', {LOCAL_DATE_SQL.format(time='event_time')})")


def weigh_recency(days: str) -> str:
    """Spark SQL: thousandths of a contact that one of some days ago still counts."""
    return f"cast(round(1000 * pow(2D, -({days}) / {FATIGUE_HALF_LIFE}D)) as int)"


def _within(condition: str, name: str) -> Column:
    return sf.count_if(sf.expr(condition)).cast("int").alias(name)


def _instant(moment: dt.datetime) -> str:
    return f"timestamp'{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}'"
