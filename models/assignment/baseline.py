"""What a solver is measured against: arbitrate-then-cap, what next-best-action engines do.

Campaigns with a quota go first: each floor is filled by the customers who score best for it. Then customers come
in some order and each takes its best arc that still fits under every cap. A share cannot be kept that way (what fits
depends on who comes later), so `without_shares` and `caps_only` give problems on which both sides can be compared.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numba import njit

from models.assignment.problem import Ints, Limits, Problem
from models.assignment.sample import hashes


@njit(cache=True, nogil=True)
def _fits(k, ptr, lim, use, used, amount, capped):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Whether every cap has room for an arc of kind ``k``."""
    for y in range(ptr[k], ptr[k + 1]):
        m = lim[y]
        if capped[m] and used[m] + use[y] > amount[m]:
            return False
    return True


@njit(cache=True, nogil=True)
def _book(k, ptr, lim, use, used):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for y in range(ptr[k], ptr[k + 1]):
        used[lim[y]] += use[y]


@njit(cache=True, nogil=True)
def _serving(first, kind, by_value, floor, ptr, lim, chosen, best):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Each customer's best arc that counts towards a floor (-1: none, or something was given already)."""
    for i in range(len(first) - 1):
        best[i] = -1
        x = first[i]
        while chosen[i] < 0 and best[i] < 0 and x < first[i + 1]:
            k = kind[by_value[x]]
            for y in range(ptr[k], ptr[k + 1]):
                if lim[y] == floor:
                    best[i] = by_value[x]
            x += 1


@njit(cache=True, nogil=True)
def _fill(order, best, kind, floor, ptr, lim, use, used, amount, capped, chosen):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Give a floor its contacts, customer by customer, as far as the caps let it."""
    for i in order:
        if used[floor] <= amount[floor]:
            return
        if best[i] >= 0 and _fits(kind[best[i]], ptr, lim, use, used, amount, capped):
            _book(kind[best[i]], ptr, lim, use, used)
            chosen[i] = best[i]


@njit(cache=True, nogil=True)
def _arbitrate(order, first, value, kind, by_value, ptr, lim, use, used, amount, capped, chosen):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Each customer in turn takes its best arc of some value that fits."""
    for i in order:
        x = first[i]
        while chosen[i] < 0 and x < first[i + 1] and value[by_value[x]] > 0:
            if _fits(kind[by_value[x]], ptr, lim, use, used, amount, capped):
                _book(kind[by_value[x]], ptr, lim, use, used)
                chosen[i] = by_value[x]
            x += 1


def arbitrate_then_cap(problem: Problem, order: Literal["score", "arrival"] = "score") -> tuple[int, list[str]]:
    """Value in micro-yuan of the baseline's plan, and the limits that it breaks (shares; floors that found nobody).

    Args:
        problem: customers, arcs and limits.
        order: by best value, or by a hash (as customers happen to come).
    """
    if not problem.blocks:
        return 0, []
    customer = np.concatenate([b.customer for b in problem.blocks])
    first = np.concatenate([[0]] + [np.diff(b.first.astype(np.int64)) for b in problem.blocks]).cumsum()
    value = np.concatenate([b.value for b in problem.blocks]).astype(np.int64)
    kind = np.concatenate(
        [b.kinds_of(np.repeat(np.arange(len(b)), np.diff(b.first)), slice(None)) for b in problem.blocks]
    )
    owner = np.repeat(np.arange(len(customer)), np.diff(first))
    by_value = np.lexsort((np.arange(len(value)), -value, owner))
    arrival: Ints = hashes(customer, 5).view(np.int64)

    def turn(scores: Ints) -> Ints:
        return np.lexsort((customer, -scores if order == "score" else arrival))

    amount, uses = problem.limits.amount, (problem.kinds.first, problem.kinds.limit, problem.kinds.use)
    gives, takes = _signs(problem)
    capped, used, chosen = ~gives, np.zeros(len(amount), np.int64), np.full(len(customer), -1, np.int64)
    best = np.empty(len(customer), np.int64)
    for floor in np.flatnonzero(gives & ~takes & (amount < 0)):
        _serving(first, kind, by_value, floor, *uses[:2], chosen, best)
        _fill(turn(value[best]), best, kind, floor, *uses, used, amount, capped, chosen)
    _arbitrate(turn(value[by_value[first[:-1]]]), first, value, kind, by_value, *uses, used, amount, capped, chosen)
    broken = [n for n, u, b in zip(problem.limits.names, used, amount, strict=True) if u > b]
    return int(value[chosen[chosen >= 0]].sum()), broken


def _signs(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Limits that some arc gives to, and limits that some arc takes from, in the at-most form; shares are both."""
    gives, takes = np.zeros(len(problem.limits), bool), np.zeros(len(problem.limits), bool)
    gives[problem.kinds.limit[problem.kinds.use < 0]] = True
    takes[problem.kinds.limit[problem.kinds.use > 0]] = True
    return gives, takes


def without_shares(problem: Problem) -> Problem:
    """The problem with its caps and floors alone."""
    gives, takes = _signs(problem)
    return _loose(problem, gives & takes)


def caps_only(problem: Problem) -> Problem:
    """The problem with its caps alone: only what the operation can carry stands in the way."""
    return _loose(problem, _signs(problem)[0])


def _loose(problem: Problem, which: np.ndarray) -> Problem:
    """The problem with such amounts of some limits that everybody together cannot break them."""
    limits = problem.limits
    most = problem.customers * problem.scale.astype(np.int64)
    return replace(problem, limits=Limits(limits.names, np.where(which, most, limits.amount), limits.sign))
