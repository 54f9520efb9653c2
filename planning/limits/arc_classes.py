"""Outbound arcs as places in a row (channel x product), and what each limit takes of each class of customers there.

Customers who look alike to every limit are one *class*; uses and prices are then small matrices, classes x arcs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from models.arrays import Ints
from models.bit_sets import has


@dataclass(frozen=True)
class Arcs:
    """Outbound arcs and the classes of the population.

    Attributes:
        product, channel: of each arc, int64 [A], channels outermost.
        place: [channels, products] -> arc, -1 where there is none.
        classes: the class of each customer of the population, int64 [n].
        uses: of each limit, units int64 [limits, classes, A], in the at-most form.
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

    def stock_uses(self, limit: int, products: Iterable[int]) -> dict[int, Ints]:
        """What an accepted offer of each of ``products`` takes of a limit, units [classes]: the most that a contact does."""
        masks = {product: self.product == product for product in products}
        return {p: self.uses[limit][:, here].max(axis=1) for p, here in masks.items() if here.any()}


def eligible_arcs(masks: Ints, arcs: Arcs) -> np.ndarray:
    """Which arcs passed every rule, bool [n, A], from masks [n, channels, words]."""
    out = np.zeros((len(masks), len(arcs.product)), bool)
    for a in range(len(arcs.product)):
        if arcs.channel[a] < masks.shape[1]:
            out[:, a] = has(masks[:, arcs.channel[a]], int(arcs.product[a]))
    return out
