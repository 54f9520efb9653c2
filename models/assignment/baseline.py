"""What a solver is measured against: arbitrate-then-cap, what next-best-action engines do, and greedy choice.

Campaigns with a quota go first: each floor is filled by the customers who score best for it. Then customers come
in some order and each takes its best arc that still fits under every cap. A share cannot be kept that way (what fits
depends on who comes later), so `without_shares` and `caps_only` give problems on which both sides can be compared.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numba import njit

from models.arrays import Flags, Ints
from models.assignment.kernels import KindUses
from models.assignment.problem import Limits, Problem
from models.hashing import hashes


class PlanState(NamedTuple):
    """Uses so far, amounts and which limits are caps, [M]; each customer's arc, -1 for none, int64 [n]."""

    used: Ints
    amount: Ints
    capped: Flags
    chosen: Ints


@njit(cache=True, nogil=True)
def _fits(k, uses, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Whether every cap has room for an arc of kind ``k``."""
    for y in range(uses.ptr[k], uses.ptr[k + 1]):
        m = uses.limit[y]
        if state.capped[m] and state.used[m] + uses.use[y] > state.amount[m]:
            return False
    return True


@njit(cache=True, nogil=True)
def _book(k, uses, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for y in range(uses.ptr[k], uses.ptr[k + 1]):
        state.used[uses.limit[y]] += uses.use[y]


@njit(cache=True, nogil=True)
def _find_floor_arcs(first, kind, by_value, floor, ptr, lim, chosen, best):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
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
def _fill(order, best, kind, floor, uses, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Give a floor its contacts, customer by customer, as far as the caps let it."""
    for i in order:
        if state.used[floor] <= state.amount[floor]:
            return
        if best[i] >= 0 and _fits(kind[best[i]], uses, state):
            _book(kind[best[i]], uses, state)
            state.chosen[i] = best[i]


@njit(cache=True, nogil=True)
def _arbitrate(order, first, value, kind, by_value, uses, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Each customer in turn takes its best arc of some value that fits."""
    for i in order:
        x = first[i]
        while state.chosen[i] < 0 and x < first[i + 1] and value[by_value[x]] > 0:
            if _fits(kind[by_value[x]], uses, state):
                _book(kind[by_value[x]], uses, state)
                state.chosen[i] = by_value[x]
            x += 1


@njit(cache=True, nogil=True)
def _take(order, owner, kind, uses, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Arcs in turn: one is taken where its customer has none and every cap has room."""
    for a in order:
        if state.chosen[owner[a]] < 0 and _fits(kind[a], uses, state):
            _book(kind[a], uses, state)
            state.chosen[owner[a]] = a


class Baseline:
    """All customers and arcs of a problem in one piece, and a plan that grows on it.

    Attributes:
        customer: ids, int64 [n].
        kind: of every arc, blocks in a row.
        chosen: each customer's arc (a position in ``kind``), -1 for none, int64 [n].
    """

    def __init__(self, problem: Problem, order: Literal["score", "arrival"]) -> None:
        self.problem, self.order = problem, order
        self.customer = np.concatenate([b.customer for b in problem.blocks])
        self.first = np.concatenate([[0]] + [np.diff(b.first.astype(np.int64)) for b in problem.blocks]).cumsum()
        self.value = np.concatenate([b.value for b in problem.blocks]).astype(np.int64)
        self.kind = np.concatenate(
            [b.kinds_of(np.repeat(np.arange(len(b)), np.diff(b.first)), slice(None)) for b in problem.blocks]
        )
        self.owner = np.repeat(np.arange(len(self.customer)), np.diff(self.first))
        self.by_value = np.lexsort((np.arange(len(self.value)), -self.value, self.owner))
        self.uses = KindUses(problem.kinds.first, problem.kinds.limit, problem.kinds.use)
        gives, takes = _signs(problem)
        self.floors = gives & ~takes & (problem.limits.amount < 0)
        self.capped = ~gives
        self.used = np.zeros(len(problem.limits), np.int64)
        self.chosen = np.full(len(self.customer), -1, np.int64)

    @property
    def state(self) -> PlanState:
        """The plan as it stands."""
        return PlanState(self.used, self.problem.limits.amount, self.capped, self.chosen)

    def turn(self, scores: Ints) -> Ints:
        """The order in which customers come."""
        arrival: Ints = hashes(self.customer, 5).view(np.int64)
        return np.lexsort((self.customer, -scores if self.order == "score" else arrival))

    def fill_floors(self) -> None:
        """Campaigns with a quota first."""
        best = np.empty(len(self.customer), np.int64)
        for floor in np.flatnonzero(self.floors):
            _find_floor_arcs(self.first, self.kind, self.by_value, floor, *self.uses[:2], self.chosen, best)
            _fill(self.turn(self.value[best]), best, self.kind, floor, self.uses, self.state)

    def report(self) -> tuple[int, list[str]]:
        """Value in micro-yuan, and the limits that the plan breaks."""
        limits = self.problem.limits
        broken = [n for n, u, b in zip(limits.names, self.used, limits.amount, strict=True) if u > b]
        return int(self.value[self.chosen[self.chosen >= 0]].sum()), broken


def arbitrate_then_cap(problem: Problem, order: Literal["score", "arrival"] = "score") -> tuple[int, list[str]]:
    """Value in micro-yuan of the baseline's plan, and the limits that it breaks (shares; floors that found nobody).

    Args:
        problem: customers, arcs and limits.
        order: by best value, or by a hash (as customers happen to come).
    """
    return arbitrate(problem, order).report() if problem.blocks else (0, [])


def arbitrate(problem: Problem, order: Literal["score", "arrival"] = "score") -> Baseline:
    """The baseline's plan for a problem with customers; arguments as above."""
    field = Baseline(problem, order)
    field.fill_floors()
    turn = field.turn(field.value[field.by_value[field.first[:-1]]])
    _arbitrate(turn, field.first, field.value, field.kind, field.by_value, field.uses, field.state)
    return field


def greedy(problem: Problem, by: Literal["value", "density"] = "value") -> tuple[int, list[str]]:
    """As above, of arcs instead of customers: the best arc of all that still fits, again and again.

    Args:
        problem: customers, arcs and limits.
        by: value, or value over the share of the capacities that the arc uses up (Toyoda 1975, with full amounts).
    """
    if not problem.blocks:
        return 0, []
    field = Baseline(problem, "score")
    field.fill_floors()
    score = field.value.astype(np.float64)
    if by == "density":
        amount = np.maximum(problem.limits.amount, 1).astype(np.float64)
        kinds = problem.kinds
        parts = np.where(field.capped[kinds.limit], np.maximum(kinds.use, 0) / amount[kinds.limit], 0.0)
        score /= 1e-12 + np.bincount(kinds.rows, parts, len(kinds))[field.kind]
    worth = np.flatnonzero(field.value > 0)
    order = worth[np.lexsort((hashes(worth, 6), -score[worth]))]
    _take(order, field.owner, field.kind, field.uses, field.state)
    return field.report()


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


def without(problem: Problem, names: Collection[str]) -> Problem:
    """The problem with these limits open."""
    return _loose(problem, np.isin(problem.limits.names, list(names)))


def _loose(problem: Problem, which: np.ndarray) -> Problem:
    """The problem with such amounts of some limits that everybody together cannot break them."""
    limits = problem.limits
    most = problem.customers * problem.scale.astype(np.int64)
    return replace(problem, limits=Limits(limits.names, np.where(which, most, limits.amount), limits.sign))
