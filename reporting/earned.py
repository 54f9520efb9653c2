"""What contacts earned: figures of customers over a period, by intention to treat, as rows of ``kpi``.

Incremental margin = mean margin of treated customers less that of control, times treated customers; each order once,
with an interval over customers. Beside it stand its drivers, what refusals, complaints and cancellations came
after contacts, what was answered (not caused), what the last night's campaign came to so far, and inbound offers.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conf.money import MICRO
from conf.offer import Channel, Product
from models.affinity.two_groups import CrossSums, Difference, GroupSums, compare
from reporting.customer_ledger import AMOUNTS, open_ledger
from reporting.kpi import figure
from reporting.periods import Part, date_told, split
from runtime.night import Night

#: Decision dates that a period may reach back over.
WINDOW_DAYS = 120
TREATED, CONTROL = "treated", "control"
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Span:
    """The period of a policy as of a night."""

    parts: tuple[Part, ...]
    today: dt.date
    cancel_days: int

    @property
    def first(self) -> dt.date:
        """First decision date."""
        return self.parts[0].first

    @property
    def last(self) -> dt.date:
        """Last decision date."""
        return self.parts[-1].last

    @property
    def until(self) -> dt.date:
        """The day after the last orders that count."""
        return max(part.until for part in self.parts)

    @property
    def missing(self) -> str:
        """What is not yet there, in words; empty where all is."""
        last_order = self.until - dt.timedelta(days=1)
        if self.until > self.today:
            return f"orders until {last_order} are still to come 订单待至 {last_order}"
        if (end := self.until + dt.timedelta(days=self.cancel_days)) > self.today:
            return f"cancellations until {end} are still to come 退订待至 {end}"
        return ""


def gather(night: Night) -> Rows:
    """The rows of tonight: periods of every policy that decided within ``WINDOW_DAYS`` before it."""
    last = night.date - dt.timedelta(days=1)
    first = night.date - dt.timedelta(days=WINDOW_DAYS)
    with open_ledger(night, first, last) as ledger:
        parts = split(ledger.count_days(), night.settings.outcome.conversion_days)
        if not parts:
            return []
        ledger.divide(parts)
        groups, events, answers, inbound = (
            ledger.sum_groups(),
            ledger.count_events(),
            ledger.sum_answers(),
            ledger.sum_inbound(),
        )
        several = len(parts) > len({part.policy for part in parts})
        pairs, people = (ledger.sum_pairs(), ledger.count_people()) if several else ([], [])
    spans = make_spans(parts, night.date, night.settings.outcome.cancel_days)
    rows = count_earned(spans, groups, pairs, people)
    rows += count_event(spans, groups, events)
    rows += count_answer(spans, answers, night.catalogue.products, night.catalogue.channels)
    rows += count_campaign(answers, night.catalogue.channels)
    return rows + count_inbound(spans, inbound)


def make_spans(parts: Sequence[Part], today: dt.date, cancel_days: int) -> dict[str, Span]:
    """The period of every policy."""
    policies = sorted({part.policy for part in parts})
    return {name: Span(tuple(p for p in parts if p.policy == name), today, cancel_days) for name in policies}


def name_slice(policy: str, slice_: str) -> str:
    """The slice of ``kpi``: ``policy:ours``, ``policy:ours/city:gz``."""
    return f"policy:{policy}" if slice_ == "all" else f"policy:{policy}/{slice_}"


def count_earned(spans: Mapping[str, Span], groups: Rows, pairs: Rows, people: Rows) -> Rows:
    """Money, groups and drivers of every policy and slice.

    Args:
        spans: the period of each policy.
        groups: sums by policy, slice, part and arm (`reporting.customer_ledger.sum_groups`).
        pairs: sums of customers in two parts (``sum_pairs``).
        people: distinct customers by policy, slice and arm where a period has several parts (``count_people``).
    """
    by: dict[tuple[str, str], Rows] = defaultdict(list)
    for row in groups:
        by[row["policy"], row["slice"]].append(row)
    crossed: dict[tuple[str, str], Rows] = defaultdict(list)
    for row in pairs:
        crossed[row["policy"], row["slice"]].append(row)
    distinct = {(row["policy"], row["slice"], row["arm"]): int(row["customers"]) for row in people}
    rows: Rows = []
    for (policy, slice_), cells in sorted(by.items()):
        counts = {arm: distinct.get((policy, slice_, arm), _sum(cells, arm, "customers")) for arm in (TREATED, CONTROL)}
        made = [*_compare_groups(spans[policy], cells, crossed[policy, slice_], counts)]
        if slice_ == "all":
            mixed = distinct.get((policy, slice_, "mixed"), _sum(cells, "mixed", "customers"))
            made.append(figure("mixed_customers", "", float(mixed), 1.0))
            bought = sum(int(cell["orders"]) for cell in cells)
            electronic = sum(int(cell["echannel_orders"]) for cell in cells)
            made.append(figure("echannel_order_share", "", float(electronic), float(bought)))
        rows += _add_dates(spans[policy], name_slice(policy, slice_), made)
    return rows


def _sum(cells: Rows, arm: str, name: str) -> int:
    return sum(int(cell[name]) for cell in cells if cell["arm"] == arm)


def _add_dates(span: Span, slice_: str, rows: Iterable[Mapping[str, Any]]) -> Rows:
    dates = {"slice": slice_, "first_date": span.first, "last_date": span.last}
    return [{**row, **dates, "note": row.get("note") or span.missing} for row in rows]


def compare_margins(cells: Rows, pairs: Rows) -> Difference | None:
    """What treating brought in micro-元, of a slice's sums."""
    names = ("customers", "margin_micro", "squares", "unmoved_micro", "unmoved_squares")
    sums = {
        (int(cell["part"]), cell["arm"] == TREATED): GroupSums(*(int(cell[name]) for name in names))
        for cell in cells
        if cell["arm"] in (TREATED, CONTROL)
    }
    crossed = {}
    for pair in pairs:
        at = (int(pair["part"]), pair["arm"] == TREATED)
        other = (int(pair["other_part"]), pair["other_arm"] == TREATED)
        crossed[at, other] = CrossSums(*(int(pair[name]) for name in ("customers", "left", "right", "product")))
    return compare(sums, crossed)


def _compare_groups(span: Span, cells: Rows, pairs: Rows, counts: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    treated, control = counts[TREATED], counts[CONTROL]
    total = {arm: {name: _sum(cells, arm, name) for name in AMOUNTS} for arm in (TREATED, CONTROL)}
    cost, contacts, reached = (float(total[TREATED][name]) for name in ("cost_micro", "contacts", "reached"))
    yield figure("treated_customers", "", float(treated), 1.0)
    yield figure("control_customers", "", float(control), 1.0)
    yield figure("contact_cost_yuan", "", cost / MICRO, 1.0)
    yield figure("contacts_per_customer", "", contacts, float(treated))
    yield figure("period_reached_rate", "", reached, contacts)
    for arm, orders, margin in (
        (TREATED, "orders_per_customer", "margin_per_order_yuan"),
        (CONTROL, "orders_per_control_customer", "margin_per_control_order_yuan"),
    ):
        yield figure(orders, "", float(total[arm]["orders"]), float(counts[arm]))
        yield figure(margin, "", total[arm]["margin_micro"] / MICRO, float(total[arm]["orders"]))
    brought = compare_margins(cells, pairs)
    buyers = min(_sum(cells, arm, "buyers") for arm in (TREATED, CONTROL))
    wait = date_told(span.first, span.today, span.until, buyers)
    if brought is None or wait:
        when = f" before {wait}, 预计 {wait} 起可断定" if wait else ": a group is empty 某组无客户"
        untold = {"value": None, "note": f"not yet to be told{when}"}
        for name in ("incremental_margin_yuan", "incremental_margin_per_customer_yuan", "net_margin_yuan", "roi"):
            yield figure(name, "", 0.0, 0.0) | untold
        return
    yield _between("incremental_margin_yuan", brought, 0.0, MICRO)
    yield _between("incremental_margin_per_customer_yuan", brought, 0.0, MICRO * treated)
    yield _between("net_margin_yuan", brought, cost, MICRO)
    if cost:
        yield _between("roi", brought, 0.0, cost)
    more = _more_orders(cells)
    yield figure("incremental_orders", "", more, 1.0)
    yield figure("incremental_orders_per_reached", "", more, reached)
    if more > 0:
        yield figure("margin_per_incremental_order_yuan", "", brought.total / MICRO, more)


def _between(name: str, brought: Difference, less: float, over: float) -> dict[str, Any]:
    ends = {"low": (brought.low - less) / over, "high": (brought.high - less) / over}
    return figure(name, "", brought.total - less, float(over)) | ends


def _more_orders(cells: Rows) -> float:
    """Orders that treated customers have more than as many of control would."""
    own = {(int(cell["part"]), cell["arm"]): cell for cell in cells}
    more = 0.0
    for part in {part for part, _ in own}:
        treated, control = own[part, TREATED], own[part, CONTROL]
        more += int(treated["orders"]) - int(control["orders"]) * int(treated["customers"]) / int(control["customers"])
    return more


def count_event(spans: Mapping[str, Span], groups: Rows, events: Rows) -> Rows:
    """Refusals, complaints and cancellations of 10,000 contacts, and of control in the same windows."""
    rows: Rows = []
    for policy, span in spans.items():
        own = [row for row in events if row["policy"] == policy]
        cells = [row for row in groups if row["policy"] == policy and row["slice"] == "all"]
        contacts = sum(int(cell["contacts"]) for cell in cells)
        held_out = any(cell["arm"] == CONTROL for cell in cells)
        counted = {(row["kind"], row["what"]): float(row["events"]) for row in own}
        made = []
        for kind in ("opt_outs", "complaints", "cancellations"):
            made.append(figure(f"{kind}_per_10000", "", counted.get((kind, "after"), 0.0), float(contacts), scale=1e4))
            if held_out:
                without = counted.get((kind, CONTROL), 0.0)
                made.append(figure(f"{kind}_per_10000_control", "", without, float(contacts), scale=1e4))
        rows += _add_dates(span, name_slice(policy, "all"), made if contacts else [])
    return rows


def count_answer(
    spans: Mapping[str, Span], answers: Rows, products: Sequence[Product], channels: Sequence[Channel]
) -> Rows:
    """Answered margin and orders by product, channel and campaign (run): by last touch, each order once."""
    codes = {"product": {row.id: row.code for row in products}, "channel": {row.id: row.code for row in channels}}
    sums: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in answers:
        names = ["all", *(f"{key}:{known[row[key]]}" for key, known in codes.items() if row[key] in known)]
        names += [f"run:{row['run_id']}"] if row["policy"] == "ours" else []
        for slice_ in names:
            for name in ("touches", "answers", "margin_micro", "cost_micro"):
                sums[row["policy"], slice_][name] += int(row[name] or 0)
    rows: Rows = []
    for (policy, slice_), total in sorted(sums.items()):
        made = [
            figure("answered_margin_yuan", "", total["margin_micro"] / MICRO, 1.0),
            figure("answered_orders", "", float(total["answers"]), 1.0),
            figure("answered_margin_per_contact_yuan", "", total["margin_micro"] / MICRO, float(total["touches"])),
        ]
        rows += _add_dates(spans[policy], name_slice(policy, slice_), made)
    return rows


def count_campaign(answers: Rows, channels: Sequence[Channel]) -> Rows:
    """What our last campaign came to so far: sent, reached, refused, orders, in all and by channel."""
    ours = [row for row in answers if row["policy"] == "ours"]
    if not ours:
        return []
    last = max(row["business_date"] for row in ours)
    codes = {channel.id: channel.code for channel in channels}
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in ours:
        if row["business_date"] == last:
            for slice_ in ("all", f"channel:{codes[row['channel']]}"):
                for name in ("touches", "reached", "refused", "answers"):
                    sums[slice_][name] += int(row[name] or 0)
    names = {"touches": "sent", "reached": "reached", "refused": "refused", "answers": "orders"}
    return [
        figure(f"campaign_{word}", slice_, float(total[name]), 1.0)
        | {"first_date": last, "last_date": last, "note": "so far 截至目前"}
        for slice_, total in sorted(sums.items())
        for name, word in names.items()
    ]


def count_inbound(spans: Mapping[str, Span], inbound: Rows) -> Rows:
    """Offers shown to customers who came, what they accepted, and its value."""
    rows: Rows = []
    for row in inbound:
        made = [
            figure("shown_offers", "", float(row["shown"]), 1.0),
            figure("accepted_offers", "", float(row["accepted"] or 0), 1.0),
            figure("accepted_offers_yuan", "", int(row["margin_micro"] or 0) / MICRO, 1.0),
        ]
        rows += _add_dates(spans[row["policy"]], name_slice(row["policy"], "all"), made)
    return rows
