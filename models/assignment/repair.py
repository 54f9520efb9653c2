"""From prices to a whole plan that keeps every limit: moves of customers near a change of mind, least loss first.

At good prices nearly everybody's best choice is the plan; limits are missed by a few units that sit in ties. The
moves are made in one fixed order (loss, then a keyed hash), so the plan is a pure function of arcs, limits and
prices. docs/developer/assignment.md, "Repair".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit

from models.arrays import Ints
from models.assignment.dual_evaluation import best_arcs, near_options, over_blocks
from models.assignment.problem import LARGEST, Block, Problem
from models.hashing import hashes

#: Options at most, some 100 bytes each.
MOST = 3_000_000


@dataclass(frozen=True)
class Plan:
    """A whole assignment.

    Attributes:
        arcs: of each block, every customer's arc (place in the block's arcs; -1: none).
        primal: micro-yuan.
        used: of each limit, at-most form.
        excess: how far limits are over, in scaled units; 0 is feasible.
    """

    arcs: list[Ints]
    primal: int
    used: list[int]
    excess: float = 0.0


@dataclass(frozen=True)
class Options:
    """Choices near the best of customers that may move; a customer's are consecutive.

    Attributes:
        block, place, arc: where the choice is (arc -1: none).
        group: running number of the customer.
        kind: kind of the arc, -1 for none.
        value: micro-yuan.
        loss: pico-yuan below the customer's best.
        start: the option that each customer holds, int64 [groups].
        rank: place of each option when sorted by loss, then by hash: what ties go by.
    """

    block: Ints
    place: Ints
    arc: Ints
    group: Ints
    kind: Ints
    value: Ints
    loss: Ints
    start: Ints
    rank: Ints


def gather(problem: Problem, prices: Ints, width: int, arcs: list[Ints], most: int = MOST) -> Options | None:
    """The options of customers who may move from what they hold: within ``width`` pico-yuan of their best.

    None where they are more than ``most``.
    """
    near = near_options(problem, prices, width, arcs, most)
    if near is None:
        return None
    sizes = [len(rows) for rows in near]
    rows = np.concatenate(near) if near else np.empty((0, 4), np.int64)
    block = np.repeat(np.arange(len(near)), sizes)
    arc = rows[:, 1]
    kind, value = np.full(len(rows), -1, np.int64), np.zeros(len(rows), np.int64)
    customer = np.zeros(len(rows), np.int64)
    for part, end, size in zip(problem.blocks, np.cumsum(sizes), sizes, strict=True):
        span = np.arange(end - size, end)
        customer[span] = part.customer[rows[span, 0]]
        real = span[arc[span] >= 0]
        kind[real], value[real] = part.kinds_of(rows[real, 0], arc[real]), part.value[arc[real]]
    change = np.ones(len(rows), bool)
    change[1:] = (rows[1:, 0] != rows[:-1, 0]) | (block[1:] != block[:-1])
    group = np.cumsum(change) - 1
    start = np.flatnonzero(rows[:, 3] == 1)
    label = np.where(kind >= 0, problem.kinds.label[kind] if len(problem.kinds) else 0, -1)
    mixed = hashes(customer, 2) ^ hashes(label, 3)
    rank = np.empty(len(rows), np.int64)
    rank[np.lexsort((mixed, rows[:, 2]))] = np.arange(len(rows))
    return Options(block, rows[:, 0], arc, group, kind, value, rows[:, 2], start, rank)


@njit(cache=True, nogil=True)
def _shift(kind, ptr, lim, use, used, sign):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    if kind >= 0:
        for x in range(ptr[kind], ptr[kind + 1]):
            used[lim[x]] += sign * use[x]


@njit(cache=True, nogil=True)
def _over(kind, other, ptr, lim, used, amount, weight):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Excess of the limits that either kind touches (a limit of both counts twice, before and after alike)."""
    total = 0.0
    for k in (kind, other):
        if k >= 0:
            for x in range(ptr[k], ptr[k + 1]):
                m = lim[x]
                if used[m] > amount[m]:
                    total += (used[m] - amount[m]) * weight[m]
    return total


@njit(cache=True, nogil=True)
def _breaks(kind, other, ptr, lim, used, before, amount):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Whether a limit that either kind touches is over and more used than before."""
    for k in (kind, other):
        if k >= 0:
            for x in range(ptr[k], ptr[k + 1]):
                m = lim[x]
                if used[m] > amount[m] and used[m] > before[m]:
                    return True
    return False


@njit(cache=True, nogil=True)
def mend(order, group, kind, hold, ptr, lim, use, used, amount, weight, strict):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """One sweep over the options: take each that lowers the excess (``strict``: and raises it nowhere).

    Returns options taken.
    """
    taken = 0
    before_use = used.copy()
    for o in order:
        g = group[o]
        now = hold[g]
        if now == o:
            continue
        before = _over(kind[now], kind[o], ptr, lim, used, amount, weight)
        if before == 0.0:
            continue
        for k in (kind[now], kind[o]):
            if k >= 0:
                for x in range(ptr[k], ptr[k + 1]):
                    before_use[lim[x]] = used[lim[x]]
        _shift(kind[now], ptr, lim, use, used, -1)
        _shift(kind[o], ptr, lim, use, used, 1)
        after = _over(kind[now], kind[o], ptr, lim, used, amount, weight)
        broken = strict and _breaks(kind[now], kind[o], ptr, lim, used, before_use, amount)
        if after < before - 1e-12 and not broken:
            hold[g] = o
            taken += 1
        else:
            _shift(kind[o], ptr, lim, use, used, -1)
            _shift(kind[now], ptr, lim, use, used, 1)
    return taken


@njit(cache=True, nogil=True)
def fill(order, group, kind, value, hold, ptr, lim, use, used, amount, least):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """One sweep over the options: take each that gains at least ``least`` and keeps every limit."""
    taken = 0
    for o in order:
        g = group[o]
        now = hold[g]
        if value[o] - value[now] < least:
            continue
        _shift(kind[now], ptr, lim, use, used, -1)
        _shift(kind[o], ptr, lim, use, used, 1)
        keeps = True
        if kind[o] >= 0:
            for x in range(ptr[kind[o]], ptr[kind[o] + 1]):
                if used[lim[x]] > amount[lim[x]]:
                    keeps = False
                    break
        if keeps and kind[now] >= 0:
            for x in range(ptr[kind[now]], ptr[kind[now] + 1]):
                if used[lim[x]] > amount[lim[x]]:
                    keeps = False
                    break
        if keeps:
            hold[g] = o
            taken += 1
        else:
            _shift(kind[o], ptr, lim, use, used, -1)
            _shift(kind[now], ptr, lim, use, used, 1)
    return taken


def repair(
    problem: Problem,
    prices: Ints,
    width: int,
    start: list[Ints] | None = None,
    until: Callable[[], bool] = lambda: False,
) -> Plan:
    """A whole plan: ``start`` (at first everybody's best), mended and filled by moves near the best.

    Who may move has a margin below ``width`` pico-yuan; it grows fourfold until every limit is kept, everybody may
    move, or the options are more than ``MOST``; or until ``until`` says so, with what is mended by then.
    """
    arcs = best_arcs(problem, prices) if start is None else start
    options = gather(problem, prices, width, arcs)
    while options is None:
        width //= 2
        options = gather(problem, prices, width, arcs)
    while True:
        plan = settle_moves(problem, prices, options, options.start, arcs, until)
        if plan.excess == 0.0 or width >= LARGEST - 1 or until():
            return plan
        width = min(width * 4, LARGEST - 1)
        wider = gather(problem, prices, width, arcs)
        if wider is None:
            return plan
        options = wider


def settle_moves(
    problem: Problem,
    prices: Ints,
    options: Options,
    hold: Ints,
    arcs: list[Ints],
    until: Callable[[], bool] = lambda: False,
) -> Plan:
    """The plan that moves of the customers of ``options`` lead to: they hold ``hold`` at first, the others ``arcs``."""
    hold = hold.copy()
    fixed, used = without(problem, options, arcs)
    state = used + np.array(problem.kinds.sum_uses(_counts(options, hold, len(problem.kinds)), len(used)), np.int64)
    excess = _mend(options, hold, state, problem, prices, until)
    if excess == 0.0:
        _gain(options, hold, state, problem, until)
    return apply_options(options, hold, arcs, fixed + int(options.value[hold].sum()), state, excess)


def apply_options(options: Options, hold: Ints, arcs: list[Ints], primal: int, used: Ints, excess: float) -> Plan:
    """The plan in which the customers of ``options`` hold ``hold`` and the others keep what they held."""
    arcs = list(arcs)
    moved = hold[hold != options.start]
    for number in np.unique(options.block[moved]).tolist():
        in_block = moved[options.block[moved] == number]
        arcs[number] = arcs[number].copy()
        arcs[number][options.place[in_block]] = options.arc[in_block]
    return Plan(arcs, primal, [int(u) for u in used], excess)


def without(problem: Problem, options: Options, arcs: list[Ints]) -> tuple[int, Ints]:
    """Value and uses of what is held by those who cannot move (who are not in ``options``)."""
    counts = count_types(problem, arcs) - _counts(options, options.start, len(problem.kinds))
    used = np.array(problem.kinds.sum_uses(counts, len(problem.limits)), np.int64)
    return value_of(problem, arcs) - int(options.value[options.start].sum()), used


def _counts(options: Options, hold: Ints, kinds: int) -> Ints:
    kind = options.kind[hold]
    return np.bincount(kind[kind >= 0], minlength=kinds)


def _mend(
    options: Options,
    hold: Ints,
    state: Ints,
    problem: Problem,
    prices: Ints,
    until: Callable[[], bool],
    sweeps: int = 80,
) -> float:
    """Moves that lower the excess, least cost a unit of excess first, until there is none; returns what is left.

    The cost of a move is what it adds to bound - primal = sum of losses + sum of price x slack: its loss, and the
    price of what it leaves unused of limits that are not over.
    """
    kinds, amount, weight = problem.kinds, problem.limits.amount, 1.0 / problem.scale
    strict = True
    for _ in range(sweeps):
        over = state > amount
        if not over.any():
            return 0.0
        if until():
            break
        relief = np.append(kinds.price_float(np.where(over, weight, 0.0)), 0.0)  # last: no arc
        slack = np.append(kinds.price_float(np.where(over, 0.0, prices.astype(float))), 0.0)
        now, kind = options.kind[hold][options.group], options.kind
        gained = relief[now] - relief[kind]
        useful = np.flatnonzero(gained > 0)
        cost = options.loss - options.loss[hold][options.group] + slack[now] - slack[kind]
        order = useful[np.lexsort((options.rank[useful], cost[useful] / gained[useful]))]
        if not mend(
            order, options.group, options.kind, hold, kinds.first, kinds.limit, kinds.use, state, amount, weight, strict
        ):
            if not strict:
                break
            strict = False
    return float((np.maximum(state - amount, 0) * weight).sum())


def _gain(
    options: Options, hold: Ints, state: Ints, problem: Problem, until: Callable[[], bool], sweeps: int = 30
) -> None:
    """Fill slack by the moves that gain most, until nothing is gained."""
    kinds, amount = problem.kinds, problem.limits.amount
    for _ in range(sweeps):
        if until():
            break
        gain = options.value - options.value[hold][options.group]
        order = np.flatnonzero(gain > 0)
        order = order[np.lexsort((options.rank[order], -gain[order]))]
        if not fill(
            order,
            options.group,
            options.kind,
            options.value,
            hold,
            kinds.first,
            kinds.limit,
            kinds.use,
            state,
            amount,
            1,
        ):
            break


def value_of(problem: Problem, arcs: list[Ints]) -> int:
    """Value of a plan, micro-yuan, with that of who is apart."""

    def task(pair: tuple[Block, Ints]) -> int:
        block, arc = pair
        return int(block.value[arc[arc >= 0]].sum(dtype=np.int64))

    apart = problem.apart.value if problem.apart else 0
    return apart + sum(over_blocks(task, list(zip(problem.blocks, arcs, strict=True))))


def count_types(problem: Problem, arcs: list[Ints]) -> Ints:
    """Arcs of each kind in a plan, with those of who is apart."""
    kinds = len(problem.kinds)

    def task(pair: tuple[Block, Ints]) -> Ints:
        block, arc = pair
        place = np.flatnonzero(arc >= 0)
        return np.bincount(block.kinds_of(place, arc[place]), minlength=kinds)

    apart = problem.apart.counts if problem.apart else np.zeros(kinds, np.int64)
    return np.sum([apart, *over_blocks(task, list(zip(problem.blocks, arcs, strict=True)))], axis=0)


def sum_uses(problem: Problem, arcs: list[Ints]) -> list[int]:
    """Use of each limit by a plan, at-most form."""
    return problem.kinds.sum_uses(count_types(problem, arcs), len(problem.limits))


def away(problem: Problem, prices: Ints, arcs: list[Ints]) -> int:
    """Customers whose arc is not their best at the prices."""
    return sum(int((a != b).sum()) for a, b in zip(arcs, best_arcs(problem, prices), strict=True))
