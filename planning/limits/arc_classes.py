"""Outbound arcs as places in a row (channel x product), and what each limit takes of each class of customers there.

Customers who look alike to every limit are one *class*; uses and prices are then small matrices, classes x arcs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from models.assignment.problem import Ints
from planning.instance.limits import InstanceLimits


@dataclass(frozen=True)
class Arcs:
    """Outbound arcs and the classes of the population.

    Attributes:
        product, channel: of each arc, int64 [A], channels outermost.
        place: [channels, products] -> arc, -1 where there is none.
        classes: the class of each customer of the population, int64 [n].
        uses: of each limit, units int64 [classes, A], in the at-most form.
        centre: centre code of each class, int64 (0 where the limits name none).
    """

    product: Ints
    channel: Ints
    place: Ints
    classes: Ints
    uses: Ints
    centre: Ints

    def price(self, prices: Ints) -> Ints:
        """What each arc is charged, pico-yuan [classes, A]; prices in the at-most form."""
        return np.tensordot(prices, self.uses, axes=1)

    def of(self, product: Ints, channel: Ints) -> Ints:
        """The place of arcs given by product and channel."""
        return self.place[channel, product]


def menu_arcs(population: pa.Table, inputs: dict[str, Any], limits: InstanceLimits) -> Arcs:
    """The arcs of a night."""
    outbound = [c for c in inputs["channels"] if c["direction"] == "outbound"]
    products = inputs["products"]
    channel = np.repeat([c["id"] for c in outbound], len(products)).astype(np.int64)
    product = np.tile(np.array(products, np.int64), len(outbound))
    place = np.full((32, 64), -1, np.int64)
    place[channel, product] = np.arange(len(product))
    names = [name for name in population.column_names if name[:2] in {"c_", "s_"}]
    if names:
        rows = np.stack([population[name].to_numpy().astype(np.int64) for name in names], 1)
        distinct, classes = np.unique(rows, axis=0, return_inverse=True)
    else:
        distinct, classes = np.zeros((1, 0), np.int64), np.zeros(population.num_rows, np.int64)
    columns = {name: distinct[:, i][:, None] for i, name in enumerate(names)}
    columns |= {"product": product[None, :], "channel": channel[None, :]}
    for name in inputs["channels"][0] if outbound else ():
        if name not in {"id", "direction"}:
            columns[name] = np.repeat([int(c[name]) for c in outbound], len(products))[None, :]
    shape = (len(distinct), len(product))
    for name, share in inputs["shares_of"].items():
        of = _selected(columns, share["of"], shape)
        columns[name] = np.where(of, 100 - share["percent"], -share["percent"])
    uses = np.zeros((len(limits.limits), *shape), np.int64)
    for m, limit in enumerate(limits.limits):
        units = np.broadcast_to(columns[limit.counts] if isinstance(limit.counts, str) else np.int64(1), shape)
        uses[m] = np.where(_selected(columns, limit.where, shape), units, 0) * limit.sign
    centre = distinct[:, names.index("c_centre")] if "c_centre" in names else np.zeros(len(distinct), np.int64)
    return Arcs(product, channel, place, classes.reshape(-1).astype(np.int64), uses, centre)


def _selected(columns: dict[str, np.ndarray], where: dict[str, list[int]], shape: tuple[int, int]) -> np.ndarray:
    chosen = np.ones(shape, bool)
    for name, values in where.items():
        chosen &= np.broadcast_to(np.isin(columns[name], np.array(values, np.int64)), shape)
    return chosen


def eligible_arcs(masks: Ints, arcs: Arcs) -> np.ndarray:
    """Which arcs passed every rule, bool [n, A], from masks [n, channels]."""
    out = np.zeros((len(masks), len(arcs.product)), bool)
    for a in range(len(arcs.product)):
        if arcs.channel[a] < masks.shape[1]:
            out[:, a] = (masks[:, arcs.channel[a]] >> arcs.product[a]) & 1
    return out
