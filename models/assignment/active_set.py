"""Who may change their mind when limits change: the few customers that a what-if has to look at.

Within a box of prices most customers' choice is certain: the margin to every other arc is larger than what the box
can change between the two. Their sum is linear there, so the dual over everybody costs a pass over the other
customers' arcs that may win, and is exact to the last integer. docs/developer/assignment.md, "Active set".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from models.arrays import Floats, Ints
from models.assignment.curvature import diagonal
from models.assignment.dual import StoppingRule, descend
from models.assignment.dual_evaluation import Dual, Local, over_blocks
from models.assignment.kernels import KindUses, best_choice, difference, kind_base, least_value
from models.assignment.problem import BLOCK, NO_GROUP, Apart, Block, Limits, Problem
from models.assignment.sample import draw_customers, join, sample
from models.money import YUAN

# `box_of` finds on a sample how prices move from the old amounts to the new ones, and draws a box around that move.
#: Customers of that sample: ``SEEN``, or one in ``ONE_IN`` of all where that is more.
SEEN, ONE_IN = 10_000, 300
#: The box goes on behind the old prices by this multiple of the move: prices of all may move farther than the sample's.
REACH = 1.5
#: On every side it is wider by a share of the sample's error of prices (`error_of`), but by no more than ``MOST`` scaled
#: yuan: the first share is tried first, the second where the wanted prices turned out to lie on the box's side.
ROOMS, MOST = (0.35, 1.0), 0.05
#: That margin is at least ``LEAST`` / √customers scaled yuan: so far even prices sought on all customers may err.
LEAST = 0.5
#: Customers a block of an active set: fewer are no work for several threads.
TOGETHER = 4 * BLOCK
#: Active customers that prices are sought on first where there are many more.
FEW = 20_000


@dataclass(frozen=True)
class Box:
    """Prices between which those wanted will lie, pico-yuan, at-most form.

    Attributes:
        low, high: the sides.
        middle: where those wanted are thought to be.
    """

    low: Ints
    high: Ints
    middle: Ints


@dataclass(frozen=True)
class Active:
    """The customers whose choice is not certain within a box of prices, with those of their arcs that may win there.

    Attributes:
        blocks: these customers, in few blocks.
        place: of each block, the places of these customers, int32.
        arc: of each block, the place in the block's arcs of each arc kept, int32.
        choices: of each block, every customer's arc at the prices that the box was drawn around (-1: none), int32.
        apart: the sums of the others, and the box.
        middle: prices in the box that those wanted are thought to be near.
        few: a sample of the active customers.
    """

    blocks: list[Block]
    place: list[Ints]
    arc: list[Ints]
    choices: list[Ints]
    apart: Apart
    middle: Ints
    few: list[Block]

    @property
    def customers(self) -> int:
        """How many are active."""
        return sum(len(block) for block in self.blocks)

    def leans(self, prices: Ints) -> bool:
        """Whether prices lie on a side of the box: in a wider one they might go on."""
        low, high = self.apart.low, self.apart.high
        return bool(((prices >= high) | ((prices <= low) & (low > 0))).any())

    def part(self, problem: Problem) -> Problem:
        """The problem, under whatever amounts, as it looks within the box."""
        return replace(problem, blocks=self.blocks, apart=self.apart)

    def complete(self, arcs: list[Ints]) -> list[Ints]:
        """Everybody's arcs where the active customers have ``arcs``: the others keep what they hold."""
        begin = np.cumsum([0] + [len(block.value) for block in self.blocks])
        chosen = [np.where(arc < 0, -1, arc + start) for arc, start in zip(arcs, begin, strict=False)]
        origin = np.concatenate([*self.arc, np.array([-1], np.int32)])[np.concatenate([*chosen, np.empty(0, np.int64)])]
        completed, done = [], 0
        for before, place in zip(self.choices, self.place, strict=True):
            completed.append(before.copy())
            completed[-1][place] = origin[done : done + len(place)]
            done += len(place)
        return completed


def box_of(problem: Problem, prices: Ints, limits: Limits, room: float = ROOMS[0]) -> Box:
    """Where the prices go from ``prices`` under other ``limits``, as seen on a sample; ``room`` is one of ``ROOMS``."""
    size = min(max(SEEN, problem.customers // ONE_IN), problem.customers)
    seen, other = sample(problem, size), sample(replace(problem, limits=limits), size)
    aim = StoppingRule(passes=20, gain=1e-5, width=0.05 * YUAN, least=0.01 * YUAN, radius=0.2)
    here = descend(seen, Local(seen), prices, aim).best
    there = descend(other, Local(other), here.prices, aim).best
    moved = there.prices - here.prices
    error = np.maximum(error_of(here, problem.scale), error_of(there, problem.scale))
    around = np.maximum(np.minimum(room * error, MOST), LEAST * max(1, problem.customers) ** -0.5)
    around = (np.ceil(around / problem.scale * YUAN / problem.grid) * problem.grid).astype(np.int64)
    far = problem.round_prices(prices + REACH * moved)
    low, high = np.maximum(np.minimum(prices, far) - around, 0), np.maximum(prices, far) + around
    return Box(low, high, np.clip(prices + moved, low, high))


def error_of(dual: Dual, scale: Floats) -> Floats:
    """How far a sample's prices may err, scaled yuan: as many customers as chance adds, over how many a yuan moves."""
    use = np.abs(np.array(dual.used, np.float64)) / scale
    return np.sqrt(np.maximum(use, 1.0)) / np.maximum(diagonal(dual.curvature), 1e-9)


def active_set(problem: Problem, prices: Ints, box: Box) -> Active | None:
    """Who may change their mind in a box, in one pass at ``prices``; None where integers would leave 62 bits there.

    Raises:
        ValueError: the prices are not in the box.
    """
    if not ((box.low <= prices) & (prices <= box.high)).all():
        raise ValueError("the box must hold the prices that it is drawn around")
    if not problem.fits(box.high):
        return None
    kinds = problem.kinds
    price, up, down = kinds.price(prices), box.high - prices, prices - box.low
    widest = np.zeros(len(kinds), np.int64)  # what the box can change of each kind's charge at most
    np.add.at(widest, kinds.rows, np.maximum(up, down)[kinds.limit] * np.abs(kinds.use))

    def task(block: Block) -> tuple[Any, ...]:
        place, first = np.empty(len(block), np.int32), np.empty(len(block) + 1, block.first.dtype)
        arc, best = np.empty(len(block.value), np.int32), np.empty(len(block), np.int32)
        counts = np.zeros(len(kinds), np.int64)
        active, arcs, value = uncertain(
            block.arrays,
            price,
            kinds.label,
            problem.exactly_one,
            KindUses(kinds.first, kinds.limit, kinds.use),
            BoxReach(up, down, widest),
            BoxChoices(place, first, arc, best, counts),
        )
        place, arc = place[:active].copy(), arc[:arcs].copy()
        part = Block(
            block.customer[place],
            first[: active + 1].copy(),
            block.value[arc],
            block.kind[arc],
            block.group[place] if block.width else NO_GROUP,
            block.width,
        )
        return part, place, arc, best, Apart(len(block) - active, int(value), counts, box.low, box.high)

    parts = over_blocks(task, problem.blocks)
    blocks, apart = join([part[0] for part in parts], TOGETHER), [part[4] for part in parts]
    counts = np.sum([np.zeros(len(kinds), np.int64), *(each.counts for each in apart)], axis=0)
    sums = Apart(sum(each.customers for each in apart), sum(each.value for each in apart), counts, box.low, box.high)
    place, arc, best = ([part[n] for part in parts] for n in (1, 2, 3))
    return Active(blocks, place, arc, best, sums, box.middle, draw_customers(blocks, FEW))


class BoxReach(NamedTuple):
    """What a box of prices can change: each price's way up and down, int64 [M], each kind's charge at most, [K]."""

    up: Ints
    down: Ints
    widest: Ints


class BoxChoices(NamedTuple):
    """What ``uncertain`` fills in.

    Attributes:
        place: of the customers found, int32 [n].
        begin: where each one's arcs begin, [n + 1].
        arc: their arcs that may win, the best and those that may beat it, int32 [arcs].
        best: everybody's arc at the prices, -1 for none, int32 [n].
        counts: arcs of the others by kind, int64 [K].
    """

    place: npt.NDArray[np.int32]
    begin: npt.NDArray[np.integer]
    arc: npt.NDArray[np.int32]
    best: npt.NDArray[np.int32]
    counts: Ints


@njit(cache=True, nogil=True)
def uncertain(arcs, price, label, must, uses, reach, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The customers whose best arc may be beaten within a box of prices, and by which arcs.

    At other prices the margin over arc a is r_best - r_a - sum over m of (p'_m - p_m) (use_best,m - use_a,m), least in
    a corner of the box: a choice is certain where it stays above 0 there, or where the uses are the same.

    Args:
        arcs, price, label, must, uses: as in ``kernels.sweep``.
        reach: of the box.
        out: filled, ``counts`` added to.

    Returns:
        Customers found, arcs kept, value of the others' arcs.
    """
    customer, first, value, kind, group, width = arcs
    ptr, lim, use = uses
    up, down, widest = reach
    place, begin, arc, best, counts = out
    least = least_value(must)
    d_lim = np.empty(2 * len(up), np.int64)
    d_use = np.empty(2 * len(up), np.int64)
    active, n, total = 0, 0, np.int64(0)
    lo = np.uint64(first[0])
    for i in range(np.uint64(len(customer))):
        hi = np.uint64(first[i + np.uint64(1)])
        base = kind_base(i, group, width)
        top, r1, _ = best_choice(customer[i], lo, hi, base, value, kind, price, label, least)
        top_kind = np.int64(base + np.uint64(kind[top])) if top < hi else np.int64(-1)
        within = widest[top_kind] if top_kind >= 0 else np.int64(0)
        best[i] = np.int64(top) if top < hi else np.int64(-1)
        begin[active] = n
        before, may = n, False
        for a in range(lo, hi + np.uint64(0 if must else 1)):
            beats = a == top
            other = np.int64(base + np.uint64(kind[a])) if a < hi else np.int64(-1)
            margin = r1 - (1_000_000 * np.int64(value[a]) - price[other]) if a < hi else r1
            if not beats and margin <= within + (widest[other] if other >= 0 else np.int64(0)):
                differ = difference(top_kind, other, ptr, lim, use, d_lim, d_use)
                change = np.int64(0)
                for x in range(differ):
                    change += up[d_lim[x]] * d_use[x] if d_use[x] > 0 else -down[d_lim[x]] * d_use[x]
                beats = change > 0 and margin <= change  # a tie that no price of the box touches stays as it is
                if beats:
                    may = True
            if beats and a < hi:
                arc[n] = a
                n += 1
        if may:
            place[active] = i
            active += 1
        else:
            n = before
            if top_kind >= 0:
                counts[top_kind] += 1
                total += np.int64(value[top])
        lo = hi
    begin[active] = n
    return active, n, total
