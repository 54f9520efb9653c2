"""The problem in arrays: customers with arcs, kinds of arcs with their uses, limits; integers throughout.

An arc's *kind* is what all arcs of one product, one channel and one vector of uses share. A pass over the arcs
then costs one look-up an arc: the price of each kind is computed once. Limits are kept in one form, *at most*
with prices >= 0: an at-least limit is its negative (uses, amount and price change sign).
See docs/developer/assignment.md, "Form".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from models.arrays import Floats, Ints
from models.assignment.kernels import ArcArrays, add_uses, charge

PICO = 1_000_000  # pico-yuan in a micro-yuan
#: Parts of an arc's key behind product and channel that an instance may have, in the key's order.
KEY_PARTS = ("slot", "variant")
#: Exact integers: 10^6 |value| + sum |price| |use| stays below this.
LARGEST = 1 << 62
#: The groups of a block that has none.
NO_GROUP = np.empty(0, np.uint8)
#: Customers a block: small enough that all cores have work, large enough that a call costs nothing.
BLOCK = 1 << 16


class Overflow(Exception):  # noqa: N818 - it is what happens
    """Integers of the instance would leave 62 bits."""


@dataclass(frozen=True)
class Block:
    """Consecutive customers and their arcs, arcs of a customer ascending by key: product, channel, then ``KEY_PARTS``.

    The kind of arc a of customer i is ``group[i] * width + kind[a]``: where what limits see of a customer is the same
    for all its arcs (its centre, say), a byte a customer and a byte an arc are enough. Without groups ``width`` is 0
    and ``kind`` says all.

    Attributes:
        customer: ids, int64 [n], ascending.
        first: where each customer's arcs begin, int64 or uint32 [n + 1].
        value: micro-yuan, int32 or int64 [arcs].
        kind: row of ``Kinds`` counted from the group's first, uint8, uint16 or uint32 [arcs].
        group: of each customer, uint8 or uint16 [n]; empty where there are no groups.
        width: kinds a group.
    """

    customer: Ints
    first: npt.NDArray[np.integer]
    value: npt.NDArray[np.signedinteger]
    kind: npt.NDArray[np.unsignedinteger]
    group: npt.NDArray[np.unsignedinteger] = field(default_factory=lambda: NO_GROUP)
    width: int = 0

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def arrays(self) -> ArcArrays:
        """What the compiled passes take."""
        return ArcArrays(self.customer, self.first, self.value, self.kind, self.group, self.width)

    @property
    def nbytes(self) -> int:
        """Bytes that a pass reads: all but the ids, which only ties need."""
        return int(self.first.nbytes + self.value.nbytes + self.kind.nbytes + self.group.nbytes)

    def kinds_of(self, place: Any, arc: Any) -> Ints:
        """Rows of ``Kinds`` of the arcs ``arc`` of the customers at ``place``, int64."""
        kind = self.kind[arc].astype(np.int64)
        return kind + self.group[place].astype(np.int64) * self.width if self.width else kind


def pack_key(parts: Sequence[npt.NDArray[np.integer]]) -> Ints:
    """Parts of a key of 16 bits each, the first one highest, in one integer, int64 [rows]; at most four."""
    packed = parts[0].astype(np.int64)
    for part in parts[1:]:
        packed = packed * np.int64(1 << 16) + part
    return packed


@dataclass(frozen=True)
class Kinds:
    """Kinds of arcs: product, channel, and uses as sparse rows (limits ascending within a row).

    Attributes:
        product: int64 [K].
        channel: int64 [K].
        first: int64 [K + 1], where each kind's uses begin.
        limit: int64 [U], position of the limit.
        use: int64 [U], units of the limit, in the at-most form.
        parts: int64 [K] each, those of ``KEY_PARTS`` that the instance has, in that order.
    """

    product: Ints
    channel: Ints
    first: Ints
    limit: Ints
    use: Ints
    parts: Mapping[str, Ints] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.product)

    @cached_property
    def label(self) -> Ints:
        """The key in one integer, 16 bits a part, int64 [K]: what ties are hashed by."""
        return pack_key((self.product, self.channel, *self.parts.values()))

    @cached_property
    def rows(self) -> Ints:
        """The kind of each use, int64 [U]."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.first))

    def price(self, prices: Ints) -> Ints:
        """What each kind is charged, pico-yuan int64 [K]: sum over its limits of price x use."""
        return charge(self.first, self.limit, self.use, prices)

    def price_float(self, weights: Floats) -> Floats:
        """Sum over each kind's limits of weight x use, float [K]."""
        return np.bincount(self.rows, weights[self.limit] * self.use, len(self)).astype(np.float64)

    def sum_uses(self, counts: Ints, limits: int) -> list[int]:
        """Use of each limit by ``counts`` arcs of each kind, exact."""
        if not self._large(counts):
            return add_uses(self.first, self.limit, self.use, counts, limits).tolist()
        total = np.zeros(limits, object)
        np.add.at(total, self.limit, counts[self.rows].astype(object) * self.use)
        return [int(v) for v in total]

    def tabulate_uses(self, limits: int) -> Ints:
        """Uses as a table, int64 [K, limits]."""
        table = np.zeros((len(self), limits), np.int64)
        table[self.rows, self.limit] = self.use
        return table

    def _large(self, counts: Ints) -> bool:
        return int(self.largest.max(initial=0)) * max(1, int(counts.sum())) >= LARGEST

    @cached_property
    def largest(self) -> Ints:
        """The largest |use| of each limit that any kind has, as far as a limit is used at all; int64."""
        limits = int(self.limit.max(initial=-1)) + 1
        most = np.zeros(limits, np.int64)
        np.maximum.at(most, self.limit, np.abs(self.use))
        return most


@dataclass(frozen=True)
class Limits:
    """Limits in the at-most form.

    Attributes:
        names: of each limit.
        amount: int64 [M]; negated where the limit is an at-least one.
        sign: +1 for at most, -1 for at least, int64 [M].
    """

    names: tuple[str, ...]
    amount: Ints
    sign: Ints

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Apart:
    """Customers whose choice is the same at all prices between ``low`` and ``high``: sums stand for them.

    Attributes:
        customers: how many.
        value: of what they choose, micro-yuan.
        counts: what they choose by kind, int64 [K].
        low, high: prices, pico-yuan, int64 [M].
    """

    customers: int
    value: int
    counts: Ints
    low: Ints
    high: Ints

    def total(self, price: Ints) -> int:
        """Sum of their best reduced values at the kinds' ``price``, each rounded up to micro-yuan: exact integers."""
        charged = price // PICO
        if int(np.abs(charged).max(initial=0)) * self.customers >= LARGEST:
            return self.value - sum(int(n) * int(p) for n, p in zip(self.counts, charged, strict=True))
        return self.value - int(self.counts @ charged)

    def within(self, prices: Ints) -> bool:
        """Whether the sums hold at ``prices``."""
        return bool((self.low <= prices).all() and (prices <= self.high).all())


@dataclass(frozen=True)
class Problem:
    """An assignment problem: at most one (or exactly one) arc a customer, value as high as the limits allow.

    Attributes:
        blocks: the customers, ascending.
        kinds: the kinds of arcs.
        limits: the limits.
        exactly_one: every customer must get an arc.
        most: the largest |value| of an arc, micro-yuan.
        apart: customers that are not in the blocks but count: use, value and bound are of all; prices keep to its box.
    """

    blocks: Sequence[Block]
    kinds: Kinds
    limits: Limits
    exactly_one: bool
    most: int
    apart: Apart | None = None

    @cached_property
    def customers(self) -> int:
        """Number of customers in the blocks."""
        return sum(len(block) for block in self.blocks)

    @cached_property
    def everybody(self) -> int:
        """Number of customers, with those apart."""
        return self.customers + (self.apart.customers if self.apart else 0)

    @cached_property
    def arcs(self) -> int:
        """Number of arcs."""
        return sum(int(block.first[-1]) for block in self.blocks)

    @cached_property
    def scale(self) -> Floats:
        """The largest |use| of each limit, at least 1: what the numerical steps divide by."""
        most = np.ones(len(self.limits))
        largest = self.kinds.largest
        most[: len(largest)] = np.maximum(largest, 1)
        return most

    @cached_property
    def most_used(self) -> Ints:
        """The largest use of each limit by an arc, int64 [M]; at most 0 where none can bring it nearer its amount."""
        most = np.zeros(len(self.limits), np.int64)
        np.maximum.at(most, self.kinds.limit, self.kinds.use)
        return most

    @cached_property
    def grid(self) -> Ints:
        """What prices are multiples of, pico-yuan, int64 [M]: so that charges are whole micro-yuan where they can be.

        A customer's part of the bound is rounded up to micro-yuan; with uses that are multiples of g, a price that is
        a multiple of 10^6 / gcd(10^6, g) leaves nothing to round. 1 where that is too coarse: above a fen an arc,
        or less than that where few customers make the dual's kinks wide.
        """
        common = np.zeros(len(self.limits), np.int64)
        np.gcd.at(common, self.kinds.limit, np.abs(self.kinds.use))
        step = PICO // np.gcd(PICO, np.maximum(common, 1))
        return np.where(step * self.scale <= min(1e10, 1e5 * self.everybody), step, 1)

    def round_prices(self, prices: Floats) -> Ints:
        """Prices (pico-yuan, float [M]) on the grid, not below 0, and within the box of who is apart."""
        on_grid = np.maximum(np.rint(prices / self.grid).astype(np.int64) * self.grid, 0)
        return np.clip(on_grid, self.apart.low, self.apart.high) if self.apart else on_grid

    def fits(self, prices: Ints) -> bool:
        """Whether reduced values at ``prices`` stay within 62 bits whatever the arc."""
        largest = [int(v) for v in self.scale]
        total = sum(abs(int(p)) * u for p, u in zip(prices, largest, strict=True))
        return PICO * self.most + total < LARGEST

    def wide_limit(self) -> str | None:
        """A limit whose use by all customers together may leave 62 bits; None where there is none."""
        for m, largest in enumerate(self.kinds.largest.tolist()):
            if largest * max(1, self.everybody) < LARGEST:
                continue
            use = np.zeros(len(self.kinds) + 1, np.int64)
            here = self.kinds.limit == m
            use[self.kinds.rows[here]] = np.abs(self.kinds.use[here])
            total = 0
            for block in self.blocks:
                for i in range(len(block)):
                    arcs = np.arange(int(block.first[i]), int(block.first[i + 1]))
                    total += int(use[block.kinds_of(np.full(len(arcs), i), arcs)].max(initial=0))
            if total >= LARGEST:
                return self.limits.names[m]
        return None

    @property
    def shape(self) -> str:
        """Size in words."""
        return f"{self.customers:,} customers, {self.arcs:,} arcs, {len(self.limits)} limits, {len(self.kinds):,} kinds"
