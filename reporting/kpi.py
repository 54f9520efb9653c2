"""Figures of the operation on a night: what contacts of the past came to, and what tonight's plan promises.

Rates of contacts are read from matured outcomes of the ``WINDOW_DAYS`` before the night, by product, channel, city,
grade and run. Money is not: the horizons of decisions hold the same order many times (``reporting.earned``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from conf.errors import UserError, suggest
from conf.figure import Figure
from conf.money import MICRO
from conf.offer import Channel, Product
from reporting.feed_status import FeedState, counts
from runtime.figures import AssignFigures

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WINDOW_DAYS = 120
#: What a slice may be; each is a grouping set of its own.
SLICES = ("role", "product", "channel", "city", "grade", "run_id")
#: Figures of the run record of `assign` that are kept night by night.
PLANNED: dict[str, Callable[[AssignFigures], float | None]] = {
    "predicted_value_yuan": lambda plan: plan.value_yuan,
    "certified_gap": lambda plan: plan.gap,
    "churn": lambda plan: plan.churn,
    "churn_unchanged": lambda plan: plan.churn_unchanged,
    "alternates": lambda plan: plan.alternates,
    "taken_back": lambda plan: plan.taken_back,
    "learning_yuan": lambda plan: plan.learning_yuan,
    "control_yuan": lambda plan: plan.control_yuan,
    "contacts_at_a_loss": lambda plan: None if plan.at_a_loss is None else sum(plan.at_a_loss.values()),
    "loss_yuan": lambda plan: None if plan.loss_yuan is None else sum(plan.loss_yuan.values()),
}
SUMS = (
    "decisions",
    "attempted",
    "reached",
    "converted",
    "kept",
    "cost_micro",
)


Tally = Mapping[str, Any]


def window(date: dt.date) -> tuple[dt.date, dt.date]:
    """First and last decision date of the outcomes that count on ``date``."""
    return date - dt.timedelta(days=WINDOW_DAYS), date - dt.timedelta(days=1)


def tally(outcomes: DataFrame, customers: DataFrame, channels: Sequence[Channel]) -> list[Tally]:
    """Sums by slice: one row for all, one a role, product, channel, city, grade and run (tens to hundreds of rows).

    Args:
        outcomes: matured rows of ``outcome``.
        customers: ``customer_id, city, grade``.
        channels: the channels, for the cost of an attempt.
    """
    from pyspark.sql import functions as sf

    cost = sf.lit(0).cast("bigint")
    for channel in channels:
        cost = sf.when(sf.col("channel") == channel.id, sf.lit(channel.cost_micro)).otherwise(cost)
    rows = outcomes.join(customers, "customer_id", "left").select(
        *SLICES,
        sf.lit(1).alias("decisions"),
        *(sf.coalesce(sf.col(name), sf.lit(False)).cast("int").alias(name) for name in ("attempted", "reached")),
        sf.coalesce("converted", sf.lit(False)).cast("int").alias("converted"),
        sf.expr("cast(coalesce(converted, false) and not coalesce(reversed, false) as int)").alias("kept"),
        sf.when(sf.col("attempted"), cost).otherwise(sf.lit(0)).alias("cost_micro"),
    )
    rows.createOrReplaceTempView("kpi_rows")
    sums = ", ".join(f"sum({name}) as {name}" for name in SUMS)
    sets = ", ".join(f"({name})" for name in SLICES)
    query = (
        f"select {', '.join(SLICES)}, grouping_id() as level, {sums} from kpi_rows group by grouping sets ((), {sets})"
    )
    tallies = [row.asDict() for row in rows.sparkSession.sql(query).collect()]
    rows.sparkSession.catalog.dropTempView("kpi_rows")
    return tallies


def name_slices(tallies: Iterable[Tally], products: Sequence[Product], channels: Sequence[Channel]) -> dict[str, Tally]:
    """Tallies by slice name (``all``, ``product:data_pack_10g`` …), sorted; what has no code has no slice."""
    codes: dict[str, dict[Any, str]] = {
        "product": {product.id: product.code for product in products},
        "channel": {channel.id: channel.code for channel in channels},
    }
    named: dict[str, Tally] = {}
    everything = 2 ** len(SLICES) - 1
    for row in tallies:
        level = int(row["level"])
        if level == everything:
            named["all"] = row
            continue
        key = SLICES[len(SLICES) - 1 - (everything - level).bit_length() + 1]
        value = codes[key].get(row[key]) if key in codes else row[key]
        if value is not None:
            named[f"{key.removesuffix('_id')}:{value}"] = row
    return dict(sorted(named.items()))


def ratios(slices: Mapping[str, Tally], figures: Mapping[str, Figure]) -> list[dict[str, Any]]:
    """The contact figures (those declared ``over`` two sums) of every slice in which something was counted."""
    return [
        figure(declared.name, name, float(row[declared.over[0]]), float(row[declared.over[1]]), scale=declared.scale)
        for name, row in slices.items()
        for declared in sorted(figures.values(), key=lambda known: known.position)
        if declared.over and row[declared.over[1]] and not name.startswith("role:control")
    ]


def plan_figures(figures: AssignFigures) -> list[dict[str, Any]]:
    """What the run record of `assign` says of tonight's plan, as far as it says it."""
    known = [(name, value(figures)) for name, value in PLANNED.items()]
    rows = [figure(name, "all", float(value), 1.0) for name, value in known if value is not None]
    for row in rows:
        if row["kpi"] == "predicted_value_yuan":
            row |= {"low": figures.value_low_yuan, "high": figures.value_high_yuan}
    return rows + change_rows(figures) + support_figures(figures.support or {})


def support_figures(support: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """Which part of outbound arcs explorers can draw, of those that passed the rules and of those kept, by channel and all."""
    parts = {f"channel:{code}": counts for code, counts in support.items()}
    if parts:
        keys = ("eligible", "kept", "supported")
        parts = {"all": {key: sum(counts[key] for counts in parts.values()) for key in keys}} | parts
    return [
        figure(f"support_of_{of}", name, float(counts["supported"]), float(counts[of]))
        for name, counts in parts.items()
        for of in ("eligible", "kept")
        if counts[of]
    ]


def change_rows(figures: AssignFigures) -> list[dict[str, Any]]:
    """The change of the predicted value against the night before: in all, and by cause; or why there is none."""
    note = {"note": figures.change_note}
    if figures.change_micro is None:
        return [figure("predicted_change_yuan", "all", 0.0, 0.0) | note] if figures.change_note else []
    causes = [
        figure("predicted_change_yuan", f"cause:{name}", n / MICRO, 1.0) for name, n in figures.change_micro.items()
    ]
    return [figure("predicted_change_yuan", "all", sum(figures.change_micro.values()) / MICRO, 1.0) | note, *causes]


def feeds(states: Sequence[FeedState]) -> list[dict[str, Any]]:
    """How many feeds came of those that were due, and how many are in each state."""
    due = [feed for feed in states if feed.due]
    rows = [figure("feeds_in", "all", float(sum(feed.came for feed in due)), float(len(due)))]
    return rows + [figure("feeds", f"state:{state}", float(n), 1.0) for state, n in counts(states).items() if n]


def figure(name: str, slice_: str, numerator: float, denominator: float, *, scale: float = 1.0) -> dict[str, Any]:
    """One row of ``kpi`` without its date: ``value`` is numerator over denominator, times ``scale``.

    Nothing over nothing is no value.
    """
    value = numerator / denominator * scale if denominator else None
    return {"kpi": name, "slice": slice_, "value": value, "numerator": numerator, "denominator": denominator}


def describe(rows: Iterable[Mapping[str, Any]], figures: Mapping[str, Figure]) -> list[dict[str, Any]]:
    """The rows with what their figure's declaration says of them: label, unit, formula.

    Raises:
        UserError: a figure is not declared, and so cannot be shown.
    """
    described = []
    for row in rows:
        declared = find_declared(row["kpi"], figures)
        words = {name: getattr(declared, name) for name in ("label", "label_zh", "unit", "formula", "formula_zh")}
        described.append({**row, **words})
    return described


def find_declared(name: str, figures: Mapping[str, Figure]) -> Figure:
    """The declaration of a figure.

    Raises:
        UserError: there is none, so that it cannot be shown.
    """
    if name not in figures:
        remedy = f"write conf/figures/{name}.yml, or {suggest(name, figures)}"
        raise UserError(f"figure {name!r} is not declared", where="conf/figures", remedy=remedy)
    return figures[name]
