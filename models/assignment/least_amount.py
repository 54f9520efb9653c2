"""How far a limit must be loosened so that a plan keeps all limits: the nearest feasible amount, the others as declared.

The use of the limit is what is minimised, over customers who are alike to the limits looked at
(`models.assignment.feasibility_lp`); limits that the plan found breaks are looked at too, until it breaks none. The plan
is counted and the LP's prices are checked in exact integers, so that what is told is so: at this amount there is a plan,
below that one there is none. docs/developer/assignment.md, "Conflicts".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import Floats
from models.assignment.dual_evaluation import Local, evaluate
from models.assignment.feasibility_lp import choose_arcs, find_patterns, least_use
from models.assignment.problem import LARGEST, PICO, Problem
from models.assignment.repair import sum_uses

#: Times that limits are added to those that are looked at.
ROUNDS = 24


@dataclass(frozen=True)
class NearestAmount:
    """The nearest amount of a limit at which all limits can be kept, at-most form.

    Attributes:
        amount: a plan uses as much and keeps the others.
        beyond: no plan that keeps the others uses less, in exact integers; equal to ``amount`` where that is proved least.
    """

    amount: int
    beyond: int


def nearest_amount(
    problem: Problem, limit: int, others: Sequence[int], ignored: Sequence[int] = ()
) -> NearestAmount | None:
    """The least use of a limit by a plan that keeps all others; None where no such plan came up.

    Args:
        problem: with the limits in conflict.
        limit: place of the limit whose amount is sought.
        others: places of limits to look at first.
        ignored: places of limits that need not be kept.
    """
    zero = replace(problem, blocks=[replace(b, value=np.zeros_like(b.value)) for b in problem.blocks], most=0)
    places = sorted({limit, *others})
    weight = 1.0 / np.maximum(np.abs(zero.limits.amount), zero.scale)
    for _ in range(ROUNDS):
        patterns = find_patterns(zero, places)
        relaxed = None if patterns is None else least_use(zero, patterns, limit, integer=False)
        if patterns is None or relaxed is None:
            return None
        optimum = relaxed
        if np.abs(relaxed.numbers - np.rint(relaxed.numbers)).max(initial=0.0) > 1e-6:
            integral = least_use(zero, patterns, limit, integer=True)
            if integral is None:
                return None
            optimum = integral
        used = sum_uses(zero, choose_arcs(zero, patterns, optimum, weight))
        over = {m for m, use in enumerate(used) if use > int(zero.limits.amount[m])} - {limit, *ignored}
        if not over:
            return NearestAmount(used[limit], _least_by_prices(zero, places, limit, relaxed.prices))
        if over <= set(places):
            return None
        places = sorted({*places, *over})
    return None


def _least_by_prices(zero: Problem, places: Sequence[int], limit: int, scaled: Floats) -> int:
    """What every plan that keeps the others uses of the limit at least: weak duality, in exact integers.

    At prices p, and p' for the limit itself, p' use >= -(sum p b + sum over customers of max(0, max -p use - p' use)).
    """
    charged = scaled.copy()
    charged[list(places).index(limit)] = 1.0
    factor = (LARGEST >> 1) / max(1.0, float(charged.sum()))
    prices = np.zeros(len(zero.limits), np.int64)
    prices[list(places)] = np.rint(charged * factor / zero.scale[list(places)])
    amount = zero.limits.amount.copy()
    amount[limit] = 0
    free = replace(zero, limits=replace(zero.limits, amount=amount))
    bound = evaluate(free, Local(free), prices).bound
    return -((bound * PICO) // int(prices[limit]))
