"""Assignment problems of any size with the shape of a night: generated block by block from a seed.

12 products on 6 channels, a few arcs a customer, limits on channel x centre, on products (at most and at least),
a budget and a share; ``tight`` scales the capacities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Ints
from models.assignment.problem import BLOCK, Block, Kinds, Limits, Problem

PRODUCTS, CHANNELS, CENTRES = 12, 6, 6
#: Cost of an attempt, micro-yuan.
COST = np.array([2_800_000, 50_000, 20_000, 180_000, 9_500_000, 400_000])
MARGIN = np.array([6.2, 12.5, 4.4, 11.2, 5.1, 26.8, 2.1, 24.0, 47.0, 17.0, 72.0, 34.0])


@dataclass(frozen=True)
class Case:
    """What to generate.

    Attributes:
        customers: how many.
        arcs: arcs a customer, of 72.
        tight: capacity factor: 0.5 tight, 1 normal, 2 loose.
        correlated: a customer's values share a factor.
        grain: values are rounded to this many micro-yuan.
        budget: whether the budget binds.
        floors: whether products have floors.
        seed: of everything.
    """

    customers: int
    arcs: int = 8
    tight: float = 1.0
    correlated: bool = True
    grain: int = 1
    budget: bool = True
    floors: bool = True
    seed: int = 1


def _random(case: Case, block: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[case.seed, block]))


def draw(case: Case, number: int, size: int) -> tuple[Ints, Ints, Ints]:
    """A block's centre and low-plan mark (one integer a customer), pairs [n, arcs] ascending, values [n, arcs]."""
    random = _random(case, number)
    centre = np.searchsorted(np.cumsum([0.28, 0.30, 0.13, 0.10, 0.11]), random.random(size)).astype(np.int64)
    low = (random.random(size) < 0.3).astype(np.int64)
    keys = random.random((size, PRODUCTS * CHANNELS), dtype=np.float32)
    pairs = np.sort(np.argpartition(keys, case.arcs - 1, axis=1)[:, : case.arcs], axis=1).astype(np.int64)
    if case.arcs == PRODUCTS * CHANNELS:
        pairs = np.broadcast_to(np.arange(PRODUCTS * CHANNELS), (size, PRODUCTS * CHANNELS))
    product, channel = pairs // CHANNELS, pairs % CHANNELS
    lift = np.array([0.030, 0.006, 0.008, 0.007, 0.055, 0.010])[channel]
    taste = random.exponential(1.0, (size, case.arcs))
    if case.correlated:
        taste = 0.5 * taste + 0.5 * random.exponential(1.0, (size, 1)) * (1.0 - 0.4 * low[:, None])
    value = (MARGIN[product] * lift * taste * 1e6 - 0.2 * COST[channel]).astype(np.int64)
    return centre * 2 + low, pairs, value // case.grain * case.grain


def limits(case: Case) -> tuple[list[tuple[str, str, int]], list[dict[tuple[int, int], int]]]:
    """Names, sides and amounts of the limits, and each limit's use by (group, pair)."""
    n = case.customers
    share = np.array([0.28, 0.30, 0.13, 0.10, 0.11, 0.08])
    daily = np.array([0.012, 0.16, 0.12, 0.05, 0.003, 0.03]) * case.tight
    groups = range(CENTRES * 2)
    pairs = range(PRODUCTS * CHANNELS)
    heads: list[tuple[str, str, int]] = []
    uses: list[dict[tuple[int, int], int]] = []

    def add(name: str, side: str, amount: float, use: dict[tuple[int, int], int]) -> None:
        heads.append((name, side, int(amount)))
        uses.append(use)

    for channel in range(CHANNELS):
        for centre in range(CENTRES):
            unit = 180 if channel == 0 else 1
            add(
                f"channel_{channel}_{centre}",
                "at_most",
                daily[channel] * share[centre] * n * unit,
                {(g, p): unit for g in groups for p in pairs if g // 2 == centre and p % CHANNELS == channel},
            )
    for product in range(PRODUCTS):
        add(
            f"product_{product}",
            "at_most",
            0.05 * case.tight * n,
            {(g, p): 1 for g in groups for p in pairs if p // CHANNELS == product},
        )
    if case.floors:
        for product in (2, 4, 6):
            add(
                f"floor_{product}",
                "at_least",
                0.015 * min(case.tight, 1.0) * n,
                {(g, p): 1 for g in groups for p in pairs if p // CHANNELS == product},
            )
    if case.budget:
        add(
            "budget",
            "at_most",
            70_000 * case.tight * n,
            {(g, p): int(COST[p % CHANNELS]) for g in groups for p in pairs},
        )
    add("share_low", "at_least", 0, {(g, p): 80 if g % 2 else -20 for g in groups for p in pairs})
    return heads, uses


def table(case: Case) -> tuple[Kinds, Limits]:
    """Kinds (one a group and pair) and limits, in the at-most form."""
    heads, uses = limits(case)
    sign = np.array([1 if side == "at_most" else -1 for _, side, _ in heads])
    width = PRODUCTS * CHANNELS
    rows: list[list[tuple[int, int]]] = [[] for _ in range(CENTRES * 2 * width)]
    for m, use in enumerate(uses):
        for (group, pair), amount in use.items():
            rows[group * width + pair].append((m, int(sign[m]) * amount))
    first = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    flat = np.array([entry for row in rows for entry in row], np.int64).reshape(-1, 2)
    pair = np.tile(np.arange(width), CENTRES * 2)
    kinds = Kinds(pair // CHANNELS, pair % CHANNELS, first, flat[:, 0].copy(), flat[:, 1].copy())
    amount = np.array([amount for _, _, amount in heads], np.int64) * sign
    return kinds, Limits(tuple(name for name, _, _ in heads), amount, sign)


def block(case: Case, number: int) -> Block:
    """The block ``number`` of a case."""
    low = number * BLOCK
    size = min(BLOCK, case.customers - low)
    group, pairs, value = draw(case, number, size)
    kind = (group[:, None] * (PRODUCTS * CHANNELS) + pairs).astype(np.uint16).ravel()
    first = np.arange(size + 1, dtype=np.int64) * case.arcs
    return Block(np.arange(low, low + size, dtype=np.int64), first, value.astype(np.int32).ravel(), kind)


def problem(case: Case) -> Problem:
    """The whole case in memory."""
    kinds, found = table(case)
    blocks = [block(case, number) for number in range(-(-case.customers // BLOCK))]
    most = max(int(np.abs(b.value).max(initial=0)) for b in blocks)
    return Problem(blocks, kinds, found, False, most)
