"""Simulated annealing over whole plans, for instances so small that prices leave a gap and no MIP closes it in time.

One or two customers at random take other options; a limit that is exceeded costs a penalty that rises while it is and
falls while it is not. A worse plan is taken with probability exp(-loss / temperature) (Kirkpatrick, Gelatt and Vecchi,
Science 220, 1983), the temperature falls geometrically, again and again from the best plan. Random numbers come from
a fixed seed and moves are counted, so the same input gives the same plan.
docs/developer/assignment.md, "Annealing".
"""

from __future__ import annotations

import time

import numpy as np
from numba import njit

from models.assignment.problem import Ints, Problem
from models.assignment.repair import Options

#: Moves of one cooling.
COOLING = 400_000
#: Temperatures that coolings begin at, over the mean value of a customer, in turn; all end at the last over 300.
HEATS = (0.05, 0.02, 0.01, 0.005)


@njit(cache=True, nogil=True, inline="always")
def _next(state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """xorshift64 (Marsaglia 2003)."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    return state ^ (state << np.uint64(17))


@njit(cache=True, nogil=True, inline="always")
def _swap(kind, sign, ptr, lim, use, used, amount, weight):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add (+1) or take away (-1) the uses of a kind; returns what the penalties change by."""
    change = 0.0
    if kind >= 0:
        for x in range(ptr[kind], ptr[kind + 1]):
            m = lim[x]
            before = used[m] - amount[m]
            after = before + sign * use[x]
            used[m] += sign * use[x]
            change += weight[m] * (max(after, 0) - max(before, 0))
    return change


@njit(cache=True, nogil=True)
def _cool(options, uses, amount, plan, penalty, best, moves, heats, seed):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """One cooling from ``hold``; the best plan that keeps every limit is kept in ``best_hold``. Returns its value and the seed."""
    (bounds, kind, value), (ptr, lim, use), (hold, used, best_hold), (weight, floor) = options, uses, plan, penalty
    groups, limits = np.uint64(len(hold)), len(amount)
    now = np.int64(0)
    for g in range(len(hold)):
        now += value[hold[g]]
    heat = heats[0]
    factor = (heats[1] / heats[0]) ** (1.0 / (moves / 1000 + 1))
    group, old, new = np.empty(2, np.int64), np.empty(2, np.int64), np.empty(2, np.int64)
    for step in range(moves):
        if step % 1000 == 0:
            heat *= factor
            for m in range(limits):
                weight[m] = weight[m] * 1.1 if used[m] > amount[m] else max(weight[m] * 0.98, floor[m])
        seed = _next(seed)
        count = 2 if seed & np.uint64(1) and groups > 1 else 1
        loss = 0.0
        for i in range(count):
            seed = _next(seed)
            who = (seed >> np.uint64(11)) % groups
            if i == 1 and np.int64(who) == group[0]:
                who = (who + np.uint64(1)) % groups
            seed = _next(seed)
            size = np.uint64(bounds[who + np.uint64(1)] - bounds[who])
            o = bounds[who] + np.int64((seed >> np.uint64(11)) % size)
            group[i], old[i], new[i] = np.int64(who), hold[who], o
            loss += _swap(kind[hold[who]], -1, ptr, lim, use, used, amount, weight)
            loss += _swap(kind[o], 1, ptr, lim, use, used, amount, weight)
            loss -= np.float64(value[o] - value[hold[who]])
        seed = _next(seed)
        chance = np.float64(seed >> np.uint64(11)) / 9007199254740992.0
        if loss <= 0.0 or chance < np.exp(-loss / heat):
            for i in range(count):
                hold[group[i]] = new[i]
                now += value[new[i]] - value[old[i]]
            if now > best:
                kept = True
                for m in range(limits):
                    if used[m] > amount[m]:
                        kept = False
                        break
                if kept:
                    best = now
                    for g in range(len(hold)):
                        best_hold[g] = hold[g]
        else:
            for i in range(count):
                _swap(kind[new[i]], -1, ptr, lim, use, used, amount, weight)
                _swap(kind[old[i]], 1, ptr, lim, use, used, amount, weight)
    return best, seed


def annealed(
    problem: Problem,
    prices: Ints,
    options: Options,
    room: Ints,
    *,
    feasible: bool,
    enough: int,
    coolings: int,
    seconds: float,
    seed: int,
) -> Ints | None:
    """The option of each group in the best plan found; None where none is better than the one held.

    Args:
        problem, prices: the problem and the prices that penalties start from.
        options: what may be chosen; ``options.start`` is the plan to begin with.
        room: amounts less what everybody else uses.
        feasible: whether that plan keeps every limit.
        enough: a value of the options that is good enough, micro-yuan.
        coolings: how often it cools at most.
        seconds: no cooling begins after so long; infinite: no clock is looked at.
        seed: of the random numbers, at least 1.
    """
    kinds, hold = problem.kinds, options.start.copy()
    groups = len(hold)
    bounds = np.append(np.searchsorted(options.group, np.arange(groups)), len(options.group))
    mean = max(1.0, float(np.abs(options.value[hold]).mean()))
    typical = mean / np.maximum(
        1.0, np.abs(room) / groups
    )  # what a unit is worth if a customer's share bought its value
    floor = np.maximum(prices * 1e-6, 0.05 * typical) * 1.05
    best = int(options.value[hold].sum()) if feasible else -(1 << 62)
    began, best_hold = best, hold.copy()
    state, weight = np.uint64(seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF), floor.copy()
    end = time.perf_counter() + seconds
    for number in range(coolings):
        if best >= enough or time.perf_counter() >= end:
            break
        counts = np.bincount(options.kind[hold][options.kind[hold] >= 0], minlength=len(kinds))
        used = np.array(kinds.used(counts, len(room)), np.int64)
        hot = HEATS[(seed + number) % len(HEATS)] * mean
        top, state = _cool(
            (bounds, options.kind, options.value), (kinds.first, kinds.limit, kinds.use), room, (hold, used, best_hold),
            (weight, floor), best, COOLING, (hot, hot / 300.0), state,
        )  # fmt: skip
        best, state = int(top), np.uint64(state)
        if best > -(1 << 62):
            hold = best_hold.copy()
    return best_hold if best > began else None
