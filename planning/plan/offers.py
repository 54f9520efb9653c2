"""Ranked offers of inbound channels, and alternates of outbound contacts: rows of ``recommendation``.

A shown offer takes nothing from stock; an accepted one does. So an offer is ranked by its value given a visit less
price x P(accept) of the limits on its product that hold on every channel. The slate is drawn by Plackett and Luce and its
probability kept, so that what was clicked where can be learnt from (`models.assignment.slates`). An alternate is what a
customer's contact may be replaced by when it cannot be carried out.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conf.dates import start_of_day
from models.arrays import Floats, Ints
from models.assignment.problem import PICO
from models.assignment.roles import CONTROL, key
from models.assignment.slates import slates
from planning.instance.decision_inputs import DecisionInputs
from planning.instance.run_folder import RunFolder
from planning.limits.evaluator import takes_stock
from planning.plan.decision import Decision
from planning.plan.switching_cost import mark_favoured

RANKS = 3


def inbound_offers(night: Decision, inbound: pa.Table, inputs: DecisionInputs) -> pa.Table:
    """The slate of every customer and inbound channel: at most three offers that pay.

    Args:
        night: tonight's decision, for prices and roles (controls are shown nothing personal).
        inbound: ``customer, product, channel, value, p_convert``.
        inputs: the frozen inputs; ``slate_temperature`` in micro-yuan.
    """
    row = np.searchsorted(night.customer, inbound["customer"].to_numpy())
    inbound = inbound.filter(pa.array(night.role[row] != CONTROL))
    row = np.searchsorted(night.customer, inbound["customer"].to_numpy())
    product, channel, value = (inbound[n].to_numpy().astype(np.int64) for n in ("product", "channel", "value"))
    accept = pc.fill_null(inbound["p_convert"], 0.0).to_numpy()
    charge = _stock_price(night)[night.arcs.classes[row], product]
    score = value - np.rint(charge * accept / PICO).astype(np.int64)
    pays = np.flatnonzero(score > 0)
    pays = pays[np.lexsort((product[pays], channel[pays], row[pays]))]
    row, product, channel, value, score, accept = (x[pays] for x in (row, product, channel, value, score, accept))
    number = key(inputs.seed, "slate", inputs.date) >> 2
    cell, drawn_of = night.customer[row] * 64 + channel, night.draw_key[row] * 64 + channel  # beyond 64 bits it wraps
    drawn = slates(cell, score, product, number, float(inputs.slate_temperature), RANKS, drawn_of)
    at = drawn.order
    return _rows(night, inputs, row[at], channel[at], drawn.rank, product[at], value[at], drawn.probability, accept[at])


def alternates(night: Decision, run: RunFolder, inputs: DecisionInputs) -> pa.Table:
    """What else would pay for customers who are contacted tonight: the next best arcs at the final prices, ranks 2 and 3.

    Rank 1 is the contact itself (``assignment``). Only exploiters (whose arcs the instance holds) have alternates: what an explorer drew may not be
    replaced by something better. Prices are those of the plan, so a handful of replacements overuses nothing that is
    scarce by more than a handful; who carries them out keeps to the limits of the channel at hand.
    """
    table = pq.read_table(run.instance / "arcs", columns=["customer", "product", "channel", "value"])
    row = np.searchsorted(night.customer, table["customer"].to_numpy())
    product, channel, value = (table[n].to_numpy().astype(np.int64) for n in ("product", "channel", "value"))
    arc = night.arcs.of(product, channel)
    left = value * PICO - night.arcs.price(night.solution.dual.prices)[night.arcs.classes[row], arc]
    contacted = night.given[row] >= 0
    some = np.flatnonzero(contacted & (left > 0) & (arc != night.given[row]))
    some = some[np.lexsort((arc[some], -left[some], row[some]))]
    rank = np.arange(len(some)) - np.searchsorted(row[some], row[some]) + 2
    some, rank = some[rank <= RANKS], rank[rank <= RANKS]
    lever = mark_favoured(run.table("stays"), night.customer[row[some]], product[some], channel[some])
    value[some] -= inputs.switch_cost * lever
    return _rows(night, inputs, row[some], channel[some], rank, product[some], value[some], None, None)


def _stock_price(night: Decision) -> Ints:
    """Price of limits on a product whatever the channel, pico-yuan [classes, largest product id + 1]."""
    out = np.zeros((len(night.arcs.centre), night.arcs.place.shape[1]), np.int64)
    prices = night.solution.dual.prices
    for m, limit in enumerate(night.instance.limits.limits):
        if prices[m] and takes_stock(limit):
            for product, use in night.arcs.stock_uses(m, limit.where["product"]).items():
                out[:, product] += prices[m] * use
    return out


def _rows(
    night: Decision,
    inputs: DecisionInputs,
    row: Ints,
    channel: Ints,
    rank: Ints,
    product: Ints,
    value: Ints,
    probability: Floats | None,
    accept: Floats | None,
) -> pa.Table:
    date = inputs.date
    until = start_of_day(date + dt.timedelta(days=1))
    customer = pa.array(night.customer[row])
    return pa.table(
        {
            "business_date": pa.array([date] * len(row), pa.date32()),
            "decision_id": pc.binary_join_element_wise(pa.scalar(inputs.run_id), pc.cast(customer, pa.string()), ":"),
            "customer_id": customer,
            "channel": pa.array(channel, pa.int16()),
            "rank": pa.array(rank, pa.int32()),
            "product": pa.array(product, pa.int16()),
            "value_micro": pa.array(value),
            "valid_until": pa.array([until] * len(row), pa.timestamp("us", tz="UTC")),
            "slate_probability": pa.nulls(len(row), pa.float64()) if probability is None else pa.array(probability),
            "p_accept": pa.nulls(len(row), pa.float64()) if accept is None else pa.array(accept),
        }
    )
