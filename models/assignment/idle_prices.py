"""Prices of limits that are not scarce: a limit that the plan leaves unused charges nothing, where the proof allows.

At the optimum of the dual a limit with slack has price 0 (complementary slackness). A solve ends before that, once its
gap is proved, and a warm start brings prices of a night on which the limit was scarce: what is left of them is noise,
and whoever reads it takes it for a price.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.arrays import Ints
from models.assignment.dual_evaluation import Dual, Engine, evaluate
from models.assignment.problem import Problem
from models.assignment.repair import Plan

#: Passes at most.
TRIES = 16
#: By how much of the gap aimed at the bound may rise.
SHARE = 0.1


def find_idle(problem: Problem, prices: Ints, plan: Plan) -> list[int]:
    """Limits that charge something though the plan leaves room for any one arc more, or though no plan can break them."""
    idle = []
    for m, (price, used) in enumerate(zip(prices.tolist(), plan.used, strict=True)):
        room = int(problem.limits.amount[m]) - int(used)
        if price > 0 and room >= 0 and room >= int(problem.most_used[m]):
            idle.append(m)
    return idle


def drop_idle_prices(problem: Problem, engine: Engine, dual: Dual, plan: Plan, gap: float) -> Dual:
    """The dual at prices of which those of idle limits are 0, as many of them as the proof allows.

    All are tried at once, then halves: what raises the bound by more than a tenth of the gap aimed at stays. The plan is
    proved as well as before; for customers apart prices keep to their box.

    Args:
        problem: the problem.
        engine: makes the passes.
        dual: final prices.
        plan: the plan found.
        gap: aimed at.
    """
    if plan.excess > 0:
        return dual
    most = dual.bound + int(SHARE * gap * max(1, abs(dual.bound)))
    if dual.bound - plan.primal <= gap * abs(dual.bound):  # a gap that was met stays met
        most = min(most, max(dual.bound, plan.primal + int(gap * abs(dual.bound))))
    parts: list[Sequence[int]] = [find_idle(problem, dual.prices, plan)]
    for _ in range(TRIES):
        if not parts:
            break
        part = parts.pop(0)
        if not part:
            continue
        prices = dual.prices.copy()
        prices[list(part)] = 0
        there = evaluate(problem, engine, prices) if _may_be(problem, prices) else None
        if there is not None and there.bound <= most:
            dual = there
        elif len(part) > 1:
            middle = len(part) // 2
            parts += [part[:middle], part[middle:]]
    return dual


def _may_be(problem: Problem, prices: Ints) -> bool:
    """Whether the sums over customers apart hold at these prices."""
    return problem.apart is None or problem.apart.within(prices)
