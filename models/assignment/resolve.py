"""The same problem under other limits, looking only at those who may change their mind.

The bound found is everybody's and holds as it is, for prices keep to the box. Where the gap is missed, because the box
was too small or the plan wants a MIP, everybody has to be looked at. docs/developer/assignment.md, "Active set".
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from models.assignment.active_set import FEW, Active
from models.assignment.dual import StoppingRule, descend
from models.assignment.dual_evaluation import Dual, Local, evaluate
from models.assignment.idle_prices import drop_idle_prices
from models.assignment.problem import Problem
from models.assignment.sample import scale_problem
from models.assignment.solve import Run, Solution, SolveOptions, plan_near
from models.money import YUAN

#: Active customers, over those of the sample, from which on prices are sought on the sample first.
MANY = 5
#: Customers that take part in classes of moves: at least, one in so many, and shares of that which are tried in turn.
MOVERS, SHARE, TRIES = 7_000, 143, (1.0, 1.6, 0.5)
#: Buckets of loss that classes of moves are put in, and times their customers are doubled.
BUCKETS, ROUNDS = 8, 2


def solve_again(problem: Problem, active: Active, goal: SolveOptions) -> Solution | Dual:
    """The best plan found and the bound that proves it, of everybody; the prices alone where the gap is missed.

    Args:
        problem: the problem that ``active`` is of, with other amounts; its blocks are not looked at.
        active: who may change their mind.
        goal: as for ``solve``; the start is the better one of its prices and the middle of the box.
    """
    part = active.part(problem)
    run = Run(part, goal, Local(part), steps=[f"active set of {active.customers:,}", "newton"])
    starts = (
        [active.middle] if goal.start is None else [part.round_prices(goal.start.astype(np.float64)), active.middle]
    )
    few = scale_problem(part, active.few) if active.customers > FEW else part
    start = min((evaluate(few, Local(few), prices) for prices in starts), key=lambda dual: dual.bound).prices
    root = max(part.everybody, 100) ** -0.5
    aim = StoppingRule(
        passes=goal.passes,
        gain=max(1e-8, 0.01 * goal.gap * min(1.0, 1e6 * root**2)),
        width=min(0.5, 1.5 * root) * YUAN,
        least=0.2 * root * YUAN,
        radius=0.2,
        once=True,
    )
    if active.customers > MANY * FEW:
        start = part.round_prices(
            descend(few, Local(few), start, replace(aim, passes=30)).best.prices.astype(np.float64)
        )
    descent = descend(part, run.engine, start, aim)
    movers = max(MOVERS, part.everybody // SHARE)
    # a dear arc more or less in the budget may decide, and that is chance; at a side of the box it is the side
    for share in TRIES[:1] if active.leans(descent.best.prices) else TRIES:
        plan = plan_near(run, descent.best, round(share * movers), ROUNDS, BUCKETS)
        if run.enough(descent.best, plan):
            break
    else:
        return descent.best
    dual = drop_idle_prices(part, run.engine, descent.best, plan, goal.gap)
    method, took = " + ".join(run.steps), time.perf_counter() - run.began
    return Solution(replace(plan, arcs=active.complete(plan.arcs)), dual, method, descent.passes, took)
