"""Outbound arcs as places in a row (channel x product), and what each limit takes of each class of customers there.

Customers who look alike to every limit are one *class*; uses and prices are then small matrices, classes x arcs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from models.assignment.problem import Floats, Ints
from planning.instance.reader import InstanceLimits


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


#: Share of a reserve that expected draws may take where quotas hold it exactly.
SPARE = 0.9


@dataclass(frozen=True)
class Thinning:
    """How exploration is held within its reserve.

    Attributes:
        thin: probability that a draw is kept, [classes, A].
        quota: places of each cell (arc's channel, centre), int64 [channels, centres].
        expected: expected use of each limit by explorers before thinning.
    """

    thin: Floats
    quota: Ints
    expected: Floats


def hold_within(arcs: Arcs, drawn: Floats, reserve: Ints, capped: np.ndarray, channels: Ints) -> Thinning:
    """Thin draws where a reserve would not last, and give each cell (channel x centre) its places.

    Args:
        arcs: arcs and classes.
        drawn: expected draws by explorers, [classes, A].
        reserve: of each limit.
        capped: limits to hold: at most, no shares, bool [M].
        channels: the channel of each arc as 0 .. C-1.
    """
    units = np.maximum(arcs.uses, 0)
    expected = np.tensordot(units, drawn, axes=([1, 2], [0, 1])).astype(float)
    count, centres = int(channels.max(initial=-1)) + 1, int(arcs.centre.max(initial=0)) + 1
    parts = {(c, z): np.ix_(arcs.centre == z, channels == c) for c in range(count) for z in range(centres)}
    thin = np.ones_like(drawn)
    for m in np.flatnonzero(capped):
        use = units[m].astype(float)
        by_quota = all((use[part] > 0).all() or not use[part].any() for part in parts.values())
        most = _ceiling(use, drawn, float(reserve[m]), by_quota=by_quota)
        thin = np.minimum(thin, np.divide(most, use, out=np.ones_like(use), where=use > most))
    kept = drawn * thin
    quota = np.full((count, centres), 1 << 40, np.int64)
    for m in np.flatnonzero(capped):
        total = float((units[m] * kept).sum())
        for (c, z), part in parts.items():
            use = units[m][part]
            if use.size and (use > 0).all():
                mine = float((use * kept[part]).sum()) / total if total > 0 else 0.0
                quota[c, z] = min(int(quota[c, z]), int(reserve[m] * mine / use.max()))
    return Thinning(thin, quota, expected)


def _ceiling(use: Floats, drawn: Floats, reserve: float, *, by_quota: bool) -> float:
    """The most that an arc may use of a reserve in expectation, so that the reserve outlasts what is drawn.

    An arc that uses u is kept with probability min(1, c / u): a call worth fifty messages is drawn the less often, and a money
    reserve is not eaten up by the dearest channel. Draws of many customers are nearly Poisson, so c is the largest for
    which mean + 2.33 sd stay within the reserve (once in a hundred times it does not last); where quotas hold it exactly the mean
    may take nine tenths.

    Args:
        use: units that an arc uses, [classes, A].
        drawn: expected draws, [classes, A].
        reserve: units.
        by_quota: whether every cell uses it with all its arcs or none.
    """

    def wanted(most: float) -> float:
        each = np.minimum(use, most) * drawn
        mean = float(each.sum())
        return mean / SPARE if by_quota else mean + 2.33 * float((each * use).sum()) ** 0.5

    low, high = 0.0, float(use.max(initial=0.0))
    if wanted(high) <= reserve:
        return high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if wanted(middle) <= reserve else (low, middle)
    return low
