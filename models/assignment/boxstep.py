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

from models.arrays import Floats, Ints
from models.assignment.dual_evaluation import Dual, Engine, best_arcs, evaluate
from models.assignment.highs_models import Choice, build_boxed_lp
from models.assignment.problem import LARGEST, PICO, Problem
from models.assignment.repair import Options, Plan, gather, settle_moves, without
from models.money import YUAN

#: Options that an LP takes at most, and instances that are taken whole.
MOST, SMALL = 30_000, 200_000
#: Width of the choices looked at, over the size of the box: changes of several prices seldom add up in one arc.
REACH = 4.0
ROUNDS = 10
#: Micro-yuan a customer that rounding may leave between a bound and the LP's value.
ROUNDING = 0.5


@dataclass(frozen=True)
class Boxed:
    """What the boxes led to.

    Attributes:
        dual: the best prices.
        plan: mended from the last LP's solution; None where no LP was solved.
        passes: passes of the dual made.
        optimal: the LP promised no lower bound.
    """

    dual: Dual
    plan: Plan | None
    passes: int
    optimal: bool


def boxes(problem: Problem, engine: Engine, dual: Dual, width: int, seconds: float, gap: float) -> Boxed:
    """Minimise the dual within boxes around the best prices, larger ones while that helps.

    Args:
        problem: the problem.
        engine: makes the passes.
        dual: where to start.
        width: of the first choices looked at, pico-yuan.
        seconds: no LP begins or goes on after so long; infinite: no clock is looked at.
        gap: (bound - primal) / |bound| that is good enough.
    """
    end = time.perf_counter() + seconds
    passes, cap, plan = 0, LARGEST - 1, None
    small = problem.arcs + problem.customers <= SMALL  # one LP over everything, in a box of the largest value
    width = min(int(REACH) * PICO * (problem.most + 1), cap) if small else width
    best = best_arcs(problem, dual.prices)
    for _ in range(ROUNDS):
        options = gather(problem, dual.prices, width, best, SMALL if small else MOST)
        while options is None:
            width = cap = width // 2
            options = gather(problem, dual.prices, width, best, MOST)
        left = end - time.perf_counter()
        if not len(options.group) or left <= 0:
            break
        fixed, used = without(problem, options, best)
        choice = Choice(options.group, options.kind, options.value, problem.limits.amount - used)
        now, size = dual.prices * (problem.scale / YUAN), width / YUAN / REACH
        relaxed = build_boxed_lp(choice, problem.kinds, problem.scale, np.maximum(now - size, 0.0), now + size, left)
        if relaxed is None:
            break
        value, enough = fixed + relaxed.value, _enough(problem, dual)
        prices = problem.round_prices(np.minimum(relaxed.prices * (YUAN / problem.scale), float(LARGEST)))
        there = dual
        leans = relaxed.over > 1e-6 or relaxed.loose > enough  # the LP would go on beyond the box
        worth = dual.bound - value > max(enough, 0.1 * gap * abs(dual.bound))
        if (worth or leans) and problem.fits(prices):
            there = evaluate(problem, engine, prices)
            passes += 1
        lower = there if there.bound < dual.bound else dual
        other = settle_moves(problem, lower.prices, options, _largest(options, relaxed.share), best)
        plan = other if plan is None or _better(other, plan) else plan
        optimal = lower.bound - value <= enough
        done = plan.excess == 0 and lower.bound - plan.primal <= gap * abs(lower.bound)
        moved, dual = lower is not dual, lower
        if done or (optimal and not leans) or (width >= cap and not moved):
            return Boxed(dual, plan, passes, optimal)
        if moved:
            best = best_arcs(problem, dual.prices)
        width = min(width * 4, cap) if leans or moved or optimal else width // 4
    return Boxed(dual, plan, passes, False)


def _better(plan: Plan, other: Plan) -> bool:
    return (plan.excess, -plan.primal) < (other.excess, -other.primal)


def _enough(problem: Problem, dual: Dual) -> float:
    """How far the LP's value may be below an optimal bound, micro-yuan: for the roundings up of customers' parts."""
    exact = bool(((problem.grid > 1) | (dual.prices == 0)).all())
    return 1e-7 * abs(dual.bound) + (0.0 if exact else ROUNDING * problem.everybody)


def _largest(options: Options, share: Floats) -> Ints:
    """Each customer's option with the largest share in the LP; ties by rank."""
    order = np.lexsort((options.rank, -share, options.group))
    return order[np.searchsorted(options.group[order], np.arange(len(options.start)))]
