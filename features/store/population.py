"""The customers of a decision date, and what holds of them, as it was known by the night's cut-off."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from conf.dates import cut_off, start_of_day
from conf.feature import Attribute
from features.sql import date_literal, instant_literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def population(
    customers: DataFrame,
    consents: DataFrame,
    dates: Sequence[dt.date],
    attributes: Sequence[Attribute],
    known: dt.date | None = None,
) -> DataFrame:
    """Active customers of every date with their attributes.

    The version in force is the latest that began before D 00:00 Shanghai among those that had arrived by D's
    cut-off; ``valid_to`` is not looked at, since it knows the future.

    Args:
        customers: the slowly changing ``customer`` table.
        consents: the ``consent`` table.
        dates: decision dates.
        attributes: the declarations.
        known: the night by whose cut-off rows must have arrived; None: that of each date itself.

    Returns:
        ``as_of, customer_id, draw_key``, ``refused`` (profiling) and one column an attribute.
    """
    from pyspark.sql import functions as f

    columns = [name for name in customers.columns if name not in ("customer_id", "arrived_at")]
    order = ["valid_from", "arrived_at", *(name for name in columns if name not in ("valid_from", "valid_to"))]
    versions = customers.withColumn("as_of", f.explode(f.array(*(f.expr(date_literal(date)) for date in dates))))
    in_force = (
        versions.where(select_known_sql("valid_from", dates, known))
        .groupBy("as_of", "customer_id")
        .agg(f.max(f.struct(*order)).alias("version"))
        .select("as_of", "customer_id", "version.*")
        .where("status = 'active'")
    )
    refused = refusals(consents, dates, known).withColumn("refused", f.lit(True))
    return in_force.join(refused, ["as_of", "customer_id"], "left").selectExpr(
        "as_of",
        "customer_id",
        "coalesce(draw_key, customer_id) as draw_key",
        "coalesce(refused, false) as refused",
        *(f"{attribute_sql(a)} as `{a.name}`" for a in attributes),
    )


def attribute_sql(attribute: Attribute) -> str:
    """Spark SQL of an attribute over the version of `customer` in force and ``as_of``."""
    return f"cast({attribute.value} as {attribute.type})"


def select_known_sql(time: str, dates: Sequence[dt.date], known: dt.date | None = None) -> str:
    """Spark SQL: ``time`` lies before ``as_of`` 00:00 Shanghai, and the row had arrived by its cut-off (``known``'s)."""
    cases = " ".join(
        f"when as_of = {date_literal(date)} then {time} < {instant_literal(start_of_day(date))} "
        f"and arrived_at < {instant_literal(cut_off(known or date))}"
        for date in dates
    )
    return f"case {cases} else false end"


def refusals(consents: DataFrame, dates: Sequence[dt.date], known: dt.date | None = None) -> DataFrame:
    """``as_of, customer_id`` of customers whose last statement on profiling is a refusal."""
    from pyspark.sql import functions as f

    stated = (
        consents.where("kind = 'profiling'")
        .select("customer_id", "event_time", "arrived_at", "granted")
        .withColumn("as_of", f.explode(f.array(*(f.expr(date_literal(date)) for date in dates))))
        .where(select_known_sql("event_time", dates, known))
    )
    # of two statements at one instant the refusal holds
    last = stated.groupBy("as_of", "customer_id").agg(
        f.expr("max(struct(event_time as t, not granted as refused))").alias("s")
    )
    return last.where("s.refused").select("as_of", "customer_id")
