"""Limits that no plan can keep: an irreducible set of them, proved by a ray or by a look at all plans.

A ray is prices p >= 0 with sum p b + sum over customers of max(0, max -p use) < 0 (no 0 where everybody must take
an arc): multiplied by any factor it is a bound below any value. Whoever proposes it, an LP or Newton, it counts only
where exact integers say so. Where no ray exists because only whole customers count, all plans are looked at, as far as
they are few enough; else nothing is said. docs/developer/assignment.md, "Conflicts".
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import Ints
from models.assignment.complete_search import search_all
from models.assignment.dual import StoppingRule, descend
from models.assignment.dual_evaluation import Dual, Local, evaluate
from models.assignment.feasibility_lp import NOTHING, choose_arcs, find_patterns, least_excess
from models.assignment.impossible_arcs import drop_impossible
from models.assignment.problem import LARGEST, Block, Limits, Problem
from models.assignment.repair import sum_uses
from models.money import YUAN

#: Limits that are looked at together grow so many times by those that the LP's plan breaks.
ROUNDS = 12
#: Arcs up to which all plans are looked at.
FEW = 5_000


@dataclass(frozen=True)
class Ray:
    """Prices (pico-yuan a unit, at-most form) that prove a conflict, and how far below zero they get."""

    prices: Ints
    deficit: int


class Infeasible(Exception):  # noqa: N818 - it is what happens
    """No plan keeps these limits together.

    Attributes:
        names: an irreducible set: without any one of them the others can be kept.
        ray: the proof; None where all plans were looked at, because only whole plans are impossible.
    """

    def __init__(self, names: tuple[str, ...], ray: Ray | None) -> None:
        super().__init__(", ".join(names))
        self.names, self.ray = names, ray


def refuse_by_ray(problem: Problem, suspects: Sequence[int], seconds: float = np.inf) -> None:
    """Refuse limits that cannot be kept together even by parts of customers, looking at ``suspects`` first.

    Raises:
        Infeasible: with the ray. Where there is none nothing is shown.
    """
    zero = replace(problem, blocks=[_worthless(block) for block in problem.blocks], most=0)
    ray = _grow(zero, suspects, seconds)
    if ray is None:
        return
    places = [int(m) for m in np.flatnonzero(ray.prices)]
    for m in list(places):
        rest = [x for x in places if x != m]
        smaller = _ray_of(zero, rest) if rest or problem.exactly_one else None
        if smaller is not None:
            places, ray = [int(x) for x in np.flatnonzero(smaller.prices)], smaller
    if problem.arcs <= FEW:  # whole customers may leave even less
        for m in list(places):
            rest = [x for x in places if x != m]
            without = search_all(problem, rest)
            if without.complete and without.arcs is None:
                places, ray = rest, None
    raise Infeasible(tuple(problem.limits.names[m] for m in places), ray)


def refuse_by_descent(problem: Problem) -> None:
    """The same where customers are too many and too different for an LP: Newton on the dual of a problem without values.

    Raises:
        Infeasible: with the ray.
    """
    zero = replace(problem, blocks=[_worthless(block) for block in problem.blocks], most=0)
    ray = _descend(zero)
    if ray is None:
        return
    places = [m for m in range(len(problem.limits)) if ray.prices[m] > 0]
    for m in list(places):
        rest = [x for x in places if x != m]
        smaller = _descend(_only(zero, rest)) if rest or problem.exactly_one else None
        if smaller is not None:
            places, ray = rest, Ray(_spread(smaller.prices, rest, len(problem.limits)), smaller.deficit)
    raise Infeasible(tuple(problem.limits.names[m] for m in places), ray)


def refuse_by_search(problem: Problem, end: float = np.inf) -> list[Ints] | None:
    """The best of all plans of a small problem; None where they are too many to look at.

    Raises:
        Infeasible: there is none; names an irreducible set.
    """
    if problem.arcs > FEW:
        return None
    everything = search_all(problem, None, end)
    if not everything.complete or everything.arcs is not None:
        return everything.arcs
    places = list(range(len(problem.limits)))
    for m in list(places):
        rest = [x for x in places if x != m]
        without = search_all(problem, rest, end)
        if without.complete and without.arcs is None:
            places = rest
    raise Infeasible(tuple(problem.limits.names[m] for m in places), None)


def name_droppers(problem: Problem, error: Infeasible, end: float = np.inf) -> Infeasible:
    """A conflict of the arcs that a plan can hold, told of all: with the limits that took the others out, if needed.

    A plan that keeps the limits which took arcs out, and those of the conflict, would be one of the arcs that are left.

    Args:
        problem: with all arcs.
        error: what is so of ``drop_impossible(problem)``.
        end: when to stop looking at all plans, by ``time.perf_counter``.

    Returns:
        The conflict as it stands where its ray holds over all arcs; an irreducible one, without a ray, where all plans
        can be looked at; else its limits and those that took arcs out, as far as its ray does not hold without them.
    """
    zero = replace(problem, blocks=[_worthless(block) for block in problem.blocks], most=0)
    ray = error.ray
    if ray is not None and _exact(zero, ray.prices) is not None:
        return error
    try:
        refuse_by_search(problem, end)
    except Infeasible as irreducible:
        return irreducible
    possible = drop_impossible(problem)
    droppers = list(possible.limits) if possible is not None else []
    for m in list(droppers):
        rest = [x for x in droppers if x != m]
        smaller = drop_impossible(zero, rest)
        if ray is not None and smaller is not None and _exact(smaller.problem, ray.prices) is not None:
            droppers = rest
    places = {problem.limits.names.index(name) for name in error.names} | set(droppers)
    return Infeasible(tuple(problem.limits.names[m] for m in sorted(places)), None)


def _worthless(block: Block) -> Block:
    return replace(block, value=np.zeros_like(block.value))


def _grow(zero: Problem, suspects: Sequence[int], seconds: float) -> Ray | None:
    """A ray over some limits: ``suspects``, and those that are broken by a plan which keeps the ones looked at."""
    places = sorted({int(m) for m in suspects})
    weight = 1.0 / np.maximum(np.abs(zero.limits.amount), zero.scale)
    end = time.perf_counter() + seconds
    for _ in range(ROUNDS):
        left = end - time.perf_counter()
        patterns = None if left <= 0 else find_patterns(zero, places)
        optimum = None if patterns is None else least_excess(zero, patterns, left)
        if patterns is None or optimum is None:
            return None
        if optimum.cost > NOTHING:
            return _make_whole(zero, places, optimum.prices)
        used = sum_uses(zero, choose_arcs(zero, patterns, optimum, weight))
        over = {m for m, use in enumerate(used) if use > int(zero.limits.amount[m])} - set(places)
        if not over:
            return None
        places = sorted({*places, *over})
    return None


def _ray_of(zero: Problem, places: list[int]) -> Ray | None:
    """A ray over these limits alone."""
    patterns = find_patterns(zero, places)
    optimum = None if patterns is None else least_excess(zero, patterns)
    if optimum is None or optimum.cost <= NOTHING:
        return None
    return _make_whole(zero, places, optimum.prices)


def _make_whole(zero: Problem, places: Sequence[int], scaled: np.ndarray) -> Ray | None:
    """The prices as integers, as fine as 62 bits allow, if they prove what they shall in exact integers."""
    prices = np.zeros(len(zero.limits), np.int64)
    finest = (LARGEST >> 1) / max(1.0, float(scaled.sum()))
    for factor in (float(YUAN), finest):
        prices[list(places)] = np.rint(scaled * factor / zero.scale[list(places)])
        ray = _exact(zero, prices.copy())
        if ray is not None:
            return ray
    return None


def _descend(zero: Problem) -> Ray | None:
    """A ray of the value-free problem: its dual goes below zero, found by Newton within prices of a yuan."""

    def below(dual: Dual) -> bool:
        return dual.bound < 0

    floors = (zero.limits.amount < 0).astype(np.int64)
    for first in (np.zeros(len(zero.limits), np.int64), np.rint(floors * 0.01 * YUAN / zero.scale).astype(np.int64)):
        aim = StoppingRule(passes=300, gain=1e-9, width=0.05 * YUAN, least=1e-5 * YUAN, radius=0.1, until=below)
        descent = descend(zero, Local(zero), first, aim)
        if descent.best.bound < 0:
            return _exact(zero, descent.best.prices)
    return None


def _exact(zero: Problem, prices: Ints) -> Ray | None:
    """The ray, if its exact deficit (micro-yuan, rounded against us) is below zero."""
    if not zero.fits(prices):
        return None
    dual = evaluate(zero, Local(zero), prices)
    return Ray(prices, dual.bound) if dual.bound < 0 else None


def _only(problem: Problem, limits: list[int]) -> Problem:
    """The problem with these limits alone."""
    place = np.full(len(problem.limits), -1, np.int64)
    place[limits] = np.arange(len(limits))
    kinds = problem.kinds
    uses = place[kinds.limit] >= 0
    first = np.concatenate(([0], np.cumsum(np.bincount(kinds.rows[uses], minlength=len(kinds)))))
    some = replace(kinds, first=first, limit=place[kinds.limit[uses]], use=kinds.use[uses])
    names = tuple(problem.limits.names[m] for m in limits)
    return replace(
        problem, kinds=some, limits=Limits(names, problem.limits.amount[limits], problem.limits.sign[limits])
    )


def _spread(prices: Ints, limits: list[int], count: int) -> Ints:
    full = np.zeros(count, np.int64)
    full[limits] = prices
    return full
