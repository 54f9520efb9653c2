"""Stock through the day, in the serving store: an accepted offer takes of it, what is gone is not offered any more.

A shown offer takes nothing. An acceptance takes one of each stock of its product or, where any is empty, none; with it the
customer's pending outbound contacts of that date are withdrawn. Every hour the charge of what would not last is raised
until those whose offer is worth more than charge x P(accept) will take what is left, at the day's pace so far.

View ``offer`` of the store (``serving/migrations``) is what a channel may show now: what the night drew, in the order
drawn (no alternates of outbound contacts: these have no ``p_accept``), less what is stopped, accepted, sold out or
priced out; who is stopped may accept nothing either. Of a slate with something hidden the logged probability is null: it is no draw any more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from psycopg import sql

from conf.catalogue import Catalogue
from conf.errors import UserError
from conf.offer import Limit
from planning.limits.declared import DeclaredLimits
from serving.schema import SCHEMA, Connection

#: Before so many acceptances of a stock its pace says nothing.
ENOUGH = 10
_OF_CUSTOMER = "business_date = %(date)s AND customer_id = %(customer)s"
#: What an acceptance asks and does, in its order.
_OFFERED = (
    f"SELECT decision_id FROM {{schema}}.recommendation WHERE {_OF_CUSTOMER} AND product = %(product)s AND "
    "channel = %(channel)s AND NOT withdrawn AND p_accept IS NOT NULL"
)
_LOCKED_STOCK = (
    "SELECT s.remaining FROM {schema}.stock s JOIN {schema}.stock_product p USING (business_date, name) "
    "WHERE business_date = %(date)s AND p.product = %(product)s ORDER BY name FOR UPDATE OF s"
)
_ACCEPTANCE = f"SELECT 1 FROM {{schema}}.acceptance WHERE {_OF_CUSTOMER} AND product = %(product)s"
_STOPPED = (
    "SELECT 1 FROM {schema}.stopped WHERE customer_id = %(customer)s AND (channel IS NULL OR channel = %(channel)s)"
)
_NEW_ACCEPTANCE = (
    "INSERT INTO {schema}.acceptance (business_date, customer_id, product, channel, decision_id) VALUES "
    "(%(date)s, %(customer)s, %(product)s, %(channel)s, %(decision)s) ON CONFLICT DO NOTHING"
)
_ONE_LESS = (
    "UPDATE {schema}.stock s SET remaining = remaining - 1 FROM {schema}.stock_product p WHERE "
    "s.business_date = %(date)s AND p.business_date = s.business_date AND p.name = s.name AND "
    "p.product = %(product)s"
)
_NO_CONTACT = (
    f"UPDATE {{schema}}.assignment SET withdrawn = true WHERE {_OF_CUSTOMER} AND NOT withdrawn AND "
    "channel = ANY(%(outbound)s)"
)


@dataclass(frozen=True)
class Accepted:
    """What came of an acceptance.

    Attributes:
        taken: whether the customer has it; False means a stock is empty.
        again: it was accepted before, and nothing more was taken.
        withdrawn: outbound contacts of the date that were cancelled.
    """

    taken: bool
    again: bool = False
    withdrawn: int = 0


def _run(store: Connection, text: str, given: Mapping[str, Any]) -> Any:
    return store.execute(sql.SQL(text).format(schema=sql.Identifier(SCHEMA)), given)


def of_products(limit: Limit) -> bool:
    """Whether a limit is stock of products that any channel takes from: a cap on contacts of products alone."""
    return limit.side == "at_most" and limit.counts == "contacts" and set(limit.where) == {"product"}


def open_day(store: Connection, date: dt.date, prices: pa.Table, catalogue: Catalogue) -> int:
    """Set the stocks of a published night: amounts less what its contacts offer and what was accepted since.

    Args:
        store: the transaction that publishes.
        date: the decision date.
        prices: its rows of ``limit_price``.
        catalogue: for limits and products.

    Returns:
        How many stocks there are.
    """
    declared = DeclaredLimits.from_catalogue(catalogue).limits
    products = {each.name: each.where["product"] for each in declared if of_products(each.limit)}
    _run(store, "DELETE FROM {schema}.stock_product WHERE business_date = %(date)s", {"date": date})
    rows = [row for row in prices.to_pylist() if row["limit"] in products]
    for row in rows:
        for product in products[row["limit"]]:
            _run(
                store,
                "INSERT INTO {schema}.stock_product VALUES (%(date)s, %(name)s, %(product)s)",
                {"date": date, "name": row["limit"], "product": product},
            )
        apart = (row["used_explore"] or 0) + (row["used_usual"] or 0)
        left = row["amount"] + (row["reserve"] or 0) - row["used"] - apart
        _run(
            store,
            "INSERT INTO {schema}.stock (business_date, name, remaining) SELECT %(date)s, %(name)s, greatest(0, %(left)s - "
            "count(a.*)) FROM {schema}.stock_product p LEFT JOIN {schema}.acceptance a USING (business_date, product) "
            "WHERE p.business_date = %(date)s AND p.name = %(name)s "
            "ON CONFLICT (business_date, name) DO UPDATE SET remaining = excluded.remaining",
            {"date": date, "name": row["limit"], "left": left},
        )
    return len(rows)


def is_open(store: Connection, date: dt.date) -> bool:
    """Whether a night is published with its stocks."""
    asked = "SELECT 1 FROM {schema}.night WHERE business_date = %(date)s AND state = 'published'"
    return _run(store, asked, {"date": date}).fetchone() is not None


def offers(store: Connection, date: dt.date, customer: int, channel: int | None = None) -> list[dict[str, Any]]:
    """What a customer may be shown now, by channel, best first."""
    cursor = _run(
        store,
        "SELECT channel, rank, product, value_micro, p_accept, slate_probability, decision_id FROM {schema}.offer "
        "WHERE business_date = %(date)s AND customer_id = %(customer)s "
        "AND (%(channel)s::int IS NULL OR channel = %(channel)s) ORDER BY channel, rank",
        {"date": date, "customer": customer, "channel": channel},
    )
    return _rows(cursor)


def _rows(cursor: Any) -> list[dict[str, Any]]:
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def accept(
    store: Connection,
    date: dt.date,
    customer: int,
    product: int,
    channel: int,
    outbound: Iterable[int],
) -> Accepted:
    """Take an offer for a customer: stock first, all or nothing, once however often it is said.

    Args:
        store: the transaction: it ends before anybody else sees the stock.
        date: the decision date of the offer.
        customer: id.
        product: id.
        channel: id of the channel where it was accepted.
        outbound: ids of outbound channels, whose pending contacts are withdrawn.

    Raises:
        UserError: the customer was not offered this here, or is stopped.
    """
    facts = {"date": date, "customer": customer, "product": product, "channel": channel, "outbound": list(outbound)}
    decision_id = _run(store, _OFFERED, facts).fetchone()
    if decision_id is None:
        raise UserError(
            f"customer {customer} was not offered product {product} on channel {channel} on {date}",
            where="cpc offers accept",
            remedy="`cpc offers show CUSTOMER` lists what is offered",
        )
    remaining = [count for (count,) in _run(store, _LOCKED_STOCK, facts).fetchall()]
    if _run(store, _ACCEPTANCE, facts).fetchone():
        return Accepted(taken=True, again=True)
    if _run(store, _STOPPED, facts).fetchone():
        raise UserError(
            f"customer {customer} is stopped on channel {channel}: nothing is offered, and nothing can be accepted",
            where="cpc offers accept",
            remedy="`cpc stop list` shows who is stopped and why; `cpc stop remove` lifts a stop",
        )
    if 0 in remaining:
        return Accepted(taken=False)
    if not _run(store, _NEW_ACCEPTANCE, facts | {"decision": decision_id[0]}).rowcount:
        return Accepted(taken=True, again=True)  # a product without stock, accepted twice at once
    _run(store, _ONE_LESS, facts)
    return Accepted(taken=True, withdrawn=_run(store, _NO_CONTACT, facts).rowcount)


def stops(store: Connection, date: dt.date, catalogue: Catalogue) -> pa.Table:
    """Outbound channels of customers who accepted an offer of a date: ``customer_id, channel``, as `serving.stops`.

    A night that is published again leaves their contacts cancelled.
    """
    schema = pa.schema([("customer_id", pa.int64()), ("channel", pa.string())])
    asked = "SELECT DISTINCT customer_id FROM {schema}.acceptance WHERE business_date = %(date)s ORDER BY 1"
    who = [customer for (customer,) in _run(store, asked, {"date": date}).fetchall()]
    codes = [channel.code for channel in catalogue.channels if channel.direction == "outbound"]
    rows = [{"customer_id": customer, "channel": code} for customer in who for code in codes]
    return pa.Table.from_pylist(rows, schema=schema)


def refresh(store: Connection, date: dt.date, passed: float) -> list[dict[str, Any]]:
    """Charge stocks that would not last the day at its pace so far; release those that will.

    With so many accepted in the share of the day's visits that has passed, the rest of the day would take
    accepted x (1 − passed) / passed. Where that is more than is left, offers are kept from the one that is worth most for
    each expected acceptance downward, until these would take what is left.

    Args:
        store: the transaction.
        date: the decision date.
        passed: share of the day's visits that lies behind, 0 … 1.

    Returns:
        A row a stock: what is left, what was accepted, what the rest of the day would take, the charge in micro-元 for each
        acceptance.

    Cost: one pass over the date's offers of each product that is running short.
    """
    rows = _rows(
        _run(
            store,
            "SELECT s.name, s.remaining, (SELECT count(*) FROM {schema}.acceptance a JOIN {schema}.stock_product p "
            "USING (business_date, product) WHERE business_date = s.business_date AND p.name = s.name) AS accepted "
            "FROM {schema}.stock s WHERE s.business_date = %(date)s ORDER BY s.name FOR UPDATE",
            {"date": date},
        )
    )
    for row in rows:
        row["expected"] = round(row["accepted"] * (1.0 - passed) / passed) if passed > 0 else 0
        short = row["accepted"] >= ENOUGH and row["expected"] > row["remaining"] > 0
        row["charge_micro"] = _charge(store, date, row["name"], row["remaining"] / row["expected"]) if short else 0
        _run(
            store,
            "UPDATE {schema}.stock SET charge_micro = %(charge)s WHERE business_date = %(date)s AND name = %(name)s",
            {"date": date, "name": row["name"], "charge": row["charge_micro"]},
        )
    return rows


def _charge(store: Connection, date: dt.date, name: str, share: float) -> int:
    """The charge, micro-元, above which a share of the expected acceptances of a stock's offers is worth more.

    Sums are decimal: the same whatever the order in which the database adds.
    """
    [(charge,)] = _run(
        store,
        "WITH worth AS (SELECT r.value_micro / r.p_accept AS w, r.p_accept::numeric AS p FROM {schema}.recommendation r JOIN "
        "{schema}.stock_product s USING (business_date, product) WHERE business_date = %(date)s AND s.name = %(name)s AND "
        "NOT r.withdrawn AND r.p_accept > 0 AND NOT EXISTS (SELECT FROM {schema}.stopped t WHERE "
        "t.customer_id = r.customer_id AND (t.channel IS NULL OR t.channel = r.channel)) AND NOT EXISTS (SELECT FROM {schema}.acceptance a WHERE "
        "a.business_date = r.business_date AND a.customer_id = r.customer_id AND a.product = r.product)), "
        "upto AS (SELECT w, sum(p) OVER (ORDER BY w DESC) AS u, sum(p) OVER () AS whole FROM worth) "
        "SELECT ceil(max(w))::bigint FROM upto WHERE u > %(share)s::numeric * whole",
        {"date": date, "name": name, "share": share},
    ).fetchall()
    return int(charge or 0)


def stocks(store: Connection, date: dt.date) -> list[dict[str, Any]]:
    """What is left of each stock, and its charge."""
    return _rows(
        _run(
            store,
            "SELECT name, remaining, charge_micro FROM {schema}.stock WHERE business_date = %(date)s ORDER BY name",
            {"date": date},
        )
    )
