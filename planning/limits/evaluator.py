"""What a limit takes of an arc: written once, for the optimizer's instance, explorers, pruning, what-if and explanations.

A limit sees an arc through integer columns: product, channel, those of the customer (`planning.limits.columns`), and
what its channel and the shares of the plan use (`planning.limits.arc_units`). It takes its units where every condition
holds, and nothing elsewhere. Who has some of the columns alone asks for a part; parts of the same arc multiply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.arrays import Ints
from planning.limits.arc_classes import Arcs
from planning.limits.arc_units import ArcUnits
from planning.limits.columns import CENTRE, LimitColumns, rows_of

Columns = Mapping[str, np.ndarray]
Shape = tuple[int, ...]
#: (product, channel) → charge by limit.
Charges = dict[tuple[int, int], dict[str, int]]


class Taking(Protocol):
    """As much of a limit as says what it takes: declared and in force alike."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def sign(self) -> int:
        """+1 for at most, -1 for at least."""

    @property
    def counts(self) -> int | str:
        """1, or the column whose units count."""

    @property
    def where(self) -> Mapping[str, Sequence[int]]:
        """Conditions on columns."""


def list_columns(population: pa.Table) -> list[str]:
    """The columns of a population through which limits see it."""
    return LimitColumns.of(population).names


def select_arcs(
    where: Mapping[str, Sequence[int]], columns: Columns, shape: Shape, *, part: bool = False
) -> NDArray[np.bool_]:
    """Which arcs hold all conditions; with ``part`` those on the columns at hand alone."""
    chosen = np.ones(shape, bool)
    for name, values in where.items():
        if name in columns or not part:
            chosen &= np.isin(columns[name], np.array(values, np.int64))
    return chosen


def take_units(limit: Taking, columns: Columns, shape: Shape, *, part: bool = False) -> Ints:
    """Units that a limit takes of arcs; with ``part`` what the columns at hand make of it."""
    counts = limit.counts if isinstance(limit.counts, str) and (limit.counts in columns or not part) else None
    units = np.int64(1) if counts is None else columns[counts]
    return np.where(select_arcs(limit.where, columns, shape, part=part), units, 0).astype(np.int64, copy=False)


def takes_stock(limit: Taking) -> bool:
    """Whether an accepted inbound offer takes of this limit: a cap on products whatever the channel."""
    return limit.sign > 0 and "product" in limit.where and "channel" not in limit.where


@dataclass(frozen=True)
class Evaluator:
    """Limits with what arcs have that they count.

    Attributes:
        units: of arcs.
        limits: declared or in force.
    """

    units: ArcUnits
    limits: tuple[Taking, ...]

    def channel_units(self, columns: Columns) -> dict[str, np.ndarray]:
        """What the channels of arcs use, a column for each thing counted."""
        units: dict[str, np.ndarray] = {}
        for name in dict.fromkeys(name for channel in self.units.channels for name in channel.units):
            by_channel = np.zeros(1 + max(channel.id for channel in self.units.channels), np.int64)
            for channel in self.units.channels:
                by_channel[channel.id] = channel.units.get(name, 0)
            units[name] = by_channel[columns["channel"]]
        return units

    def count(self, columns: Columns, shape: Shape) -> dict[str, np.ndarray]:
        """The columns that limits count: of the arcs' channels and of the shares among the limits."""
        counts = self.channel_units(columns)
        asked = {limit.counts for limit in self.limits}
        for name, share in self.units.shares.items():
            if name in asked:
                of = select_arcs(share.of, columns, shape)
                counts[name] = np.where(of, 100 - share.percent, -share.percent).astype(np.int16)
        return counts

    def beside(self, arcs: pa.Table, population: pa.Table) -> pa.Table:
        """Arcs with every column that limits look at: of their customers, their channels, and shares."""
        arcs = LimitColumns.of(population).beside(arcs, rows_of(arcs, population))
        seen = {name: arcs[name].to_numpy() for name in arcs.column_names}
        for name, units in self.count(seen, (arcs.num_rows,)).items():
            arcs = arcs.append_column(name, pa.array(units))
        return arcs

    def uses(self, columns: Columns, shape: Shape) -> Ints:
        """What each limit takes of arcs, in the at-most form, int64 [limits, *shape]."""
        seen = {**columns, **self.count(columns, shape)}
        use = np.zeros((len(self.limits), *shape), np.int64)
        for m, limit in enumerate(self.limits):
            use[m] = take_units(limit, seen, shape) * limit.sign
        return use

    def arcs(self, population: pa.Table) -> Arcs:
        """The outbound arcs of a night, and what limits take of each class of customers there."""
        products = np.array(self.units.products, np.int64)
        outbound = [channel.id for channel in self.units.channels if channel.direction == "outbound"]
        channel, product = np.repeat(np.array(outbound, np.int64), len(products)), np.tile(products, len(outbound))
        ids = [channel.id for channel in self.units.channels]
        place = np.full((1 + max(ids, default=0), 1 + int(products.max(initial=0))), -1, np.int64)
        place[channel, product] = np.arange(len(product))
        own, classes, count = LimitColumns.of(population).classes()
        shape = (count, len(product))
        columns = {name: column[:, None] for name, column in own.items()}
        uses = self.uses({**columns, "product": product[None, :], "channel": channel[None, :]}, shape)
        return Arcs(product, channel, place, classes, uses, own.get(CENTRE, np.zeros(count, np.int64)))

    def charges(self, customer: pa.Table, prices: Mapping[str, int]) -> Charges:
        """What each limit charges each arc of one customer, pico-yuan; limits that charge nothing are left out.

        Outbound: price x use. Inbound: price x use of what acceptance takes from stock (times P(accept) in the ranking).

        Args:
            customer: a row of the population.
            prices: ``price_pico`` by limit, signed as in certificates.
        """
        arcs = self.arcs(customer)
        charges: Charges = {}
        pairs = list(zip(arcs.product.tolist(), arcs.channel.tolist(), strict=True))
        inbound = [channel.id for channel in self.units.channels if channel.direction == "inbound"]
        for m, limit in enumerate(self.limits):
            price = prices.get(limit.name, 0) * limit.sign
            charged = [(pairs[place], price * use) for place, use in enumerate(arcs.uses[m][0].tolist())]
            if takes_stock(limit):
                stock = arcs.stock_uses(m, limit.where["product"])
                charged += [((p, c), price * int(use[0])) for p, use in stock.items() for c in inbound]
            for pair, charge in charged:
                if charge:
                    charges.setdefault(pair, {})[limit.name] = charge
        return charges
