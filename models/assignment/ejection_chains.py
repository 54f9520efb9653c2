"""Ejection chains under simulated annealing, for instances so small that prices leave a gap and no MIP closes it in time.

A customer at random takes another option. What that breaks is mended by the best next move of somebody else, and so
on for a few moves: an ejection chain (Glover, Discrete Applied Mathematics 65, 1996; for generalised assignment
Yagiura, Ibaraki and Glover, INFORMS Journal on Computing 16, 2004). The best beginning of the chain is kept where it
loses no more than an exponential draw at the temperature (Kirkpatrick, Gelatt and Vecchi, Science 220, 1983), which
is the same as taking a loss with probability exp(-loss / temperature). A limit that is exceeded costs a penalty that
rises while it is and falls to its price while it is not, so the search swings about the limits. Random numbers come
from a fixed seed and chains are counted: a clock may only end the search, it does not steer it.
docs/developer/assignment.md, "Chains".
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numba import njit

from models.arrays import Ints
from models.assignment.problem import Problem
from models.assignment.repair import Options

#: Chains between two looks at the clock and at what is enough.
SLICE = 5_000
#: Chains between two changes of the temperature and the penalties.
BEAT = 200
#: A penalty is at least so many times the price, and this share of the largest value over the largest use.
ABOVE, LEAST = 1.05, 0.01


@dataclass(frozen=True)
class Cooling:
    """How a search is led.

    Attributes:
        chains: how many are tried a customer, of 100 customers at least.
        moves: of a chain after its first, at most.
        hot, cold: temperatures at the beginning and at the end, over the mean loss of the options.
        rise: what a penalty is multiplied by every ``BEAT`` chains while its limit is exceeded.
        broken: how many limits are exceeded at a time, about: what a penalty falls by while its limit is kept.
    """

    chains: int
    moves: int
    hot: float
    cold: float
    rise: float
    broken: float


@njit(cache=True, nogil=True)
def _next(state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """xorshift64 (Marsaglia 2003)."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    return state ^ (state << np.uint64(17))


@njit(cache=True, nogil=True)
def _put(kind, sign, ptr, lim, use, used, amount, weight):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add (+1) or take away (-1) the uses of a kind; returns what the penalties rise by."""
    rise = 0.0
    if kind >= 0:
        for x in range(ptr[kind], ptr[kind + 1]):
            m = lim[x]
            before = used[m] - amount[m]
            used[m] += sign * use[x]
            rise += weight[m] * (max(used[m] - amount[m], 0) - max(before, 0))
    return rise


@njit(cache=True, nogil=True)
def _worst(used, amount, weight):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """The limit with the largest penalty; -1 where all are kept."""
    worst, most = -1, 0.0
    for m in range(len(amount)):
        if used[m] > amount[m] and weight[m] * (used[m] - amount[m]) > most:
            worst, most = m, weight[m] * (used[m] - amount[m])
    return worst


@njit(cache=True, nogil=True)
def _next_move(bounds, kind, value, ptr, lim, use, amount, hold, used, free, weight, over, plain):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """The option that gains most, penalties counted, among customers that are free and hold some of the limit ``over``.

    ``over`` is -1 where everybody free may move; ``plain``: no use is negative, so penalties only lower a gain.
    Returns the option (-1: nobody may) and its gain. Nine tenths of the time are spent here; arrays are passed one by
    one and loops written out, three times as fast as by tuples and helpers.
    """
    top, pick = -np.inf, -1
    for g in range(len(hold)):
        if not free[g]:
            continue
        current = hold[g]
        current_kind = kind[current]
        if over >= 0:
            if current_kind < 0:
                continue
            relieves = False
            for x in range(ptr[current_kind], ptr[current_kind + 1]):
                if lim[x] == over and use[x] > 0:
                    relieves = True
                    break
            if not relieves:
                continue
        base = -np.float64(value[current])
        if current_kind >= 0:
            for x in range(ptr[current_kind], ptr[current_kind + 1]):
                m = lim[x]
                before = used[m] - amount[m]
                used[m] -= use[x]
                base += weight[m] * (max(before, 0) - max(before - use[x], 0))
        for o in range(bounds[g], bounds[g + 1]):
            gain = base + np.float64(value[o])
            if o == current or (plain and gain <= top):
                continue
            k = kind[o]
            if k >= 0:
                for x in range(ptr[k], ptr[k + 1]):
                    before = used[lim[x]] - amount[lim[x]]
                    after = before + use[x]
                    if after > 0:
                        gain -= weight[lim[x]] * (after - max(before, 0))
                        if plain and gain <= top:
                            break
                    elif before > 0:
                        gain += weight[lim[x]] * before
            if gain > top:
                top, pick = gain, o
        if current_kind >= 0:
            for x in range(ptr[current_kind], ptr[current_kind + 1]):
                used[lim[x]] += use[x]
    return pick, top


@njit(cache=True, nogil=True)
def _search(options, uses, amount, plan, best_hold, weight, floor, best, heat, cooling, chains, moves, seed):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """``chains`` chains from ``hold``; the best plan that keeps every limit goes to ``best_hold``.

    Returns its value, the temperature and the state of the random numbers.
    """
    (bounds, group, kind, value), (ptr, lim, use, signed), (hold, used, free) = options, uses, plan
    factor, rise, fall = cooling
    plain = not signed.any()
    groups = np.uint64(len(hold))
    old, new = np.empty(moves + 1, np.int64), np.empty(moves + 1, np.int64)
    now = np.int64(0)
    for g in range(len(hold)):
        now += value[hold[g]]
    for step in range(chains):
        if step % BEAT == 0:
            heat *= factor
            for m in range(len(amount)):
                weight[m] = weight[m] * rise if used[m] > amount[m] else max(weight[m] * fall, floor[m])
        seed = _next(seed)
        who = np.int64((seed >> np.uint64(11)) % groups)
        seed = _next(seed)
        others = np.uint64(bounds[who + 1] - bounds[who] - 1)
        if others == 0:
            continue
        o = bounds[who] + np.int64((seed >> np.uint64(11)) % others)
        if o >= hold[who]:
            o += 1
        seed = _next(seed)
        allowed = heat * np.log(np.float64((seed >> np.uint64(11)) + np.uint64(1)) / 9007199254740992.0)
        gain, top, best_length, length, total = 0.0, -np.inf, 0, 0, now
        while True:
            current = hold[group[o]]
            gain -= _put(kind[current], -1, ptr, lim, use, used, amount, weight)
            gain -= _put(kind[o], 1, ptr, lim, use, used, amount, weight)
            gain += np.float64(value[o] - value[current])
            total += value[o] - value[current]
            old[length], new[length] = current, o
            hold[group[o]] = o
            free[group[o]] = False
            length += 1
            if gain > top:
                top, best_length = gain, length
            over = _worst(used, amount, weight)
            if over < 0 and total > best:
                best = total
                best_hold[:] = hold
            if length > moves or (over < 0 and gain >= 0.0):
                break
            relieved = -1 if over < 0 or signed[over] else over  # a floor is met by those who do not use it yet
            o, more = _next_move(bounds, kind, value, ptr, lim, use, amount, hold, used, free, weight, relieved, plain)
            if o < 0 or (over < 0 and more <= 0.0):
                break
        if top < allowed:
            best_length = 0
        for i in range(length):
            free[group[new[i]]] = True
        for i in range(length - 1, best_length - 1, -1):
            _put(kind[new[i]], -1, ptr, lim, use, used, amount, weight)
            _put(kind[old[i]], 1, ptr, lim, use, used, amount, weight)
            hold[group[old[i]]] = old[i]
        for i in range(best_length):
            now += value[new[i]] - value[old[i]]
    return best, heat, seed


def search_chains(
    problem: Problem,
    prices: Ints,
    options: Options,
    room: Ints,
    *,
    feasible: bool,
    enough: int,
    cooling: Cooling,
    seconds: float,
    seed: int,
) -> Ints | None:
    """The option of each group in the best plan found, int64 [groups]; None where none is better than the one held.

    Args:
        problem, prices: the problem, and the prices (pico-yuan, at-most form) that penalties do not fall below.
        options: what may be chosen; ``options.start`` is the plan to begin with.
        room: amounts less what everybody else uses, int64 [M].
        feasible: whether that plan keeps every limit.
        enough: a value of the options that is good enough, micro-yuan.
        cooling: how the search is led.
        seconds: no slice of it begins after so long; infinite: no clock is looked at.
        seed: of the random numbers, at least 1.
    """
    kinds, hold = problem.kinds, options.start.copy()
    groups = len(hold)
    bounds = np.append(np.searchsorted(options.group, np.arange(groups)), len(options.group))
    counts = np.bincount(options.kind[hold][options.kind[hold] >= 0], minlength=len(kinds))
    used = np.array(kinds.sum_uses(counts, len(room)), np.int64)
    floor = ABOVE * np.maximum(prices * 1e-6, LEAST * float(np.abs(options.value).max(initial=0)) / problem.scale)
    lossy = options.loss[options.loss > 0]
    mean = float(lossy.mean()) * 1e-6 if len(lossy) else 1.0
    best = int(options.value[hold].sum()) if feasible else -(1 << 62)
    began, best_hold, weight = best, hold.copy(), floor.copy()
    choice = (bounds, options.group, options.kind, options.value)
    signed = np.zeros(len(room), np.bool_)
    signed[kinds.limit[kinds.use < 0]] = True
    heat, state = cooling.hot * mean, np.uint64(seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    chains = cooling.chains * max(100, groups)
    factor = (cooling.cold / cooling.hot) ** (BEAT / chains)
    share = min(0.5, cooling.broken / len(room))  # of its time that a limit is exceeded, once rises and falls balance
    fall = cooling.rise ** (-share / (1.0 - share))
    end = time.perf_counter() + seconds
    for done in range(0, chains, SLICE):
        if best >= enough or time.perf_counter() >= end:
            break
        best, heat, state = _search(
            choice,
            (kinds.first, kinds.limit, kinds.use, signed),
            room,
            (hold, used, np.ones(groups, np.bool_)),
            best_hold,
            weight,
            floor,
            best,
            heat,
            (factor, cooling.rise, fall),
            min(SLICE, chains - done),
            cooling.moves,
            np.uint64(state),
        )
    return best_hold if best > began else None
