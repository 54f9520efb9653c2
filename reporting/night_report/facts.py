"""What the night report says: small tables and counts gathered from the lake, nothing formatted yet."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from conf.money import MICRO
from reporting import feed_status
from reporting.feed_status import FeedState, Loads
from runtime.figures import TrainFigures
from runtime.holds import OUTBOUND_STOP
from runtime.night import Night
from runtime.run_record import NightRecord, last_training, night_record

#: Nights over which the page shows a trend.
TREND_NIGHTS = 30
#: Rows a batch while counting a plan.
BATCH = 262_144
#: Names of steps of the funnel that are no rules of rules.yml.
BUILT_IN = {
    "on_sale": ("not on sale on this date", "不在销售期"),
    "product_eligible": ("the product's own condition", "产品办理条件"),
    "channel_eligible": ("the channel's own condition", "渠道适用条件"),
}


@dataclass
class PlanFacts:
    """A night's plan in counts: customers by role, arcs by (product, channel), reasons, value."""

    customers: int = 0
    value_micro: int = 0
    roles: Counter[str] = field(default_factory=Counter)
    arcs: Counter[tuple[int, int]] = field(default_factory=Counter)
    value: Counter[tuple[int, int]] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def contacts(self) -> int:
        """Customers with an outbound arc."""
        return sum(self.arcs.values())

    def by(self, position: int, of: Counter[tuple[int, int]] | None = None) -> dict[int, int]:
        """Arcs (or ``of``) summed by product (0) or channel (1)."""
        totals: dict[int, int] = {}
        for key, count in (self.arcs if of is None else of).items():
            totals[key[position]] = totals.get(key[position], 0) + count
        return totals


def list_stops(funnel: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why nobody is contacted tonight, in both languages; empty on other nights."""
    return [f"{row['reason']} 今晚不外呼: {row['reason_zh']}" for row in funnel if row["rule"] == OUTBOUND_STOP]


def count_plan(batches: Iterable[pa.RecordBatch]) -> PlanFacts:
    """Count batches of ``role, product, channel, value_micro, reason``."""
    plan = PlanFacts()
    for batch in batches:
        table = pa.Table.from_batches([batch])
        keys = ["role", "product", "channel", "reason"]
        for row in table.group_by(keys).aggregate([("value_micro", "sum"), ([], "count_all")]).to_pylist():
            count = row["count_all"]
            plan.customers += count
            plan.roles[row["role"]] += count
            plan.reasons[row["reason"]] += count
            if row["product"] is not None:
                arc = (row["product"], row["channel"])
                plan.arcs[arc] += count
                plan.value[arc] += row["value_micro_sum"] or 0
                plan.value_micro += row["value_micro_sum"] or 0
    return plan


def read_plan(night: Night, date: dt.date) -> PlanFacts:
    """The plan of ``date`` in counts."""
    dataset = night.lake.delta("assignment").to_pyarrow_dataset()
    columns = ["role", "product", "channel", "value_micro", "reason"]
    that_night = pc.field("business_date") == pa.scalar(date)
    return count_plan(dataset.to_batches(columns=columns, filter=that_night, batch_size=BATCH))


def funnel_rows(night: Night) -> list[dict[str, Any]]:
    """The funnel of tonight in order, each rule with its reasons in both languages."""
    reasons = {rule.name: (rule.reason, rule.reason_zh) for rule in night.catalogue.rules}
    rows = night.lake.arrow("funnel", partition=night.partition).sort_by("position").to_pylist()
    for row in rows:
        known = reasons.get(row["rule"]) or BUILT_IN.get(row["rule"], (row["rule"], ""))
        row["reason"], row["reason_zh"] = row.get("reason") or known[0], row.get("reason_zh") or known[1]
    return rows


def limit_rows(night: Night) -> list[dict[str, Any]]:
    """Tonight's limits as they are shown, those that cost most first, with label and the price of the night before."""
    labels = {limit.name: limit.label_zh for limit in night.catalogue.limits}
    columns = [column.name for column in night.lake.table("limit_price").columns]

    def read(partition: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows = night.lake.arrow("limit_price", partition=partition, columns=columns).to_pylist()
        return [show_limit(row) for row in rows]

    rows = read(night.partition)
    before = {row["limit"]: row["shown_price_yuan"] for row in read({"business_date": night.before("limit_price")})}
    for row in rows:
        row["label_zh"] = labels.get(row["limit"], "")
        row["price_before"] = before.get(row["limit"])
    return sorted(rows, key=lambda row: (-(row["cost_micro"] or 0), -abs(row["shown_price_yuan"]), row["limit"]))


def show_limit(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``limit_price`` with its shown columns; those of up to 0.2 have none: use of the solved part."""
    if row["shown_unit"] is not None:
        return dict(row)
    scale = MICRO if "micro" in row["unit"] else 1
    shown = {"shown_unit": "元" if scale > 1 else row["unit"], "shown_price_yuan": row["price_yuan"] * scale}
    return {**row, **shown, "shown_amount": row["amount"] / scale, "shown_used": row["used"] / scale}


@dataclass(frozen=True)
class ReportFacts:
    """All that the page needs."""

    date: dt.date
    run_id: str
    feeds: list[FeedState]
    loads: Loads
    funnel: list[dict[str, Any]]
    plan: PlanFacts
    before: PlanFacts
    offers: dict[int, int]  # recommendations by channel id
    limits: list[dict[str, Any]]
    record: NightRecord
    record_before: NightRecord
    training: TrainFigures
    kpis: list[dict[str, Any]]
    checks: Counter[tuple[str, bool]]
    history: list[dict[str, Any]] = field(default_factory=list)  # figures of all of the operation, night by night


def read_history(night: Night) -> list[dict[str, Any]]:
    """Rows of ``kpi`` of all of the operation, of tonight and the ``TREND_NIGHTS`` before it, by figure and night."""
    nights = [date for date in night.lake.dates("kpi") if date <= night.date][-TREND_NIGHTS:]
    if not nights:
        return []
    chosen = (pc.field("business_date") >= pa.scalar(nights[0])) & (pc.field("business_date") <= pa.scalar(night.date))
    table = night.lake.delta("kpi").to_pyarrow_dataset()
    rows = table.to_table(columns=["business_date", "kpi", "value"], filter=chosen & (pc.field("slice") == "all"))
    return sorted(rows.to_pylist(), key=lambda row: (row["kpi"], row["business_date"]))


def gather(night: Night, run_id: str) -> ReportFacts:
    """Read everything from the lake."""
    last = night.before("limit_price")
    checks = night.lake.arrow("ops_quality", partition=night.partition, columns=["severity", "success"]).to_pylist()
    shown = night.lake.arrow("recommendation", partition=night.partition, columns=["channel"])
    offers = shown.group_by("channel").aggregate([([], "count_all")]).to_pylist()
    return ReportFacts(
        date=night.date,
        run_id=run_id,
        feeds=feed_status.read(night),
        loads=feed_status.loads(night),
        funnel=funnel_rows(night),
        plan=read_plan(night, night.date),
        before=read_plan(night, last) if last else PlanFacts(),
        offers={row["channel"]: row["count_all"] for row in sorted(offers, key=lambda row: row["channel"])},
        limits=limit_rows(night),
        record=night_record(night, night.date, run_id),
        record_before=night_record(night, last) if last else NightRecord({}),
        training=last_training(night),
        kpis=sorted(
            night.lake.arrow("kpi", partition=night.partition).to_pylist(), key=lambda row: (row["kpi"], row["slice"])
        ),
        checks=Counter((row["severity"], row["success"]) for row in checks),
        history=read_history(night),
    )
