"""What came of our decisions: answers, orders and their margin, opt-outs and complaints, a row a decision.

Every decision counts, of every role, also those to do nothing: effects are effects of the assignment. A decision's
clock starts at 00:00 Shanghai of its date. *Converted* = the offered product was ordered within the conversion
window; of several decisions for one product the last before the order gets it, unless the order names one.
*Margin* = all orders within the horizon, whatever their cause, without those cancelled before the label closes
(the longer of horizon and cancellation window). Then the date is settled: it is never computed again.

*Reads*: decision, contact, order, consent, complaint; of earlier nights assignment and outcome.
*Writes*: outcome (the dates that are not settled yet).
*Cost*: decisions of open dates, one shuffle by customer and one by decision; events of their horizon.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from conf.catalogue import Catalogue
from conf.dates import LOCAL_DATE_SQL, START_OF_DAY_SQL
from conf.settings import Outcome
from models.bit_sets import WORD
from planning.eligibility.customer_state import FATIGUE_DAYS, weigh_recency, words_of
from runtime import spark_tables
from runtime.figures import FeedbackFigures
from runtime.night import Night

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

READS = ("decision", "contact", "order", "consent", "complaint")
READS_PREVIOUS = ("assignment", "outcome")
WRITES = ("outcome",)

_TAKES = "('subscribe', 'renew', 'change')"
#: What a decision says of how it was drawn; null where it was not logged.
LABELLED = {
    "role": "string",
    "pscore": "double",
    "marginal": "boolean",
    "arm": "string",
    "greedy_product": "smallint",
    "greedy_channel": "smallint",
}
_START = START_OF_DAY_SQL.format(date="business_date")


@dataclass(frozen=True)
class Sources:
    """The frames that outcomes come from; events are those the night may see."""

    decisions: DataFrame  # decision_id, run_id, business_date, customer_id, product, channel (ids), and LABELLED
    contact: DataFrame
    order: DataFrame
    consent: DataFrame
    complaint: DataFrame


def ids(codes: dict[str, int], column: str) -> str:
    """Spark SQL that turns codes into ids (null where unknown)."""
    pairs = " ".join(f"when '{code}' then {number}" for code, number in sorted(codes.items()))
    return f"cast(case {column} {pairs} end as smallint)" if pairs else "cast(null as smallint)"


def _last(*names: str) -> Column:
    """Of rows that say the same twice, the values of the last delivered; of several of one time the greatest."""
    from pyspark.sql import functions as sf

    return sf.expr(f"max(struct(arrived_at, {', '.join(f'`{name}`' for name in names)}))").alias("_last")


def read_logged_decisions(decisions: DataFrame, catalogue: Catalogue) -> DataFrame:
    """Decisions that came as feeds, once each, in the form of ``assignment``."""
    products = {product.code: product.id for product in catalogue.products}
    channels = {channel.code: channel.id for channel in catalogue.channels}
    known = [name for name in LABELLED if name in decisions.columns]
    names = ("business_date", "customer_id", "product", "channel", "feed", *known)
    once = decisions.groupBy("decision_id").agg(_last(*names)).select("decision_id", "_last.*")
    own = {"greedy_product": products, "greedy_channel": channels}
    read = {name: ids(own[name], name) if name in own else name for name in known}
    return once.selectExpr(
        "decision_id",
        "concat('logged:', feed) as run_id",
        "business_date",
        "customer_id",
        f"{ids(products, 'product')} as product",
        f"{ids(channels, 'channel')} as channel",
        *label_columns(read),
    )


def ours(assignments: DataFrame) -> DataFrame:
    """Decisions of this system, in the same form."""
    known = {name: name for name in LABELLED if name in assignments.columns}
    own = ("decision_id", "run_id", "business_date", "customer_id", "product", "channel")
    return assignments.selectExpr(*own, *label_columns(known))


def label_columns(known: Mapping[str, str]) -> list[str]:
    """Spark SQL of what `LABELLED` names, from what is known of it; the rest is null: a release before did not log it."""
    return [f"cast({known.get(name, 'null')} as {kind}) as {name}" for name, kind in LABELLED.items()]


def orders(events: DataFrame, catalogue: Catalogue) -> DataFrame:
    """Orders once each: ``at``, ``product`` (id), ``take`` or cancellation, ``margin_micro``, ``decision_id``.

    ``cancelled_at`` is when a taken product was next cancelled; the cancellation of a product taken within our
    sight carries no margin of its own, since the order it ends no longer counts.
    """
    products = {product.code: product.id for product in catalogue.products}
    key = ("customer_id", "order_id", "action", "event_time", "product")
    once = events.groupBy(*key).agg(_last("margin_micro", "decision_id")).select(*key, "_last.*")
    line = "partition by customer_id, product order by event_time, action, order_id"
    before = f"max(action in {_TAKES}) over ({line} rows between unbounded preceding and 1 preceding)"
    after = (
        f"min(if(action = 'cancel', event_time, null)) over ({line} rows between 1 following and unbounded following)"
    )
    return once.selectExpr(
        "customer_id",
        "event_time as at",
        f"{ids(products, 'product')} as product",
        f"action in {_TAKES} as take",
        "decision_id",
        f"if(action = 'cancel' and coalesce({before}, false), 0, coalesce(margin_micro, 0)) as margin_micro",
        f"if(action in {_TAKES}, {after}, null) as cancelled_at",
    )


def credit_orders(decisions: DataFrame, taken: DataFrame, windows: Outcome) -> DataFrame:
    """``decision_id, cancelled_at`` of the decisions that an order answers within the conversion window."""
    touches = decisions.where("product is not null").selectExpr(
        "decision_id as touch", "customer_id", "product", f"{_START} as start"
    )
    within = f"at >= start and at < start + interval {windows.conversion_days} days"
    answers = taken.where("take and product is not null").join(touches, ["customer_id", "product"]).where(within)
    order_key = ("customer_id", "product", "at", "decision_id")
    last = answers.where("decision_id is null or decision_id = touch").groupBy(*order_key, "cancelled_at")
    chosen = last.agg({"start": "max"}).withColumnRenamed("max(start)", "start")
    named = touches.join(chosen.drop("decision_id"), ["customer_id", "product", "start"])
    return (
        named.groupBy("touch")
        .agg({"cancelled_at": "max"})
        .toDF("decision_id", "cancelled_at")
        .selectExpr("decision_id", "cancelled_at", "true as converted")
    )


def histories(sources: Sources, taken: DataFrame) -> DataFrame:
    """A row a customer: arrays of orders, opt-outs, complaints and dates of outbound attempts."""
    from pyspark.sql import functions as sf

    bought = taken.groupBy("customer_id").agg(
        sf.expr("collect_list(struct(at, product, take, margin_micro, cancelled_at))").alias("orders")
    )
    stopped = sources.consent.where("kind = 'marketing' and not granted").selectExpr("customer_id", "event_time as o")
    angry = sources.complaint.where("kind = 'complaint' and step in ('open', 'reopened')")
    asked = sources.contact.where("direction = 'out' and attempted")
    never, no_date = "cast(null as timestamp)", "cast(null as date)"
    events = stopped.selectExpr("customer_id", "o", f"{never} as c", f"{no_date} as d")
    events = events.unionAll(angry.selectExpr("customer_id", f"{never} as o", "event_time as c", f"{no_date} as d"))
    on = LOCAL_DATE_SQL.format(time="event_time")
    events = events.unionAll(asked.selectExpr("customer_id", f"{never} as o", f"{never} as c", f"{on} as d"))
    signs = events.groupBy("customer_id").agg(
        sf.expr("collect_list(o)").alias("opt_outs"),
        sf.expr("collect_list(c)").alias("complaints"),
        sf.expr("collect_list(d)").alias("attempts"),
    )
    return bought.join(signs, "customer_id", "full_outer")


def answers(contact: DataFrame) -> DataFrame:
    """``decision_id, attempted, reached, refused, interested`` of carried-out decisions."""
    from pyspark.sql import functions as sf

    carried = contact.where("decision_id is not null and direction = 'out'").groupBy("decision_id")
    tests = {
        "attempted": "attempted",
        "reached": "reached",
        "refused": "refused",
        "interested": "result = 'interested'",
    }
    return carried.agg(*(sf.expr(f"bool_or({test})").alias(name) for name, test in tests.items()))


def outcomes(sources: Sources, catalogue: Catalogue, windows: Outcome, date: dt.date) -> DataFrame:
    """A row a decision, as ``conf/tables/outcome.yml`` says; ``matured`` as of the night of ``date``."""
    taken = orders(sources.order, catalogue)
    closes = max(windows.horizon_days, windows.cancel_days)
    horizon = f"o.at >= start and o.at < start + interval {windows.horizon_days} days"
    conversion = f"o.at >= start and o.at < start + interval {windows.conversion_days} days"
    stands = f"(o.cancelled_at is null or o.cancelled_at >= start + interval {closes} days)"
    inside = f"o -> o >= start and o < start + interval {windows.horizon_days} days"
    margin = (
        f"aggregate(filter(orders, o -> {horizon} and {stands}), cast(0 as bigint), (sum, o) -> sum + o.margin_micro)"
    )
    masks = [
        f"aggregate(filter(orders, o -> o.take and o.product is not null and {conversion}), cast(0 as bigint), "
        f"(bits, o) -> bits | if(cast(o.product as int) div {WORD} = {word}, "
        f"shiftleft(cast(1 as bigint), cast(o.product as int) % {WORD}), cast(0 as bigint)))"
        for word in range(words_of(catalogue.products))
    ]
    more = f"array({', '.join(f'coalesce({mask}, 0)' for mask in masks[1:])})" if masks[1:] else "null"
    lately = f"d -> datediff(business_date, d) between 1 and {FATIGUE_DAYS}"
    recent = (
        f"aggregate(filter(attempts, {lately}), 0, (sum, d) -> sum + {weigh_recency('datediff(business_date, d)')})"
    )
    return (
        sources.decisions.selectExpr("*", f"{_START} as start")
        .join(histories(sources, taken), "customer_id", "left")
        .join(credit_orders(sources.decisions, taken, windows), "decision_id", "left")
        .join(answers(sources.contact), "decision_id", "left")
        .selectExpr(
            "decision_id",
            "run_id",
            "business_date",
            "customer_id",
            "product",
            "channel",
            *LABELLED,
            f"coalesce({recent}, 0) as recent_milli",
            *(f"coalesce({name}, false) as {name}" for name in ("attempted", "reached", "refused", "interested")),
            "coalesce(converted, false) as converted",
            f"coalesce(cancelled_at < start + interval {closes} days, false) as reversed",
            f"coalesce(exists(opt_outs, {inside}), false) as opted_out",
            f"coalesce(exists(complaints, {inside}), false) as complained",
            f"coalesce({masks[0]}, 0) as ordered",
            f"cast({more} as array<bigint>) as ordered_more",
            f"coalesce({margin}, 0) as margin_micro",
            f"business_date <= date'{date - dt.timedelta(days=closes)}' as matured",
        )
    )


def find_settled_dates(night: Night) -> set[dt.date]:
    """Dates whose outcomes were final when written: one value is read a date."""
    first = {file.partition["business_date"]: file.path for file in night.lake.live_files("outcome")}
    final = set()
    for date, path in first.items():
        rows = next(pq.ParquetFile(path).iter_batches(1, columns=["matured"]))
        if rows["matured"][0].as_py():
            final.add(date)
    return final


def run(night: Night) -> FeedbackFigures:
    """Bring ``outcome`` up to date: every open date of the past."""
    from pyspark.sql import functions as sf

    def read_seen(name: str) -> DataFrame:
        return night.table(name).where(
            (sf.col("event_time") < sf.lit(night.day_start)) & (sf.col("arrived_at") < sf.lit(night.cut_off))
        )

    done = find_settled_dates(night)
    past = read_logged_decisions(read_seen("decision"), night.catalogue)
    if night.lake.exists("assignment"):
        past = past.unionByName(ours(night.table("assignment")))
    dates = [
        row[0] for row in past.where(f"business_date < date'{night.date}'").select("business_date").distinct().collect()
    ]
    wanted = sorted(set(dates) - done)
    if not wanted:
        return FeedbackFigures(dates=0, settled=len(done))
    listed = ", ".join(f"date'{date}'" for date in wanted)
    where = f"business_date in ({listed})"
    since = wanted[0] - dt.timedelta(
        days=FATIGUE_DAYS + 1
    )  # of contacts, those that open dates answer to or that still weigh on them
    contact = read_seen("contact").where(f"data_date >= date'{since}'")
    sources = Sources(past.where(where), contact, read_seen("order"), read_seen("consent"), read_seen("complaint"))
    frame = outcomes(sources, night.catalogue, night.settings.outcome, night.date)
    frame = frame.repartition("business_date").sortWithinPartitions("customer_id", "decision_id")
    spark_tables.replace(night.lake, "outcome", frame, partitions=[{"business_date": date} for date in wanted])
    fresh = night.table("outcome").where(where)
    total = fresh.selectExpr(
        "count(*) as decisions",
        "count(product) as offers",
        "count_if(converted) as converted",
        "count_if(reversed) as reversed",
        "count_if(opted_out) as opted_out",
        "count_if(complained) as complained",
        "count_if(matured) as matured",
        "sum(margin_micro) as margin_micro",
    ).first()
    return FeedbackFigures(dates=len(wanted), settled=len(done), **(total.asDict() if total else {}))
