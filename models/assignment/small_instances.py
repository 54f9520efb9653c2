"""Better plans for small instances, where whole customers leave a gap that no prices close: chains and MIPs on cores.

A core is the options nearest to the customers' best at the prices, with those held: what a good plan differs by lies
there (Balas and Zemel, Operations Research 28, 1980), and a search that looks elsewhere loses its time. As an LP's
solution is fractional for as many customers as limits bind, a core's size goes by the limits. Cores of several sizes
are searched by ejection chains and given to HiGHS in turn, each from the best plan.
docs/developer/assignment.md, "Small".
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import Ints
from models.assignment.dual_evaluation import Dual
from models.assignment.ejection_chains import Cooling, search_chains
from models.assignment.highs_models import Choice, whole_plan
from models.assignment.problem import LARGEST, PICO, Problem
from models.assignment.repair import Options, Plan, gather, settle_moves, without

#: Up to so many arcs and customers an instance is small.
SMALL = 100_000
#: Options of a core of size 1: so many, and so many more a limit.
LEAST, MORE = 40, 8
#: Options that HiGHS gets through some hundred nodes with in seconds.
MIP_OPTIONS = 300
#: Rounds where no clock bounds the search, and the share of a round's chains that they get.
ROUNDS, SHARE = 4, 0.1


@dataclass(frozen=True)
class Round:
    """A core and how it is searched.

    Attributes:
        size: of the core.
        cooling: of the chains; None where HiGHS is asked.
        nodes: that HiGHS may look at.
    """

    size: float
    cooling: Cooling | None = None
    nodes: int = 0


#: In turn, again and again.
TURNS = (
    Round(0.6, nodes=300),
    Round(1.0, Cooling(1_500, 3, 0.5, 0.02, 1.1, 3.0)),
    Round(0.8, Cooling(1_500, 2, 0.5, 0.02, 1.3, 4.0)),
    Round(1.3, Cooling(1_500, 4, 0.3, 0.05, 1.03, 1.5)),
    Round(0.9, nodes=300),
    Round(0.7, Cooling(1_500, 3, 0.5, 0.02, 1.1, 4.0)),
    Round(1.0, Cooling(1_500, 2, 0.5, 0.02, 1.3, 3.0)),
    Round(2.0, Cooling(1_500, 3, 0.3, 0.02, 1.1, 1.5)),
)


def improve_plan(
    problem: Problem, dual: Dual, plan: Plan, *, gap: float, seconds: float, submips: bool = False
) -> Plan:
    """The best plan found from ``plan``; a clock may end the search where ``seconds`` is finite, and never steers it."""
    end = time.perf_counter() + seconds
    timed = math.isfinite(seconds)
    enough = _enough(problem, dual, gap)
    for number in range(1_000_000 if timed else ROUNDS):
        left, turn = end - time.perf_counter(), TURNS[number % len(TURNS)]
        if left <= 0.1 or (plan.excess == 0 and plan.primal >= enough):
            break
        options, complete = core(problem, dual, plan, int(turn.size * (LEAST + MORE * len(problem.limits))))
        if not len(options.group):
            break
        fixed, used = without(problem, options, plan.arcs)
        room, feasible = problem.limits.amount - used, plan.excess == 0
        hold: Ints | None
        if turn.cooling is None and len(options.group) > MIP_OPTIONS:
            continue
        if turn.cooling is not None:
            cooling = turn.cooling if timed else replace(turn.cooling, chains=int(SHARE * turn.cooling.chains))
            hold = search_chains(
                problem,
                dual.prices,
                options,
                room,
                feasible=feasible,
                enough=enough - fixed,
                cooling=cooling,
                seconds=left,
                seed=number + 1,
            )
            proved = False
        else:
            choice = Choice(options.group, options.kind, options.value, room)
            mip = whole_plan(
                choice,
                problem.kinds,
                problem.scale,
                start=options.start if feasible else None,
                gap=1e-9,
                seconds=left,
                nodes=turn.nodes,
                counted=True,
                submips=submips or timed,
            )
            hold, proved = mip.hold, complete and mip.status == "Optimal"
        if hold is not None:
            other = settle_moves(problem, dual.prices, options, hold, plan.arcs)
            plan = other if (other.excess, -other.primal) < (plan.excess, -plan.primal) else plan
        if proved and plan.excess == 0:
            break
    return plan


def _enough(problem: Problem, dual: Dual, gap: float) -> int:
    """A value that is good enough: within the gap, or such that the next higher one that a plan may have is too high.

    Sums of values are multiples of their common divisor.
    """
    common = int(np.gcd.reduce([int(np.gcd.reduce(np.asarray(block.value))) for block in problem.blocks]))
    within = dual.bound - int(gap * abs(dual.bound))
    return min(within, dual.bound // common * common) if common else within


def core(problem: Problem, dual: Dual, plan: Plan, count: int) -> tuple[Options, bool]:
    """At most about ``count`` options nearest to the best, with those held; and whether all that can matter are.

    With a plan in hand a choice that loses more than bound - primal is in no better plan.
    """
    missing = dual.bound - plan.primal if plan.excess == 0 else 4 * problem.most
    width, complete = min((missing + 1) * PICO, LARGEST - 1), True
    while True:
        options = gather(problem, dual.prices, width, plan.arcs)
        assert options is not None
        if len(options.group) <= count or width < PICO:
            return options, complete
        width, complete = width * 4 // 5, False
