"""What customers did over a period: contacts, orders that stand, and events after contacts, in sums by group and slice.

Everything is counted of customers and events, never of decisions: a decision is made every night, and its horizon
holds the same order up to thirty times. DuckDB reads the few columns that count, in this process; sums are exact
integers. Tables it makes, in this order: ``decided``, ``touched``, ``bought``, and ``ledger`` once the parts are known.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from conf.dates import UTC_OFFSET, start_of_day
from conf.offer import Channel, Product
from reporting.periods import DayCount, Part
from runtime.duckdb_sql import Files, open_tables
from runtime.lake import arrow_schema, nullable
from runtime.night import Night

READ = ("decision", "assignment", "contact", "order", "consent", "complaint", "impression", "customer_features")
#: What is summed a customer and part.
AMOUNTS = ("margin_micro", "unmoved_micro", "orders", "echannel_orders", "contacts", "reached", "cost_micro")
#: Attributes of customers that are slices, as tonight's snapshot has them.
ATTRIBUTES = ("city", "centre", "grade")
_OFFSET = f"interval {int(UTC_OFFSET.total_seconds() // 3600)} hours"
#: The instant at which a decision date begins in Shanghai.
_BEGIN = f"(business_date::timestamp - {_OFFSET})::timestamptz"
#: The date in Shanghai of the instant ``instant``.
_DAY = f"(instant + {_OFFSET})::date"


def _last_of(*names: str) -> str:
    """SQL: of rows that say the same twice, the columns of the last delivered; of several of one time the greatest.

    What is told is greater than what is not, as in Spark (`jobs.feedback`).
    """
    record = f"struct_pack({', '.join(f'{name} := {name}' for name in names)})"
    order = ", ".join(f"{name} is not null, {name}" for name in names)
    return f"unnest(arg_max({record}, (arrived_at, {order})))"


class CustomerLedger:
    """The period's decisions, contacts and orders as tonight may see them, and sums of them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, night: Night, first: dt.date, last: dt.date) -> None:
        self._connection, self._night = connection, night
        self._window = night.settings.outcome
        self._seen = f"event_time < {_instant(night.day_start)} and arrived_at < {_instant(night.cut_off)}"
        codes: dict[str, Sequence[Product | Channel]] = {
            "products": night.catalogue.products,
            "channels": night.catalogue.channels,
        }
        for name, rows in codes.items():
            connection.execute(
                f"create temp table {name} (id smallint, code varchar, cost_micro bigint, by_hand boolean)"
            )
            connection.executemany(f"insert into {name} values (?, ?, ?, ?)", [_code_row(row) for row in rows])
        self._read_decisions(first, last)
        self._read_contacts(first)
        self._read_orders(first)

    def _run(self, sql: str) -> list[dict[str, Any]]:
        result = self._connection.sql(sql)
        return [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]

    def _read_decisions(self, first: dt.date, last: dt.date) -> None:
        """Decisions of every policy, once each; those of the operator's old rule (``usual``) are in neither group."""
        dates = f"business_date between date '{first}' and date '{last}'"
        last_told = _last_of("decision_id", "business_date", "customer_id", "product", "channel", "feed", "role")
        self._connection.execute(f"""
            create temp table decided as
            with logged as (
                select {last_told} from decision where {dates} and {self._seen}
                group by decision.decision_id
            )
            select 'logged' as policy, 'logged:' || feed as run_id, decision_id, business_date, customer_id,
                role = 'control' as control, p.id as product, c.id as channel
            from logged left join products p on p.code = logged.product left join channels c on c.code = logged.channel
            where role in ('exploit', 'explore', 'control')
            union all
            select 'ours', run_id, decision_id, business_date, customer_id, role = 'control', product, channel
            from assignment where {dates} and role in ('exploit', 'explore', 'control')""")

    def _read_contacts(self, first: dt.date) -> None:
        """Contacts attempted of decisions, once each, with what came back and the cost of the attempt."""
        self._connection.execute(f"""
            create temp table touched as
            with tried as (
                select decision_id, coalesce(bool_or(reached), false) as reached,
                    coalesce(bool_or(refused), false) as refused
                from contact
                where data_date >= date '{first}' and direction = 'out' and decision_id is not null and {self._seen}
                group by decision_id having bool_or(attempted)
            )
            select decided.*, reached, refused, coalesce(cost_micro, 0) as cost_micro
            from decided join tried using (decision_id) left join channels on channels.id = decided.channel
            where decided.product is not null and not control""")

    def _read_orders(self, first: dt.date) -> None:
        """Orders taken, once each.

        ``stands``: not cancelled within ``cancel_days``, as far as is known tonight. ``answers``: within
        ``conversion_days`` before it a contact that offered the product reached the customer.
        """
        line = "partition by customer_id, product order by event_time, action, order_id"
        after = f"min(case when action = 'cancel' then event_time end) over ({line} rows between 1 following and unbounded following)"
        days = self._window.cancel_days
        self._connection.execute(f"""
            create temp table bought as
            with once as (
                select customer_id, order_id, action, event_time, product,
                    {_last_of("margin_micro", "decision_id", "channel")}
                from "order" where data_date >= date '{first - dt.timedelta(days=1)}' and {self._seen}
                group by customer_id, order_id, action, event_time, product
            ), ended as (select *, {after} as cancelled_at from once),
            offered as (
                select customer_id, code as product, {_BEGIN} as since from touched join products on id = product
                where reached
            )
            select customer_id, order_id, event_time as instant, products.id as product, channel, decision_id,
                coalesce(margin_micro, 0) as margin_micro, cancelled_at,
                cancelled_at is null or cancelled_at >= event_time + interval {days} days as stands,
                exists (select 1 from offered where offered.customer_id = ended.customer_id
                    and offered.product = ended.product and event_time >= since
                    and event_time < since + interval {self._window.conversion_days} days) as answers
            from ended left join products on products.code = ended.product
            where action in ('subscribe', 'renew', 'change') and event_time >= {_instant(start_of_day(first))}""")

    def count_days(self) -> list[DayCount]:
        """Every policy's decision dates, with who changed into control or out of it."""
        rows = self._run("""
            select policy, business_date, count(*) filter (control) as control,
                count(*) filter (control <> before) as switched
            from (select policy, business_date, control,
                lag(control) over (partition by policy, customer_id order by business_date) as before from decided)
            group by all""")
        return [DayCount(row["policy"], row["business_date"], row["control"], row["switched"]) for row in rows]

    def divide(self, parts: Sequence[Part]) -> None:
        """Make ``ledger``: a row a policy, part and customer with arm, ``AMOUNTS`` and the slices they are in."""
        run = self._connection.execute
        run("""create temp table parts (part integer, policy varchar, first date, last date, since timestamptz,
            until timestamptz)""")
        times = [(p.number, p.policy, p.first, p.last, start_of_day(p.first), start_of_day(p.until)) for p in parts]
        self._connection.executemany("insert into parts values (?, ?, ?, ?, ?, ?)", times)
        self._slice_customers()
        run("""
            create temp table ledger as
            with members as (
                select policy, part, customer_id, case when bool_and(control) then 'control'
                    when bool_or(control) then 'mixed' else 'treated' end as arm
                from decided join parts using (policy) where business_date between first and last group by all
            ), asked as (
                select policy, part, customer_id, count(*) as contacts, count(*) filter (reached) as reached,
                    sum(cost_micro)::bigint as cost_micro
                from touched join parts using (policy) where business_date between first and last group by all
            ), spent as (
                select policy, part, customer_id, sum(margin_micro)::bigint as margin_micro, count(*) as orders,
                    sum(case when answers then 0 else margin_micro end)::bigint as unmoved_micro,
                    count(*) filter (not coalesce(by_hand, true)) as echannel_orders
                from bought join parts on instant >= since and instant < until left join channels on channels.code = bought.channel
                where stands group by all
            )
            select policy, part, customer_id, arm, coalesce(margin_micro, 0) as margin_micro,
                coalesce(unmoved_micro, 0) as unmoved_micro, coalesce(orders, 0) as orders, coalesce(echannel_orders, 0) as echannel_orders,
                coalesce(contacts, 0) as contacts, coalesce(reached, 0) as reached,
                coalesce(cost_micro, 0) as cost_micro, coalesce(slices, ['all']) as slices
            from members left join asked using (policy, part, customer_id)
                left join spent using (policy, part, customer_id) left join sliced using (customer_id)""")

    def _slice_customers(self) -> None:
        """Which slices a customer is in; a segment that only Spark understands is none."""
        tonight = f"customer_features where business_date = date '{self._night.date}'"
        columns = set(self._connection.sql("select * from customer_features limit 0").columns)
        names = [f"case when {name} is not null then '{name}:' || {name} end" for name in ATTRIBUTES if name in columns]
        for segment in self._night.catalogue.segments.values():
            mark = f"case when coalesce({segment.who}, false) then 'segment:{segment.name}' end"
            with contextlib.suppress(duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException):
                self._connection.sql(f"select {mark} from {tonight} limit 0")
                names.append(mark)
        listed = ", ".join(["'all'", *names])
        self._connection.execute(f"""
            create temp table sliced as
            select customer_id, list_filter([{listed}], lambda name: name is not null) as slices from {tonight}""")

    def sum_groups(self) -> list[dict[str, Any]]:
        """A row a policy, slice, part and arm: customers, buyers, the sums of ``AMOUNTS``, and of squared margins."""
        sums = ", ".join(f"sum({name}) as {name}" for name in AMOUNTS)
        return self._run(f"""
            select policy, slice, part, arm, count(*) as customers, count(*) filter (orders > 0) as buyers, {sums},
                sum(margin_micro::hugeint * margin_micro) as squares,
                sum(unmoved_micro::hugeint * unmoved_micro) as unmoved_squares
            from (select *, unnest(slices) as slice from ledger) group by policy, slice, part, arm""")

    def sum_pairs(self) -> list[dict[str, Any]]:
        """The same of margins without answers, of customers in two parts: a row a policy, slice and pair of (part, arm)."""
        return self._run("""
            select policy, slice, part, arm, other_part, other_arm, count(*) as customers, sum(l) as "left",
                sum(r) as "right", sum(l::hugeint * r) as product
            from (
                select a.policy, unnest(a.slices) as slice, a.part, a.arm, b.part as other_part, b.arm as other_arm,
                    a.unmoved_micro as l, b.unmoved_micro as r
                from ledger a join ledger b on a.policy = b.policy and a.customer_id = b.customer_id and a.part < b.part
                where a.arm <> 'mixed' and b.arm <> 'mixed'
            ) group by policy, slice, part, arm, other_part, other_arm""")

    def count_people(self) -> list[dict[str, Any]]:
        """Distinct customers by policy, slice and arm: in a period of several parts they are in more than one row."""
        return self._run("""
            select policy, slice, arm, count(distinct customer_id) as customers
            from (select *, unnest(slices) as slice from ledger) group by policy, slice, arm""")

    def count_events(self) -> list[dict[str, Any]]:
        """Refusals, complaints and cancellations in the windows after contacts: a row a policy and kind.

        A person's first refusal counts, every complaint and every cancelled order once. ``after``: events of treated
        customers on days within ``conversion_days`` of a contact of theirs. ``control``: events of control that would
        fall on as many customers and the same days: Σ over days of treated customers in a window x events of control
        over its customers.
        """
        return self._run(f"""
            with exposed as (
                select distinct policy, customer_id,
                    unnest(range(business_date, business_date + interval {self._window.conversion_days} days,
                        interval 1 day))::date as day
                from touched
            ), happened as (
                select 'opt_outs' as kind, customer_id, min(event_time) as instant from consent
                where kind = 'marketing' and not granted and {self._seen} group by customer_id
                union all
                select distinct 'complaints', customer_id, event_time from complaint
                where kind = 'complaint' and step in ('open', 'reopened') and {self._seen}
                union all
                select 'cancellations', customer_id, cancelled_at from bought where not stands
            ), events as (select *, {_DAY} as day from happened),
            windows as (select policy, day, count(*) as exposed from exposed group by all),
            sizes as (select policy, part, count(*) as customers from ledger where arm = 'control' group by all),
            calm as (
                select policy, part, kind, day, count(*) as events
                from events join parts on instant >= since and instant < until
                    join ledger using (policy, part, customer_id)
                where arm = 'control' group by all
            )
            select policy, kind, 'after' as what, count(*)::double as events from events join exposed using (customer_id, day)
            group by all
            union all
            select policy, kind, 'control', sum(events * exposed / customers::double order by day) from calm
                join windows using (policy, day) join sizes using (policy, part) group by all""")

    def sum_answers(self) -> list[dict[str, Any]]:
        """Contacts and the orders they answer: a row a policy, run, date, product, channel of the contact.

        Of the contacts that offered an order's product within ``conversion_days`` before it the last gets it, unless the
        order names one; each order counts once. ``margin_micro`` is of orders that stand.
        """
        key = "policy, run_id, business_date, product, channel"
        return self._run(f"""
            with answers as (
                select arg_max(struct_pack(policy := policy, run_id := run_id, business_date := business_date,
                        channel := touched.channel), (business_date, touched.decision_id)) as touch,
                    product, stands, bought.margin_micro
                from bought join touched using (customer_id, product)
                where instant >= {_BEGIN} and instant < {_BEGIN} + interval {self._window.conversion_days} days
                    and (bought.decision_id is null or bought.decision_id = touched.decision_id)
                group by customer_id, product, instant, order_id, stands, bought.margin_micro
            ), credited as (
                select unnest(touch), product, count(*) as answers,
                    sum(case when stands then margin_micro else 0 end) as margin_micro
                from answers group by touch, product
            ), paid as (
                select {key}, count(*) as touches, count(*) filter (reached) as reached,
                    count(*) filter (refused) as refused, sum(cost_micro) as cost_micro
                from touched group by all
            )
            select * from paid left join credited using ({key}) order by all""")

    def sum_inbound(self) -> list[dict[str, Any]]:
        """Offers shown to customers who came, and orders of what was shown within the conversion window, a row a policy."""
        return self._run(f"""
            with shown as (
                select distinct customer_id, decision_id, slot, impression.channel, shown_at, products.id as product
                from impression join products on products.code = impression.product where {self._seen}
            ), accepted as (
                select distinct customer_id, order_id, product, instant, margin_micro
                from bought join shown using (customer_id, product)
                where stands and bought.channel = shown.channel and instant >= shown_at
                    and instant < shown_at + interval {self._window.conversion_days} days
            ), offers as (
                select policy, count(*) as shown from shown join parts on shown_at >= since and shown_at < until group by all
            ), taken as (
                select policy, count(*) as accepted, sum(margin_micro) as margin_micro
                from accepted join parts on instant >= since and instant < until group by all
            )
            select * from offers left join taken using (policy) order by policy""")


@contextlib.contextmanager
def open_ledger(night: Night, first: dt.date, last: dt.date) -> Iterator[CustomerLedger]:
    """The ledger of decisions dated ``first`` to ``last``; what does not fit into memory goes below the home."""
    night.settings.home.mkdir(parents=True, exist_ok=True)
    sources = {name: _files(night, name) for name in READ}
    with (
        tempfile.TemporaryDirectory(dir=night.settings.home, prefix="ledger-") as spill,
        open_tables(sources, Path(spill)) as connection,
    ):
        yield CustomerLedger(connection, night, first, last)


def _files(night: Night, table: str) -> Files:
    partition = night.partition if table == "customer_features" else None
    return Files(nullable(arrow_schema(night.lake.table(table))), night.lake.files(table, partition))


def _instant(time: dt.datetime) -> str:
    return f"timestamptz '{time.isoformat()}'"


def _code_row(row: Product | Channel) -> tuple[int, str, int, bool]:
    """Id, code, cost of an attempt, and whether somebody's time serves it (an e-channel takes nobody's)."""
    if isinstance(row, Channel):
        return row.id, row.code, row.cost_micro, bool(row.seconds)
    return row.id, row.code, 0, False
