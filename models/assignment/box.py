"""The dual minimised exactly within a box of prices, by the LP over the choices that can win there.

Marsten, Hogan and Blankenship, "The boxstep method for large-scale optimization", Operations Research 23 (1975).
Within |p - p'| <= d only choices near a customer's best can become best, so the LP over those is the dual's whole
LP there: limit m may be exceeded at the price p_m + d, and left unused for p_m - d, a unit. Where the LP promises
no lower bound than the prices have, they are optimal, for the dual is convex. docs/developer/assignment.md, "Box".
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from models.assignment.exact import Choice, boxed
from models.assignment.passes import Dual, Engine, choices, evaluate
from models.assignment.problem import LARGEST, PICO, Floats, Ints, Problem
from models.assignment.repair import Options, gather, others, used_by, value_of

YUAN = 1e12  # pico-yuan
#: Options that the LP takes at most; with more the box is made smaller.
MOST = 150_000
#: Width of the choices looked at, over the size of the box: changes of several prices seldom add up in one arc.
REACH = 4.0
ROUNDS = 16


@dataclass(frozen=True)
class Boxed:
    """What the boxes led to.

    Attributes:
        dual: the best prices.
        lead: each block's arcs by the last LP's solution, whole parts first; nearly keeps the limits.
        passes: passes of the dual made.
        optimal: the LP promised no lower bound.
    """

    dual: Dual
    lead: list[Ints]
    passes: int
    optimal: bool


def boxes(problem: Problem, engine: Engine, dual: Dual, width: int, seconds: float) -> Boxed:
    """Minimise the dual within boxes around the best prices, larger ones while that helps.

    Args:
        problem: the problem.
        engine: makes the passes.
        dual: where to start.
        width: of the first choices looked at, pico-yuan.
        seconds: no LP begins or goes on after so long; infinite: no clock is looked at.
    """
    end = time.perf_counter() + seconds
    lead: list[Ints] = []
    passes = 0
    if problem.arcs + problem.customers <= MOST:  # one LP over everything, in a box of the largest value
        width = min(int(REACH) * PICO * (problem.most + 1), LARGEST - 1)
    for _ in range(ROUNDS):
        best = [arc for arc, _, _ in choices(problem, dual.prices)]
        options = gather(problem, dual.prices, width, best)
        while len(options.group) > MOST:
            width //= 2
            options = gather(problem, dual.prices, width, best)
        left = end - time.perf_counter()
        if not len(options.group) or left <= 0:
            break
        rest = others(options, best)
        amount = problem.limits.amount - np.array(used_by(problem, rest), np.int64)
        choice = Choice(options.group, options.kind, options.value, amount)
        now = dual.prices * (problem.scale / YUAN)
        size = width / YUAN / REACH
        found = boxed(choice, problem.kinds, problem.scale, np.maximum(now - size, 0.0), now + size, left)
        if found is None:
            break
        value = value_of(problem, rest) + found.value
        lead = _lead(options, found.share, rest)
        enough = 1e-9 * abs(dual.bound) + problem.customers  # every customer's part of a bound is rounded up
        if dual.bound - value <= enough:
            return Boxed(dual, lead, passes, True)
        prices = np.rint(found.prices * (YUAN / problem.scale))
        if not (prices < float(LARGEST)).all() or not problem.fits(prices.astype(np.int64)):
            width //= 4
            continue
        there = evaluate(problem, engine, prices.astype(np.int64))
        passes += 1
        inside = bool((np.abs(found.prices - now) < 0.999 * size).all())
        if there.bound >= dual.bound:
            width //= 4
            continue
        dual = there
        if inside and there.bound - value <= enough:
            return Boxed(dual, lead, passes, True)
        width = width if inside else min(width * 4, LARGEST - 1)
    return Boxed(dual, lead, passes, False)


def _lead(options: Options, share: Floats, rest: list[Ints]) -> list[Ints]:
    """Each customer's choice with the largest share in the LP; ties by rank."""
    order = np.lexsort((options.rank, -share, options.group))
    first = order[np.searchsorted(options.group[order], np.arange(len(options.start)))]
    arcs = [arc.copy() for arc in rest]
    for number in range(len(arcs)):
        mine = first[options.block[first] == number]
        arcs[number][options.place[mine]] = options.arc[mine]
    return arcs
