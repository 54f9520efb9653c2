"""Better plans for small instances, where whole customers leave a gap that no prices close: annealing and MIPs on cores.

A core is the options nearest to the customers' best at the prices, one and a half to six a customer, with those held:
what a good plan differs by lies there (Balas and Zemel, Operations Research 28, 1980), and a search that looks
elsewhere loses its time. Cores of several sizes are annealed and given to HiGHS in turn, each from the best plan.
docs/developer/assignment.md, "Small".
"""

from __future__ import annotations

import time

import numpy as np

from models.assignment.anneal import annealed
from models.assignment.exact import Choice, whole_plan
from models.assignment.passes import Dual
from models.assignment.problem import PICO, Ints, Problem
from models.assignment.repair import Options, Plan, gather, settled, without

#: Options a customer of the cores, in turn: annealed ones and those that HiGHS is given.
CORES = (1.5, 3.0, 1.25, 2.0, 2.0, 1.5, 3.0, 6.0)
LEAST = 80
#: Up to so many arcs and customers an instance is small.
SMALL = 100_000
#: Where no clock bounds the search: rounds, coolings a round, nodes of a MIP.
ROUNDS, COOLINGS, NODES = 4, 3, 100
#: Seconds that one round may take where a clock does.
TURN = 6.0


def improved(problem: Problem, dual: Dual, plan: Plan, *, gap: float, seconds: float) -> Plan:
    """The best plan found from ``plan``; the clock is looked at only where ``seconds`` is finite."""
    end = time.perf_counter() + seconds
    rounds = ROUNDS if not np.isfinite(seconds) else 1_000_000
    for number in range(rounds):
        left = end - time.perf_counter()
        enough = dual.bound - int(gap * abs(dual.bound))
        if left <= 0.1 or (plan.excess == 0 and plan.primal >= enough):
            break
        count = max(LEAST, int(CORES[number % len(CORES)] * problem.customers))
        options = core(problem, dual.prices, plan.arcs, count)
        if not len(options.group):
            break
        fixed, used = without(problem, options, plan.arcs)
        room, feasible = problem.limits.amount - used, plan.excess == 0
        turn = min(left, TURN) if np.isfinite(seconds) else seconds
        hold: Ints | None
        if number % 2 == 0:
            hold = annealed(
                problem, dual.prices, options, room, feasible=feasible, enough=enough - fixed, coolings=COOLINGS if rounds == ROUNDS else rounds,
                seconds=turn, seed=number + 1,
            )  # fmt: skip
        else:
            choice = Choice(options.group, options.kind, options.value, room)
            hold = whole_plan(
                choice, problem.kinds, problem.scale, start=options.start if feasible else None, gap=1e-9,
                seconds=turn, nodes=NODES,
            ).hold  # fmt: skip
        if hold is not None:
            other = settled(problem, dual.prices, options, hold, plan.arcs)
            plan = other if (other.excess, -other.primal) < (plan.excess, -plan.primal) else plan
    return plan


def core(problem: Problem, prices: Ints, held: list[Ints], count: int) -> Options:
    """At most about ``count`` options nearest to the best, with those held."""
    width = 4 * PICO * (problem.most + 1)
    while True:
        options = gather(problem, prices, width, held)
        assert options is not None
        if len(options.group) <= count or width < PICO:
            return options
        width = width * 4 // 5
