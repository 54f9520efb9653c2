"""Ranked offers of inbound channels, and alternates of outbound contacts: rows of ``recommendation``.

A shown offer takes nothing from stock; an accepted one does. So an offer is ranked by its value given a visit less
price x P(accept) of the limits on its product that hold on every channel.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.dates import start_of_day
from jobs.arc_prices import takes_stock
from jobs.decision import Decision
from models.assignment.problem import PICO, Ints
from models.assignment.roles import CONTROL

RANKS = 3


def inbound_offers(night: Decision, inbound: pa.Table, inputs: dict[str, Any]) -> pa.Table:
    """The best three offers of every customer and inbound channel.

    Args:
        night: tonight's decision, for prices and roles (controls are shown nothing personal).
        inbound: ``customer, product, channel, value, p_convert``.
        inputs: the frozen inputs.
    """
    row = np.searchsorted(night.customer, inbound["customer"].to_numpy())
    inbound = inbound.filter(pa.array(night.role[row] != CONTROL))
    row = np.searchsorted(night.customer, inbound["customer"].to_numpy())
    product, channel, value = (inbound[n].to_numpy().astype(np.int64) for n in ("product", "channel", "value"))
    accept = pc.fill_null(inbound["p_convert"], 0.0).to_numpy()
    charge = _stock_price(night)[night.arcs.classes[row], product]
    score = value - np.rint(charge * accept / PICO).astype(np.int64)
    order = np.lexsort((product, -value, -score, channel, row))
    order = order[score[order] > 0]
    cell = row[order] * 64 + channel[order]
    rank = np.arange(len(order)) - np.searchsorted(cell, cell) + 1 if len(order) else np.empty(0, np.int64)
    # cells ascend because rows are sorted by (row, channel): the first of each is its rank 1
    top = rank <= RANKS
    return _rows(night, inputs, row[order][top], channel[order][top], rank[top], product[order][top], value[order][top])


def _stock_price(night: Decision) -> Ints:
    """Price of limits on a product whatever the channel, pico-yuan [classes, 64]."""
    out = np.zeros((len(night.arcs.centre), 64), np.int64)
    prices = night.solution.dual.prices
    for m, limit in enumerate(night.instance.limits.limits):
        if prices[m] and takes_stock(limit):
            for product in limit.where["product"]:
                mine = night.arcs.product == product
                if mine.any():
                    out[:, product] += prices[m] * night.arcs.uses[m][:, mine].max(axis=1)
    return out


def _rows(
    night: Decision, inputs: dict[str, Any], row: Ints, channel: Ints, rank: Ints, product: Ints, value: Ints
) -> pa.Table:
    date = dt.date.fromisoformat(inputs["date"])
    until = start_of_day(date + dt.timedelta(days=1))
    customer = pa.array(night.customer[row])
    return pa.table({
        "business_date": pa.array([date] * len(row), pa.date32()),
        "decision_id": pc.binary_join_element_wise(pa.scalar(inputs["run_id"]), pc.cast(customer, pa.string()), ":"),
        "customer_id": customer, "channel": pa.array(channel, pa.int16()), "rank": pa.array(rank, pa.int32()),
        "product": pa.array(product, pa.int16()), "value_micro": pa.array(value),
        "valid_until": pa.array([until] * len(row), pa.timestamp("us", tz="UTC")),
    })  # fmt: skip
