"""The operation's goals (五快四多三低) that are no figures of contacts: how soon, how content, how easily supported.

Launches are counted from the first instant of the launch date in Shanghai; an offer of a night is in force from the
night's cut-off on. What cannot be measured says why: no product was launched, no channel reports, no rule names its day.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb

from conf.dates import cut_off, start_of_day
from conf.offer import Channel, Product
from reporting.kpi import WINDOW_DAYS, figure
from runtime.duckdb_sql import Files, open_tables
from runtime.lake import arrow_schema, nullable
from runtime.night import Night
from runtime.run_record import RunRecord, records

Rows = list[dict[str, Any]]
HOUR, DAY = 3600.0, 86400.0
#: Tables of which something is counted here.
READ = ("assignment", "recommendation", "impression", "contact", "order", "complaint", "funnel")


@dataclass(frozen=True)
class Launch:
    """A product launched since our first night, and when each channel (by code) first had, showed and sold it."""

    product: Product
    offered: Mapping[str, dt.datetime]
    shown: Mapping[str, dt.datetime]
    sold: Mapping[str, dt.datetime]

    def seconds_to(self, instant: dt.datetime) -> float:
        """Seconds from the launch."""
        return (instant - start_of_day(self.product.launch_date)).total_seconds()


def gather(night: Night) -> Rows:
    """The rows of ``kpi`` of tonight; figures without a value carry the reason in ``note``."""
    nights = night.lake.dates("assignment")
    first = min([*nights, night.date])
    launched = [p for p in night.catalogue.products if first <= p.launch_date <= night.date]
    with _open(night) as connection:
        launches = find_launches(connection, night, launched) if launched else []
        rows = count_launches(launches, night.catalogue.channels, first)
        rows += count_rules(connection, night)
        rows += count_orders(connection, night)
        rows += count_content(connection, night)
    return rows + count_changes(records(night.lake), night.date)


@contextlib.contextmanager
def _open(night: Night) -> Iterator[duckdb.DuckDBPyConnection]:
    night.settings.home.mkdir(parents=True, exist_ok=True)
    sources = {name: Files(nullable(arrow_schema(night.lake.table(name))), night.lake.files(name)) for name in READ}
    with (
        tempfile.TemporaryDirectory(dir=night.settings.home, prefix="goals-") as spill,
        open_tables(sources, Path(spill)) as connection,
    ):
        yield connection


def _select_seen(night: Night) -> str:
    """What tonight may know of, as SQL."""
    return f"event_time < {_instant(night.day_start)} and arrived_at < {_instant(night.cut_off)}"


def _select_lately(night: Night) -> str:
    """The same of the last ``WINDOW_DAYS``."""
    first = night.date - dt.timedelta(days=WINDOW_DAYS)
    begun = f"data_date >= date '{first - dt.timedelta(days=1)}' and event_time >= {_instant(start_of_day(first))}"
    return f"{begun} and {_select_seen(night)}"


def _instant(time: dt.datetime) -> str:
    return f"timestamptz '{time.isoformat()}'"


def _absent(name: str, why: str, slice_: str = "all") -> dict[str, Any]:
    return figure(name, slice_, 0.0, 0.0) | {"note": why}


# -- launches --------------------------------------------------------------------------------------------------


def find_launches(connection: duckdb.DuckDBPyConnection, night: Night, launched: Sequence[Product]) -> list[Launch]:
    """When each channel first had an offer of a product, showed it (or made an attempt) and took an order of it."""
    since = min(product.launch_date for product in launched)
    ids, codes = ", ".join(str(p.id) for p in launched), ", ".join(f"'{p.code}'" for p in launched)
    inbound = [str(c.id) for c in night.catalogue.channels if c.direction == "inbound"]
    dates = f"business_date between date '{since}' and date '{night.date}' and product in ({ids})"
    decided = [f"select business_date, product, channel from assignment where {dates}"]
    if inbound:
        decided.append(
            f"select business_date, product, channel from recommendation where {dates} and channel in ({', '.join(inbound)})"
        )
    offered = connection.sql(
        f"select product, channel, min(business_date) from ({' union all '.join(decided)}) group by all order by all"
    ).fetchall()
    recent = f"product in ({codes}) and data_date >= date '{since}' and {_select_seen(night)}"
    shown = connection.sql(f"""
        select product, channel, min(instant) from (
            select product, channel, shown_at as instant from impression where {recent}
            union all
            select product, channel, event_time from contact where {recent} and direction = 'out' and attempted)
        where channel is not null group by all order by all""").fetchall()
    sold = connection.sql(f"""
        select product, channel, min(event_time) from "order" where {recent} and action in ('subscribe', 'renew', 'change')
            and channel is not null group by all order by all""").fetchall()
    code_of = {channel.id: channel.code for channel in night.catalogue.channels}
    launches = []
    for product in launched:
        opened = start_of_day(product.launch_date)
        launches.append(
            Launch(
                product,
                {code_of[c]: cut_off(d) for p, c, d in offered if p == product.id and c in code_of},
                {c: at for p, c, at in shown if p == product.code and at >= opened},
                {c: at for p, c, at in sold if p == product.code and at >= opened},
            )
        )
    return launches


def count_launches(launches: Sequence[Launch], channels: Sequence[Channel], first: dt.date) -> Rows:
    """Hours to the first offer in every channel, hours until visible a channel, days to the first e-channel order.

    Args:
        launches: products launched since the first night.
        channels: all of them; an e-channel is one that takes nobody's time.
        first: the first night.
    """
    names = ("launch_to_channels_hours", "visible_hours", "launch_to_echannels_days")
    if not launches:
        why = f"no product was launched since the first night, {first} 自首夜 {first} 起无新产品上市"
        return [_absent(name, why) for name in names]
    codes = [channel.code for channel in channels]
    electronic = {channel.code for channel in channels if not channel.seconds}
    everywhere, sold, rows = [], [], []
    for launch in launches:
        slice_ = f"product:{launch.product.code}"
        wanting = [code for code in codes if code not in launch.offered]
        if wanting:
            why = f"no offer yet in 尚无推荐: {', '.join(wanting)}"
            rows.append(_absent(names[0], why, slice_))
        else:
            everywhere.append(max(launch.seconds_to(at) for at in launch.offered.values()) / HOUR)
            rows.append(figure(names[0], slice_, everywhere[-1], 1.0))
        at = min((at for code, at in launch.sold.items() if code in electronic), default=None)
        if at is None:
            rows.append(_absent(names[2], "no order by an e-channel yet 尚无电子渠道订单", slice_))
        else:
            sold.append(launch.seconds_to(at) / DAY)
            rows.append(figure(names[2], slice_, sold[-1], 1.0))
    rows.append(_mean(names[0], everywhere, len(launches), "in every channel 已覆盖全部渠道"))
    rows.append(_mean(names[2], sold, len(launches), "sold by an e-channel 已有电子渠道订单"))
    for channel in channels:
        hours = [
            launch.seconds_to(launch.shown[channel.code]) / HOUR for launch in launches if channel.code in launch.shown
        ]
        slice_ = f"channel:{channel.code}"
        if hours:
            rows.append(_mean(names[1], hours, len(launches), "seen there 已可见", slice_))
        else:
            rows.append(_absent(names[1], "nothing shown or sent of a new product 新产品尚无展示或触达记录", slice_))
    every = [min(launch.shown.values()) for launch in launches if launch.shown]
    hours = [launch.seconds_to(at) / HOUR for launch, at in zip([x for x in launches if x.shown], every, strict=True)]
    rows.append(_mean(names[1], hours, len(launches), "seen anywhere 已可见"))
    return rows


def _mean(name: str, values: Sequence[float], launched: int, what: str, slice_: str = "all") -> dict[str, Any]:
    """A mean over launches, which says of how many."""
    note = f"{len(values)} of {launched} launches {what}"
    return figure(name, slice_, sum(values), float(len(values))) | {"note": note}


# -- rules, orders, content ------------------------------------------------------------------------------------


def count_rules(connection: duckdb.DuckDBPyConnection, night: Night) -> Rows:
    """Days from a rule's declaration to the first night it was in force; only where the first night is on record."""
    name = "rule_to_night_days"
    declared = {rule.name: rule.declared for rule in night.catalogue.rules if rule.declared is not None}
    if not declared:
        return [_absent(name, "no rule of rules.yml names the day it was declared 规则未注明声明日期")]
    nights = dict(
        connection.sql(
            f"select rule, min(business_date) from funnel where business_date <= date '{night.date}' group by rule"
        ).fetchall()
    )
    start = min(nights.values(), default=night.date)
    days = {
        rule: (nights[rule] - day).days
        for rule, day in declared.items()
        if rule in nights and day <= nights[rule] and nights[rule] > start
    }
    if not days:
        return [_absent(name, f"no rule was declared since the first night, {start} 自首夜起无新规则")]
    rows = [figure(name, f"rule:{rule}", float(n), 1.0) for rule, n in sorted(days.items())]
    return [figure(name, "all", float(sum(days.values())), float(len(days))), *rows]


def count_orders(connection: duckdb.DuckDBPyConnection, night: Night) -> Rows:
    """Hours from an order being taken to its taking effect, and the share of cancellations that e-channels take."""
    rows = connection.sql(f"""
        with once as (
            select customer_id, order_id, action, event_time, product,
                arg_max(channel, (arrived_at, delivery_id, line)) as channel,
                arg_max(effective_time, (arrived_at, delivery_id, line)) as effective_time
            from "order" where {_select_lately(night)} group by all
        )
        select action, channel, count(*) as orders, count(*) filter (effective_time >= event_time) as handled,
            sum(epoch_us(effective_time) - epoch_us(event_time)) filter (effective_time >= event_time)::bigint as waited
        from once group by all order by all""").fetchall()
    handling: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for action, channel, _, handled, waited in rows:
        for slice_ in ("all", f"action:{action}", *([f"channel:{channel}"] if channel else [])):
            handling[slice_][0] += (waited or 0) / 1e6 / HOUR
            handling[slice_][1] += handled
    made = [
        figure("order_handling_hours", slice_, hours, count)
        for slice_, (hours, count) in sorted(handling.items())
        if count
    ]
    if not made:
        made = [_absent("order_handling_hours", "no order says when it took effect 订单未注明生效时间")]
    electronic = {channel.code for channel in night.catalogue.channels if not channel.seconds}
    ended = [(channel, orders) for action, channel, orders, _, _ in rows if action == "cancel"]
    by_self = sum(orders for channel, orders in ended if channel in electronic)
    name = "echannel_cancellation_share"
    if not ended:
        return [*made, _absent(name, "no cancellation in the last 120 days 最近 120 天无退订")]
    return [*made, figure(name, "all", float(by_self), float(sum(orders for _, orders in ended)))]


def count_content(connection: duckdb.DuckDBPyConnection, night: Night) -> Rows:
    """Marks that customers gave, those about cancelling, and complaints settled to the customer's satisfaction."""
    marks = connection.sql(f"""
        select topic = 'cancel' as leaving, sum(score)::bigint, count(*) from (
            select distinct customer_id, event_time, channel, topic, score from contact
            where score is not null and {_select_lately(night)})
        group by all""").fetchall()
    asked, given = sum(row[2] for row in marks), sum(row[1] for row in marks)
    leaving = [row for row in marks if row[0]]
    settled = connection.sql(f"""
        select count(*) filter (satisfied), count(*) from (
            select complaint_id, arg_max(satisfied, (event_time, arrived_at, delivery_id, line)) as satisfied
            from complaint where kind = 'complaint' and step = 'closed' and satisfied is not null and {_select_lately(night)}
            group by customer_id, complaint_id)""").fetchall()[0]
    no_mark = "no customer was asked for a mark in the last 120 days 最近 120 天无评分"
    unsettled = "no closed complaint says whether the customer is content 结案未注明是否满意"
    return [
        figure("satisfaction_mark", "all", float(given), float(asked))
        if asked
        else _absent("satisfaction_mark", no_mark),
        figure("cancelling_mark", "all", float(leaving[0][1]), float(leaving[0][2]))
        if leaving
        else _absent("cancelling_mark", no_mark),
        figure("complaints_content_share", "all", float(settled[0]), float(settled[1]))
        if settled[1]
        else _absent("complaints_content_share", unsettled),
    ]


# -- support ---------------------------------------------------------------------------------------------------


def count_changes(runs: Iterable[RunRecord], date: dt.date) -> Rows:
    """Nights of the last ``WINDOW_DAYS`` that were configured, or programmed, differently from the night before.

    The hashes are those of the last job that ran on a date; a night of a release that kept none is passed over.
    """
    last: dict[dt.date, RunRecord] = {}
    for run in runs:
        if run.configuration and run.code and date - dt.timedelta(days=WINDOW_DAYS) <= run.business_date <= date:
            last[run.business_date] = run
    names = ("changes_by_configuration", "changes_by_code", "configured_change_share")
    nights = [last[day] for day in sorted(last)]
    if len(nights) < 2:
        why = "fewer than two nights keep the hashes that tell a change 不足两夜留有配置与代码指纹"
        return [_absent(name, why) for name in names]
    configured = sum(a.configuration != b.configuration for a, b in pairwise(nights))
    programmed = sum(a.code != b.code for a, b in pairwise(nights))
    note = {"note": f"of {len(nights) - 1} pairs of nights 相邻夜对"}
    rows = [
        figure(names[0], "all", float(configured), 1.0) | note,
        figure(names[1], "all", float(programmed), 1.0) | note,
    ]
    if not configured + programmed:
        return [*rows, _absent(names[2], f"nothing changed in {len(nights)} nights 期间无变更")]
    return [*rows, figure(names[2], "all", float(configured), float(configured + programmed)) | note]
